//! A row in double-doubles: its weights and sums, what its cotangent, tangent or values come to, and how it differs from the row of the target's
//! logits.

use crate::case::Case;
use crate::dtype::two_sum;
use crate::oracle::ball::Ball;
use crate::oracle::ball::functions::REACH;
use crate::oracle::near::{Near, Sum};
use crate::oracle::prefix::Prefixes;
use std::borrow::Cow;
use std::cell::OnceCell;

/// More than `exp(-700)`: what is known of the weight of a logit that is farther from the maximum is that it is positive, and smaller.
const LEAST_WEIGHT: f64 = 1e-304;

/// A row with what the ops need of it.
pub(super) struct Row<'a> {
    pub case: &'a Case,
    pub logits: Cow<'a, [f64]>,
    pub max: f64,
    pub weights: Vec<Ball>,
    /// The number of maxima.
    pub tops: f64,
    /// The sum of the other weights, `1 / S`, and `log S`.
    pub sigma: Ball,
    pub reciprocal: Ball,
    pub log_total: Ball,
    /// The row of the target's logits, for the ops that take them.
    pub other: Option<Box<Row<'a>>>,
    pub masses: &'a [f64],
    pub direction: Cow<'a, [f64]>,
    pub expected_gap: OnceCell<Ball>,
    pub total: OnceCell<Ball>,
    pub means: OnceCell<Means>,
    /// How the row differs from that of the target's logits, if they are near each other.
    pub differences: OnceCell<Option<Differences>>,
    /// Whether the row is a permutation of that of the target's logits, but for one number that is added to all: that number.
    pub shift: OnceCell<Option<(f64, f64)>>,
    /// For the ops that are of prefixes.
    pub prefixes: OnceCell<Prefixes>,
}

/// The means of the direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    /// The sum over the maxima, and their mean.
    pub sum: Ball,
    pub top: Ball,
    /// How much the mean over the maxima is above that over all.
    pub remainder: Ball,
}

/// How a row differs from that of the target's logits: with `delta_i = z_i - t_i - s`, where `s` is that difference at a largest logit `k` of the
/// target's, `e_i = exp(delta_i) - 1` and `p_i` the probabilities of the target, `p_j(z) = p_j exp(delta_j) / (1 + m)`,
///
/// ```text
/// m = sum p_i e_i + x,    x = (1 / S) sum exp(z_i - z_k) over what the target masks alone
/// p_j(z) - p_j = p_j (e_j - m) / (1 + m)
/// sum p_i (log p_i - log p_i(z)) = log(1 + m) - sum p_i delta_i = sum p_i (e_i - delta_i) + x - (m - log(1 + m))
/// ```
///
/// so that no more cancels than must where the rows are nearly one.
pub(super) struct Differences {
    /// `e_j`; -1 of what the row masks alone, and of no account where the target masks.
    pub rises: Vec<Ball>,
    /// `m`.
    pub mean: Ball,
    /// `sum p_i (e_i - delta_i) + x`.
    pub second: Ball,
}

impl<'a> Row<'a> {
    pub fn of(case: &'a Case) -> Self {
        let logits = match case.scale() {
            None => Cow::Borrowed(case.logits()),
            // Products of numbers of a narrow dtype are `f64`.
            Some(scale) => case.logits().iter().map(|z| z * scale).collect(),
        };
        let other = case.target_logits().map(|logits| Box::new(Self::new(case, Cow::Borrowed(logits))));
        Self { other, ..Self::new(case, logits) }
    }

    fn new(case: &'a Case, logits: Cow<'a, [f64]>) -> Self {
        let max = logits.iter().fold(f64::NEG_INFINITY, |max, &z| if z > max { z } else { max });
        let weights: Vec<Ball> = logits.iter().map(|&z| weight(max, z)).collect();
        let tops = logits.iter().filter(|z| **z == max).count() as f64;
        let term = |i: usize| if logits[i] == max { Ball::ZERO } else { weights[i] };
        let has_others = logits.iter().any(|&z| z != max && z != f64::NEG_INFINITY);
        let sigma = if has_others { Ball::sum(0, weights.len(), &term) } else { Ball::ZERO };
        let log_total = (Ball::exact(tops - 1.0) + sigma).ln_1p().unwrap_or(Ball::UNKNOWN);
        Self {
            case,
            max,
            tops,
            sigma,
            reciprocal: Ball::exact(1.0) / (Ball::exact(tops) + sigma),
            log_total,
            other: None,
            masses: case.distribution().unwrap_or(&[]),
            direction: case.seen(),
            expected_gap: OnceCell::new(),
            total: OnceCell::new(),
            means: OnceCell::new(),
            differences: OnceCell::new(),
            shift: OnceCell::new(),
            prefixes: OnceCell::new(),
            weights,
            logits,
        }
    }

    /// `a - z_j`, exactly.
    #[inline]
    pub fn gap(&self, j: usize) -> Ball {
        let (high, low) = two_sum(self.max, -self.logits[j]);
        Ball { high, low: if high.is_finite() { low } else { 0.0 }, radius: 0.0 }
    }

    pub fn sum(&self, term: &impl Fn(usize) -> Ball) -> Ball {
        Ball::sum(0, self.logits.len(), term)
    }

    pub fn prefixes(&self) -> &Prefixes {
        self.prefixes.get_or_init(|| Prefixes::new(self.case.shared_logits().clone(), self.case.dtype().output()))
    }

    /// `e / n`.
    pub fn spread(&self, smoothing: f64) -> Ball {
        quotient(smoothing, self.logits.len() as f64)
    }

    /// `sum q_i d_i`: an absent term has no infinity.
    pub fn expected_gap(&self) -> Ball {
        if !self.masses.is_empty() {
            let term = |i: usize| match self.masses[i] {
                0.0 => Ball::ZERO,
                mass => Ball::exact(mass) * self.gap(i),
            };
            return self.sum(&term);
        }
        let (target, smoothing) = self.case.target().unwrap_or((0, 0.0));
        let own = match smoothing {
            0.0 => return self.gap(target),
            1.0 => Ball::ZERO,
            _ => Ball::difference(1.0, smoothing) * self.gap(target),
        };
        own + self.spread(smoothing) * self.sum(&|i| self.gap(i))
    }

    fn is_top(&self, j: usize) -> bool {
        self.logits[j] == self.max
    }

    pub fn is_masked(&self, j: usize) -> bool {
        self.logits[j] == f64::NEG_INFINITY
    }

    pub fn means(&self) -> &Means {
        self.means.get_or_init(|| {
            let tops = self.direction.iter().enumerate().filter(|(i, _)| self.is_top(*i));
            let sum = sum_of(tops.map(|(_, &g)| g));
            let top = if sum.is_number() { quotient(sum.high, self.tops) } else { sum / Ball::exact(self.tops) };
            Means { sum, top, remainder: self.remainder(sum, top) }
        })
    }

    /// `(1 / S) sum w_i (top - g_i)` over the logits below the maximum.
    fn remainder(&self, sum: Ball, top: Ball) -> Ball {
        let is_other = |i: usize| !self.is_top(i) && !self.is_masked(i);
        if (0..self.logits.len()).all(|i| !is_other(i) || self.weights[i].high == 0.0) {
            return self.remainder_of_far(top);
        }
        let term = |i: usize| match is_other(i) {
            true => self.weights[i] * (top - Ball::exact(self.direction[i])),
            false => Ball::ZERO,
        };
        let remainder = self.sum(&term) * self.reciprocal;
        // Sorting pays only where it may show that nothing is left.
        if remainder.high.abs() <= remainder.radius && self.has_common_mean(sum) { Ball::ZERO } else { remainder }
    }

    /// The same where every weight is beyond the reach, of which a sum would not even know the sign: it is that of the sum seen from the
    /// largest logit whose direction differs. The number is then on its side of 0, though perhaps nearer to it than the ball is: what lies
    /// between is far below anything that is told.
    fn remainder_of_far(&self, top: Ball) -> Ball {
        let difference = |i: usize| match self.minus_direction(top, i) {
            difference if difference.is_zero() => None,
            _ if self.is_top(i) || self.is_masked(i) => None,
            difference => Some(difference),
        };
        let all =
            || (0..self.logits.len()).filter_map(|i| difference(i).map(|difference| (self.logits[i], difference)));
        let Some(first) = all().map(|(z, _)| z).reduce(f64::max) else { return Ball::ZERO };
        let sizes = all().fold(0.0, |sum, (_, difference)| sum + difference.bound());
        // It must not be lost to underflow.
        let bound = (sizes * (LEAST_WEIGHT * (1.0 + 1e-9))).max(f64::MIN_POSITIVE);
        let seen = all().fold(Ball::ZERO, |sum, (z, difference)| sum + weight(first, z) * difference);
        match seen.is_not_zero() {
            true => Ball { high: bound.copysign(seen.high), low: 0.0, radius: bound.next_down() },
            false => Ball { high: 0.0, low: 0.0, radius: bound },
        }
    }

    /// `x - g_i`.
    fn minus_direction(&self, x: Ball, i: usize) -> Ball {
        let own = self.direction[i];
        if x.is_number() { Ball::difference(x.high, own) } else { x - Ball::exact(own) }
    }

    /// Whether the direction has the same mean over every group of equal logits as over the maxima, whose sum this is.
    fn has_common_mean(&self, sum: Ball) -> bool {
        let mut order: Vec<usize> = (0..self.logits.len()).filter(|&i| !self.is_masked(i)).collect();
        order.sort_unstable_by(|&i, &j| self.logits[i].total_cmp(&self.logits[j]));
        let mut groups = order.chunk_by(|&i, &j| self.logits[i] == self.logits[j]);
        sum.is_number()
            && groups.all(|group| {
                let own = sum_of(group.iter().map(|&i| self.direction[i]));
                own.is_number() && are_equal(own.high, self.tops, sum.high, group.len() as f64)
            })
    }

    /// See [`Differences`].
    pub fn differences(&self) -> Option<&Differences> {
        /// Rows that are farther apart have other probabilities.
        const MOST: f64 = 40.0;
        let target = self.other.as_deref()?;
        let make = || {
            let k = (0..target.logits.len()).find(|&k| target.is_top(k)).filter(|&k| !self.is_masked(k))?;
            let difference = |i: usize| two_sum(self.logits[i], -target.logits[i]);
            let shift = difference(k);
            let mut rises = Vec::with_capacity(self.logits.len());
            let (mut sum, mut second) = (Vec::with_capacity(self.logits.len()), Vec::with_capacity(self.logits.len()));
            for i in 0..self.logits.len() {
                let (rise, own, more) = match (self.is_masked(i), target.is_masked(i)) {
                    (true, true) => (Ball::ZERO, Ball::ZERO, Ball::ZERO),
                    (true, false) => (Ball::exact(-1.0), -target.weights[i], Ball::UNKNOWN),
                    (false, true) => {
                        let (high, low) = two_sum(self.logits[i], -self.logits[k]);
                        if high > MOST {
                            return None;
                        }
                        let weight = if high < -REACH { far() } else { Ball::exp(high, low) };
                        (Ball::ZERO, weight, weight)
                    }
                    (false, false) if difference(i) == shift => (Ball::ZERO, Ball::ZERO, Ball::ZERO),
                    (false, false) => {
                        let (high, low) = difference(i);
                        let delta = Ball { high, low, radius: 0.0 } - Ball { high: shift.0, low: shift.1, radius: 0.0 };
                        if delta.bound().is_nan() || delta.bound() > MOST {
                            return None;
                        }
                        let widened = |x: Ball, slope: f64| Ball { radius: x.radius + delta.radius * slope, ..x };
                        let rise = Ball::expm1(delta.high, delta.low);
                        // The derivatives are exp(delta), and that less 1.
                        let slope = rise.bound() * (1.0 + 1e-9) + delta.radius;
                        let rise = widened(rise, 1.0 + slope);
                        let more = widened(Ball::expm1_less_argument(delta.high, delta.low), slope);
                        (rise, target.weights[i] * rise, target.weights[i] * more)
                    }
                };
                rises.push(rise);
                sum.push(own);
                second.push(more);
            }
            let mean = |terms: &[Ball]| Ball::sum(0, terms.len(), &|i| terms[i]) * target.reciprocal;
            Some(Differences { rises, mean: mean(&sum), second: mean(&second) })
        };
        self.differences.get_or_init(make).as_ref()
    }

    /// See [`Row::shift`].
    pub fn shift(&self) -> Option<(f64, f64)> {
        let sorted = |row: &Self| {
            let mut logits = row.logits.to_vec();
            logits.sort_unstable_by(f64::total_cmp);
            logits
        };
        *self.shift.get_or_init(|| {
            let (own, target) = (sorted(self), sorted(self.other.as_deref()?));
            let masked = |row: &[f64]| row.iter().take_while(|z| **z == f64::NEG_INFINITY).count();
            let first = masked(&own);
            let mut shifts = own.iter().zip(&target).skip(first).map(|(&z, &t)| two_sum(z, -t));
            let shift = shifts.next().filter(|_| masked(&target) == first)?;
            shifts.all(|other| other == shift).then_some(shift)
        })
    }
}

/// The weight of a logit.
#[inline]
fn weight(max: f64, z: f64) -> Ball {
    if z == f64::NEG_INFINITY {
        return Ball::ZERO;
    }
    let (high, low) = two_sum(max, -z);
    match high {
        0.0 => Ball::exact(1.0),
        // Beyond the reach the difference may have no rest.
        _ if high <= REACH => Ball::exp(-high, -low),
        _ => far(),
    }
}

/// A weight beyond the reach.
fn far() -> Ball {
    Ball { high: 0.0, low: 0.0, radius: LEAST_WEIGHT }
}

/// Whether `a m = b n`, where that is certain.
pub(super) fn are_equal(a: f64, m: f64, b: f64, n: f64) -> bool {
    let (left, right) = (Ball::product(a, m), Ball::product(b, n));
    left.radius == 0.0 && right.radius == 0.0 && (left.high, left.low) == (right.high, right.low)
}

/// The sum of numbers.
pub(super) fn sum_of(numbers: impl Iterator<Item = f64>) -> Ball {
    let (mut sum, mut count) = (Sum::default(), 0);
    for x in numbers {
        sum.add(0, x);
        count += 1;
    }
    let Near { high, low, radius } = sum.near(count);
    let (high, low) = two_sum(high, low);
    Ball { high, low, radius }
}

/// `a / b` of a `b` that is a whole number.
pub(super) fn quotient(a: f64, b: f64) -> Ball {
    let quotient = a / b;
    // The remainder of a quotient is exact far from underflow.
    let is_exact = a == 0.0 || (quotient.abs() > 1e-200 && quotient.mul_add(b, -a) == 0.0);
    if is_exact { Ball::exact(quotient) } else { Ball::exact(a) / Ball::exact(b) }
}
