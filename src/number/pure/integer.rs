//! Integers of any size, in the forms that are used of GMP's.

use super::dyadic::toward_zero;
use num_bigint::{BigInt, BigUint};
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Mul, Shl, Shr};

/// An integer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Integer(pub(in crate::number) BigInt);

#[allow(dead_code)] // Some are used by tests only.
impl Integer {
    /// 0.
    pub fn new() -> Self {
        Self(BigInt::ZERO)
    }

    /// Whether it is odd.
    pub fn is_odd(&self) -> bool {
        self.0.bit(0)
    }

    /// The bits of the absolute value; none of 0.
    pub fn significant_bits(&self) -> u32 {
        self.0.bits() as u32
    }

    /// The value, if it is one of that type.
    pub fn to_u128(&self) -> Option<u128> {
        u128::try_from(&self.0).ok()
    }

    /// The value modulo `2^128`.
    pub fn to_u128_wrapping(&self) -> u128 {
        let low = &self.0 & BigInt::from(u128::MAX);
        u128::try_from(low).unwrap_or_default()
    }

    /// The value modulo `2^128`, from `-2^127` on.
    pub fn to_i128_wrapping(&self) -> i128 {
        self.to_u128_wrapping() as i128
    }

    /// The value modulo `2^64`.
    pub fn to_u64_wrapping(&self) -> u64 {
        self.to_u128_wrapping() as u64
    }

    /// The value modulo `2^bits`.
    pub fn keep_bits(self, bits: u32) -> Self {
        Self(self.0 & (BigInt::from(BigUint::from(1u32) << bits) - 1))
    }

    /// The `f64` nearest to it toward 0.
    pub fn to_f64(&self) -> f64 {
        toward_zero(&self.0, &BigUint::from(1u32), 0)
    }
}

impl Default for Integer {
    fn default() -> Self {
        Self::new()
    }
}

/// Integers of Rust.
macro_rules! integers {
    ($($type:ty),*) => { $(
        impl From<$type> for Integer {
            fn from(x: $type) -> Self {
                Self(BigInt::from(x))
            }
        }
    )* };
}

integers!(i32, u32, u64, u128, i128);

impl From<&Integer> for Integer {
    fn from(x: &Integer) -> Self {
        x.clone()
    }
}

impl AddAssign<i32> for Integer {
    fn add_assign(&mut self, other: i32) {
        self.0 += other;
    }
}

/// Sums and products with integers of Rust.
macro_rules! operations {
    ($($op:ident, $name:ident, $type:ty;)*) => { $(
        impl $op<$type> for Integer {
            type Output = Integer;

            fn $name(self, other: $type) -> Integer {
                Integer(self.0.$name(other))
            }
        }
    )* };
}

operations! {
    Add, add, i32;
    Add, add, u32;
    Add, add, u64;
    Mul, mul, i32;
    Mul, mul, u32;
    Mul, mul, u128;
    Shl, shl, u32;
    Shl, shl, i32;
    Shr, shr, u32;
    Shr, shr, i32;
}

impl Add<Integer> for Integer {
    type Output = Integer;

    fn add(self, other: Integer) -> Integer {
        Integer(self.0 + other.0)
    }
}

impl Mul<Integer> for Integer {
    type Output = Integer;

    fn mul(self, other: Integer) -> Integer {
        Integer(self.0 * other.0)
    }
}

impl Shr<u32> for &Integer {
    type Output = Integer;

    fn shr(self, by: u32) -> Integer {
        Integer(&self.0 >> by)
    }
}

impl Shr<i32> for &Integer {
    type Output = Integer;

    fn shr(self, by: i32) -> Integer {
        Integer(&self.0 >> by)
    }
}

impl PartialEq<u128> for Integer {
    fn eq(&self, other: &u128) -> bool {
        self.0 == BigInt::from(*other)
    }
}

impl PartialOrd<u128> for Integer {
    fn partial_cmp(&self, other: &u128) -> Option<Ordering> {
        Some(self.0.cmp(&BigInt::from(*other)))
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}
