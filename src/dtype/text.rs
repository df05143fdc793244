//! Numbers as text: decimals and C99 hex floats in, hex floats and short decimals out. Reading rounds once.

use super::{Dtype, exponent, ldexp};
use crate::error::{Error, Result};
use rug::Float;
use rug::float::Round;
use std::cmp::Ordering;

/// Bits kept while reading a number; what lies beyond them is kept as a sticky bit, so rounding is still correct.
const READ_BITS: u32 = 256;

/// Reads a decimal, a C99 hex float, `inf` or `nan` (any case, with an optional sign) and rounds it once to `dtype`.
///
/// # Errors
/// Text that is no number.
pub fn parse(text: &str, dtype: Dtype) -> Result<f64> {
    let bad = || {
        let shown: String = text.chars().take(60).collect();
        Error::usage(format!(
            "`{shown}` is not a number; write a decimal, a hex float such as 0x1.8p+3, inf, -inf or nan"
        ))
    };
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let magnitude = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => return Ok(f64::NAN),
        _ => {
            let (digits, radix, shift) = match lower.strip_prefix("0x") {
                Some(hex) => {
                    let (digits, power) = hex.split_once('p').unwrap_or((hex, "0"));
                    (digits, 16, power.parse::<i32>().map_err(|_| bad())?)
                }
                None => (lower.as_str(), 10, 0),
            };
            // rug accepts separators, signs and names that C does not.
            let is_plain = |c: char| c.is_digit(radix) || c == '.' || (radix == 10 && matches!(c, 'e' | '+' | '-'));
            if !digits.starts_with(|c: char| c.is_digit(radix) || c == '.') || !digits.chars().all(is_plain) {
                return Err(bad());
            }
            let parsed = Float::parse_radix(digits, radix as i32).map_err(|_| bad())?;
            let (mut value, side) = Float::with_val_round(READ_BITS, parsed, Round::Zero);
            value <<= shift.clamp(-100_000, 100_000);
            round_float(&value, side, dtype)
        }
    };
    Ok(if negative { -magnitude } else { magnitude })
}

/// Rounds a non-negative `value`, itself the truncation of a real number (`side` is how it compares with it), to `dtype`.
fn round_float(value: &Float, side: Ordering, dtype: Dtype) -> f64 {
    let hi = value.to_f64();
    if hi == 0.0 {
        return 0.0; // below half the least f64, so below half the least of any dtype
    }
    let rest = Float::with_val(READ_BITS + 64, value - hi);
    let lo = match rest.cmp0() {
        Some(Ordering::Less) => -1.0,
        Some(Ordering::Greater) => 1.0,
        _ if side == Ordering::Less => 1.0,
        _ => 0.0,
    };
    dtype.format().round(hi, lo)
}

/// The hex float of a number: `0x1.8p+3`, `-0x0p+0`, `inf`, `nan`. The digits are the fewest that hold the value, and every
/// finite non-zero number is written normalised, subnormals too.
pub fn hex(x: f64) -> String {
    let sign = if x.is_sign_negative() && !x.is_nan() { "-" } else { "" };
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return format!("{sign}inf");
    }
    if x == 0.0 {
        return format!("{sign}0x0p+0");
    }
    let e = exponent(x);
    let fraction = format!("{:013x}", ldexp(x.abs(), -e).to_bits() & ((1 << 52) - 1));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}0x1{point}{fraction}p{e:+}")
}

/// The shortest decimal that reads back as the same value of `dtype`, for people: `1000`, `-inf`, `1e-45`.
pub fn decimal(x: f64, dtype: Dtype) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf".into() } else { "-inf".into() };
    }
    for digits in 0..17 {
        let scientific = format!("{x:.digits$e}");
        if parse(&scientific, dtype).is_ok_and(|back| back == x) {
            let power = scientific.split_once('e').and_then(|(_, power)| power.parse::<i32>().ok()).unwrap_or(0);
            if !(-5..16).contains(&power) {
                return scientific;
            }
            let plain = format!("{:.*}", (digits as i32 - power).max(0) as usize, x);
            // The plain form of a wide integer may show more digits than the dtype holds; both read back alike.
            return plain;
        }
    }
    format!("{x:e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_round_trips_in_hex_and_in_decimal() {
        for word in 0..=u16::MAX {
            let x = Dtype::F16.from_bits(u64::from(word));
            for text in [hex(x), decimal(x, Dtype::F16)] {
                let back = parse(&text, Dtype::F16).unwrap();
                assert_eq!(Dtype::F16.to_bits(back), Dtype::F16.to_bits(x), "{text}");
            }
        }
    }

    #[test]
    fn hex_floats_of_any_c99_form() {
        for (text, want) in [
            ("0x1.8p+3", 12.0),
            ("0X1.8P3", 12.0),
            ("0x.8p0", 0.5),
            ("0xcp0", 12.0),
            ("-0x10.p-4", -1.0),
            ("0x1", 1.0),
            ("0x0p+0", 0.0),
            ("+0x1p-1074", 5e-324),
            ("0x0.0000000000001p-1022", 5e-324),
            ("INF", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse(text, Dtype::F64).unwrap(), want, "{text}");
        }
        assert!(parse("-0x0p0", Dtype::F64).unwrap().is_sign_negative());
        assert!(parse("NaN", Dtype::F64).unwrap().is_nan());
        assert_eq!((hex(12.0), hex(-0.0), hex(5e-324)), ("0x1.8p+3".into(), "-0x0p+0".into(), "0x1p-1074".into()));
    }

    #[test]
    fn reading_rounds_once() {
        // Halfway between 1 and the next f16 but for a last digit that f64 cannot hold: through f64 it would round to even.
        let text = "1.00048828125000000000000000000000000000000001";
        assert_eq!(parse(text, Dtype::F16).unwrap(), 1.0009765625);
        assert_eq!(parse("1.00048828125", Dtype::F16).unwrap(), 1.0);
        let beyond_f64 = format!("0x1.002{}1p0", "0".repeat(90));
        assert_eq!(parse(&beyond_f64, Dtype::F16).unwrap(), 1.0009765625);
        assert_eq!(parse("70000", Dtype::F16).unwrap(), f64::INFINITY);
        assert_eq!(parse("1e-400", Dtype::F64).unwrap(), 0.0);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "-",
            "0x",
            "0xp3",
            "1_000",
            "1e",
            "e5",
            "0x1p",
            "0x1pq",
            "one",
            "--1",
            "1 2",
            "@nan@",
            ".",
            "0x1.8p+3f",
        ] {
            assert!(parse(text, Dtype::F64).is_err(), "`{text}` was read as {:?}", parse(text, Dtype::F64));
        }
    }

    #[test]
    fn decimals_are_short() {
        assert_eq!(decimal(1000.0, Dtype::F32), "1000");
        assert_eq!(decimal(f64::from(0.1f32), Dtype::F32), "0.1");
        assert_eq!(decimal(f64::from(f32::MAX), Dtype::F32), "3.4028235e38");
        assert_eq!(decimal(-0.0, Dtype::F32), "-0");
        assert_eq!(decimal(f64::from(f32::from_bits(1)), Dtype::F32), "1e-45");
    }
}
