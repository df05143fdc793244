//! `z log2(e)` as an integer and a fraction, exactly enough for any `f64` (Payne, Hanek, "Radian reduction for trigonometric
//! functions", SIGNUM Newsletter 18(1), 1983).
//!
//! A reduction by `z - k log 2` with log 2 in a few parts loses all digits once `k` is longer than a part. Here the digits of
//! log2(e) are looked up where they matter. With `z = M 2^E`, `M` of 53 bits, a bit of log2(e) of weight `2^-i` contributes
//! `M 2^(E - i)` to the product: a multiple of `2^64` if `i <= E - 64`, which does not matter modulo `2^64`, and less than
//! `2^-75` altogether from `i = E + 129` on. What is left is a window of 192 bits, and a product of integers.
//!
//! Terms: `k` the integer nearest to the product, `f` what is left of it, between -1/2 and 1/2.

/// log2(e) in fixed point, rounded down: the first bit of the first word has weight 1. The window of the largest `f64`, whose `E`
/// is 971, ends with bit 1099.
const LOG2_E: [u64; 18] = [
    0xb8aa_3b29_5c17_f0bb,
    0xbe87_fed0_691d_3e88,
    0xeb57_7aa8_dd69_5a58,
    0x8b25_166c_d1a1_3247,
    0xde1c_43f7_5517_6cd6,
    0x24d9_2f75_c16b_e0b3,
    0xea90_b9e6_0c4a_909f,
    0xc4bf_af03_53df_39b3,
    0x2fe2_9493_2617_d9d5,
    0xb21b_43d5_79d5_a206,
    0x0b5e_bbbf_3a82_8546,
    0x8d1c_f457_ab63_253c,
    0x199a_9483_6f5b_4967,
    0x278c_cf08_4679_c940,
    0xce7e_2035_8cd5_db8f,
    0x612f_08fb_ae30_a173,
    0x2650_b6d1_058e_ba50,
    0x9638_c84c_5a02_065f,
];

/// Bits of a word.
const WORD: i32 = u64::BITS as i32;
/// `2^-64`, the unit of the fraction.
const UNIT: f64 = 1.0 / 18_446_744_073_709_551_616.0;

/// `k` modulo `2^64` and `f` of a finite number. `f` errs by less than `2^-63`, and by its own rounding to `f64`.
pub(super) fn reduced(z: f64) -> (i64, f64) {
    let bits = z.to_bits();
    let biased = (bits >> (f64::MANTISSA_DIGITS - 1)) as i32 & 0x7ff;
    let fraction = bits & ((1 << (f64::MANTISSA_DIGITS - 1)) - 1);
    // M and E; a subnormal number has no leading bit and the exponent of the least normal one.
    let significand = if biased == 0 { fraction } else { fraction | 1 << (f64::MANTISSA_DIGITS - 1) };
    let exponent = biased.max(1) - 1075;

    // The product in units of 2^-64, modulo 2^128, rounded down: the window begins with the bit of weight 2^(63 - E).
    let [high, middle, low] = window(exponent - 63).map(|word| u128::from(word) * u128::from(significand));
    let product = (low >> WORD).wrapping_add(middle).wrapping_add(high << WORD);
    let product = if z < 0.0 { product.wrapping_neg() } else { product };

    let nearest = product.wrapping_add(1 << (WORD - 1)) >> WORD;
    // Less than half of 2^64 in magnitude, so it fits.
    let rest = product.wrapping_sub(nearest << WORD) as i64;
    (nearest as u64 as i64, rest as f64 * UNIT)
}

/// The 192 bits of log2(e) from a bit on. There are none before the first.
fn window(first: i32) -> [u64; 3] {
    let word = |index: i32| usize::try_from(index).ok().and_then(|index| LOG2_E.get(index)).copied().unwrap_or(0);
    let (index, shift) = (first.div_euclid(WORD), first.rem_euclid(WORD));
    [0, 1, 2].map(|place| {
        let pair = u128::from(word(index + place)) << WORD | u128::from(word(index + place + 1));
        ((pair << shift) >> WORD) as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::{Constant, Float, Integer, Round};

    /// Enough bits for the product of the largest `f64` and log2(e), to far beyond the point.
    const BITS: u32 = 2400;

    fn log2_e() -> Float {
        1u32 / Float::with_val(BITS, Constant::Log2)
    }

    #[test]
    fn the_constant_is_that_of_mpfr() {
        let places = LOG2_E.len() as u32 * u64::BITS - 1;
        let exact = (log2_e() << places).to_integer_round(Round::Down).expect("finite").0;
        let words = LOG2_E.iter().fold(Integer::new(), |sum, &word| (sum << u64::BITS) + word);
        assert_eq!(words, exact);
    }

    /// Checks `k + f` against MPFR, and returns the error of `f` besides its rounding.
    fn error(z: f64) -> f64 {
        let (k, f) = reduced(z);
        assert!(f.abs() <= 0.5, "{z:e}: {f}");
        let product = Float::with_val(BITS, z) * log2_e();
        // k is known modulo 2^64 only; what differs from it by a multiple is as good.
        let mut rest = product - f;
        rest -= Float::with_val(BITS, k);
        let turns = Float::with_val(BITS, rest.clone() >> u64::BITS).round_even();
        let error = (rest - (turns << u64::BITS)).to_f64().abs();
        let rounding = f.abs() * f64::EPSILON / 2.0;
        assert!(error <= 2.0 * UNIT + rounding, "{z:e}: {error:e}");
        (error - rounding).max(0.0)
    }

    #[test]
    fn any_number_is_reduced() {
        let mut checked = 0;
        let mut worst: f64 = 0.0;
        // Some numbers of every binade, of both signs; Knuth's multiplier.
        let mut random: u64 = 1;
        for biased in 0..0x7ff_u64 {
            for _ in 0..24 {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let z = f64::from_bits(biased << 52 | random >> 12);
                worst = worst.max(error(z)).max(error(-z));
                checked += 2;
            }
        }
        assert!(checked > 90_000);
        // The bound is no accident: something comes near one unit.
        assert!(worst > 0.5 * UNIT, "{worst:e}");
        // Ends of the range, the smallest fractions next to an integer, common offsets.
        for z in [0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e8, 1e30, std::f64::consts::LN_2, 744.0, 1e300] {
            error(z);
            error(-z);
        }
        assert_eq!(reduced(0.0), (0, 0.0));
        assert_eq!(reduced(-1000.0).0, -1443);
    }
}
