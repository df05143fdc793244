//! `exp(-d)` of a difference of two `f64` in 128-bit fixed point, with a proof: what every distinct logit of a row pays.
//!
//! The `exp` of big numbers serves every precision and takes some twenty times as long for this one, MPFR's as ours. Here everything is an integer
//! and every step rounds down, so all errors have one sign. The constants are made of big numbers when they are first needed.
//!
//! **Reduction.** Let `c = ln 2 / 256`, `n` the least integer with `n c >= d`, and `r = n c - d`, so `0 <= r < c < 2^-8`. With
//! `n = 256 k + i`, `1 <= i <= 256`, it holds that `exp(-d) = 2^-k T_i (1 + q)`, where `T_i = 2^(-i / 256)` is in a table and
//! `q = exp(r) - 1` is a short series. `T_i` and the result are counted in *units* of `2^-128`, `r` and `q` in *fine units* of
//! `2^-135`.
//!
//! **Errors.** What is computed is never above the exact number, and below it by less than:
//! - `r`, 6 fine units: 1 for each of the two parts of `d`, 1 for the fraction of `n c` and `2^-44` for the digits that `c`
//!   lacks (`n < 2^20`, `c` is known to `2^-199`), and 1 for each of at most two steps up from the estimate of `n`.
//! - `q = r + r u`, `u = r s`, `s = 1/2! + r/3! + ... + r^10/12!`, 9 fine units: `s` lacks 4 units (each step of Horner's
//!   scheme rounds a coefficient, a product and a shift, and multiplies by `r` what it takes over); `u` lacks
//!   `2^-8 * 4 + 2 < 3` units, so `r u` lacks `1 + 3/2` fine units; the rest of the series, below `c^13 / 12! < 2^-139`, is
//!   less than `1/16` of one; and `r` counts `6 * exp(r)`.
//! - `T_i (1 + q)`, 3 units: 1 of the table times `1 + q < 1.01`, `9/128` from `q`, `1/128` for the product, and 1 for the
//!   shift. That is [`ERROR`].
//!
//! Differences below `2^-129` are apart: 1 is nearer to their exponential than any significand of 128 bits below it.
//!
//! **Range.** `T_256 = 1/2` is exact, so the result is at least 1/2. The computed `r` is below `c`, and rounding is downward, so
//! the result is below `T_i exp(c) <= 1`. The significand therefore has its leading bit, and never overflows.

use crate::number::{Constant, Float, Integer, Round};
use std::sync::LazyLock;

/// `d` must be below this.
pub(super) const LIMIT: f64 = 2048.0;

/// The exact significand and the computed one differ by less than this.
pub(super) const ERROR: u128 = 3;

/// `exp(-d)` of a smaller `d` is 1 within a quarter of a unit.
const NEGLIGIBLE: f64 = 0.25 / (1u128 << 127) as f64;

/// Values of `i`.
const STEPS: u32 = 256;

/// A fine unit is `2^-FINE_BITS`.
const FINE_BITS: i32 = 135;

/// By how much finer it is than a unit.
const SHIFT: i32 = FINE_BITS - 128;

/// `1 / k!` in units, for `k` from 2 to 12.
const COEFFICIENTS: [u128; 11] = {
    let mut coefficients = [u128::MAX / 2; 11];
    let mut k = 3;
    while k - 2 < coefficients.len() {
        coefficients[k - 2] = coefficients[k - 3] / k as u128;
        k += 1;
    }
    coefficients
};

struct Constants {
    /// `c` in fine units, and its fraction in `2^-64` of one.
    step: i128,
    step_fraction: u64,
    /// Less than `1 / c` by `2^-40` of it, about: more than the rounding of an `f64`.
    steps_per_nat: f64,
    /// `T_1` to `T_256`.
    powers: [u128; STEPS as usize],
}

static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
    let units =
        |value: Float| value.to_integer_round(Round::Down).map_or_else(Default::default, |(integer, _)| integer);
    let step = Float::with_val_round(256, Constant::Log2, Round::Down).0 / STEPS;
    let steps_per_nat = (1.0 - 1.0 / (1u64 << 40) as f64) / step.to_f64();
    let step = units(step << (FINE_BITS + 64));
    let power = |i: usize| {
        let exponent = Float::with_val(64, -(i as i32)) / STEPS;
        units(Float::with_val_round(128, exponent.exp2_ref(), Round::Down).0 << 128).to_u128_wrapping()
    };
    Constants {
        step: Integer::from(&step >> 64).to_i128_wrapping(),
        step_fraction: step.to_u64_wrapping(),
        steps_per_nat,
        powers: std::array::from_fn(|i| power(i + 1)),
    }
});

/// `2^(-i / 256)`, `1 <= i <= 256`, in units of `2^-128`, less than one of them below it.
pub(super) fn power_below_one(i: usize) -> u128 {
    CONSTANTS.powers[i - 1]
}

/// `exp(-(high + low))`, as a significand with its leading bit set and an exponent: the exact number is
/// `(significand + error) * 2^exponent` with `|error| <` [`ERROR`]. The sum `d` is taken exactly; `high` must be the `f64`
/// nearest to it, and `0 < d <` [`LIMIT`].
pub(super) fn exp_of_minus(high: f64, low: f64) -> (u128, i32) {
    debug_assert!(high > 0.0 && high < LIMIT && high + low == high, "{high} + {low}");
    if high < NEGLIGIBLE {
        return (1 << 127, -127);
    }
    let constants = &*CONSTANTS;
    // A little less than d / c, rounded down: never above it, and less than 1 + 2^-19 below, so two steps suffice. All is taken
    // modulo 2^128 fine units, where the true r, between -2^-8 and 2^-8, is the only number of its class.
    let mut n = (high * constants.steps_per_nat) as u64;
    let fraction = (u128::from(n) * u128::from(constants.step_fraction)) >> 64;
    let mut r = (i128::from(n).wrapping_mul(constants.step))
        .wrapping_add(fraction as i128)
        .wrapping_add(fine_units(-high))
        .wrapping_add(fine_units(-low));
    while r < 0 {
        r += constants.step;
        n += 1;
    }
    let r = r as u128;
    let (last, others) = (COEFFICIENTS[COEFFICIENTS.len() - 1], &COEFFICIENTS[..COEFFICIENTS.len() - 1]);
    let s = others.iter().rev().fold(last, |s, coefficient| coefficient + (high_product(r, s) >> SHIFT));
    let q = r + high_product(r, high_product(r, s) >> SHIFT);
    let (k, i) = ((n - 1) / u64::from(STEPS), (n - 1) % u64::from(STEPS));
    let power = constants.powers[i as usize];
    (power + (high_product(power, q) >> SHIFT), -128 - k as i32)
}

/// `x` in fine units, rounded down, modulo `2^128` of them; `|x|` must be at most [`LIMIT`].
#[inline]
fn fine_units(x: f64) -> i128 {
    let biased = (x.to_bits() >> 52 & 0x7ff) as i32;
    let fraction = i128::from(x.to_bits() & ((1 << 52) - 1));
    let significand = if biased == 0 { fraction } else { fraction | 1 << 52 };
    let significand = if x < 0.0 { -significand } else { significand };
    let shift = biased.max(1) - 1075 + FINE_BITS;
    if shift >= 0 { significand << shift } else { significand >> (-shift).min(127) }
}

/// The upper half of the product.
#[inline]
fn high_product(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a_high, a_low, b_high, b_low) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let (first, second) = (a_high * b_low, a_low * b_high);
    let carry = (((a_low * b_low) >> 64) + (first & LOW) + (second & LOW)) >> 64;
    a_high * b_high + (first >> 64) + (second >> 64) + carry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::{ldexp, two_sum};
    use proptest::prelude::*;

    /// Bits of MPFR's exponential.
    const BITS: u32 = 320;

    /// Checks `exp(-(high + low))` against MPFR and returns by how many units it is below.
    fn check(high: f64, low: f64) -> f64 {
        let (significand, e) = exp_of_minus(high, low);
        assert!(significand >> 127 == 1, "{high:e} + {low:e}: the leading bit");
        // Enough bits for the sum to be exact, whatever the exponents.
        let d = Float::with_val(2300, high) + low;
        let exact = Float::with_val(BITS, Float::with_val(BITS + 64, -d).exp_ref()) << -e;
        // MPFR's own error, 2^-180 units or so, does not matter: exp(-d) is no multiple of a unit.
        let error = (exact - Float::with_val(128, significand)).to_f64();
        let least = if high < NEGLIGIBLE { -0.25 } else { 0.0 };
        assert!(error >= least && error < ERROR as f64, "{high:e} + {low:e}: {error} units");
        error
    }

    /// A pair that the function accepts.
    fn check_difference(a: f64, b: f64) -> f64 {
        let (high, low) = two_sum(a, -b);
        if high > 0.0 && high < LIMIT { check(high, low) } else { 0.0 }
    }

    #[test]
    fn every_binade_is_within_the_bound() {
        let mut largest: f64 = 0.0;
        for e in -1074..11 {
            let least = ldexp(1.0, e);
            let ulp = ldexp(1.0, (e - 52).max(-1074));
            for part in 0..64 {
                let high = (least * (1.0 + f64::from(part) / 64.0)).clamp(least, (2.0 * least).next_down());
                largest = largest.max(check(high, 0.0)).max(check(high.next_up().min(LIMIT.next_down()), 0.0));
                for low in [0.49 * ulp, -0.24 * ulp, 1e-20 * ulp, -1e-100 * ulp, f64::from_bits(1)] {
                    if high + low == high {
                        largest = largest.max(check(high, low));
                    }
                }
            }
        }
        // Neither is the bound idle.
        assert!(largest > 1.0 && largest < 2.1, "{largest}");
    }

    /// Both sides of every multiple of `c`, where `n` steps and the table's index wraps: as close as two `f64` come.
    #[test]
    fn the_edges_of_the_reduction_are_within_the_bound() {
        let c = Float::with_val(300, Constant::Log2) / STEPS;
        let last = (LIMIT / c.to_f64()) as u32;
        let steps = (1..2000).chain((2000..last).step_by(97)).chain(last - 500..last);
        for n in steps {
            let edge = Float::with_val(300, &c * n);
            let high = edge.to_f64();
            let low = (edge - high).to_f64();
            for low in [low, low.next_up(), low.next_down(), 0.0] {
                check(high, low);
            }
            for high in [high.next_up(), high.next_down()] {
                check(high, 0.0);
            }
        }
    }

    #[test]
    fn the_ends_of_the_range_are_within_the_bound() {
        for high in [f64::from_bits(1), f64::MIN_POSITIVE, f64::EPSILON, LIMIT.next_down()] {
            check(high, 0.0);
        }
        // About 1, where the significand is nearest to overflow.
        let (below, from) = (NEGLIGIBLE.next_down(), NEGLIGIBLE);
        assert_eq!(exp_of_minus(below, 0.0), (1 << 127, -127));
        assert_eq!(exp_of_minus(from, 0.0), (u128::MAX, -128));
        check(below, 0.0);
        check(from, 0.0);
    }

    #[test]
    fn the_constants_are_what_they_are_called() {
        assert_eq!(CONSTANTS.powers[STEPS as usize - 1], 1 << 127);
        let factorial = |k: u32| (1..=k).fold(Integer::from(1), |product, i| product * i);
        for (&coefficient, k) in COEFFICIENTS.iter().zip(2..) {
            assert!(Integer::from(coefficient) * factorial(k) < (Integer::from(1) << 128));
            assert!((Integer::from(coefficient) + 1) * factorial(k) >= (Integer::from(1) << 128));
        }
        let c = (Float::with_val(400, Constant::Log2) / STEPS) << (FINE_BITS + 64);
        let step = (Integer::from(CONSTANTS.step) << 64) + CONSTANTS.step_fraction;
        assert!(c > step && c < step + 1u32);
        assert!(CONSTANTS.steps_per_nat * std::f64::consts::LN_2 < 256.0 * (1.0 - 1e-13));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn differences_are_within_the_bound(a in -1500.0..1500.0f64, b in -1500.0..1500.0f64, e in -60..1i32) {
            check_difference(a, b);
            check_difference(a, ldexp(b, e));
            check_difference(ldexp(a, e), b);
        }

        #[test]
        fn any_bits_are_within_the_bound(a in any::<u64>(), b in any::<u64>()) {
            check_difference(f64::from_bits(a), f64::from_bits(b));
            check_difference(f64::from_bits(a >> 2), 0.0);
        }

        #[test]
        fn the_upper_half_of_a_product_is_exact(a in any::<u128>(), b in any::<u128>()) {
            let product = Integer::from(a) * b;
            prop_assert_eq!(Integer::from(high_product(a, b)), product >> 128);
            prop_assert_eq!(high_product(u128::MAX, a), a.saturating_sub(1));
        }

        #[test]
        fn fine_units_round_down(x in -2048.0..2048.0f64, e in -1100..1i32) {
            let x = ldexp(x, e);
            let (exact, _) = (Float::with_val(2200, x) << FINE_BITS).to_integer_round(Round::Down).unwrap();
            prop_assert_eq!(Integer::from(fine_units(x)).keep_bits(128), exact.keep_bits(128));
        }
    }
}
