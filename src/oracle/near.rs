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
//! **The weight** `exp(-d)`, `d = high + low` exactly, relative error below `2 U` ([`exp_of_minus`]). With `k` the integer nearest to
//! `-high / ln 2` and `ln 2 = L1 + L2 + t`, where `L1` has 42 bits and `|t| < 2^-97`, `r = -high - k L1 - k L2 - low`. For `high <= 700`,
//! `|k| <= 1010`: `k L1` has at most 52 bits and is exact, `-high - k L1` is exact (the two are multiples of `2^-54` or of
//! `ulp(high)`, and their difference is below `0.36`, or `k = 0`), `k L2` errs by `2^-86`, and the rounding of the difference is kept,
//! so `r = a + c` with an error below `2^-84`, `|a| < 0.3467` and `|c| <= U + |low| <= 2^-43`. Then `exp(r) = 1 + t`,
//! `t = t0 + (c + c t0)`, `t0 = a + a^2 h`, `h = 1/2! + a/3! + ... + a^11/13!`:
//! - what the series leaves out: `0.3467^14 / 14! < 0.05 U`;
//! - `h` (about 1/2) errs by less than `0.7 U`, so with two products `a^2 h` errs by `3.5 U` of itself, `0.25 U` at most;
//! - the sums `t0` and `t` round by `0.25 U` each, `c c / 2` and the products with `c` are below `0.01 U`;
//! - `1 + t` rounds by `U` where it is at least 1, and by `U / 2` where it is below, but not below `0.707`.
//!
//! That is below `1.9 U` relative on either side of 1. The power of two is exact.
//!
//! **The logarithm** `log(1 + s)` of `s = high + low > -1`, relative error below `10 U` ([`ln_1p`]), from `log m = 2 atanh(t)`,
//! `t = (m - 1) / (m + 1)`, `|t| < 0.172`, as `2 t (1 + t^2/3 + ... + t^22/23)`; the rest of the series is below `2^-64`. From
//! `sqrt(1/2) - 1` to `sqrt 2 - 1`, `m = 1 + s`: `t` errs by `3 U`, the series by `1.2 U` and the product by `U`. Beyond, `1 + s = 2^k m`
//! ([`ln`]); `k ln 2` is at least `0.69` in size (or `k = 0` and `|log m| > 0.34`), what is added to it is below `0.35` and errs by `6 U`
//! of itself, and there are two sums.
//!
//! **The row.** A sum keeps its rests, so its own error is below `n U^2`, which is of no account. `sigma`, the sum of the weights below the
//! maximum, has the error of its weights, `1.9 U`, and in one `f64` `2.9 U`. `S = m_0 + sigma` is rounded once (`3.9 U`), `R = 1/S` once
//! more (`4.9 U`). So `p = w R` has `1.9 + 4.9 + 1 < 8 U`, and the shortfall of a maximum, `sigma R / m_0`, `2.9 + 4.9 + 2 < 10 U`; `log S`
//! has `1.9 + 10 < 12.5 U`. For the products, `w_i (mean_0 - g_i)` has `1.9 + 2 < 4.5 U` of itself, and their sum times `R`
//! `1 + 4.9 + 1 < 7.5 U` more.
//!
//! **Prefixes.** `s`, the sum of the weights of a prefix without one maximum, is kept with its rest, as `high + low`, and its error beside
//! it. A logit that is no larger adds its weight, with `1.9 U` of it. A larger one multiplies `s + 1` by a weight: the sum keeps its rest,
//! is rounded once (`U`), the factor errs by `1.9 U` and the product by `U`, so with what `s` erred by before, times the factor, it is below
//! `4.5 U` of the new `s` more. `log(1 + s)` errs by `10 U` of itself and by the error of `s` over `1 + s`. All errors are added up in plain
//! numbers, of at most `2^40` terms: [`PREFIX_SAFETY`].
//!
//! **Elements**: see `elements`.

use crate::case::Case;
use crate::dtype::{Dtype, exponent, ldexp, two_sum};
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::tier::RowTier;
use crate::op::{Kind, Visitor};
use crate::special::RowClass;
use std::borrow::Cow;
use std::ops::{Add, Mul, Neg, Sub};
use std::sync::Arc;

mod elements;

/// `2^-53`, the roundoff of `f64`.
const U: f64 = f64::EPSILON / 2.0;

/// What underflow may take from any number: weights below `exp(-700)`, of which no more is known than that they are positive, times a
/// direction below `2^129`, from a row of `2^60` logits. It is far below any unit of a narrow dtype.
pub(crate) const SLACK: f64 = 1e-240;

/// From here on, a product loses nothing to underflow, nor does its radius.
const TINY: f64 = 1e-280;

/// `d` beyond which a weight is [`LEAST_WEIGHT`].
const REACH: f64 = 700.0;

/// The weight where the true one is below `exp(-700)`, about `1e-304`: positive, as the true one is.
const LEAST_WEIGHT: f64 = 1e-304;

/// Relative errors of the functions, of a weight and of the quantities of a row; see the head of the file.
const EXP_ERROR: f64 = 1.9 * U;
const LN_1P_ERROR: f64 = 10.0 * U;
const SIGMA_ERROR: f64 = EXP_ERROR + U;
const RECIPROCAL_ERROR: f64 = SIGMA_ERROR + 2.0 * U;
const PROBABILITY_ERROR: f64 = 8.0 * U;
const SHORTFALL_ERROR: f64 = 10.0 * U;
const LOG_ERROR: f64 = 12.5 * U;
/// Of a weighted difference, and of their sum times `R` what comes to it.
const TERM_ERROR: f64 = 4.5 * U;
const REMAINDER_ERROR: f64 = 7.5 * U;
/// Of the sum of a prefix, where the maximum rises, and what covers that errors are rounded themselves.
const RISE_ERROR: f64 = 4.5 * U;
const PREFIX_SAFETY: f64 = 1.001;

// What the head of the file adds up, and as much again as any product of two of these.
const _: () = {
    const SECOND_ORDER: f64 = U / 1024.0;
    assert!(PROBABILITY_ERROR > EXP_ERROR + RECIPROCAL_ERROR + U + SECOND_ORDER);
    assert!(SHORTFALL_ERROR > SIGMA_ERROR + RECIPROCAL_ERROR + 2.0 * U + SECOND_ORDER);
    assert!(LOG_ERROR > EXP_ERROR + LN_1P_ERROR + SECOND_ORDER);
    assert!(TERM_ERROR > EXP_ERROR + 2.0 * U + SECOND_ORDER);
    assert!(REMAINDER_ERROR > RECIPROCAL_ERROR + 2.0 * U + SECOND_ORDER);
    assert!(RISE_ERROR > EXP_ERROR + 2.0 * U + SECOND_ORDER);
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

/// The weight of a logit: `exp(z - max)`, 0 at -inf.
#[inline]
fn weight(max: f64, z: f64) -> f64 {
    let (high, low) = two_sum(max, -z);
    // Beyond the reach the difference may have no rest.
    let is_near = high <= REACH;
    let weight = exp_of_minus(if is_near { high } else { REACH }, if is_near { low } else { 0.0 });
    let weight = if is_near { weight } else { LEAST_WEIGHT };
    if z == f64::NEG_INFINITY { 0.0 } else { weight }
}

/// The leading 42 bits of ln 2, and the rest.
const L1: f64 = f64::from_bits(0x3fe6_2e42_fefa_3800);
const L2: f64 = f64::from_bits(0x3d2e_f357_93c7_6730);

/// `exp(-(high + low))` for `0 <= high <= 700` and `|low| <= ulp(high) / 2`; see the head of the file.
#[inline]
fn exp_of_minus(high: f64, low: f64) -> f64 {
    /// Adding it rounds to an integer, which is then in the low bits.
    const ROUNDING: f64 = 6_755_399_441_055_744.0;
    let shifted = -high * std::f64::consts::LOG2_E + ROUNDING;
    let k = shifted - ROUNDING;
    let a = -high - k * L1;
    let product = k * L2;
    let reduced = a - product;
    let rest = ((a - reduced) - product) - low;
    let t = reduced + reduced * reduced * series(reduced);
    let t = t + (rest + rest * t);
    // k is in the low bits of `shifted`; its place is the exponent's.
    f64::from_bits((1.0 + t).to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// `log(1 + x)` of an `x >= 0`, within 12 roundoffs. Every machine computes the same.
pub(crate) fn log1p(x: f64) -> f64 {
    ln_1p(x, 0.0)
}

/// `exp(x)` of an `x >= 0`, within 4 roundoffs; infinite beyond `exp(700)`. Every machine computes the same.
pub(crate) fn exp(x: f64) -> f64 {
    if x > REACH { f64::INFINITY } else { 1.0 / exp_of_minus(x, 0.0) }
}

/// `(exp(a) - 1 - a) / a^2` for `|a| < 0.3467`: `h` of the head of the file.
#[inline]
fn series(a: f64) -> f64 {
    COEFFICIENTS[1..].iter().fold(COEFFICIENTS[0], |h, coefficient| h * a + coefficient)
}

/// `1 / k!` for `k` from 13 down to 2.
const COEFFICIENTS: [f64; 12] = {
    let mut coefficients = [0.0; 12];
    let (mut factorial, mut k) = (1.0, 2);
    while k <= 13 {
        factorial *= k as f64;
        coefficients[13 - k] = 1.0 / factorial;
        k += 1;
    }
    coefficients
};

/// `log(1 + high + low)` of a sum above -1, `low` at most an ulp of `high`; see the head of the file.
#[inline]
fn ln_1p(high: f64, low: f64) -> f64 {
    let s = high + low;
    if s < std::f64::consts::SQRT_2 - 1.0 && s > std::f64::consts::FRAC_1_SQRT_2 - 1.0 {
        return two_atanh(s / (2.0 + s));
    }
    let (sum, rest) = two_sum(1.0, high);
    ln(sum, rest + low)
}

/// `log(high + low)` of a positive `high` and a `low` of an ulp of it at most, but not of a sum near 1; see the head of the file.
#[inline]
fn ln(high: f64, low: f64) -> f64 {
    let e = exponent(high);
    let k = if ldexp(high, -e) > std::f64::consts::SQRT_2 { e + 1 } else { e };
    // The difference is exact.
    let f = (ldexp(high, -k) - 1.0) + ldexp(low, -k);
    let k = f64::from(k);
    k * L1 + (k * L2 + two_atanh(f / (2.0 + f)))
}

/// `2 atanh(t)` for `|t| < 0.172`.
#[inline]
fn two_atanh(t: f64) -> f64 {
    let square = t * t;
    2.0 * t * (1.0 + ODD.iter().fold(0.0, |sum, odd| (sum + odd) * square))
}

/// `1 / (2 k + 1)` for `k` from 11 down to 1.
const ODD: [f64; 11] = {
    let mut odd = [0.0; 11];
    let mut k = 1;
    while k <= 11 {
        odd[11 - k] = 1.0 / (2 * k + 1) as f64;
        k += 1;
    }
    odd
};

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
        let target = other.as_ref().map(|other| OfRow::new(other, case));
        let tier = OfRow { other: target.as_ref(), ..OfRow::new(&row, case) };
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

/// A prefix: its maximum, and the logarithm of its sum.
#[derive(Debug, Clone, Copy)]
struct Prefix {
    max: f64,
    log_total: Near,
}

/// Every prefix of a row that is finite but for some -inf, in one pass; see the head of the file.
fn prefixes(logits: &[f64]) -> Vec<Prefix> {
    let (mut max, mut high, mut low, mut error) = (f64::NEG_INFINITY, 0.0, 0.0, 0.0);
    let mut step = |&z: &f64| {
        if z > max {
            // Of the first finite logit nothing came before.
            let (sum, rest) = if max == f64::NEG_INFINITY { (0.0, 0.0) } else { two_sum(1.0, high) };
            let factor = weight(z, max);
            (high, low) = ((sum + (rest + low)) * factor, 0.0);
            error = error * factor + high * RISE_ERROR;
            max = z;
        } else if z > f64::NEG_INFINITY {
            let weight = if z == max { 1.0 } else { weight(max, z) };
            let (sum, rest) = two_sum(high, weight);
            (high, low) = two_sum(sum, rest + low);
            error += if z == max { 0.0 } else { weight * EXP_ERROR } + (rest + low).abs() * (2.0 * U);
        }
        let log_total = ln_1p(high, low);
        let radius = log_total * LN_1P_ERROR + error / (1.0 + high);
        Prefix { max, log_total: Near { high: log_total, low: 0.0, radius: radius * PREFIX_SAFETY } }
    };
    logits.iter().map(&mut step).collect()
}

/// The tier: the quantities of a case.
#[derive(Clone)]
struct OfRow<'a> {
    row: &'a NearRow,
    /// The tier of the target's logits, for the ops that take them.
    other: Option<&'a OfRow<'a>>,
    /// Whether the maxima have half of the weight or more, so that their probability is better known by what it lacks.
    is_dominated: bool,
    shortfall: Near,
    log_total: Near,
    target: usize,
    smoothing: f64,
    /// `e / n`.
    spread: Near,
    /// The target distribution where it is given class by class; else empty.
    masses: &'a [f64],
    expected_gap: Near,
    direction: Cow<'a, [f64]>,
    total: Near,
    /// The mean of the direction over the maxima, and that mean less `c`.
    top_mean: Near,
    remainder: Near,
    /// For the ops that are of prefixes; else empty.
    prefixes: Vec<Prefix>,
}

impl<'a> OfRow<'a> {
    fn new(row: &'a NearRow, case: &'a Case) -> Self {
        let n = row.logits.len() as f64;
        let shortfall = row.sigma.0 * row.reciprocal / row.tops;
        let (target, smoothing) = case.target().unwrap_or((0, 0.0));
        let spread = match smoothing {
            0.0 => Near::ZERO,
            smoothing => Near::relative(smoothing / n, U),
        };
        let mut tier = Self {
            row,
            other: None,
            is_dominated: row.tops >= row.sigma.0,
            shortfall: Near::relative(shortfall, SHORTFALL_ERROR),
            log_total: Near::relative(row.log_total, LOG_ERROR),
            target,
            smoothing,
            spread,
            masses: case.distribution().unwrap_or(&[]),
            expected_gap: Near::ZERO,
            direction: case.seen(),
            total: Near::ZERO,
            top_mean: Near::ZERO,
            remainder: Near::ZERO,
            prefixes: if case.op().is_of_prefixes() { prefixes(&row.logits) } else { Vec::new() },
        };
        if case.target().is_some() {
            tier.expected_gap = tier.expected_gap_of_row();
        }
        if !tier.masses.is_empty() {
            tier.expected_gap = tier.expected_gap_of_masses();
        }
        if !tier.direction.is_empty() {
            tier.sum_direction();
        }
        tier
    }

    /// `(1 - e) d_t + e / n sum d_i`: an absent term has no infinity.
    fn expected_gap_of_row(&self) -> Near {
        let mut gap = Near::ZERO;
        if self.smoothing < 1.0 {
            gap = match self.smoothing {
                0.0 => self.gap(self.target),
                smoothing => Near::exact(1.0).minus(smoothing) * self.gap(self.target),
            };
        }
        if self.smoothing > 0.0 {
            let mut sum = Sum::default();
            for (i, &z) in self.row.logits.iter().enumerate() {
                let (high, low) = two_sum(self.row.max, -z);
                sum.add(i % LANES, high);
                sum.low[i % LANES] += low;
                sum.rests += low.abs();
            }
            gap = gap + self.spread * sum.near(self.row.logits.len());
        }
        gap
    }

    /// `sum q_i d_i`: a class without mass is absent, whatever its distance.
    ///
    /// With `d_i = high + low` exactly, `q_i high` and `q_i low` are rounded once each: by `U` of the sizes of all products, to which the
    /// radius of the sum comes. A mass is `2^-149` at least and a distance as much, so nothing underflows.
    fn expected_gap_of_masses(&self) -> Near {
        let (mut sum, mut size) = (Sum::default(), 0.0);
        for (i, (&mass, &z)) in self.masses.iter().zip(self.row.logits.iter()).enumerate() {
            if mass == 0.0 {
                continue;
            }
            if z == f64::NEG_INFINITY {
                return Near::exact(f64::INFINITY);
            }
            let (high, low) = two_sum(self.row.max, -z);
            let (product, rest) = (mass * high, mass * low);
            sum.add(i % LANES, product);
            sum.low[i % LANES] += rest;
            sum.rests += rest.abs();
            // A mass that is a power of two rounds nothing.
            size += if is_power_of_two(mass) { 0.0 } else { product + rest.abs() };
        }
        let near = sum.near(self.masses.len());
        Near { radius: near.radius + size * (1.5 * U), ..near }
    }

    /// `sum p_i d_i`, of terms that are not negative.
    ///
    /// With `d_i` in one `f64` (`U` of itself) and the product rounded, a term errs by less than [`TERM_ERROR`] of itself; nothing is known of
    /// one whose weight is not computed but that it is smaller. Their sum times `R` errs by [`REMAINDER_ERROR`] more.
    fn mean_of_gaps(&self) -> Near {
        let (mut sum, mut error) = (Sum::default(), 0.0);
        for (i, (&w, &z)) in self.row.weights.iter().zip(self.row.logits.iter()).enumerate() {
            if w == 0.0 || z == self.row.max {
                continue;
            }
            let term = w * (self.row.max - z);
            sum.add(i % LANES, term);
            error += term * if w <= LEAST_WEIGHT { 2.0 } else { TERM_ERROR }
                + if term > TINY { 0.0 } else { f64::MIN_POSITIVE };
        }
        let mean = sum.total().0 * self.row.reciprocal;
        Near { high: mean, low: 0.0, radius: error * self.row.reciprocal * 1.001 + mean * REMAINDER_ERROR }
    }

    /// `sum p_i(t) (d_i(z) - d_i(t))` of the target's logits `t`; infinite where a class is masked that these do not mask.
    ///
    /// As [`OfRow::mean_of_gaps`], of differences that err by their radius besides.
    fn mean_of_gap_differences(&self, target: &Self) -> Near {
        let (mut sum, mut error) = (Sum::default(), 0.0);
        for (i, &w) in target.row.weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            if self.row.logits[i] == f64::NEG_INFINITY {
                return Near::exact(f64::INFINITY);
            }
            let difference = self.gap(i) - target.gap(i);
            let term = w * difference.value();
            sum.add(i % LANES, term);
            error += term.abs() * if w <= LEAST_WEIGHT { 2.0 } else { TERM_ERROR }
                + w * difference.radius
                + if term.abs() > TINY { 0.0 } else { f64::MIN_POSITIVE };
        }
        let mean = sum.total().0 * target.row.reciprocal;
        let radius = error * target.row.reciprocal * 1.001 + mean.abs() * REMAINDER_ERROR;
        Near { high: mean, low: 0.0, radius }
    }

    /// The sum of the direction, its mean over the maxima, and how far that is from `c`.
    fn sum_direction(&mut self) {
        let (mut total, mut top) = (Sum::default(), Sum::default());
        for (i, (&g, &z)) in self.direction.iter().zip(self.row.logits.iter()).enumerate() {
            total.add(i % LANES, g);
            top.add(i % LANES, if z == self.row.max { g } else { 0.0 });
        }
        self.total = total.near(self.direction.len());
        let top = top.near(self.direction.len());
        let mean = top.value() / self.row.tops;
        // The sum of few numbers is often one; a division by 1, 2 or 4 is then exact.
        let is_exact = top.low == 0.0 && top.radius == 0.0 && is_power_of_two(self.row.tops);
        let radius = if is_exact { 0.0 } else { top.radius + mean.abs() * (2.0 * U) };
        self.top_mean = Near { high: mean, low: 0.0, radius };
        let (mut sum, mut error) = (Sum::default(), 0.0);
        for (i, ((&g, &w), &z)) in self.direction.iter().zip(&self.row.weights).zip(self.row.logits.iter()).enumerate()
        {
            let difference = self.top_mean.high - g;
            let term = if z == self.row.max { 0.0 } else { w * difference };
            sum.add(i % LANES, term);
            // Nothing is known of a weight that is not computed but its sign, and that it is smaller.
            let own = if w <= LEAST_WEIGHT { 2.0 } else { TERM_ERROR };
            let lost = if term.abs() > TINY || difference == 0.0 || w == 0.0 { 0.0 } else { f64::MIN_POSITIVE };
            error += term.abs() * own + if z == self.row.max { 0.0 } else { w * self.top_mean.radius + lost };
        }
        let sum = sum.total().0;
        let remainder = sum * self.row.reciprocal;
        self.remainder = Near {
            high: remainder,
            low: 0.0,
            radius: error * self.row.reciprocal * 1.001 + remainder.abs() * REMAINDER_ERROR,
        };
    }

    /// `base + rest`, beside the base where that is exact and far above the rest.
    #[inline]
    fn together(base: Near, rest: Near) -> Near {
        let low = base.low + rest.value();
        let rounded = (base.low.abs() + rest.high.abs() + rest.low.abs()) * (2.0 * U);
        // A rest alone, of a base that is 0 or a number, keeps its own precision.
        let rounded = if base.low == 0.0 && rest.low == 0.0 { 0.0 } else { rounded };
        Near { high: base.high, low, radius: base.radius + rest.radius + rounded }
    }
}

/// Whether a positive normal number is a power of two.
fn is_power_of_two(x: f64) -> bool {
    x.to_bits() << 12 == 0
}

impl Near {
    /// The number less an `f64`.
    #[inline]
    fn minus(self, x: f64) -> Near {
        self - Near::exact(x)
    }
}

impl RowTier for OfRow<'_> {
    type Number = Near;
    type Rational = Near;

    #[inline]
    fn max(&self) -> Near {
        Near::exact(self.row.max)
    }

    #[inline]
    fn gap(&self, j: usize) -> Near {
        let (high, low) = two_sum(self.row.max, -self.row.logits[j]);
        Near { high, low: if high.is_finite() { low } else { 0.0 }, radius: 0.0 }
    }

    #[inline]
    fn log_total(&self) -> Near {
        self.log_total
    }

    #[inline]
    fn is_top(&self, j: usize) -> bool {
        self.row.logits[j] == self.row.max
    }

    #[inline]
    fn top_share(&self) -> Near {
        let share = 1.0 / self.row.tops;
        // A quotient is exact where a power of two divides.
        let is_exact = is_power_of_two(self.row.tops);
        Near::relative(share, if is_exact { 0.0 } else { U })
    }

    #[inline]
    fn shortfall(&self) -> Near {
        self.shortfall
    }

    #[inline]
    fn probability(&self, j: usize) -> Near {
        if self.is_dominated && self.is_top(j) {
            return Self::together(self.top_share(), -self.shortfall);
        }
        Near::relative(self.row.weights[j] * self.row.reciprocal, PROBABILITY_ERROR)
    }

    #[inline]
    fn target_mass(&self, j: usize) -> Near {
        if let Some(&mass) = self.masses.get(j) {
            return Near::exact(mass);
        }
        if j == self.target { Near::exact(1.0).minus(self.smoothing) + self.spread } else { self.spread }
    }

    #[inline]
    fn expected_gap(&self) -> Near {
        self.expected_gap
    }

    #[inline]
    fn mean_gap(&self) -> Near {
        self.mean_of_gaps()
    }

    #[inline]
    fn prefix_max(&self, j: usize) -> Near {
        Near::exact(self.prefixes[j].max)
    }

    #[inline]
    fn prefix_log_total(&self, j: usize) -> Near {
        self.prefixes[j].log_total
    }

    #[inline]
    fn direction(&self, j: usize) -> Near {
        Near::exact(self.direction[j])
    }

    #[inline]
    fn direction_total(&self) -> Near {
        self.total
    }

    #[inline]
    fn mean(&self) -> Near {
        Self::together(self.top_mean, -self.remainder)
    }

    #[inline]
    fn deviation(&self, j: usize) -> Near {
        if self.is_top(j) && self.row.tops == 1.0 {
            return self.remainder;
        }
        Self::together(Near::exact(self.direction[j]) - self.top_mean, self.remainder)
    }

    #[inline]
    fn other(&self) -> Self {
        self.other.unwrap_or(self).clone()
    }

    /// Of a weight that is not computed nothing is known but that it is positive and smaller: not even which of two is larger.
    fn probability_difference(&self, j: usize) -> Near {
        let target = self.other.unwrap_or(self);
        let (is_top, is_target_top) = (self.is_top(j), target.is_top(j));
        let unknown = |row: &NearRow| if row.weights[j] > LEAST_WEIGHT { 0.0 } else { 2.0 * row.weights[j] };
        let difference = match is_top && is_target_top {
            true => Self::together(self.top_share() - target.top_share(), target.shortfall - self.shortfall),
            false => self.probability(j) - target.probability(j),
        };
        Near { radius: difference.radius + unknown(self.row) + unknown(target.row), ..difference }
    }

    fn divergence(&self) -> Near {
        let target = self.other.unwrap_or(self);
        let mean = self.mean_of_gap_differences(target);
        if mean.high.is_infinite() { mean } else { mean + (self.log_total - target.log_total) }
    }

    #[inline]
    fn zero(&self) -> Near {
        Near::ZERO
    }

    #[inline]
    fn minus(&self, a: &Near, b: &Near) -> Near {
        *a - *b
    }

    #[inline]
    fn times(&self, a: &Near, b: &Near) -> Near {
        if *b == Near::exact(1.0) { *a } else { *a * *b }
    }

    #[inline]
    fn sign(&self, _: &Near) -> f64 {
        0.0
    }

    #[inline]
    fn number(&self, x: Near) -> Near {
        x
    }

    #[inline]
    fn scaled(&self, a: &Near, x: Near) -> Near {
        *a * x
    }

    #[inline]
    fn beside(&self, base: Near, rest: Near, _: f64) -> Near {
        Self::together(base, rest)
    }
}

#[cfg(test)]
mod tests;
