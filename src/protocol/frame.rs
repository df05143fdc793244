//! Binary frames: requests and their answers, as bytes. The layout is in `docs/worker-protocol.md`. A request is made of calls, each of a
//! row or of a batch; an answer has an outcome for each row of each call.
//!
//! Reading never trusts the other side: a count is checked against the bytes that are there before anything is allocated.

use crate::case::{Case, Value};
use crate::dtype::Dtype;
use crate::kernel::batch::{Batch, Layout, MOST_ROWS, Padding, extent};
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

/// What a worker is asked: a function, by its number, and a row or a batch of its op and dtype.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub function: usize,
    /// One, or the rows of a batch.
    pub cases: &'a [Case],
    /// Where the rows of a batch lie; none for a function of rows.
    pub batch: Option<&'a Batch>,
}

impl<'a> Call<'a> {
    /// A call of a function of rows.
    pub fn row(function: usize, case: &'a Case) -> Self {
        Self { function, cases: std::slice::from_ref(case), batch: None }
    }

    /// A call of a function of batches.
    pub fn batch(function: usize, batch: &'a Batch) -> Self {
        Self { function, cases: batch.cases(), batch: Some(batch) }
    }
}

/// What a worker is asked, read.
#[derive(Debug)]
pub(crate) enum Asked {
    Row(Case),
    Batch(Batch),
}

impl Asked {
    /// The rows that it asks for.
    pub fn rows(&self) -> usize {
        match self {
            Asked::Row(_) => 1,
            Asked::Batch(batch) => batch.rows(),
        }
    }
}

/// A function of a hello: its op, its dtype, and whether it computes batches.
pub(crate) type Computes = (Op, Dtype, bool);

/// The flag of a batch whose outputs are to be written over its logits.
const IN_PLACE: u32 = 1;

/// The most bytes of an answer to rows with these cases: an answer is believed as far as its request explains it. A row may give one
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

/// Appends a request.
pub(crate) fn write_request(calls: &[Call], out: &mut Vec<u8>) {
    let start = begin(calls.len(), out);
    for Call { function, cases, batch } in calls {
        if let Some(batch) = batch {
            write_batch(*function, batch, out);
            continue;
        }
        let Some(case) = cases.first() else { continue };
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

/// Appends what is said of a batch.
fn write_batch(function: usize, batch: &Batch, out: &mut Vec<u8>) {
    let Layout { logits_stride, other_stride, out_stride, padding, in_place } = batch.layout();
    for word in [function as u32, batch.len() as u32, batch.rows() as u32, if in_place { IN_PLACE } else { 0 }] {
        out.extend(word.to_le_bytes());
    }
    for stride in [logits_stride, other_stride, out_stride] {
        out.extend((stride as u64).to_le_bytes());
    }
    out.extend(batch.number().to_le_bytes());
    for target in batch.targets() {
        out.extend((target as u64).to_le_bytes());
    }
    let dtype = batch.dtype();
    let between = |stride: usize| vec![padding.value(dtype.input()); stride - batch.len()];
    let mut array = |stride: usize, row: &dyn Fn(&Case) -> Vec<f64>| {
        let between = between(stride);
        for (place, case) in batch.cases().iter().enumerate() {
            if place > 0 {
                write_values(dtype, &between, out);
            }
            write_values(dtype, &row(case), out);
        }
    };
    array(logits_stride, &|case| case.logits().to_vec());
    if batch.op().other_row().is_some() {
        array(other_stride, &|case| case.other_row().unwrap_or(&[]).to_vec());
    }
}

/// Reads what is said of a batch of an op in a dtype, but for the number of its function.
fn read_one_batch(op: Op, dtype: Dtype, bytes: &mut Bytes) -> Result<Batch, String> {
    let (n, rows, flags) = (bytes.u32()? as usize, bytes.u32()? as usize, bytes.u32()?);
    let mut stride = || bytes.u64().map(|stride| stride as usize);
    let (logits_stride, other_stride, out_stride) = (stride()?, stride()?, stride()?);
    let number = f64::from_bits(bytes.u64()?);
    let is_addressed =
        [logits_stride, other_stride].iter().all(|stride| stride.checked_mul(rows).is_some() && *stride >= n);
    if rows > MOST_ROWS || !is_addressed {
        return Err("a batch with rows or strides that none has".into());
    }
    let mut targets = Vec::new();
    if op.takes_class() {
        for _ in 0..rows {
            targets.push(bytes.u64()? as usize);
        }
    }
    let mut array = |stride: usize| bytes.values(dtype, extent(rows, n, stride));
    let logits = array(logits_stride)?;
    let others = if op.other_row().is_some() { array(other_stride)? } else { Vec::new() };
    let padding = match logits.get(n).filter(|_| logits_stride > n).or(others.get(n).filter(|_| other_stride > n)) {
        Some(x) if *x == f64::NEG_INFINITY => Padding::Masked,
        Some(x) if !x.is_nan() => Padding::Huge,
        _ => Padding::Nan,
    };
    let case = |row: usize| {
        let other = |extent: Extent| match extent {
            Extent::Index => Value::Index(targets[row]),
            Extent::Number => Value::Number(number),
            Extent::Row => Value::from(others[row * other_stride..][..n].to_vec()),
            // No op of several rows is served in batches.
            Extent::Indices => Value::from(vec![None]),
        };
        let others: Vec<Value> = op.others().iter().map(|input| other(input.role.extent())).collect();
        Case::new(op, dtype, logits[row * logits_stride..][..n].to_vec(), others)
    };
    let layout = Layout { logits_stride, other_stride, out_stride, padding, in_place: flags & IN_PLACE != 0 };
    let cases = (0..rows).map(case).collect::<Result<Vec<_>, _>>();
    cases.and_then(|cases| Batch::new(cases, 0, layout)).map_err(|error| error.to_string())
}

/// Reads a request (without its length): for each call the number of its function, and what is asked of it.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn read_request(functions: &[Computes], frame: &[u8]) -> Result<Vec<(usize, Asked)>, String> {
    let mut bytes = Bytes(frame);
    let count = bytes.u32()?;
    let mut rows = Vec::new();
    for _ in 0..count {
        let function = bytes.u32()? as usize;
        let &(op, dtype, is_batched) =
            functions.get(function).ok_or_else(|| format!("function {function} of {}", functions.len()))?;
        if is_batched {
            rows.push((function, Asked::Batch(read_one_batch(op, dtype, &mut bytes)?)));
            continue;
        }
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
        let case = Case::new(op, dtype, logits, others).map_err(|error| error.to_string())?;
        rows.push((function, Asked::Row(case)));
    }
    bytes.end()?;
    Ok(rows)
}

/// Appends an answer: the function and the outcome of each row.
pub(crate) fn write_answer<'a>(
    functions: &[Computes],
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
    fn functions() -> Vec<Computes> {
        Op::ALL.iter().copied().flat_map(|op| Dtype::ALL.map(|dtype| (op, dtype, false))).collect()
    }

    /// Any bytes are a case of some function.
    fn row(bytes: &[u8]) -> (usize, Case) {
        let case = Case::decode(bytes);
        let function = functions().iter().position(|function| *function == (case.op(), case.dtype(), false));
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
            write_request(&rows.iter().map(|(function, case)| Call::row(*function, case)).collect::<Vec<_>>(), &mut bytes);
            let mut frame = Vec::new();
            prop_assert!(receive(&mut &bytes[..], &mut frame).unwrap());
            let read = read_request(&functions(), &frame).unwrap();
            // As text, for NaN is not equal to itself.
            let text = |(function, case): &(usize, Case)| format!("{function} {case:?}");
            let read_text = |(function, asked): &(usize, Asked)| match asked {
                Asked::Row(case) => text(&(*function, case.clone())),
                Asked::Batch(batch) => batch.to_string(),
            };
            prop_assert_eq!(read.iter().map(read_text).collect::<Vec<_>>(), rows.iter().map(text).collect::<Vec<_>>());

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
            let _ = read_request(&functions(), &bytes);
            let batched: Vec<Computes> = functions().into_iter().map(|(op, dtype, _)| (op, dtype, true)).collect();
            let _ = read_request(&batched, &bytes);
            let _ = read_answer([Dtype::F32, Dtype::F64].into_iter(), &bytes);
            let _ = receive(&mut &bytes[..], &mut Vec::new());
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        let (function, case) = row(&[0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        let mut bytes = Vec::new();
        write_request(&[Call::row(function, &case)], &mut bytes);
        for end in PREFIX..bytes.len() {
            assert!(read_request(&functions(), &bytes[PREFIX..end]).is_err(), "{end}");
            assert!(receive(&mut &bytes[..end], &mut Vec::new()).is_err(), "{end}");
        }
        let more = [&bytes[PREFIX..], &[0]].concat();
        assert_eq!(read_request(&functions(), &more).unwrap_err(), "1 bytes after the last row");
        let huge = (LARGEST + 1).to_le_bytes();
        assert!(receive(&mut &huge[..], &mut Vec::new()).is_err());
    }

    /// A batch comes out as it went in, with its strides and what lies between its rows.
    #[test]
    fn batches_round_trip() {
        for text in [
            "batch judged=0 logits_stride=4 out_stride=3 padding=huge: softmax f16 [0x1p+0, nan]; softmax f16 [0x0p+0, -inf] x 3",
            "batch judged=0 logits_stride=2 out_stride=2 padding=nan in_place: softmax bf16 [0x1p+0, 0x0p+0]",
            "batch judged=0 logits_stride=2 other_stride=5 out_stride=2 padding=masked: softmax_vjp f64 [0x1p+0, 0x1p+1] cotangent=[0x1p+2, -0x1p+0] x 2",
            "batch judged=0 logits_stride=3 out_stride=7 padding=nan: cross_entropy f32 [0x1p+0, 0x1p+1] target=1 label_smoothing=0x1p-1; cross_entropy f32 [0x1p+0, 0x1p+1] target=0 label_smoothing=0x1p-1",
        ] {
            let batch = Batch::parse(text).unwrap();
            let functions = [(batch.op(), batch.dtype(), true)];
            let mut bytes = Vec::new();
            write_request(&[Call::batch(0, &batch), Call::batch(0, &batch)], &mut bytes);
            let read = read_request(&functions, &bytes[PREFIX..]).unwrap();
            assert_eq!(read.len(), 2);
            for (_, asked) in &read {
                assert!(
                    matches!(asked, Asked::Batch(read) if read.to_string() == text && asked.rows() == batch.rows())
                );
            }
            for end in PREFIX..bytes.len() {
                assert!(read_request(&functions, &bytes[PREFIX..end]).is_err(), "{end}");
            }
        }
    }
}
