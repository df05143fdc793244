//! Cases in double-doubles: what plain numbers (`near`) leave open, known to some ninety bits at a small part of what the exact tiers cost.
//! Every number is a [`Ball`], so that each error is counted where it is made; the functions have their proofs in `ball::functions`.
//! No logits are sorted, nothing is shared between equal ones, and nothing is rational: what is exact is so because its radius is 0.
//!
//! The quantities of a row are those of `near::tier`, in the same shape: a probability near 1 is known by what it lacks, a difference from a
//! mean by the mean over the maxima and a remainder.

use super::ball::Ball;
use super::ball::functions::REACH;
use super::near::{Near, Sum};
use super::prefix::Prefixes;
use super::tier::ball::OfElement;
use crate::case::Case;
use crate::dtype::two_sum;
use crate::fenv::Standard;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::tier::RowTier;
use crate::op::{Kind, Visitor};
use std::borrow::Cow;
use std::cell::OnceCell;

/// More than `exp(-700)`: what is known of the weight of a logit that is farther from the maximum is that it is positive, and smaller.
const LEAST_WEIGHT: f64 = 1e-304;

/// The outputs of a case, each told when it is asked for.
pub(crate) struct DoubleCase<'a> {
    case: &'a Case,
    /// Of a row op its row, of a mean each row, and none of an ignored one; of an elementwise op nothing.
    rows: Vec<Option<Row<'a>>>,
    /// The number of rows that are not ignored.
    count: f64,
}

/// A row with what the ops need of it.
struct Row<'a> {
    case: &'a Case,
    logits: Cow<'a, [f64]>,
    max: f64,
    weights: Vec<Ball>,
    /// The number of maxima.
    tops: f64,
    /// The sum of the other weights, `1 / S`, and `log S`.
    sigma: Ball,
    reciprocal: Ball,
    log_total: Ball,
    /// The row of the target's logits, for the ops that take them.
    other: Option<Box<Row<'a>>>,
    masses: &'a [f64],
    direction: Cow<'a, [f64]>,
    expected_gap: OnceCell<Ball>,
    total: OnceCell<Ball>,
    means: OnceCell<Means>,
    /// How the row differs from that of the target's logits, if they are near each other.
    differences: OnceCell<Option<Differences>>,
    /// Whether the row is a permutation of that of the target's logits, but for one number that is added to all: that number.
    shift: OnceCell<Option<(f64, f64)>>,
    /// For the ops that are of prefixes.
    prefixes: OnceCell<Prefixes>,
}

/// The means of the direction.
#[derive(Debug, Clone, Copy)]
struct Means {
    /// The sum over the maxima, and their mean.
    sum: Ball,
    top: Ball,
    /// How much the mean over the maxima is above that over all.
    remainder: Ball,
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
struct Differences {
    /// `e_j`; -1 of what the row masks alone, and of no account where the target masks.
    rises: Vec<Ball>,
    /// `m`.
    mean: Ball,
    /// `sum p_i (e_i - delta_i) + x`.
    second: Ball,
}

impl<'a> DoubleCase<'a> {
    /// A case that `NearCase::takes` says yes to.
    pub fn new(case: &'a Case) -> Self {
        let _standard = Standard::enter();
        let rows = match &case.op().facts().kind {
            Kind::Elements(_) => Vec::new(),
            Kind::Row(_) => vec![Some(Row::of(case))],
            Kind::Mean(_) => case.rows().iter().map(|row| row.as_ref().map(Row::of)).collect(),
        };
        let count = rows.iter().flatten().count() as f64;
        Self { case, rows, count }
    }

    /// Output `j`.
    pub fn output(&self, j: usize) -> Near {
        let _standard = Standard::enter();
        near(self.case.op().visit(Output { case: self, j }))
    }

    /// All outputs.
    pub fn outputs(&self) -> Vec<Near> {
        let _standard = Standard::enter();
        let count = self.case.op().outputs(self.case.logits().len());
        (0..count).map(|j| near(self.case.op().visit(Output { case: self, j }))).collect()
    }

    /// Upper bounds of `|g_j - c|`, for the ops whose bounds use them; else nothing.
    pub fn deviations(&self) -> Vec<f64> {
        let uses_deviations = self.case.op().row().is_some_and(|facts| facts.uses_deviations);
        let of_row = |row: &Row| (0..row.logits.len()).map(|j| OfRow(row).deviation(j).bound()).collect();
        self.rows.iter().flatten().next().filter(|_| uses_deviations).map_or(Vec::new(), of_row)
    }
}

/// What is known of an output. Infinities are added up to what says nothing, but for one that is known as it is.
fn near(Ball { high, low, radius }: Ball) -> Near {
    if !radius.is_finite() {
        return Near { high: 0.0, low: 0.0, radius: f64::INFINITY };
    }
    if high.is_finite() { Near { high, low, radius } } else { Near { high, low: 0.0, radius: 0.0 } }
}

/// One output, with the formula of its op.
struct Output<'a> {
    case: &'a DoubleCase<'a>,
    j: usize,
}

impl Visitor for Output<'_> {
    type Output = Ball;

    fn row<D: RowDefinition>(self) -> Ball {
        let row = self.case.rows.first().and_then(Option::as_ref);
        row.map_or(Ball::UNKNOWN, |row| D::output(&OfRow(row), self.j))
    }

    fn elements<D: ElementDefinition>(self) -> Ball {
        let (case, element) = (self.case.case, self.case.case.element(self.j));
        if D::has_value(element) {
            D::output(&OfElement(case.dtype().output()), element)
        } else {
            Ball::exact(f64::NAN)
        }
    }

    fn mean<D: MeanDefinition>(self) -> Ball {
        let Self { case: DoubleCase { case, rows, count }, j } = self;
        let share = |sum: Ball| if sum.high.is_finite() { sum / Ball::exact(*count) } else { sum };
        if case.op().is_scalar() {
            let outputs = rows.iter().flatten().map(|row| D::Of::output(&OfRow(row), 0));
            return outputs.reduce(|sum, output| sum + output).map_or(Ball::ZERO, share);
        }
        let (row, j) = (&rows[j / case.row_len()], j % case.row_len());
        row.as_ref().map_or(Ball::ZERO, |row| share(D::Of::output(&OfRow(row), j)))
    }
}

impl<'a> Row<'a> {
    fn of(case: &'a Case) -> Self {
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
    fn gap(&self, j: usize) -> Ball {
        let (high, low) = two_sum(self.max, -self.logits[j]);
        Ball { high, low: if high.is_finite() { low } else { 0.0 }, radius: 0.0 }
    }

    fn sum(&self, term: &impl Fn(usize) -> Ball) -> Ball {
        Ball::sum(0, self.logits.len(), term)
    }

    fn prefixes(&self) -> &Prefixes {
        self.prefixes.get_or_init(|| Prefixes::new(self.case.shared_logits().clone(), self.case.dtype().output()))
    }

    /// `e / n`.
    fn spread(&self, smoothing: f64) -> Ball {
        quotient(smoothing, self.logits.len() as f64)
    }

    /// `sum q_i d_i`: an absent term has no infinity.
    fn expected_gap(&self) -> Ball {
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

    fn is_masked(&self, j: usize) -> bool {
        self.logits[j] == f64::NEG_INFINITY
    }

    fn means(&self) -> &Means {
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
    fn differences(&self) -> Option<&Differences> {
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
                        if !(high <= MOST) {
                            return None;
                        }
                        let weight = if high < -REACH { far() } else { Ball::exp(high, low) };
                        (Ball::ZERO, weight, weight)
                    }
                    (false, false) if difference(i) == shift => (Ball::ZERO, Ball::ZERO, Ball::ZERO),
                    (false, false) => {
                        let (high, low) = difference(i);
                        let delta = Ball { high, low, radius: 0.0 } - Ball { high: shift.0, low: shift.1, radius: 0.0 };
                        if !(delta.bound() <= MOST) {
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
    fn shift(&self) -> Option<(f64, f64)> {
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
fn are_equal(a: f64, m: f64, b: f64, n: f64) -> bool {
    let (left, right) = (Ball::product(a, m), Ball::product(b, n));
    left.radius == 0.0 && right.radius == 0.0 && (left.high, left.low) == (right.high, right.low)
}

/// The sum of numbers.
fn sum_of(numbers: impl Iterator<Item = f64>) -> Ball {
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
fn quotient(a: f64, b: f64) -> Ball {
    let quotient = a / b;
    // The remainder of a quotient is exact far from underflow.
    let is_exact = a == 0.0 || (quotient.abs() > 1e-200 && quotient.mul_add(b, -a) == 0.0);
    if is_exact { Ball::exact(quotient) } else { Ball::exact(a) / Ball::exact(b) }
}

/// The tier: the quantities of a row.
#[derive(Clone, Copy)]
struct OfRow<'a>(&'a Row<'a>);

impl OfRow<'_> {
    /// `base + rest`: where the base is a number, and the rest far below it, the rest keeps its sign whatever its size.
    fn together(base: Ball, rest: Ball) -> Ball {
        if !base.is_number() {
            return base + rest;
        }
        if base.high == 0.0 {
            return rest;
        }
        if rest.bound() > base.high.abs() * (f64::EPSILON / 4.0) {
            return base + rest;
        }
        let radius = if rest.low == 0.0 { rest.radius } else { (rest.radius + rest.low.abs()) * (1.0 + f64::EPSILON) };
        Ball { high: base.high, low: rest.high, radius }
    }
}

impl RowTier for OfRow<'_> {
    type Number = Ball;
    type Rational = Ball;

    fn max(&self) -> Ball {
        Ball::exact(self.0.max)
    }

    fn gap(&self, j: usize) -> Ball {
        self.0.gap(j)
    }

    fn log_total(&self) -> Ball {
        self.0.log_total
    }

    fn is_top(&self, j: usize) -> bool {
        self.0.logits[j] == self.0.max
    }

    fn top_share(&self) -> Ball {
        quotient(1.0, self.0.tops)
    }

    fn shortfall(&self) -> Ball {
        if self.0.sigma.is_zero() {
            return Ball::ZERO;
        }
        self.0.sigma * self.0.reciprocal / Ball::exact(self.0.tops)
    }

    fn probability(&self, j: usize) -> Ball {
        match self.is_top(j) {
            true if self.0.sigma.high <= self.0.tops => Self::together(self.top_share(), -self.shortfall()),
            true => self.0.reciprocal,
            false => self.0.weights[j] * self.0.reciprocal,
        }
    }

    fn target_mass(&self, j: usize) -> Ball {
        if let Some(&mass) = self.0.masses.get(j) {
            return Ball::exact(mass);
        }
        let (target, smoothing) = self.0.case.target().unwrap_or((0, 0.0));
        match smoothing {
            0.0 => Ball::exact(if j == target { 1.0 } else { 0.0 }),
            _ if j == target => Ball::difference(1.0, smoothing) + self.0.spread(smoothing),
            _ => self.0.spread(smoothing),
        }
    }

    fn share_less_mass(&self, j: usize) -> Ball {
        let (n, (_, smoothing)) = (self.0.logits.len() as f64, self.0.case.target().unwrap_or((0, 0.0)));
        // All probabilities, and all masses, are 1 / n.
        match self.0.masses.is_empty() && smoothing == 1.0 && self.0.tops == n {
            true => Ball::ZERO,
            false => self.minus(&self.top_share(), &self.target_mass(j)),
        }
    }

    fn expected_gap(&self) -> Ball {
        *self.0.expected_gap.get_or_init(|| self.0.expected_gap())
    }

    fn mean_gap(&self) -> Ball {
        let row = self.0;
        let term = |i: usize| match row.logits[i] {
            f64::NEG_INFINITY => Ball::ZERO,
            z if z == row.max => Ball::ZERO,
            _ => row.weights[i] * row.gap(i),
        };
        row.sum(&term) * row.reciprocal
    }

    fn prefix_max(&self, j: usize) -> Ball {
        Ball::exact(self.0.prefixes().top(j).max)
    }

    fn prefix_log_total(&self, j: usize) -> Ball {
        self.0.prefixes().log_total(j)
    }

    fn direction(&self, j: usize) -> Ball {
        Ball::exact(self.0.direction[j])
    }

    fn direction_total(&self) -> Ball {
        *self.0.total.get_or_init(|| sum_of(self.0.direction.iter().copied()))
    }

    fn less_share(&self, j: usize) -> Ball {
        let (own, total) = (self.0.direction[j], self.direction_total());
        match total.is_number() && are_equal(own, self.0.tops, total.high, 1.0) {
            true => Ball::ZERO,
            false => self.minus(&Ball::exact(own), &self.times(&total, &self.top_share())),
        }
    }

    fn mean(&self) -> Ball {
        let Means { top, remainder, .. } = *self.0.means();
        Self::together(top, -remainder)
    }

    fn deviation(&self, j: usize) -> Ball {
        let (own, Means { sum, top, remainder }) = (self.0.direction[j], *self.0.means());
        let base = match sum.is_number() && are_equal(own, self.0.tops, sum.high, 1.0) {
            true => Ball::ZERO,
            false => self.minus(&Ball::exact(own), &top),
        };
        Self::together(base, remainder)
    }

    fn other(&self) -> Self {
        Self(self.0.other.as_deref().unwrap_or(self.0))
    }

    fn probability_difference(&self, j: usize) -> Ball {
        let (row, target) = (self.0, self.other());
        if target.0.is_masked(j) {
            return self.probability(j);
        }
        match row.differences() {
            _ if row.shift().is_some_and(|shift| two_sum(row.logits[j], -target.0.logits[j]) == shift) => Ball::ZERO,
            Some(Differences { rises, mean, .. }) => {
                target.probability(j) * ((rises[j] - *mean) / (Ball::exact(1.0) + *mean))
            }
            None if self.is_top(j) && target.is_top(j) => {
                let shares = self.minus(&self.top_share(), &target.top_share());
                Self::together(shares, target.shortfall() - self.shortfall())
            }
            None => self.probability(j) - target.probability(j),
        }
    }

    fn divergence(&self) -> Ball {
        let (row, target) = (self.0, self.other().0);
        // A class that the target masks has no term.
        let has_term = |i: usize| target.logits[i] != f64::NEG_INFINITY;
        if (0..row.logits.len()).any(|i| has_term(i) && row.logits[i] == f64::NEG_INFINITY) {
            return Ball::exact(f64::INFINITY);
        }
        if let Some(Differences { mean, second, .. }) = row.differences()
            && let Some(rest) = mean.less_ln_1p()
        {
            return *second - rest;
        }
        let term = |i: usize| match has_term(i) {
            true => target.weights[i] * (row.gap(i) - target.gap(i)),
            false => Ball::ZERO,
        };
        row.sum(&term) * target.reciprocal + (row.log_total - target.log_total)
    }

    fn zero(&self) -> Ball {
        Ball::ZERO
    }

    fn minus(&self, a: &Ball, b: &Ball) -> Ball {
        if a.is_number() && b.is_number() { Ball::difference(a.high, b.high) } else { *a - *b }
    }

    fn times(&self, a: &Ball, b: &Ball) -> Ball {
        match b.is_number() {
            true if b.high == 1.0 => *a,
            true if a.is_number() => Ball::product(a.high, b.high),
            _ => *a * *b,
        }
    }

    fn sign(&self, _: &Ball) -> f64 {
        0.0
    }

    fn number(&self, x: Ball) -> Ball {
        x
    }

    fn scaled(&self, a: &Ball, x: Ball) -> Ball {
        *a * x
    }

    fn beside(&self, base: Ball, rest: Ball, _: f64) -> Ball {
        Self::together(base, rest)
    }
}
