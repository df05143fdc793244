//! `-t log p - (1 - t) log(1 - p)` with `p = sigmoid(z)`, element by element: the binary cross-entropy of a logit, for a label t in [0, 1].
//!
//! It is `z (1 - t) + log1p(exp(-z))` for `z >= 0`, and `-z t + log1p(exp(z))` below: two terms that are not negative, so nothing cancels.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::signature::{Input, Outputs};
use super::softplus;
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct BceWithLogits;

impl Definition for BceWithLogits {
    const NAME: &'static str = "bce_with_logits";
    const CODE: u8 = 15;
    const FORMULA: &'static str = "-t_j log p_j - (1 - t_j) log(1 - p_j), p = sigmoid(z)";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::LABEL];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (0.0, f64::INFINITY);
}

/// Whether the term with the factor `1 - t`, or `t`, is absent: that factor is 0. At infinity 0 times infinity is not formed.
fn is_without_line(Element { logit: z, other: label }: Element) -> bool {
    if z > 0.0 { label == 1.0 } else { label == 0.0 || z == 0.0 }
}

impl ElementDefinition for BceWithLogits {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    const CUTS: &'static [f64] = softplus::CUTS;
    const HAS_TIGHT: bool = true;
    const DESCENDS: bool = false;

    fn has_value(Element { logit: z, .. }: Element) -> bool {
        !z.is_nan()
    }

    fn may_be_nan(element: Element) -> bool {
        element.logit.is_infinite() && is_without_line(element)
    }

    fn output<T: ElementTier>(t: &T, element: Element) -> T::Number {
        let Element { logit: z, other: label } = element;
        let rest = t.log1p(t.exp(-z.abs()));
        if is_without_line(element) {
            return rest;
        }
        if z.is_infinite() {
            return t.exact(f64::INFINITY);
        }
        let product = t.times(&t.rational(z.abs()), &t.rational(label));
        let line = if z > 0.0 { t.minus(&t.rational(z), &product) } else { product };
        t.beside(line, rest, 1.0)
    }

    fn difference(Element { logit: z, .. }: Element) -> (f64, f64) {
        (-z.abs(), 0.0)
    }

    /// The textbook is `max(z, 0) - z t + log1p(exp(-|z|))`. Its product errs by `rho_t = |fl(z t) - z t|`, which may be much more than the
    /// line `z (1 - t)` has digits; the difference and the sum by `u` of what they are: `rho_t + 2 u line + u |y|`, and the logarithm. The
    /// tight bound is that of `z (1 - t)` and `-z t` as they are written: `3 u line + u |y|`. An underflow of either product is an eta.
    ///
    /// Where subnormal numbers are flushed, a label that is read as 0 is worth `|z|` times as much, and product, difference and sum an eta
    /// each.
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: z, other: label }: Element, known: Known<S>) -> S {
        let Known { weight, size, .. } = known;
        let line = S::of(z) * S::of(if z > 0.0 { 1.0 - label } else { label });
        let of_line = if t.is_tight {
            S::of(3.0 * t.u) * line
        } else {
            S::of(t.product_error(z, label)) + S::of(2.0 * t.u) * line
        };
        let flushed = t.flushed * (S::of(z) + S::of(3.0));
        of_line + t.eta + S::of(t.u) * size + t.log1p_error(z.abs(), weight, 0.0) + flushed
    }
}
