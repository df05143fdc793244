//! A case: one input of one op in one dtype. Everything that makes, runs, judges or reports inputs passes this type.
//!
//! A case is valid by construction: values are of its dtype, the target is a class, the smoothing lies in [0, 1]. It has a
//! text form for people (its `Display`, [`Case::parse`]) and a byte form for fuzzers ([`Case::encode`],
//! [`Case::decode`]).

use crate::dtype::{Dtype, text};
use crate::error::{Error, Result};
use crate::fenv::Standard;
use crate::op::{Op, Takes};
use crate::outside::{self, LONGEST_QUOTE};
use std::fmt;
use std::sync::Arc;

mod codec;

pub use codec::MAX_DECODED_LOGITS;
pub(crate) use codec::largest_direction;

/// One input of one op in one dtype. Cloning is cheap in the logits, which cases of several ops share.
#[derive(Clone, PartialEq)]
pub struct Case {
    op: Op,
    dtype: Dtype,
    logits: Arc<[f64]>,
    extra: Extra,
}

/// What a case has besides the logits, as its op asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Extra {
    /// Nothing.
    None,
    /// The true class, and the label smoothing in [0, 1].
    Target {
        /// The true class, an index into the logits.
        class: usize,
        /// The mass that is spread evenly over all classes.
        label_smoothing: f64,
    },
    /// A cotangent or a tangent: one finite value per logit.
    Direction(Arc<[f64]>),
}

impl Case {
    /// A case of `op` in `dtype`.
    ///
    /// # Errors
    /// A value that is not of the dtype, an extra that is not the op's, a target that is no class, a smoothing outside
    /// [0, 1], a cotangent or tangent of another length or with a value that is not finite.
    pub fn new(op: Op, dtype: Dtype, logits: impl Into<Arc<[f64]>>, extra: Extra) -> Result<Self> {
        let logits = logits.into();
        let n = logits.len();
        if let Some(index) = logits.iter().position(|&z| !dtype.holds(z)) {
            return Err(Error::usage(format!("logit {index} is {}, which is no {dtype} value", logits[index])));
        }
        match (&extra, op.takes()) {
            (Extra::None, Takes::Logits) => {}
            (&Extra::Target { class, label_smoothing }, Takes::Target) => {
                if class >= n {
                    return Err(Error::usage(format!(
                        "target {class} is no class of {n} logits; the classes are counted from 0"
                    )));
                }
                if !(0.0..=1.0).contains(&label_smoothing) || !dtype.holds(label_smoothing) {
                    return Err(Error::usage(format!(
                        "label smoothing {label_smoothing} is no {dtype} value in [0, 1]"
                    )));
                }
            }
            (Extra::Direction(direction), Takes::Cotangent | Takes::Tangent) => {
                let name = direction_name(op);
                if direction.len() != n {
                    return Err(Error::usage(format!(
                        "the {name} has {} values and there are {n} logits",
                        direction.len()
                    )));
                }
                if let Some(index) = direction.iter().position(|&g| !g.is_finite() || !dtype.holds(g)) {
                    return Err(Error::usage(format!(
                        "value {index} of the {name} is {}, which is no finite {dtype} value",
                        direction[index]
                    )));
                }
            }
            _ => return Err(Error::usage(format!("{op} takes {}", takes_text(op)))),
        }
        Ok(Self { op, dtype, logits, extra })
    }

    /// The op.
    pub fn op(&self) -> Op {
        self.op
    }

    /// The dtype of the logits, of everything else the op takes, and of the outputs.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The logits, each exactly a value of the dtype.
    pub fn logits(&self) -> &[f64] {
        &self.logits
    }

    /// The logits, shared.
    pub(crate) fn shared_logits(&self) -> &Arc<[f64]> {
        &self.logits
    }

    /// What the case has besides the logits.
    pub fn extra(&self) -> &Extra {
        &self.extra
    }

    /// The true class and the label smoothing, for the ops that take them.
    pub fn target(&self) -> Option<(usize, f64)> {
        match self.extra {
            Extra::Target { class, label_smoothing } => Some((class, label_smoothing)),
            _ => None,
        }
    }

    /// The cotangent or tangent, for the ops that take one.
    pub fn direction(&self) -> Option<&[f64]> {
        match &self.extra {
            Extra::Direction(direction) => Some(direction),
            _ => None,
        }
    }

    /// Reads the text form: `softmax f32 [1000, 0]`, `cross_entropy f16 [0x1p+3, -inf, 0*30] target=1 label_smoothing=0.1`,
    /// `softmax_vjp f64 [1, 2] cotangent=[1, 0]`. `value*count` stands for a run. Numbers are read as [`text::parse`] does:
    /// decimals or hex floats, rounded once to the dtype.
    ///
    /// # Errors
    /// What is wrong with the text, or what [`Case::new`] refuses.
    pub fn parse(input: &str) -> Result<Self> {
        let _standard = Standard::enter();
        let shape = || {
            Error::usage(
                "a case reads `OP DTYPE [LOGIT, ...]`, then target=, label_smoothing=, cotangent=[...] or tangent=[...] as the op takes",
            )
        };
        let (op, rest) = input.trim().split_once(char::is_whitespace).ok_or_else(shape)?;
        let (dtype, rest) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(shape)?;
        let (op, dtype): (Op, Dtype) = (op.parse()?, dtype.parse()?);
        let (logits, mut rest) = bracketed(rest.trim_start()).ok_or_else(shape)?;
        let logits = parse_values(logits, dtype)?;
        let (mut target, mut smoothing, mut direction) = (None, None, None);
        while !rest.trim_start().is_empty() {
            let (key, value) = rest.trim_start().split_once('=').ok_or_else(shape)?;
            let given_before = match key {
                "target" | "label_smoothing" => {
                    let (word, after) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
                    rest = after;
                    if key == "target" {
                        let class = word.parse().map_err(|_| {
                            Error::usage(format!("target `{word}` is no class; write an index counted from 0"))
                        })?;
                        target.replace(class).is_some()
                    } else {
                        smoothing.replace(text::parse(word, dtype)?).is_some()
                    }
                }
                "cotangent" | "tangent" if op.takes_direction() && key == direction_name(op) => {
                    let (values, after) = bracketed(value).ok_or_else(shape)?;
                    rest = after;
                    direction.replace(parse_values(values, dtype)?).is_some()
                }
                _ => return Err(Error::usage(format!("{op} does not take `{key}`; it takes {}", takes_text(op)))),
            };
            if given_before {
                return Err(Error::usage(format!("`{key}` is given twice")));
            }
        }
        Self::from_parts(op, dtype, logits, target, smoothing, direction)
    }

    /// A case from parts that may or may not be given, as on the command line and in files.
    ///
    /// # Errors
    /// A part that the op needs and is not given or the other way round, or what [`Case::new`] refuses.
    pub fn from_parts(
        op: Op,
        dtype: Dtype,
        logits: impl Into<Arc<[f64]>>,
        target: Option<usize>,
        label_smoothing: Option<f64>,
        direction: Option<Vec<f64>>,
    ) -> Result<Self> {
        let extra = match (op.takes(), target, label_smoothing, direction) {
            (Takes::Logits, None, None, None) => Extra::None,
            (Takes::Target, Some(class), smoothing, None) => {
                Extra::Target { class, label_smoothing: smoothing.unwrap_or(0.0) }
            }
            (Takes::Cotangent | Takes::Tangent, None, None, Some(direction)) => Extra::Direction(direction.into()),
            _ => return Err(Error::usage(format!("{op} takes {}", takes_text(op)))),
        };
        Self::new(op, dtype, logits, extra)
    }
}

impl fmt::Display for Case {
    /// The text form that [`Case::parse`] reads, with runs; values as hex floats, or with `{:#}` as decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_decimal = f.alternate();
        let show = |x: f64| if is_decimal { text::decimal(x, self.dtype) } else { text::hex(x) };
        write!(f, "{} {} [{}]", self.op, self.dtype, values_text(&self.logits, show))?;
        match &self.extra {
            Extra::None => Ok(()),
            Extra::Target { class, label_smoothing } => {
                write!(f, " target={class} label_smoothing={}", show(*label_smoothing))
            }
            Extra::Direction(direction) => {
                write!(f, " {}=[{}]", direction_name(self.op), values_text(direction, show))
            }
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({self})")
    }
}

/// `cotangent` or `tangent`, as the op calls it.
pub(crate) fn direction_name(op: Op) -> &'static str {
    if op.takes() == Takes::Tangent { "tangent" } else { "cotangent" }
}

fn takes_text(op: Op) -> &'static str {
    match op.takes() {
        Takes::Logits => "logits and nothing else",
        Takes::Target => "logits, a target and optionally a label smoothing",
        Takes::Cotangent => "logits and a cotangent",
        Takes::Tangent => "logits and a tangent",
    }
}

/// Splits `[inside] rest`.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('[')?.split_once(']')
}

/// The most values of a row, of a cotangent or of a tangent in text: 2^26.
const MOST_VALUES: usize = 1 << 26;

/// Reads values separated by commas or white space; `value*count` is a run.
///
/// # Errors
/// A word that is no number or no run, or more than 2^26 values in all.
pub fn parse_values(words: &str, dtype: Dtype) -> Result<Vec<f64>> {
    let words = || words.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()).map(run_of);
    // Counted before anything is made of them: a short text may stand for a row that no memory holds.
    let mut all = 0;
    for run in words() {
        all += run?.1;
        if all > MOST_VALUES {
            return Err(Error::usage("more than 2^26 values; a row in text has at most so many, runs counted in full"));
        }
    }
    let mut values = Vec::with_capacity(all);
    for run in words() {
        let (value, count) = run?;
        values.resize(values.len() + count, text::parse(value, dtype)?);
    }
    Ok(values)
}

/// The value and the count of a word; the count of a word that is no run is 1.
fn run_of(word: &str) -> Result<(&str, usize)> {
    let Some((value, count)) = word.split_once('*') else { return Ok((word, 1)) };
    let count = count.parse().ok().filter(|count| (1..=MOST_VALUES).contains(count));
    let count = count.ok_or_else(|| {
        Error::usage(format!("`{}`: the count of a run is a number from 1 to 2^26", outside::line(word, LONGEST_QUOTE)))
    })?;
    Ok((value, count))
}

/// Values as text, runs of three or more equal values (bit for bit) as `value*count`.
pub(crate) fn values_text(values: &[f64], mut show: impl FnMut(f64) -> String) -> String {
    let mut words = Vec::new();
    for run in values.chunk_by(|a, b| a.to_bits() == b.to_bits()) {
        let word = show(run[0]);
        if run.len() < 3 {
            words.extend(std::iter::repeat_n(word, run.len()));
        } else {
            words.push(format!("{word}*{}", run.len()));
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in [
            "softmax f32 [0x1.f4p+9, 0x0p+0]",
            "logsumexp f64 []",
            "log_softmax f16 [nan, -inf, inf, -0x0p+0*5]",
            "cross_entropy bf16 [0x1p+3, -inf] target=1 label_smoothing=0x1p-3",
            "softmax_vjp f64 [0x1p+0, 0x1p+1] cotangent=[0x1p+0, 0x0p+0]",
            "log_softmax_jvp f32 [0x1p+0*70000] tangent=[0x1p+0*70000]",
        ] {
            let case = Case::parse(text).unwrap();
            assert_eq!(case.to_string(), text);
        }
        let loose = Case::parse("  cross_entropy   f16 [0.1 ,2, inf]  label_smoothing=0.1 target=2 ").unwrap();
        assert_eq!(
            loose.to_string(),
            "cross_entropy f16 [0x1.998p-4, 0x1p+1, inf] target=2 label_smoothing=0x1.998p-4"
        );
    }

    #[test]
    fn bad_text_says_what_is_wrong() {
        for (text, part) in [
            ("softmax f32", "a case reads"),
            ("softmin f32 [1]", "unknown op"),
            ("softmax f8 [1]", "unknown dtype"),
            ("softmax f32 1 2", "a case reads"),
            ("softmax f32 [1, x]", "`x` is not a number"),
            ("softmax f32 [1*0]", "count of a run"),
            ("softmax f32 [0*67108864, 1]", "more than 2^26 values"),
            ("softmax_vjp f32 [1] cotangent=[0*33554433, 1*33554433]", "more than 2^26 values"),
            ("softmax f32 [1] target=0", "softmax takes logits and nothing else"),
            ("softmax f32 [1] cotangent=[1]", "does not take `cotangent`"),
            ("cross_entropy f32 [1]", "takes logits, a target"),
            ("cross_entropy f32 [] target=0", "no class of 0 logits"),
            ("cross_entropy f32 [1] target=nan", "is no class"),
            ("cross_entropy f32 [1] target=0 target=0", "twice"),
            ("cross_entropy f32 [1] target=0 label_smoothing=1.5", "in [0, 1]"),
            ("cross_entropy f32 [1] target=0 label_smoothing=nan", "in [0, 1]"),
            ("softmax_vjp f32 [1] cotangent=[1, 2]", "has 2 values and there are 1"),
            ("softmax_vjp f32 [1] tangent=[1]", "does not take `tangent`"),
            ("softmax_jvp f32 [1] tangent=[inf]", "no finite f32"),
        ] {
            let error = Case::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "`{text}`: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn values_must_be_of_the_dtype() {
        assert!(Case::new(Op::Softmax, Dtype::F16, vec![0.1], Extra::None).is_err());
        assert!(Case::new(Op::Softmax, Dtype::F16, vec![f64::NAN, f64::INFINITY, -0.0], Extra::None).is_ok());
    }
}
