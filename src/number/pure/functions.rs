//! `exp`, `2^x`, `exp(x) - 1`, `log x` and `log(1 + x)`, correctly rounded.
//!
//! Every function is enclosed in fixed point, between two integers in units of `2^-w`, and told when both ends, just inside, round to the same
//! number; else `w` grows (Ziv's loop). It ends: of a number that is dyadic, and none of the few that are taken out first (`exp 0`, `2^n`,
//! `log 1`), none of these functions is dyadic, by the theorem of Lindemann and Weierstrass, and for `2^x` because no root of 2 is rational.
//! So no value lies on a number or a midpoint. What a number lacks is said in `series`.
//!
//! **`exp(x)`** ([`power`]). `n` is the integer part of `x / log 2`, and `r = x - n log 2` in units with [`FINE`] bits more. `X` lacks less than 1 of
//! these, `n log 2` less than `2 |n| <= 2^33` (`|n| <= 2^32`), so `R` errs by less than `1 + 1/2 + 1` units in all. `exp` has a derivative below
//! 2.1 there and `exp_below` lacks 2: what is found, in units, is above the value by less than 6 and below it by less than 8. For `2^x` with
//! `r = (x - n) log 2`, `R` lacks less than `1 + 2 + 1`, and the value less than `4 * 2.1 + 2`. [`SPREAD`] is more than both.
//!
//! **`exp(x) - 1`.** From `|x| = 1/16` on it is the difference, which loses five bits at most. Below, it is `x (1 + sum_(j>=1) x^j / (j+1)!)`,
//! the sum made of the terms with and without a sign of their own; both parts lack less than `2 J + 4` together, as in `series`, and `|x|` in
//! units lacks less than 1, of which the sum takes over less than 1.
//!
//! **`log x`**, `x = 2^n m`, `m` between `sqrt(1/2)` and `sqrt 2`, but for rounding. Unless `n = 0` and `|m - 1| < 1/64`, `y` is an integer in units near
//! `log m`, from the `f64` of that name (any number would do; the nearer, the shorter is the series), and `log x = n log 2 + y + log(1 + d)`,
//! `1 + d = m exp(-y)`:
//! - `exp(-y)`, of `-y >= 0` or of `log 2 - y`, halved, lacks less than 7 units, `m` less than 1, so `P = m exp(-y)` lacks less than 14 (`m < 1.5`).
//! - `|d| < 1/64`, and is far less; so `log(1 + d)` errs for that by less than 15. It is `2 artanh(t)`, `t = |d| / (2 + d)`, where `T` lacks
//!   less than 1 and the series less than `2 J + 4`: twice that in all, `4 J + 10`.
//! - `n log 2` errs by less than 2, as above.
//!
//! That is less than `4 J + 32`. The result is at least `1/65` in size, so that it has all but seven of the bits.
//!
//! **`log(1 + x)`** is `log` of the sum, which is exact (beyond `2^(w + 8)` the 1 is left out, which is less than a unit), and for `|x| < 1/64`, where
//! `log` uses it, too, `x G`, `G = A (1 + sum_(j>=1) t^(2j) / (2j+1))`, `A = 2 / (2 + x)`, `t = |x| A / 2`. `X` lacks less than 1, so `A` errs by less than
//! 2, `T` by less than 2, `t^2` by less than 2, each term by less than 2, and `G` by less than `3 J + 10`.
//!
//! **Tiny arguments.** Where `|x|` is so small that `x^2` is less than a unit of `x`, written with two bits more than are asked for, `exp(x) - 1` lies
//! between `x` and the next such unit above, `log(1 + x)` between it and the next below, and nothing is computed; so it is with `exp(x)` beside 1.

use super::dyadic::{Dyadic, Magnitude, Round};
use super::float::{Float, Pending, Value};
use super::series::{artanh_below, exp_below, ln_2, one};
use num_bigint::{BigInt, BigUint};
use std::cmp::Ordering;

/// Bits by which `n log 2` is told better than what it is subtracted from.
pub(super) const FINE: u64 = 40;

/// More than what [`power`] errs by on either side, in units.
pub(super) const SPREAD: u32 = 16;

/// Beyond `2^BEYOND`, an argument has an exponential out of all range.
const BEYOND: i64 = 31;

/// The first units of Ziv's loop for a precision, and the next ones: whole words.
fn first_units(bits: u32) -> u64 {
    (u64::from(bits) + 40).next_multiple_of(64)
}

pub(super) fn next_units(w: u64) -> u64 {
    w + (w / 2).next_multiple_of(64)
}

/// An open interval of one sign, `low * 2^exponent` to `high * 2^exponent` in size.
struct Enclosed {
    is_negative: bool,
    low: BigUint,
    high: BigUint,
    exponent: i64,
}

impl Enclosed {
    /// What every number inside rounds to; none where they round to several.
    fn rounded(self, bits: u32, round: Round) -> Option<(Float, Ordering)> {
        let Self { is_negative, low, high, exponent } = self;
        if low.bits() < u64::from(bits) + 2 {
            return None;
        }
        let round = |significand: BigUint| {
            Float::rounded(bits, is_negative, Magnitude { significand, exponent, is_more: true }, round)
        };
        let (least, largest) = (round(low), round(high - 1u32));
        (least == largest).then_some(least)
    }
}

/// Ziv's loop: `enclosed` in ever finer units, until the rounding is certain.
fn decided(bits: u32, round: Round, enclosed: impl Fn(u64) -> Enclosed) -> (Float, Ordering) {
    let mut w = first_units(bits);
    loop {
        if let Some(decided) = enclosed(w).rounded(bits, round) {
            return decided;
        }
        w = next_units(w);
    }
}

/// `n` and what is [`SPREAD`] units about `exp(x - n log 2)`, in units of `2^-w`, at least 1; `|x|` is below `2^31`.
fn power(x: &Float, dyadic: &Dyadic, w: u64) -> (i64, BigUint) {
    let mut n = (x.to_f64() * std::f64::consts::LOG2_E).floor() as i64;
    let fine = dyadic.in_units(-((w + FINE) as i64));
    let fine = BigInt::from_biguint(sign(x.is_sign_negative()), fine);
    let log = BigInt::from(ln_2(w + FINE));
    let mut r: BigInt = fine - &log * n;
    // The estimate is off by one at most.
    while r < BigInt::ZERO {
        r += &log;
        n -= 1;
    }
    while r >= log {
        r -= &log;
        n += 1;
    }
    (n, exp_below(&(r.into_parts().1 >> FINE), w))
}

fn sign(is_negative: bool) -> num_bigint::Sign {
    if is_negative { num_bigint::Sign::Minus } else { num_bigint::Sign::Plus }
}

/// A positive number beyond every exponent, or below: what rounds as it does.
fn out_of_range(bits: u32, is_beyond: bool, round: Round) -> (Float, Ordering) {
    let exponent = if is_beyond { 1 << 40 } else { -(1 << 40) };
    Float::rounded(bits, false, Magnitude { significand: one(u64::from(bits) + 2), exponent, is_more: true }, round)
}

/// Just above a number, or just below it, by less than `x^2`; none where that is not little enough.
///
/// `x` is written in `m` bits, two more than are asked for at least, and `|x| 2^m <= 1` makes `x^2` less than one of its units.
fn beside(bits: u32, is_negative: bool, x: &Dyadic, is_outward: bool, round: Round) -> Option<(Float, Ordering)> {
    let by = (u64::from(bits) + 3).saturating_sub(x.significand.bits()).max(2);
    let length = x.significand.bits() + by;
    if x.top() + length as i64 > 0 {
        return None;
    }
    let significand = (&x.significand << by) - u32::from(!is_outward);
    let magnitude = Magnitude { significand, exponent: x.exponent - by as i64, is_more: true };
    Some(Float::rounded(bits, is_negative, magnitude, round))
}

/// The exponential.
fn exp(x: &Float, bits: u32, round: Round) -> (Float, Ordering) {
    let is_negative = x.is_sign_negative();
    let Some(dyadic) = x.dyadic() else {
        return match (x.is_zero(), x.is_infinite(), is_negative) {
            (true, ..) => Float::with_val_round(bits, 1u32, round),
            (_, true, false) => (Float::infinite(bits, false), Ordering::Equal),
            (_, true, true) => (Float::zero(bits, false), Ordering::Equal),
            _ => (Float::nan(bits), Ordering::Equal),
        };
    };
    if dyadic.top() > BEYOND {
        return out_of_range(bits, !is_negative, round);
    }
    if dyadic.top() <= -i64::from(bits) - 4 {
        return beside_one(bits, !is_negative, round);
    }
    decided(bits, round, |w| {
        let (n, value) = power(x, dyadic, w);
        Enclosed { is_negative: false, low: &value - SPREAD, high: value + SPREAD, exponent: n - w as i64 }
    })
}

/// A number above or below 1 by less than `2^-(bits + 3)`.
fn beside_one(bits: u32, is_above: bool, round: Round) -> (Float, Ordering) {
    let w = u64::from(bits) + 3;
    let significand = one(w) - u32::from(!is_above);
    Float::rounded(bits, false, Magnitude { significand, exponent: -(w as i64), is_more: true }, round)
}

/// `2^x`.
fn exp2(x: &Float, bits: u32, round: Round) -> (Float, Ordering) {
    let Some(dyadic) = x.dyadic().filter(|dyadic| dyadic.top() <= BEYOND) else {
        // The special values, and what is out of range, are those of the other exponential.
        return exp(x, bits, round);
    };
    if dyadic.significand.trailing_zeros().is_some_and(|zeros| zeros as i64 + dyadic.exponent >= 0) {
        let power = Magnitude { significand: BigUint::from(1u32), exponent: x.to_f64() as i64, is_more: false };
        return Float::rounded(bits, false, power, round);
    }
    if dyadic.top() <= -i64::from(bits) - 4 {
        return beside_one(bits, !x.is_sign_negative(), round);
    }
    decided(bits, round, |w| {
        let units = BigInt::from_biguint(sign(x.is_sign_negative()), dyadic.in_units(-(w as i64)));
        // Both parts round down, which leaves a fraction from 0 to below 1.
        let n = &units >> w;
        let fraction = units - (&n << w);
        let r = (fraction.into_parts().1 * ln_2(w)) >> w;
        let value = exp_below(&r, w);
        let n = i64::try_from(n).unwrap_or(0);
        Enclosed { is_negative: false, low: &value - SPREAD, high: value + SPREAD, exponent: n - w as i64 }
    })
}

/// `exp(x) - 1`.
fn exp_m1(x: &Float, bits: u32, round: Round) -> (Float, Ordering) {
    let is_negative = x.is_sign_negative();
    let Some(dyadic) = x.dyadic() else {
        return match (x.is_infinite(), is_negative) {
            (true, true) => (-Float::with_val(bits, 1u32), Ordering::Equal),
            (true, false) => (Float::infinite(bits, false), Ordering::Equal),
            _ => (Float::with_val(bits, x), Ordering::Equal),
        };
    };
    let top = dyadic.top();
    if top > BEYOND && !is_negative {
        return out_of_range(bits, true, round);
    }
    // exp(x) < 2^-(bits + 3) beside -1.
    if is_negative && (top > BEYOND || x.to_f64() <= -f64::from(bits) - 3.0) {
        let (value, order) = beside_one(bits, false, round.opposite());
        return (-value, order.reverse());
    }
    if let Some(value) = beside(bits, is_negative, dyadic, !is_negative, round) {
        return value;
    }
    if top <= -4 {
        return decided(bits, round, |w| {
            let (factor, error) = exp_m1_factor(dyadic, is_negative, w);
            let (low, high) = (&dyadic.significand * (&factor - error), &dyadic.significand * (factor + error));
            Enclosed { is_negative, low, high, exponent: dyadic.exponent - w as i64 }
        });
    }
    decided(bits, round, |w| {
        let (n, value) = power(x, dyadic, w);
        let (low, high) = (&value - SPREAD, value + SPREAD);
        if n < 0 {
            let by = n.unsigned_abs();
            let (low, high) = (one(w) - (high >> by) - 1u32, one(w) - (low >> by));
            Enclosed { is_negative: true, low, high, exponent: -(w as i64) }
        } else if n as u64 <= w {
            let (low, high) = ((low << n as u64) - one(w), (high << n as u64) - one(w));
            Enclosed { is_negative: false, low, high, exponent: -(w as i64) }
        } else {
            // 1 is less than a unit.
            Enclosed { is_negative: false, low: low - 1u32, high, exponent: n - w as i64 }
        }
    })
}

/// `(exp(x) - 1) / x` of `0 < |x| < 1/16`, in units of `2^-w`, and more than what it errs by.
fn exp_m1_factor(x: &Dyadic, is_negative: bool, w: u64) -> (BigUint, u64) {
    let s = x.in_units(-(w as i64));
    let (mut even, mut odd) = (one(w), BigUint::ZERO);
    let mut term = one(w);
    let mut j = 2u32;
    loop {
        term *= &s;
        term >>= w;
        term /= j;
        if term == BigUint::ZERO {
            break;
        }
        let part = if j.is_multiple_of(2) { &mut odd } else { &mut even };
        *part += &term;
        j += 1;
    }
    let error = 2 * u64::from(j) + 8;
    (if is_negative { even - odd } else { even + odd }, error)
}

/// The logarithm.
fn ln(x: &Float, bits: u32, round: Round) -> (Float, Ordering) {
    if x.is_zero() {
        return (Float::infinite(bits, true), Ordering::Equal);
    }
    if x.is_nan() || x.is_sign_negative() {
        return (Float::nan(bits), Ordering::Equal);
    }
    let Some(dyadic) = x.dyadic() else { return (Float::infinite(bits, false), Ordering::Equal) };
    let (is_below_one, rest) = beside_unit(dyadic);
    let Some(rest) = rest else { return (Float::zero(bits, false), Ordering::Equal) };
    if rest.top() <= -6 {
        return ln_1p_small(&rest, is_below_one, bits, round);
    }
    decided(bits, round, |w| ln_enclosed(dyadic, w))
}

/// Whether `x < 1`, and `|x - 1|`: none where that is 0; 1 stands for all that is far from 1.
fn beside_unit(x: &Dyadic) -> (bool, Option<Dyadic>) {
    let top = x.top();
    if top != 0 && top != 1 {
        return (top < 0, Some(Dyadic { significand: BigUint::from(1u32), exponent: 0 }));
    }
    // The exponent is not positive, and the unit has as many bits as x or one more.
    let by = (-x.exponent).max(0);
    let (significand, unit) = (x.in_units(-by), one(by as u64));
    let is_below_one = significand < unit;
    let rest = if is_below_one { unit - significand } else { significand - unit };
    (is_below_one, (rest != BigUint::ZERO).then_some(Dyadic { significand: rest, exponent: -by }))
}

/// `log x`, unless `|x - 1| < 1/64`.
fn ln_enclosed(x: &Dyadic, w: u64) -> Enclosed {
    // m between 1 and 2, or half of it from about sqrt 2 on.
    let mut n = x.top() - 1;
    let leading = Dyadic { significand: x.significand.clone(), exponent: x.exponent - n };
    let mut m = leading.in_units(-(w as i64));
    let mut estimate = f64_below(&m, w);
    if estimate > std::f64::consts::SQRT_2 {
        n += 1;
        estimate /= 2.0;
        m = Dyadic { exponent: leading.exponent - 1, ..leading }.in_units(-(w as i64));
    }
    let y = in_units(estimate.ln(), w);
    let negative_y = -&y;
    let (r, halved) = match negative_y < BigInt::ZERO {
        false => (negative_y.into_parts().1, 0),
        true => ((negative_y + BigInt::from(ln_2(w))).into_parts().1, 1),
    };
    let product = (m * exp_below(&r, w)) >> (w + halved);
    let d = BigInt::from(product) - BigInt::from(one(w));
    let is_negative = d < BigInt::ZERO;
    let twice = BigInt::from(one(w + 1)) + &d;
    let d = d.into_parts().1;
    debug_assert!(d.bits() + 6 < w, "the logarithm of an f64 is off by more than 2^-6");
    let (artanh, terms) = artanh_below((d << w) / twice.into_parts().1, w);
    let log_1p = BigInt::from_biguint(sign(is_negative), artanh << 1u32);
    let multiple = (BigInt::from(ln_2(w + FINE)) * n) >> FINE;
    let total = multiple + y + log_1p;
    let error = 4 * terms + 32;
    let is_negative = total < BigInt::ZERO;
    let size = total.into_parts().1;
    Enclosed { is_negative, low: &size - error, high: size + error, exponent: -(w as i64) }
}

/// An `f64` near `m`, in units of `2^-w`, which is between 1 and 2.
fn f64_below(m: &BigUint, w: u64) -> f64 {
    let leading = (m >> (w - 62)).iter_u64_digits().next().unwrap_or(0);
    leading as f64 / (1u64 << 62) as f64
}

/// A number below 1 in size, in units of `2^-w`, rounded down.
fn in_units(x: f64, w: u64) -> BigInt {
    // To 2^-62, which is as near as an `f64` of that size is.
    let integer = (x * (1u64 << 62) as f64) as i64;
    BigInt::from(integer) << (w - 62)
}

/// `log(1 + x)` of `0 < |x| < 1/64`.
fn ln_1p_small(x: &Dyadic, is_negative: bool, bits: u32, round: Round) -> (Float, Ordering) {
    if let Some(value) = beside(bits, is_negative, x, is_negative, round) {
        return value;
    }
    decided(bits, round, |w| {
        let units = x.in_units(-(w as i64));
        let twice = if is_negative { one(w + 1) - &units } else { one(w + 1) + &units };
        let a = one(2 * w + 1) / twice;
        let t = (units * &a) >> (w + 1);
        let square = (&t * &t) >> w;
        let mut sum = one(w);
        let mut power = one(w);
        let mut j = 3u32;
        loop {
            power *= &square;
            power >>= w;
            if power == BigUint::ZERO {
                break;
            }
            sum += &power / j;
            j += 2;
        }
        let factor = (a * sum) >> w;
        let error = 3 * u64::from(j) / 2 + 10;
        let (low, high) = (&x.significand * (&factor - error), &x.significand * (factor + error));
        Enclosed { is_negative, low, high, exponent: x.exponent - w as i64 }
    })
}

/// `log(1 + x)`.
fn ln_1p(x: &Float, bits: u32, round: Round) -> (Float, Ordering) {
    let is_negative = x.is_sign_negative();
    let Some(dyadic) = x.dyadic() else {
        return match (x.is_infinite(), is_negative) {
            (true, true) => (Float::nan(bits), Ordering::Equal),
            (true, false) => (Float::infinite(bits, false), Ordering::Equal),
            _ => (Float::with_val(bits, x), Ordering::Equal),
        };
    };
    if dyadic.top() <= -6 {
        return ln_1p_small(dyadic, is_negative, bits, round);
    }
    if is_negative && dyadic.top() > 1 {
        return (Float::nan(bits), Ordering::Equal);
    }
    let by = (-dyadic.exponent).max(0) as u64;
    if is_negative {
        let (units, unit) = (dyadic.in_units(-(by as i64)), one(by));
        return match units.cmp(&unit) {
            Ordering::Greater => (Float::nan(bits), Ordering::Equal),
            Ordering::Equal => (Float::infinite(bits, true), Ordering::Equal),
            Ordering::Less => {
                let sum = Dyadic { significand: unit - units, exponent: -(by as i64) };
                decided(bits, round, |w| ln_enclosed(&sum, w))
            }
        };
    }
    decided(bits, round, |w| {
        if dyadic.top() > w as i64 + 8 {
            let log = ln_enclosed(dyadic, w);
            return Enclosed { high: log.high + 1u32, ..log };
        }
        let sum = Dyadic { significand: dyadic.in_units(-(by as i64)) + one(by), exponent: -(by as i64) };
        ln_enclosed(&sum, w)
    })
}

/// Constants of any precision.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Constant {
    /// The logarithm of 2.
    Log2,
}

impl Value for Constant {
    fn rounded(self, bits: u32, round: Round) -> (Float, Ordering) {
        match self {
            Constant::Log2 => ln(&Float::from(2u32), bits, round),
        }
    }
}

/// The functions, each in the forms that are used: consuming, in place, in place with a direction, and not done yet.
macro_rules! functions {
    ($($function:ident: $($owned:ident)? / $($in_place:ident)? / $($directed:ident)? / $($pending:ident)?;)*) => {
        impl Float { $(
            $(
                #[doc = concat!("[`", stringify!($function), "`], rounded to nearest.")]
                #[allow(dead_code)] // Some are used by tests only, here and below.
                pub fn $owned(self) -> Self {
                    $function(&self, self.prec(), Round::Nearest).0
                }
            )?
            $(
                #[doc = concat!("[`", stringify!($function), "`], rounded to nearest.")]
                pub fn $in_place(&mut self) {
                    *self = $function(self, self.prec(), Round::Nearest).0;
                }
            )?
            $(
                #[doc = concat!("[`", stringify!($function), "`], rounded in a direction.")]
                pub fn $directed(&mut self, round: Round) -> Ordering {
                    let (value, order) = $function(self, self.prec(), round);
                    *self = value;
                    order
                }
            )?
            $(
                #[doc = concat!("[`", stringify!($function), "`], not rounded yet.")]
                #[allow(dead_code)]
                pub fn $pending(&self) -> Pending<'_> {
                    Pending::Of($function, self)
                }
            )?
        )* }
    };
}

functions! {
    exp: exp / / / exp_ref;
    exp2: / / / exp2_ref;
    exp_m1: exp_m1 / exp_m1_mut / / exp_m1_ref;
    ln: ln / ln_mut / ln_round / ln_ref;
    ln_1p: ln_1p / ln_1p_mut / ln_1p_round / ln_1p_ref;
}

/// Every enclosure holds its value, as MPFR tells it with more bits; a rounding alone would hardly ever show a bound that is too small.
#[cfg(all(test, feature = "mpfr"))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rug::integer::Order;

    const MORE: u32 = 128;

    fn of(x: &Dyadic, w: u64) -> rug::Float {
        let integer = rug::Integer::from_digits(&x.significand.to_u64_digits(), Order::Lsf);
        rug::Float::with_val(w as u32 + MORE, integer) << x.exponent as i32
    }

    /// Whether the value is inside, and by how many units it is beside the middle.
    fn beside_middle(enclosed: &Enclosed, exact: &rug::Float) -> (bool, f64) {
        let end = |size: &BigUint| of(&Dyadic { significand: size.clone(), exponent: enclosed.exponent }, size.bits());
        let (size, low, high) = (exact.clone().abs(), end(&enclosed.low), end(&enclosed.high));
        let is_inside = exact.is_sign_negative() == enclosed.is_negative && low < size && size < high;
        let middle = rug::Float::with_val(exact.prec(), &low + &high) / 2u32;
        (is_inside, ((size - middle) >> enclosed.exponent as i32).to_f64().abs())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn logarithms_are_enclosed(significand in 1u64.., e in -80i64..20, w in prop::sample::select(vec![128u64, 192, 320])) {
            let x = Dyadic { significand: significand.into(), exponent: e };
            let is_near_one = beside_unit(&x).1.is_none_or(|rest| rest.top() <= -6);
            prop_assume!(!is_near_one);
            let (is_inside, units) = beside_middle(&ln_enclosed(&x, w), &of(&x, w).ln());
            prop_assert!(is_inside, "{units} units");
        }

        #[test]
        fn exponentials_are_enclosed(significand in 1u64.., e in -64i64..20, negative: bool, w in prop::sample::select(vec![128u64, 192, 320])) {
            let dyadic = Dyadic { significand: significand.into(), exponent: e - 64 };
            let x = Float::with_val(64, significand) >> (64 - e as i32);
            let (x, mpfr) = if negative { (-x, -of(&dyadic, w)) } else { (x, of(&dyadic, w)) };
            let (n, value) = power(&x, &dyadic, w);
            let enclosed = Enclosed { is_negative: false, low: &value - SPREAD, high: value + SPREAD, exponent: n - w as i64 };
            let (is_inside, units) = beside_middle(&enclosed, &mpfr.exp());
            prop_assert!(is_inside && units < 8.0, "{units} units");
        }

        #[test]
        fn factors_are_enclosed(significand in 1u64.., e in -60i64..-5, negative: bool, w in prop::sample::select(vec![128u64, 192, 320])) {
            let x = Dyadic { significand: BigUint::from(significand | 1 << 63), exponent: e - 64 };
            let (factor, error) = exp_m1_factor(&x, negative, w);
            let mpfr = if negative { -of(&x, w) } else { of(&x, w) };
            let exact = rug::Float::with_val(mpfr.prec(), mpfr.exp_m1_ref()) / &mpfr;
            let enclosed = Enclosed { is_negative: false, low: &factor - error, high: factor + error, exponent: -(w as i64) };
            prop_assert!(beside_middle(&enclosed, &exact).0);
        }
    }

    /// The bounds are not idle: some logarithm is known to no less than two units, by steps that round down.
    #[test]
    fn what_is_computed_errs() {
        let errors = (2u64..2_000).map(|x| {
            let x = Dyadic { significand: x.into(), exponent: -3 };
            let is_near_one = beside_unit(&x).1.is_none_or(|rest| rest.top() <= -6);
            if is_near_one { 0.0 } else { beside_middle(&ln_enclosed(&x, 192), &of(&x, 192).ln()).1 }
        });
        let largest = errors.fold(0.0, f64::max);
        assert!(largest > 2.0 && largest < 32.0, "{largest}");
    }
}
