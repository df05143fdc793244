//! `-log(1 + exp(-z))`, element by element: the logarithm of the sigmoid, which is the log-softmax of `[z, 0]`, its first output.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::signature::{Input, Outputs};
use super::softplus;
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct LogSigmoid;

impl Definition for LogSigmoid {
    const NAME: &'static str = "log_sigmoid";
    const CODE: u8 = 12;
    const FORMULA: &'static str = "-log(1 + exp(-z_j))";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, 0.0);
}

impl ElementDefinition for LogSigmoid {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    const CUTS: &'static [f64] = softplus::CUTS;
    const HAS_TIGHT: bool = false;
    const DESCENDS: bool = false;

    fn has_value(Element { logit: z, .. }: Element) -> bool {
        !z.is_nan()
    }

    fn may_be_nan(_: Element) -> bool {
        false
    }

    fn output<T: ElementTier>(t: &T, Element { logit: z, .. }: Element) -> T::Number {
        let rest = -t.log1p(t.exp(-z.abs()));
        if z < 0.0 { t.beside_number(z, rest, -1.0) } else { rest }
    }

    fn difference(Element { logit: z, .. }: Element) -> (f64, f64) {
        (-z.abs(), 0.0)
    }

    /// `min(z, 0) - log1p(exp(-|z|))`: that of softplus at `-z`.
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: z, .. }: Element, known: Known<S>) -> S {
        let Known { weight, size, .. } = known;
        S::of(t.u) * size + t.log1p_error(z.abs(), weight, 0.0)
    }
}
