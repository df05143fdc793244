//! Decimal digits of binary numbers, correctly rounded.

use super::dyadic::{Dyadic, Round, shifted};
use super::float::Float;
use super::functions::{FINE, SPREAD, next_units};
use super::series::{exp_below, ln_2, ln_10};
use num_bigint::{BigInt, BigUint};
use std::cmp::Ordering;
use std::fmt;

/// The `digits` leading decimal digits of a number, rounded to nearest, ties to even, and the `e` of `0.digits * 10^e`.
fn decimal(x: &Dyadic, digits: usize) -> (String, i64) {
    // Off by one at most.
    let mut exponent = (x.top() as f64 * std::f64::consts::LOG10_2).floor() as i64;
    loop {
        let integer = integer_of(x, digits as i64 - exponent);
        let text = integer.to_string();
        match text.len().cmp(&digits) {
            Ordering::Equal => return (text, exponent),
            Ordering::Less => exponent -= 1,
            Ordering::Greater => exponent += 1,
        }
    }
}

/// The integer nearest to `x 10^scale`, ties to even.
fn integer_of(x: &Dyadic, scale: i64) -> BigUint {
    /// Powers of ten up to here are computed.
    const NEAR: u64 = 5_000;
    if scale.unsigned_abs() <= NEAR && x.exponent.unsigned_abs() <= 4 * NEAR {
        let ten = BigUint::from(10u32).pow(scale.unsigned_abs() as u32);
        let (mut above, mut below) = (x.significand.clone(), BigUint::from(1u32));
        *(if scale >= 0 { &mut above } else { &mut below }) *= ten;
        let by = x.exponent.unsigned_abs();
        if x.exponent >= 0 {
            above <<= by
        } else {
            below <<= by
        }
        let floor = &above / &below;
        let rest = (above - &floor * &below) << 1u32;
        let up = match rest.cmp(&below) {
            Ordering::Less => false,
            Ordering::Equal => floor.bit(0),
            Ordering::Greater => true,
        };
        return floor + u32::from(up);
    }
    // x = s exp(r), r = e log 2 + scale log 10, which errs by less than a unit, as `scale` and `e` are below 2^31; a number so far away is no
    // tie of few digits.
    let mut w = 256 + x.significand.bits();
    loop {
        let fine = w + FINE;
        let r = BigInt::from(ln_2(fine)) * x.exponent + BigInt::from(ln_10(fine)) * scale;
        let log = BigInt::from(ln_2(fine));
        let mut n = &r / &log;
        let mut r = r - &n * &log;
        if r < BigInt::ZERO {
            r += &log;
            n -= 1;
        }
        let n = i64::try_from(n).unwrap_or(0) - w as i64;
        let value = exp_below(&(r.into_parts().1 >> FINE), w);
        let nearest = |value: BigUint| (shifted(&(value * &x.significand), n + 1) + 1u32) >> 1u32;
        let (low, high) = (nearest(&value - SPREAD), nearest(value + SPREAD));
        if low == high {
            return low;
        }
        w = next_units(w);
    }
}

impl Float {
    /// The sign, decimal digits without a point, and the exponent `e` of `0.digits * 10^e`, rounded; `base` is 10, and there is no exponent of
    /// what is no number other than 0.
    pub fn to_sign_string_exp_round(
        &self,
        base: i32,
        digits: Option<usize>,
        round: Round,
    ) -> (bool, String, Option<i32>) {
        debug_assert!(base == 10 && round == Round::Nearest, "the one form that is asked for");
        let digits = digits.unwrap_or(1);
        let is_negative = self.is_sign_negative();
        match self.dyadic() {
            Some(dyadic) => {
                let (text, exponent) = decimal(dyadic, digits);
                (is_negative, text, Some(exponent as i32))
            }
            None if self.is_zero() => (is_negative, "0".into(), None),
            None => (is_negative, if self.is_nan() { "nan".into() } else { "inf".into() }, None),
        }
    }
}

impl fmt::Display for Float {
    /// With the digits that tell numbers of the precision apart.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let digits = 2 + (f64::from(self.prec()) * std::f64::consts::LOG10_2) as usize;
        let sign = if self.is_sign_negative() { "-" } else { "" };
        match self.to_sign_string_exp_round(10, Some(digits), Round::Nearest) {
            (_, text, Some(exponent)) => write!(f, "{sign}0.{text}e{exponent}"),
            (_, text, None) => write!(f, "{sign}{}", if self.is_zero() { "0" } else { &text }),
        }
    }
}

impl fmt::LowerExp for Float {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
