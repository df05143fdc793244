//! What is simpler than a value: the description that says how simple it is, and the values that are tried in its place.

use crate::dtype::{Dtype, exponent, ldexp, text};

/// The magnitude rounded to `bits` significand bits, downward or upward. `x` must be finite.
pub(super) fn to_bits(x: f64, bits: u32, upward: bool) -> f64 {
    if x == 0.0 {
        return x;
    }
    let unit = exponent(x) - bits as i32 + 1;
    let scaled = ldexp(x.abs(), -unit);
    ldexp(if upward { scaled.ceil() } else { scaled.trunc() }, unit).copysign(x)
}

/// Rounded to `digits` significant decimal digits, then to the dtype.
pub(super) fn to_digits(x: f64, digits: usize, dtype: Dtype) -> f64 {
    text::parse(&format!("{:.*e}", digits - 1, x), dtype).unwrap_or(x)
}

/// Integers up to this magnitude are small.
const SMALL_INTEGER: f64 = 1024.0;
/// The number of halvings that bring a small integer, or any exponent of an f64, to 1.
const HALVINGS: usize = 10;
/// The most decimal digits to which single values are rounded; any number of f32 reads back from nine.
const DIGITS: usize = 9;

/// Variant `choice` of a value: `Some(None)` if it does not apply to this value, `None` after the last.
///
/// The choices are counted alike for all values, and a descent by halves is one choice for each step, so that a search that
/// goes on with the next choice after each variant taken bisects.
pub(super) fn variant(x: f64, choice: usize, dtype: Dtype) -> Option<Option<f64>> {
    const FIRST: usize = 12;
    const POWERS: usize = FIRST + HALVINGS;
    const BITS: usize = POWERS + 2;
    let format = dtype.format();
    let bits = 2 * (format.precision as usize - 2);
    let (digits, exponents) = (BITS + bits, BITS + bits + DIGITS);
    let number = x.is_finite().then_some(x);
    // exp overflows above the first, and rounds to 0 below minus the second.
    let overflow = (f64::from(format.emax + 1) * std::f64::consts::LN_2).ceil();
    let underflow = (f64::from(1 - format.least_exponent()) * std::f64::consts::LN_2).ceil();
    let value = match choice {
        0 => Some(0.0),
        1 => Some(1.0),
        2 => Some(-1.0),
        3 => (!x.is_nan()).then(|| x.abs()),
        4 => Some(overflow.copysign(x)),
        5 => Some(-overflow.copysign(x)),
        6 => Some(underflow.copysign(x)),
        7 => Some(-underflow.copysign(x)),
        8 => number.map(f64::trunc),
        9 => number.map(|x| x.abs().ceil().copysign(x)),
        10 => x.is_nan().then_some(f64::INFINITY),
        11 => x.is_nan().then_some(f64::NEG_INFINITY),
        _ if choice < POWERS => {
            let step = ldexp(1.0, (HALVINGS - 1 - (choice - FIRST)) as i32);
            number.filter(|x| is_small_integer(*x) && x.abs() >= step).map(|x| (x.abs() - step).copysign(x))
        }
        _ if choice < BITS => number.map(|x| to_bits(x, 1, choice == POWERS + 1)),
        _ if choice < digits => {
            let place = choice - BITS;
            number.map(|x| to_bits(x, 2 + place as u32 / 2, place % 2 == 1))
        }
        _ if choice < exponents => number.map(|x| to_digits(x, choice - digits + 1, dtype)),
        _ if choice <= exponents + HALVINGS => {
            let step = 1 << (HALVINGS - (choice - exponents));
            number.filter(|x| *x != 0.0 && exponent(*x).abs() >= step).map(|x| ldexp(x, -step * exponent(x).signum()))
        }
        _ => return None,
    };
    Some(value.map(|value| dtype.round(value)))
}

fn is_small_integer(x: f64) -> bool {
    x.abs() <= SMALL_INTEGER && x.fract() == 0.0
}

/// How much it takes to describe a value: 0, then small integers by magnitude, powers of two by exponent, numbers by their bits
/// or decimal digits (the fewer counts; a digit is worth four bits) and then by exponent, then inf, -inf and NaN.
pub(super) fn description(x: f64, dtype: Dtype) -> u64 {
    /// Where the kinds begin; each is larger than all descriptions of the kind before.
    const INTEGERS: u64 = 1 << 10;
    const POWERS: u64 = 1 << 12;
    const NUMBERS: u64 = 1 << 13;
    /// Above twice the largest exponent of an f64, so that a bit counts more than any exponent.
    const PER_BIT: u64 = 1 << 12;
    const BITS_PER_DIGIT: u32 = 4;
    const SPECIAL: u64 = 1 << 20;
    let negative = u64::from(x.is_sign_negative());
    if x.is_nan() {
        return SPECIAL + 2;
    }
    if x.is_infinite() {
        return SPECIAL + negative;
    }
    if x == 0.0 {
        return negative;
    }
    if is_small_integer(x) {
        return INTEGERS + 2 * x.abs() as u64 + negative;
    }
    let e = exponent(x);
    let size = 2 * u64::from(e.unsigned_abs()) + negative;
    let significand = ldexp(x.abs(), -e).to_bits() & ((1 << 52) - 1) | 1 << 52;
    let bits = f64::MANTISSA_DIGITS - significand.trailing_zeros();
    if bits == 1 {
        return POWERS + size;
    }
    let shortest = match dtype {
        Dtype::F64 => format!("{x:e}"),
        Dtype::F32 => format!("{:e}", x as f32),
        _ => text::decimal(x, dtype),
    };
    let digits: String = shortest.chars().take_while(|&c| c != 'e').filter(char::is_ascii_digit).collect();
    let digits = digits.trim_matches('0').len() as u32;
    NUMBERS + PER_BIT * u64::from(bits.min(BITS_PER_DIGIT * digits)) + size
}
