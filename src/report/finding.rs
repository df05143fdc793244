//! A finding in words and figures for people. Every report, the command, and the panic of a check lay out what is made here, so that
//! all of them say the same.

use crate::case::rows::classes_text;
use crate::case::{Case, Value, values_text};
use crate::dtype::{Dtype, text};
use crate::judge::{Grade, Verdict};
use crate::outside;
use crate::results::{Finding, Worst, Written};
use crate::words::{ratio, short};

/// A finding in words.
pub(crate) struct Told<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// The cause, and how well it is known (see [`Finding::cause_in_words`]).
    pub cause: String,
    /// The index of the worst output, of an op that has several.
    pub index: Option<usize>,
    /// The error; none where it is not finite: then the verdict says what is wrong.
    pub error: Option<Measured>,
    /// The bound in ulps.
    pub bound: String,
}

/// An error in figures.
pub(crate) struct Measured {
    /// In ulps.
    pub ulps: String,
    /// Over its bound.
    pub ratio: String,
}

impl<'a> Told<'a> {
    /// The finding in words.
    pub fn new(finding: &'a Finding) -> Self {
        let measured = || Measured { ulps: short(finding.ulp), ratio: ratio(finding.ratio) };
        Self {
            finding,
            cause: finding.cause_in_words(),
            index: finding.index.filter(|_| !finding.op.is_scalar()),
            error: finding.ulp.is_finite().then(measured),
            bound: short(finding.bound_ulp),
        }
    }

    /// The command that shows it again, where it may be shown and has at most so many characters.
    pub fn command(&self, longest: usize) -> Option<&'a str> {
        shown_command(&self.finding.replay, longest)
    }

    /// The batch in which the row fails, in words, with as many of its rows as are shown; none where it fails by itself. A line each.
    pub fn batch_in_words(&self) -> Vec<String> {
        /// Rows that are shown, and how many characters of one.
        const ROWS_SHOWN: usize = 4;
        const ROW_SHOWN: usize = 200;
        let Some(batch) = &self.finding.batch else { return Vec::new() };
        let in_place = if batch.in_place { ", in place" } else { "" };
        let head = format!(
            "By itself the row passes; it fails as row {} (counted from 0) of a batch{in_place}, with strides of {} and {}, padding {}, and these rows:",
            batch.judged, batch.logits_stride, batch.out_stride, batch.padding
        );
        let rows = batch.rows.iter().take(ROWS_SHOWN).map(|row| outside::line(row, ROW_SHOWN));
        let more = batch.rows.len().checked_sub(ROWS_SHOWN).filter(|&more| more > 0);
        let more = more.map(|more| format!("and {more} more, which are in results.json"));
        std::iter::once(head).chain(rows).chain(more).collect()
    }

    /// The worst case, without the case itself.
    pub fn worst_in_words(&self, worst: &Worst) -> String {
        format!(
            "The worst of the short rows that failed so: {} where the exact value is {}, {} ulps, on",
            worst.got_decimal,
            worst.exact,
            short(worst.ulp)
        )
    }

    /// The input as hex floats, of each row the first `most` values.
    pub fn input_in_hex(&self, most: usize) -> String {
        self.input(most, &str::to_owned)
    }

    /// The same in decimals: short ones, which need not be exactly the values.
    pub fn input_in_decimals(&self, most: usize) -> String {
        self.input(most, &|word| decimal(word, self.finding.dtype))
    }

    fn input(&self, most: usize, write: &dyn Fn(&str) -> String) -> String {
        let row = |words: &[String]| {
            let more = if words.len() > most { ", …" } else { "" };
            let shown: Vec<String> = words.iter().take(most).map(|word| write(word)).collect();
            format!("[{}{more}]", shown.join(", "))
        };
        let written = |written: &Written| match written {
            Written::Index(index) => index.to_string(),
            Written::Number(text) => write(text),
            Written::Row(words) => row(words),
            Written::Indices(classes) => format!("[{}]", classes_text(classes)),
        };
        let others = self.finding.others.0.iter().map(|(name, value)| format!(" {name}={}", written(value)));
        row(&self.finding.logits) + &others.collect::<String>()
    }
}

/// A value or a run `value*count` of results, in decimal.
pub(super) fn decimal(word: &str, dtype: Dtype) -> String {
    let (value, times) = word.split_once('*').map_or((word, None), |(value, times)| (value, Some(times)));
    match (text::parse(value, dtype), times) {
        (Ok(x), None) => text::decimal(x, dtype),
        (Ok(x), Some(times)) => format!("{} × {times}", text::decimal(x, dtype)),
        (Err(_), _) => word.to_owned(),
    }
}

/// The replay command of a finding where it may be shown: it is one of ours, has at most so many characters, and nothing in it hides
/// or moves anything.
pub(super) fn shown_command(replay: &str, longest: usize) -> Option<&str> {
    (replay.starts_with("logitfuzz ") && outside::line(replay, longest) == replay).then_some(replay)
}

/// The input of a case in decimals: `[1000, 0], target 1`. Of a row that takes more than `longest` bytes, what fits into them.
pub(crate) fn input_in_decimals(case: &Case, longest: usize) -> String {
    let mut logits = values_text(case.logits(), |z| text::decimal(z, case.dtype()));
    if logits.len() > longest {
        let cut = (0..=longest).rev().find(|&cut| logits.is_char_boundary(cut)).unwrap_or(0);
        logits.truncate(cut);
        logits += &format!("... ({} logits)", case.logits().len());
    }
    format!("[{logits}]{}", others_in_decimals(case))
}

/// What the op takes besides the logits: `, target 1, label smoothing 0.1`, `, cotangent [1, 0]`; empty where that is nothing.
fn others_in_decimals(case: &Case) -> String {
    let decimal = |x: f64| text::decimal(x, case.dtype());
    let shown = |value: &Value| match value {
        Value::Index(index) => index.to_string(),
        Value::Number(x) => decimal(*x),
        Value::Row(values) => format!("[{}]", values_text(values, decimal)),
        Value::Indices(classes) => format!("[{}]", classes_text(classes)),
    };
    case.others().map(|(input, value)| format!(", {} {}", input.name.replace('_', " "), shown(value))).collect()
}

/// What a verdict means.
pub const fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "as good as the textbook algorithm on this input, or exactly the special value that is due",
        Verdict::Undecided => "the oracle reached its precision cap: neither passed nor failed",
        Verdict::Inconsistent => "the same kind of non-finite row is answered differently at another length or place",
        Verdict::Relation => "something that must hold between outputs does not, such as probabilities that sum to 1",
        Verdict::Inaccurate => "the error is larger than the textbook algorithm could make on this input",
        Verdict::Sign => "the wrong sign, by more than the bound",
        Verdict::Range => "outside what the op can return, such as a probability above 1 or a negative loss",
        Verdict::Zero => "0 where there is a value that the dtype can hold",
        Verdict::Inf => "infinite where the value is finite",
        Verdict::Nan => "NaN where there is a value",
        Verdict::Swallowed => "a number where NaN is due, or the wrong number where an infinity is due",
        Verdict::Contaminated => {
            "the row passes alone, and fails in a batch: beside other rows, with padding between them, or in place"
        }
        Verdict::Flaky => {
            "the same call had two answers, or its answer depends on what lay in the output or beside the row before"
        }
        Verdict::Unwritten => "an output that was never written",
        Verdict::FenvChanged => "the kernel left rounding mode, flush-to-zero or exception masks changed",
        Verdict::InputChanged => "the kernel changed its input",
        Verdict::OutOfBounds => "a write outside the output, or a read or a write outside every buffer",
        Verdict::Panic => "the kernel panicked",
        Verdict::Hang => "the kernel did not answer in time",
        Verdict::Crash => "the kernel's process died",
    }
}

/// What a grade means.
pub(crate) const fn meaning_of_grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Tight => "within the smaller bound that a kernel earns by using log1p",
        Grade::Textbook => "within the bound of the textbook algorithm: subtract the maximum, then exp, sum, log",
        Grade::LongSum => {
            "within the bound only because the row is so long that a plain sum may lose half of its digits"
        }
    }
}
