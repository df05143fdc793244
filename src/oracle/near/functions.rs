//! Functions in plain `f64`, each with a proven error: the exponential of a weight, and logarithms. `U = 2^-53`.
//!
//! **The weight** `exp(-d)`, `d = high + low` exactly, relative error below `2 U` ([`exp_of_minus`]). With `k` the integer nearest to
//! `-high / ln 2` and `ln 2 = L1 + L2 + t`, where `L1` has 42 bits and `|t| < 2^-97`, `r = -high - k L1 - k L2 - low`. For `high <= 700`,
//! `|k| <= 1010`: `k L1` has at most 52 bits and is exact, `-high - k L1` is exact (the two are multiples of `2^-54` or of
//! `ulp(high)`, and their difference is below `0.36`, or `k = 0`), `k L2` errs by `2^-86`, and the rounding of the difference is kept,
//! so `r = a + c` with an error below `2^-84`, `|a| < 0.3467` and `|c| <= U + |low| <= 2^-43`. Then `exp(r) = 1 + t`,
//! `t = t0 + (c + c t0)`, `t0 = a + a^2 h`, `h = 1/2! + a/3! + ... + a^11/13!`:
//! - what the series leaves out: `0.3467^14 / 14! < 0.05 U`;
//! - `h` (about 1/2) errs by less than `0.7 U`, so with two products `a^2 h` errs by `3.5 U` of itself, `0.25 U` at most;
//! - the sums `t0` and `t` round by `0.25 U` each, `c c / 2` and the products with `c` are below `0.01 U`;
//! - `1 + t` rounds by `U` where it is at least 1, and by `U / 2` where it is below, but not below `0.707`.
//!
//! That is below `1.9 U` relative on either side of 1. The power of two is exact.
//!
//! **The logarithm** `log(1 + s)` of `s = high + low > -1`, relative error below `10 U` ([`ln_1p`]), from `log m = 2 atanh(t)`,
//! `t = (m - 1) / (m + 1)`, `|t| < 0.172`, as `2 t (1 + t^2/3 + ... + t^22/23)`; the rest of the series is below `2^-64`. From
//! `sqrt(1/2) - 1` to `sqrt 2 - 1`, `m = 1 + s`: `t` errs by `3 U`, the series by `1.2 U` and the product by `U`. Beyond, `1 + s = 2^k m`
//! ([`ln`]); `k ln 2` is at least `0.69` in size (or `k = 0` and `|log m| > 0.34`), what is added to it is below `0.35` and errs by `6 U`
//! of itself, and there are two sums.

use super::U;
use crate::dtype::{exponent, ldexp, two_sum};

/// `d` beyond which a weight is [`LEAST_WEIGHT`].
pub(super) const REACH: f64 = 700.0;

/// The weight where the true one is below `exp(-700)`, about `1e-304`: positive, as the true one is.
pub(super) const LEAST_WEIGHT: f64 = 1e-304;

/// Relative errors; see the head of the file.
pub(super) const EXP_ERROR: f64 = 1.9 * U;
pub(super) const LN_1P_ERROR: f64 = 10.0 * U;

/// The weight of a logit: `exp(z - max)`, 0 at -inf.
#[inline]
pub(super) fn weight(max: f64, z: f64) -> f64 {
    let (high, low) = two_sum(max, -z);
    // Beyond the reach the difference may have no rest.
    let is_near = high <= REACH;
    let weight = exp_of_minus(if is_near { high } else { REACH }, if is_near { low } else { 0.0 });
    let weight = if is_near { weight } else { LEAST_WEIGHT };
    if z == f64::NEG_INFINITY { 0.0 } else { weight }
}

/// The leading 42 bits of ln 2, and the rest.
const L1: f64 = f64::from_bits(0x3fe6_2e42_fefa_3800);
const L2: f64 = f64::from_bits(0x3d2e_f357_93c7_6730);

/// `exp(-(high + low))` for `0 <= high <= 700` and `|low| <= ulp(high) / 2`; see the head of the file.
#[inline]
pub(super) fn exp_of_minus(high: f64, low: f64) -> f64 {
    /// Adding it rounds to an integer, which is then in the low bits.
    const ROUNDING: f64 = 6_755_399_441_055_744.0;
    let shifted = -high * std::f64::consts::LOG2_E + ROUNDING;
    let k = shifted - ROUNDING;
    let a = -high - k * L1;
    let product = k * L2;
    let reduced = a - product;
    let rest = ((a - reduced) - product) - low;
    let t = reduced + reduced * reduced * series(reduced);
    let t = t + (rest + rest * t);
    // k is in the low bits of `shifted`; its place is the exponent's.
    f64::from_bits((1.0 + t).to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// `log(1 + x)` of an `x >= 0`, within 12 roundoffs. Every machine computes the same.
pub(crate) fn log1p(x: f64) -> f64 {
    ln_1p(x, 0.0)
}

/// `exp(x)` of an `x >= 0`, within 4 roundoffs; infinite beyond `exp(700)`. Every machine computes the same.
pub(crate) fn exp(x: f64) -> f64 {
    if x > REACH { f64::INFINITY } else { 1.0 / exp_of_minus(x, 0.0) }
}

/// `(exp(a) - 1 - a) / a^2` for `|a| < 0.3467`: `h` of the head of the file.
#[inline]
pub(super) fn series(a: f64) -> f64 {
    COEFFICIENTS[1..].iter().fold(COEFFICIENTS[0], |h, coefficient| h * a + coefficient)
}

/// `1 / k!` for `k` from 13 down to 2.
const COEFFICIENTS: [f64; 12] = {
    let mut coefficients = [0.0; 12];
    let (mut factorial, mut k) = (1.0, 2);
    while k <= 13 {
        factorial *= k as f64;
        coefficients[13 - k] = 1.0 / factorial;
        k += 1;
    }
    coefficients
};

/// `log(1 + high + low)` of a sum above -1, `low` at most an ulp of `high`; see the head of the file.
#[inline]
pub(in crate::oracle) fn ln_1p(high: f64, low: f64) -> f64 {
    let s = high + low;
    if s < std::f64::consts::SQRT_2 - 1.0 && s > std::f64::consts::FRAC_1_SQRT_2 - 1.0 {
        return two_atanh(s / (2.0 + s));
    }
    let (sum, rest) = two_sum(1.0, high);
    ln(sum, rest + low)
}

/// `log(high + low)` of a positive `high` and a `low` of an ulp of it at most, but not of a sum near 1; see the head of the file.
#[inline]
pub(in crate::oracle) fn ln(high: f64, low: f64) -> f64 {
    let e = exponent(high);
    let k = if ldexp(high, -e) > std::f64::consts::SQRT_2 { e + 1 } else { e };
    // The difference is exact.
    let f = (ldexp(high, -k) - 1.0) + ldexp(low, -k);
    let k = f64::from(k);
    k * L1 + (k * L2 + two_atanh(f / (2.0 + f)))
}

/// `2 atanh(t)` for `|t| < 0.172`.
#[inline]
fn two_atanh(t: f64) -> f64 {
    let square = t * t;
    2.0 * t * (1.0 + ODD.iter().fold(0.0, |sum, odd| (sum + odd) * square))
}

/// `1 / (2 k + 1)` for `k` from 11 down to 1.
const ODD: [f64; 11] = {
    let mut odd = [0.0; 11];
    let mut k = 1;
    while k <= 11 {
        odd[11 - k] = 1.0 / (2 * k + 1) as f64;
        k += 1;
    }
    odd
};
