//! The outputs of one op on one row, each seen in three ways: exactly where it is rational, as a ball, as an interval.
//!
//! By the theorem of Lindemann and Weierstrass, exponentials of distinct rational numbers are linearly independent over the
//! rationals, so an output is rational only in the few cases that [`Question::known`] lists; every other output is irrational,
//! no midpoint and no representable number, and Ziv's loop ends (at its cap at the latest: weights that are exact powers of one
//! another can cancel to any depth). Each output is written as a rational part plus a remainder
//! whose sign is known from its form: never as `z - LSE`, which loses the remainder whatever the precision.
//!
//! For the products: `mean_g` is the mean of the cotangent over group g, `c = sum p_i g_i`. Since the probabilities sum to 1,
//! `g_j - c = (g_j - mean_0) + (1/S) sum over g >= 1 of w_g (m_g mean_0 - sum_g)`, which is a rational number and a remainder.

use super::Due;
use super::ball::{Ball, two_sum};
use super::interval::Interval;
use super::real::{Real, SHOWN_BITS};
use super::row::{Level, MASKED, PRECISIONS, Row};
use crate::case::Case;
use crate::dtype::{exponent, ldexp};
use crate::magnitude::Magnitude;
use crate::op::Op;
use rug::{Float, Rational};
use std::cell::OnceCell;
use std::cmp::Ordering;

/// An output that is known without any exponential.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    /// A number of the dtype.
    Number(f64),
    Rational(Rational),
    /// Infinite, with the sign of the number.
    Infinite(f64),
}

impl Known {
    /// What an output with this value must be.
    pub fn due(&self, case: &Case) -> Due {
        match self {
            Known::Number(x) => Due::Real(Real::of_number(*x, case.dtype().format())),
            Known::Rational(value) => Due::Real(Real::from_rational(value, case.dtype().format())),
            Known::Infinite(sign) => Due::infinity(f64::INFINITY.copysign(*sign)),
        }
    }
}

/// One op on one row.
pub(crate) struct Question<'a> {
    row: &'a Row,
    case: &'a Case,
    smoothing: Smoothing,
    products: Option<Products>,
}

/// The target part of cross-entropy and its gradient.
struct Smoothing {
    target: usize,
    smoothing: f64,
    /// `(1 - e) d_t + (e / n) sum d_i` as a ball and exactly: the loss without `log S`.
    gaps: Ball,
    exact_gaps: OnceCell<Rational>,
    /// `e / n` as a ball.
    spread: Ball,
    /// `q` of any class but the target, and of the target, where it is an `f64`.
    exact_others: Option<f64>,
    exact_target: Option<f64>,
}

/// What the products need of the cotangent or tangent.
struct Products {
    /// For each group the value of the direction on its only member, for rows without equal logits.
    members: OnceCell<Vec<f64>>,
    /// For each group the sum of the direction over it.
    exact_sums: OnceCell<Vec<Rational>>,
    /// The balls below are divided by `2^scale`, so that a direction of subnormal numbers is not lost in their radius.
    scale: i32,
    /// For each logit `g_j - c`, for the ops that need it.
    deviations: Vec<Ball>,
    /// The sum of the direction over all logits, masked ones too.
    total: Ball,
    exact_total: OnceCell<Rational>,
    /// The value of the direction, where it is the same on all finite logits.
    uniform: Option<f64>,
    /// The mean of the direction, where it is the same over every group: then `c` is that mean.
    common_mean: Option<Rational>,
    /// `c - mean_0` for each precision, negated: what all deviations share.
    shared: [OnceCell<Interval>; PRECISIONS.len()],
}

impl<'a> Question<'a> {
    pub fn new(row: &'a Row, case: &'a Case) -> Self {
        let products = case.direction().map(|direction| match case.op() {
            Op::LogSoftmaxVjp => Products::of_total(direction),
            _ => Products::new(row, direction),
        });
        Self { row, case, smoothing: Smoothing::new(row, case), products }
    }

    /// What output `j` must be, by the cheapest of the three views that decides it.
    pub fn due(&self, j: usize) -> Due {
        if let Some(known) = self.known(j) {
            return known.due(self.case);
        }
        let format = self.case.dtype().format();
        if let Some(sign) = self.vanishing_sign(j) {
            return Due::Real(Real::vanishing(sign, format));
        }
        if let Some(real) = Real::from_ball(self.ball(j), self.scale(), format) {
            return Due::Real(real);
        }
        (0..PRECISIONS.len())
            .find_map(|index| Real::from_interval(&self.interval(j, self.level(index)), format))
            .map_or(Due::Undecided, Due::Real)
    }

    /// The sign of output `j` where it is a product with a weight beyond reach: then it is far below the least number.
    fn vanishing_sign(&self, j: usize) -> Option<f64> {
        if self.case.op().is_scalar() {
            return None;
        }
        // Ops that this is asked of know their masked outputs, which have no group.
        let weight = self.row.weights.get(self.row.group[j] as usize)?;
        if !weight.is_beyond_reach() {
            return None;
        }
        match self.case.op() {
            Op::Softmax => Some(1.0),
            Op::CrossEntropyGrad => (self.smoothing.exact(j) == Some(0.0)).then_some(1.0),
            Op::SoftmaxVjp | Op::SoftmaxJvp => {
                let deviation = self.deviation_ball(j);
                deviation.is_not_zero().then_some(deviation.high)
            }
            _ => None,
        }
    }

    /// The weights at a precision of Ziv's loop.
    pub fn level(&self, index: usize) -> &'a Level {
        self.row.level(index)
    }

    /// Whether output `j` is rational or infinite, and what it is.
    pub fn known(&self, j: usize) -> Option<Known> {
        let finite = self.row.finite;
        let rational = |value: Rational| Some(Known::Rational(value));
        let zero = Some(Known::Number(0.0));
        let masked = !self.case.op().is_scalar() && self.row.group[j] == MASKED;
        let one_group = self.row.groups() == 1;
        // p of any logit, where it is rational.
        let probability = || match (masked, one_group) {
            (true, _) => Some(Rational::new()),
            (false, true) => Some(Rational::from((1, finite as u64))),
            (false, false) => None,
        };
        match self.case.op() {
            Op::LogSumExp => (finite == 1).then_some(Known::Number(self.row.max)),
            Op::Softmax if masked => zero,
            Op::Softmax => rational(probability()?),
            Op::LogSoftmax if masked => Some(Known::Infinite(-1.0)),
            Op::LogSoftmax => {
                if finite == 1 {
                    zero
                } else {
                    None
                }
            }
            Op::CrossEntropy => {
                let Smoothing { target, smoothing, .. } = self.smoothing;
                let has_mask = finite < self.row.logits.len();
                if (self.row.group[target] == MASKED && smoothing < 1.0) || (smoothing > 0.0 && has_mask) {
                    return Some(Known::Infinite(1.0));
                }
                if finite == 1 { rational(self.exact_gaps().clone()) } else { None }
            }
            Op::CrossEntropyGrad if masked && self.smoothing.exact(j) == Some(0.0) => zero,
            Op::CrossEntropyGrad => rational(probability()? - target_probability(self.case, j)),
            Op::SoftmaxVjp | Op::SoftmaxJvp => {
                let products = self.products.as_ref()?;
                if masked || products.uniform.is_some() {
                    return zero;
                }
                let mean = products.common_mean.as_ref()?;
                let deviation = self.direction(j) - mean;
                if deviation.cmp0() == Ordering::Equal {
                    return zero;
                }
                rational(probability()? * deviation)
            }
            Op::LogSoftmaxVjp => {
                let products = self.products.as_ref()?;
                if masked {
                    return Some(Known::Number(self.direction_value(j)));
                }
                if let Some(probability) = probability() {
                    return rational(self.direction(j) - probability * self.exact_total(products));
                }
                let may_vanish = !products.total.is_not_zero();
                if may_vanish && self.exact_total(products).cmp0() == Ordering::Equal {
                    Some(Known::Number(self.direction_value(j)))
                } else {
                    None
                }
            }
            Op::LogSoftmaxJvp => {
                let products = self.products.as_ref()?;
                if products.uniform.is_some() && !masked {
                    return zero;
                }
                let mean = products.common_mean.as_ref()?;
                rational(self.direction(j) - mean)
            }
        }
    }

    /// `log2` of the unit in which the ball of an output is measured.
    fn scale(&self) -> i32 {
        self.products.as_ref().map_or(0, |products| products.scale)
    }

    /// Output `j` as a ball, divided by `2^scale`; it may be too wide to decide anything.
    pub fn ball(&self, j: usize) -> Ball {
        let row = self.row;
        match self.case.op() {
            Op::LogSumExp => with_remainder(Ball::exact(row.max), row.log_total, 1.0),
            Op::Softmax => self.probability_ball(j),
            Op::LogSoftmax => -with_remainder(row.gap(j), row.log_total, 1.0),
            Op::CrossEntropy => self.smoothing.gaps + row.log_total,
            Op::CrossEntropyGrad => {
                let top = row.group[j] == 0;
                // 1 - q first: near a confident target, p and q are both near 1.
                let (first, rest, sign) = if top {
                    (self.top_probability(), -self.top_shortfall(), -1.0)
                } else {
                    (Ball::ZERO, self.probability_ball(j), 1.0)
                };
                match self.smoothing.exact(j) {
                    Some(q) if !top || row.counts[0] == 1 => {
                        with_remainder(Ball::difference(first.high, q), rest, sign)
                    }
                    _ => first - self.smoothing.probability(j) + rest,
                }
            }
            Op::SoftmaxVjp | Op::SoftmaxJvp => self.probability_ball(j) * self.deviation_ball(j),
            Op::LogSoftmaxVjp => {
                let Some(products) = &self.products else { return Ball::ZERO };
                let own = ldexp(self.direction_value(j), -products.scale);
                let sign = if products.total.is_not_zero() { products.total.high } else { 0.0 };
                if row.group[j] != 0 {
                    let share = products.total * self.probability_ball(j);
                    return with_remainder(Ball::exact(own), -share, -sign);
                }
                let base = Ball::exact(own) - products.total * self.top_probability();
                let rest = products.total * self.top_shortfall();
                let is_simple = sign != 0.0 && row.counts[0] == 1 && products.scale == 0;
                if is_simple && Ball::is_far_below(rest.bound(), base.high) {
                    // The base is a difference of rational numbers; where it is an `f64`, the side of it is certain.
                    let exact_base = self.direction(j) - self.exact_total(products);
                    let nearest = exact_base.to_f64();
                    if nearest.is_finite() && exact(nearest) == exact_base {
                        return with_remainder(Ball::exact(nearest), rest, sign);
                    }
                }
                base + rest
            }
            Op::LogSoftmaxJvp => self.deviation_ball(j),
        }
    }

    /// Output `j` as an open interval that its form makes as narrow as the precision allows, on the right side of its
    /// rational part.
    pub fn interval(&self, j: usize, level: &Level) -> Interval {
        let row = self.row;
        let bits = level.bits;
        let group = if self.case.op().is_scalar() { 0 } else { row.group[j] };
        match self.case.op() {
            Op::LogSumExp => Interval::enclose(bits, row.max).add(level.log_total(row)),
            Op::Softmax => level.probability(group as usize),
            Op::LogSoftmax => Interval::difference(bits, row.max, row.logits[j]).add(level.log_total(row)).negated(),
            Op::CrossEntropy => Interval::rational(bits, self.exact_gaps()).add(level.log_total(row)),
            Op::CrossEntropyGrad => {
                let target = target_probability(self.case, j);
                if group == 0 {
                    let top = Rational::from((1, row.counts[0])) - target;
                    Interval::rational(bits, &top).add(&self.top_shortfall_interval(level).negated())
                } else {
                    level.probability(group as usize).add(&Interval::rational(bits, &-target))
                }
            }
            Op::SoftmaxVjp | Op::SoftmaxJvp => {
                let product = level.probability(group as usize).mul(&self.deviation_interval(j, level));
                // A single maximum has the limit 0, which the product is beside already. Else the form with a limit costs a
                // rational number for each group, and only a value beside its limit needs it: such a value is undecided at the
                // first precision as a mere product.
                let needs_limit = group == 0 && row.counts[0] > 1 && level.index > 0;
                if needs_limit { narrower(product, self.top_product_interval(j, level)) } else { product }
            }
            Op::LogSoftmaxVjp => {
                let Some(products) = &self.products else { return Interval::zero(bits) };
                let total = self.exact_total(products);
                let own = self.direction(j);
                if group == MASKED {
                    Interval::rational(bits, &own)
                } else if group == 0 {
                    let base = own - Rational::from(total / row.counts[0]);
                    Interval::rational(bits, &base)
                        .add(&self.top_shortfall_interval(level).mul(&Interval::rational(bits, total)))
                } else {
                    let share = level.probability(group as usize).mul(&Interval::rational(bits, total));
                    Interval::rational(bits, &own).add(&share.negated())
                }
            }
            Op::LogSoftmaxJvp => self.deviation_interval(j, level),
        }
    }

    /// `|g_j - c|`, an upper bound within a small factor of it where balls decide, for the error bounds of the products.
    pub fn deviation_magnitude(&self, j: usize) -> Magnitude {
        if self.products.as_ref().is_some_and(|products| products.uniform.is_some()) && self.row.group[j] != MASKED {
            return Magnitude::ZERO;
        }
        let ball = self.deviation_ball(j);
        if ball.is_not_zero() || ball.radius == 0.0 {
            return Magnitude::from(ball.bound()).shifted(self.scale());
        }
        if self
            .products
            .as_ref()
            .is_some_and(|products| products.common_mean.as_ref().is_some_and(|mean| self.direction(j) == *mean))
        {
            return Magnitude::ZERO;
        }
        // Cancelled below what balls resolve: an interval does.
        let interval = self.deviation_interval(j, self.row.level(1));
        let end = if interval.high.clone().abs() > interval.low.clone().abs() { interval.high } else { interval.low };
        let (significand, e) = end.to_f64_exp();
        Magnitude::scaled(significand, e).inflated(0)
    }

    fn probability_ball(&self, j: usize) -> Ball {
        match self.row.group[j] {
            MASKED => Ball::ZERO,
            group => self.row.probabilities()[group as usize],
        }
    }

    /// `1 / m_0`: what the probability of a maximum would be if no other logit had weight.
    fn top_probability(&self) -> Ball {
        match self.row.counts[0] {
            1 => Ball::exact(1.0),
            count => Ball::exact(1.0) / Ball::exact(f64::from(count)),
        }
    }

    /// `1 / m_0 - p` of a maximum, `sigma / (m_0 S)`.
    fn top_shortfall(&self) -> Ball {
        let shortfall = self.row.sigma * self.row.reciprocal;
        match self.row.counts[0] {
            1 => shortfall,
            count => shortfall / Ball::exact(f64::from(count)),
        }
    }

    fn top_shortfall_interval(&self, level: &Level) -> Interval {
        level.sigma.div_positive(&level.total.mul(&Interval::enclose(level.bits, self.row.counts[0])))
    }

    fn exact_gaps(&self) -> &Rational {
        self.smoothing.exact_gaps.get_or_init(|| {
            let Smoothing { target, smoothing, .. } = self.smoothing;
            let row = self.row;
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
        })
    }

    fn direction_value(&self, j: usize) -> f64 {
        self.case.direction().map_or(0.0, |direction| direction[j])
    }

    fn direction(&self, j: usize) -> Rational {
        exact(self.direction_value(j))
    }

    fn exact_total<'b>(&self, products: &'b Products) -> &'b Rational {
        products.exact_total.get_or_init(|| exact_sum(self.case.direction().unwrap_or(&[]).iter().copied()))
    }

    fn exact_sums<'b>(&self, products: &'b Products) -> &'b [Rational] {
        products.exact_sums.get_or_init(|| exact_group_sums(self.row, self.case.direction().unwrap_or(&[])))
    }

    fn deviation_ball(&self, j: usize) -> Ball {
        self.products.as_ref().and_then(|products| products.deviations.get(j).copied()).unwrap_or(Ball::ZERO)
    }

    fn deviation_interval(&self, j: usize, level: &Level) -> Interval {
        let Some(products) = &self.products else { return Interval::zero(level.bits) };
        let (row, bits) = (self.row, level.bits);
        let shared = |coefficient: &dyn Fn(usize) -> Interval| {
            level.weighted_sum(row, coefficient, &Interval::zero(bits)).div_positive(&level.total)
        };
        if row.groups() == row.finite {
            let members = products.members.get_or_init(|| only_members(row, self.case.direction().unwrap_or(&[])));
            let remainder = products.shared[level.index]
                .get_or_init(|| shared(&|g| Interval::difference(bits, members[0], members[g])));
            return Interval::difference(bits, self.direction_value(j), members[0]).add(remainder);
        }
        let sums = self.exact_sums(products);
        let mean0 = Rational::from(&sums[0] / row.counts[0]);
        let remainder = products.shared[level.index].get_or_init(|| {
            shared(&|g| Interval::rational(bits, &(Rational::from(&mean0 * row.counts[g]) - &sums[g])))
        });
        Interval::rational(bits, &(self.direction(j) - &mean0)).add(remainder)
    }

    /// `p_j (g_j - c)` of a maximum as its limit plus a remainder of known sign. With `N = sum of nu_g w_g`,
    /// `nu_g = m_g g_j - sum_g` and `N_0 = nu_0`, the output is `N / S^2`, and
    /// `N / S^2 - N_0 / m_0^2 = (sum over g >= 1 of w_g (m_0^2 nu_g - 2 N_0 m_0 m_g) - N_0 sigma^2) / (m_0 S)^2`.
    fn top_product_interval(&self, j: usize, level: &Level) -> Interval {
        let Some(products) = &self.products else { return Interval::zero(level.bits) };
        let bits = level.bits;
        let own = self.direction(j);
        let top_count = Rational::from(self.row.counts[0]);
        let sums = self.exact_sums(products);
        let nu = |g: usize| Rational::from(&own * self.row.counts[g]) - &sums[g];
        let top = nu(0);
        let coefficient = |g: usize| {
            Rational::from(&top_count * &top_count) * nu(g) - Rational::from(2) * &top * &top_count * self.row.counts[g]
        };
        let square = Interval::rational(bits, &-top.clone());
        let numerator = level.weighted_sum(self.row, |g| Interval::rational(bits, &coefficient(g)), &square);
        let scale = level.total.mul(&Interval::rational(bits, &top_count));
        let limit = top / Rational::from(&top_count * &top_count);
        Interval::rational(bits, &limit).add(&numerator.div_positive(&scale.mul(&scale)))
    }
}

impl Smoothing {
    fn new(row: &Row, case: &Case) -> Self {
        let (target, smoothing) = case.target().unwrap_or((0, 0.0));
        let gaps = if case.op() == Op::CrossEntropy { gaps(row, target, smoothing) } else { Ball::ZERO };
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
        Self { target, smoothing, gaps, exact_gaps: OnceCell::new(), spread, exact_others, exact_target }
    }

    /// `q_j` where it is an `f64`.
    fn exact(&self, j: usize) -> Option<f64> {
        if j == self.target { self.exact_target } else { self.exact_others }
    }

    /// `q_j` as a ball.
    fn probability(&self, j: usize) -> Ball {
        if j == self.target { Ball::difference(1.0, self.smoothing) + self.spread } else { self.spread }
    }
}

/// `base + rest`, where the sign of the rest is that of `sign` (unknown if 0): beside the base where that is an `f64` and the
/// rest is far below it.
#[inline]
fn with_remainder(base: Ball, rest: Ball, sign: f64) -> Ball {
    let is_number = base.low == 0.0 && base.radius == 0.0;
    if !is_number {
        base + rest
    } else if base.high == 0.0 {
        rest
    } else {
        let bound = rest.bound();
        if sign != 0.0 && Ball::is_far_below(bound, base.high) {
            Ball::beside(base.high, sign, bound)
        } else {
            base + rest
        }
    }
}

impl Products {
    /// For the op that needs nothing but the sum of the cotangent.
    fn of_total(direction: &[f64]) -> Self {
        let scale = scale_of(direction);
        Self {
            scale,
            members: OnceCell::new(),
            exact_sums: OnceCell::new(),
            deviations: Vec::new(),
            total: Ball::sum(0, direction.len(), &|i| Ball::exact(ldexp(direction[i], -scale))),
            exact_total: OnceCell::new(),
            uniform: None,
            common_mean: None,
            shared: Default::default(),
        }
    }

    /// For the ops that need the deviations from the weighted mean.
    fn new(row: &Row, direction: &[f64]) -> Self {
        let scale = scale_of(direction);
        let mut products = Self { scale, ..Self::of_total(&[]) };
        let finite = || row.group.iter().zip(direction).filter(|&(&group, _)| group != MASKED).map(|(_, &g)| g);
        let first = finite().next().unwrap_or(0.0);
        if finite().all(|g| g == first) {
            products.uniform = Some(first);
            products.common_mean = Some(exact(first));
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
            row.weights[g].ball * difference
        });
        if products.uniform.is_none() && has_ties && !(1..row.groups()).any(|g| (mean(g) - mean0).is_not_zero()) {
            let sums = products.exact_sums.get_or_init(|| exact_group_sums(row, direction));
            let mean0 = Rational::from(&sums[0] / row.counts[0]);
            let is_common = sums.iter().zip(&row.counts).all(|(sum, &count)| Rational::from(&mean0 * count) == *sum);
            products.common_mean = is_common.then_some(mean0);
        }
        // c - mean_0, negated.
        let shared = remainder * row.reciprocal;
        let sign = if shared.is_not_zero() { shared.high } else { 0.0 };
        // A deviation that is known to fewer bits than the judge shows is computed again with more, where that is cheap.
        let shown = row.dtype.format().precision as i32 + SHOWN_BITS + 4;
        let too_wide = |ball: Ball| ball.radius > ldexp(ball.high.abs(), -shown);
        let may_refine = products.common_mean.is_none() && !has_ties;
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
        products.deviations = row.group.iter().zip(direction).map(deviation).collect();
        products
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
fn gaps(row: &Row, target: usize, smoothing: f64) -> Ball {
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

/// `q_j = (1 - e) [j = target] + e / n`.
pub(super) fn target_probability(case: &Case, j: usize) -> Rational {
    let (target, smoothing) = case.target().unwrap_or((0, 0.0));
    let spread = exact(smoothing) / Rational::from(case.logits().len() as u64);
    if j == target { spread + (Rational::from(1) - exact(smoothing)) } else { spread }
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
fn only_members(row: &Row, direction: &[f64]) -> Vec<f64> {
    let mut members = vec![0.0; row.groups()];
    for (&group, &g) in row.group.iter().zip(direction) {
        if group != MASKED {
            members[group as usize] = g;
        }
    }
    members
}

fn exact_group_sums(row: &Row, direction: &[f64]) -> Vec<Rational> {
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

/// The intersection of two enclosures of one number.
fn narrower(a: Interval, b: Interval) -> Interval {
    Interval { low: if a.low > b.low { a.low } else { b.low }, high: if a.high < b.high { a.high } else { b.high } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{self, Family};
    use crate::oracle::RowClass;
    use crate::{Dtype, Op};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// What the balls decide, the intervals decide alike: over all families, ops and dtypes. The two share the exponentials of
    /// the first precision and nothing else; the intervals are taken from the second precision on, which shares nothing.
    #[test]
    fn balls_and_intervals_agree() {
        let mut compared = 0;
        let mut covered = BTreeSet::new();
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for dtype in Dtype::ALL {
                for index in 0..25 {
                    let logits: Arc<[f64]> = generate::row(family, dtype, 11, index, 70).into();
                    if !RowClass::of(&logits).is_ordinary() {
                        continue;
                    }
                    let row = Row::new(dtype, logits.clone());
                    for op in Op::ALL {
                        let Some(case) =
                            generate::case(op, dtype, family.name(), 11, index, logits.clone(), None).unwrap()
                        else {
                            continue;
                        };
                        let question = Question::new(&row, &case);
                        for j in 0..op.outputs(logits.len()) {
                            let Due::Real(cheap) = question.due(j) else { continue };
                            if question.known(j).is_some() {
                                continue;
                            }
                            let careful = (1..PRECISIONS.len()).find_map(|level| {
                                Real::from_interval(&question.interval(j, question.level(level)), dtype.format())
                            });
                            let Some(careful) = careful else { panic!("{case} {j}: undecided") };
                            assert_eq!(
                                (cheap.rounded.to_bits(), cheap.unit),
                                (careful.rounded.to_bits(), careful.unit),
                                "{case} {j}"
                            );
                            let gap = (cheap.residual - careful.residual).abs();
                            assert!(gap < 2.0 * ldexp(1.0, -SHOWN_BITS), "{case} {j}: {gap}");
                            compared += 1;
                            covered.insert((op, dtype));
                        }
                    }
                }
            }
        }
        assert!(compared > 100_000, "{compared}");
        assert_eq!(covered.len(), Op::ALL.len() * Dtype::ALL.len());
    }
}
