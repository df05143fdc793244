//! `p_j (g_j - sum p_i g_i)` for a cotangent `g`.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct SoftmaxVjp;

impl Definition for SoftmaxVjp {
    const NAME: &'static str = "softmax_vjp";
    const CODE: u8 = 5;
    const FORMULA: &'static str = "p_j (g_j - sum p_i g_i)";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::COTANGENT];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for SoftmaxVjp {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = false;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = true;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = true;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        t.weighted_deviation(j)
    }

    fn error<S: Size>(t: &RowTerms<S>, j: usize, size: S) -> S {
        if t.weights[j].is_zero() {
            return S::ZERO;
        }
        let deviation = t.deviation(j);
        let rounded_deviation = S::of(t.u) * deviation + t.mean_error() + t.flushed.shifted(1);
        t.probability_error(j) * deviation + t.probability(j) * rounded_deviation + t.own_rounding(size) + t.eta
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
