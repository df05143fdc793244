//! A case: one input of one op in one dtype. Everything that makes, runs, judges or reports inputs passes this type.
//!
//! A case is valid by construction: values are of its dtype, the target is a class, the smoothing lies in [0, 1], a distribution
//! sums to 1. It has a text form for people (its `Display`, [`Case::parse`]) and a byte form for fuzzers ([`Case::encode`],
//! [`Case::decode`]).

use crate::dtype::{Dtype, Format, text};
use crate::error::{Error, Result};
use crate::fenv::Standard;
#[cfg(feature = "oracle")]
use crate::op::inputs::Element;
use crate::op::inputs::Inputs;
use crate::op::signature::{Extent, Role};
use crate::op::{Input, Op};
use crate::outside::{self, LONGEST_QUOTE};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

mod codec;
pub(crate) mod distribution;
mod draft;
pub(crate) mod rows;

pub use codec::MAX_DECODED_LOGITS;
#[cfg(feature = "oracle")]
pub(crate) use codec::{largest_direction, widest_direction};
pub(crate) use draft::{Draft, DraftValue};

/// One input of one op in one dtype. Cloning is cheap in the logits, which cases of several ops share.
#[derive(Clone, PartialEq)]
pub struct Case {
    op: Op,
    dtype: Dtype,
    logits: Arc<[f64]>,
    /// What the op takes besides, in the order of its signature.
    others: Vec<Value>,
    /// Of a mean over rows the case that each row is by itself, and none of an ignored one; of any other op nothing.
    rows: Arc<[Option<Case>]>,
}

/// What a case has for an input besides the logits.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A value for each logit: a cotangent, a tangent, a distribution.
    Row(Arc<[f64]>),
    /// One number: a label smoothing.
    Number(f64),
    /// An index into the logits: the true class, counted from 0.
    Index(usize),
    /// The true class of each of several rows, counted from 0, and none of a row that is ignored.
    Indices(Arc<[Option<usize>]>),
}

impl Value {
    fn extent(&self) -> Extent {
        match self {
            Value::Row(_) => Extent::Row,
            Value::Number(_) => Extent::Number,
            Value::Index(_) => Extent::Index,
            Value::Indices(_) => Extent::Indices,
        }
    }
}

impl From<Vec<f64>> for Value {
    fn from(values: Vec<f64>) -> Self {
        Value::Row(values.into())
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Value::Number(x)
    }
}

impl From<Vec<Option<usize>>> for Value {
    fn from(classes: Vec<Option<usize>>) -> Self {
        Value::Indices(classes.into())
    }
}

impl From<usize> for Value {
    fn from(index: usize) -> Self {
        Value::Index(index)
    }
}

impl Case {
    /// A case of `op` in `dtype`. `others` is what the op takes besides the logits, in the order of [`Op::others`]: nothing, a true
    /// class and a label smoothing, a cotangent, a tangent, labels, a distribution, or the classes of several rows.
    ///
    /// # Errors
    /// A value that is not of the dtype, others that are not the op's, a target that is no class, a smoothing or a label outside [0, 1],
    /// another row than the logits of another length, a cotangent or tangent with a value that is not finite, a scale that is not finite,
    /// a distribution with a mass outside [0, 1] or with masses whose exact sum is not 1, logits that are no so many rows of one length.
    pub fn new(op: Op, dtype: Dtype, logits: impl Into<Arc<[f64]>>, others: impl Into<Vec<Value>>) -> Result<Self> {
        let (logits, others) = (logits.into(), others.into());
        if let Some(index) = logits.iter().position(|&z| !dtype.holds(z)) {
            return Err(Error::usage(format!("logit {index} is {}, which is no {dtype} value", logits[index])));
        }
        let fits = |(input, value): (&Input, &Value)| input.role.extent() == value.extent();
        if others.len() != op.others().len() || !op.others().iter().zip(&others).all(fits) {
            return Err(takes(op));
        }
        for (input, value) in op.others().iter().zip(&others) {
            check(*input, value, dtype, logits.len())?;
        }
        Ok(Self::assembled(op, dtype, logits, others))
    }

    /// A case of inputs that are known to fit.
    fn assembled(op: Op, dtype: Dtype, logits: Arc<[f64]>, others: Vec<Value>) -> Self {
        let rows = op.mean_of().map_or_else(Vec::new, |of| rows::of(of, dtype, &logits, &others));
        Self { op, dtype, logits, others, rows: rows.into() }
    }

    /// A case whose inputs besides the logits are made by their roles.
    ///
    /// # Errors
    /// What [`Case::new`] refuses.
    pub fn with_others(
        op: Op,
        dtype: Dtype,
        logits: impl Into<Arc<[f64]>>,
        mut other: impl FnMut(Role) -> Value,
    ) -> Result<Self> {
        let others: Vec<Value> = op.others().iter().map(|input| other(input.role)).collect();
        Self::new(op, dtype, logits, others)
    }

    /// The case of these logits, with whatever else is made of what this one has. It must be what [`Case::new`] takes.
    #[cfg(feature = "oracle")]
    pub(crate) fn derived(&self, logits: Arc<[f64]>, other: impl FnMut(&Value) -> Value) -> Self {
        let case = Self::assembled(self.op, self.dtype, logits, self.others.iter().map(other).collect());
        debug_assert!(Self::new(case.op, case.dtype, case.logits.clone(), case.others.clone()).is_ok(), "{case}");
        case
    }

    /// A case from inputs by name that may or may not be given, as in texts and in files. A label smoothing that is not given is 0.
    ///
    /// # Errors
    /// An input that the op needs and is not given or the other way round, or what [`Case::new`] refuses.
    pub fn from_named(
        op: Op,
        dtype: Dtype,
        logits: impl Into<Arc<[f64]>>,
        given: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Self> {
        let mut given: Vec<(&str, Value)> = given.into_iter().collect();
        let mut others = Vec::new();
        for input in op.others() {
            let place = given.iter().position(|(name, _)| *name == input.name);
            let value = place.map(|place| given.swap_remove(place).1).or(input.role.default().map(Value::Number));
            others.push(value.ok_or_else(|| takes(op))?);
        }
        if given.is_empty() { Self::new(op, dtype, logits, others) } else { Err(takes(op)) }
    }

    /// The op.
    pub fn op(&self) -> Op {
        self.op
    }

    /// The dtype of the logits, of everything else the op takes, and of the outputs.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The format of the outputs.
    pub(crate) fn output_format(&self) -> Format {
        self.dtype.output().format()
    }

    /// The logits, each exactly a value of the dtype.
    pub fn logits(&self) -> &[f64] {
        &self.logits
    }

    /// The logits, shared.
    pub(crate) fn shared_logits(&self) -> &Arc<[f64]> {
        &self.logits
    }

    /// What the case has besides the logits, in the order of [`Op::others`].
    pub fn others(&self) -> impl Iterator<Item = (Input, &Value)> {
        self.op.others().iter().copied().zip(&self.others)
    }

    /// Of a mean over rows the case that each row is by itself, and none of a row that is ignored; nothing of another op.
    pub(crate) fn rows(&self) -> &[Option<Case>] {
        &self.rows
    }

    /// The true class of each row, and none of one that is ignored, for the ops that take several rows.
    pub fn targets(&self) -> Option<&[Option<usize>]> {
        self.others.iter().find_map(|value| if let Value::Indices(classes) = value { Some(&**classes) } else { None })
    }

    /// The number of logits of a row: of each row, where the op takes several.
    pub fn row_len(&self) -> usize {
        self.targets().map_or(self.logits.len(), |targets| self.logits.len() / targets.len().max(1))
    }

    /// The true class and the label smoothing, for the ops that take them.
    pub fn target(&self) -> Option<(usize, f64)> {
        let class =
            self.others.iter().find_map(|value| if let Value::Index(class) = value { Some(*class) } else { None });
        let number = self.others.iter().find_map(|value| if let Value::Number(x) = value { Some(*x) } else { None });
        class.map(|class| (class, number.unwrap_or(0.0)))
    }

    /// The cotangent or tangent, for the ops that take one.
    pub fn direction(&self) -> Option<&[f64]> {
        self.row_of(Role::Direction)
    }

    /// The logits of the distribution that is aimed at, for the row ops that take them.
    pub fn target_logits(&self) -> Option<&[f64]> {
        self.shared_target_logits().map(|row| &**row)
    }

    /// The same, shared.
    pub(crate) fn shared_target_logits(&self) -> Option<&Arc<[f64]>> {
        self.op.other_row().filter(|input| *input == Input::TARGET_LOGITS)?;
        self.others.iter().find_map(|value| if let Value::Row(values) = value { Some(values) } else { None })
    }

    /// The values that the probabilities weigh, for the ops that take them.
    pub fn values(&self) -> Option<&[f64]> {
        self.row_of(Role::Values)
    }

    /// What the probabilities are multiplied by and added up: the cotangent, the tangent or the values; empty where the op takes none.
    pub(crate) fn weighed(&self) -> &[f64] {
        self.direction().or_else(|| self.values()).unwrap_or(&[])
    }

    /// The same as far as a class with weight has it: 0 in the place of a value that is not finite, as what is masked may hold.
    #[cfg(feature = "oracle")]
    pub(crate) fn seen(&self) -> Cow<'_, [f64]> {
        let weighed = self.weighed();
        match weighed.iter().all(|x| x.is_finite()) {
            true => weighed.into(),
            false => weighed.iter().map(|&x| if x.is_finite() { x } else { 0.0 }).collect(),
        }
    }

    /// The target distribution, for the ops that take one.
    pub fn distribution(&self) -> Option<&[f64]> {
        self.row_of(Role::Distribution)
    }

    /// What the logits are multiplied by, for the ops that take it.
    pub fn scale(&self) -> Option<f64> {
        let of_scale = |(input, value): (Input, &Value)| match value {
            Value::Number(x) if input.role == Role::Scale => Some(*x),
            _ => None,
        };
        self.others().find_map(of_scale)
    }

    /// The single number that the op takes, a label smoothing or a scale; 0 where it takes none.
    pub(crate) fn number(&self) -> f64 {
        let number = |value: &Value| if let Value::Number(x) = value { Some(*x) } else { None };
        self.others.iter().find_map(number).unwrap_or(0.0)
    }

    /// Logits in the order, and with the special values, of what softmax is taken of: the logits themselves; where there is a scale, as
    /// many of its sign, and of a scale of 0 zeros and, for what is not finite, NaN. The products are these times the size of the scale.
    pub(crate) fn signed_logits(&self) -> Arc<[f64]> {
        match self.scale() {
            Some(0.0) => self.logits.iter().map(|z| if z.is_finite() { 0.0 } else { f64::NAN }).collect(),
            Some(scale) if scale < 0.0 => self.logits.iter().map(|z| -z).collect(),
            _ => self.logits.clone(),
        }
    }

    fn row_of(&self, role: Role) -> Option<&[f64]> {
        self.op.other_row().filter(|input| input.role == role).and_then(|_| self.other_row())
    }

    /// The row that the op takes besides the logits, whatever it is; no op takes two.
    pub(crate) fn other_row(&self) -> Option<&[f64]> {
        self.others.iter().find_map(|value| if let Value::Row(values) = value { Some(&**values) } else { None })
    }

    /// The elements of a case of an elementwise op.
    #[cfg(feature = "oracle")]
    pub(crate) fn elements(&self) -> impl ExactSizeIterator<Item = Element> {
        (0..self.logits.len()).map(|j| self.element(j))
    }

    /// Element `j`.
    #[cfg(feature = "oracle")]
    pub(crate) fn element(&self, j: usize) -> Element {
        Element { logit: self.logits[j], other: self.other_row().map_or(0.0, |row| row[j]) }
    }

    /// Every input as plain numbers, with zeros for those that the op does not take.
    pub(crate) fn inputs(&self) -> Inputs<'_> {
        let (target, smoothing) = self.target().unwrap_or((0, 0.0));
        let direction = self.weighed();
        let distribution = self.distribution().unwrap_or(&[]);
        let scale = self.scale().unwrap_or(1.0);
        let target_logits = self.target_logits().unwrap_or(&[]);
        let (logits, format) = (&*self.logits, self.output_format());
        Inputs { logits, direction, distribution, target_logits, target, smoothing, scale, format }
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
                "a case reads `OP DTYPE [LOGIT, ...]`, then target=, label_smoothing=, cotangent=[...], tangent=[...], label=[...], \
                 distribution=[...], other_logits=[...], values=[...], target_logits=[...], \
                 targets=[...] or scale= as the op takes",
            )
        };
        let (op, rest) = input.trim().split_once(char::is_whitespace).ok_or_else(shape)?;
        let (dtype, rest) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(shape)?;
        let (op, dtype): (Op, Dtype) = (op.parse()?, dtype.parse()?);
        let (logits, mut rest) = bracketed(rest.trim_start()).ok_or_else(shape)?;
        let logits = parse_values(logits, dtype)?;
        let mut given: Vec<(&str, Value)> = Vec::new();
        while !rest.trim_start().is_empty() {
            let (key, value) = rest.trim_start().split_once('=').ok_or_else(shape)?;
            let Some(input) = op.others().iter().find(|input| input.name == key) else {
                let key = outside::line(key, LONGEST_QUOTE);
                return Err(Error::usage(format!("{op} takes {}; it does not take `{key}`", op.takes_in_words())));
            };
            let (value, after) = match input.role.extent() {
                Extent::Row => {
                    let (values, after) = bracketed(value).ok_or_else(shape)?;
                    (Value::from(parse_values(values, dtype)?), after)
                }
                Extent::Indices => {
                    let (classes, after) = bracketed(value).ok_or_else(shape)?;
                    (Value::from(rows::parse_classes(classes)?), after)
                }
                extent => {
                    let (word, after) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
                    let value = match extent {
                        Extent::Index => Value::Index(parse_class(word)?),
                        _ => Value::Number(text::parse(word, dtype)?),
                    };
                    (value, after)
                }
            };
            if given.iter().any(|(name, _)| *name == input.name) {
                return Err(Error::usage(format!("`{key}` is given twice")));
            }
            given.push((input.name, value));
            rest = after;
        }
        Self::from_named(op, dtype, logits, given)
    }
}

/// What is said where others than an op takes are given.
fn takes(op: Op) -> Error {
    Error::usage(format!("{op} takes {}", op.takes_in_words()))
}

/// Refuses a value that an input cannot have, in a case of `n` logits.
fn check(input: Input, value: &Value, dtype: Dtype, n: usize) -> Result<()> {
    let name = input.name.replace('_', " ");
    if let Value::Row(values) = value
        && values.len() != n
    {
        return Err(Error::usage(format!("the {name} must have one value for each logit: {} for {n}", values.len())));
    }
    // A value that is not of the dtype, in a row of any numbers.
    let stranger = |values: &[f64], fits: fn(f64) -> bool| values.iter().position(|&x| !fits(x) || !dtype.holds(x));
    let reason = match (input.role, value) {
        (Role::Class, Value::Index(class)) if *class >= n => {
            format!("target {class} is no class of {n} logits; the classes are counted from 0")
        }
        (Role::Smoothing, Value::Number(x)) if !(0.0..=1.0).contains(x) || !dtype.holds(*x) => {
            format!("{name} {x} is no {dtype} value in [0, 1]")
        }
        (Role::Scale, Value::Number(x)) if !x.is_finite() || !dtype.holds(*x) => {
            format!("{name} {x} is no finite {dtype} value")
        }
        (Role::Direction, Value::Row(values)) => match stranger(values, f64::is_finite) {
            None => return Ok(()),
            Some(index) => {
                format!("value {index} of the {name} is {}, which is no finite {dtype} value", values[index])
            }
        },
        (Role::Label, Value::Row(values)) => match stranger(values, |x| (0.0..=1.0).contains(&x)) {
            None => return Ok(()),
            Some(index) => {
                format!("value {index} of the {name} is {}, which is no {dtype} value in [0, 1]", values[index])
            }
        },
        (Role::Distribution, Value::Row(masses)) => match distribution::fault(dtype, masses) {
            None => return Ok(()),
            Some(fault) => fault,
        },
        (Role::Logits | Role::Values, Value::Row(values)) => match stranger(values, |_| true) {
            None => return Ok(()),
            Some(index) => format!("value {index} of the {name} is {}, which is no {dtype} value", values[index]),
        },
        (Role::Classes, Value::Indices(classes)) => match rows::fault(classes, n) {
            None => return Ok(()),
            Some(fault) => fault,
        },
        // The extents fit, so these are the values that fit as well.
        (
            Role::Class
            | Role::Classes
            | Role::Smoothing
            | Role::Scale
            | Role::Direction
            | Role::Label
            | Role::Distribution
            | Role::Values
            | Role::Logits,
            _,
        ) => {
            return Ok(());
        }
    };
    Err(Error::usage(reason))
}

/// Reads a class.
///
/// # Errors
/// A word that is no index.
pub(crate) fn parse_class(word: &str) -> Result<usize> {
    word.parse().map_err(|_| {
        Error::usage(format!(
            "target `{}` is no class; write a whole number, counted from 0",
            outside::line(word, LONGEST_QUOTE)
        ))
    })
}

impl fmt::Display for Case {
    /// The text form that [`Case::parse`] reads, with runs; values as hex floats, or with `{:#}` as decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_decimal = f.alternate();
        let show = |x: f64| if is_decimal { text::decimal(x, self.dtype) } else { text::hex(x) };
        write!(f, "{} {} [{}]", self.op, self.dtype, values_text(&self.logits, show))?;
        self.others().try_for_each(|(input, value)| {
            write!(f, " {}=", input.name)?;
            match value {
                Value::Index(class) => write!(f, "{class}"),
                Value::Number(x) => f.write_str(&show(*x)),
                Value::Row(values) => write!(f, "[{}]", values_text(values, show)),
                Value::Indices(classes) => write!(f, "[{}]", rows::classes_text(classes)),
            }
        })
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({self})")
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
            "soft_cross_entropy f32 [0x1p+0, -inf, 0x0p+0] distribution=[0x1p-2, 0x0p+0, 0x1.8p-1]",
            "scaled_softmax f16 [0x1p+0, inf] scale=-0x1p-3",
            "attention bf16 [0x1p+0, -inf, 0x0p+0] values=[-0x1p+1, nan, inf]",
            "mean_cross_entropy f32 [0x1p+0, -inf, nan, 0x0p+0] targets=[1, ignored]",
            "mean_cross_entropy_grad f32 [] targets=[]",
            "mean_cross_entropy_grad f16 [0x1p+0*12] targets=[ignored*3, 1, 0, 0]",
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
            ("softmax_vjp f32 [1] cotangent=[1, 2]", "one value for each logit: 2 for 1"),
            ("softmax_vjp f32 [1] tangent=[1]", "does not take `tangent`"),
            ("softmax_jvp f32 [1] tangent=[inf]", "no finite f32"),
            ("mean_cross_entropy f32 [1]", "takes logits and targets"),
            ("mean_cross_entropy f32 [1, 2, 3] targets=[0, 1]", "3 logits are no 2 rows of one length"),
            ("mean_cross_entropy f32 [1] targets=[]", "1 logits are no 0 rows"),
            ("mean_cross_entropy f32 [] targets=[ignored, 0]", "target 0 of row 1 is no class of 0 logits"),
            (
                "mean_cross_entropy f32 [1, 2] targets=[0, -100]",
                "`-100` is no class; write a whole number counted from 0, or `ignored`",
            ),
            ("mean_cross_entropy f32 [1, 2] targets=[0, 1]", "target 1 of row 1 is no class of 1 logits"),
            ("scaled_softmax f32 [1]", "takes logits and a scale"),
            ("attention f32 [1]", "takes logits and values"),
            ("attention f32 [1] values=[1, 2]", "the values must have one value for each logit: 2 for 1"),
            ("scaled_softmax f32 [1] scale=inf", "scale inf is no finite f32 value"),
            ("soft_cross_entropy f32 [1, 2]", "takes logits and a distribution"),
            ("soft_cross_entropy f32 [1, 2] distribution=[1]", "the distribution must have one value for each"),
            ("soft_cross_entropy f32 [1, 2] distribution=[0.5, 0.25]", "sum to less than 1"),
            // Rounded to f32, these are 2e-8 apart from 1.
            ("soft_cross_entropy f32 [1, 2] distribution=[0.1, 0.9]", "must sum to 1 exactly; multiples of 2^-24"),
            ("soft_cross_entropy f32 [1, 2] distribution=[-0.5, 1.5]", "is -0.5, which is no f32 value in [0, 1]"),
            ("soft_cross_entropy_grad f32 [1] distribution=[nan]", "is NaN, which is no f32 value in [0, 1]"),
            ("soft_cross_entropy_grad f32 [] distribution=[]", "give one logit at least"),
        ] {
            let error = Case::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "`{text}`: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn values_must_be_of_the_dtype() {
        assert!(Case::new(Op::SOFTMAX, Dtype::F16, vec![0.1], []).is_err());
        assert!(Case::new(Op::SOFTMAX, Dtype::F16, vec![f64::NAN, f64::INFINITY, -0.0], []).is_ok());
    }
}
