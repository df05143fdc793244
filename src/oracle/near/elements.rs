//! Elements in plain `f64`: the functions of an element, each with a proven error, and a case in them. `U = 2^-53`; what is said here
//! continues the head of `near`.
//!
//! **`exp(x)`**, `x <= 0`: [`exp_of_minus`], below `2 U`; below `exp(-700)` it is `exp(-700)`, which is as far below [`SLACK`] as what it
//! stands for, and positive as that is.
//!
//! **`exp(x) - 1`**, `x <= 0`. From [`SMALL`] on it is `t = x + x^2 h`, `h` as there: `|x| h < 0.174`, so `x^2 h`, which errs by `3.5 U`
//! of itself, is at most `0.174 |x|`, and `|t| > 0.84 |x|`. That is `0.73 U` of `t`; the sum rounds by `U`, and what the series leaves out
//! is below `0.13 U`: `2 U` in all. What underflow takes from `x^2 h` is of no account beside `x`. Below [`SMALL`] it is the sum of
//! `exp(x)`, whose error is counted, and -1, which keeps its rest.
//!
//! **`log(x)`**: [`ln`], below `10 U` of a value that is not near 0; between `sqrt(1/2)` and `sqrt 2` it is [`ln_1p`] of `x - 1`, which is
//! exact but for the rest of `x`. **`log(1 + x)`**: [`ln_1p`], below `10 U`. An argument `v (1 + d)`, `|d| <= e`, adds `e / (1 - e)` to the
//! logarithm, which is at most `1.001 e` where `e < 2^-20`; of worse arguments nothing is said.
//!
//! **`log(1 - exp(x))`** so has below `14 U`, `2^-49.1` of itself: above -1, `1 - exp(x)` has `4.9 U` at [`SMALL`] at most and
//! `-log(1 - exp(x)) > 0.458`, and both are worst at different ends: `2 U / 1.24` or less above [`SMALL`], and below it
//! `2 U w / ((1 - w) -log(1 - w))`, which falls from `4.0 U` at [`SMALL`] to `2.6 U` at -1, where `w = exp(x)`. Below -1 the same
//! falls to `2 U` and is never more than `2.6 U`. The logarithm adds `10 U`.

use super::{Near, NearCase, NearRow, Outputs, REACH, SLACK, U, exp_of_minus, ln, ln_1p, series};
use crate::case::Case;
use crate::dtype::two_sum;
use crate::op::Visitor;
use crate::op::definition::{ElementDefinition, RowDefinition};
use crate::op::tier::ElementTier;
use crate::special::RowClass;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::sync::Arc;

/// From here on, `exp(x) - 1` is a series.
const SMALL: f64 = -0.34;

/// Relative errors; see the head of the file.
const EXP_ERROR: f64 = 2.0 * U;
const EXPM1_ERROR: f64 = 2.0 * U;
const LOG_ERROR: f64 = 10.0 * U;

/// An upper bound of a relative error of an argument of a logarithm that something is said of.
const MOST_SPREAD: f64 = 1.0 / (1u64 << 20) as f64;

/// The tier: the functions of an element.
struct OfElement;

/// A logarithm whose argument has this relative error.
#[inline]
fn logarithm(y: f64, spread: f64) -> Near {
    let radius = if spread < MOST_SPREAD { y.abs() * LOG_ERROR + spread * 1.001 } else { f64::INFINITY };
    Near { high: y, low: 0.0, radius }
}

impl ElementTier for OfElement {
    type Number = Near;

    #[inline]
    fn exp(&self, x: f64) -> Near {
        if x == f64::NEG_INFINITY { Near::ZERO } else { Near::relative(exponential(-x), EXP_ERROR) }
    }

    #[inline]
    fn expm1(&self, x: f64) -> Near {
        if x > SMALL { Near::relative(x + x * x * series(x), EXPM1_ERROR) } else { self.exp(x) - Near::exact(1.0) }
    }

    #[inline]
    fn log(&self, x: Near) -> Near {
        let (high, low) = two_sum(x.high, x.low);
        if high == 0.0 && x.radius == 0.0 {
            return Near::exact(f64::NEG_INFINITY);
        }
        let y = if high > FRAC_1_SQRT_2 && high < SQRT_2 { ln_1p(high - 1.0, low) } else { ln(high, low) };
        logarithm(y, if x.radius == 0.0 { 0.0 } else { (x.radius + SLACK) / high })
    }

    #[inline]
    fn log1p(&self, x: Near) -> Near {
        let y = ln_1p(x.high, x.low);
        // The argument is -1 at least.
        let spread = (x.radius + SLACK) / (1.0 + x.value());
        if x.radius == 0.0 { Near::relative(y, LOG_ERROR) } else { logarithm(y, spread) }
    }
}

/// `exp(-a)` of a size, but not less than `exp(-700)`.
#[inline]
fn exponential(a: f64) -> f64 {
    exp_of_minus(a.min(REACH), 0.0)
}

impl NearRow {
    /// The elements with what their bounds need of them, as the truth of an elementwise op has it.
    fn of_elements(logits: Arc<[f64]>) -> Self {
        let weights = logits.iter().map(|z| exponential(z.abs())).collect();
        Self { logits, max: 0.0, weights, tops: 1.0, sigma: (0.0, 0.0), total: 1.0, reciprocal: 1.0, log_total: 0.0 }
    }
}

impl NearCase {
    /// A case of an elementwise op.
    pub fn of_elements(case: &Case) -> Self {
        let row = Arc::new(NearRow::of_elements(case.shared_logits().clone()));
        let outputs = case.op().visit(Elements(case.logits()));
        Self { class: RowClass::Elements, row, outputs, deviations: Vec::new() }
    }
}

/// The outputs of these elements.
struct Elements<'a>(&'a [f64]);

impl Visitor for Elements<'_> {
    type Output = Vec<Near>;

    fn row<D: RowDefinition>(self) -> Vec<Near> {
        unreachable!("{} is made of the whole row", D::NAME)
    }

    fn elements<D: ElementDefinition>(self) -> Vec<Near> {
        let (least, largest) = D::DOMAIN;
        let output = |&x: &f64| {
            if least <= x && x <= largest { D::output(&OfElement, x) } else { Near::exact(f64::NAN) }
        };
        self.0.iter().map(output).collect()
    }
}
