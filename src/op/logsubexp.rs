//! `log(exp(x) - exp(y))`, element by element, for `y <= x`: it takes a probability from another, both known by their logarithms.
//!
//! It is `x + log(1 - exp(y - x))`, and that logarithm is made as [`log1mexp`] makes it.

use super::definition::{Definition, ElementDefinition};
use super::inputs::Element;
use super::log1mexp;
use super::signature::{Input, Outputs};
use super::terms::{ElementTerms, Known};
use super::tier::ElementTier;
use crate::magnitude::Size;

pub(super) struct LogSubExp;

impl Definition for LogSubExp {
    const NAME: &'static str = "logsubexp";
    const CODE: u8 = 18;
    const FORMULA: &'static str = "log(exp(z_j) - exp(y_j)), y_j <= z_j";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::OTHER_LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl ElementDefinition for LogSubExp {
    const DOMAIN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    const CUTS: &'static [f64] = &[];
    const HAS_TIGHT: bool = false;
    const DESCENDS: bool = true;

    fn has_value(Element { logit: x, other: y }: Element) -> bool {
        y <= x && y != f64::INFINITY
    }

    /// Of two numbers that are 0 the difference is 0, but by the formula it is infinity less infinity.
    fn may_be_nan(Element { logit: x, .. }: Element) -> bool {
        x == f64::NEG_INFINITY
    }

    fn output<T: ElementTier>(t: &T, Element { logit: x, other: y }: Element) -> T::Number {
        if x == y {
            return t.exact(f64::NEG_INFINITY);
        }
        let rest = if y - x > -1.0 { t.log(-t.expm1_of_difference(y, x)) } else { t.log1p(-t.exp_of_difference(y, x)) };
        t.beside_number(x, rest, -1.0)
    }

    fn difference(Element { logit: x, other: y }: Element) -> (f64, f64) {
        if x < y { (x, y) } else { (y, x) }
    }

    /// `x + log1mexp(y - x)`: the sum rounds by `u |out|`; the logarithm has the error of [`log1mexp`], at a size that is known as
    /// `|x - out|` to an ulp of the output; and the rounding error rho of the difference is in it `rho w / (1 - w)`, `w = exp(y - x)`.
    ///
    /// Where subnormal numbers are flushed, inputs that are read as 0 and a difference that becomes 0 move that difference by two eta at
    /// most. Where it is below 8 eta the logarithm may be infinite; elsewhere it moves by `-log(1 - 2 eta / a)`, which is below
    /// `4/3` of `2 eta / a`, so three eta are as much. The input and the sum lose an eta each besides.
    fn error<S: Size>(t: &ElementTerms<S>, Element { logit: x, other: y }: Element, known: Known<S>) -> S {
        let Known { weight, size, value } = known;
        let a = x - y;
        if !t.flushed.is_zero() && S::of(a) < t.flushed.shifted(3) {
            return S::INFINITY;
        }
        // w / (1 - w) = 1 / (exp(a) - 1), below what three terms of that exponential leave.
        let odds = if a < 0.5 { 1.0 / (a * (1.0 + a * (0.5 + a / 6.0))) } else { weight.to_f64() / (1.0 - weight.to_f64()) };
        let rho = S::of(t.difference_error(x, y)) + t.flushed + t.flushed + t.flushed;
        let logarithm = log1mexp::error_at(t, a, weight, S::of(x - value) + size.shifted(-8));
        S::of(t.u) * size + logarithm + rho * S::of(odds) + t.flushed + t.flushed
    }
}
