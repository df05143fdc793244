//! Rational numbers: `numerator * 2^exponent / divisor`, in lowest terms.
//!
//! The numerator is odd or 0, the divisor odd and positive, and the two have no common factor. Nearly all rational numbers of the oracle are made
//! of `f64` and of counts, so the divisor is nearly always 1, or small: the power of two, which may be far below `2^-1000`, costs no greatest common
//! divisor.

use super::dyadic::{Dyadic, parts_of, toward_zero};
use super::integer::Integer;
use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Shl, Shr, Sub, SubAssign};

/// A rational number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rational {
    numerator: BigInt,
    exponent: i64,
    divisor: BigUint,
}

impl Rational {
    /// 0.
    pub fn new() -> Self {
        Self { numerator: BigInt::ZERO, exponent: 0, divisor: BigUint::from(1u32) }
    }

    /// A finite `f64`, exactly; none of others.
    pub fn from_f64(x: f64) -> Option<Self> {
        let (size, exponent) = parts_of(x);
        let numerator = BigInt::from(if x < 0.0 { -i128::from(size) } else { size.into() });
        x.is_finite().then(|| Self::dyadic(numerator, exponent))
    }

    /// `numerator * 2^exponent`.
    pub(super) fn dyadic(numerator: BigInt, exponent: i64) -> Self {
        Self::reduced(numerator, exponent, BigUint::from(1u32))
    }

    /// `numerator * 2^exponent / divisor`, brought to lowest terms; the divisor is odd.
    fn reduced(mut numerator: BigInt, mut exponent: i64, mut divisor: BigUint) -> Self {
        let Some(zeros) = numerator.trailing_zeros() else { return Self::new() };
        if zeros > 0 {
            numerator >>= zeros;
            exponent += zeros as i64;
        }
        if divisor.bits() > 1 {
            let common = common_divisor(numerator.magnitude().clone(), divisor.clone());
            if common.bits() > 1 {
                numerator /= BigInt::from(common.clone());
                divisor /= common;
            }
        }
        Self { numerator, exponent, divisor }
    }

    /// Whether it is negative, `|numerator * 2^exponent|` (none of 0), and the divisor.
    pub(super) fn parts(&self) -> (bool, Option<Dyadic>, &BigUint) {
        let size = self.numerator.magnitude();
        let dyadic = (*size != BigUint::ZERO).then(|| Dyadic { significand: size.clone(), exponent: self.exponent });
        (self.numerator.sign() == Sign::Minus, dyadic, &self.divisor)
    }

    /// How it compares to 0.
    pub fn cmp0(&self) -> Ordering {
        self.numerator.cmp(&BigInt::ZERO)
    }

    /// The numerator of the fraction in lowest terms.
    pub fn numer(&self) -> Integer {
        Integer(&self.numerator << self.exponent.max(0))
    }

    /// The denominator of the fraction in lowest terms.
    pub fn denom(&self) -> Integer {
        Integer(BigInt::from(&self.divisor << (-self.exponent).max(0)))
    }

    /// The absolute value.
    pub fn abs_ref(&self) -> Self {
        Self { numerator: BigInt::from(self.numerator.magnitude().clone()), ..self.clone() }
    }

    /// The largest integer that is not above it.
    pub fn floor_ref(&self) -> Integer {
        let (above, below) = (self.numer().0, self.denom().0);
        let quotient = &above / &below;
        let is_rounded_up = above.sign() == Sign::Minus && &quotient * &below != above;
        Integer(quotient - i32::from(is_rounded_up))
    }

    /// The `f64` nearest to it toward 0.
    pub fn to_f64(&self) -> f64 {
        toward_zero(&self.numerator, &self.divisor, self.exponent)
    }

    /// `1 / x`; 0 has none.
    pub fn recip(self) -> Self {
        let numerator = BigInt::from_biguint(self.numerator.sign(), self.divisor);
        Self { numerator, exponent: -self.exponent, divisor: self.numerator.into_parts().1 }
    }

    fn sum(&self, other: &Self, sign: i32) -> Self {
        if other.numerator == BigInt::ZERO {
            return self.clone();
        }
        let exponent = self.exponent.min(other.exponent);
        let own = &self.numerator << (self.exponent - exponent);
        let others = (&other.numerator << (other.exponent - exponent)) * sign;
        if self.divisor == other.divisor {
            return Self::reduced(own + others, exponent, self.divisor.clone());
        }
        let (own_divisor, other_divisor) = (BigInt::from(self.divisor.clone()), BigInt::from(other.divisor.clone()));
        let divisor = &self.divisor * &other.divisor;
        Self::reduced(own * other_divisor + others * own_divisor, exponent, divisor)
    }

    fn product(&self, other: &Self) -> Self {
        let divisor = &self.divisor * &other.divisor;
        Self::reduced(&self.numerator * &other.numerator, self.exponent + other.exponent, divisor)
    }

    /// The product with `2^by`.
    fn times_power(self, by: i64) -> Self {
        Self::reduced(self.numerator, self.exponent + by, self.divisor)
    }

    fn quotient(&self, other: &Self) -> Self {
        self.product(&other.clone().recip())
    }
}

/// The greatest common divisor of two numbers other than 0, by Euclid. One of them is nearly always small, which takes one long division.
fn common_divisor(mut a: BigUint, mut b: BigUint) -> BigUint {
    while b != BigUint::ZERO {
        let rest = a % &b;
        a = b;
        b = rest;
    }
    a
}

impl Default for Rational {
    fn default() -> Self {
        Self::new()
    }
}

/// Integers of Rust, and operations with them.
macro_rules! integers {
    ($($type:ty),*) => { $(
        impl From<$type> for Rational {
            fn from(x: $type) -> Self {
                Self::dyadic(BigInt::from(x), 0)
            }
        }

        integers!(@each $type, Add, add);
        integers!(@each $type, Sub, sub);
        integers!(@each $type, Mul, mul);
        integers!(@each $type, Div, div);

        impl PartialEq<$type> for Rational {
            fn eq(&self, other: &$type) -> bool {
                self.partial_cmp(other) == Some(Ordering::Equal)
            }
        }

        impl PartialOrd<$type> for Rational {
            fn partial_cmp(&self, other: &$type) -> Option<Ordering> {
                Some(self.cmp(&Rational::from(*other)))
            }
        }
    )* };
    (@each $type:ty, $op:ident, $name:ident) => {
        impl $op<$type> for Rational {
            type Output = Rational;

            fn $name(self, other: $type) -> Rational {
                self.$name(Rational::from(other))
            }
        }

        impl $op<$type> for &Rational {
            type Output = Rational;

            fn $name(self, other: $type) -> Rational {
                self.$name(&Rational::from(other))
            }
        }
    };
}

integers!(i32, u32, u64);

impl From<(i32, u64)> for Rational {
    /// A fraction, with a denominator other than 0.
    fn from((above, below): (i32, u64)) -> Self {
        Self::from(above) / Self::from(below)
    }
}

impl From<(i32, u32)> for Rational {
    /// A fraction, with a denominator other than 0.
    fn from((above, below): (i32, u32)) -> Self {
        Self::from((above, u64::from(below)))
    }
}

impl From<(i32, i32)> for Rational {
    /// A fraction, with a denominator other than 0.
    fn from((above, below): (i32, i32)) -> Self {
        Self::from(above) / Self::from(below)
    }
}

impl From<&Integer> for Rational {
    fn from(x: &Integer) -> Self {
        Self::dyadic(x.0.clone(), 0)
    }
}

/// Operations of two rational numbers.
macro_rules! operations {
    ($($op:ident, $name:ident, |$a:ident, $b:ident| $value:expr;)*) => { $(
        impl $op<&Rational> for &Rational {
            type Output = Rational;

            fn $name(self, other: &Rational) -> Rational {
                let ($a, $b) = (self, other);
                $value
            }
        }

        impl $op<Rational> for Rational {
            type Output = Rational;

            fn $name(self, other: Rational) -> Rational {
                (&self).$name(&other)
            }
        }

        impl $op<&Rational> for Rational {
            type Output = Rational;

            fn $name(self, other: &Rational) -> Rational {
                (&self).$name(other)
            }
        }

        impl $op<Rational> for &Rational {
            type Output = Rational;

            fn $name(self, other: Rational) -> Rational {
                self.$name(&other)
            }
        }
    )* };
}

operations! {
    Add, add, |a, b| a.sum(b, 1);
    Sub, sub, |a, b| a.sum(b, -1);
    Mul, mul, |a, b| a.product(b);
    Div, div, |a, b| a.quotient(b);
}

impl Sub<&Integer> for &Rational {
    type Output = Rational;

    fn sub(self, other: &Integer) -> Rational {
        self - Rational::from(other)
    }
}

impl AddAssign for Rational {
    fn add_assign(&mut self, other: Rational) {
        *self = self.sum(&other, 1);
    }
}

impl SubAssign for Rational {
    fn sub_assign(&mut self, other: Rational) {
        *self = self.sum(&other, -1);
    }
}

impl MulAssign for Rational {
    fn mul_assign(&mut self, other: Rational) {
        *self = self.product(&other);
    }
}

impl Neg for Rational {
    type Output = Rational;

    fn neg(self) -> Rational {
        Self { numerator: -self.numerator, ..self }
    }
}

impl Shl<u32> for Rational {
    type Output = Rational;

    fn shl(self, by: u32) -> Rational {
        self.times_power(by.into())
    }
}

impl Shr<u32> for Rational {
    type Output = Rational;

    fn shr(self, by: u32) -> Rational {
        self.times_power(-i64::from(by))
    }
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |x: &Self| x.cmp0();
        let by_sign = sign(self).cmp(&sign(other));
        by_sign.then_with(|| self.sum(other, -1).cmp0())
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq<Integer> for Rational {
    fn eq(&self, other: &Integer) -> bool {
        self.cmp(&Rational::from(other)) == Ordering::Equal
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.numer(), self.denom())
    }
}
