//! The gradient of the soft cross-entropy with respect to the logits, `p_j - q_j`.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct SoftCrossEntropyGrad;

impl Definition for SoftCrossEntropyGrad {
    const NAME: &'static str = "soft_cross_entropy_grad";
    const CODE: u8 = 20;
    const FORMULA: &'static str = "p_j - q_j";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::DISTRIBUTION];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for SoftCrossEntropyGrad {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = true;
    /// Those of the probabilities, and of the differences, whose sizes sum to 2 at most. The masses are given, and sum to 1 exactly.
    const SUM: Option<Sum> = Some(Sum { value: 0.0, roundings: 4.0, stored: 2.0 });
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = false;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = true;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        if t.is_top(j) {
            // 1 - q first: near a confident target, p and q are both near 1.
            t.beside(t.share_less_mass(j), -t.shortfall(), -1.0)
        } else {
            t.beside(t.minus(&t.zero(), &t.target_mass(j)), t.probability(j), 1.0)
        }
    }

    /// The probability errs by `A_j` and the difference is rounded; `q_j` is given, and errs only where it is flushed, as the difference
    /// may be.
    fn error<S: Size>(t: &RowTerms<S>, j: usize, size: S) -> S {
        t.probability_error(j) + t.own_rounding(size) + t.flushed.shifted(1)
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
