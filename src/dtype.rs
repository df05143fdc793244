//! The registry of dtypes, and the arithmetic of floating-point formats that everything else measures with.
//!
//! A value of any dtype is carried as the `f64` that equals it exactly. [`Format`] holds the three numbers that define a
//! binary format, so that the rounding and ulp code below can be checked exhaustively on a toy format of a few bits.

use crate::named::named;

pub mod text;

named! {
    /// What a kernel reads and what it writes: most often one format, and on accelerators a half format that is read and f32 that is
    /// written.
    ///
    /// All that is said of a dtype is said of what is read; of what is written, ask [`Dtype::output`]. The order is from narrow to wide,
    /// and then those of two formats.
    pub enum Dtype as "dtype" {
        /// IEEE binary16: 11 bits of precision, largest finite 65504.
        F16 = "f16",
        /// bfloat16: 8 bits of precision, the exponents of binary32.
        Bf16 = "bf16",
        /// IEEE binary32.
        F32 = "f32",
        /// IEEE binary64.
        F64 = "f64",
        /// IEEE binary16 is read, and binary32 is written.
        F16F32 = "f16:f32",
        /// bfloat16 is read, and binary32 is written.
        Bf16F32 = "bf16:f32",
    }
}

impl Dtype {
    /// Those of one format, which is read and written.
    pub const PLAIN: [Dtype; 4] = [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64];

    /// The dtype of what is read, as one that is also written.
    pub const fn input(self) -> Dtype {
        match self {
            Dtype::F16 | Dtype::F16F32 => Dtype::F16,
            Dtype::Bf16 | Dtype::Bf16F32 => Dtype::Bf16,
            Dtype::F32 => Dtype::F32,
            Dtype::F64 => Dtype::F64,
        }
    }

    /// The dtype of what is written, as one that is also read.
    pub const fn output(self) -> Dtype {
        match self {
            Dtype::F16 => Dtype::F16,
            Dtype::Bf16 => Dtype::Bf16,
            Dtype::F32 | Dtype::F16F32 | Dtype::Bf16F32 => Dtype::F32,
            Dtype::F64 => Dtype::F64,
        }
    }

    /// The dtype that reads and writes these two of [`Dtype::PLAIN`]; none where there is no such.
    pub fn of(input: Dtype, output: Dtype) -> Option<Dtype> {
        Dtype::ALL.into_iter().find(|dtype| (dtype.input(), dtype.output()) == (input, output))
    }

    /// Whether another format is written than is read.
    pub fn is_mixed(self) -> bool {
        self.input() != self.output()
    }

    /// The format: precision and exponent range.
    pub const fn format(self) -> Format {
        match self {
            Dtype::F16 | Dtype::F16F32 => Format { precision: 11, emin: -14, emax: 15 },
            Dtype::Bf16 | Dtype::Bf16F32 => Format { precision: 8, emin: -126, emax: 127 },
            Dtype::F32 => Format { precision: 24, emin: -126, emax: 127 },
            Dtype::F64 => Format { precision: 53, emin: -1022, emax: 1023 },
        }
    }

    /// The number of bytes of a value.
    pub const fn bytes(self) -> usize {
        match self {
            Dtype::F16 | Dtype::Bf16 | Dtype::F16F32 | Dtype::Bf16F32 => 2,
            Dtype::F32 => 4,
            Dtype::F64 => 8,
        }
    }

    /// The dtype in which a careful kernel keeps its sums: f32 where a half dtype or f32 is written, otherwise f64.
    pub const fn accumulator(self) -> Dtype {
        match self {
            Dtype::F64 => Dtype::F64,
            _ => Dtype::F32,
        }
    }

    /// The nearest value of the dtype, ties to even; infinite on overflow.
    pub fn round(self, x: f64) -> f64 {
        match self {
            Dtype::F64 => x,
            Dtype::F32 => f64::from(x as f32),
            // Apart, so that each is compiled for one format, of a number without a rest.
            Dtype::F16 | Dtype::F16F32 => Dtype::F16.format().nearest(x, 0.0),
            Dtype::Bf16 | Dtype::Bf16F32 => Dtype::Bf16.format().nearest(x, 0.0),
        }
    }

    /// Whether `x` is a value of the dtype. NaN and the infinities are.
    pub fn holds(self, x: f64) -> bool {
        match self {
            Dtype::F64 => true,
            Dtype::F32 => x.is_nan() || f64::from(x as f32) == x,
            Dtype::F16 | Dtype::Bf16 | Dtype::F16F32 | Dtype::Bf16F32 => x.is_nan() || self.round(x) == x,
        }
    }

    /// The value whose bits are the low bits of `word`. Every NaN becomes the one quiet NaN.
    pub fn from_bits(self, word: u64) -> f64 {
        let x = match self {
            Dtype::F16 | Dtype::F16F32 => half::f16::from_bits(word as u16).to_f64(),
            Dtype::Bf16 | Dtype::Bf16F32 => half::bf16::from_bits(word as u16).to_f64(),
            Dtype::F32 => f64::from(f32::from_bits(word as u32)),
            Dtype::F64 => f64::from_bits(word),
        };
        if x.is_nan() { f64::NAN } else { x }
    }

    /// The bits of `x`, which must be a value of the dtype; NaN is the positive quiet NaN.
    pub fn to_bits(self, x: f64) -> u64 {
        let format = self.format();
        let width = 8 * self.bytes() as u32;
        let exponent_ones = ((1u64 << (width - format.precision)) - 1) << (format.precision - 1);
        if x.is_nan() {
            return exponent_ones | 1 << (format.precision - 2);
        }
        let magnitude = if x.is_infinite() { exponent_ones } else { format.ordinal(x.abs()) as u64 };
        magnitude | u64::from(x.is_sign_negative()) << (width - 1)
    }
}

/// A binary floating-point format with subnormals: precision in bits (the leading one included), and the exponents of its
/// least and largest normal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Bits of the significand, the implicit one included; at most 53.
    pub precision: u32,
    /// Exponent of the least normal number, `2^emin`.
    pub emin: i32,
    /// Exponent of the largest binade.
    pub emax: i32,
}

impl Format {
    /// The unit roundoff `u = 2^-precision`.
    pub fn unit_roundoff(self) -> f64 {
        ldexp(1.0, -(self.precision as i32))
    }

    /// The exponent of the least subnormal, which is also the unit of exact zeros and of all subnormals.
    pub const fn least_exponent(self) -> i32 {
        self.emin - self.precision as i32 + 1
    }

    /// The least positive number.
    pub fn least(self) -> f64 {
        ldexp(1.0, self.least_exponent())
    }

    /// The least positive normal number.
    pub fn least_normal(self) -> f64 {
        ldexp(1.0, self.emin)
    }

    /// The largest finite number.
    pub fn largest(self) -> f64 {
        ldexp(2.0 - ldexp(1.0, 1 - self.precision as i32), self.emax)
    }

    /// The exponent of `ulp(x)` for a real number with `floor(log2 |x|) = exponent`.
    pub fn ulp_exponent(self, exponent: i32) -> i32 {
        exponent.max(self.emin) - self.precision as i32 + 1
    }

    /// The nearest number to the real number `hi + lo`, ties to even, infinite on overflow.
    ///
    /// `hi` must be the `f64` nearest to `hi + lo`. Only the sign of `lo` matters, as a sticky bit does, so a caller that
    /// knows no more than on which side of `hi` the real number lies may pass any value of that sign.
    pub fn round(self, hi: f64, lo: f64) -> f64 {
        self.nearest(hi, lo)
    }

    /// [`Format::round`], compiled for each caller: format and rest are often constants.
    #[inline(always)]
    fn nearest(self, hi: f64, lo: f64) -> f64 {
        // Every f64 is a number of the format with its precision.
        if !hi.is_finite() || self.precision == f64::MANTISSA_DIGITS {
            return hi;
        }
        let binade = exponent(hi);
        if binade > self.emax {
            return f64::INFINITY.copysign(hi);
        }
        let unit = self.ulp_exponent(binade);
        // Where f64s are a unit apart, a sum is rounded to whole units: to the nearest, ties to even.
        let anchor = ldexp(1.0, unit + 52).copysign(hi);
        let mut rounded = (hi + anchor) - anchor;
        let beyond = hi - rounded;
        // A tie of `hi` alone: `lo` decides, whichever way "even" went.
        let is_pulled = (beyond > 0.0 && lo > 0.0) || (beyond < 0.0 && lo < 0.0);
        if is_pulled && beyond.abs() == ldexp(0.5, unit) {
            rounded += ldexp(1.0, unit).copysign(lo);
        }
        // A result of 0 keeps the sign of `hi`, as IEEE rounding does.
        if rounded.abs() > self.largest() { f64::INFINITY.copysign(hi) } else { rounded.copysign(hi) }
    }

    /// The place of a number among all numbers of the format: 0 for zero, 1 for the least subnormal, and so on,
    /// negative for negative numbers. Infinity comes right after the largest. `x` must not be NaN.
    pub fn ordinal(self, x: f64) -> i64 {
        let magnitude = x.abs();
        let half = 1i64 << (self.precision - 1);
        let ordinal = if magnitude.is_infinite() {
            i64::from(self.emax - self.emin + 2) * half
        } else if magnitude == 0.0 {
            0
        } else {
            let e = exponent(magnitude).max(self.emin);
            i64::from(e - self.emin) * half + ldexp(magnitude, -self.ulp_exponent(e)) as i64
        };
        if x < 0.0 { -ordinal } else { ordinal }
    }

    /// The number at a place, as [`Format::ordinal`] counts them; infinite beyond the largest.
    pub fn from_ordinal(self, ordinal: i64) -> f64 {
        let half = 1i64 << (self.precision - 1);
        let place = ordinal.abs();
        let magnitude = if place >= i64::from(self.emax - self.emin + 2) * half {
            f64::INFINITY
        } else if place < half {
            ldexp(place as f64, self.least_exponent())
        } else {
            let e = place / half - 1;
            ldexp((place - e * half) as f64, self.least_exponent() + e as i32)
        };
        if ordinal < 0 { -magnitude } else { magnitude }
    }

    /// The number `steps` places above `x` (below, if negative), stopping at the infinities. NaN stays NaN.
    pub fn step(self, x: f64, steps: i64) -> f64 {
        if x.is_nan() { x } else { self.from_ordinal(self.ordinal(x).saturating_add(steps)) }
    }
}

/// The sum and its exact error (Knuth's TwoSum). Exact unless the sum overflows.
#[inline]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let virtual_b = sum - a;
    (sum, (a - (sum - virtual_b)) + (b - virtual_b))
}

/// `a - b` and its exact error; where the difference overflows, the error is 0.
pub(crate) fn two_difference(a: f64, b: f64) -> (f64, f64) {
    let (high, low) = two_sum(a, -b);
    if high.is_finite() { (high, low) } else { (high, 0.0) }
}

/// `floor(log2 |x|)` of a finite, non-zero `x`, subnormals included.
#[inline]
pub(crate) fn exponent(x: f64) -> i32 {
    let biased = (x.to_bits() >> 52 & 0x7ff) as i32;
    if biased != 0 {
        biased - 1023
    } else {
        // A subnormal: the place of its leading bit above 2^-1074.
        let significand = x.to_bits() & ((1 << 52) - 1);
        -1074 + 63 - significand.leading_zeros() as i32
    }
}

/// `x * 2^e`, rounded once (only a subnormal or overflowing result can be inexact).
#[inline]
pub(crate) fn ldexp(x: f64, e: i32) -> f64 {
    if (-1022..=1023).contains(&e) { x * power_of_two(e) } else { ldexp_far(x, e) }
}

/// `2^e` for a normal exponent.
#[inline]
fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

/// [`ldexp`] where `2^e` is no normal number.
#[cold]
fn ldexp_far(x: f64, e: i32) -> f64 {
    let power = power_of_two;
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let e = e.clamp(-5000, 5000);
    // Bring x into [1, 2) first: then all factors but the last are exact.
    let own = exponent(x);
    let significand =
        if own < -1022 { x * power(1000) * power(-own - 1000) } else { x * power(-own / 2) * power(-own + own / 2) };
    let target = own + e;
    if target > 1023 {
        f64::INFINITY.copysign(x)
    } else if target >= -1022 {
        significand * power(target)
    } else if target >= -1080 {
        significand * power(target + 200) * power(-200)
    } else {
        0.0f64.copysign(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A format small enough to enumerate: 4 bits of precision, exponents -3 to 3.
    const TOY: Format = Format { precision: 4, emin: -3, emax: 3 };

    fn toy_numbers() -> Vec<f64> {
        let mut numbers = vec![0.0];
        for e in TOY.emin..=TOY.emax {
            for significand in 0..16 {
                let x = f64::from(significand) * f64::powi(2.0, e - 3);
                if significand >= 8 || e == TOY.emin {
                    numbers.push(x);
                }
            }
        }
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        numbers
    }

    #[test]
    fn toy_ordinals_enumerate_the_format() {
        let numbers = toy_numbers();
        assert_eq!(numbers.len(), 8 + 7 * 8);
        for (place, &x) in numbers.iter().enumerate() {
            assert_eq!(TOY.ordinal(x), place as i64);
            assert_eq!(TOY.from_ordinal(place as i64), x);
            assert_eq!(TOY.ordinal(-x), -(place as i64));
            assert_eq!(TOY.round(x, 0.0), x);
        }
        assert_eq!(*numbers.last().unwrap(), TOY.largest());
        assert_eq!(TOY.from_ordinal(numbers.len() as i64), f64::INFINITY);
        assert_eq!(TOY.ordinal(f64::INFINITY), numbers.len() as i64);
        assert_eq!((TOY.least(), TOY.least_normal()), (numbers[1], 0.125));
    }

    /// Rounding against a search through all numbers, at every sixteenth of the least gap, with and without a sticky part.
    #[test]
    fn toy_rounding_is_exhaustively_right() {
        let mut numbers = toy_numbers();
        numbers.push(16.0); // 2^(emax + 1): what lies past the midpoint to it overflows
        let step = TOY.least() / 16.0;
        let mut checked = 0;
        for k in 0..=(18.0 / step) as i64 {
            let hi = k as f64 * step;
            for sticky in [-1.0, 0.0, 1.0] {
                let lo = sticky * step / 1024.0;
                if hi == 0.0 && sticky != 0.0 {
                    continue;
                }
                let exact = hi + lo;
                let (place, nearest) = numbers
                    .iter()
                    .enumerate()
                    .min_by(|(i, a), (j, b)| {
                        let (da, db) = ((*a - exact).abs(), (*b - exact).abs());
                        da.total_cmp(&db).then((i % 2).cmp(&(j % 2)))
                    })
                    .unwrap();
                let want = if place == numbers.len() - 1 { f64::INFINITY } else { *nearest };
                assert_eq!(TOY.round(hi, lo * 1e-30), want, "{hi} + {lo}");
                assert_eq!(TOY.round(-hi, -lo * 1e-30), -want, "-({hi} + {lo})");
                checked += 1;
            }
        }
        assert!(checked > 10_000, "{checked}");
    }

    #[test]
    fn every_half_value_round_trips_and_is_ordered() {
        for dtype in [Dtype::F16, Dtype::Bf16] {
            let format = dtype.format();
            for word in 0..=u16::MAX {
                let x = dtype.from_bits(u64::from(word));
                if x.is_nan() {
                    assert!(dtype.from_bits(dtype.to_bits(x)).is_nan());
                    continue;
                }
                assert_eq!(dtype.to_bits(x), u64::from(word));
                assert!(dtype.holds(x));
                if x != 0.0 {
                    assert_eq!(format.from_ordinal(format.ordinal(x)), x);
                }
            }
        }
    }

    /// All that rounding to a half dtype can decide: on either side of the middle between every two neighbours, and in it.
    #[test]
    fn every_middle_of_the_half_dtypes_is_rounded_to_even() {
        for format in [Dtype::F16.format(), Dtype::Bf16.format()] {
            let past_largest = ldexp(1.0, format.emax + 1);
            for place in 0..=format.ordinal(format.largest()) {
                let (low, high) = (format.from_ordinal(place), format.from_ordinal(place + 1));
                let middle = 0.5 * (low + if high.is_infinite() { past_largest } else { high });
                let even = if place % 2 == 0 { low } else { high };
                for (hi, lo, due) in [
                    (low, 0.0, low),
                    (low, 1e-300, low),
                    (middle, 0.0, even),
                    (middle, f64::NAN, even),
                    (middle, 1e-300, high),
                    (middle, -1e-300, low),
                    (middle.next_up(), 0.0, high),
                    (middle.next_up(), -1e-300, high),
                    (middle.next_down(), 0.0, low),
                    (middle.next_down(), 1e-300, low),
                ] {
                    assert_eq!(format.round(hi, lo).to_bits(), due.to_bits(), "{hi:e} {lo:e}");
                    assert_eq!(format.round(-hi, -lo).to_bits(), (-due).to_bits(), "-({hi:e} {lo:e})");
                }
            }
            for far in [past_largest, 1e300, f64::INFINITY] {
                assert_eq!(format.round(-far, 0.0), f64::NEG_INFINITY);
            }
            assert_eq!(format.round(-5e-324, 0.0).to_bits(), (-0.0f64).to_bits());
        }
    }

    /// Rounding to the half dtypes and f32 against the conversions of `half` and of the hardware.
    #[test]
    fn rounding_agrees_with_hardware_and_half() {
        let mut state = 1u64;
        for _ in 0..2_000_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Exponents around the ranges of all three, significands of every length.
            let significand = (state >> 12) & (u64::MAX << (state % 52)) & ((1 << 52) - 1);
            let biased = 1023 - 160 + (state >> 40) % 300;
            let x = f64::from_bits(state & 1 << 63 | biased << 52 | significand);
            assert_eq!(Dtype::F32.round(x).to_bits(), f64::from(x as f32).to_bits(), "{x:e}");
            // Not `from_f64`: that of half 2.7 drops the low 32 bits of the f64 and so misrounds what lies just above a tie.
            let single = x as f32;
            let wide = f64::from(single);
            assert_eq!(Dtype::F16.round(wide).to_bits(), half::f16::from_f32(single).to_f64().to_bits(), "{wide:e}");
            assert_eq!(Dtype::Bf16.round(wide).to_bits(), half::bf16::from_f32(single).to_f64().to_bits(), "{wide:e}");
            assert_eq!(Dtype::F64.round(x).to_bits(), x.to_bits());
        }
    }

    #[test]
    fn words_of_the_wide_dtypes() {
        for x in
            [0.0, -0.0, 1.0, -1.5, f64::INFINITY, f64::NEG_INFINITY, f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE)]
        {
            assert_eq!(Dtype::F32.to_bits(x), u64::from((x as f32).to_bits()));
            assert_eq!(Dtype::F64.to_bits(x), x.to_bits());
        }
        assert_eq!(Dtype::F64.to_bits(5e-324), 1);
        assert_eq!(Dtype::F64.format().step(f64::MAX, 1), f64::INFINITY);
        assert_eq!(Dtype::F32.format().step(0.0, -1), -f64::from(f32::from_bits(1)));
    }

    #[test]
    fn ldexp_rounds_once() {
        assert_eq!(ldexp(1.0, -1074), 5e-324);
        assert_eq!(ldexp(1.5, -1074), 1e-323);
        assert_eq!(ldexp(1.0, -1075), 0.0);
        assert_eq!(ldexp(1.0 + f64::EPSILON, -1075), 5e-324);
        assert_eq!(ldexp(5e-324, 2097), f64::powi(2.0, 1023));
        assert_eq!(ldexp(5e-324, 2098), f64::INFINITY);
        assert_eq!(ldexp(f64::MAX, -2097), 1e-323);
        assert_eq!(ldexp(-3.0, 5000), f64::NEG_INFINITY);
        for e in -1074..1023 {
            assert_eq!(exponent(ldexp(1.0, e)), e);
        }
    }
}
