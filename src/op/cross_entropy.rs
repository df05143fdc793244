//! `-sum q_i log p_i` with `q = (1 - e) onehot(target) + e / n`, in nats; as `sum q_i d_i + log S`, whose terms are not negative.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct CrossEntropy;

impl Definition for CrossEntropy {
    const NAME: &'static str = "cross_entropy";
    const CODE: u8 = 3;
    const FORMULA: &'static str = "-sum q_i log p_i, q = (1 - e) onehot(target) + e / n";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::TARGET, Input::LABEL_SMOOTHING];
    const OUTPUTS: Outputs = Outputs::One;
    const RANGE: (f64, f64) = (0.0, f64::INFINITY);
}

impl RowDefinition for CrossEntropy {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
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

    fn error<S: Size>(t: &RowTerms<S>, _: usize, size: S) -> S {
        let Inputs { logits, target, smoothing, .. } = t.inputs;
        let rounding = S::of(t.h + 6.0 * t.u);
        let error = rounding * size + t.log_error + S::of((1.0 - smoothing) * t.rho[target]);
        if !(smoothing > 0.0 && t.is_ordinary) {
            return error;
        }
        // e / n may underflow, by half of the least number (or be flushed), and multiplies the sum of the gaps.
        let spread = S::of(smoothing / t.count() as f64);
        let gaps = t.sum_over(&|i| S::of((t.max - logits[i]).min(f64::MAX)));
        error + t.sum_over(&|i| spread * S::of(t.rho[i])) + (t.eta.shifted(-1) + t.flushed) * gaps
    }

    /// Whether `fl(d_t)`, or `fl(sum d_i)`, overflows the accumulator.
    fn overflows(t: &OverflowTerms, overflows: &dyn Fn(f64) -> bool) -> bool {
        let Inputs { logits, target, smoothing, .. } = t.inputs;
        let gap = |z: f64| t.max - z;
        // A rounded sum of positive terms exceeds the exact one by a factor of at most 1 + h, one rounding more for its terms.
        let sum: f64 = logits.iter().map(|&z| gap(z)).sum();
        let sum = sum * (1.0 + t.h + 4.0 * t.u);
        (smoothing < 1.0 && overflows(gap(logits[target]))) || (smoothing > 0.0 && overflows(sum))
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
