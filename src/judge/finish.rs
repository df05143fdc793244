//! What is forgiven to the outputs of a case, and how the bound of an output is made of the errors of the algorithm: these, half an ulp of the
//! output, and what covers roundings of the bound itself. Which errors an algorithm has is said in `bound`, and of means over rows in `rows`.

use super::error::RESOLUTION;
use crate::case::Case;
use crate::dtype::Format;
use crate::kernel::Claims;
use crate::magnitude::{Magnitude, Size, inflation};

/// The error that is forgiven to each output, in absolute terms. On ordinary rows of a dtype narrower than f64 it is computed in
/// plain `f64`, from numbers with a radius, and every machine computes the same bits; elsewhere in [`Magnitude`].
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds<S = Magnitude> {
    /// For each output the bound of the textbook algorithm: beyond it a result is worse than the textbook. Of a kernel that claims
    /// to be tight, the tight bound.
    pub textbook: Vec<S>,
    /// For each output the bound that a kernel earns by using log1p, for the ops that have one.
    pub tight: Option<Vec<S>>,
    /// For each output the textbook bound of a sum that keeps half of its digits, where the row is so long that it matters.
    pub half_digits: Option<Vec<S>>,
    /// Whether an overflow is forgiven that the textbook has although the value is finite: +inf for a loss where a gap, or the
    /// sum of the gaps, overflows the accumulator; anything not finite for a product whose cotangent or tangent is so large
    /// that its sums or differences may overflow.
    pub overflow_is_forgiven: bool,
    /// How far the sum of the probabilities may be from 1, and that of the gradient from 0.
    pub sum: f64,
}

/// The bounds of one output; see [`Bounds`].
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputBounds {
    pub textbook: Magnitude,
    pub tight: Option<Magnitude>,
    pub half_digits: Option<Magnitude>,
    pub overflow_is_forgiven: bool,
}

impl<S: Copy + Into<Magnitude>> Bounds<S> {
    /// How much larger a bound is than that of other claims, at most; infinite where a sum is forgiven more.
    pub(crate) fn gain_over(&self, other: &Self) -> f64 {
        if self.sum > other.sum {
            return f64::INFINITY;
        }
        let gain = |(&with, &without): (&S, &S)| (with.into() / without.into()).to_f64();
        self.textbook.iter().zip(&other.textbook).map(gain).fold(1.0, f64::max)
    }

    /// The bounds of output `j`.
    pub(super) fn at(&self, j: usize) -> OutputBounds {
        let of = |bounds: &Option<Vec<S>>| bounds.as_ref().map(|bounds| bounds[j].into());
        OutputBounds {
            textbook: self.textbook[j].into(),
            tight: of(&self.tight),
            half_digits: of(&self.half_digits),
            overflow_is_forgiven: self.overflow_is_forgiven,
        }
    }
}

/// The least number of an accumulator that is not lost to underflow, under these claims.
pub(super) fn least<S: Size>(claims: &Claims, accumulator: Format) -> S {
    S::of(if claims.flush_to_zero { accumulator.least_normal() } else { accumulator.least() })
}

/// How the bound of an output is made of the errors of the algorithm.
pub(super) struct Finish<'a> {
    case: &'a Case,
    /// What covers the errors of second order.
    second_order: f64,
    /// What covers the resolution of errors, and the rounding of the bound's own operations.
    slack: f64,
}

impl<'a> Finish<'a> {
    /// For a bound that is computed in so many operations.
    pub fn new(case: &'a Case, second_order: f64, operations: usize) -> Self {
        // An error is told to half of its resolution, and before that by the oracle to 2^-SHOWN_BITS ulp, which is less; the bound is half
        // an ulp at least, of a binade no lower than one below.
        let told = 1.0 + 4.0 * RESOLUTION;
        Self { case, second_order, slack: told * inflation(operations) }
    }

    /// The bound of an output of this size; `error` is the error of the algorithm where the value has this size.
    pub fn bound<S: Size>(&self, size: S, error: impl Fn(S) -> S) -> S {
        let error = error(size) * S::of(self.second_order);
        if error.is_zero() && size.is_zero() {
            return S::ZERO;
        }
        // Half an ulp where the computed value may lie, which is the next binade for a value just below a power of two.
        let half_ulp = (size + error).half_ulp(self.case.output_format());
        (error + half_ulp) * S::of(self.slack)
    }
}
