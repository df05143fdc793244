//! Binary floating-point numbers of any precision: every result is the exact one, rounded once.
//!
//! A number is `significand * 2^exponent`, the significand a positive integer of at most as many bits as the precision, or 0, an infinity or
//! NaN. Nothing that is told of a number depends on how its significand is stored, so 1 may be `1 * 2^0` and `2 * 2^-1`.
//!
//! Special values, signs of zeros, and what is done beyond the range of exponents are MPFR's. The range is the one that MPFR has when a program
//! starts.

use super::dyadic::{Bounded, Dyadic, LARGEST, LEAST, Magnitude, Round, difference, parts_of, quotient, sum};
use super::integer::Integer;
use super::rational::Rational;
use num_bigint::{BigInt, BigUint, Sign};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Shl, ShlAssign, Shr, ShrAssign, Sub, SubAssign};

/// A number of a precision in bits.
#[derive(Debug, Clone)]
pub(crate) struct Float {
    bits: u32,
    is_negative: bool,
    size: Size,
}

/// The absolute value.
#[derive(Debug, Clone)]
enum Size {
    Zero,
    Finite(Dyadic),
    Infinite,
    Nan,
}

impl Float {
    /// 0.
    pub fn new(bits: u32) -> Self {
        Self::zero(bits, false)
    }

    /// The nearest number of that many bits.
    pub fn with_val<T>(bits: u32, value: T) -> Self
    where
        Self: Assign<T>,
    {
        let mut number = Self::new(bits);
        number.assign(value);
        number
    }

    /// The number in a direction, and how it compares to the value.
    pub fn with_val_round<T>(bits: u32, value: T, round: Round) -> (Self, Ordering)
    where
        Self: AssignRound<T, Round = Round, Ordering = Ordering>,
    {
        let mut number = Self::new(bits);
        let order = number.assign_round(value, round);
        (number, order)
    }

    fn special(bits: u32, is_negative: bool, size: Size) -> Self {
        Self { bits, is_negative, size }
    }

    /// 0 with a sign.
    pub(super) fn zero(bits: u32, is_negative: bool) -> Self {
        Self::special(bits, is_negative, Size::Zero)
    }

    /// An infinity.
    pub(super) fn infinite(bits: u32, is_negative: bool) -> Self {
        Self::special(bits, is_negative, Size::Infinite)
    }

    /// NaN.
    pub(super) fn nan(bits: u32) -> Self {
        Self::special(bits, false, Size::Nan)
    }

    /// A number other than 0, rounded to `bits`, and how that compares to it.
    pub(super) fn rounded(bits: u32, is_negative: bool, x: Magnitude, round: Round) -> (Self, Ordering) {
        let outward = round.outward(is_negative);
        let (size, order) = x.rounded(bits, outward);
        let size = match size {
            Bounded::Zero => Size::Zero,
            Bounded::Number(dyadic) => Size::Finite(dyadic),
            Bounded::Infinite => Size::Infinite,
        };
        (Self { bits, is_negative, size }, if is_negative { order.reverse() } else { order })
    }

    /// A number other than 0 that is known exactly, rounded.
    fn of_exact(bits: u32, is_negative: bool, significand: BigUint, exponent: i64, round: Round) -> (Self, Ordering) {
        Self::rounded(bits, is_negative, Magnitude { significand, exponent, is_more: false }, round)
    }

    /// This number, with the precision that holds it.
    fn exactly(significand: u128, exponent: i64, is_negative: bool) -> Self {
        if significand == 0 {
            return Self::zero(1, is_negative);
        }
        let zeros = significand.trailing_zeros();
        let significand = significand >> zeros;
        let bits = u128::BITS - significand.leading_zeros();
        let size = Size::Finite(Dyadic { significand: significand.into(), exponent: exponent + i64::from(zeros) });
        Self { bits, is_negative, size }
    }

    /// The precision in bits.
    pub fn prec(&self) -> u32 {
        self.bits
    }

    /// The absolute value of a number that is neither 0 nor infinite nor NaN.
    pub(super) fn dyadic(&self) -> Option<&Dyadic> {
        if let Size::Finite(dyadic) = &self.size { Some(dyadic) } else { None }
    }

    /// The `e` of `2^(e - 1) <= |x| < 2^e`; none where there is none.
    pub fn get_exp(&self) -> Option<i32> {
        self.dyadic().map(|dyadic| dyadic.top() as i32)
    }

    /// Whether it is 0, of either sign.
    pub fn is_zero(&self) -> bool {
        matches!(self.size, Size::Zero)
    }

    /// Whether it is NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self.size, Size::Nan)
    }

    /// Whether it is an infinity.
    pub(super) fn is_infinite(&self) -> bool {
        matches!(self.size, Size::Infinite)
    }

    /// Whether it is neither an infinity nor NaN.
    pub fn is_finite(&self) -> bool {
        matches!(self.size, Size::Zero | Size::Finite(_))
    }

    /// Whether its sign is negative; that of a zero counts.
    pub fn is_sign_negative(&self) -> bool {
        self.is_negative
    }

    /// The absolute value.
    pub fn abs(mut self) -> Self {
        self.is_negative = false;
        self
    }

    /// The number that `outward` says is next to it: away from 0, or toward it.
    fn next(&mut self, outward: bool) {
        let bits = u64::from(self.bits);
        let size = match &self.size {
            Size::Finite(Dyadic { significand, exponent }) => {
                let by = bits - significand.bits();
                let (significand, exponent) = (significand << by, exponent - by as i64);
                let is_least = exponent + bits as i64 == LEAST;
                let is_power = significand.trailing_zeros() == Some(bits - 1);
                if outward {
                    let next = significand + 1u32;
                    let is_beyond = next.bits() as i64 + exponent > LARGEST;
                    if is_beyond { Size::Infinite } else { Size::Finite(Dyadic { significand: next, exponent }) }
                } else if is_power && is_least {
                    Size::Zero
                } else if is_power {
                    // Below a power of two, numbers are twice as close.
                    Size::Finite(Dyadic { significand: (significand << 1u32) - 1u32, exponent: exponent - 1 })
                } else {
                    Size::Finite(Dyadic { significand: significand - 1u32, exponent })
                }
            }
            Size::Infinite if !outward => Size::Finite(Dyadic::largest(self.bits)),
            Size::Zero => Size::Finite(Dyadic { significand: 1u32.into(), exponent: LEAST - 1 }),
            Size::Infinite | Size::Nan => return,
        };
        // One bit more than the precision is a power of two.
        if let Size::Finite(Dyadic { significand, exponent }) = size {
            let is_long = significand.bits() > bits;
            let significand = if is_long { significand >> 1u32 } else { significand };
            self.size = Size::Finite(Dyadic { significand, exponent: exponent + i64::from(is_long) });
        } else {
            self.size = size;
        }
    }

    /// Makes it the next number above.
    pub fn next_up(&mut self) {
        if self.is_zero() {
            self.is_negative = false;
        }
        self.next(!self.is_negative);
    }

    /// Makes it the next number below.
    pub fn next_down(&mut self) {
        if self.is_zero() {
            self.is_negative = true;
        }
        self.next(self.is_negative);
    }

    /// The nearest `f64`, ties to even.
    pub fn to_f64(&self) -> f64 {
        let size = match &self.size {
            Size::Zero => 0.0,
            Size::Infinite => f64::INFINITY,
            Size::Nan => return f64::NAN,
            Size::Finite(dyadic) => dyadic.to_f64(false, None),
        };
        if self.is_negative { -size } else { size }
    }

    /// `s` and `e` of `s 2^e`, `1/2 <= |s| < 1`, `s` rounded to nearest; of what has none, itself and 0.
    pub fn to_f64_exp(&self) -> (f64, i32) {
        let Some(dyadic) = self.dyadic() else { return (self.to_f64(), 0) };
        let top = dyadic.top();
        let fraction = Dyadic { significand: dyadic.significand.clone(), exponent: dyadic.exponent - top };
        let size = Self { bits: self.bits, is_negative: self.is_negative, size: Size::Finite(fraction) }.to_f64();
        if size.abs() == 1.0 { (size / 2.0, top as i32 + 1) } else { (size, top as i32) }
    }

    /// `s` and `e` of `s 2^e`, `s` an integer of as many bits as the precision; of what has none, nothing.
    pub fn to_integer_exp(&self) -> Option<(Integer, i32)> {
        match &self.size {
            Size::Zero => Some((Integer::new(), 0)),
            Size::Finite(Dyadic { significand, exponent }) => {
                let by = u64::from(self.bits) - significand.bits();
                Some((self.integer(significand << by), (exponent - by as i64) as i32))
            }
            Size::Infinite | Size::Nan => None,
        }
    }

    fn integer(&self, size: BigUint) -> Integer {
        let sign = if self.is_negative { Sign::Minus } else { Sign::Plus };
        Integer(BigInt::from_biguint(sign, size))
    }

    /// Rounded to an integer, and how that compares to the number; of what is none, nothing.
    pub fn to_integer_round(&self, round: Round) -> Option<(Integer, Ordering)> {
        let (rounded, order) = self.to_integral(round);
        match &rounded.size {
            Size::Zero => Some((Integer::new(), order)),
            Size::Finite(dyadic) => Some((rounded.integer(dyadic.in_units(0)), order)),
            Size::Infinite | Size::Nan => None,
        }
    }

    /// The integer in a direction, with the precision that holds it.
    fn to_integral(&self, round: Round) -> (Self, Ordering) {
        let Some(dyadic) = self.dyadic() else { return (self.clone(), Ordering::Equal) };
        if dyadic.exponent >= 0 {
            return (self.clone(), Ordering::Equal);
        }
        let outward = round.outward(self.is_negative);
        let (integer, order) = dyadic.rounded_to(0, false, outward);
        let order = if self.is_negative { order.reverse() } else { order };
        if integer == BigUint::ZERO {
            return (Self::zero(self.bits, self.is_negative), order);
        }
        let bits = self.bits.max(integer.bits() as u32);
        let size = Size::Finite(Dyadic { significand: integer, exponent: 0 });
        (Self { bits, is_negative: self.is_negative, size }, order)
    }

    /// The nearest integer, ties to even.
    pub fn round_even(self) -> Self {
        let bits = self.bits;
        Self::with_val(bits, &self.to_integral(Round::Nearest).0)
    }

    /// The exact value; none of an infinity or NaN.
    pub fn to_rational(&self) -> Option<Rational> {
        match &self.size {
            Size::Zero => Some(Rational::new()),
            Size::Finite(Dyadic { significand, exponent }) => {
                let sign = if self.is_negative { Sign::Minus } else { Sign::Plus };
                Some(Rational::dyadic(BigInt::from_biguint(sign, significand.clone()), *exponent))
            }
            Size::Infinite | Size::Nan => None,
        }
    }

    /// The order of absolute values; none beside NaN.
    pub fn cmp_abs(&self, other: &Self) -> Option<Ordering> {
        self.clone().abs().partial_cmp(&other.clone().abs())
    }

    /// The order of numbers, -0 below 0; NaN last.
    pub fn total_cmp(&self, other: &Self) -> Ordering {
        self.partial_cmp(other)
            .map(|order| order.then(other.is_negative.cmp(&self.is_negative)))
            .unwrap_or_else(|| self.is_nan().cmp(&other.is_nan()))
    }

    fn sum(&self, other: &Self, bits: u32, round: Round) -> (Self, Ordering) {
        match (&self.size, &other.size) {
            (Size::Nan, _) | (_, Size::Nan) => (Self::nan(bits), Ordering::Equal),
            (Size::Infinite, Size::Infinite) if self.is_negative != other.is_negative => {
                (Self::nan(bits), Ordering::Equal)
            }
            (Size::Infinite, _) => (Self::infinite(bits, self.is_negative), Ordering::Equal),
            (_, Size::Infinite) => (Self::infinite(bits, other.is_negative), Ordering::Equal),
            (Size::Zero, Size::Zero) => {
                let is_negative =
                    if self.is_negative == other.is_negative { self.is_negative } else { round == Round::Down };
                (Self::zero(bits, is_negative), Ordering::Equal)
            }
            (Size::Zero, Size::Finite(_)) => other.rounded(bits, round),
            (Size::Finite(_), Size::Zero) => self.rounded(bits, round),
            (Size::Finite(a), Size::Finite(b)) => {
                if self.is_negative == other.is_negative {
                    return Self::rounded(bits, self.is_negative, sum(a, b, bits), round);
                }
                match a.cmp(b) {
                    Ordering::Equal => (Self::zero(bits, round == Round::Down), Ordering::Equal),
                    Ordering::Greater => Self::rounded(bits, self.is_negative, difference(a, b, bits), round),
                    Ordering::Less => Self::rounded(bits, other.is_negative, difference(b, a, bits), round),
                }
            }
        }
    }

    fn product(&self, other: &Self, bits: u32, round: Round) -> (Self, Ordering) {
        let is_negative = self.is_negative != other.is_negative;
        let special = match (&self.size, &other.size) {
            (Size::Finite(a), Size::Finite(b)) => {
                let significand = &a.significand * &b.significand;
                return Self::of_exact(bits, is_negative, significand, a.exponent + b.exponent, round);
            }
            (Size::Nan, _) | (_, Size::Nan) | (Size::Zero, Size::Infinite) | (Size::Infinite, Size::Zero) => {
                Self::nan(bits)
            }
            (Size::Infinite, _) | (_, Size::Infinite) => Self::infinite(bits, is_negative),
            (Size::Zero, _) | (_, Size::Zero) => Self::zero(bits, is_negative),
        };
        (special, Ordering::Equal)
    }

    fn quotient(&self, other: &Self, bits: u32, round: Round) -> (Self, Ordering) {
        let is_negative = self.is_negative != other.is_negative;
        let special = match (&self.size, &other.size) {
            (Size::Finite(a), Size::Finite(b)) => {
                return Self::rounded(bits, is_negative, quotient(a, &b.significand, b.exponent, bits), round);
            }
            (Size::Nan, _) | (_, Size::Nan) | (Size::Zero, Size::Zero) | (Size::Infinite, Size::Infinite) => {
                Self::nan(bits)
            }
            (Size::Infinite, _) | (_, Size::Zero) => Self::infinite(bits, is_negative),
            (Size::Zero, _) | (_, Size::Infinite) => Self::zero(bits, is_negative),
        };
        (special, Ordering::Equal)
    }
}

/// What can be rounded to a [`Float`]: numbers, and operations on them that were not done yet, so that they are rounded once.
pub(crate) trait Value {
    /// The value, rounded, and how that compares to it.
    fn rounded(self, bits: u32, round: Round) -> (Float, Ordering);
}

/// An operation on numbers whose result is rounded where its precision is known.
pub(crate) enum Pending<'a> {
    Sum(Cow<'a, Float>, Cow<'a, Float>),
    Product(Cow<'a, Float>, Cow<'a, Float>),
    Quotient(Cow<'a, Float>, Cow<'a, Float>),
    Of(Function, &'a Float),
    Shifted(&'a Float, i64),
}

/// A function of a number that is rounded once.
type Function = fn(&Float, u32, Round) -> (Float, Ordering);

impl Value for Pending<'_> {
    fn rounded(self, bits: u32, round: Round) -> (Float, Ordering) {
        match self {
            Pending::Sum(a, b) => a.sum(&b, bits, round),
            Pending::Product(a, b) => a.product(&b, bits, round),
            Pending::Quotient(a, b) => a.quotient(&b, bits, round),
            Pending::Of(function, x) => function(x, bits, round),
            Pending::Shifted(x, by) => match &x.size {
                Size::Finite(Dyadic { significand, exponent }) => {
                    Float::of_exact(bits, x.is_negative, significand.clone(), exponent + by, round)
                }
                _ => x.rounded(bits, round),
            },
        }
    }
}

impl Value for &Float {
    fn rounded(self, bits: u32, round: Round) -> (Float, Ordering) {
        match &self.size {
            Size::Finite(Dyadic { significand, exponent }) => {
                if significand.bits() <= u64::from(bits) {
                    return (Float { bits, ..self.clone() }, Ordering::Equal);
                }
                Float::of_exact(bits, self.is_negative, significand.clone(), *exponent, round)
            }
            _ => (Float { bits, ..self.clone() }, Ordering::Equal),
        }
    }
}

impl Value for Float {
    fn rounded(self, bits: u32, round: Round) -> (Float, Ordering) {
        match self.size {
            Size::Finite(Dyadic { significand, exponent }) => {
                Float::of_exact(bits, self.is_negative, significand, exponent, round)
            }
            _ => (Float { bits, ..self }, Ordering::Equal),
        }
    }
}

impl Value for &Rational {
    fn rounded(self, bits: u32, round: Round) -> (Float, Ordering) {
        let (is_negative, dyadic, divisor) = self.parts();
        match dyadic {
            None => (Float::zero(bits, false), Ordering::Equal),
            Some(dyadic) => Float::rounded(bits, is_negative, quotient(&dyadic, divisor, 0, bits), round),
        }
    }
}

impl From<f64> for Float {
    /// Exactly, in the bits that it needs.
    fn from(x: f64) -> Self {
        if x.is_nan() {
            return Self::nan(1);
        }
        if x.is_infinite() {
            return Self::infinite(1, x < 0.0);
        }
        let (significand, exponent) = parts_of(x);
        Self::exactly(significand.into(), exponent, x.is_sign_negative())
    }
}

/// Integers are numbers, exactly, in the bits that they need.
macro_rules! integers {
    ($($type:ty),*) => { $(
        impl From<$type> for Float {
            fn from(x: $type) -> Self {
                let x = x as i128;
                Self::exactly(x.unsigned_abs(), 0, x < 0)
            }
        }
    )* };
}

integers!(i32, i64, u32, u64, usize);

impl From<u128> for Float {
    fn from(x: u128) -> Self {
        Self::exactly(x, 0, false)
    }
}

impl From<&Integer> for Float {
    fn from(x: &Integer) -> Self {
        let size = x.0.magnitude();
        if *size == BigUint::ZERO {
            return Self::zero(1, false);
        }
        let dyadic = Dyadic { significand: size.clone(), exponent: 0 };
        Self { bits: size.bits() as u32, is_negative: x.0.sign() == Sign::Minus, size: Size::Finite(dyadic) }
    }
}

impl From<Integer> for Float {
    fn from(x: Integer) -> Self {
        Self::from(&x)
    }
}

/// What may stand beside a [`Float`] in a sum, product or quotient.
macro_rules! operands {
    ($($type:ty),*) => { $(
        impl Value for $type {
            fn rounded(self, bits: u32, round: Round) -> (Float, Ordering) {
                Float::from(self).rounded(bits, round)
            }
        }

        operands!(@each $type, Add, add, AddAssign, add_assign, sum);
        operands!(@each $type, Sub, sub, SubAssign, sub_assign, less);
        operands!(@each $type, Mul, mul, MulAssign, mul_assign, product);
        operands!(@each $type, Div, div, DivAssign, div_assign, quotient);
    )* };
    (@each $type:ty, $op:ident, $name:ident, $assign:ident, $assign_name:ident, $function:ident) => {
        impl $op<$type> for Float {
            type Output = Float;

            fn $name(self, other: $type) -> Float {
                self.$function(&Float::from(other), self.bits, Round::Nearest).0
            }
        }

        impl<'a> $op<$type> for &'a Float {
            type Output = Pending<'a>;

            fn $name(self, other: $type) -> Pending<'a> {
                Pending::$name(Cow::Borrowed(self), Cow::Owned(Float::from(other)))
            }
        }

        impl $op<Float> for $type {
            type Output = Float;

            fn $name(self, other: Float) -> Float {
                Float::from(self).$function(&other, other.bits, Round::Nearest).0
            }
        }

        impl<'a> $op<&'a Float> for $type {
            type Output = Pending<'a>;

            fn $name(self, other: &'a Float) -> Pending<'a> {
                Pending::$name(Cow::Owned(Float::from(self)), Cow::Borrowed(other))
            }
        }

        impl $assign<$type> for Float {
            fn $assign_name(&mut self, other: $type) {
                *self = self.$function(&Float::from(other), self.bits, Round::Nearest).0;
            }
        }
    };
}

operands!(f64, i32, i64, u32, u64, u128, usize, Integer);

impl<'a> Pending<'a> {
    fn add(a: Cow<'a, Float>, b: Cow<'a, Float>) -> Self {
        Pending::Sum(a, b)
    }

    fn sub(a: Cow<'a, Float>, b: Cow<'a, Float>) -> Self {
        Pending::Sum(a, Cow::Owned(-b.into_owned()))
    }

    fn mul(a: Cow<'a, Float>, b: Cow<'a, Float>) -> Self {
        Pending::Product(a, b)
    }

    fn div(a: Cow<'a, Float>, b: Cow<'a, Float>) -> Self {
        Pending::Quotient(a, b)
    }
}

impl Float {
    fn less(&self, other: &Self, bits: u32, round: Round) -> (Self, Ordering) {
        self.sum(&-other.clone(), bits, round)
    }
}

/// Operations of two [`Float`]s, of which the one that is consumed gives the precision, the first of two.
macro_rules! operations {
    ($($op:ident, $name:ident, $assign:ident, $assign_name:ident, $function:ident;)*) => { $(
        impl<'a> $op for &'a Float {
            type Output = Pending<'a>;

            fn $name(self, other: &'a Float) -> Pending<'a> {
                Pending::$name(Cow::Borrowed(self), Cow::Borrowed(other))
            }
        }

        impl $op<&Float> for Float {
            type Output = Float;

            fn $name(self, other: &Float) -> Float {
                self.$function(other, self.bits, Round::Nearest).0
            }
        }

        impl $op for Float {
            type Output = Float;

            fn $name(self, other: Float) -> Float {
                self.$function(&other, self.bits, Round::Nearest).0
            }
        }

        impl $op<Float> for &Float {
            type Output = Float;

            fn $name(self, other: Float) -> Float {
                self.$function(&other, other.bits, Round::Nearest).0
            }
        }

        impl $assign<&Float> for Float {
            fn $assign_name(&mut self, other: &Float) {
                *self = self.$function(other, self.bits, Round::Nearest).0;
            }
        }

        impl $assign for Float {
            fn $assign_name(&mut self, other: Float) {
                *self = self.$function(&other, self.bits, Round::Nearest).0;
            }
        }
    )* };
}

operations! {
    Add, add, AddAssign, add_assign, sum;
    Sub, sub, SubAssign, sub_assign, less;
    Mul, mul, MulAssign, mul_assign, product;
    Div, div, DivAssign, div_assign, quotient;
}

impl Neg for Float {
    type Output = Float;

    fn neg(mut self) -> Float {
        self.is_negative = !self.is_negative;
        self
    }
}

/// Products with powers of two.
macro_rules! shifts {
    ($($type:ty),*) => { $(
        impl Shl<$type> for Float {
            type Output = Float;

            fn shl(mut self, by: $type) -> Float {
                self <<= by;
                self
            }
        }

        impl Shr<$type> for Float {
            type Output = Float;

            fn shr(mut self, by: $type) -> Float {
                self >>= by;
                self
            }
        }

        impl<'a> Shr<$type> for &'a Float {
            type Output = Pending<'a>;

            fn shr(self, by: $type) -> Pending<'a> {
                Pending::Shifted(self, -i64::from(by))
            }
        }

        impl ShlAssign<$type> for Float {
            fn shl_assign(&mut self, by: $type) {
                *self = Pending::Shifted(self, i64::from(by)).rounded(self.bits, Round::Nearest).0;
            }
        }

        impl ShrAssign<$type> for Float {
            fn shr_assign(&mut self, by: $type) {
                *self = Pending::Shifted(self, -i64::from(by)).rounded(self.bits, Round::Nearest).0;
            }
        }
    )* };
}

shifts!(i32, u32);

/// Takes the value of another, in its own precision.
pub(crate) trait Assign<T> {
    /// The nearest number to it.
    fn assign(&mut self, value: T);
}

impl<T: Value> Assign<T> for Float {
    fn assign(&mut self, value: T) {
        *self = value.rounded(self.bits, Round::Nearest).0;
    }
}

/// Takes the value of another, rounded in a direction.
pub(crate) trait AssignRound<T> {
    /// The directions.
    type Round;
    /// How the result compares to the value.
    type Ordering;

    /// The number in that direction from it.
    fn assign_round(&mut self, value: T, round: Self::Round) -> Self::Ordering;
}

impl<T: Value> AssignRound<T> for Float {
    type Round = Round;
    type Ordering = Ordering;

    fn assign_round(&mut self, value: T, round: Round) -> Ordering {
        let (value, order) = value.rounded(self.bits, round);
        *self = value;
        order
    }
}

/// Adds in place, rounded in a direction.
pub(crate) trait AddAssignRound<T> {
    /// The sum, and how it compares to the exact one.
    fn add_assign_round(&mut self, other: T, round: Round) -> Ordering;
}

impl AddAssignRound<&Float> for Float {
    fn add_assign_round(&mut self, other: &Float, round: Round) -> Ordering {
        let (sum, order) = self.sum(other, self.bits, round);
        *self = sum;
        order
    }
}

/// Subtracts in place, rounded in a direction.
pub(crate) trait SubAssignRound<T> {
    /// The difference, and how it compares to the exact one.
    fn sub_assign_round(&mut self, other: T, round: Round) -> Ordering;
}

impl SubAssignRound<f64> for Float {
    fn sub_assign_round(&mut self, other: f64, round: Round) -> Ordering {
        let (difference, order) = self.less(&Float::from(other), self.bits, round);
        *self = difference;
        order
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let sign = |x: &Self| match x.size {
            Size::Zero => 0,
            _ if x.is_negative => -1,
            _ => 1,
        };
        if self.is_nan() || other.is_nan() {
            return None;
        }
        let by_sign = sign(self).cmp(&sign(other));
        let size = || match (&self.size, &other.size) {
            (Size::Finite(a), Size::Finite(b)) => a.cmp(b),
            (a, b) => matches!(a, Size::Infinite).cmp(&matches!(b, Size::Infinite)),
        };
        Some(by_sign.then_with(|| if self.is_negative { size().reverse() } else { size() }))
    }
}

/// Comparisons with plain numbers.
macro_rules! comparisons {
    ($($type:ty),*) => { $(
        impl PartialEq<$type> for Float {
            fn eq(&self, other: &$type) -> bool {
                self.partial_cmp(other) == Some(Ordering::Equal)
            }
        }

        impl PartialOrd<$type> for Float {
            fn partial_cmp(&self, other: &$type) -> Option<Ordering> {
                self.partial_cmp(&Float::from(other.clone()))
            }
        }
    )* };
}

comparisons!(f64, i32, u32, Integer);

impl PartialEq<Rational> for Float {
    fn eq(&self, other: &Rational) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd<Rational> for Float {
    fn partial_cmp(&self, other: &Rational) -> Option<Ordering> {
        match self.size {
            Size::Nan => None,
            Size::Infinite => Some(if self.is_negative { Ordering::Less } else { Ordering::Greater }),
            Size::Zero | Size::Finite(_) => Some(self.to_rational()?.cmp(other)),
        }
    }
}
