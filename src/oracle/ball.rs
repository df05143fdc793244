//! Balls on double-doubles: a real number known to about 100 bits, with a rigorous error radius, in plain `f64` arithmetic.
//!
//! A [`Ball`] is `high + low` (non-overlapping: `high` is the `f64` nearest to the sum) and a radius that the exact number is
//! within. It is the third tier: after the exponentials, nearly every output is decided here, and what is not goes to the
//! intervals. The error bounds of the double-double operations are those of Joldes, Muller and Popescu,
//! "Tight and rigorous error bounds for basic building blocks of double-word arithmetic" (ACM TOMS 44(2), 2017): relative
//! `3u^2 + 13u^3` for the accurate sum, `7u^2` for the product, `9.8u^2` for the quotient, with `u = 2^-53`.
//!
//! Overflow makes a radius infinite or NaN, which decides nothing; underflow is covered by [`UNDERFLOW`].

use crate::dtype::two_sum;
use crate::number::Float;
use std::ops::{Add, Div, Mul, Neg, Sub};

pub(in crate::oracle) mod functions;

/// Relative error of one operation: `16 u^2` covers all three.
const ROUNDING: f64 = 1.0 / (1u128 << 102) as f64;

/// Absolute error of one operation where a low part may have been lost below the least normal `f64`: a few of `2^-1074`.
pub(super) const UNDERFLOW: f64 = f64::from_bits(64);

/// Radii are themselves computed in `f64`; this factor keeps them upper bounds.
pub(in crate::oracle) const SAFETY: f64 = 1.0 + 32.0 * f64::EPSILON;

/// A real number within `radius` of `high + low`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ball {
    pub high: f64,
    pub low: f64,
    pub radius: f64,
}

/// Whether a positive normal number is a power of two.
#[inline]
fn is_power_of_two(x: f64) -> bool {
    x >= f64::MIN_POSITIVE && x.to_bits() << 12 == 0 && x.is_finite()
}

/// A double-double.
type Pair = (f64, f64);

/// The sum and its exact error where `|a| >= |b|` or `a = 0`.
#[inline]
fn fast_two_sum(a: f64, b: f64) -> Pair {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// The sum: AccurateDWPlusDW, algorithm 6 of the paper.
#[inline]
fn sum_of(a: Pair, b: Pair) -> Pair {
    let (sum, error) = two_sum(a.0, b.0);
    let (low_sum, low_error) = two_sum(a.1, b.1);
    let (sum, error) = fast_two_sum(sum, error + low_sum);
    fast_two_sum(sum, low_error + error)
}

/// The product: DWTimesDW1, algorithm 10 of the paper. One fma only: where the target has none it is a call.
#[inline]
fn product_of(a: Pair, b: Pair) -> Pair {
    let product = a.0 * b.0;
    let error = a.0.mul_add(b.0, -product);
    let cross = a.0 * b.1 + a.1 * b.0;
    fast_two_sum(product, error + cross)
}

/// The sum of `term(i)` over a range, by halves: the error grows with the logarithm of the number of terms.
pub(super) fn sum_by_halves<N: Copy + Add<Output = N>>(
    zero: N,
    from: usize,
    to: usize,
    term: &impl Fn(usize) -> N,
) -> N {
    /// Terms that are added one after the other.
    const LEAF: usize = 8;
    if to - from <= LEAF {
        return (from..to).fold(zero, |sum, i| sum + term(i));
    }
    let middle = from + (to - from) / 2;
    sum_by_halves(zero, from, middle, term) + sum_by_halves(zero, middle, to, term)
}

impl Ball {
    pub const ZERO: Ball = Ball { high: 0.0, low: 0.0, radius: 0.0 };

    /// Any number.
    pub const UNKNOWN: Ball = Ball { high: 0.0, low: 0.0, radius: f64::INFINITY };

    /// `x`, exactly.
    pub fn exact(x: f64) -> Self {
        Self { high: x, low: 0.0, radius: 0.0 }
    }

    /// `a - b`, exactly (unless it overflows).
    pub fn difference(a: f64, b: f64) -> Self {
        let (high, low) = two_sum(a, -b);
        Self { high, low, radius: 0.0 }
    }

    /// `a b`, exactly but where underflow takes something from it (unless it overflows).
    pub fn product(a: f64, b: f64) -> Self {
        /// From here on, the second part of a product is a number: 2^-960.
        const SAFE: f64 = f64::from_bits((1023 - 960) << 52);
        let high = a * b;
        let low = a.mul_add(b, -high);
        let is_exact = high.abs() >= SAFE || a == 0.0 || b == 0.0;
        Self { high, low, radius: if is_exact { 0.0 } else { UNDERFLOW } }
    }

    /// Whether it is 0, exactly.
    #[inline]
    pub fn is_zero(self) -> bool {
        self.high == 0.0 && self.radius == 0.0
    }

    /// Whether the number is known at all.
    #[inline]
    fn is_finite(self) -> bool {
        self.high.is_finite() && self.radius.is_finite()
    }

    /// Whether it is a number, exactly.
    #[inline]
    pub fn is_number(self) -> bool {
        self.low == 0.0 && self.radius == 0.0
    }

    /// The numbers within `error` of a big number.
    pub fn around(mut value: Float, error: f64) -> Self {
        let high = value.to_f64();
        value -= high;
        let low = value.to_f64();
        // What the second part leaves is at most 2^-106 of the first, or half of the least number.
        let radius = (error + high.abs() * (ROUNDING / 8.0)) * SAFETY + UNDERFLOW;
        Self { high, low, radius }
    }

    /// `x` plus a remainder of which no more is known than its sign (that of `sign`) and a bound, itself not reached; the
    /// remainder must be far below `x`. Where the sum is no number of a format and no power of two, its place beside `x` is
    /// then certain, which an ordinary sum of balls leaves open.
    pub fn beside(x: f64, sign: f64, bound: f64) -> Self {
        let half = bound.max(f64::MIN_POSITIVE) / 2.0;
        Self { high: x, low: half.copysign(sign), radius: half }
    }

    /// Whether a remainder within `bound` is so far below `x` that [`Ball::beside`] says more than a sum.
    pub fn is_far_below(bound: f64, x: f64) -> bool {
        // A sum leaves 2^-102 open. At 2^-96 a side is worth more than the six bits that it costs.
        bound < x.abs() * (1.0 / (1u128 << 96) as f64) && x.abs() >= f64::MIN_POSITIVE
    }

    /// The sum of `term(i)` over a range; see [`sum_by_halves`].
    pub fn sum(from: usize, to: usize, term: &impl Fn(usize) -> Ball) -> Self {
        sum_by_halves(Ball::ZERO, from, to, term)
    }

    /// The quotient by a power of two.
    fn shifted_by(self, power: f64) -> Self {
        /// From here on, a part loses nothing.
        const SAFE: f64 = 1e-200;
        let is_safe = |x: f64| x == 0.0 || (x.abs() > SAFE && (x / power).abs() > SAFE);
        let is_exact = is_safe(self.high) && is_safe(self.low) && is_safe(self.radius);
        let lost = if is_exact { 0.0 } else { UNDERFLOW };
        Self { high: self.high / power, low: self.low / power, radius: self.radius / power + lost }
    }

    /// An upper bound of the absolute value.
    #[inline]
    pub fn bound(self) -> f64 {
        (self.high.abs() + self.radius) * SAFETY
    }

    /// The same number with an error more.
    #[inline]
    pub fn widened(self, error: f64) -> Self {
        Self { radius: if error == 0.0 { self.radius } else { (self.radius + error) * SAFETY }, ..self }
    }

    /// Whether the number is certainly not 0.
    pub fn is_not_zero(self) -> bool {
        self.high.abs() > self.radius * 2.0 && self.high.is_finite()
    }
}

impl Add for Ball {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        if self.is_number() && other.is_number() {
            let (high, low) = two_sum(self.high, other.high);
            // Beside an infinity there is no rest.
            return Self { high, low: if high.is_finite() { low } else { 0.0 }, radius: 0.0 };
        }
        let (high, low) = sum_of((self.high, self.low), (other.high, other.low));
        // The relative bound of the paper is of the sum; with opposite signs it still holds for this algorithm.
        Self { high, low, radius: (self.radius + other.radius + ROUNDING * high.abs() + UNDERFLOW) * SAFETY }
    }
}

impl Neg for Ball {
    type Output = Self;

    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low, radius: self.radius }
    }
}

impl Sub for Ball {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Ball {
    type Output = Self;

    #[inline]
    fn mul(self, other: Self) -> Self {
        if (self.is_zero() && other.is_finite()) || (other.is_zero() && self.is_finite()) {
            return Self::ZERO;
        }
        let (high, low) = product_of((self.high, self.low), (other.high, other.low));
        let radius = self.bound() * other.radius + other.bound() * self.radius;
        Self { high, low, radius: (radius + ROUNDING * high.abs() + UNDERFLOW) * SAFETY }
    }
}

impl Div for Ball {
    type Output = Self;

    /// DWDivDW2, algorithm 17 of the paper (with fma). The divisor's radius must be far below the divisor. By a power of two every part is
    /// divided by itself.
    fn div(self, other: Self) -> Self {
        if other.is_number() && is_power_of_two(other.high) {
            return self.shifted_by(other.high);
        }
        if self.is_zero() && other.is_not_zero() {
            return Self::ZERO;
        }
        let quotient = self.high / other.high;
        // other * quotient, as a double-double (DWTimesFP3).
        let product = other.high * quotient;
        let error = other.high.mul_add(quotient, -product);
        let (product, error) = fast_two_sum(product, other.low.mul_add(quotient, error));
        let rest = (self.high - product) + (self.low - error);
        let (high, low) = fast_two_sum(quotient, rest / other.high);
        let least = (other.high.abs() - other.low.abs()) / SAFETY - other.radius * SAFETY;
        let radius = (self.radius + high.abs() * other.radius * SAFETY) / least;
        let radius = if least > 0.0 { radius } else { f64::INFINITY };
        Self { high, low, radius: (radius + ROUNDING * high.abs() + UNDERFLOW * (1.0 + 1.0 / least)) * SAFETY }
    }
}

/// `base + rest`, where the sign of the rest is that of `sign` (unknown if 0): beside the base where that is an `f64` and the
/// rest is far below it.
#[inline]
pub(super) fn with_remainder(base: Ball, rest: Ball, sign: f64) -> Ball {
    if !base.is_number() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BITS: u32 = 4000;

    fn center(ball: Ball) -> Float {
        Float::with_val(BITS, ball.high) + ball.low
    }

    fn holds(ball: Ball, exact: &Float) -> bool {
        Float::with_val(BITS, exact - center(ball)).abs() <= ball.radius
    }

    /// A ball around a number that is not its centre, and that number.
    fn ball() -> impl Strategy<Value = (Ball, Float)> {
        (-40i32..40, any::<i64>(), any::<i64>(), -1.0..1.0f64, any::<bool>()).prop_map(|(e, high, low, place, wide)| {
            let high = (high as f64) * 2f64.powi(e - 63);
            let low = (low as f64) * 2f64.powi(-63) * high.abs() * 2f64.powi(-54);
            let (high, low) = two_sum(high, low);
            let radius = if wide { high.abs() * 2f64.powi(-90) } else { 0.0 };
            let mut exact = Float::with_val(BITS, radius) * place;
            exact += Float::with_val(BITS, high) + low;
            (Ball { high, low, radius }, exact)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// Inclusion: the exact result of numbers inside the balls lies inside the resulting ball, and the ball is not vacuous.
        #[test]
        fn every_operation_encloses((a, x) in ball(), (b, y) in ball()) {
            prop_assert!(holds(a + b, &(x.clone() + &y)));
            prop_assert!(holds(a - b, &(x.clone() - &y)));
            prop_assert!(holds(a * b, &(x.clone() * &y)));
            let (p, q) = (a.high, b.high);
            let product = Ball::product(p, q);
            prop_assert!(product.radius == 0.0 && center(product) == Float::with_val(BITS, p) * q);
            if b.is_not_zero() {
                let quotient = a / b;
                prop_assert!(holds(quotient, &(x / &y)));
                prop_assert!(quotient.radius <= quotient.high.abs() * 2f64.powi(-85) + 1e-300);
            }
            prop_assert!((a * b).radius <= (a * b).high.abs() * 2f64.powi(-85) + 1e-300);
        }
    }

    #[test]
    fn sums_by_halves_stay_narrow() {
        let term = |i: usize| Ball::exact(1.0) / Ball::exact((3 + i) as f64);
        let exact = (0..5000).fold(Float::with_val(BITS, 0), |sum, i| sum + Float::with_val(BITS, 1) / (3 + i));
        let sum = Ball::sum(0, 5000, &term);
        assert!(holds(sum, &exact) && sum.radius < sum.high * 2f64.powi(-97));
        assert!(Ball::sum(0, 0, &term).high == 0.0);
    }

    #[test]
    fn a_number_beside_another_is_enclosed_on_its_side() {
        for (x, sign, bound) in [(1.0, -1.0, 2f64.powi(-200)), (-3.0, 1.0, 1e-300), (0.5, 1.0, 0.0)] {
            let ball = Ball::beside(x, sign, bound);
            for part in [1e-9, 0.5, 1.0] {
                assert!(holds(ball, &(Float::with_val(BITS, x) + Float::with_val(BITS, bound) * (sign * part))));
            }
            // It reaches x and not beyond.
            let over = Float::with_val(BITS, f64::MIN_POSITIVE) * 2f64.powi(-30) * -sign;
            assert!(holds(ball, &Float::with_val(BITS, x)) && !holds(ball, &(over + x)));
        }
    }

    #[test]
    fn overflow_decides_nothing() {
        let huge = Ball::exact(f64::MAX);
        for ball in [huge + huge, huge * huge, Ball::exact(1.0) / Ball::ZERO] {
            assert!(!(ball.radius.is_finite() && ball.high.is_finite()));
        }
    }

    #[test]
    fn underflow_is_inside_the_radius() {
        let a = Ball { high: 1.0, low: 2f64.powi(-60), radius: 0.0 };
        let tiny = Ball::exact(2f64.powi(-1060));
        let exact = center(a) * center(tiny);
        assert!(holds(a * tiny, &exact));
        for (x, y) in
            [(1.0 + f64::EPSILON, 1e-300), (f64::from_bits(3), 0.3), (f64::from_bits(3), 1e-300), (0.0, 1e-300)]
        {
            assert!(holds(Ball::product(x, y), &(Float::with_val(BITS, x) * y)), "{x:e} {y:e}");
        }
        assert!(holds(tiny / a, &(center(tiny) / center(a))));
    }
}
