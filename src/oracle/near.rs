//! Rows in plain `f64`, each number with a proven radius: enough to say of most outputs of a dtype narrower than f64 how good they are,
//! at a small part of what 128 bits cost. What it leaves open, the exact tiers decide.
//!
//! Every operation is an IEEE operation in a fixed order, without a fused multiply-add and without libm, so every machine computes
//! the same bits. `U = 2^-53`.
//!
//! **A number** ([`Near`]) is `high + low` with a radius: the real number is within the radius, and [`SLACK`] more, of the exact sum. A
//! radius of 0 means that it is the exact sum, without slack.
//! `low` need not be small; where the number is known beside another one (`1 - 10^-30`), `high` is that one and `low` the rest.
//!
//! **Functions**: see `functions`. A weight `exp(-d)` errs by less than `2 U` of itself, `log(1 + s)` by less than `10 U`.
//!
//! **The row.** A sum keeps its rests, so its own error is below `n U^2`, which is of no account. `sigma`, the sum of the weights below the
//! maximum, has the error of its weights, `1.9 U`, and in one `f64` `2.9 U`. `S = m_0 + sigma` is rounded once (`3.9 U`), `R = 1/S` once
//! more (`4.9 U`). So `p = w R` has `1.9 + 4.9 + 1 < 8 U`, and the shortfall of a maximum, `sigma R / m_0`, `2.9 + 4.9 + 2 < 10 U`; `log S`
//! has `1.9 + 10 < 12.5 U`. For the products, `w_i (mean_0 - g_i)` has `1.9 + 2 < 4.5 U` of itself, and their sum times `R`
//! `1 + 4.9 + 1 < 7.5 U` more.
//!
//! **Prefixes**: see `tier`. **Elements**: see `elements`.

use crate::case::Case;
use crate::dtype::{Dtype, two_sum};
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::tier::RowTier;
use crate::op::{Kind, Visitor};
use crate::special::RowClass;
use std::ops::{Add, Mul, Neg, Sub};
use std::sync::Arc;

mod elements;
mod functions;
mod tier;

use functions::{EXP_ERROR, LN_1P_ERROR, ln_1p, weight};
pub(crate) use functions::{exp, log1p};
use tier::OfRow;

/// `2^-53`, the roundoff of `f64`.
const U: f64 = f64::EPSILON / 2.0;

/// What underflow may take from any number: weights below `exp(-700)`, of which no more is known than that they are positive, times a
/// direction below `2^129`, from a row of `2^60` logits. It is far below any unit of a narrow dtype.
pub(crate) const SLACK: f64 = 1e-240;

/// From here on, a product loses nothing to underflow, nor does its radius.
const TINY: f64 = 1e-280;

/// Relative errors of the quantities of a row; see the head of the file.
const SIGMA_ERROR: f64 = EXP_ERROR + U;
const RECIPROCAL_ERROR: f64 = SIGMA_ERROR + 2.0 * U;
const PROBABILITY_ERROR: f64 = 8.0 * U;
const SHORTFALL_ERROR: f64 = 10.0 * U;
const LOG_ERROR: f64 = 12.5 * U;
/// Of a weighted difference, and of their sum times `R` what comes to it.
const TERM_ERROR: f64 = 4.5 * U;
const REMAINDER_ERROR: f64 = 7.5 * U;

/// As much again as any product of two of these.
const SECOND_ORDER: f64 = U / 1024.0;

// What the head of the file adds up.
const _: () = {
    assert!(PROBABILITY_ERROR > EXP_ERROR + RECIPROCAL_ERROR + U + SECOND_ORDER);
    assert!(SHORTFALL_ERROR > SIGMA_ERROR + RECIPROCAL_ERROR + 2.0 * U + SECOND_ORDER);
    assert!(LOG_ERROR > EXP_ERROR + LN_1P_ERROR + SECOND_ORDER);
    assert!(TERM_ERROR > EXP_ERROR + 2.0 * U + SECOND_ORDER);
    assert!(REMAINDER_ERROR > RECIPROCAL_ERROR + 2.0 * U + SECOND_ORDER);
};

/// A real number: within `radius` (and [`SLACK`]) of `high + low`; that sum itself where the radius is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Near {
    pub high: f64,
    pub low: f64,
    pub radius: f64,
}

impl Near {
    const ZERO: Near = Near { high: 0.0, low: 0.0, radius: 0.0 };

    /// `x`, exactly.
    #[inline]
    fn exact(x: f64) -> Self {
        Self { high: x, low: 0.0, radius: 0.0 }
    }

    /// `x` with a relative error.
    #[inline]
    fn relative(x: f64, error: f64) -> Self {
        Self { high: x, low: 0.0, radius: x.abs() * error }
    }

    /// The number in one `f64`; it errs by its radius and `U` of itself.
    #[inline]
    pub fn value(self) -> f64 {
        self.high + self.low
    }

    /// The number less an `f64`.
    #[inline]
    fn minus(self, x: f64) -> Near {
        self - Near::exact(x)
    }

    /// Its quotient by a count of rows; an infinity stays one. By a power of two every part is divided by itself, so that what lies just
    /// beside a number still does.
    fn shared(self, count: f64) -> Self {
        if !self.high.is_finite() {
            return self;
        }
        if !is_power_of_two(count) {
            return self * Near::relative(1.0 / count, U);
        }
        let is_safe = |x: f64| x == 0.0 || x.abs() > TINY;
        let lost = if [self.high, self.low, self.radius].into_iter().all(is_safe) { 0.0 } else { f64::MIN_POSITIVE };
        Self { high: self.high / count, low: self.low / count, radius: self.radius / count + lost }
    }

    /// An upper bound of the absolute value, within a few `U` where the radius is.
    #[inline]
    pub fn bound(self) -> f64 {
        self.value().abs() + self.radius
    }
}

impl Add for Near {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        let (high, error) = two_sum(self.high, other.high);
        let low = error + (self.low + other.low);
        let rounded = (error.abs() + (self.low.abs() + other.low.abs())) * (2.0 * U);
        Self { high, low, radius: self.radius + other.radius + rounded }
    }
}

impl Neg for Near {
    type Output = Self;

    #[inline]
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low, radius: self.radius }
    }
}

impl Sub for Near {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Near {
    type Output = Self;

    /// Two values rounded once each, and their product.
    #[inline]
    fn mul(self, other: Self) -> Self {
        let (a, b) = (self.value(), other.value());
        let product = a * b;
        let spread = a.abs() * other.radius + (b.abs() + other.radius) * self.radius;
        let is_zero = |value: f64, near: Self| value == 0.0 && near.radius == 0.0;
        let lost = if product.abs() > TINY || is_zero(a, self) || is_zero(b, other) { 0.0 } else { f64::MIN_POSITIVE };
        Self { high: product, low: 0.0, radius: spread * (1.0 + 8.0 * U) + product.abs() * (4.0 * U) + lost }
    }
}

/// Whether a positive normal number is a power of two.
fn is_power_of_two(x: f64) -> bool {
    x.to_bits() << 12 == 0
}

/// A row that is finite but for some -inf, in plain numbers.
#[derive(Debug)]
pub(crate) struct NearRow {
    logits: Arc<[f64]>,
    /// The largest logit.
    pub max: f64,
    /// For each logit its weight; 0 at -inf.
    pub weights: Vec<f64>,
    /// The number of maxima, `m_0`.
    tops: f64,
    /// The sum of the other weights.
    sigma: (f64, f64),
    /// `S`, and `1 / S`.
    total: f64,
    reciprocal: f64,
    log_total: f64,
}

impl NearRow {
    /// The row of a case that [`NearCase::takes`] says yes to. A product of two numbers of a dtype narrower than f64 is an `f64`.
    fn of(case: &Case) -> Self {
        let Some(scale) = case.scale() else { return Self::new(case.shared_logits().clone()) };
        Self::new(case.logits().iter().map(|z| z * scale).collect())
    }

    /// The row of these logits: at least one finite, none NaN or +inf.
    pub fn new(logits: Arc<[f64]>) -> Self {
        let max = logits.iter().fold(f64::NEG_INFINITY, |max, &z| if z > max { z } else { max });
        let weights: Vec<f64> = logits.iter().map(|&z| weight(max, z)).collect();
        let mut tops = 0.0;
        let mut sum = Sum::default();
        for (chunk, logits) in weights.chunks(LANES).zip(logits.chunks(LANES)) {
            for (lane, (&w, &z)) in chunk.iter().zip(logits).enumerate() {
                let is_top = z == max;
                tops += if is_top { 1.0 } else { 0.0 };
                sum.add(lane, if is_top { 0.0 } else { w });
            }
        }
        let sigma = sum.total();
        let total = tops + sigma.0;
        let (high, low) = two_sum(tops - 1.0, sigma.0);
        let log_total = ln_1p(high, low + sigma.1);
        Self { logits, max, weights, tops, sigma, total, reciprocal: 1.0 / total, log_total }
    }

    /// Whether it is the row of these logits.
    pub fn is_of(&self, logits: &Arc<[f64]>) -> bool {
        Arc::ptr_eq(&self.logits, logits)
    }

    /// An upper bound of `S`; of `S - 1`; of `log S`.
    pub fn total_bound(&self) -> f64 {
        self.total * (1.0 + 4.0 * U)
    }

    /// See [`NearRow::total_bound`].
    pub fn others_bound(&self) -> f64 {
        ((self.tops - 1.0) + self.sigma.0) * (1.0 + 4.0 * U)
    }

    /// See [`NearRow::total_bound`].
    pub fn log_total_bound(&self) -> f64 {
        self.log_total * (1.0 + 2.0 * LOG_ERROR)
    }
}

/// Partial sums of a [`Sum`]. Fixed, so that every machine adds in one order.
const LANES: usize = 8;

/// A sum of many numbers with an error far below one rounding of it.
#[derive(Default)]
struct Sum {
    high: [f64; LANES],
    low: [f64; LANES],
    /// The sizes of what was added to `low`: where nothing was, the sum is exact.
    rests: f64,
}

impl Sum {
    #[inline]
    fn add(&mut self, lane: usize, x: f64) {
        let (high, error) = two_sum(self.high[lane], x);
        self.high[lane] = high;
        self.low[lane] += error;
        self.rests += error.abs();
    }

    /// The sum, as its nearest `f64` and the rest.
    fn total(&self) -> (f64, f64) {
        let Near { high, low, .. } = self.near(0);
        two_sum(high, low)
    }

    /// The sum of so many numbers with its own error: the rests are added with one rounding each, of their sizes at most.
    fn near(&self, count: usize) -> Near {
        let (mut high, mut low, mut rests) = (0.0, 0.0, self.rests);
        for lane in 0..LANES {
            let (sum, error) = two_sum(high, self.high[lane]);
            high = sum;
            rests += error.abs();
            low += error + self.low[lane];
        }
        // Beside an infinity there is no rest.
        let low = if high.is_finite() { low } else { 0.0 };
        Near { high, low, radius: rests * ((count + 2 * LANES) as f64 * (2.0 * U)) }
    }
}

/// A case whose outputs plain numbers tell.
#[derive(Debug)]
pub(crate) struct NearCase {
    /// The class of the row.
    pub class: RowClass,
    /// The row; of an elementwise op, the weights `exp(-|z|)` of its elements, as in the truth.
    pub row: Arc<NearRow>,
    /// The row of the target's logits, for the ops that take them.
    pub other: Option<Arc<NearRow>>,
    /// The outputs; an infinite `high` where one is infinite, and NaN where NaN is due.
    pub outputs: Vec<Near>,
    /// Upper bounds of `|g_j - c|`, for the ops whose bounds use them.
    pub deviations: Vec<f64>,
    /// Of a mean over rows each row by itself, and none of an ignored one; of any other op nothing.
    pub rows: Vec<Option<NearCase>>,
}

impl NearCase {
    /// The case in plain numbers; none where they are not enough: an f64, a row that is not ordinary.
    pub fn of(case: &Case, class: RowClass) -> Option<Self> {
        let made = |case: &Case| match &case.op().facts().kind {
            Kind::Elements(_) => Self::of_elements(case),
            Kind::Row(_) => Self::on(Arc::new(NearRow::of(case)), case, class),
            Kind::Mean(_) => Self::of_rows(case, class),
        };
        Self::takes(case, class).then(|| made(case))
    }

    /// Whether plain numbers are enough for a case.
    pub fn takes(case: &Case, class: RowClass) -> bool {
        case.dtype() != Dtype::F64 && class.is_ordinary()
    }

    /// A case of a row op that [`NearCase::takes`] says yes to, on its row.
    pub fn on(row: Arc<NearRow>, case: &Case, class: RowClass) -> Self {
        let other = case.shared_target_logits().map(|logits| Arc::new(NearRow::new(logits.clone())));
        let target = other.as_ref().map(|other| OfRow::new(other, None, case));
        let tier = OfRow::new(&row, target.as_ref(), case);
        let outputs = case.op().visit(Outputs { tier: &tier, count: case.op().outputs(case.logits().len()) });
        let uses_deviations = case.op().row().is_some_and(|facts| facts.uses_deviations);
        let each = if uses_deviations { 0..case.logits().len() } else { 0..0 };
        let deviations = each.map(|j| tier.deviation(j).bound()).collect();
        Self { class, outputs, deviations, row, other, rows: Vec::new() }
    }

    /// A case of a mean over rows that [`NearCase::takes`] says yes to: each row by itself, their sum and its quotient.
    fn of_rows(case: &Case, class: RowClass) -> Self {
        let near = |row: &Case| Self::on(Arc::new(NearRow::of(row)), row, RowClass::of_case(row));
        let rows: Vec<Option<NearCase>> = case.rows().iter().map(|row| row.as_ref().map(near)).collect();
        let count = rows.iter().flatten().count() as f64;
        let outputs = match case.op().is_scalar() {
            true => {
                let all = rows.iter().flatten().map(|row| row.outputs[0]);
                vec![all.reduce(|sum, output| sum + output).unwrap_or(Near::ZERO).shared(count)]
            }
            false => {
                let zeros = || vec![Near::ZERO; case.row_len()];
                let row = |row: &Option<NearCase>| {
                    let shared = |row: &NearCase| row.outputs.iter().map(|output| output.shared(count)).collect();
                    row.as_ref().map_or_else(zeros, shared)
                };
                rows.iter().flat_map(row).collect()
            }
        };
        let first = rows.iter().flatten().map(|row| row.row.clone()).next();
        let row = first.unwrap_or_else(|| Arc::new(NearRow::new([0.0].into())));
        Self { class, outputs, deviations: Vec::new(), row, other: None, rows }
    }
}

struct Outputs<'a> {
    tier: &'a OfRow<'a>,
    count: usize,
}

impl Visitor for Outputs<'_> {
    type Output = Vec<Near>;

    fn row<D: RowDefinition>(self) -> Vec<Near> {
        (0..self.count).map(|j| D::output(self.tier, j)).collect()
    }

    fn elements<D: ElementDefinition>(self) -> Vec<Near> {
        unreachable!("{} is not made of the whole row", D::NAME)
    }

    fn mean<D: MeanDefinition>(self) -> Vec<Near> {
        unreachable!("{} is made of several rows", D::NAME)
    }
}

#[cfg(test)]
mod tests;
