//! Batches: rows of one op, dtype and length that a kernel computes in one call, as they lie in memory.
//!
//! An array of a batch holds its rows one after the other, each a *stride* behind the one before; what lies between the end of a row and
//! the next one is *padding*, which belongs to no row. One row of a batch is the one that is *judged*; the others are its *companions*.
//! A row by itself is a batch of one row without padding ([`Batch::alone`]).

use super::Element;
use crate::case::{Case, Value};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::named::named;
use crate::op::Op;
use crate::outside::{self, LONGEST_QUOTE};
use std::fmt;

named! {
    /// What the padding of the inputs is filled with.
    pub enum Padding as "padding" {
        /// NaN.
        Nan = "nan",
        /// The largest finite number of the dtype.
        Huge = "huge",
        /// -inf: what a masked logit is. Nothing is drawn with it; a diagnosis asks whether it makes a difference.
        Masked = "masked",
    }
}

impl Padding {
    /// The number that it is filled with, of a format.
    pub(crate) fn value(self, dtype: Dtype) -> f64 {
        match self {
            Padding::Nan => f64::NAN,
            Padding::Huge => dtype.format().largest(),
            Padding::Masked => f64::NEG_INFINITY,
        }
    }
}

/// Where the rows of a batch lie. Strides are in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// From one row of logits to the next; at least the number of logits.
    pub logits_stride: usize,
    /// From one to the next of the row that the op takes besides; at least the number of logits, and of no meaning where it takes none.
    pub other_stride: usize,
    /// From one row of outputs to the next; at least the number of outputs of a row.
    pub out_stride: usize,
    /// What the inputs hold between the rows.
    pub padding: Padding,
    /// Whether the outputs are written over the logits. The op has then an output for each logit, the dtype one format, and the outputs
    /// the stride of the logits.
    pub in_place: bool,
}

impl Layout {
    /// Rows of `n` logits without padding.
    pub fn compact(op: Op, n: usize) -> Self {
        Self { logits_stride: n, other_stride: n, out_stride: op.outputs(n), padding: Padding::Nan, in_place: false }
    }
}

/// Rows of one op, dtype and length for one call. There is at least one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    cases: Vec<Case>,
    judged: usize,
    layout: Layout,
}

/// How many elements an array takes: the last row has no padding behind it.
pub(crate) fn extent(rows: usize, len: usize, stride: usize) -> usize {
    match rows {
        0 => 0,
        rows => (rows - 1) * stride + len,
    }
}

/// Whether outputs of an op in a dtype can be written over its logits.
pub(crate) fn fits_in_place(op: Op, dtype: Dtype) -> bool {
    !op.is_scalar() && !dtype.is_mixed()
}

impl Batch {
    /// Rows that are computed together; the one at `judged`, counted from 0, is judged.
    ///
    /// # Errors
    /// No row, a place without a row, an op that takes several rows as it is, rows of several ops, dtypes, lengths or numbers (a label smoothing, a scale), a stride that is
    /// shorter than its row, outputs over logits that they do not fit.
    pub fn new(cases: Vec<Case>, judged: usize, layout: Layout) -> Result<Self> {
        let refuse = |why: String| Err(Error::usage(format!("a batch {why}")));
        let Some(first) = cases.first() else { return refuse("has one row at least".into()) };
        if judged >= cases.len() {
            return refuse(format!("of {} rows has no row {judged}; they are counted from 0", cases.len()));
        }
        let (op, dtype, n) = (first.op(), first.dtype(), first.logits().len());
        if op.mean_of().is_some() {
            return refuse(format!("has rows of one case each, and {op} takes several rows as it is"));
        }
        let is_alike = |case: &Case| {
            (case.op(), case.dtype(), case.logits().len()) == (op, dtype, n)
                && case.number().to_bits() == first.number().to_bits()
        };
        if !cases.iter().all(is_alike) {
            return refuse("has rows of one op, dtype and length, and one label smoothing or scale for all".into());
        }
        for (name, stride, len) in [
            ("logits_stride", layout.logits_stride, n),
            ("other_stride", layout.other_stride, n),
            ("out_stride", layout.out_stride, op.outputs(n)),
        ] {
            if stride < len || stride.checked_mul(cases.len()).is_none_or(|size| size > LARGEST) {
                return refuse(format!("of rows of {len} has a {name} from {len} to {}", LARGEST / cases.len()));
            }
        }
        if layout.in_place && !(fits_in_place(op, dtype) && layout.logits_stride == layout.out_stride) {
            return refuse(format!("of {op} in {dtype} with these strides cannot be computed in place"));
        }
        Ok(Self { cases, judged, layout })
    }

    /// A row by itself, without padding and not in place.
    pub fn alone(case: &Case) -> Self {
        let layout = Layout::compact(case.op(), case.logits().len());
        Self { cases: vec![case.clone()], judged: 0, layout }
    }

    /// The rows, in their order.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The place of the row that is judged, counted from 0.
    pub fn judged(&self) -> usize {
        self.judged
    }

    /// The row that is judged.
    pub fn case(&self) -> &Case {
        &self.cases[self.judged]
    }

    /// Where the rows lie.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The op of all rows.
    pub fn op(&self) -> Op {
        self.cases[0].op()
    }

    /// The dtype of all rows.
    pub fn dtype(&self) -> Dtype {
        self.cases[0].dtype()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.cases.len()
    }

    /// The number of logits of each row.
    pub fn len(&self) -> usize {
        self.cases[0].logits().len()
    }

    /// Whether its rows have no logits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of outputs of each row.
    pub fn outputs(&self) -> usize {
        self.op().outputs(self.len())
    }

    /// The label smoothing or the scale of all rows; 0 where the op takes none.
    pub fn number(&self) -> f64 {
        self.cases[0].number()
    }

    /// The true class of each row; empty where the op takes none.
    pub fn targets(&self) -> Vec<usize> {
        self.cases.iter().filter_map(|case| case.target().map(|(class, _)| class)).collect()
    }

    /// Whether it is nothing but the row that is judged: no companions, no padding, not in place.
    pub fn is_alone(&self) -> bool {
        self.rows() == 1 && self.is_compact() && !self.layout.in_place
    }

    /// Whether nothing lies between the rows.
    pub fn is_compact(&self) -> bool {
        let compact = Layout::compact(self.op(), self.len());
        let Layout { logits_stride, out_stride, other_stride, .. } = self.layout;
        (logits_stride, out_stride) == (compact.logits_stride, compact.out_stride)
            && (self.op().other_row().is_none() || other_stride == compact.other_stride)
    }

    /// The same rows lying otherwise.
    ///
    /// # Errors
    /// Those of [`Batch::new`].
    pub fn with_layout(&self, layout: Layout) -> Result<Self> {
        Self::new(self.cases.clone(), self.judged, layout)
    }

    /// The batch of the rows at these places, in that order; none without the judged row.
    pub(crate) fn with_rows(&self, places: &[usize]) -> Option<Self> {
        let judged = places.iter().position(|&place| place == self.judged)?;
        let cases = places.iter().map(|&place| self.cases[place].clone()).collect();
        Some(Self { cases, judged, layout: self.layout })
    }

    /// The same rows, of which another one is judged; none where there is no such row.
    pub(crate) fn judging(&self, judged: usize) -> Option<Self> {
        (judged < self.rows()).then(|| Self { judged, ..self.clone() })
    }

    /// The batch for a kernel that does not compute in place.
    pub(crate) fn not_in_place(&self) -> Self {
        Self { layout: Layout { in_place: false, ..self.layout }, ..self.clone() }
    }

    /// The memory of the logits as a type that holds the dtype that is read, with their padding; the last row has none behind it.
    pub fn logits<T: Element>(&self) -> Vec<T> {
        self.memory(self.layout.logits_stride, |case| case.logits())
    }

    /// The memory of the rows that the op takes besides, as that of the logits; empty where it takes none.
    pub fn others<T: Element>(&self) -> Vec<T> {
        match self.op().other_row() {
            None => Vec::new(),
            Some(_) => self.memory(self.layout.other_stride, |case| case.other_row().unwrap_or(&[])),
        }
    }

    fn memory<'a, T: Element>(&'a self, stride: usize, row: impl Fn(&'a Case) -> &'a [f64]) -> Vec<T> {
        let padding = T::from_f64(self.layout.padding.value(self.dtype().input()));
        let mut memory = vec![padding; extent(self.rows(), self.len(), stride)];
        for (place, case) in self.cases.iter().enumerate() {
            for (to, &x) in memory[place * stride..].iter_mut().zip(row(case)) {
                *to = T::from_f64(x);
            }
        }
        memory
    }

    /// Reads the text form: `batch judged=1 logits_stride=4 other_stride=3 out_stride=3 padding=nan: ROW; ROW x 30`, where a row is the
    /// text of a case ([`Case::parse`]) and `x COUNT` says how often it stands there; `in_place` stands before the colon where it is so.
    /// What is left out is as in a batch without padding whose first row is judged.
    ///
    /// # Errors
    /// What is wrong with the text, or what [`Batch::new`] refuses.
    pub fn parse(input: &str) -> Result<Self> {
        let shape = || {
            Error::usage(
                "a batch reads `batch judged=0 logits_stride=2 out_stride=2 padding=nan: ROW; ROW x COUNT`, where a row is a case: \
                 softmax f32 [1000, 0]",
            )
        };
        let rest = input.trim().strip_prefix(TEXT).ok_or_else(shape)?;
        let (header, rows) = rest.split_once(':').ok_or_else(shape)?;
        let rows: Vec<&str> = rows.split(';').collect();
        let cases = parse_rows(&rows)?;
        let first = cases.first().ok_or_else(shape)?;
        let (mut judged, mut layout) = (0, Layout::compact(first.op(), first.logits().len()));
        for item in header.split_whitespace() {
            let (key, value) = item.split_once('=').unwrap_or((item, ""));
            let quoted = || outside::line(item, LONGEST_QUOTE);
            let number = || value.parse::<usize>().map_err(|_| Error::usage(format!("`{}` is no number", quoted())));
            match key {
                "judged" => judged = number()?,
                "logits_stride" => layout.logits_stride = number()?,
                "other_stride" => layout.other_stride = number()?,
                "out_stride" => layout.out_stride = number()?,
                "padding" => layout.padding = value.parse()?,
                "in_place" if value.is_empty() => layout.in_place = true,
                _ => return Err(Error::usage(format!("a batch has no `{}`", quoted()))),
            }
        }
        Self::new(cases, judged, layout)
    }

    /// The rows as text, equal ones that follow each other as `ROW x COUNT`.
    pub(crate) fn row_texts(&self) -> Vec<String> {
        let mut texts: Vec<(String, usize)> = Vec::new();
        for case in &self.cases {
            let text = case.to_string();
            match texts.last_mut() {
                Some((last, count)) if *last == text => *count += 1,
                _ => texts.push((text, 1)),
            }
        }
        texts.into_iter().map(|(text, count)| if count == 1 { text } else { format!("{text}{TIMES}{count}") }).collect()
    }
}

/// What the text form begins with.
const TEXT: &str = "batch ";

/// What stands between a row and how often it stands there.
const TIMES: &str = " x ";

/// The most elements of an array of a batch.
const LARGEST: usize = 1 << 31;

/// The most rows of a batch that is read.
pub(crate) const MOST_ROWS: usize = 1 << 20;

/// Reads rows as [`Batch::row_texts`] writes them.
///
/// # Errors
/// A row that is no case, a count that is no number, or more than 2^20 rows.
pub(crate) fn parse_rows<S: AsRef<str>>(rows: &[S]) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for row in rows {
        let row = row.as_ref().trim();
        let (text, count) = match row.rsplit_once(TIMES) {
            Some((text, count)) => (text, count.parse::<usize>().ok()),
            None => (row, Some(1)),
        };
        let count = count.filter(|&count| count > 0 && count <= MOST_ROWS - cases.len()).ok_or_else(|| {
            Error::usage(format!(
                "`{}`: a row stands in a batch once or more, and there are at most {MOST_ROWS}",
                outside::line(row, LONGEST_QUOTE)
            ))
        })?;
        let case = Case::parse(text)?;
        cases.extend(std::iter::repeat_n(case, count));
    }
    Ok(cases)
}

/// Whether a text means a batch.
pub fn is_batch_text(text: &str) -> bool {
    text.trim_start().starts_with(TEXT)
}

impl fmt::Display for Batch {
    /// The text form, which [`Batch::parse`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layout { logits_stride, other_stride, out_stride, padding, in_place } = self.layout;
        write!(f, "{TEXT}judged={} logits_stride={logits_stride}", self.judged)?;
        if self.op().other_row().is_some() {
            write!(f, " other_stride={other_stride}")?;
        }
        write!(f, " out_stride={out_stride} padding={padding}{}: ", if in_place { " in_place" } else { "" })?;
        f.write_str(&self.row_texts().join("; "))
    }
}

/// Rows to be read, as they lie in memory.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    memory: &'a [T],
    rows: usize,
    len: usize,
    stride: usize,
}

impl<'a, T> Rows<'a, T> {
    /// `rows` rows of `len` elements.
    pub(crate) fn new(memory: &'a [T], rows: usize, len: usize, stride: usize) -> Self {
        Self { memory, rows, len, stride }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of elements of a row.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether its rows have no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// From one row to the next, in elements.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// A row.
    ///
    /// # Panics
    /// If there is no row of this number.
    pub fn row(&self, row: usize) -> &'a [T] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        &self.memory[row * self.stride..][..self.len]
    }

    /// All of the memory, from the first element of the first row to the last of the last one, with what lies between the rows.
    pub fn memory(&self) -> &'a [T] {
        self.memory
    }
}

/// Rows to be written, as they lie in memory.
#[derive(Debug)]
pub struct RowsMut<'a, T> {
    memory: &'a mut [T],
    rows: usize,
    len: usize,
    stride: usize,
}

impl<'a, T> RowsMut<'a, T> {
    /// `rows` rows of `len` elements.
    pub(crate) fn new(memory: &'a mut [T], rows: usize, len: usize, stride: usize) -> Self {
        Self { memory, rows, len, stride }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of elements of a row.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether its rows have no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// From one row to the next, in elements.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// A row.
    ///
    /// # Panics
    /// If there is no row of this number.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        &mut self.memory[row * self.stride..][..self.len]
    }

    /// All of the memory, as of [`Rows::memory`]. What lies between the rows must stay as it is.
    pub fn memory_mut(&mut self) -> &mut [T] {
        self.memory
    }
}

/// The values of a case that a message of a batch holds once for all rows.
pub(crate) fn with_number(case: &Case, number: f64) -> Result<Case> {
    let value = |(_, value): (_, &Value)| match value {
        Value::Number(_) => Value::Number(number),
        value => value.clone(),
    };
    let others: Vec<Value> = case.others().map(value).collect();
    Case::new(case.op(), case.dtype(), case.shared_logits().clone(), others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Fault, Outcome};

    #[test]
    fn the_text_of_a_batch_is_read_back() {
        for text in [
            "batch judged=1 logits_stride=4 out_stride=3 padding=huge: softmax f32 [0x1p+0, nan]; softmax f32 [0x0p+0, 0x0p+0] x 30",
            "batch judged=0 logits_stride=2 out_stride=2 padding=nan in_place: softmax f32 [0x1p+0, nan]",
            "batch judged=0 logits_stride=1 other_stride=3 out_stride=1 padding=nan: softmax_vjp f64 [0x1p+0] cotangent=[-0x1p+0]",
        ] {
            assert_eq!(Batch::parse(text).unwrap().to_string(), text);
        }
        let short = Batch::parse("batch : softmax f32 [1, 2]; softmax f32 [3, 4]").unwrap();
        assert!(short.is_compact() && short.rows() == 2 && short.judged() == 0 && !short.is_alone());
    }

    /// A kernel that answers for fewer rows than it was given has not written the others.
    #[test]
    fn rows_without_an_answer_are_a_fault() {
        struct First;
        impl crate::kernel::Kernel for First {
            fn name(&self) -> &str {
                "first"
            }
            fn supports(&self, _: Op, _: Dtype) -> bool {
                true
            }
            fn claims(&self, _: Op, _: Dtype) -> crate::kernel::Claims {
                crate::kernel::Claims::default()
            }
            fn run(&self, case: &Case) -> Outcome {
                Outcome::Outputs(case.logits().to_vec())
            }
            fn batched(&self, _: Op, _: Dtype) -> Option<&dyn crate::kernel::Batched> {
                Some(self)
            }
        }
        impl crate::kernel::Batched for First {
            fn compute(&self, batch: &Batch) -> Vec<Outcome> {
                vec![crate::kernel::Kernel::run(self, batch.case())]
            }
        }
        let batch = Batch::parse("batch : softmax f32 [1, 2]; softmax f32 [3, 4]").unwrap();
        let outcomes = crate::kernel::run_batch(&First, &batch);
        assert!(matches!(outcomes[0], Outcome::Outputs(_)) && outcomes.len() == 2);
        assert_eq!(outcomes[1], Outcome::Failed(Fault::Unwritten, "1 row where 2 are due".into()));
    }

    #[test]
    fn what_is_no_batch_is_refused_in_a_line() {
        for (text, why) in [
            ("softmax f32 [1]", "a batch reads"),
            ("batch judged=2: softmax f32 [1]; softmax f32 [2]", "no row 2"),
            ("batch judged=x: softmax f32 [1]", "is no number"),
            ("batch rows=1: softmax f32 [1]", "has no `rows=1`"),
            ("batch : softmax f32 [1]; softmax f32 [1, 2]", "one op, dtype and length"),
            ("batch : scaled_softmax f32 [1] scale=1; scaled_softmax f32 [1] scale=2", "one label smoothing or scale"),
            ("batch logits_stride=1: softmax f32 [1, 2]", "has a logits_stride from 2"),
            ("batch in_place: logsumexp f32 [1, 2]", "cannot be computed in place"),
            ("batch : mean_cross_entropy f32 [1, 2] targets=[0]", "mean_cross_entropy takes several rows as it is"),
            ("batch in_place logits_stride=3: softmax f32 [1, 2]", "cannot be computed in place"),
            ("batch in_place: softmax bf16:f32 [1, 2]", "cannot be computed in place"),
            ("batch : softmax f32 [1] x 0", "once or more"),
            ("batch : softmax f32 [1] x 99999999999", "once or more"),
        ] {
            let error = Batch::parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn memory_has_padding_between_the_rows_and_none_behind() {
        let text = "batch logits_stride=3 padding=huge: softmax f32 [1, 2]; softmax f32 [3, 4]";
        let memory: Vec<f32> = Batch::parse(text).unwrap().logits();
        assert_eq!(memory, [1.0, 2.0, f32::MAX, 3.0, 4.0]);
        let rows = Rows::new(&memory, 2, 2, 3);
        assert_eq!((rows.row(0), rows.row(1)), (&[1.0, 2.0][..], &[3.0, 4.0][..]));
    }
}
