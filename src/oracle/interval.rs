//! The last tier: open intervals of big numbers, with ends rounded outward.
//!
//! An interval `(low, high)` is open, so an end that lies exactly on a representable number, a midpoint or a power of two does
//! not contain it: that is how the sign of a remainder far below any precision still decides a rounding. A single number is the
//! interval whose ends are equal.

use crate::number::{AddAssignRound, Assign, AssignRound, Float, Rational, Round, SubAssignRound};
use std::ops::{Add, Mul, Neg, Sub};

/// An open interval, or a point.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    pub low: Float,
    pub high: Float,
}

impl Interval {
    /// The ends of `value`, rounded outward to `bits`.
    pub fn enclose<T: Copy>(bits: u32, value: T) -> Self
    where
        Float: AssignRound<T, Round = Round, Ordering = std::cmp::Ordering>,
    {
        Self {
            low: Float::with_val_round(bits, value, Round::Down).0,
            high: Float::with_val_round(bits, value, Round::Up).0,
        }
    }

    /// A rational number, rounded outward to `bits`.
    pub fn rational(bits: u32, value: &Rational) -> Self {
        Self::enclose(bits, value)
    }

    /// `a - b` of two `f64`, rounded outward to `bits`, which must be 53 at least; no rational number is as fast.
    pub fn difference(bits: u32, a: f64, b: f64) -> Self {
        let (mut low, mut high) = (Float::with_val(bits, a), Float::with_val(bits, a));
        low.sub_assign_round(b, Round::Down);
        high.sub_assign_round(b, Round::Up);
        Self { low, high }
    }

    /// `(0, 2^exponent)`: a positive number of which nothing else is known.
    pub fn positive_below(bits: u32, exponent: i32) -> Self {
        let mut high = Float::with_val(bits, 1);
        high <<= exponent;
        Self { low: Float::with_val(bits, 0), high }
    }

    /// The point 0.
    pub fn zero(bits: u32) -> Self {
        Self { low: Float::with_val(bits, 0), high: Float::with_val(bits, 0) }
    }

    fn bits(&self) -> u32 {
        self.low.prec()
    }

    /// Whether this is the point 0.
    pub fn is_zero(&self) -> bool {
        self.low == 0 && self.high == 0
    }

    /// Whether every number inside is positive.
    pub fn is_positive(&self) -> bool {
        self.low >= 0 && self.high > 0
    }

    /// Whether every number inside is negative.
    pub fn is_negative(&self) -> bool {
        self.high <= 0 && self.low < 0
    }

    /// A number inside, with enough bits to lie strictly inside.
    pub fn middle(&self) -> Float {
        let exponent = |x: &Float| x.get_exp().unwrap_or(0);
        let gap = (exponent(&self.high).max(exponent(&self.low)) - exponent(&self.high).min(exponent(&self.low)))
            .clamp(0, 8192);
        let bits = self.bits() + gap as u32 + 2;
        let mut middle = Float::with_val(bits, &self.low + &self.high);
        middle >>= 1;
        middle
    }

    /// The sum.
    pub fn plus(&self, other: &Self) -> Self {
        let bits = self.bits();
        Self {
            low: Float::with_val_round(bits, &self.low + &other.low, Round::Down).0,
            high: Float::with_val_round(bits, &self.high + &other.high, Round::Up).0,
        }
    }

    /// Adds a number of the other interval.
    pub fn accumulate(&mut self, other: &Self) {
        self.low.add_assign_round(&other.low, Round::Down);
        self.high.add_assign_round(&other.high, Round::Up);
    }

    /// The negative.
    pub fn negated(self) -> Self {
        Self { low: -self.high, high: -self.low }
    }

    /// The product.
    pub fn by(&self, other: &Self) -> Self {
        if other.low >= 0 {
            return self.scaled(other);
        }
        if self.low >= 0 {
            return other.scaled(self);
        }
        let bits = self.bits();
        let mut result: Option<Self> = None;
        let mut end = Float::new(bits);
        for a in [&self.low, &self.high] {
            for b in [&other.low, &other.high] {
                match &mut result {
                    None => {
                        result = Some(Self {
                            low: Float::with_val_round(bits, a * b, Round::Down).0,
                            high: Float::with_val_round(bits, a * b, Round::Up).0,
                        });
                    }
                    Some(result) => {
                        end.assign_round(a * b, Round::Down);
                        if end < result.low {
                            result.low.assign(&end);
                        }
                        end.assign_round(a * b, Round::Up);
                        if end > result.high {
                            result.high.assign(&end);
                        }
                    }
                }
            }
        }
        result.unwrap_or_else(|| Self::zero(bits))
    }

    /// The product with an interval that holds no negative number: which ends make the ends is then known.
    fn scaled(&self, other: &Self) -> Self {
        let bits = self.bits();
        let factor_of_low = if self.low >= 0 { &other.low } else { &other.high };
        let factor_of_high = if self.high >= 0 { &other.high } else { &other.low };
        Self {
            low: Float::with_val_round(bits, &self.low * factor_of_low, Round::Down).0,
            high: Float::with_val_round(bits, &self.high * factor_of_high, Round::Up).0,
        }
    }

    /// The quotient by a positive interval whose lower end is above 0.
    pub fn div_positive(&self, other: &Self) -> Self {
        let bits = self.bits();
        let divisor_of_low = if self.low >= 0 { &other.high } else { &other.low };
        let divisor_of_high = if self.high >= 0 { &other.low } else { &other.high };
        Self {
            low: Float::with_val_round(bits, &self.low / divisor_of_low, Round::Down).0,
            high: Float::with_val_round(bits, &self.high / divisor_of_high, Round::Up).0,
        }
    }

    /// `log(1 + x)`, which is increasing; the interval must lie above -1.
    pub fn log1p(&self) -> Self {
        let mut result = self.clone();
        result.low.ln_1p_round(Round::Down);
        result.high.ln_1p_round(Round::Up);
        result
    }

    /// `log(x)`, which is increasing; the interval must not reach below 0.
    pub fn log(&self) -> Self {
        let mut result = self.clone();
        result.low.ln_round(Round::Down);
        result.high.ln_round(Round::Up);
        result
    }
}

impl Neg for Interval {
    type Output = Self;

    fn neg(self) -> Self {
        self.negated()
    }
}

impl Add for Interval {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.plus(&other)
    }
}

impl Sub for Interval {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.plus(&other.negated())
    }
}

impl Mul for Interval {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.by(&other)
    }
}
