//! `1 / (1 + exp(-z))`, element by element: the softmax of `[z, 0]`, its first output.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::signature::{Input, Outputs};
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct Sigmoid;

impl Definition for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const CODE: u8 = 10;
    const FORMULA: &'static str = "1 / (1 + exp(-z_j))";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (0.0, 1.0);
}

/// Up to here, the output is known beside 1/2.
pub(super) const SMALL: f64 = 0.25;

/// The sigmoid as a number and a rest, with the sign of the rest.
pub(super) fn parts<T: ElementTier>(t: &T, z: f64) -> (f64, T::Number, f64) {
    let distance = -z.abs();
    if z.abs() < SMALL {
        // `tanh(z / 2) / 2` has the sign of z, however near 0 that is.
        (0.5, t.shortfall(distance) * t.exact(0.5f64.copysign(z)), z)
    } else if z > 0.0 {
        (1.0, -t.tail(distance), -1.0)
    } else {
        (0.0, t.tail(distance), 1.0)
    }
}

/// Clamps and the ends of approximations: of hard sigmoids and tables, of rational functions, of exp in whole numbers.
pub(super) const CUTS: &[f64] = &[2.5, 3.0, 5.0, 8.0, 9.0, 10.0, 15.0, 18.0, 20.0, 30.0, 40.0, 50.0, 88.0, 100.0];

/// An upper bound of the sigmoid, but for the error of the weight, which is an upper bound of `exp(-|z|)`.
pub(super) fn bound<S: Size>(z: f64, weight: S) -> S {
    let reciprocal = S::of(1.0 / (1.0 + weight.to_f64()));
    if z < 0.0 { weight * reciprocal } else { reciprocal }
}

impl ElementDefinition for Sigmoid {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    const CUTS: &'static [f64] = CUTS;
    const HAS_TIGHT: bool = true;
    const DESCENDS: bool = false;

    fn has_value(Element { logit: z, .. }: Element) -> bool {
        !z.is_nan()
    }

    fn may_be_nan(_: Element) -> bool {
        false
    }

    fn output<T: ElementTier>(t: &T, Element { logit: z, .. }: Element) -> T::Number {
        let (base, rest, sign) = parts(t, z);
        t.beside_number(base, rest, sign)
    }

    fn difference(Element { logit: z, .. }: Element) -> (f64, f64) {
        (-z.abs(), 0.0)
    }

    /// `A`, as of a probability of two: see [`ElementTerms::sigmoid_error`].
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: z, .. }: Element, known: Known<S>) -> S {
        let Known { weight, size, .. } = known;
        t.sigmoid_error(z, weight, size)
    }
}
