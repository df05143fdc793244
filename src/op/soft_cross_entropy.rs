//! `-sum q_i log p_i` for a distribution `q` that is given class by class (soft labels, distillation), in nats; as
//! `sum q_i d_i + log S`, whose terms are not negative.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct SoftCrossEntropy;

impl Definition for SoftCrossEntropy {
    const NAME: &'static str = "soft_cross_entropy";
    const CODE: u8 = 19;
    const FORMULA: &'static str = "-sum q_i log p_i";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::DISTRIBUTION];
    const OUTPUTS: Outputs = Outputs::One;
    const RANGE: (f64, f64) = (0.0, f64::INFINITY);
}

impl RowDefinition for SoftCrossEntropy {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = true;
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = true;
    const HAS_TIGHT: bool = true;
    const IS_LOG_PROBABILITY: bool = true;
    const IS_DERIVATIVE: bool = false;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, _: usize) -> T::Number {
        t.number(t.expected_gap()) + t.log_total()
    }

    /// With `L` the loss and `G = sum q_i d_i <= L`. As `log S + sum q_i d_i`: `log S` errs by its own error, each distance by `rho_i`,
    /// each product by `u` of itself and by `eta / 2`, their sum by `h G`, and the last addition by `u L`: `(h + 2 u) L` with the rest. As
    /// `-sum q_i log p_i`: each logarithm errs by `rho_i`, by the error of `log S` and by `u` of itself, so with masses that sum to 1 by
    /// that error, `sum q_i rho_i` and `u L`; the products and their sum by `(h + u) L`: as much. One rounding more is for a sum that
    /// begins elsewhere, `3 u` in all.
    ///
    /// Where subnormal numbers are flushed, a mass below the least normal number is read as 0, and each product and each sum may lose as
    /// much as that.
    fn error<S: Size>(t: &RowTerms<S>, _: usize, size: S) -> S {
        let masses = t.inputs.distribution;
        let mut error = S::of(t.h + 3.0 * t.u) * size + t.log_error + t.count_eta();
        if !t.is_ordinary {
            return error;
        }
        for (i, &mass) in masses.iter().enumerate().filter(|&(_, &mass)| mass > 0.0) {
            error = error + S::of(mass) * S::of(t.rho[i]);
            if S::of(mass) < t.flushed {
                error = error + S::of(mass) * S::of((t.max - t.inputs.logits[i]).min(f64::MAX));
            }
        }
        error + S::of(2.0 * t.count() as f64) * t.flushed
    }

    /// Whether the distance of a class that has mass, or the sum, overflows the accumulator.
    fn overflows(t: &OverflowTerms, overflows: &dyn Fn(f64) -> bool) -> bool {
        let terms = || t.inputs.distribution.iter().zip(t.inputs.logits).filter(|&(&mass, _)| mass > 0.0);
        let sum: f64 = terms().map(|(&mass, &z)| mass * (t.max - z)).sum();
        terms().any(|(_, &z)| overflows(t.max - z)) || overflows(sum * (1.0 + t.h + 4.0 * t.u))
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
