//! `sum p_i(t) (log p_i(t) - log p_i(z))` in nats: how far the softmax of the logits `z` is from that of the target's logits `t`, as
//! distillation has it.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct KlDivergence;

impl Definition for KlDivergence {
    const NAME: &'static str = "kl_divergence";
    const CODE: u8 = 24;
    const FORMULA: &'static str = "sum p_i(t) (log p_i(t) - log p_i(z))";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::TARGET_LOGITS];
    const OUTPUTS: Outputs = Outputs::One;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for KlDivergence {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = true;
    const HAS_TIGHT: bool = true;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = false;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, _: usize) -> T::Number {
        t.divergence()
    }

    /// With `delta_i = log p_i(t) - log p_i(z)`, whose two logarithms err by `b_i` each (that of a log-softmax), and `A_i` the error of
    /// `p_i(t)`: each term errs by `A_i |delta_i|`, by `p_i(t) (b_i(z) + b_i(t))`, and by `u` of itself for the difference and as much for
    /// the product; their sum by `h` of the sizes. The terms are not of one sign: where the two rows are nearly one, all that the value has
    /// cancels.
    ///
    /// ```text
    /// sum [ A_i |delta_i| + p_i(t) (b_i(z) + b_i(t) + (h + 2 u) |delta_i|) ] + n eta
    /// ```
    ///
    /// What is masked in `t` has no term. The tight bound has the logarithms of log1p.
    fn error<S: Size>(t: &RowTerms<S>, _: usize, size: S) -> S {
        let Some(target) = t.other.as_deref() else { return S::INFINITY };
        let mut error = t.own_rounding(size) + t.count_eta() + target.count_eta();
        if !t.is_ordinary {
            return error;
        }
        let rounding = S::of(t.h + t.merging + 2.0 * t.u);
        // A class that the row alone masks makes the divergence infinite; where there is a value besides, it is one without such classes.
        let is_masked = |i: usize| target.weights[i].is_zero() || t.inputs.logits[i] == f64::NEG_INFINITY;
        for i in (0..t.count()).filter(|&i| !is_masked(i)) {
            let (own, other) = (t.log_probability(i), target.log_probability(i));
            let delta = S::of((own - other).abs() + (own.abs() + other.abs()) * 1e-15);
            let p = target.probability(i);
            let logarithms = t.log_probability_error(i) + target.log_probability_error(i);
            error = error + target.probability_error(i) * delta + p * (logarithms + rounding * delta);
        }
        error + S::of(4.0 * t.count() as f64) * t.flushed
    }

    /// Whether the distance of a class that the target does not mask overflows the accumulator, in either row, or may do so in a mean of such.
    fn overflows(t: &OverflowTerms, overflows: &dyn Fn(f64) -> bool) -> bool {
        let target = t.inputs.target_logits;
        let top = target.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut terms = target.iter().zip(t.inputs.logits).filter(|(t, _)| **t > f64::NEG_INFINITY);
        terms.any(|(&own, &z)| {
            let (gap, own) = (t.max - z, top - own);
            overflows(gap * (1.0 + t.h + 4.0 * t.u)) || overflows(own) || overflows(gap - own)
        })
    }

    /// Anything that is no less than 0, but for the rounding of what cancels.
    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        (-1.0, f64::INFINITY)
    }
}
