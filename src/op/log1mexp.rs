//! `log(1 - exp(x))`, element by element, for `x <= 0`: the logarithm of the probability that is left.
//!
//! Near 0 all digits of `1 - exp(x)` cancel, so they come from `expm1`; far below, all digits of `log(1 - small)` are those of
//! `small`, so they come from `log1p` (Maechler, "Accurately computing log(1 - exp(-|a|))", 2012).

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::signature::{Input, Outputs};
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct Log1mExp;

impl Definition for Log1mExp {
    const NAME: &'static str = "log1mexp";
    const CODE: u8 = 9;
    const FORMULA: &'static str = "log(1 - exp(z_j)), z_j <= 0";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, 0.0);
}

impl ElementDefinition for Log1mExp {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, 0.0);
    const CUTS: &'static [f64] = &[];
    const HAS_TIGHT: bool = false;
    const DESCENDS: bool = false;

    fn has_value(Element { logit: x, .. }: Element) -> bool {
        x <= 0.0
    }

    fn may_be_nan(_: Element) -> bool {
        false
    }

    fn output<T: ElementTier>(t: &T, Element { logit: x, .. }: Element) -> T::Number {
        if x > -1.0 { t.log(-t.expm1(x)) } else { t.log1p(-t.exp(x)) }
    }

    fn difference(Element { logit: z, .. }: Element) -> (f64, f64) {
        (-z.abs(), 0.0)
    }

    /// See [`error_at`].
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: x, .. }: Element, known: Known<S>) -> S {
        // A number that is flushed to zero has an infinite logarithm.
        if !t.flushed.is_zero() && S::of(x) < t.flushed {
            return S::INFINITY;
        }
        error_at(t, -x, known.weight, known.size)
    }
}

/// The error of `y = log(1 - exp(-a))`, where the weight is an upper bound of `w = exp(-a)`, and the size is that of y.
///
/// Through expm1 and log it is `c_l u |y| + c_m u`; through exp and log1p, `c_1p u |y| + w / (1 - w) c_e u + eta / (1 - w)`, since the
/// derivative of `log(1 - w)` is `-1 / (1 - w)`. A kernel may change from one to the other anywhere from `a = 1/2` to `a = 1`, so there
/// the larger is forgiven. An exp that is a power of 2 errs by its argument besides.
pub(super) fn error_at<S: Size>(t: &ElementTerms<S>, a: f64, weight: S, size: S) -> S {
    let through_log = S::of(t.log * t.u) * size + S::of(t.expm1 * t.u);
    if a < 0.5 {
        return through_log;
    }
    let w = weight.to_f64();
    // a is 1/2 at least, so w is 0.61 at most.
    let rest = S::of(1.0 / (1.0 - w));
    let through_log1p = S::of(t.log1p * t.u) * size + weight * rest * S::of(t.exp_error(a)) + t.eta * rest;
    if a > 1.0 || through_log1p > through_log { through_log1p } else { through_log }
}
