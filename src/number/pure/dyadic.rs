//! Positive dyadic numbers, `significand * 2^exponent`, of any length: sums, differences and quotients as far as a precision needs them, and the
//! one place where anything is rounded.
//!
//! A result is made exactly, or as an integer and the knowledge that the number is above it by less than one unit ([`Magnitude`]);
//! [`Magnitude::rounded`] then rounds it to a precision and to the range of exponents.

use crate::dtype::ldexp;
use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;

/// The exponents of numbers, each the `e` of `2^(e - 1) <= |x| < 2^e`.
pub(super) const LEAST: i64 = -LARGEST;
pub(super) const LARGEST: i64 = (1 << 30) - 1;

/// A direction of rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// To the nearest number; of two that are as near, to the one with an even last bit.
    Nearest,
    /// Toward positive infinity.
    Up,
    /// Toward negative infinity.
    Down,
}

impl Round {
    /// Whether it leads away from 0, of a number of that sign; none of the nearest.
    pub fn outward(self, is_negative: bool) -> Option<bool> {
        match self {
            Round::Nearest => None,
            Round::Up => Some(!is_negative),
            Round::Down => Some(is_negative),
        }
    }

    /// The direction that is this one for the number with the other sign.
    pub fn opposite(self) -> Self {
        match self {
            Round::Nearest => Round::Nearest,
            Round::Up => Round::Down,
            Round::Down => Round::Up,
        }
    }
}

/// `significand * 2^exponent`; the significand is not 0.
#[derive(Debug, Clone)]
pub(super) struct Dyadic {
    pub significand: BigUint,
    pub exponent: i64,
}

/// A positive number: `significand * 2^exponent`, or above that by less than one unit of the significand, which then has two bits at least
/// more than it is rounded to.
pub(super) struct Magnitude {
    pub significand: BigUint,
    pub exponent: i64,
    /// Whether it is above.
    pub is_more: bool,
}

impl Dyadic {
    /// The largest number of a precision.
    pub fn largest(bits: u32) -> Self {
        let significand = (BigUint::from(1u32) << bits) - 1u32;
        Self { significand, exponent: LARGEST - i64::from(bits) }
    }

    /// The `e` of `2^(e - 1) <= x < 2^e`.
    pub fn top(&self) -> i64 {
        self.significand.bits() as i64 + self.exponent
    }

    /// In units of `2^exponent`, rounded down.
    pub fn in_units(&self, exponent: i64) -> BigUint {
        shifted(&self.significand, self.exponent - exponent)
    }

    /// In units of `2^unit`, rounded: away from 0 or toward it, or, where neither is said, to the nearest integer, ties to even. And how that
    /// compares to the number.
    pub fn rounded_to(&self, unit: i64, is_more: bool, outward: Option<bool>) -> (BigUint, Ordering) {
        self.clone().into_rounded(unit, is_more, outward)
    }

    /// The same, in place where that can be.
    fn into_rounded(self, unit: i64, is_more: bool, outward: Option<bool>) -> (BigUint, Ordering) {
        let cut = u64::try_from(unit - self.exponent).unwrap_or(0);
        let has_half = cut > 0 && self.significand.bit(cut - 1);
        let has_rest = is_more || self.significand.trailing_zeros().is_some_and(|zeros| zeros + 1 < cut);
        let mut integer = self.significand;
        match cut {
            0 => integer <<= (self.exponent - unit).unsigned_abs(),
            cut => integer >>= cut,
        }
        if !has_half && !has_rest {
            return (integer, Ordering::Equal);
        }
        if outward.unwrap_or(has_half && (has_rest || integer.bit(0))) {
            integer += 1u32;
            (integer, Ordering::Greater)
        } else {
            (integer, Ordering::Less)
        }
    }

    /// The nearest `f64`, ties to even, or that toward 0.
    pub fn to_f64(&self, is_more: bool, outward: Option<bool>) -> f64 {
        /// The least number is `2^LEAST`.
        const LEAST: i64 = -1074;
        let top = self.top();
        if top > i64::from(f64::MAX_EXP) {
            return f64::INFINITY;
        }
        if top < LEAST {
            // Below its half.
            return 0.0;
        }
        let unit = (top - i64::from(f64::MANTISSA_DIGITS)).max(LEAST);
        let integer = self.rounded_to(unit, is_more, outward).0.iter_u64_digits().next().unwrap_or(0);
        // Exact: at most 2^53, of a unit that is no less than the least number.
        ldexp(integer as f64, unit as i32)
    }

    /// The order of the numbers.
    pub fn cmp(&self, other: &Self) -> Ordering {
        self.top().cmp(&other.top()).then_with(|| match self.exponent.cmp(&other.exponent) {
            Ordering::Equal => self.significand.cmp(&other.significand),
            // Of one size, so the shift is no longer than the longer of the two.
            Ordering::Less => self.significand.cmp(&other.in_units(self.exponent)),
            Ordering::Greater => self.in_units(other.exponent).cmp(&other.significand),
        })
    }
}

/// A number within the range of exponents, or beyond.
pub(super) enum Bounded {
    /// Less than the least number.
    Zero,
    Number(Dyadic),
    /// More than the largest one.
    Infinite,
}

impl Magnitude {
    /// Rounded to `bits` and to the range: away from 0 or toward it, or, where neither is said, to nearest, ties to even. And how that compares
    /// to the number.
    pub fn rounded(self, bits: u32, outward: Option<bool>) -> (Bounded, Ordering) {
        let Self { significand, exponent, is_more } = self;
        let length = significand.bits();
        debug_assert!(!is_more || length >= u64::from(bits) + 2, "what is more must be below half of the last bit");
        let top = length as i64 + exponent;
        if top < LEAST {
            // The nearest is 0 up to half of the least number.
            let is_power = !is_more && significand.trailing_zeros() == Some(length - 1);
            return if outward.unwrap_or(top == LEAST - 1 && !is_power) {
                let least = Dyadic { significand: BigUint::from(1u32), exponent: LEAST - 1 };
                (Bounded::Number(least), Ordering::Greater)
            } else {
                (Bounded::Zero, Ordering::Less)
            };
        }
        let exact = Dyadic { significand, exponent };
        let unit = top - i64::from(bits);
        let (number, order) = match exponent >= unit {
            true => (exact, Ordering::Equal),
            false => {
                let (mut significand, order) = exact.into_rounded(unit, is_more, outward);
                // A carry makes a power of two.
                let is_long = significand.bits() > u64::from(bits);
                if is_long {
                    significand >>= 1u32;
                }
                (Dyadic { significand, exponent: unit + i64::from(is_long) }, order)
            }
        };
        if number.top() <= LARGEST {
            (Bounded::Number(number), order)
        } else if outward == Some(false) {
            (Bounded::Number(Dyadic::largest(bits)), Ordering::Less)
        } else {
            (Bounded::Infinite, Ordering::Greater)
        }
    }
}

/// `x 2^by`, rounded down.
pub(super) fn shifted(x: &BigUint, by: i64) -> BigUint {
    if by >= 0 { x << by as u64 } else { x >> by.unsigned_abs() }
}

/// Whether the smaller number is below half of the last unit of the larger one, and below a quarter of half of what a sum of that many bits
/// keeps.
fn is_far_below(large: &Dyadic, small: &Dyadic, bits: u32) -> bool {
    small.top() < large.exponent.min(large.top() - i64::from(bits) - 2) - 1
}

/// `a + b`, exactly as far as `bits` need it.
pub(super) fn sum(a: &Dyadic, b: &Dyadic, bits: u32) -> Magnitude {
    let (large, small) = if a.top() >= b.top() { (a, b) } else { (b, a) };
    if is_far_below(large, small, bits) {
        // Units that are above the smaller number, and of which `bits` leave out two bits at least.
        let by = (u64::from(bits) + 2).saturating_sub(large.significand.bits());
        return Magnitude {
            significand: &large.significand << by,
            exponent: large.exponent - by as i64,
            is_more: true,
        };
    }
    // Only the one with the larger unit has to be written in another.
    let (fine, coarse) = if large.exponent <= small.exponent { (large, small) } else { (small, large) };
    let significand = coarse.in_units(fine.exponent) + &fine.significand;
    Magnitude { significand, exponent: fine.exponent, is_more: false }
}

/// `large - small`, exactly as far as `bits` need it.
pub(super) fn difference(large: &Dyadic, small: &Dyadic, bits: u32) -> Magnitude {
    if is_far_below(large, small, bits) {
        // One such unit less, and more than that.
        let by = (u64::from(bits) + 3).saturating_sub(large.significand.bits()) + 1;
        return Magnitude {
            significand: (&large.significand << by) - 1u32,
            exponent: large.exponent - by as i64,
            is_more: true,
        };
    }
    let (significand, exponent) = if large.exponent <= small.exponent {
        (&large.significand - small.in_units(large.exponent), large.exponent)
    } else {
        (large.in_units(small.exponent) - &small.significand, small.exponent)
    };
    Magnitude { significand, exponent, is_more: false }
}

/// `a / (b 2^exponent)`, to two bits more than `bits`.
pub(super) fn quotient(a: &Dyadic, b: &BigUint, exponent: i64, bits: u32) -> Magnitude {
    let by = (u64::from(bits) + 3 + b.bits()).saturating_sub(a.significand.bits());
    let dividend = &a.significand << by;
    let significand = &dividend / b;
    let is_more = &significand * b != dividend;
    Magnitude { significand, exponent: a.exponent - exponent - by as i64, is_more }
}

/// `numerator * 2^exponent / divisor` as the `f64` nearest to it toward 0.
pub(super) fn toward_zero(numerator: &BigInt, divisor: &BigUint, exponent: i64) -> f64 {
    if *numerator == BigInt::ZERO {
        return 0.0;
    }
    let dyadic = Dyadic { significand: numerator.magnitude().clone(), exponent };
    let Magnitude { significand, exponent, is_more } = quotient(&dyadic, divisor, 0, f64::MANTISSA_DIGITS);
    let size = Dyadic { significand, exponent }.to_f64(is_more, Some(false));
    if numerator.sign() == Sign::Minus { -size } else { size }
}

/// The parts of a finite `f64`: an integer, and the exponent of its unit.
pub(super) fn parts_of(x: f64) -> (u64, i64) {
    let biased = (x.to_bits() >> 52 & 0x7ff) as i64;
    let fraction = x.to_bits() & ((1 << 52) - 1);
    (if biased == 0 { fraction } else { fraction | 1 << 52 }, biased.max(1) - 1075)
}
