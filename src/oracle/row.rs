//! One row of finite (or -inf) logits, prepared once for all row ops: equal logits grouped, one exponential for each group.
//!
//! Notation: `a` the maximum, `d = a - z >= 0`, `w = exp(-d)`, group 0 the maxima (`m_0` of them, `w = 1`), `sigma` the sum of
//! `w` over all other groups, `S = m_0 + sigma`, `s = S - 1` the sum without one maximum, `log S = log1p(s)`. RowSums are made of
//! positive terms only, so nothing cancels.
//!
//! The logits of an op that takes a scale are products, `scale z`. Where all products are `f64`, they are the logits of the row. Where not,
//! the row has logits of the sign of the scale, and `d` is `|scale| (a - z)`: the exponentials are those of big numbers then, of differences with 64 bits
//! more than are asked for.

use super::ball::Ball;
use super::exp::{self, exp_of_minus};
use super::interval::Interval;
use crate::case::Case;
use crate::dtype::{Dtype, ldexp, two_sum};
use crate::magnitude::Magnitude;
use crate::number::{Assign, Float, Round};
use crate::op::Anatomy;
use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

/// The precisions of Ziv's loop, in bits. The first is that of the exponentials that every row pays for; the last is the cap,
/// after which an output is undecided.
pub(crate) const PRECISIONS: [u32; 6] = [128, 192, 512, 1024, 2048, 4096];

/// The group of a logit of -inf.
pub(crate) const MASKED: u32 = u32::MAX;

/// Beyond this many powers of two, `2^-x` is below the exponent range of big numbers (2^30) with room for products and quotients.
const UNREACHABLE: f64 = (1u64 << 29) as f64;

/// Bits that hold the difference of any two `f64`, doubled, exactly: from 2^1025 down to 2^-1074.
const EXACT_BITS: u32 = 2112;

/// The bits that a ball's exponential keeps: those of a double-double.
const BALL_BITS: i32 = 105;

// What `widened` allows for.
const _: () = assert!(exp::ERROR < 4);

/// A row with at least one finite logit and none that is NaN or +inf.
pub(crate) struct PreparedRow {
    /// Of the outputs.
    pub dtype: Dtype,
    pub logits: Arc<[f64]>,
    /// What the differences of the logits are multiplied by; positive, and 1 for most ops.
    scale: f64,
    /// The largest logit.
    pub max: f64,
    /// The number of finite logits.
    pub finite: usize,
    /// For each logit the index of its group, or [`MASKED`].
    pub group: Vec<u32>,
    /// For each group its logit; descending.
    pub values: Vec<f64>,
    /// For each group the number of its logits.
    pub counts: Vec<u32>,
    // No exponential is computed before a tier, or a bound, asks for it.
    weights: OnceLock<Vec<Weight>>,
    sums: OnceLock<RowSums>,
    probabilities: OnceLock<Vec<Ball>>,
    levels: [OnceLock<Enclosures>; PRECISIONS.len()],
    anatomy: OnceLock<Arc<Anatomy>>,
}

/// The sums of a row, as balls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowSums {
    /// The sum of the weights of all groups but the first.
    pub sigma: Ball,
    /// The sum of all weights.
    pub total: Ball,
    /// `1 / S`.
    pub reciprocal: Ball,
    /// `log S`.
    pub log_total: Ball,
}

/// The weight `exp(-d)` of a group.
pub(crate) struct Weight {
    /// The weight is `significand * 2^exponent` and less than [`exp::ERROR`] units of the significand more. The significand is 0
    /// where the weight is too small to matter at the first precision, and 1, exactly, for the maximum.
    significand: u128,
    exponent: i32,
    pub ball: Ball,
    /// An upper bound, within `2^-50` relative where the exponential was computed.
    pub magnitude: Magnitude,
}

/// The weights as intervals of one precision.
pub(crate) struct Enclosures {
    /// Its place in [`PRECISIONS`].
    pub index: usize,
    pub bits: u32,
    /// For each group its weight.
    pub weights: Vec<Interval>,
    pub sigma: Interval,
    pub total: Interval,
    log_total: OnceLock<Interval>,
}

impl PreparedRow {
    /// The row of an ordinary case.
    pub fn of(case: &Case) -> Self {
        let dtype = case.dtype().output();
        let Some(scale) = case.scale() else { return Self::new(dtype, case.shared_logits().clone()) };
        match products(case.logits(), scale) {
            Some(products) => Self::new(dtype, products),
            None => Self::scaled(dtype, case.signed_logits(), scale.abs()),
        }
    }

    /// Prepares a row: finds its groups.
    pub fn new(dtype: Dtype, logits: Arc<[f64]>) -> Self {
        Self::scaled(dtype, logits, 1.0)
    }

    /// The row of these logits times a positive scale.
    fn scaled(dtype: Dtype, logits: Arc<[f64]>, scale: f64) -> Self {
        let mut order: Vec<(u64, u32)> =
            logits.iter().zip(0..).filter(|(z, _)| z.is_finite()).map(|(&z, j)| (descending_key(z), j)).collect();
        order.sort_unstable();
        let mut group = vec![MASKED; logits.len()];
        let (mut values, mut counts) = (Vec::with_capacity(order.len()), Vec::<u32>::with_capacity(order.len()));
        for &(_, j) in &order {
            let z = logits[j as usize];
            // Compared as numbers: 0 and -0 are one group.
            if values.last() == Some(&z) {
                if let Some(count) = counts.last_mut() {
                    *count += 1;
                }
            } else {
                values.push(z);
                counts.push(1);
            }
            group[j as usize] = values.len() as u32 - 1;
        }
        let max = values[0];
        Self {
            dtype,
            scale,
            max,
            finite: order.len(),
            group,
            values,
            counts,
            weights: OnceLock::new(),
            sums: OnceLock::new(),
            probabilities: OnceLock::new(),
            levels: Default::default(),
            anatomy: OnceLock::new(),
            logits,
        }
    }

    /// For each group its weight.
    pub fn weights(&self) -> &[Weight] {
        let enough = enough_bits(self.dtype);
        self.weights.get_or_init(|| self.values.iter().map(|&z| Weight::new(self.max, z, self.scale, enough)).collect())
    }

    /// The sums of the weights.
    pub fn sums(&self) -> &RowSums {
        self.sums.get_or_init(|| {
            let (weights, counts) = (self.weights(), &self.counts);
            let sigma = Ball::sum(1, weights.len(), &|g| match counts[g] {
                1 => weights[g].ball,
                count => weights[g].ball * Ball::exact(f64::from(count)),
            });
            let total = Ball::exact(f64::from(counts[0])) + sigma;
            let log_total = log1p(Ball::exact(f64::from(counts[0] - 1)) + sigma);
            RowSums { sigma, total, reciprocal: Ball::exact(1.0) / total, log_total }
        })
    }

    /// The weights as intervals of precision `PRECISIONS[index]`, computed when first asked for.
    pub fn level(&self, index: usize) -> &Enclosures {
        self.levels[index].get_or_init(|| Enclosures::new(self, index))
    }

    /// What the error bounds need of the row.
    pub fn anatomy(&self) -> &Arc<Anatomy> {
        self.anatomy.get_or_init(|| Arc::new(anatomy(self)))
    }

    /// For each group its probability.
    pub fn probabilities(&self) -> &[Ball] {
        self.probabilities
            .get_or_init(|| self.weights().iter().map(|weight| weight.ball * self.sums().reciprocal).collect())
    }

    /// `(1/S) sum over g >= 1 of w_g (first - coefficient(g))` to about twenty bits more than a ball, and the bound of its
    /// error; for rows without equal logits.
    pub fn mean_difference(&self, first: f64, coefficient: impl Fn(usize) -> f64) -> (Float, f64) {
        let bits = PRECISIONS[0] + 64;
        let mut sum = Float::with_val(bits, 0);
        let mut total = Float::with_val(bits, 1);
        // The sum of the absolute terms, and what is left out of them.
        let (mut size, mut left_out) = (0.0, 0.0);
        let mut term = Float::new(bits);
        for (g, weight) in self.weights().iter().enumerate().skip(1) {
            let difference = (first - coefficient(g)).abs();
            let Some(value) = weight.value() else {
                left_out += weight.ball.radius * difference;
                continue;
            };
            total += &value;
            term.assign(first);
            term -= coefficient(g);
            term *= &value;
            sum += &term;
            size += weight.ball.bound() * difference;
        }
        sum /= &total;
        // Every weight, and S with them, has a relative error below 2^(3 - 128); the roundings at 64 bits more, at most 2^32 of
        // them, and the weights that S lacks are far below that. The last factor covers the `f64` arithmetic.
        let error = (size * ldexp(1.0, 5 - PRECISIONS[0] as i32) + left_out) / total.to_f64();
        (sum, error * (1.0 + 1e-6) + f64::MIN_POSITIVE)
    }

    /// The number of groups of distinct finite logits.
    pub fn groups(&self) -> usize {
        self.values.len()
    }

    /// `d` of a logit, exactly, at any precision that holds it.
    pub fn gap(&self, j: usize) -> Ball {
        self.distance(self.logits[j])
    }

    /// `d` of a number.
    fn distance(&self, z: f64) -> Ball {
        let gap = Ball::difference(self.max, z);
        if self.scale == 1.0 { gap } else { Ball::exact(self.scale) * gap }
    }

    /// `sum p_i d_i`.
    pub fn mean_gap(&self) -> Ball {
        let term = |g: usize| {
            let (weight, z) = (&self.weights()[g], self.values[g]);
            if weight.is_beyond_reach() {
                // The distance may overflow; what is said of the weight holds for its product with the largest number, too.
                let distance = ((self.max - z) * self.scale).min(f64::MAX);
                let radius = weight.ball.radius * distance * f64::from(self.counts[g]);
                return Ball { high: 0.0, low: 0.0, radius: radius.max(f64::from_bits(1)) };
            }
            let product = weight.ball * self.distance(z);
            if self.counts[g] == 1 { product } else { product * Ball::exact(f64::from(self.counts[g])) }
        };
        Ball::sum(1, self.groups(), &term) * self.sums().reciprocal
    }

    /// The sign of `sum over g >= 1 of coefficient(g) * w_g + square * sigma^2` where the weights themselves are out of
    /// range: that of the sum divided by its largest weight.
    fn sign_beyond_reach(&self, bits: u32, coefficient: impl Fn(usize) -> Interval, square: &Interval) -> Ordering {
        // The scale has 53 bits.
        let gap = |g: usize| (Float::with_val(EXACT_BITS + 53, self.max) - self.values[g]) * self.scale;
        let mut terms: Vec<(Float, Interval)> = (1..self.groups())
            .map(|g| (gap(g), coefficient(g)))
            .filter(|(_, coefficient)| !coefficient.is_zero())
            .collect();
        if !square.is_zero() && self.groups() > 1 {
            // sigma = w_1 * (the sum of the weights in units of w_1)
            let mut scaled = Interval::zero(bits);
            for g in 1..self.groups() {
                let weight = exponential(bits, self.values[1], self.values[g], self.scale);
                scaled.accumulate(&weight.by(&Interval::enclose(bits, self.counts[g])));
            }
            terms.push((gap(1) * 2u32, scaled.by(&scaled).by(square)));
        }
        let Some(least) = terms.iter().map(|term| term.0.clone()).min_by(|a, b| a.total_cmp(b)) else {
            return Ordering::Equal;
        };
        let mut sum = Interval::zero(bits);
        for (gap, coefficient) in &terms {
            sum.accumulate(&exponential_of(bits, &Float::with_val(EXACT_BITS + 53, &least - gap)).by(coefficient));
        }
        if sum.is_positive() {
            Ordering::Greater
        } else if sum.is_negative() {
            Ordering::Less
        } else {
            Ordering::Equal
        }
    }
}

/// What the error bounds need of a row.
fn anatomy(row: &PreparedRow) -> Anatomy {
    let weights = row.group.iter().map(|&group| match group {
        MASKED => Magnitude::ZERO,
        group => row.weights()[group as usize].magnitude,
    });
    // Where the balls say nothing (weights beyond their range), the sum of the magnitudes does.
    let others = row
        .weights()
        .iter()
        .zip(&row.counts)
        .skip(1)
        .fold(Magnitude::from(f64::from(row.counts[0] - 1)), |sum, (weight, &count)| {
            sum + weight.magnitude * Magnitude::from(f64::from(count))
        });
    let sums = row.sums();
    let log_total =
        if others < Magnitude::power_of_two(-60) { others } else { Magnitude::from(sums.log_total.bound()) };
    Anatomy {
        max: row.max,
        weights: weights.collect(),
        total: sums.total.bound(),
        others: others.inflated(row.groups()),
        log_total: log_total.inflated(row.groups()),
    }
}

/// Powers of two below 1 from which on a weight decides nothing at the first precision: below the precision, and so far below
/// the least number of the dtype that even the largest cotangent cannot lift it there.
fn enough_bits(dtype: Dtype) -> f64 {
    let format = dtype.format();
    let to_least = format.emax + 4 - format.least_exponent() + 2 * super::rounded::SHOWN_BITS;
    f64::from(to_least.max(PRECISIONS[0] as i32 + 64))
}

/// The products of these logits with a scale, if each is an `f64`, -inf excepted.
fn products(logits: &[f64], scale: f64) -> Option<Arc<[f64]>> {
    /// From here on, what a product rounds off is no `f64` itself.
    const LEAST: f64 = 1e-290;
    let product = |&z: &f64| {
        let product = z * scale;
        let is_exact = z == 0.0 || scale == 0.0 || (product.abs() > LEAST && z.mul_add(scale, -product) == 0.0);
        (z.is_infinite() || (product.is_finite() && is_exact)).then_some(product)
    };
    logits.iter().map(product).collect()
}

/// Whether `exp(x - y)`, `x <= y`, is so small that it decides nothing about an output of the dtype but its sign.
pub(super) fn is_beyond_reach(x: f64, y: f64, dtype: Dtype) -> bool {
    powers_below(y, x, 1.0) > enough_bits(dtype)
}

impl Weight {
    /// `exp(x - y)`, `x <= y`, for outputs of a dtype.
    pub fn of_difference(x: f64, y: f64, dtype: Dtype) -> Self {
        Self::new(y, x, 1.0, enough_bits(dtype))
    }

    /// Whether it is so small that no exponential was computed: then it decides nothing at the first precision.
    pub fn is_beyond_reach(&self) -> bool {
        // Not the ball, which underflows in f64 before the weight is of no account.
        self.significand == 0
    }

    /// `exp(scale (z - max))`.
    fn new(max: f64, z: f64, scale: f64, enough: f64) -> Self {
        if z == max {
            return Self { significand: 1, exponent: 0, ball: Ball::exact(1.0), magnitude: Magnitude::from(1.0) };
        }
        let below = powers_below(max, z, scale);
        if below > enough {
            let magnitude = Magnitude::power_of_two(-below.min(UNREACHABLE) as i32);
            let ball = Ball { high: 0.0, low: 0.0, radius: magnitude.to_f64().max(f64::from_bits(1)) };
            return Self { significand: 0, exponent: 0, ball, magnitude };
        }
        let (significand, exponent) = if scale == 1.0 {
            let (high, low) = two_sum(max, -z);
            exp_of_minus(high, low)
        } else {
            scaled_exponential(max, z, scale)
        };
        // The leading bits as two f64, scaled by 2^-WIDTH so that the low part is not lost to underflow. The significand has
        // its leading bit set; what is cut off, below 2^22 units, and its own error are together below the radius, 2^23.
        const DIGITS: u32 = f64::MANTISSA_DIGITS;
        const WIDTH: u32 = PRECISIONS[0];
        let part = |shift: u32| (significand >> shift & ((1 << DIGITS) - 1)) as f64;
        let (high, low) =
            two_sum(ldexp(part(WIDTH - DIGITS), -(DIGITS as i32)), ldexp(part(WIDTH - 2 * DIGITS), -2 * DIGITS as i32));
        let e = exponent + WIDTH as i32;
        let ball =
            Ball { high: ldexp(high, e), low: ldexp(low, e), radius: ldexp(1.0, e - BALL_BITS) + f64::from_bits(4) };
        Self { significand, exponent, ball, magnitude: Magnitude::scaled(high, e).inflated(0) }
    }

    /// The weight with its error at the first precision, which is below `2^(3 - bits)` of it; none where it was not computed.
    fn value(&self) -> Option<Float> {
        let value = || Float::with_val(PRECISIONS[0], self.significand) << self.exponent;
        (self.significand != 0).then(value)
    }
}

/// A key that sorts finite numbers from the largest to the least (and 0 before -0).
fn descending_key(z: f64) -> u64 {
    let bits = z.to_bits();
    // Positive numbers ascend with their bits, negative ones descend.
    if z.is_sign_negative() { bits } else { !bits & !(1 << 63) }
}

/// `x` such that `exp(scale (z - max)) < 2^-x`, and not much less; of a scale other than 1, 0 where the difference is subnormal.
fn powers_below(max: f64, z: f64, scale: f64) -> f64 {
    // The factor covers the rounding of the difference and of the product.
    const FACTOR: f64 = std::f64::consts::LOG2_E * (1.0 - 1e-12);
    if scale == 1.0 {
        return (max - z) * FACTOR;
    }
    // The difference may overflow where the product does not; of halves it does not.
    let half = max / 2.0 - z / 2.0;
    if half < f64::MIN_POSITIVE { 0.0 } else { half * scale * (2.0 * FACTOR) }
}

/// `exp(scale (z - max))`, `z < max`, as a significand of 128 bits and an exponent: never above, and less than two units below. Every
/// step rounds down, and the exponent is below `2^12` wherever this is asked for, so its own error is `2^-180`.
fn scaled_exponential(max: f64, z: f64, scale: f64) -> (u128, i32) {
    let bits = PRECISIONS[0] + 64;
    let z = Float::with_val(f64::MANTISSA_DIGITS, z);
    let (difference, _) = Float::with_val_round(bits, &z - max, Round::Down);
    let (exponent, _) = Float::with_val_round(bits, &difference * scale, Round::Down);
    let (value, _) = Float::with_val_round(PRECISIONS[0], exponent.exp_ref(), Round::Down);
    value
        .to_integer_exp()
        .and_then(|(significand, exponent)| Some((significand.to_u128()?, exponent)))
        .unwrap_or((0, 0))
}

/// `exp(scale (z - max))` as an interval: of relative width `2^(3 - bits)`, or `(0, 2^-UNREACHABLE)`.
pub(super) fn exponential(bits: u32, max: f64, z: f64, scale: f64) -> Interval {
    // The difference is kept to 64 bits more, as is the product, and it is below 2^31 wherever the exponential is in range.
    exponential_of(bits, &((Float::with_val(bits + 64, z) - max) * scale))
}

/// `exp(x)` of an `x <= 0`, likewise.
fn exponential_of(bits: u32, x: &Float) -> Interval {
    if powers_below(0.0, x.to_f64(), 1.0) > UNREACHABLE {
        return Interval::positive_below(bits, -(UNREACHABLE as i32));
    }
    widened(&Float::with_val(bits, x.exp_ref()), bits)
}

/// The interval of a positive number known to within four units in the last of its bits.
fn widened(value: &Float, bits: u32) -> Interval {
    let mut radius = Float::with_val(8, 1);
    radius <<= value.get_exp().unwrap_or(0) + 2 - bits as i32;
    Interval {
        low: Float::with_val_round(bits, value - &radius, Round::Down).0,
        high: Float::with_val_round(bits, value + &radius, Round::Up).0,
    }
}

/// `log(1 + x)` of a non-negative ball. Its derivative is at most 1, and `log1p(x) >= x / (1 + x)`.
pub(super) fn log1p(x: Ball) -> Ball {
    if x.high == 0.0 {
        // 0, or so small that it equals its logarithm within the radius.
        return x;
    }
    let mut value = Float::with_val(PRECISIONS[0], x.high);
    value += x.low;
    value.ln_1p_mut();
    let high = value.to_f64();
    value -= high;
    Ball {
        high,
        low: value.to_f64(),
        radius: (x.radius + high * ldexp(1.0, -BALL_BITS)) * (1.0 + 1e-15) + f64::from_bits(4),
    }
}

impl Enclosures {
    fn new(row: &PreparedRow, index: usize) -> Self {
        let bits = PRECISIONS[index];
        let weights: Vec<Interval> = (0..row.groups())
            .map(|g| match row.weights()[g].value() {
                _ if g == 0 => Interval::enclose(bits, 1u32),
                Some(value) if index == 0 => widened(&value, bits),
                None if index == 0 => {
                    let below = powers_below(row.max, row.values[g], row.scale);
                    Interval::positive_below(bits, -below.min(UNREACHABLE) as i32)
                }
                _ => exponential(bits, row.max, row.values[g], row.scale),
            })
            .collect();
        let mut sigma = Interval::zero(bits);
        for (weight, &count) in weights.iter().zip(&row.counts).skip(1) {
            match count {
                1 => sigma.accumulate(weight),
                count => sigma.accumulate(&weight.by(&Interval::enclose(bits, count))),
            }
        }
        let total = sigma.plus(&Interval::enclose(bits, row.counts[0]));
        Self { index, bits, weights, sigma, total, log_total: OnceLock::new() }
    }

    /// `log S`, computed when first asked for; half of the ops have no use for it.
    pub fn log_total(&self, row: &PreparedRow) -> &Interval {
        let others = || self.sigma.plus(&Interval::enclose(self.bits, row.counts[0] - 1));
        self.log_total.get_or_init(|| others().log1p())
    }

    /// `sum p_i d_i`.
    pub fn mean_gap(&self, row: &PreparedRow) -> Interval {
        let mut sum = Interval::zero(self.bits);
        for (g, weight) in self.weights.iter().enumerate().skip(1) {
            let gap =
                Interval::difference(self.bits, row.max, row.values[g]).by(&Interval::enclose(self.bits, row.scale));
            sum.accumulate(&weight.by(&gap).by(&Interval::enclose(self.bits, row.counts[g])));
        }
        sum.div_positive(&self.total)
    }

    /// `p` of a group.
    pub fn probability(&self, group: usize) -> Interval {
        self.weights[group].div_positive(&self.total)
    }

    /// `sum over g >= 1 of coefficient(g) * w_g + square * sigma^2`. Its sign is known from the largest weight that counts even
    /// where all weights are out of range. A coefficient that is 0 must be the point 0.
    pub fn weighted_sum(
        &self,
        row: &PreparedRow,
        coefficient: impl Fn(usize) -> Interval,
        square: &Interval,
    ) -> Interval {
        let mut sum = self.sigma.by(&self.sigma).by(square);
        for (g, weight) in self.weights.iter().enumerate().skip(1) {
            let coefficient = coefficient(g);
            if !coefficient.is_zero() {
                sum.accumulate(&weight.by(&coefficient));
            }
        }
        if sum.low < 0 && sum.high > 0 {
            match row.sign_beyond_reach(self.bits, coefficient, square) {
                Ordering::Greater => sum.low = Float::with_val(self.bits, 0),
                Ordering::Less => sum.high = Float::with_val(self.bits, 0),
                Ordering::Equal => {}
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_share_a_group_and_masks_have_none() {
        let row = PreparedRow::new(Dtype::F32, vec![1.0, -0.0, f64::NEG_INFINITY, 0.0, 1.0].into());
        assert_eq!(row.group, [0, 1, MASKED, 1, 0]);
        assert_eq!((row.values.as_slice(), row.counts.as_slice(), row.finite), (&[1.0, 0.0][..], &[2, 2][..], 4));
    }

    #[test]
    fn the_ball_lies_inside_every_level() {
        let row = PreparedRow::new(Dtype::F64, vec![3.5, 1.25, -40.0, 3.5, 2.0].into());
        for index in 0..PRECISIONS.len() {
            let level = row.level(index);
            for (ball, interval) in [
                (row.sums().sigma, &level.sigma),
                (row.sums().total, &level.total),
                (row.sums().log_total, level.log_total(&row)),
            ] {
                let centre = Float::with_val(300, ball.high) + ball.low;
                assert!(Float::with_val(300, &centre - ball.radius) < interval.high);
                assert!(Float::with_val(300, &centre + ball.radius) > interval.low);
                assert!(ball.radius < ball.high * 1e-30);
                let width = Float::with_val(64, &interval.high - &interval.low);
                assert!(width < Float::with_val(64, 1) >> (level.bits as i32 - 10));
            }
        }
    }

    #[test]
    fn weights_beyond_reach_cost_no_exponential() {
        let row = PreparedRow::new(Dtype::F32, vec![0.0, -1000.0, -3e38].into());
        assert!(row.weights().iter().all(|weight| weight.significand <= 1));
        assert!(row.level(0).weights[1].is_positive());
        let deep = row.level(1);
        assert!(deep.weights[1].low > 0 && deep.weights[2].low == 0);
    }

    #[test]
    fn every_difference_whose_exponential_is_computed_is_in_its_range() {
        for dtype in Dtype::ALL {
            assert!(powers_below(exp::LIMIT, 0.0, 1.0) > enough_bits(dtype), "{dtype}");
        }
    }

    /// The exponentials of products that no f64 has, against MPFR at twice the precision; and which rows need them.
    #[test]
    fn products_beyond_f64_are_exact() {
        let above = 1.0 + f64::EPSILON;
        let (largest, least) = (f64::MAX, f64::from_bits(1));
        let mut checked = 0;
        for (logits, scale) in [
            (&[above, 1.0, -3.5][..], above),
            (&[above, 1.0, -3.5], -above),
            (&[3.0, 1.0, -200.0], 0.1),
            (&[largest, -largest], 3e-308),
            (&[largest, -largest], -3.0 * least),
            (&[least, 0.0, -least], least),
            (&[1e-300, -1e-300], 1e300),
            (&[1.0, f64::NEG_INFINITY, 0.3], 0.3),
        ] {
            let case = Case::new(crate::Op::SCALED_SOFTMAX, Dtype::F64, logits.to_vec(), [scale.into()]).unwrap();
            let row = PreparedRow::of(&case);
            assert!(row.scale == scale.abs() && row.scale != 1.0, "{case}");
            for (g, &z) in row.values.iter().enumerate().skip(1) {
                let exponent = (Float::with_val(4400, z) - row.max) * scale.abs();
                let exact = Float::with_val(4400, exponent.exp_ref());
                for index in 0..PRECISIONS.len() {
                    let weight = &row.level(index).weights[g];
                    assert!(weight.low < exact && weight.high > exact, "{case} {g} {index}");
                    checked += 1;
                }
                let ball = row.weights()[g].ball;
                let error = (Float::with_val(4400, &exact - ball.high) - ball.low).abs();
                assert!(error <= ball.radius && ball.radius < 1e-30, "{case} {g}: {error:e} {ball:?}");
                assert!(row.weights()[g].magnitude.to_f64() >= exact.to_f64(), "{case} {g}");
            }
        }
        assert_eq!(checked, PRECISIONS.len() * 12);
        // Products that are f64 are the logits of a row like any other.
        for (text, max) in [
            ("scaled_softmax f32 [0x1.000002p+0, 1] scale=0x1.000002p+0", f64::from(1.0 + f32::EPSILON).powi(2)),
            ("scaled_softmax f64 [3, 1, inf] scale=-0.125", -0.125),
            ("scaled_softmax f64 [3, 1] scale=0", 0.0),
        ] {
            let row = PreparedRow::of(&Case::parse(text).unwrap());
            assert_eq!((row.scale, row.max), (1.0, max), "{text}");
        }
    }
}
