//! Non-negative numbers with an `f64` significand and an exponent of 32 bits.
//!
//! Error bounds of one row span `2^-1074 * 2^-53` to `2^1024`, and their quotients span twice that, which no `f64` holds. Only
//! non-negative numbers are added, multiplied and divided, so every operation has a relative error of at most `2^-52` and a
//! bound is made safe by one factor at the end ([`Magnitude::inflated`]).

use crate::dtype::{Format, exponent, ldexp};
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul};

/// A non-negative number, `significand * 2^exponent` with the significand in [1, 2), or 0, or infinity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Magnitude {
    significand: f64,
    exponent: i32,
}

impl Magnitude {
    /// Zero.
    pub const ZERO: Magnitude = Magnitude { significand: 0.0, exponent: 0 };
    /// Infinity: a bound that forgives everything.
    pub const INFINITY: Magnitude = Magnitude { significand: f64::INFINITY, exponent: 0 };

    /// `|x| * 2^shift`. `x` must not be NaN.
    pub fn scaled(x: f64, shift: i32) -> Self {
        if x == 0.0 {
            Self::ZERO
        } else if x.is_infinite() {
            Self::INFINITY
        } else {
            let e = exponent(x);
            Self { significand: ldexp(x.abs(), -e), exponent: e + shift }
        }
    }

    /// `2^exponent`.
    pub fn power_of_two(exponent: i32) -> Self {
        Self { significand: 1.0, exponent }
    }

    /// The number times `2^shift`.
    pub fn shifted(self, shift: i32) -> Self {
        Self { exponent: self.exponent + shift, ..self }
    }

    /// A little more than the number: enough to cover the rounding of `operations` operations of this type and of `f64`.
    pub fn inflated(self, operations: usize) -> Self {
        self * Magnitude::from(inflation(operations))
    }

    /// Whether this is zero.
    pub fn is_zero(self) -> bool {
        self.significand == 0.0
    }

    /// `floor(log2)` of a non-zero number.
    pub fn exponent(self) -> i32 {
        self.exponent
    }

    /// The nearest `f64`, or the largest finite one where the number is beyond it (infinity stays infinity).
    pub fn to_f64(self) -> f64 {
        if self.significand.is_infinite() {
            f64::INFINITY
        } else {
            ldexp(self.significand, self.exponent).min(f64::MAX)
        }
    }

    /// From a significand that a few operations on significands in [1, 2) gave.
    fn normalised(significand: f64, e: i32) -> Self {
        if significand == 0.0 {
            return Self::ZERO;
        }
        if !significand.is_finite() {
            return Self::INFINITY;
        }
        let own = exponent(significand);
        Self { significand: ldexp(significand, -own), exponent: e + own }
    }
}

/// The factor that covers the rounding of so many operations.
pub(crate) fn inflation(operations: usize) -> f64 {
    1.0 + (operations as f64 + 64.0) * f64::EPSILON
}

impl From<f64> for Magnitude {
    /// `|x|`, exactly. `x` must not be NaN.
    fn from(x: f64) -> Self {
        Self::scaled(x, 0)
    }
}

impl Add for Magnitude {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if self.is_zero() {
            return other;
        }
        if other.is_zero() {
            return self;
        }
        let (big, small) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let gap = big.exponent - small.exponent;
        // What is shifted away here is below 2^-1000 of the sum, far below what `inflated` adds.
        let rest = if gap > 1000 { 0.0 } else { ldexp(small.significand, -gap) };
        Self::normalised(big.significand + rest, big.exponent)
    }
}

impl Mul for Magnitude {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Self::ZERO; // also 0 * infinity: a term that is absent
        }
        Self::normalised(self.significand * other.significand, self.exponent.saturating_add(other.exponent))
    }
}

impl Div for Magnitude {
    type Output = Self;

    /// The quotient; 0/0 is 0 (no error where none is allowed is a ratio of 0), and x/0 is infinite.
    fn div(self, other: Self) -> Self {
        if self.is_zero() {
            return Self::ZERO;
        }
        Self::normalised(self.significand / other.significand, self.exponent - other.exponent)
    }
}

impl PartialOrd for Magnitude {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let rank = |x: &Self| {
            if x.is_zero() {
                (0, 0)
            } else if x.significand.is_infinite() {
                (2, 0)
            } else {
                (1, x.exponent)
            }
        };
        Some(rank(self).cmp(&rank(other)).then(self.significand.total_cmp(&other.significand)))
    }
}

/// The size of an error in the numbers that a bound is computed in: any non-negative number, or, where no number can leave the range of
/// `f64`, an `f64`. Bounds of one formula in both differ by roundings, which [`Size::inflated`] covers.
pub(crate) trait Size: Copy + PartialOrd + Add<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// Zero.
    const ZERO: Self;
    /// Infinity.
    const INFINITY: Self;
    /// `|x|`. `x` must not be NaN.
    fn of(x: f64) -> Self;
    /// Half an ulp of a number of this size in a format; from the last binade on, of that. The format must be narrower than an `f64` if
    /// this is one.
    fn half_ulp(self, format: Format) -> Self;
    /// The number times `2^shift`.
    fn shifted(self, shift: i32) -> Self;
    /// Whether this is zero.
    fn is_zero(self) -> bool;
    /// The nearest `f64`.
    fn to_f64(self) -> f64;
}

impl Size for Magnitude {
    const ZERO: Self = Magnitude::ZERO;
    const INFINITY: Self = Magnitude::INFINITY;

    fn of(x: f64) -> Self {
        Self::from(x)
    }

    fn half_ulp(self, format: Format) -> Self {
        let binade = if self.is_zero() { format.emin } else { self.exponent.min(format.emax) };
        Self::power_of_two(format.ulp_exponent(binade) - 1)
    }

    fn shifted(self, shift: i32) -> Self {
        Magnitude::shifted(self, shift)
    }

    fn is_zero(self) -> bool {
        Magnitude::is_zero(self)
    }

    fn to_f64(self) -> f64 {
        Magnitude::to_f64(self)
    }
}

impl Size for f64 {
    const ZERO: Self = 0.0;
    const INFINITY: Self = f64::INFINITY;

    #[inline]
    fn of(x: f64) -> Self {
        x.abs()
    }

    #[inline]
    fn half_ulp(self, format: Format) -> Self {
        const EXPONENT: u64 = 0x7ff << 52;
        let within = self.max(format.least_normal()).min(format.largest());
        f64::from_bits(within.to_bits() & EXPONENT) * ldexp(1.0, -(format.precision as i32))
    }

    #[inline]
    fn shifted(self, shift: i32) -> Self {
        ldexp(self, shift)
    }

    #[inline]
    fn is_zero(self) -> bool {
        self == 0.0
    }

    #[inline]
    fn to_f64(self) -> f64 {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_f64_where_f64_reaches(a in 1e-100..1e100f64, b in 1e-100..1e100f64) {
            let (x, y) = (Magnitude::from(a), Magnitude::from(-b));
            prop_assert_eq!((x + y).to_f64(), a + b);
            prop_assert_eq!((x * y).to_f64(), a * b);
            prop_assert_eq!((x / y).to_f64(), a / b);
            prop_assert_eq!(x.partial_cmp(&y), a.partial_cmp(&b));
        }
    }

    #[test]
    fn reaches_beyond_f64() {
        let tiny = Magnitude::from(5e-324) * Magnitude::from(5e-324);
        let huge = Magnitude::from(f64::MAX) * Magnitude::from(f64::MAX);
        assert_eq!(tiny.exponent(), -2148);
        assert_eq!((tiny * huge).to_f64(), (Magnitude::from(5e-324) * Magnitude::from(f64::MAX)).to_f64().powi(2));
        assert_eq!(huge.to_f64(), f64::MAX);
        assert_eq!((huge / tiny).exponent(), 2047 + 2148);
        assert!(tiny < Magnitude::from(5e-324) && huge < Magnitude::INFINITY && Magnitude::ZERO < tiny);
        assert_eq!((tiny + huge), huge);
        assert_eq!((Magnitude::ZERO / Magnitude::ZERO).to_f64(), 0.0);
        assert_eq!((tiny / Magnitude::ZERO).to_f64(), f64::INFINITY);
        assert!(Magnitude::from(1.0).inflated(0) > Magnitude::from(1.0));
    }
}
