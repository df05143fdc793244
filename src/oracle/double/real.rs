//! In what numbers a case is told some hundred bits of: [`Ball`]s here, or, where it has numbers near the ends of the range of an `f64`, those of
//! `wide`.

use crate::dtype::{Dtype, two_sum};
use crate::magnitude::Magnitude;
use crate::op::tier::ElementTier;
use crate::oracle::ball::functions::REACH;
use crate::oracle::ball::{Ball, SAFETY};
use crate::oracle::near::Near;
use crate::oracle::tier::ball;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A real number that is known to some hundred bits, with a rigorous radius.
pub(crate) trait Real:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// 0.
    const ZERO: Self;
    /// Any number.
    const UNKNOWN: Self;
    /// The functions of elements.
    type Elements: ElementTier<Number = Self>;

    /// The functions of elements, for outputs of a dtype.
    fn elements(dtype: Dtype) -> Self::Elements;

    /// `x`, exactly.
    fn exact(x: f64) -> Self;
    /// `a - b`, exactly.
    fn difference(a: f64, b: f64) -> Self;
    /// `a b`, exactly but for underflow.
    fn product(a: f64, b: f64) -> Self;
    /// `a / b` of a `b` that is a whole number; exactly where that is a number.
    fn quotient(a: f64, b: f64) -> Self;
    /// The sum of numbers.
    fn total(numbers: impl Iterator<Item = f64> + Clone) -> Self;
    /// A ball of moderate numbers.
    fn of_ball(ball: Ball) -> Self;
    /// A number that has this sign, and of its size no more than this upper bound; it may be larger than the number, and is no 0.
    fn of_sign(sign: f64, size: Self) -> Self;
    /// Any number of at most this size.
    fn within(size: Self) -> Self;
    /// More than a weight that is lost.
    fn least_weight() -> Self;

    /// The number, where it is known exactly and is an `f64`.
    fn number(self) -> Option<f64>;
    /// Whether it is 0, exactly.
    fn is_zero(self) -> bool;
    /// Whether it is certainly not 0.
    fn is_not_zero(self) -> bool;
    /// Whether both are exact, and one number.
    fn is_same(self, other: Self) -> bool;
    /// Whether nothing is known of a number but how small it is.
    fn is_lost(self) -> bool;
    /// Whether 0 is within its radius.
    fn may_be_zero(self) -> bool;
    /// Whether it is certainly at most `most` in size.
    fn is_within(self, most: f64) -> bool;
    /// A number with the sign of its centre.
    fn sign(self) -> f64;
    /// An upper bound of its size.
    fn size(self) -> Self;
    /// The same as a magnitude.
    fn magnitude(self) -> Magnitude;
    /// What the screen sees of the number times a power of two, and the exponent of that.
    fn told(self) -> (Near, i32);

    /// `exp(-x)`, `x` not below 0 by more than a hundred.
    fn exp_of_minus(self) -> Self;
    /// `exp(x) - 1`, `x` at most a hundred in size.
    fn expm1(self) -> Self;
    /// `exp(x) - 1 - x`, likewise.
    fn expm1_less_argument(self) -> Self;
    /// `log(1 + x)`.
    fn ln_1p(self) -> Self;
    /// `x - log(1 + x)`; none where that is not known.
    fn less_ln_1p(self) -> Option<Self>;
    /// `base + rest`: where the base is a number, and the rest far below it, the rest keeps its sign whatever its size.
    fn together(base: Self, rest: Self) -> Self;
}

/// More than `exp(-700)`: what is known of the weight of a logit that is farther from the maximum is that it is positive, and smaller.
const LEAST_WEIGHT: f64 = 1e-304;

impl Real for Ball {
    const ZERO: Self = Ball::ZERO;
    const UNKNOWN: Self = Ball::UNKNOWN;
    type Elements = ball::OfElement;

    fn elements(dtype: Dtype) -> ball::OfElement {
        ball::OfElement(dtype)
    }

    #[inline]
    fn exact(x: f64) -> Self {
        Ball::exact(x)
    }

    #[inline]
    fn difference(a: f64, b: f64) -> Self {
        let (high, low) = two_sum(a, -b);
        Ball { high, low: if high.is_finite() { low } else { 0.0 }, radius: 0.0 }
    }

    #[inline]
    fn product(a: f64, b: f64) -> Self {
        Ball::product(a, b)
    }

    fn quotient(a: f64, b: f64) -> Self {
        let quotient = a / b;
        // The remainder of a quotient is exact far from underflow.
        let is_exact = a == 0.0 || (quotient.abs() > 1e-200 && quotient.mul_add(b, -a) == 0.0);
        if is_exact { Ball::exact(quotient) } else { Ball::exact(a) / Ball::exact(b) }
    }

    fn total(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        // The sum so far, exactly, as numbers that rise in size and do not overlap (Shewchuk, "Adaptive precision floating-point
        // arithmetic", 1997): what is left of terms that cancel is known as well as any other number.
        let mut parts: Vec<f64> = Vec::new();
        for mut sum in numbers {
            let mut kept = 0;
            for i in 0..parts.len() {
                let (high, low) = two_sum(sum, parts[i]);
                if low != 0.0 {
                    parts[kept] = low;
                    kept += 1;
                }
                sum = high;
            }
            parts.truncate(kept);
            parts.push(sum);
        }
        // Its leading bits, and those after them: parts may have few.
        let mut rest = parts.into_iter().rev();
        let mut leading = |first: f64| {
            let mut sum = first;
            for part in rest.by_ref() {
                let (high, low) = two_sum(sum, part);
                if low != 0.0 {
                    return (high, low);
                }
                sum = high;
            }
            (sum, 0.0)
        };
        let (high, low) = leading(0.0);
        let (low, left) = leading(low);
        let (high, low) = two_sum(high, low);
        // All that follow are less than twice the first of them.
        let radius = left.abs() + 2.0 * rest.next().unwrap_or(0.0).abs();
        Ball { high, low, radius: radius * SAFETY }
    }

    #[inline]
    fn of_ball(ball: Ball) -> Self {
        ball
    }

    fn of_sign(sign: f64, size: Self) -> Self {
        // It must not be lost to underflow.
        let bound = (size.bound() * (1.0 + 1e-9)).max(f64::MIN_POSITIVE);
        Ball { high: bound.copysign(sign), low: 0.0, radius: bound.next_down() }
    }

    fn within(size: Self) -> Self {
        Ball::ZERO.widened(size.bound())
    }

    fn least_weight() -> Self {
        Ball::exact(LEAST_WEIGHT)
    }

    #[inline]
    fn number(self) -> Option<f64> {
        self.is_number().then_some(self.high)
    }

    #[inline]
    fn is_zero(self) -> bool {
        Ball::is_zero(self)
    }

    #[inline]
    fn is_not_zero(self) -> bool {
        Ball::is_not_zero(self)
    }

    fn is_same(self, other: Self) -> bool {
        self.radius == 0.0 && other.radius == 0.0 && (self.high, self.low) == (other.high, other.low)
    }

    #[inline]
    fn is_lost(self) -> bool {
        self.high == 0.0
    }

    #[inline]
    fn may_be_zero(self) -> bool {
        self.high.abs() <= self.radius
    }

    #[inline]
    fn is_within(self, most: f64) -> bool {
        self.bound() <= most
    }

    #[inline]
    fn sign(self) -> f64 {
        self.high
    }

    #[inline]
    fn size(self) -> Self {
        Ball::exact(self.bound())
    }

    fn magnitude(self) -> Magnitude {
        Magnitude::from(self.bound())
    }

    /// Infinities are added up to what says nothing, but for one that is known as it is.
    fn told(self) -> (Near, i32) {
        let Ball { high, low, radius } = self;
        let near = if !radius.is_finite() {
            Near::UNKNOWN
        } else if high.is_finite() {
            Near { high, low, radius }
        } else {
            Near { high, ..Near::ZERO }
        };
        (near, 0)
    }

    #[inline]
    fn exp_of_minus(self) -> Self {
        let Ball { high, low, radius } = self;
        match high {
            // Beyond the reach a difference may have no rest.
            _ if high.abs() <= REACH && radius < 1.0 / 1024.0 => {
                let weight = Ball::exp(-high, -low);
                if radius == 0.0 { weight } else { weight.widened(weight.high * (1.01 * radius)) }
            }
            _ if high > REACH && radius < 1.0 => Ball { high: 0.0, low: 0.0, radius: LEAST_WEIGHT },
            _ => Ball::UNKNOWN,
        }
    }

    fn expm1(self) -> Self {
        let rise = Ball::expm1(self.high, self.low);
        // The derivatives are exp(x), and that less 1.
        let slope = rise.bound() * (1.0 + 1e-9) + self.radius;
        rise.widened(self.radius * (1.0 + slope))
    }

    fn expm1_less_argument(self) -> Self {
        let slope = Ball::expm1(self.high, self.low).bound() * (1.0 + 1e-9) + self.radius;
        Ball::expm1_less_argument(self.high, self.low).widened(self.radius * slope)
    }

    fn ln_1p(self) -> Self {
        Ball::ln_1p(self).unwrap_or(Ball::UNKNOWN)
    }

    fn less_ln_1p(self) -> Option<Self> {
        Ball::less_ln_1p(self)
    }

    fn together(base: Self, rest: Self) -> Self {
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
