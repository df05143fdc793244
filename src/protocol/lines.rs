//! JSON frames: a batch and its answer as a line each, for workers in languages in which bytes are a nuisance. Only the side of
//! the harness is here; a worker in Rust has binary frames for nothing.

use super::frame;
use crate::case::{Case, direction_name};
use crate::dtype::{Dtype, text};
use crate::kernel::{Fault, Outcome};
use crate::op::Op;
use crate::outside::{self, LONGEST_MESSAGE};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Batch<'a> {
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    function: usize,
    op: Op,
    dtype: Dtype,
    logits: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_smoothing: Option<String>,
    #[serde(flatten)]
    direction: std::collections::BTreeMap<&'a str, Vec<String>>,
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

/// Appends a batch.
pub(crate) fn write_batch(rows: &[(usize, &Case)], out: &mut Vec<u8>) {
    let words = |values: &[f64]| values.iter().map(|&x| text::hex(x)).collect::<Vec<String>>();
    let row = |&(function, case): &(usize, &Case)| Row {
        function,
        op: case.op(),
        dtype: case.dtype(),
        logits: words(case.logits()),
        target: case.target().map(|(class, _)| class),
        label_smoothing: case.target().map(|(_, smoothing)| text::hex(smoothing)),
        direction: case
            .direction()
            .map(|direction| (direction_name(case.op()), words(direction)))
            .into_iter()
            .collect(),
    };
    // Strings and numbers in a vector: nothing here can fail to be written.
    out.extend(serde_json::to_vec(&Batch { rows: rows.iter().map(row).collect() }).unwrap_or_default());
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
                text::parse(number, dtype).map_err(|error| error.to_string())
            })
            .collect::<Result<_, _>>()
            .map(Outcome::Outputs),
        (None, None) => Err("a row with neither outputs nor an error".into()),
    }
}
