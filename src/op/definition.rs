//! What is said of an op in its file: its name, what it takes and returns, its formula, its bound, what is due of special values.
//!
//! There are three kinds. A *row op* makes each output from the whole row. An *elementwise op* makes each from the logit at its
//! place, so every element has a truth, a bound and special values of its own. A *mean* is that of a row op over several rows. Nothing
//! here has a default: what a new op forgets to say does not compile.

use super::Op;
use super::inputs::{Element, Inputs};
use super::signature::{Input, Outputs};
use super::terms::{ElementTerms, Known, OverflowTerms, RowTerms};
use super::tier::{ElementTier, RowTier};
use crate::magnitude::Size;

/// What is said of every op. `z` are the logits, `p = softmax(z)`, `n` their number.
pub(crate) trait Definition: 'static {
    /// The name used everywhere: the command, files, symbols of C kernels.
    const NAME: &'static str;
    /// The byte that stands for the op in the byte form of a case. It never changes, so that a corpus keeps its meaning.
    const CODE: u8;
    /// The formula, for people.
    const FORMULA: &'static str;
    /// The inputs, the row first; in the order of every form of a case.
    const INPUTS: &'static [Input];
    /// What it returns.
    const OUTPUTS: Outputs;
    /// The least and the largest number that an output can be.
    const RANGE: (f64, f64);
}

/// An op whose outputs depend on the whole row.
pub(crate) trait RowDefinition: Definition {
    /// What a common shift of all logits does to the outputs.
    const SHIFT: Shift;
    /// Whether a larger logit never has a smaller output.
    const IS_MONOTONE: bool;
    /// Whether permuting the logits permutes the outputs, up to rounding; asked of kernels that treat all elements alike.
    const IS_EQUIVARIANT: bool;
    /// What the outputs sum to, where that is known.
    const SUM: Option<Sum>;
    /// Whether `log S` is a term of it, so that log1p saves digits where one logit dominates.
    const HAS_LOG_TOTAL: bool;
    /// Whether it has a tight bound: a careful kernel keeps digits that the textbook loses.
    const HAS_TIGHT: bool;
    /// Whether an output is the logarithm of a probability, or such logarithms added up.
    const IS_LOG_PROBABILITY: bool;
    /// Whether it is a gradient or a product: where no class has weight, zeros are an answer.
    const IS_DERIVATIVE: bool;
    /// Whether the limit is the only answer at infinite logits, whatever the preset of special values: every framework gives it.
    const LIMIT_ONLY: bool;
    /// Whether the bound uses [`RowTerms::deviation`], which costs the oracle one number for each logit.
    const USES_DEVIATIONS: bool;
    /// What has to be solved for a direction that makes an output cancel.
    const CANCELS: Cancels;

    /// Output `j` of a row that has a finite logit and none that is NaN or +inf (or, in the tier of limits, of one that has).
    fn output<T: RowTier>(tier: &T, j: usize) -> T::Number;

    /// The error of output `j` of the textbook algorithm before it is rounded to the output dtype, where the exact value has this
    /// size. The formulas are derived in `judge::bound`.
    fn error<S: Size>(terms: &RowTerms<S>, j: usize, size: S) -> S;

    /// Whether the textbook overflows on an ordinary row although the value is finite, besides the sums of a direction: then +inf is
    /// forgiven. `overflows` says whether a number overflows the accumulator when it is rounded to it.
    fn overflows(terms: &OverflowTerms, overflows: &dyn Fn(f64) -> bool) -> bool;

    /// What output `j` can be where several logits are +inf and it has no limit: the least and the largest number.
    fn undetermined(inputs: &Inputs, j: usize) -> (f64, f64);
}

/// An op whose outputs depend on one element each.
pub(crate) trait ElementDefinition: Definition {
    /// The least and the largest logit that has a value.
    const DOMAIN: (f64, f64);
    /// Arguments, of either sign, at which implementations change their way or stop: rows of thresholds have elements beside them, and
    /// beside the ends of exp on either side of 0. None where the thresholds of rows, mirrored into the domain, are those of the op as
    /// well.
    const CUTS: &'static [f64];
    /// Whether the tight bound is another than that of the textbook.
    const HAS_TIGHT: bool;

    /// Whether the other row is one of logits that has to be below the row, so that inputs are drawn there.
    const DESCENDS: bool;

    /// Whether a number or an infinity is due of an element; NaN is due where not.
    fn has_value(element: Element) -> bool;

    /// Whether frameworks return NaN of an element whose value is due otherwise, as where 0 and infinity are multiplied.
    fn may_be_nan(element: Element) -> bool;

    /// The output of an element that has a value.
    fn output<T: ElementTier>(tier: &T, element: Element) -> T::Number;

    /// The exponential that the bound needs is that of the first number less the second, which is not smaller.
    fn difference(element: Element) -> (f64, f64);

    /// The error of the textbook algorithm, as [`RowDefinition::error`], of an element that is finite and has a finite value.
    fn error<S: Size>(terms: &ElementTerms<S>, element: Element, known: Known<S>) -> S;
}

/// An op that is the mean of a row op over the rows of a matrix that are not ignored: its output is the mean of theirs, or, of an op with
/// an output for each logit, each row's outputs over the number of these rows, and exactly 0 in an ignored row.
pub(crate) trait MeanDefinition: Definition {
    /// The row op: it takes a class, and without a label smoothing, if it takes one.
    type Of: RowDefinition;
    /// The same as a handle.
    const OF: Op;
}

/// What a common shift of the logits does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shift {
    /// Nothing.
    Invariant,
    /// It shifts the output as much.
    Follows,
    /// Nothing, but the textbook rounds what is shifted, so that no relation follows.
    Rounded,
}

/// What the outputs of a row sum to, and how often the textbook rounds on the way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sum {
    /// The sum: 1 of probabilities, 0 of a gradient.
    pub value: f64,
    /// Roundings in the accumulator besides those of the sum of the weights.
    pub roundings: f64,
    /// Roundings to the dtype of the outputs, where that is not the accumulator.
    pub stored: f64,
}

/// Against what the output of a product cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancels {
    /// The mean `sum p_i g_i`, or there is no direction.
    Mean,
    /// The share of the sum, `p_j sum g_i`.
    Share,
}
