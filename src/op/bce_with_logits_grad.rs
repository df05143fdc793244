//! `p - t` with `p = sigmoid(z)`, element by element: the gradient of the binary cross-entropy with respect to the logit, for a label t.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::sigmoid;
use super::signature::{Input, Outputs};
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct BceWithLogitsGrad;

impl Definition for BceWithLogitsGrad {
    const NAME: &'static str = "bce_with_logits_grad";
    const CODE: u8 = 16;
    const FORMULA: &'static str = "sigmoid(z_j) - t_j";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::LABEL];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (-1.0, 1.0);
}

impl ElementDefinition for BceWithLogitsGrad {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    const CUTS: &'static [f64] = sigmoid::CUTS;
    const HAS_TIGHT: bool = true;
    const DESCENDS: bool = false;

    fn has_value(Element { logit: z, .. }: Element) -> bool {
        !z.is_nan()
    }

    fn may_be_nan(_: Element) -> bool {
        false
    }

    /// The number that the sigmoid is beside, less the label, and beside it the rest: which is all there is of it where these are equal.
    fn output<T: ElementTier>(t: &T, Element { logit: z, other: label }: Element) -> T::Number {
        let (base, rest, sign) = sigmoid::parts(t, z);
        t.beside(t.minus(&t.rational(base), &t.rational(label)), rest, sign)
    }

    fn difference(Element { logit: z, .. }: Element) -> (f64, f64) {
        (-z.abs(), 0.0)
    }

    /// The error `A` of the sigmoid, and the rounding of the difference. Where subnormal numbers are flushed, so may be the label, and the
    /// difference.
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: z, .. }: Element, known: Known<S>) -> S {
        let Known { weight, size, .. } = known;
        t.sigmoid_error(z, weight, sigmoid::bound(z, weight)) + S::of(t.u) * size + t.flushed + t.flushed
    }
}
