//! Rows in plain `f64`, each number with a proven radius: enough to say of most outputs of a dtype narrower than f64 how good they are,
//! at a small part of what 128 bits cost. What it leaves open, double-doubles and the exact tiers decide. In f64 these are not enough, and
//! the outputs are double-doubles from the start (`double`); of inputs of a moderate size (`reach`) the weights that bounds are made of are
//! plain numbers all the same.
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
use crate::dtype::two_sum;
use std::ops::{Add, Mul, Neg, Sub};
use std::sync::Arc;

mod case;
mod elements;
mod functions;
mod reach;
mod tier;

pub(crate) use case::{NearCase, Sizes};
use functions::{EXP_ERROR, LN_1P_ERROR, weight};
pub(crate) use functions::{exp, log1p};
pub(super) use functions::{ln, ln_1p};

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
    pub const ZERO: Near = Near { high: 0.0, low: 0.0, radius: 0.0 };
    /// Nothing is known of it, so it may not look like one that is due to be NaN.
    pub const UNKNOWN: Near = Near { high: 0.0, low: 0.0, radius: f64::INFINITY };

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
pub(super) struct Sum {
    high: [f64; LANES],
    low: [f64; LANES],
    /// The sizes of what was added to `low`: where nothing was, the sum is exact.
    rests: f64,
}

impl Sum {
    #[inline]
    pub fn add(&mut self, lane: usize, x: f64) {
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
    pub fn near(&self, count: usize) -> Near {
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

#[cfg(test)]
mod tests;
