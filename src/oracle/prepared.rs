//! What the tiers share of a case on an ordinary row: the masses of the target of cross-entropy, what products need of the cotangent
//! or tangent, and the prefixes, each computed once.
//!
//! For the products: `mean_g` is the mean of the cotangent over group g, `c = sum p_i g_i`. Since the probabilities sum to 1,
//! `g_j - c = (g_j - mean_0) + (1/S) sum over g >= 1 of w_g (m_g mean_0 - sum_g)`, which is a rational number and a remainder.

use super::ball::{Ball, with_remainder};
use super::interval::Interval;
use super::prefix::Prefixes;
use super::rounded::SHOWN_BITS;
use super::row::{Enclosures, MASKED, PRECISIONS, PreparedRow};
use crate::case::Case;
use crate::dtype::{exponent, ldexp, two_sum};
use crate::magnitude::Magnitude;
use crate::number::{Float, Rational};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::sync::Arc;

/// A case on its row.
pub(super) struct Prepared<'a> {
    pub row: Arc<PreparedRow>,
    pub case: &'a Case,
    pub masses: Masses<'a>,
    /// The same case on the row of the target's logits, for the ops that take them.
    other: Option<Box<Prepared<'a>>>,
    /// By how much the row is above that one, if it is but for the order; exactly, as an `f64` and a rest.
    shift: OnceCell<Option<Shift>>,
    /// How many groups are the same in both, from the largest on, seen from a largest logit.
    common: OnceCell<usize>,
    /// By how much more the groups after these weigh in the target's row, at each precision.
    pub more: [OnceCell<Interval>; PRECISIONS.len()],
    /// What the probabilities are multiplied by, as far as a class with weight has it; empty where the op takes nothing of the kind.
    direction: Cow<'a, [f64]>,
    /// For the ops that take it.
    products: Option<Products>,
    /// For the ops that are of prefixes.
    pub prefixes: Prefixes,
}

/// The masses `q` of the target, and the mean of the gaps by them.
pub(super) struct Masses<'a> {
    of: MassesOf<'a>,
    gaps: OnceCell<Ball>,
    exact_gaps: OnceCell<Rational>,
}

/// How the masses are given.
enum MassesOf<'a> {
    /// By a true class and a label smoothing.
    Target(TargetMass),
    /// One by one: a distribution.
    Each(&'a [f64]),
}

/// The masses of a true class and a label smoothing.
struct TargetMass {
    target: usize,
    smoothing: f64,
    /// `e / n` as a ball.
    spread: Ball,
    /// `q` of any class but the target, and of the target, where it is an `f64`.
    exact_others: Option<f64>,
    exact_target: Option<f64>,
}

/// What the products need of the cotangent or tangent.
pub(super) struct Products {
    /// The balls below are divided by `2^scale`, so that a direction of subnormal numbers is not lost in their radius.
    scale: i32,
    total: OnceCell<Ball>,
    exact_total: OnceCell<Rational>,
    deviations: OnceCell<Deviations>,
}

/// For the ops that need `g_j - c`.
pub(super) struct Deviations {
    /// For each logit.
    balls: Vec<Ball>,
    /// `c`.
    mean: Ball,
    /// For each group the value of the direction on its only member, for rows without equal logits.
    members: OnceCell<Vec<f64>>,
    /// For each group the sum of the direction over it.
    exact_sums: OnceCell<Vec<Rational>>,
    /// The value of the direction, where it is the same on all finite logits.
    pub uniform: Option<f64>,
    /// The mean of the direction, where it is the same over every group: then `c` is that mean.
    pub common_mean: Option<Rational>,
    /// `c - mean_0` for each precision, negated: what all deviations share.
    shared: [OnceCell<Interval>; PRECISIONS.len()],
}

impl<'a> Prepared<'a> {
    pub fn new(row: Arc<PreparedRow>, case: &'a Case) -> Self {
        let target = case.shared_target_logits().map(|logits| PreparedRow::new(row.dtype, logits.clone()));
        let other = target.map(|target| Box::new(Self::on(Arc::new(target), case)));
        Self { other, ..Self::on(row, case) }
    }

    fn on(row: Arc<PreparedRow>, case: &'a Case) -> Self {
        let direction = case.seen();
        let products = (!direction.is_empty()).then(|| Products::new(&direction));
        let masses = Masses::new(&row, case);
        let prefixes = Prefixes::new(row.logits.clone(), row.dtype);
        let (shift, common, more) = Default::default();
        Self { row, case, masses, other: None, shift, common, more, direction, products, prefixes }
    }

    /// The case on the row of the target's logits; where there are none, itself.
    pub fn other(&self) -> &Self {
        self.other.as_deref().unwrap_or(self)
    }

    /// Whether `p_j` is that of the target: so it is where the rest of the row is, seen from this logit. By the theorem of Lindemann and
    /// Weierstrass it is nowhere else.
    pub fn has_probability_of_target(&self, j: usize) -> bool {
        let (row, target) = (&*self.row, &*self.other().row);
        match (row.group[j], target.group[j]) {
            (MASKED, MASKED) => true,
            (MASKED, _) | (_, MASKED) => false,
            _ => {
                let shift = self.shift.get_or_init(|| {
                    let mut shifts = row.values.iter().zip(&target.values).map(|(&z, &t)| shift_of(z, t));
                    let first = shifts.next()?;
                    (row.counts == target.counts && shifts.all(|shift| shift == first)).then_some(first)
                });
                *shift == Some(shift_of(row.logits[j], target.logits[j]))
            }
        }
    }

    /// The sign of `p_j(z) - p_j(t)`, where it can be told without any exponential of many bits: as 1 or -1.
    ///
    /// `1 / p_j = sum exp(z_i - z_j)`, and what both sums have falls out, from the largest on. Of the rest the larger first term decides if
    /// it is more than all of the other sum can be, or as far as plain numbers tell the two sums apart.
    pub fn sign_of_difference(&self, j: usize) -> Option<f64> {
        /// From here on terms are of no account beside the first, however many.
        const FAR: f64 = 100.0;
        /// Sums that differ by less are told apart by other means.
        const CLEAR: f64 = 1e-9;
        let (row, target) = (&*self.row, &*self.other().row);
        match (row.group[j], target.group[j]) {
            (MASKED, MASKED) => return None,
            (MASKED, _) => return Some(-1.0),
            (_, MASKED) => return Some(1.0),
            _ => {}
        }
        let first = self.common_groups(j);
        // Halved where a difference may be beyond the range; elsewhere halves may be below it.
        let is_wide = [row, target].iter().any(|row| (row.max - row.values[row.groups() - 1]).is_infinite());
        let unit = if is_wide { 0.5 } else { 1.0 };
        let of = |row: &PreparedRow, value: f64| two_sum(value * unit, -row.logits[j] * unit);
        let leading = |row: &PreparedRow| row.values.get(first).map(|&value| of(row, value));
        // Exactly, as an `f64` and a rest.
        let top = match (leading(row), leading(target)) {
            (Some(own), Some(other)) => {
                if own > other {
                    own
                } else {
                    other
                }
            }
            (own, other) => own.or(other)?,
        };
        let gap = |(high, low): (f64, f64)| ((top.0 - high) + (top.1 - low)) / unit;
        let near = |row: &PreparedRow| -> Vec<((f64, f64), u32)> {
            let terms = row.values.iter().zip(&row.counts).skip(first);
            terms.map(|(&value, &count)| (of(row, value), count)).take_while(|(term, _)| gap(*term) < FAR).collect()
        };
        let (own, other) = (near(row), near(target));
        let sum = |terms: &[((f64, f64), u32)]| -> f64 {
            terms.iter().map(|&(term, count)| f64::from(count) / super::exp(gap(term).max(0.0))).sum()
        };
        let (own_sum, other_sum) = (sum(&own), sum(&other));
        if (own_sum - other_sum).abs() > CLEAR * (own_sum + other_sum) {
            return Some(if own_sum > other_sum { -1.0 } else { 1.0 });
        }
        // Term by term, where each of one sum is the larger.
        let is_paired = own.len() == other.len() && own.iter().zip(&other).all(|(a, b)| a.1 == b.1);
        let is_above =
            |above: &[((f64, f64), u32)], below: &[((f64, f64), u32)]| above.iter().zip(below).all(|(a, b)| a.0 >= b.0);
        match (is_above(&own, &other), is_above(&other, &own)) {
            _ if !is_paired => None,
            (true, false) => Some(-1.0),
            (false, true) => Some(1.0),
            _ => None,
        }
    }

    /// How many groups of equal logits, from the largest on, are the same in the row and the target's, seen from logit `j`, which neither
    /// masks. Where the largest group is among them, `z_j - t_j` is the difference of the maxima, and the number is that of all such `j`.
    pub fn common_groups(&self, j: usize) -> usize {
        let (row, target) = (&*self.row, &*self.other().row);
        let is_same = |k: usize, own: f64, other: f64| {
            row.counts[k] == target.counts[k] && shift_of(row.values[k], own) == shift_of(target.values[k], other)
        };
        if !is_same(0, row.logits[j], target.logits[j]) {
            return 0;
        }
        *self.common.get_or_init(|| {
            let all = row.groups().min(target.groups());
            (1..all).find(|&k| !is_same(k, row.values[0], target.values[0])).unwrap_or(all)
        })
    }

    /// Where no weight but those of the largest logits is within any reach, the sign of what the divergence is beside its base `b`, if both rows
    /// have as many largest logits: to first order, and but for a positive factor, that of
    /// `sum exp(-d_i(z)) + sum exp(-d_i(t)) (d_i(z) - d_i(t) - b - 1)` over the others.
    pub fn sign_beside_base(&self) -> Option<f64> {
        let (row, target) = (&*self.row, &*self.other().row);
        if row.counts[0] != target.counts[0] {
            return None;
        }
        let base = self.divergence_base();
        let mut terms = Vec::new();
        for (i, (&z, &t)) in row.logits.iter().zip(target.logits.iter()).enumerate() {
            let gap = |top: f64, z: f64| exact(top) - exact(z);
            if ![0, MASKED].contains(&row.group[i]) {
                terms.push((gap(row.max, z), Rational::from(1)));
            }
            if ![0, MASKED].contains(&target.group[i]) {
                let own = gap(target.max, t);
                terms.push((own.clone(), gap(row.max, z) - own - &base - 1));
            }
        }
        sign_of_leading(terms)
    }

    /// The same of `p_j(z) - p_j(t)`, of a largest logit in both rows, beside `1 / m(z) - 1 / m(t)`: that of
    /// `sum exp(-d_i(t)) / m(t)^2 - sum exp(-d_i(z)) / m(z)^2`.
    pub fn sign_beside_shares(&self) -> Option<f64> {
        let of = |row: &PreparedRow, sign: i32| -> Vec<(Rational, Rational)> {
            let square = Rational::from(row.counts[0]) * row.counts[0];
            let groups = row.values.iter().zip(&row.counts).skip(1);
            let term = |(&z, &count): (&f64, &u32)| (exact(row.max) - exact(z), Rational::from(count) * sign / &square);
            groups.map(term).collect()
        };
        let mut terms = of(&self.row, -1);
        terms.extend(of(&self.other().row, 1));
        sign_of_leading(terms)
    }

    /// `sum p_i(t) (d_i(z) - d_i(t))` of the target's logits `t` as a ball.
    pub fn mean_of_gaps_ball(&self) -> Ball {
        let (row, target) = (&*self.row, &*self.other().row);
        let term = |i: usize| {
            let Some(weight) = target.weights().get(target.group[i] as usize) else { return Ball::ZERO };
            let difference = row.gap(i) - target.gap(i);
            if weight.is_beyond_reach() {
                let radius = weight.ball.radius * difference.bound().min(f64::MAX);
                return Ball { high: 0.0, low: 0.0, radius: radius.max(f64::from_bits(1)) };
            }
            weight.ball * difference
        };
        Ball::sum(0, row.logits.len(), &term) * target.sums().reciprocal
    }

    /// The mean of `d_i(z)` over the largest of the target's logits: the limit of the divergence as all else is lost, where both rows have as
    /// many largest ones.
    pub fn divergence_base(&self) -> Rational {
        let (row, target) = (&*self.row, &*self.other().row);
        let tops = row.logits.iter().zip(&target.group).filter(|(_, group)| **group == 0).map(|(&z, _)| z);
        exact(row.max) - exact_sum(tops) / target.counts[0]
    }

    /// `sum p_i(t) (d_i(z) - d_i(t) - b)` of the target's logits `t` and a number `b` that falls out for the largest of them; the level is that
    /// of the target's row.
    pub fn mean_beside(&self, base: &Rational, level: &Enclosures) -> Interval {
        let (row, target, bits) = (&*self.row, &*self.other().row, level.bits);
        let base = Interval::rational(bits, base);
        let mut sum = Interval::zero(bits);
        for (i, (&z, &t)) in row.logits.iter().zip(target.logits.iter()).enumerate() {
            let group = target.group[i] as usize;
            // Those of the largest add up to 0.
            if group > 0
                && let Some(weight) = level.weights.get(group)
            {
                let difference = Interval::difference(bits, row.max, z) - Interval::difference(bits, target.max, t);
                sum.accumulate(&weight.by(&(difference - base.clone())));
            }
        }
        sum.div_positive(&level.total)
    }

    /// `log2` of the unit in which balls are measured.
    pub fn scale(&self) -> i32 {
        self.products.as_ref().map_or(0, |products| products.scale)
    }

    /// `sum q_i d_i` as a ball: the loss without `log S`.
    pub fn gaps(&self) -> Ball {
        *self.masses.gaps.get_or_init(|| match self.masses.of {
            MassesOf::Target(TargetMass { target, smoothing, .. }) => gaps(&self.row, target, smoothing),
            MassesOf::Each(masses) => gaps_under(&self.row, masses),
        })
    }

    /// The same exactly.
    pub fn exact_gaps(&self) -> &Rational {
        self.masses.exact_gaps.get_or_init(|| match self.masses.of {
            MassesOf::Target(TargetMass { target, smoothing, .. }) => exact_gaps(&self.row, target, smoothing),
            MassesOf::Each(masses) => exact_gaps_under(&self.row, masses),
        })
    }

    /// `g_j`.
    pub fn direction_value(&self, j: usize) -> f64 {
        self.direction.get(j).copied().unwrap_or(0.0)
    }

    /// `g_j`, exactly.
    pub fn direction(&self, j: usize) -> Rational {
        exact(self.direction_value(j))
    }

    /// The sum of the direction over all logits, masked ones too; 0 where there is no direction.
    pub fn total(&self) -> Ball {
        let Some(products) = &self.products else { return Ball::ZERO };
        let direction = &self.direction;
        let term = |i: usize| Ball::exact(ldexp(direction[i], -products.scale));
        *products.total.get_or_init(|| Ball::sum(0, direction.len(), &term))
    }

    /// The same exactly, and not divided by anything.
    pub fn exact_total(&self) -> Rational {
        let total = || exact_sum(self.direction.iter().copied());
        self.products.as_ref().map_or_else(Rational::new, |products| products.exact_total.get_or_init(total).clone())
    }

    /// What is known of `g_j - c`; none where there is no direction.
    pub fn deviations(&self) -> Option<&Deviations> {
        let products = self.products.as_ref()?;
        Some(products.deviations.get_or_init(|| Deviations::new(&self.row, &self.direction, products.scale)))
    }

    /// For each group the exact sum of the direction over it.
    pub fn exact_sums<'b>(&self, deviations: &'b Deviations) -> &'b [Rational] {
        deviations.exact_sums.get_or_init(|| exact_group_sums(&self.row, &self.direction))
    }

    /// `g_j - c`.
    pub fn deviation_ball(&self, j: usize) -> Ball {
        self.deviations().and_then(|deviations| deviations.balls.get(j).copied()).unwrap_or(Ball::ZERO)
    }

    /// `c` as a ball.
    pub fn mean_ball(&self) -> Ball {
        self.deviations().map_or(Ball::ZERO, |deviations| deviations.mean)
    }

    /// `g_j - c` as an interval.
    pub fn deviation_interval(&self, j: usize, level: &Enclosures) -> Interval {
        self.less_mean(self.direction_value(j), level)
    }

    /// `g - c` as an interval.
    pub fn less_mean(&self, g: f64, level: &Enclosures) -> Interval {
        let (row, bits) = (&*self.row, level.bits);
        let Some(deviations) = self.deviations() else { return Interval::zero(bits) };
        let shared = |coefficient: &dyn Fn(usize) -> Interval| {
            level.weighted_sum(row, coefficient, &Interval::zero(bits)).div_positive(&level.total)
        };
        if row.groups() == row.finite {
            let members = deviations.members.get_or_init(|| only_members(row, &self.direction));
            let remainder = deviations.shared[level.index]
                .get_or_init(|| shared(&|g| Interval::difference(bits, members[0], members[g])));
            return Interval::difference(bits, g, members[0]).plus(remainder);
        }
        let sums = self.exact_sums(deviations);
        let mean0 = Rational::from(&sums[0] / row.counts[0]);
        let remainder = deviations.shared[level.index].get_or_init(|| {
            shared(&|g| Interval::rational(bits, &(Rational::from(&mean0 * row.counts[g]) - &sums[g])))
        });
        Interval::rational(bits, &(exact(g) - &mean0)).plus(remainder)
    }

    /// `|g_j - c|`, an upper bound within a small factor of it where balls decide, for the error bounds of the products.
    pub fn deviation_magnitude(&self, j: usize) -> Magnitude {
        let deviations = self.deviations();
        if deviations.is_some_and(|deviations| deviations.uniform.is_some()) && self.row.group[j] != MASKED {
            return Magnitude::ZERO;
        }
        let ball = self.deviation_ball(j);
        if ball.is_not_zero() || ball.radius == 0.0 {
            return Magnitude::from(ball.bound()).shifted(self.scale());
        }
        let common_mean = deviations.and_then(|deviations| deviations.common_mean.as_ref());
        if common_mean.is_some_and(|mean| self.direction(j) == *mean) {
            return Magnitude::ZERO;
        }
        // Cancelled below what balls resolve: an interval does.
        let interval = self.deviation_interval(j, self.row.level(1));
        let end = if interval.high.clone().abs() > interval.low.clone().abs() { interval.high } else { interval.low };
        let (significand, e) = end.to_f64_exp();
        Magnitude::scaled(significand, e).inflated(0)
    }
}

impl<'a> Masses<'a> {
    fn new(row: &PreparedRow, case: &'a Case) -> Self {
        let of = match case.distribution() {
            Some(masses) => MassesOf::Each(masses),
            None => MassesOf::Target(TargetMass::new(row, case)),
        };
        Self { of, gaps: OnceCell::new(), exact_gaps: OnceCell::new() }
    }

    /// `q_j` where it is an `f64`.
    pub fn exact(&self, j: usize) -> Option<f64> {
        match &self.of {
            MassesOf::Target(mass) => mass.exact(j),
            MassesOf::Each(masses) => masses.get(j).copied(),
        }
    }

    /// `q_j` as a ball.
    pub fn mass(&self, j: usize) -> Ball {
        match &self.of {
            MassesOf::Target(mass) => mass.mass(j),
            MassesOf::Each(masses) => Ball::exact(masses[j]),
        }
    }

    /// Whether a masked class has mass, so that the loss is infinite.
    pub fn reach_a_mask(&self, row: &PreparedRow) -> bool {
        let is_masked = |j: usize| row.group[j] == MASKED;
        match &self.of {
            MassesOf::Target(TargetMass { target, smoothing, .. }) => {
                let has_mask = row.finite < row.logits.len();
                (is_masked(*target) && *smoothing < 1.0) || (*smoothing > 0.0 && has_mask)
            }
            MassesOf::Each(masses) => masses.iter().enumerate().any(|(j, &mass)| mass > 0.0 && is_masked(j)),
        }
    }
}

impl TargetMass {
    fn new(row: &PreparedRow, case: &Case) -> Self {
        let (target, smoothing) = case.target().unwrap_or((0, 0.0));
        let count = row.logits.len() as f64;
        let others = smoothing / count;
        // The remainder of a quotient is exact far from underflow.
        let is_exact = smoothing == 0.0 || (others > 1e-200 && others.mul_add(count, -smoothing) == 0.0);
        let exact_others = is_exact.then_some(others);
        let exact_target = exact_others.and_then(|others| {
            let (rest, error) = two_sum(1.0, -smoothing);
            let (sum, error_too) = two_sum(rest, others);
            (error == 0.0 && error_too == 0.0).then_some(sum)
        });
        let spread = Ball::exact(smoothing) / Ball::exact(count);
        Self { target, smoothing, spread, exact_others, exact_target }
    }

    /// `q_j` where it is an `f64`.
    fn exact(&self, j: usize) -> Option<f64> {
        if j == self.target { self.exact_target } else { self.exact_others }
    }

    /// `q_j` as a ball.
    fn mass(&self, j: usize) -> Ball {
        if j == self.target { Ball::difference(1.0, self.smoothing) + self.spread } else { self.spread }
    }
}

impl Products {
    fn new(direction: &[f64]) -> Self {
        let (total, exact_total, deviations) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { scale: scale_of(direction), total, exact_total, deviations }
    }
}

impl Deviations {
    /// All balls are divided by `2^scale`.
    fn new(row: &PreparedRow, direction: &[f64], scale: i32) -> Self {
        let (mut uniform, mut common_mean) = (None, None);
        let exact_sums = OnceCell::new();
        let finite = || row.group.iter().zip(direction).filter(|&(&group, _)| group != MASKED).map(|(_, &g)| g);
        let first = finite().next().unwrap_or(0.0);
        if finite().all(|g| g == first) {
            (uniform, common_mean) = (Some(first), Some(exact(first)));
        }
        let has_ties = row.groups() < row.finite;
        let mut sums = vec![Ball::ZERO; row.groups()];
        for (&group, &g) in row.group.iter().zip(direction) {
            if group != MASKED {
                let g = Ball::exact(ldexp(g, -scale));
                let sum = &mut sums[group as usize];
                *sum = if row.counts[group as usize] == 1 { g } else { *sum + g };
            }
        }
        let mean = |g: usize| match row.counts[g] {
            1 => sums[g],
            count => sums[g] / Ball::exact(f64::from(count)),
        };
        let mean0 = mean(0);
        let one_top = row.counts[0] == 1;
        let remainder = Ball::sum(1, row.groups(), &|g| {
            let difference = match row.counts[g] {
                1 if one_top => Ball::difference(mean0.high, sums[g].high),
                1 => mean0 - sums[g],
                count => mean0 * Ball::exact(f64::from(count)) - sums[g],
            };
            row.weights()[g].ball * difference
        });
        if uniform.is_none() && has_ties && !(1..row.groups()).any(|g| (mean(g) - mean0).is_not_zero()) {
            let sums: &Vec<Rational> = exact_sums.get_or_init(|| exact_group_sums(row, direction));
            let mean0 = Rational::from(&sums[0] / row.counts[0]);
            let is_common = sums.iter().zip(&row.counts).all(|(sum, &count)| Rational::from(&mean0 * count) == *sum);
            common_mean = is_common.then_some(mean0);
        }
        // c - mean_0, negated.
        let shared = remainder * row.sums().reciprocal;
        let sign = if shared.is_not_zero() { shared.high } else { 0.0 };
        // A deviation that is known to fewer bits than the judge shows is computed again with more, where that is cheap.
        let shown = row.dtype.format().precision as i32 + SHOWN_BITS + 4;
        let too_wide = |ball: Ball| ball.radius > ldexp(ball.high.abs(), -shown);
        let may_refine = common_mean.is_none() && !has_ties;
        let mut finer: Option<(Float, f64)> = None;
        let deviation = |(&group, &g): (&u32, &f64)| {
            let g = ldexp(g, -scale);
            let base = if one_top { Ball::difference(g, mean0.high) } else { Ball::exact(g) - mean0 };
            let ball = if one_top && group == 0 { shared } else { with_remainder(base, shared, sign) };
            if !(may_refine && too_wide(ball)) {
                return ball;
            }
            let (shared, error) = finer.get_or_insert_with(|| {
                let by_group: Vec<f64> = sums.iter().map(|sum| sum.high).collect();
                row.mean_difference(mean0.high, |g| by_group[g])
            });
            let mut value = Float::with_val(shared.prec(), g);
            value -= mean0.high;
            value += &*shared;
            Ball::around(value, *error + base.bound() * ldexp(1.0, 2 - PRECISIONS[0] as i32 - 64))
        };
        let balls = row.group.iter().zip(direction).map(deviation).collect();
        let mean = with_remainder(mean0, -shared, -sign);
        Self { balls, mean, members: OnceCell::new(), exact_sums, uniform, common_mean, shared: Default::default() }
    }
}

/// The exponent of the largest number of a direction, where all are so small that balls lose them, else 0.
fn scale_of(direction: &[f64]) -> i32 {
    /// From here on, products of weights and directions keep all their bits.
    const SMALL: f64 = 1e-150;
    let largest = direction.iter().fold(0.0f64, |largest, g| largest.max(g.abs()));
    if largest > 0.0 && largest < SMALL { exponent(largest) } else { 0 }
}

/// `(1 - e) d_t + (e / n) sum d_i` as a ball. With `e = 1` the first term is absent, with `e = 0` the second.
fn gaps(row: &PreparedRow, target: usize, smoothing: f64) -> Ball {
    let mut gaps = Ball::ZERO;
    if row.group[target] != MASKED && smoothing < 1.0 {
        gaps = gaps + Ball::difference(1.0, smoothing) * row.gap(target);
    }
    if smoothing > 0.0 && row.finite == row.logits.len() {
        let sum = Ball::sum(0, row.logits.len(), &|j| row.gap(j));
        gaps = gaps + Ball::exact(smoothing) * sum / Ball::exact(row.logits.len() as f64);
    }
    gaps
}

/// The same exactly.
fn exact_gaps(row: &PreparedRow, target: usize, smoothing: f64) -> Rational {
    let mut gaps = Rational::new();
    if smoothing < 1.0 {
        gaps += (Rational::from(1) - exact(smoothing)) * exact_difference(row.max, row.logits[target]);
    }
    if smoothing > 0.0 {
        let count = Rational::from(row.logits.len() as u64);
        let sum = exact(row.max) * &count - exact_sum(row.logits.iter().copied());
        gaps += exact(smoothing) * sum / count;
    }
    gaps
}

/// `sum q_i d_i` over the finite logits as a ball, for a distribution.
fn gaps_under(row: &PreparedRow, masses: &[f64]) -> Ball {
    let term = |j: usize| match masses[j] {
        _ if row.group[j] == MASKED => Ball::ZERO,
        0.0 => Ball::ZERO,
        1.0 => row.gap(j),
        mass => Ball::exact(mass) * row.gap(j),
    };
    Ball::sum(0, masses.len(), &term)
}

/// The same exactly: `a sum q_i - sum q_i z_i`.
fn exact_gaps_under(row: &PreparedRow, masses: &[f64]) -> Rational {
    /// Bits of the product of any two `f64`.
    const PRODUCT: u32 = 2 * f64::MANTISSA_DIGITS;
    // Every product is a multiple of 2^-2148 below 2^1024, and a row has fewer than 2^40 of them.
    let mut sum = Float::with_val(2148 + 1064, 0);
    for (j, (&mass, &z)) in masses.iter().zip(row.logits.iter()).enumerate() {
        if mass > 0.0 && row.group[j] != MASKED {
            sum += Float::with_val(PRODUCT, mass) * row.max;
            sum -= Float::with_val(PRODUCT, mass) * z;
        }
    }
    sum.to_rational().unwrap_or_default()
}

/// `q_j`: that of the distribution, or `(1 - e) [j = target] + e / n`.
pub(super) fn target_mass(case: &Case, j: usize) -> Rational {
    if let Some(masses) = case.distribution() {
        return exact(masses[j]);
    }
    let (target, smoothing) = case.target().unwrap_or((0, 0.0));
    let spread = exact(smoothing) / Rational::from(case.logits().len() as u64);
    if j == target { spread + (Rational::from(1) - exact(smoothing)) } else { spread }
}

/// The sign of a sum of exponentials of these distances below 0, with these coefficients, if the nearest of those that do not cancel have one
/// sign, and are so much nearer than all others that no coefficient makes up for it.
fn sign_of_leading(mut terms: Vec<(Rational, Rational)>) -> Option<f64> {
    /// No coefficient is beyond 2^2200, nor below its inverse, and there are fewer than 2^40.
    const APART: u32 = 4_000;
    terms.sort_by(|a, b| a.0.cmp(&b.0));
    let mut sums: Vec<(Rational, Rational)> = Vec::new();
    for (gap, coefficient) in terms {
        match sums.last_mut() {
            Some((last, sum)) if *last == gap => *sum += coefficient,
            _ => sums.push((gap, coefficient)),
        }
    }
    let mut left = sums.into_iter().filter(|(_, sum)| sum.cmp0() != Ordering::Equal);
    let (nearest, sum) = left.next()?;
    let mut others = left.take_while(|(gap, _)| Rational::from(gap - &nearest) <= APART);
    others.all(|(_, other)| other.cmp0() == sum.cmp0()).then_some(if sum.cmp0() == Ordering::Greater {
        1.0
    } else {
        -1.0
    })
}

/// A difference of two `f64`, exactly: the nearest `f64` and the rest, of half of it where it is beyond the range.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shift {
    high: f64,
    low: f64,
    is_halved: bool,
}

/// `a - b`.
fn shift_of(a: f64, b: f64) -> Shift {
    let (high, low) = two_sum(a, -b);
    if high.is_finite() {
        return Shift { high, low, is_halved: false };
    }
    let (high, low) = two_sum(a / 2.0, -b / 2.0);
    Shift { high, low, is_halved: true }
}

/// A finite `f64` as a rational number.
pub(super) fn exact(x: f64) -> Rational {
    Rational::from_f64(x).unwrap_or_default()
}

fn exact_difference(a: f64, b: f64) -> Rational {
    exact(a) - exact(b)
}

/// The exact sum of finite numbers. Every `f64` and every sum of 2^40 of them is a multiple of 2^-1074 below 2^1064.
pub(super) fn exact_sum(values: impl Iterator<Item = f64>) -> Rational {
    let mut sum = Float::with_val(1074 + 1064, 0);
    for value in values {
        sum += value;
    }
    sum.to_rational().unwrap_or_default()
}

/// For each group the value of the direction on its only member.
fn only_members(row: &PreparedRow, direction: &[f64]) -> Vec<f64> {
    let mut members = vec![0.0; row.groups()];
    for (&group, &g) in row.group.iter().zip(direction) {
        if group != MASKED {
            members[group as usize] = g;
        }
    }
    members
}

fn exact_group_sums(row: &PreparedRow, direction: &[f64]) -> Vec<Rational> {
    let mut members: Vec<Vec<f64>> = vec![Vec::new(); row.groups()];
    for (&group, &g) in row.group.iter().zip(direction) {
        if group != MASKED {
            members[group as usize].push(g);
        }
    }
    members
        .into_iter()
        .map(|values| if let [value] = values[..] { exact(value) } else { exact_sum(values.into_iter()) })
        .collect()
}
