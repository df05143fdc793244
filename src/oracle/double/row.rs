//! A row in double-doubles: its weights and sums, what its cotangent, tangent or values come to, and how it differs from the row of the target's
//! logits.

use super::real::Real;
use crate::case::Case;
use crate::dtype::{Dtype, two_sum};
use crate::op::terms::Anatomy;
use crate::oracle::ball::sum_by_halves;
use crate::oracle::prefix::Prefixes;
use std::borrow::Cow;
use std::cell::OnceCell;

/// A row with what the ops need of it.
pub(super) struct Row<'a, N> {
    pub case: &'a Case,
    pub logits: Cow<'a, [f64]>,
    /// What the logits are yet to be multiplied by, above 0, where products are no numbers; none where they are.
    scale: Option<f64>,
    pub max: f64,
    pub weights: Vec<N>,
    /// The number of maxima.
    pub tops: f64,
    /// The sum of the other weights, `1 / S`, and `log S`.
    pub sigma: N,
    pub reciprocal: N,
    pub log_total: N,
    /// The row of the target's logits, for the ops that take them.
    pub other: Option<Box<Row<'a, N>>>,
    pub masses: &'a [f64],
    pub direction: Cow<'a, [f64]>,
    pub expected_gap: OnceCell<N>,
    pub total: OnceCell<N>,
    pub means: OnceCell<Means<N>>,
    /// How the row differs from that of the target's logits, if they are near each other.
    pub differences: OnceCell<Option<Differences<N>>>,
    /// Whether the row is a permutation of that of the target's logits, but for one number that is added to all: that number.
    pub shift: OnceCell<Option<(f64, f64)>>,
    /// For the ops that are of prefixes.
    pub prefixes: OnceCell<Prefixes>,
}

/// The means of the direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<N> {
    /// The sum over the maxima, how many they are, and their mean; over all but the masked, where these are nearly equal.
    pub sum: N,
    pub count: f64,
    pub base: N,
    /// How much that mean is above the one that is weighted: where the base is that of all, `sum w_i (base - g_i)` is `sum (w_i - 1)
    /// (base - g_i)`.
    pub remainder: N,
}

/// How a row differs from that of the target's logits: with `delta_i = z_i - t_i - s`, where `s` is that difference at a largest logit `k` of the
/// target's, or, where the row is a permutation of the target's but for a number that is added to all, that number (then `m = 0`), `e_i = exp(delta_i) - 1` and `p_i` the probabilities of the target, `p_j(z) = p_j exp(delta_j) / (1 + m)`,
///
/// ```text
/// m = sum p_i e_i + x,    x = (1 / S) sum exp(z_i - z_k) over what the target masks alone
/// p_j(z) - p_j = p_j (e_j - m) / (1 + m)
/// sum p_i (log p_i - log p_i(z)) = log(1 + m) - sum p_i delta_i = sum p_i (e_i - delta_i) + x - (m - log(1 + m))
/// ```
///
/// so that no more cancels than must where the rows are nearly one.
pub(super) struct Differences<N> {
    /// `e_j`; -1 of what the row masks alone, of no account where the target masks, and not known of a class without weight in either row.
    pub rises: Vec<N>,
    /// `m`.
    pub mean: N,
    /// `sum p_i (e_i - delta_i) + x`.
    pub second: N,
}

impl<'a, N: Real> Row<'a, N> {
    pub fn of(case: &'a Case) -> Self {
        let (logits, scale) = match case.scale() {
            None => (Cow::Borrowed(case.logits()), None),
            Some(scale) if case.dtype() == Dtype::F64 => {
                (Cow::Owned(case.signed_logits().to_vec()), Some(scale.abs()).filter(|scale| *scale != 0.0))
            }
            // Products of numbers of a narrow dtype are `f64`.
            Some(scale) => (case.logits().iter().map(|z| z * scale).collect(), None),
        };
        let other = case.target_logits().map(|logits| Box::new(Self::new(case, Cow::Borrowed(logits), None)));
        Self { other, ..Self::new(case, logits, scale) }
    }

    fn new(case: &'a Case, logits: Cow<'a, [f64]>, scale: Option<f64>) -> Self {
        let max = logits.iter().fold(f64::NEG_INFINITY, |max, &z| if z > max { z } else { max });
        let weight = |&z: &f64| match z {
            f64::NEG_INFINITY => N::ZERO,
            _ => gap::<N>(max, z, scale).exp_of_minus(),
        };
        let weights: Vec<N> = logits.iter().map(weight).collect();
        let tops = logits.iter().filter(|z| **z == max).count() as f64;
        let term = |i: usize| if logits[i] == max { N::ZERO } else { weights[i] };
        let has_others = logits.iter().any(|&z| z != max && z != f64::NEG_INFINITY);
        let sigma = if has_others { sum_by_halves(N::ZERO, 0, weights.len(), &term) } else { N::ZERO };
        let log_total = (N::exact(tops - 1.0) + sigma).ln_1p();
        Self {
            case,
            scale,
            max,
            tops,
            sigma,
            reciprocal: N::exact(1.0) / (N::exact(tops) + sigma),
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

    /// `a - z_j`, exactly where nothing is multiplied.
    #[inline]
    pub fn gap(&self, j: usize) -> N {
        gap(self.max, self.logits[j], self.scale)
    }

    pub fn sum(&self, term: &impl Fn(usize) -> N) -> N {
        sum_by_halves(N::ZERO, 0, self.logits.len(), term)
    }

    /// What the error bounds need of the row.
    pub fn anatomy(&self) -> Anatomy {
        Anatomy {
            max: self.max,
            weights: self.weights.iter().map(|weight| weight.magnitude()).collect(),
            total: (N::exact(self.tops) + self.sigma).magnitude().to_f64(),
            others: (N::exact(self.tops - 1.0) + self.sigma).magnitude(),
            log_total: self.log_total.magnitude(),
        }
    }

    pub fn prefixes(&self) -> &Prefixes {
        self.prefixes.get_or_init(|| Prefixes::new(self.case.shared_logits().clone(), self.case.dtype().output()))
    }

    /// `e / n`.
    pub fn spread(&self, smoothing: f64) -> N {
        N::quotient(smoothing, self.logits.len() as f64)
    }

    /// `sum q_i d_i`: an absent term has no infinity.
    pub fn expected_gap(&self) -> N {
        if !self.masses.is_empty() {
            let term = |i: usize| match self.masses[i] {
                0.0 => N::ZERO,
                mass => N::exact(mass) * self.gap(i),
            };
            return self.sum(&term);
        }
        let (target, smoothing) = self.case.target().unwrap_or((0, 0.0));
        let own = match smoothing {
            0.0 => return self.gap(target),
            1.0 => N::ZERO,
            _ => N::difference(1.0, smoothing) * self.gap(target),
        };
        own + self.spread(smoothing) * self.sum(&|i| self.gap(i))
    }

    fn is_top(&self, j: usize) -> bool {
        self.logits[j] == self.max
    }

    pub fn is_masked(&self, j: usize) -> bool {
        self.logits[j] == f64::NEG_INFINITY
    }

    pub fn means(&self) -> &Means<N> {
        /// Up to here weights are told by what they lack of 1.
        const FLAT: f64 = 1.0 / (1u64 << 20) as f64;
        self.means.get_or_init(|| {
            let others = || (0..self.logits.len()).filter(|&i| !self.is_top(i) && !self.is_masked(i));
            let is_flat = self.scale.is_none() && others().all(|i| self.max - self.logits[i] <= FLAT);
            let members = || (0..self.logits.len()).filter(|&i| self.is_top(i) || (is_flat && !self.is_masked(i)));
            let (sum, count) = (N::total(members().map(|i| self.direction[i])), members().count() as f64);
            let base = sum.number().map_or_else(|| sum / N::exact(count), |sum| N::quotient(sum, count));
            let remainder = match is_flat {
                _ if others().next().is_none() => N::ZERO,
                true => self.remainder(sum, count, base, &|i| (-self.gap(i)).expm1()),
                false if others().all(|i| self.weights[i].is_lost()) => self.remainder_of_far(base),
                false => self.remainder(sum, count, base, &|i| self.weights[i]),
            };
            Means { sum, count, base, remainder }
        })
    }

    /// `(1 / S) sum w_i (base - g_i)` over the logits below the maximum.
    fn remainder(&self, sum: N, count: f64, base: N, weight: &impl Fn(usize) -> N) -> N {
        let is_other = |i: usize| !self.is_top(i) && !self.is_masked(i);
        let term = |i: usize| if is_other(i) { weight(i) * (base - N::exact(self.direction[i])) } else { N::ZERO };
        let remainder = self.sum(&term) * self.reciprocal;
        if !remainder.may_be_zero() {
            return remainder;
        }
        // Sorting pays only where it may show that nothing is left, or little.
        let mut order: Vec<usize> = (0..self.logits.len()).filter(|&i| is_other(i)).collect();
        order.sort_unstable_by(|&i, &j| self.logits[i].total_cmp(&self.logits[j]));
        let of_group = |group: &[usize]| {
            let (own, len) = (N::total(group.iter().map(|&i| self.direction[i])), group.len() as f64);
            match are_equal(own, count, sum, len) {
                true => N::ZERO,
                false => weight(group[0]) * (base * N::exact(len) - own),
            }
        };
        let groups: Vec<N> = order.chunk_by(|&i, &j| self.logits[i] == self.logits[j]).map(of_group).collect();
        sum_by_halves(N::ZERO, 0, groups.len(), &|i| groups[i]) * self.reciprocal
    }

    /// The same where every weight is beyond the reach, of which a sum would not even know the sign: it is that of the sum seen from the
    /// largest logit whose direction differs. The number is then on its side of 0, though perhaps nearer to it than the ball is: what lies
    /// between is far below anything that is told.
    fn remainder_of_far(&self, base: N) -> N {
        let difference = |i: usize| match self.minus_direction(base, i) {
            difference if difference.is_zero() => None,
            _ if self.is_top(i) || self.is_masked(i) => None,
            difference => Some(difference),
        };
        let all =
            || (0..self.logits.len()).filter_map(|i| difference(i).map(|difference| (self.logits[i], difference)));
        let Some(first) = all().map(|(z, _)| z).reduce(f64::max) else { return N::ZERO };
        let sizes = all().fold(N::ZERO, |sum, (_, difference)| (sum + difference.size()).size());
        let size = (sizes * N::least_weight()).size();
        let weight = |z: f64| gap::<N>(first, z, self.scale).exp_of_minus();
        let seen = all().fold(N::ZERO, |sum, (z, difference)| sum + weight(z) * difference);
        if seen.is_not_zero() { N::of_sign(seen.sign(), size) } else { N::within(size) }
    }

    /// `x - g_i`.
    fn minus_direction(&self, x: N, i: usize) -> N {
        let own = self.direction[i];
        x.number().map_or_else(|| x - N::exact(own), |x| N::difference(x, own))
    }

    /// See [`Differences`].
    pub fn differences(&self) -> Option<&Differences<N>> {
        /// Rows that are farther apart have other probabilities.
        const MOST: f64 = 40.0;
        /// More than `exp(2 MOST)`.
        const SPREAD: f64 = 1e35;
        let target = self.other.as_deref()?;
        let make = || {
            let k = (0..target.logits.len()).find(|&k| target.is_top(k)).filter(|&k| !self.is_masked(k))?;
            let difference = |i: usize| two_sum(self.logits[i], -target.logits[i]);
            let permuted = self.shift();
            let shift = permuted.unwrap_or_else(|| difference(k));
            let mut rises = Vec::with_capacity(self.logits.len());
            let (mut sums, mut second) = (Vec::with_capacity(self.logits.len()), Vec::with_capacity(self.logits.len()));
            for i in 0..self.logits.len() {
                let (rise, own, more) = match (self.is_masked(i), target.is_masked(i)) {
                    (true, true) => (N::ZERO, N::ZERO, N::ZERO),
                    (true, false) => (N::exact(-1.0), -target.weights[i], N::UNKNOWN),
                    (false, true) => {
                        let above = N::difference(self.logits[i], self.logits[k]);
                        if above.sign() > 0.0 && !above.is_within(MOST) {
                            return None;
                        }
                        let weight = (-above).exp_of_minus();
                        (N::ZERO, weight, weight)
                    }
                    (false, false) if difference(i) == shift => (N::ZERO, N::ZERO, N::ZERO),
                    (false, false) => {
                        let (z, t) = (self.logits[i], target.logits[i]);
                        let delta = match permuted {
                            Some((high, low)) => N::total([z, -t, -high, -low].into_iter()),
                            None => N::total([z, -t, -self.logits[k], target.logits[k]].into_iter()),
                        };
                        if !delta.is_within(MOST) && self.weights[i].is_lost() && target.weights[i].is_lost() {
                            // A class without weight in either row: its terms are far below every number.
                            // The other row's weight may be larger by what the rows differ by elsewhere, and as the sums differ.
                            let size = delta.size() + N::exact(SPREAD);
                            let term = N::within((N::least_weight() * size).size());
                            (N::UNKNOWN, term, term)
                        } else if !delta.is_within(MOST) {
                            return None;
                        } else {
                            let (rise, more) = (delta.expm1(), delta.expm1_less_argument());
                            (rise, target.weights[i] * rise, target.weights[i] * more)
                        }
                    }
                };
                rises.push(rise);
                sums.push(own);
                second.push(more);
            }
            let mean = |terms: &[N]| sum_by_halves(N::ZERO, 0, terms.len(), &|i| terms[i]) * target.reciprocal;
            // A permutation has the same sum.
            let own = if permuted.is_some() { N::ZERO } else { mean(&sums) };
            Some(Differences { rises, mean: own, second: mean(&second) })
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

/// How far a logit is below the largest, times the scale.
#[inline]
fn gap<N: Real>(max: f64, z: f64, scale: Option<f64>) -> N {
    let difference = N::difference(max, z);
    scale.map_or(difference, |scale| difference * N::exact(scale))
}

/// Whether `a m = b n`, where that is certain.
pub(super) fn are_equal<N: Real>(a: N, m: f64, b: N, n: f64) -> bool {
    let (Some(a), Some(b)) = (a.number(), b.number()) else { return false };
    N::product(a, m).is_same(N::product(b, n))
}
