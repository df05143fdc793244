//! Binary frames: batches of rows and their answers, as bytes. The layout is in `docs/worker-protocol.md`.
//!
//! Reading never trusts the other side: a count is checked against the bytes that are there before anything is allocated.

use crate::case::{Case, Value};
use crate::dtype::Dtype;
use crate::kernel::{Fault, Outcome};
use crate::op::Op;
use crate::op::signature::Extent;
use crate::outside::{self, LONGEST_MESSAGE};
use std::io::{self, Read};

/// The bytes of the length that begins every frame.
pub(crate) const PREFIX: usize = 8;

/// The largest frame that is read: a row of 2^25 logits with a cotangent, in f64, fits four times.
pub(crate) const LARGEST: u64 = 1 << 31;

/// The most bytes of text that a row's error may have before the answer is taken for none: a long traceback fits.
pub(crate) const LARGEST_TEXT: u64 = 1 << 16;

/// The most bytes of an answer to rows with these cases: an answer is believed as far as its batch explains it. A row may give one
/// number too many for each that is due (which is then its fault), or a text.
pub(crate) fn largest_answer<'a>(cases: impl Iterator<Item = &'a Case>) -> u64 {
    let values = |case: &Case| 2 * case.op().outputs(case.logits().len()) as u64 + 1;
    cases.map(|case| 8 + LARGEST_TEXT.max(values(case) * case.dtype().output().bytes() as u64)).sum::<u64>() + 4
}

/// What stands for the class of a row that is ignored.
const IGNORED: u64 = u64::MAX;

/// The code of a row that has outputs.
const OUTPUTS: u32 = 0;

/// The code of each fault that an answer can tell of; the others are what the supervisor sees.
const FAULTS: [(u32, Fault); 6] = [
    (1, Fault::Panic),
    (2, Fault::Unwritten),
    (3, Fault::OutOfBounds),
    (4, Fault::InputChanged),
    (5, Fault::FenvChanged),
    (6, Fault::Flaky),
];

/// Reads one frame, without its length, into `frame`. False at the end of the input.
pub(crate) fn receive(input: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<bool> {
    let mut prefix = [0; PREFIX];
    let mut filled = 0;
    while filled < PREFIX {
        match input.read(&mut prefix[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = u64::from_le_bytes(prefix);
    if length > LARGEST {
        return Err(io::Error::other(format!("a frame of {length} bytes; the largest is {LARGEST}")));
    }
    frame.clear();
    let read = input.take(length).read_to_end(frame)?;
    if (read as u64) < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(true) }
}

/// Appends a batch: the number of a function and a case of its op and dtype for each row.
pub(crate) fn write_batch(rows: &[(usize, &Case)], out: &mut Vec<u8>) {
    let start = begin(rows.len(), out);
    for (function, case) in rows {
        let classes = case.targets();
        // Of several rows their number stands where the class of one would.
        let target = classes.map_or(case.target().map_or(0, |(target, _)| target), <[_]>::len);
        out.extend((*function as u32).to_le_bytes());
        out.extend((case.logits().len() as u32).to_le_bytes());
        out.extend((target as u64).to_le_bytes());
        out.extend(case.number().to_le_bytes());
        for class in classes.unwrap_or(&[]) {
            out.extend(class.map_or(IGNORED, |class| class as u64).to_le_bytes());
        }
        write_values(case.dtype(), case.logits(), out);
        for (_, value) in case.others() {
            if let Value::Row(values) = value {
                write_values(case.dtype(), values, out);
            }
        }
    }
    end(start, out);
}

/// Reads a batch (without its length): for each row the number of its function and its case.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn read_batch(functions: &[(Op, Dtype)], frame: &[u8]) -> Result<Vec<(usize, Case)>, String> {
    let mut bytes = Bytes(frame);
    let count = bytes.u32()?;
    let mut rows = Vec::new();
    for _ in 0..count {
        let function = bytes.u32()? as usize;
        let &(op, dtype) =
            functions.get(function).ok_or_else(|| format!("function {function} of {}", functions.len()))?;
        let n = bytes.u32()? as usize;
        let (class, number) = (bytes.u64()? as usize, f64::from_bits(bytes.u64()?));
        let classes = if op.mean_of().is_some() { bytes.classes(class)? } else { Vec::new() };
        let logits = bytes.values(dtype, n)?;
        let other = |extent: Extent| match extent {
            Extent::Index => Ok(Value::Index(class)),
            Extent::Number => Ok(Value::Number(number)),
            Extent::Row => bytes.values(dtype, n).map(Value::from),
            Extent::Indices => Ok(Value::from(classes.clone())),
        };
        let others =
            op.others().iter().map(|input| input.role.extent()).map(other).collect::<Result<Vec<Value>, String>>()?;
        rows.push((function, Case::new(op, dtype, logits, others).map_err(|error| error.to_string())?));
    }
    bytes.end()?;
    Ok(rows)
}

/// Appends an answer: the function and the outcome of each row.
pub(crate) fn write_answer<'a>(
    functions: &[(Op, Dtype)],
    rows: impl ExactSizeIterator<Item = (usize, &'a Outcome)>,
    out: &mut Vec<u8>,
) {
    let start = begin(rows.len(), out);
    for (function, outcome) in rows {
        let mut fail = |code: u32, message: &str| {
            out.extend(code.to_le_bytes());
            out.extend((message.len() as u32).to_le_bytes());
            out.extend(message.as_bytes());
        };
        match outcome {
            Outcome::Outputs(values) => {
                out.extend(OUTPUTS.to_le_bytes());
                out.extend((values.len() as u32).to_le_bytes());
                write_values(functions[function].1.output(), values, out);
            }
            Outcome::Failed(fault, message) => {
                let code = FAULTS.iter().find(|(_, other)| other == fault).map_or(FAULTS[0].0, |(code, _)| *code);
                fail(code, message);
            }
            Outcome::NotRun => fail(FAULTS[0].0, "not run"),
        }
    }
    end(start, out);
}

/// Reads an answer (without its length) to rows of these dtypes.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn read_answer(dtypes: impl ExactSizeIterator<Item = Dtype>, frame: &[u8]) -> Result<Vec<Outcome>, String> {
    let mut bytes = Bytes(frame);
    let count = bytes.u32()? as usize;
    if count != dtypes.len() {
        return Err(format!("{count} rows where {} are due", dtypes.len()));
    }
    let mut outcomes = Vec::with_capacity(count);
    for dtype in dtypes {
        let (code, length) = (bytes.u32()?, bytes.u32()? as usize);
        outcomes.push(if code == OUTPUTS {
            Outcome::Outputs(bytes.values(dtype.output(), length)?)
        } else {
            let text = String::from_utf8_lossy(bytes.take(length)?);
            Outcome::Failed(fault(code)?, outside::line(&text, LONGEST_MESSAGE))
        });
    }
    bytes.end()?;
    Ok(outcomes)
}

/// The fault that a code stands for.
///
/// # Errors
/// It stands for none.
pub(crate) fn fault(code: u32) -> Result<Fault, String> {
    let known = FAULTS.iter().find(|(known, _)| *known == code).map(|(_, fault)| *fault);
    known.ok_or_else(|| format!("a row with the unknown code {code}"))
}

/// Begins a frame: room for its length, then the number of rows. Returns where it begins.
fn begin(rows: usize, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend([0; PREFIX]);
    out.extend((rows as u32).to_le_bytes());
    start
}

/// Writes the length of the frame that began at `start`.
fn end(start: usize, out: &mut [u8]) {
    let length = (out.len() - start - PREFIX) as u64;
    out[start..start + PREFIX].copy_from_slice(&length.to_le_bytes());
}

/// Appends values of a dtype.
pub(crate) fn write_values(dtype: Dtype, values: &[f64], out: &mut Vec<u8>) {
    match dtype.input() {
        // A value of the dtype is the f64 that equals it, so these conversions are exact; NaN stays NaN.
        Dtype::F64 => write_words(values, out, f64::to_le_bytes),
        Dtype::F32 => write_words(values, out, |x| (x as f32).to_le_bytes()),
        _ => write_words(values, out, |x| (dtype.to_bits(x) as u16).to_le_bytes()),
    }
}

/// Appends words of one width: a loop that the compiler vectorises.
fn write_words<const N: usize>(values: &[f64], out: &mut Vec<u8>, word: impl Fn(f64) -> [u8; N]) {
    let start = out.len();
    out.resize(start + N * values.len(), 0);
    let (words, _) = out[start..].as_chunks_mut::<N>();
    for (to, &x) in words.iter_mut().zip(values) {
        *to = word(x);
    }
}

/// The values of words of a dtype; what is left over is none.
pub(crate) fn read_values(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    fn of_width<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|&word| value(word)).collect()
    }
    match dtype.input() {
        Dtype::F64 => of_width(bytes, |word| dtype.from_bits(u64::from_le_bytes(word))),
        Dtype::F32 => of_width(bytes, |word| dtype.from_bits(u64::from(u32::from_le_bytes(word)))),
        _ => of_width(bytes, |word| dtype.from_bits(u64::from(u16::from_le_bytes(word)))),
    }
}

/// What is left of a frame.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        if count > self.0.len() {
            return Err(format!("a frame that ends {} bytes too early", count - self.0.len()));
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    /// The class of each of so many rows.
    fn classes(&mut self, count: usize) -> Result<Vec<Option<usize>>, String> {
        let bytes = self.take(count.checked_mul(size_of::<u64>()).ok_or("more rows than there is memory for")?)?;
        let class = |&word: &[u8; size_of::<u64>()]| Some(u64::from_le_bytes(word)).filter(|class| *class != IGNORED);
        Ok(bytes.as_chunks().0.iter().map(|word| class(word).map(|class| class as usize)).collect())
    }

    fn values(&mut self, dtype: Dtype, count: usize) -> Result<Vec<f64>, String> {
        let width = dtype.bytes();
        let size = count.checked_mul(width).ok_or("a row too long to address")?;
        self.take(size).map(|bytes| read_values(dtype, bytes))
    }

    fn end(self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("{} bytes after the last row", self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every op in every dtype, in this order.
    fn functions() -> Vec<(Op, Dtype)> {
        Op::ALL.iter().copied().flat_map(|op| Dtype::ALL.map(|dtype| (op, dtype))).collect()
    }

    /// Any bytes are a case of some function.
    fn row(bytes: &[u8]) -> (usize, Case) {
        let case = Case::decode(bytes);
        let function = functions().iter().position(|function| *function == (case.op(), case.dtype()));
        (function.unwrap_or_default(), case)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn batches_and_answers_round_trip(
            rows in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..5),
        ) {
            let rows: Vec<(usize, Case)> = rows.iter().map(|bytes| row(bytes)).collect();
            let mut bytes = Vec::new();
            write_batch(&rows.iter().map(|(function, case)| (*function, case)).collect::<Vec<_>>(), &mut bytes);
            let mut frame = Vec::new();
            prop_assert!(receive(&mut &bytes[..], &mut frame).unwrap());
            let read = read_batch(&functions(), &frame).unwrap();
            // As text, for NaN is not equal to itself.
            let text = |rows: &[(usize, Case)]| rows.iter().map(|row| format!("{row:?}")).collect::<Vec<_>>();
            prop_assert_eq!(text(&read), text(&rows));

            let outcome = |(place, (_, case)): (usize, &(usize, Case))| match place % 3 {
                0 => Outcome::Failed(FAULTS[place % FAULTS.len()].1, format!("row {place}")),
                _ => Outcome::Outputs(case.logits().to_vec()),
            };
            let outcomes: Vec<Outcome> = rows.iter().enumerate().map(outcome).collect();
            let numbers: Vec<usize> = rows.iter().map(|(function, _)| *function).collect();
            bytes.clear();
            write_answer(&functions(), numbers.iter().copied().zip(&outcomes), &mut bytes);
            let dtypes: Vec<Dtype> = rows.iter().map(|(_, case)| case.dtype()).collect();
            let read = read_answer(dtypes.into_iter(), &bytes[PREFIX..]).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{outcomes:?}"));
        }

        /// Any bytes are refused with a word or read, and nothing large is allocated for a large count.
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_batch(&functions(), &bytes);
            let _ = read_answer([Dtype::F32, Dtype::F64].into_iter(), &bytes);
            let _ = receive(&mut &bytes[..], &mut Vec::new());
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        let (function, case) = row(&[0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        let mut bytes = Vec::new();
        write_batch(&[(function, &case)], &mut bytes);
        for end in PREFIX..bytes.len() {
            assert!(read_batch(&functions(), &bytes[PREFIX..end]).is_err(), "{end}");
            assert!(receive(&mut &bytes[..end], &mut Vec::new()).is_err(), "{end}");
        }
        let more = [&bytes[PREFIX..], &[0]].concat();
        assert_eq!(read_batch(&functions(), &more).unwrap_err(), "1 bytes after the last row");
        let huge = (LARGEST + 1).to_le_bytes();
        assert!(receive(&mut &huge[..], &mut Vec::new()).is_err());
    }
}
