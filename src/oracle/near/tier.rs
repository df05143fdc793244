//! The quantities of a case in plain `f64`, from which the formulas of the ops make its outputs. What is said here continues the head of
//! `near`.
//!
//! **Prefixes.** `s`, the sum of the weights of a prefix without one maximum, is kept with its rest, as `high + low`, and its error beside
//! it. A logit that is no larger adds its weight, with `1.9 U` of it. A larger one multiplies `s + 1` by a weight: the sum keeps its rest,
//! is rounded once (`U`), the factor errs by `1.9 U` and the product by `U`, so with what `s` erred by before, times the factor, it is below
//! `4.5 U` of the new `s` more. `log(1 + s)` errs by `10 U` of itself and by the error of `s` over `1 + s`. All errors are added up in plain
//! numbers, of at most `2^40` terms: [`PREFIX_SAFETY`].

use super::functions::{EXP_ERROR, LEAST_WEIGHT, LN_1P_ERROR, ln_1p, weight};
use super::{
    LANES, LOG_ERROR, Near, NearRow, PROBABILITY_ERROR, REMAINDER_ERROR, SECOND_ORDER, SHORTFALL_ERROR, Sum,
    TERM_ERROR, TINY, U, is_power_of_two,
};
use crate::case::Case;
use crate::dtype::two_sum;
use crate::op::tier::RowTier;
use std::borrow::Cow;

/// Of the sum of a prefix, where the maximum rises, and what covers that errors are rounded themselves.
const RISE_ERROR: f64 = 4.5 * U;
const PREFIX_SAFETY: f64 = 1.001;

const _: () = assert!(RISE_ERROR > EXP_ERROR + 2.0 * U + SECOND_ORDER);

/// A prefix: its maximum, and the logarithm of its sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    max: f64,
    pub(super) log_total: Near,
}

/// Every prefix of a row that is finite but for some -inf, in one pass; see the head of the file.
pub(super) fn prefixes(logits: &[f64]) -> Vec<Prefix> {
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

/// Whether one number is added to every logit of a row, masked ones excepted, which both must have.
fn is_shifted(row: &[f64], target: &[f64]) -> bool {
    let is_masked = |z: f64| z == f64::NEG_INFINITY;
    let mut shifts = row.iter().zip(target).filter(|(z, t)| !(is_masked(**z) && is_masked(**t)));
    let shift = |(&z, &t): (&f64, &f64)| two_sum(z, -t);
    let first = shifts.next().map(shift);
    first.is_none_or(|first| first.0.is_finite() && shifts.all(|pair| shift(pair) == first))
}

/// The tier: the quantities of a case.
#[derive(Clone)]
pub(super) struct OfRow<'a> {
    row: &'a NearRow,
    /// The tier of the target's logits, for the ops that take them.
    other: Option<&'a OfRow<'a>>,
    /// Whether the row is that of the target's logits but for one number that is added to all: then so are its probabilities.
    is_shifted: bool,
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
    /// Those of a row; `other` are those of the target's logits, for the ops that take them.
    pub(super) fn new(row: &'a NearRow, other: Option<&'a OfRow<'a>>, case: &'a Case) -> Self {
        let n = row.logits.len() as f64;
        let shortfall = row.sigma.0 * row.reciprocal / row.tops;
        let (target, smoothing) = case.target().unwrap_or((0, 0.0));
        let spread = match smoothing {
            0.0 => Near::ZERO,
            // A quotient is exact where a power of two divides.
            smoothing => Near::relative(smoothing / n, if is_power_of_two(n) { 0.0 } else { U }),
        };
        let mut tier = Self {
            row,
            other,
            is_shifted: other.is_some_and(|other| is_shifted(&row.logits, &other.row.logits)),
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
        // The sum of few numbers is often one; a division by 1, 2 or 4 is then exact. And equal numbers have themselves as their mean.
        let is_exact = top.low == 0.0 && top.radius == 0.0 && is_power_of_two(self.row.tops);
        let radius = if is_exact { 0.0 } else { top.radius + mean.abs() * (2.0 * U) };
        self.top_mean = self.common_of_tops().map_or(Near { high: mean, low: 0.0, radius }, Near::exact);
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

    /// The direction at the maxima, if it is the same at all.
    fn common_of_tops(&self) -> Option<f64> {
        let mut tops = self.direction.iter().zip(self.row.logits.iter()).filter(|(_, z)| **z == self.row.max);
        let &first = tops.next()?.0;
        tops.all(|(&g, _)| g == first).then_some(first)
    }

    /// `base + rest`, beside the base where that is exact and far above the rest.
    #[inline]
    pub(super) fn together(base: Near, rest: Near) -> Near {
        let low = base.low + rest.value();
        let rounded = (base.low.abs() + rest.high.abs() + rest.low.abs()) * (2.0 * U);
        // A rest alone, of a base that is 0 or a number, keeps its own precision.
        let rounded = if base.low == 0.0 && rest.low == 0.0 { 0.0 } else { rounded };
        Near { high: base.high, low, radius: base.radius + rest.radius + rounded }
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
        if self.is_shifted {
            return Near::ZERO;
        }
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
        if self.is_shifted {
            return Near::ZERO;
        }
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
