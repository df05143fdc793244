//! Non-negative numbers with the precision of an `f64` and any exponent.
//!
//! Error bounds of one row span `2^-1074 * 2^-53` to `2^1024`, and their quotients span twice that, which no `f64` holds. Only
//! non-negative numbers are added, multiplied and divided, so every operation has a relative error of at most `2^-52` and a
//! bound is made safe by one factor at the end ([`Magnitude::inflated`]).
//!
//! Nearly all numbers of a bound lie in a range that one `f64` holds, so an exponent is kept only for windows of 512 binades: an
//! operation is that of `f64`, and a look whether its result is still in the window.

use crate::dtype::{Format, exponent, ldexp};
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul};

/// A non-negative number, `part * 2^(512 window)` with the part in `[2^-256, 2^256)`, or 0, or infinity, both in the window 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Magnitude {
    part: f64,
    window: i32,
}

/// The binades of a window.
pub(crate) const WINDOW: i32 = 512;

/// The ends of the part, and the numbers from one window to the next.
pub(crate) const LEAST: f64 = f64::from_bits((1023 - 256) << 52);
pub(crate) const BEYOND: f64 = f64::from_bits((1023 + 256) << 52);
pub(crate) const UP: f64 = f64::from_bits((1023 + 512) << 52);
pub(crate) const DOWN: f64 = f64::from_bits((1023 - 512) << 52);

impl Magnitude {
    /// Zero.
    pub const ZERO: Magnitude = Magnitude { part: 0.0, window: 0 };
    /// Infinity: a bound that forgives everything.
    pub const INFINITY: Magnitude = Magnitude { part: f64::INFINITY, window: 0 };

    /// `|x| * 2^shift`. `x` must not be NaN.
    pub fn scaled(x: f64, shift: i32) -> Self {
        Self::from(x).shifted(shift)
    }

    /// `2^exponent`.
    pub fn power_of_two(exponent: i32) -> Self {
        Self { part: 1.0, window: 0 }.shifted(exponent)
    }

    /// The number times `2^shift`.
    pub fn shifted(self, shift: i32) -> Self {
        let part = self.part * ldexp(1.0, shift.rem_euclid(WINDOW));
        Self::normalised(part, self.window + shift.div_euclid(WINDOW))
    }

    /// A little more than the number: enough to cover the rounding of `operations` operations of this type and of `f64`.
    pub fn inflated(self, operations: usize) -> Self {
        self * Magnitude::from(inflation(operations))
    }

    /// Whether this is zero.
    #[inline]
    pub fn is_zero(self) -> bool {
        self.part == 0.0
    }

    /// `floor(log2)` of a non-zero number.
    pub fn exponent(self) -> i32 {
        exponent(self.part) + self.window * WINDOW
    }

    /// The nearest `f64`, or the largest finite one where the number is beyond it (infinity stays infinity).
    pub fn to_f64(self) -> f64 {
        if self.window == 0 { self.part } else { ldexp(self.part, self.window * WINDOW).min(f64::MAX) }
    }

    /// From a part that an operation on parts gave.
    #[inline]
    fn normalised(part: f64, window: i32) -> Self {
        if (LEAST..BEYOND).contains(&part) { Self { part, window } } else { Self::into_window(part, window) }
    }

    #[cold]
    fn into_window(mut part: f64, mut window: i32) -> Self {
        if part == 0.0 {
            return Self::ZERO;
        }
        if !part.is_finite() {
            return Self::INFINITY;
        }
        while part < LEAST {
            (part, window) = (part * UP, window - 1);
        }
        while part >= BEYOND {
            (part, window) = (part * DOWN, window + 1);
        }
        Self { part, window }
    }
}

/// The factor that covers the rounding of so many operations.
pub(crate) fn inflation(operations: usize) -> f64 {
    1.0 + (operations as f64 + 64.0) * f64::EPSILON
}

impl From<f64> for Magnitude {
    /// `|x|`, exactly. `x` must not be NaN.
    #[inline]
    fn from(x: f64) -> Self {
        Self::normalised(x.abs(), 0)
    }
}

impl Add for Magnitude {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        if self.window == other.window {
            return Self::normalised(self.part + other.part, self.window);
        }
        let (big, small) = if self >= other { (self, other) } else { (other, self) };
        // What lies two windows below is less than half an ulp of the sum, whatever it is.
        let rest = if big.window - small.window == 1 { small.part * DOWN } else { 0.0 };
        if small.is_zero() { big } else { Self::normalised(big.part + rest, big.window) }
    }
}

impl Mul for Magnitude {
    type Output = Self;

    #[inline]
    fn mul(self, other: Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return Self::ZERO; // also 0 * infinity: a term that is absent
        }
        Self::normalised(self.part * other.part, self.window + other.window)
    }
}

impl Div for Magnitude {
    type Output = Self;

    /// The quotient; 0/0 is 0 (no error where none is allowed is a ratio of 0), and x/0 is infinite.
    #[inline]
    fn div(self, other: Self) -> Self {
        if self.is_zero() {
            return Self::ZERO;
        }
        Self::normalised(self.part / other.part, self.window - other.window)
    }
}

impl PartialOrd for Magnitude {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        // Zero and infinity are in the window 0, but below and above all others.
        let rank = |x: &Self| match x.part {
            0.0 => i32::MIN,
            f64::INFINITY => i32::MAX,
            _ => x.window,
        };
        Some(rank(self).cmp(&rank(other)).then(self.part.total_cmp(&other.part)))
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
    /// The number times a power of two, which is given, in one `f64`; NaN where that is NaN.
    fn times(self, power: f64) -> f64;
    /// The ratio of a number of units of `2^unit` to this, in one `f64`.
    fn ratio_of(self, units: f64, unit: i32) -> f64;
    /// Whether so many units are at most this.
    fn holds(self, units: f64, unit: i32) -> bool;
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
        let binade = if self.is_zero() { format.emin } else { Magnitude::exponent(self).min(format.emax) };
        Self::power_of_two(format.ulp_exponent(binade) - 1)
    }

    fn shifted(self, shift: i32) -> Self {
        Magnitude::shifted(self, shift)
    }

    fn times(self, power: f64) -> f64 {
        if power.is_nan() { power } else { Magnitude::shifted(self, exponent(power)).to_f64() }
    }

    fn ratio_of(self, units: f64, unit: i32) -> f64 {
        (Magnitude::scaled(units, unit) / self).to_f64()
    }

    fn holds(self, units: f64, unit: i32) -> bool {
        Magnitude::scaled(units, unit) <= self
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
    fn times(self, power: f64) -> f64 {
        self * power
    }

    #[inline]
    fn ratio_of(self, units: f64, unit: i32) -> f64 {
        if units == 0.0 { 0.0 } else { units / ldexp(self, -unit) }
    }

    #[inline]
    fn holds(self, units: f64, unit: i32) -> bool {
        units <= ldexp(self, -unit)
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
