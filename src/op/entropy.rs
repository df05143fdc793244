//! `-sum p_i log p_i`, the Shannon entropy of the softmax, in nats; as `log S + sum p_i d_i`, whose terms are not negative.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{FARTHEST, OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct Entropy;

impl Definition for Entropy {
    const NAME: &'static str = "entropy";
    const CODE: u8 = 23;
    const FORMULA: &'static str = "-sum p_i log p_i";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::One;
    const RANGE: (f64, f64) = (0.0, f64::INFINITY);
}

impl RowDefinition for Entropy {
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
        t.entropy()
    }

    /// With `H` the entropy and `l_i = d_i + log S`, so that `H = sum p_i l_i`. As `-sum p_i log p_i`: each probability errs by `A_i`, each
    /// logarithm by `rho_i`, by the error of `log S` and by `u` of itself, so with probabilities that sum to 1 it is
    ///
    /// ```text
    /// sum [ A_i l_i + p_i (rho_i + u l_i) ] + (error of log S) + (h + 2 u) H + n eta
    /// ```
    ///
    /// with the products, each of which may underflow, their sum, and what merging adds to it. `log S + sum p_i d_i` errs by no more, for
    /// `d_i <= l_i`; and by `d_i` in the place of `l_i` where `log S` has an error of its own size (log1p): that is the tight bound, and 0
    /// at the maximum. A class farther than [`FARTHEST`] has the probability 0 whatever underflows on the way to it: there `eta` is that of
    /// the nearest such class.
    fn error<S: Size>(t: &RowTerms<S>, _: usize, size: S) -> S {
        let mut error = S::of(t.h + t.merging + 2.0 * t.u) * size + t.log_error + t.count_eta();
        if !t.is_ordinary {
            return error;
        }
        for (i, &z) in t.inputs.logits.iter().enumerate().filter(|&(i, _)| !t.weights[i].is_zero()) {
            let distance = S::of((t.max - z).min(FARTHEST));
            let length = if t.is_tight { distance } else { distance + t.log_total };
            let own = S::of(t.rho[i]) + S::of(t.u) * length;
            error = error + t.probability_error(i) * length + t.probability(i) * own;
        }
        error + S::of(2.0 * t.count() as f64) * t.flushed
    }

    /// Where a distance overflows, the probability is 0, and the term is absent.
    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    /// Classes of +inf share all weight in any way: no more than equally, but for the rounding of `log k` to the coarsest dtype.
    fn undetermined(inputs: &Inputs, _: usize) -> (f64, f64) {
        const ROUNDING: f64 = 1.0 / 256.0;
        let sharing = inputs.logits.iter().filter(|z| **z == f64::INFINITY).count();
        (0.0, (sharing as f64).ln() * (1.0 + ROUNDING))
    }
}
