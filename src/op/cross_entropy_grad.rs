//! The gradient of the cross-entropy with respect to the logits, `p_j - q_j`.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct CrossEntropyGrad;

impl Definition for CrossEntropyGrad {
    const NAME: &'static str = "cross_entropy_grad";
    const CODE: u8 = 4;
    const FORMULA: &'static str = "p_j - q_j";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::TARGET, Input::LABEL_SMOOTHING];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for CrossEntropyGrad {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
    /// Those of the probabilities, of `q`, and of the difference.
    const SUM: Option<Sum> = Some(Sum { value: 0.0, roundings: 6.0, stored: 2.0 });
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = true;
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

    fn error<S: Size>(t: &RowTerms<S>, j: usize, size: S) -> S {
        let Inputs { target, smoothing, .. } = t.inputs;
        // Without smoothing `p_t - 1` is the sum of the others over S, which loses nothing where p_t is near 1; elsewhere nothing is
        // subtracted.
        if t.is_tight && t.is_ordinary && smoothing == 0.0 {
            return if j == target { t.rest_error(j, size) } else { t.probability_error(j) };
        }
        let q = smoothing / t.count() as f64 + if j == target { 1.0 - smoothing } else { 0.0 };
        let flushed = if smoothing > 0.0 { t.flushed.shifted(1) } else { S::ZERO };
        t.probability_error(j) + S::of(3.0 * t.u * q) + t.own_rounding(size) + flushed
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
