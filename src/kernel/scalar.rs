//! The four dtypes as Rust types: what a kernel needs to be written once for all of them.

use crate::dtype::Dtype;
use half::{bf16, f16};
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A Rust type that stores values of a dtype: `half::f16`, `half::bf16`, `f32`, `f64`.
pub trait Element: Copy + Send + Sync + Debug + 'static {
    /// The dtype it stores.
    const DTYPE: Dtype;

    /// Rounds to the type, once.
    fn from_f64(x: f64) -> Self;

    /// The value, exactly.
    fn to_f64(self) -> f64;
}

/// A type to compute in: every operation is rounded to it.
///
/// For the half types the arithmetic of `half` computes in f32 and rounds; f32 has more than twice their bits plus two, so
/// sums, products and quotients are rounded correctly.
pub trait Real:
    Element
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// `e^self`, by the platform's libm.
    fn exp(self) -> Self;
    /// `2^self`, by the platform's libm.
    fn exp2(self) -> Self;
    /// The natural logarithm, by the platform's libm.
    fn ln(self) -> Self;
    /// `log(1 + self)`, by the platform's libm.
    fn ln_1p(self) -> Self;
    /// `e^self - 1`, by the platform's libm.
    fn exp_m1(self) -> Self;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Minus infinity.
    const NEG_INFINITY: Self;

    /// Whether this is NaN.
    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }

    /// Whether this is an infinity.
    fn is_infinite(self) -> bool {
        self == Self::NEG_INFINITY || -self == Self::NEG_INFINITY
    }

    /// Whether this is a number: neither NaN nor an infinity.
    fn is_finite(self) -> bool {
        !self.is_nan() && !self.is_infinite()
    }

    /// The magnitude.
    fn abs(self) -> Self {
        if self < Self::ZERO { -self } else { self }
    }

    /// The larger of the two; NaN if either is, as IEEE 754-2019 `maximum` and not as `f32::max`, which drops NaN.
    fn larger(self, other: Self) -> Self {
        if other > self || other.is_nan() { other } else { self }
    }
}

macro_rules! element {
    ($type:ty, $dtype:expr, $from:expr, $to:expr) => {
        impl Element for $type {
            const DTYPE: Dtype = $dtype;
            fn from_f64(x: f64) -> Self {
                $from(x)
            }
            fn to_f64(self) -> f64 {
                $to(self)
            }
        }
    };
}
// `from_f64` of half 2.7 drops the low 32 bits of the f64, so it is given values that are already rounded.
element!(f16, Dtype::F16, |x| f16::from_f64(Dtype::F16.round(x)), f16::to_f64);
element!(bf16, Dtype::Bf16, |x| bf16::from_f64(Dtype::Bf16.round(x)), bf16::to_f64);
element!(f32, Dtype::F32, |x| x as f32, f64::from);
element!(f64, Dtype::F64, |x| x, |x| x);

macro_rules! real_native {
    ($($type:ty),*) => {$(
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = <$type>::NEG_INFINITY;
            fn exp(self) -> Self {
                <$type>::exp(self)
            }
            fn exp2(self) -> Self {
                <$type>::exp2(self)
            }
            fn ln(self) -> Self {
                <$type>::ln(self)
            }
            fn ln_1p(self) -> Self {
                <$type>::ln_1p(self)
            }
            fn exp_m1(self) -> Self {
                <$type>::exp_m1(self)
            }
        }
    )*};
}
real_native!(f32, f64);

macro_rules! real_half {
    ($($type:ty),*) => {$(
        impl Real for $type {
            const ZERO: Self = <$type>::ZERO;
            const ONE: Self = <$type>::ONE;
            const NEG_INFINITY: Self = <$type>::NEG_INFINITY;
            fn exp(self) -> Self {
                <$type>::from_f32(self.to_f32().exp())
            }
            fn exp2(self) -> Self {
                <$type>::from_f32(self.to_f32().exp2())
            }
            fn ln(self) -> Self {
                <$type>::from_f32(self.to_f32().ln())
            }
            fn ln_1p(self) -> Self {
                <$type>::from_f32(self.to_f32().ln_1p())
            }
            fn exp_m1(self) -> Self {
                <$type>::from_f32(self.to_f32().exp_m1())
            }
        }
    )*};
}
real_half!(f16, bf16);
