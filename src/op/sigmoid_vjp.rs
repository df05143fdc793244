//! `g p (1 - p)` with `p = sigmoid(z)`, element by element: the gradient of the sigmoid times a cotangent.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::sigmoid;
use super::signature::{Input, Outputs};
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct SigmoidVjp;

impl Definition for SigmoidVjp {
    const NAME: &'static str = "sigmoid_vjp";
    const CODE: u8 = 13;
    const FORMULA: &'static str = "g_j p_j (1 - p_j), p = sigmoid(z)";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::COTANGENT];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl ElementDefinition for SigmoidVjp {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    /// With those of the sigmoid, where `1 - p` has no digit left in f32 and in f64, and where the square of `exp(-z)` overflows.
    const CUTS: &'static [f64] =
        &[2.5, 3.0, 5.0, 8.0, 9.0, 10.0, 15.0, 16.7, 18.0, 20.0, 30.0, 36.8, 40.0, 44.3, 50.0, 88.0, 100.0];
    const HAS_TIGHT: bool = true;
    const DESCENDS: bool = false;

    fn has_value(Element { logit: z, .. }: Element) -> bool {
        !z.is_nan()
    }

    fn may_be_nan(_: Element) -> bool {
        false
    }

    fn output<T: ElementTier>(t: &T, Element { logit: z, other: g }: Element) -> T::Number {
        let (distance, quarter) = (-z.abs(), 0.25 * g);
        // The quarter is a number but where it underflows.
        if z.abs() < sigmoid::SMALL && 4.0 * quarter == g {
            // `p (1 - p) = (1 - tanh(z / 2)^2) / 4`, which is below 1/4 however near 0 z is.
            let shortfall = t.shortfall(distance);
            return t.beside_number(quarter, -(t.exact(quarter) * shortfall.clone() * shortfall), -g);
        }
        let total = t.exact(1.0) + t.exp(distance);
        t.exact(g) * (t.tail(distance) * t.reciprocal(total))
    }

    fn difference(Element { logit: z, .. }: Element) -> (f64, f64) {
        (-z.abs(), 0.0)
    }

    /// The textbook is `g p (1 - p)`: the error `A` of p in both factors, three products and a difference, `|g| A + 4 u |y|`. The tight
    /// bound is that of `g w / S^2`, with `w = exp(-|z|)` and `S = 1 + w`: `|y| (c_e u + 2 (w / S) c_e u + 6 u)`. An underflow is worth
    /// `|g| eta` before the product with g, and `eta` after it.
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: z, other: g }: Element, known: Known<S>) -> S {
        let Known { weight, size, .. } = known;
        let underflow = t.eta * (S::of(1.0) + S::of(g));
        if t.is_tight {
            let (w, exp_error) = (weight.to_f64(), t.exp_error(z.abs()));
            return size * S::of(exp_error + 2.0 * w / (1.0 + w) * exp_error + 6.0 * t.u) + underflow;
        }
        S::of(g) * t.sigmoid_error(z, weight, sigmoid::bound(z, weight)) + S::of(4.0 * t.u) * size + underflow
    }
}
