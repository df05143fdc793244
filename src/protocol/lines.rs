//! JSON frames: a request and its answer as a line each, for workers in languages in which bytes are a nuisance. Only the side of
//! the harness is here; a worker in Rust has binary frames for nothing.

use super::frame::{self, Call};
use crate::case::{Case, Value};
use crate::dtype::{Dtype, text};
use crate::kernel::{Batch, Fault, Outcome};
use crate::op::Op;
use crate::outside::{self, LONGEST_MESSAGE};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Request<'a> {
    rows: Vec<CallLine<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CallLine<'a> {
    Row(RowLine<'a>),
    Batch(BatchLine<'a>),
}

/// A batch: of each row its list. Strides are a matter of memory, of which JSON has none.
#[derive(Serialize)]
struct BatchLine<'a> {
    function: usize,
    op: Op,
    dtype: Dtype,
    logits: Vec<Vec<String>>,
    #[serde(flatten)]
    others: ValuesOfRows<'a>,
}

/// What the rows of a batch have besides the logits, by name: a list of the rows, or one number for all.
struct ValuesOfRows<'a>(&'a Batch);

impl Serialize for ValuesOfRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let rows: Vec<Vec<&Value>> =
            self.0.cases().iter().map(|case| case.others().map(|(_, value)| value).collect()).collect();
        for (place, input) in self.0.op().others().iter().enumerate() {
            let values = rows.iter().map(|row| row[place]);
            match rows[0][place] {
                Value::Number(x) => map.serialize_entry(input.name, &text::hex(*x))?,
                Value::Index(_) => {
                    let index = |value: &Value| if let Value::Index(index) = value { *index } else { 0 };
                    map.serialize_entry(input.name, &values.map(index).collect::<Vec<_>>())?;
                }
                // No op of several rows is served in batches.
                Value::Indices(_) => {}
                Value::Row(_) => {
                    let row = |value: &Value| if let Value::Row(row) = value { words(row) } else { Vec::new() };
                    map.serialize_entry(input.name, &values.map(row).collect::<Vec<_>>())?;
                }
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct RowLine<'a> {
    function: usize,
    op: Op,
    dtype: Dtype,
    logits: Vec<String>,
    #[serde(flatten)]
    others: NamedValues<'a>,
}

/// What a case has besides the logits, by name.
struct NamedValues<'a>(&'a Case);

impl Serialize for NamedValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (input, value) in self.0.others() {
            match value {
                Value::Index(index) => map.serialize_entry(input.name, index)?,
                Value::Number(x) => map.serialize_entry(input.name, &text::hex(*x))?,
                Value::Row(values) => map.serialize_entry(input.name, &words(values))?,
                // Null is a row that is ignored.
                Value::Indices(classes) => map.serialize_entry(input.name, &classes[..])?,
            }
        }
        map.end()
    }
}

/// Numbers as words, which JSON has none for where they are infinite.
fn words(values: &[f64]) -> Vec<String> {
    values.iter().map(|&x| text::hex(x)).collect()
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    rows: Vec<Answered<'a>>,
}

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    outputs: Option<Vec<&'a RawValue>>,
    error: Option<String>,
    code: Option<u32>,
}

/// Appends a request.
pub(crate) fn write_request(calls: &[Call], out: &mut Vec<u8>) {
    fn line<'a>(call: &Call<'a>) -> Option<CallLine<'a>> {
        let (function, case) = (call.function, call.cases.first()?);
        let (op, dtype) = (case.op(), case.dtype());
        Some(match call.batch {
            None => {
                CallLine::Row(RowLine { function, op, dtype, logits: words(case.logits()), others: NamedValues(case) })
            }
            Some(batch) => {
                let logits = batch.cases().iter().map(|case| words(case.logits())).collect();
                CallLine::Batch(BatchLine { function, op, dtype, logits, others: ValuesOfRows(batch) })
            }
        })
    }
    // Strings and numbers in a vector: nothing here can fail to be written.
    out.extend(serde_json::to_vec(&Request { rows: calls.iter().filter_map(line).collect() }).unwrap_or_default());
    out.push(b'\n');
}

/// As [`frame::largest_answer`], of a line.
pub(crate) fn largest_answer<'a>(cases: impl Iterator<Item = &'a Case>) -> u64 {
    /// A number with its quotes and its comma: 17 digits are enough for any f64, and nobody needs 50.
    const NUMBER: u64 = 64;
    /// What stands around the numbers of a row.
    const ROW: u64 = 256;
    let values = |case: &Case| 2 * case.op().outputs(case.logits().len()) as u64 + 1;
    // A character of a text may be written as six.
    cases.map(|case| ROW + (6 * frame::LARGEST_TEXT).max(values(case) * NUMBER)).sum::<u64>() + ROW
}

/// Reads an answer to rows of these dtypes.
///
/// # Errors
/// What is wrong with the line, in one harmless line.
pub(crate) fn read_answer(dtypes: impl ExactSizeIterator<Item = Dtype>, line: &[u8]) -> Result<Vec<Outcome>, String> {
    answer(dtypes, line).map_err(|reason| outside::line(&reason, LONGEST_MESSAGE))
}

fn answer(dtypes: impl ExactSizeIterator<Item = Dtype>, line: &[u8]) -> Result<Vec<Outcome>, String> {
    let answer: Answer = serde_json::from_slice(line).map_err(|error| format!("a line that is no answer ({error})"))?;
    if answer.rows.len() != dtypes.len() {
        return Err(format!("{} rows where {} are due", answer.rows.len(), dtypes.len()));
    }
    answer.rows.into_iter().zip(dtypes).map(|(row, dtype)| outcome(row, dtype)).collect()
}

fn outcome(row: Answered, dtype: Dtype) -> Result<Outcome, String> {
    match (row.outputs, row.error) {
        (_, Some(error)) => {
            let fault = row.code.map_or(Ok(Fault::Panic), frame::fault)?;
            Ok(Outcome::Failed(fault, outside::line(&error, LONGEST_MESSAGE)))
        }
        (Some(values), None) => values
            .into_iter()
            .map(|raw| {
                let number = raw.get().trim_matches('"');
                text::parse(number, dtype.output()).map_err(|error| error.to_string())
            })
            .collect::<Result<_, _>>()
            .map(Outcome::Outputs),
        (None, None) => Err("a row with neither outputs nor an error".into()),
    }
}
