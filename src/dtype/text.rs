//! Numbers as text: decimals and C99 hex floats in, hex floats and short decimals out. Reading rounds once.

use super::{Dtype, exponent, ldexp};
use crate::error::{Error, Result};
use std::cmp::Ordering;

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
            let format = dtype.format();
            let read = match lower.strip_prefix("0x") {
                Some(hex) => read_hex(hex),
                // Only beside a midpoint of the dtype does it matter on which side the number lies.
                None => read_decimal(&lower, |nearest| format.round(nearest, -1.0) != format.round(nearest, 1.0)),
            };
            let (nearest, side) = read.ok_or_else(bad)?;
            format.round(nearest, f64::from(side as i8))
        }
    };
    Ok(if negative { -magnitude } else { magnitude })
}

/// The `f64` nearest to an unsigned decimal, and, where that matters, on which side of it the decimal lies; none if it is no decimal.
fn read_decimal(text: &str, side_matters: impl Fn(f64) -> bool) -> Option<(f64, Ordering)> {
    // Rust reads names and signs besides.
    let is_plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-');
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !text.chars().all(is_plain) {
        return None;
    }
    // It reads any decimal, rounded correctly, ties to even.
    let nearest: f64 = text.parse().ok()?;
    if !side_matters(nearest) {
        return Some((nearest, Ordering::Equal));
    }
    // The digits of an f64 end: it is a multiple of 2^-1074, so of 10^-1074.
    let exact = format!("{nearest:.1074e}");
    Some((nearest, Digits::of(text)?.cmp(&Digits::of(&exact)?)))
}

/// A decimal as its digits without zeros at either end, the first of them of weight `10^power`; ordered by value. 0 has none.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Digits {
    power: i64,
    digits: Vec<u8>,
}

impl Digits {
    /// The digits of an unsigned decimal that is a number.
    fn of(text: &str) -> Option<Self> {
        let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let Some(first) = all.iter().position(|&digit| digit != b'0') else {
            return Some(Self { power: i64::MIN, digits: Vec::new() });
        };
        let last = all.iter().rposition(|&digit| digit != b'0')?;
        let power = power.parse::<i64>().ok()?.checked_add(whole.len() as i64 - 1 - first as i64)?;
        Some(Self { power, digits: all[first..=last].to_vec() })
    }
}

/// The `f64` nearest to a hex float without its `0x`, and on which side of it the hex float lies; none if it is none.
fn read_hex(text: &str) -> Option<(f64, Ordering)> {
    /// Bits of the significand that are kept as they are; whatever lies beyond is one bit that says that there is something.
    const KEPT: u32 = 100;
    let (digits, power) = text.split_once('p').unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut significand, mut e) = (0u128, i64::from(power.parse::<i32>().ok()?));
    for (place, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u128::from(digit.to_digit(16)?);
        let is_kept = significand >> KEPT == 0;
        if is_kept {
            significand = significand << 4 | digit;
        } else {
            significand |= u128::from(digit != 0);
        }
        // A digit before the point that is not kept, or one behind it that is.
        e += match (place < whole.len(), is_kept) {
            (true, false) => 4,
            (false, true) => -4,
            _ => 0,
        };
    }
    Some(nearest(significand, e))
}

/// The `f64` nearest to `significand * 2^e`, ties to even, and on which side of it that lies.
fn nearest(significand: u128, e: i64) -> (f64, Ordering) {
    let bits = 128 - i64::from(significand.leading_zeros());
    let unit = (bits + e - i64::from(f64::MANTISSA_DIGITS)).max(-1074);
    let dropped = unit - e;
    // Far beyond either end of the range.
    let as_i32 = |e: i64| e.clamp(-100_000, 100_000) as i32;
    if significand == 0 || dropped > 127 {
        return (0.0, if significand == 0 { Ordering::Equal } else { Ordering::Greater });
    }
    if dropped <= 0 {
        return (ldexp(significand as f64, as_i32(e)), Ordering::Equal);
    }
    let (kept, rest, half) = (significand >> dropped, significand & ((1 << dropped) - 1), 1u128 << (dropped - 1));
    let up = rest > half || (rest == half && kept & 1 == 1);
    let side = if up { Ordering::Less } else { rest.cmp(&0) };
    (ldexp((kept + u128::from(up)) as f64, as_i32(unit)), side)
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
        // The same just below and just above a tie of f32, by decimals that share thirty digits with it.
        let tie = "1.000000059604644775390625";
        assert_eq!(parse(tie, Dtype::F32).unwrap(), 1.0);
        assert_eq!(parse(&format!("{tie}0000001"), Dtype::F32).unwrap(), 1.0 + f64::from(f32::EPSILON));
        assert_eq!(parse("1.0000000596046447753906249999", Dtype::F32).unwrap(), 1.0);
        assert_eq!(parse("100000005960464477539062500001e-29", Dtype::F32).unwrap(), 1.0 + f64::from(f32::EPSILON));
        // Ties of f64 itself, subnormal ones and the one at the end of the range.
        assert_eq!(parse("0x1.00000000000008p0", Dtype::F64).unwrap(), 1.0);
        assert_eq!(parse("0x1.000000000000080000000000000000000000001p0", Dtype::F64).unwrap(), 1.0 + f64::EPSILON);
        assert_eq!(parse("0x1p-1075", Dtype::F64).unwrap(), 0.0);
        assert_eq!(parse("0x1.0000000000000000000000000000000001p-1075", Dtype::F64).unwrap(), 5e-324);
        assert_eq!(parse("0x1.fffffffffffff7ffp1023", Dtype::F64).unwrap(), f64::MAX);
        assert_eq!(parse("0x1.fffffffffffff8p1023", Dtype::F64).unwrap(), f64::INFINITY);
        assert_eq!(parse("0x1p99999999999", Dtype::F64).is_err(), parse("0x1pq", Dtype::F64).is_err());
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
