//! `g (1 - p)` with `p = sigmoid(z)`, element by element: the gradient of the logarithm of the sigmoid times a cotangent.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::sigmoid;
use super::signature::{Input, Outputs};
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct LogSigmoidVjp;

impl Definition for LogSigmoidVjp {
    const NAME: &'static str = "log_sigmoid_vjp";
    const CODE: u8 = 14;
    const FORMULA: &'static str = "g_j / (1 + exp(z_j))";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::COTANGENT];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl ElementDefinition for LogSigmoidVjp {
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

    /// `g sigmoid(-z)`, beside a half of g, or g, where that is a number.
    fn output<T: ElementTier>(t: &T, Element { logit: z, other: g }: Element) -> T::Number {
        let (distance, half) = (-z.abs(), 0.5 * g);
        if z.abs() < sigmoid::SMALL && 2.0 * half == g {
            let toward = half.copysign(-half * z);
            t.beside_number(half, t.exact(toward) * t.shortfall(distance), toward)
        } else if z < 0.0 {
            t.beside_number(g, -(t.exact(g) * t.tail(distance)), -g)
        } else {
            t.exact(g) * t.tail(distance)
        }
    }

    fn difference(Element { logit: z, .. }: Element) -> (f64, f64) {
        (-z.abs(), 0.0)
    }

    /// The error of the sigmoid at `-z`, and the product's: `|g| A(-z) + u |y| + eta`.
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: z, other: g }: Element, known: Known<S>) -> S {
        let Known { weight, size, .. } = known;
        S::of(g) * t.sigmoid_error(-z, weight, sigmoid::bound(-z, weight)) + S::of(t.u) * size + t.eta
    }
}
