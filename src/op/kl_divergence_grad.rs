//! The gradient of the KL divergence with respect to the logits `z`, `p_j(z) - p_j(t)`.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct KlDivergenceGrad;

impl Definition for KlDivergenceGrad {
    const NAME: &'static str = "kl_divergence_grad";
    const CODE: u8 = 25;
    const FORMULA: &'static str = "p_j(z) - p_j(t)";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::TARGET_LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (-1.0, 1.0);
}

impl RowDefinition for KlDivergenceGrad {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
    /// The two rows of probabilities may miss 1 to either side.
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = false;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = true;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        t.probability_difference(j)
    }

    fn error<S: Size>(t: &RowTerms<S>, j: usize, size: S) -> S {
        let Some(target) = t.other.as_deref() else { return S::INFINITY };
        t.probability_error(j) + target.probability_error(j) + t.own_rounding(size) + t.flushed.shifted(1)
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
