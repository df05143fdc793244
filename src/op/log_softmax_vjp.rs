//! `g_j - p_j sum g_i` for a cotangent `g`.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct LogSoftmaxVjp;

impl Definition for LogSoftmaxVjp {
    const NAME: &'static str = "log_softmax_vjp";
    const CODE: u8 = 7;
    const FORMULA: &'static str = "g_j - p_j sum g_i";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::COTANGENT];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for LogSoftmaxVjp {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = false;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = true;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Share;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        let (own, total) = (t.direction(j), t.direction_total());
        let sign = t.sign(&total);
        if t.is_top(j) {
            // p is 1 / m_0 less a shortfall, and the difference of rational numbers comes first.
            t.beside(t.less_share(j), t.scaled(&total, t.shortfall()), sign)
        } else {
            t.beside(own, -t.scaled(&total, t.probability(j)), -sign)
        }
    }

    fn error<S: Size>(t: &RowTerms<S>, j: usize, size: S) -> S {
        let (sum, sum_of_sizes) = t.direction_sums();
        let rounded_sum = S::of(t.u) * sum
            + S::of(t.h) * sum_of_sizes
            + S::of(2.0 * t.count() as f64) * t.flushed;
        let underflow = t.eta + t.flushed.shifted(1);
        t.probability_error(j) * sum + t.probability(j) * rounded_sum + t.own_rounding(size) + underflow
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
