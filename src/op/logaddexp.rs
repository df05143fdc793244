//! `log(exp(x) + exp(y))`, element by element: the log-sum-exp of two logits, which adds probabilities that are known by their logarithms.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::signature::{Input, Outputs};
use super::softplus;
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct LogAddExp;

impl Definition for LogAddExp {
    const NAME: &'static str = "logaddexp";
    const CODE: u8 = 17;
    const FORMULA: &'static str = "log(exp(z_j) + exp(y_j))";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::OTHER_LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl ElementDefinition for LogAddExp {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    const CUTS: &'static [f64] = softplus::CUTS;
    const HAS_TIGHT: bool = false;
    const DESCENDS: bool = false;

    fn has_value(Element { logit: x, other: y }: Element) -> bool {
        !x.is_nan() && !y.is_nan()
    }

    fn may_be_nan(_: Element) -> bool {
        false
    }

    fn output<T: ElementTier>(t: &T, element: Element) -> T::Number {
        let (smaller, larger) = Self::difference(element);
        // The difference of equal infinities is none.
        if larger.is_infinite() {
            return t.exact(larger);
        }
        t.beside_number(larger, t.log1p(t.exp_of_difference(smaller, larger)), 1.0)
    }

    fn difference(Element { logit: x, other: y }: Element) -> (f64, f64) {
        if x < y { (x, y) } else { (y, x) }
    }

    /// `max(x, y) + log1p(exp(-|x - y|))` with the rounding error rho of the difference in the exponential, and the sum: `u |out|`, and the
    /// error of the logarithm.
    ///
    /// Where subnormal numbers are flushed, inputs that are read as 0 move the value by an eta at most, as it grows by shares of both that
    /// add up to 1; where they are not, a difference that is 0 moves it by half of it; and the sum loses another.
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: x, other: y }: Element, known: Known<S>) -> S {
        let logarithm = t.log1p_error((x - y).abs(), known.weight, t.difference_error(x, y));
        S::of(t.u) * known.size + logarithm + t.flushed + t.flushed
    }
}
