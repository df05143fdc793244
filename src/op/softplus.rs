//! `log(1 + exp(z))`, element by element: the log-sum-exp of `[z, 0]`, a smooth `max(z, 0)`.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::signature::{Input, Outputs};
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct Softplus;

impl Definition for Softplus {
    const NAME: &'static str = "softplus";
    const CODE: u8 = 11;
    const FORMULA: &'static str = "log(1 + exp(z_j))";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (0.0, f64::INFINITY);
}

/// Where implementations return z, or exp(z), or 0: Maechler's limits for f64 (-37, 18, 33.3), and those of libraries.
pub(super) const CUTS: &[f64] = &[8.0, 9.0, 10.0, 13.0, 14.0, 15.0, 16.0, 18.0, 20.0, 30.0, 33.3, 34.0, 37.0, 40.0, 50.0, 88.0];

impl ElementDefinition for Softplus {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    const CUTS: &'static [f64] = CUTS;
    const HAS_TIGHT: bool = false;
    const DESCENDS: bool = false;

    fn has_value(Element { logit: z, .. }: Element) -> bool {
        !z.is_nan()
    }

    fn may_be_nan(_: Element) -> bool {
        false
    }

    fn output<T: ElementTier>(t: &T, Element { logit: z, .. }: Element) -> T::Number {
        let rest = t.log1p(t.exp(-z.abs()));
        if z > 0.0 { t.beside_number(z, rest, 1.0) } else { rest }
    }

    fn difference(Element { logit: z, .. }: Element) -> (f64, f64) {
        (-z.abs(), 0.0)
    }

    /// `max(z, 0) + log1p(exp(-|z|))`, which rounds once more where the first term is not 0: `u |y|`, and the error of the other term.
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: z, .. }: Element, known: Known<S>) -> S {
        let Known { weight, size, .. } = known;
        S::of(t.u) * size + t.log1p_error(z.abs(), weight, 0.0)
    }
}
