//! The truth of one output as the judge needs it: correctly rounded, and how far off that rounding is.
//!
//! A real number is decided when everything that is said of it is certain: the number of the format it rounds to, the binade it
//! lies in (which fixes its ulp), and its distance from the rounded number to [`SHOWN_BITS`] bits behind the binary point of
//! an ulp figure.

use super::ball::Ball;
use super::interval::Interval;
use crate::dtype::{Format, exponent, ldexp};
use crate::magnitude::Magnitude;
use crate::number::{Float, Integer, Rational, Round};
use std::cmp::Ordering;

/// An enclosure is narrow enough when it is narrower than `2^-32` ulp: the unit in which signed errors are summed, nine decimal
/// digits of an error of one ulp.
pub(crate) const SHOWN_BITS: i32 = 32;

/// An exact value, relative to a format.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rounded {
    /// The exact value rounded once, ties to even; infinite where it overflows, and then `residual` is 0.
    pub rounded: f64,
    /// `(exact - rounded) / ulp(exact)`.
    pub residual: f64,
    /// `log2` of `ulp(exact)`; where the value overflows, that of the last binade.
    pub unit: i32,
}

impl Rounded {
    /// An upper bound of the absolute value; where it overflows, `2^(emax + 1)`.
    pub fn magnitude(&self, format: Format) -> Magnitude {
        if self.rounded.is_infinite() {
            return Magnitude::power_of_two(format.emax + 1);
        }
        Magnitude::from(self.rounded) + Magnitude::scaled(self.residual, self.unit)
    }

    /// Whether the exact value is 0.
    pub fn is_zero(&self) -> bool {
        self.rounded == 0.0 && self.residual == 0.0
    }

    fn overflow(sign: f64, format: Format) -> Self {
        Self { rounded: f64::INFINITY.copysign(sign), residual: 0.0, unit: format.ulp_exponent(format.emax) }
    }

    /// From an integer number of units and a residual, `integer + residual` units in all, with the sign of `sign`.
    fn from_units(mut integer: f64, mut residual: f64, unit: i32, sign: f64, format: Format) -> Self {
        if residual > 0.5 {
            (integer, residual) = (integer + 1.0, residual - 1.0);
        } else if residual < -0.5 {
            (integer, residual) = (integer - 1.0, residual + 1.0);
        }
        if integer == 0.0 {
            return Self { rounded: 0.0f64.copysign(sign), residual, unit };
        }
        let rounded = ldexp(integer, unit);
        if rounded.abs() > format.largest() { Self::overflow(sign, format) } else { Self { rounded, residual, unit } }
    }

    /// A number of this sign so far below the least one that how far is of no account.
    pub(super) fn vanishing(sign: f64, format: Format) -> Self {
        Self {
            rounded: 0.0f64.copysign(sign),
            residual: f64::MIN_POSITIVE.copysign(sign),
            unit: format.least_exponent(),
        }
    }

    /// A number of the format itself.
    pub(crate) fn of_number(x: f64, format: Format) -> Self {
        if x == 0.0 {
            return Self { rounded: 0.0, residual: 0.0, unit: format.least_exponent() };
        }
        Self { rounded: x, residual: 0.0f64.copysign(x), unit: format.ulp_exponent(exponent(x)) }
    }

    /// Decides from a ball: `2^scale` times the irrational number in it. None where the ball does not decide.
    pub(super) fn from_ball(ball: Ball, scale: i32, format: Format) -> Option<Self> {
        let Ball { high, low, radius } = ball;
        if !(high.is_finite() && radius.is_finite()) {
            return None;
        }
        if high.abs() <= radius {
            return None; // not even the sign is known
        }
        // What lies beyond `high`, counted away from 0.
        let (top, below) = (high.abs(), low * high.signum());
        let mut binade = exponent(high);
        let mut floor = ldexp(1.0, binade);
        if top == floor && below < 0.0 {
            binade -= 1;
            floor = ldexp(1.0, binade);
        }
        if binade + scale >= format.emin {
            // The ball may touch a power of two, for the number is none; it must not go beyond.
            let above_floor = (top - floor) + below;
            let below_ceiling = (floor - (top - floor)) - below;
            if !((above_floor >= radius || binade + scale == format.emin) && below_ceiling >= radius) {
                return None;
            }
        }
        let unit = format.ulp_exponent(binade + scale);
        let to_units = scale - unit;
        let scaled = ldexp(high, to_units);
        let integer = scaled.round_ties_even();
        let residual = (scaled - integer) + ldexp(low, to_units);
        let uncertainty = ldexp(radius, to_units);
        // The last term covers the rounding of `residual` itself.
        let decided =
            uncertainty < ldexp(1.0, -SHOWN_BITS) && (0.5 - residual.abs()).abs() > uncertainty + 4.0 * f64::EPSILON;
        decided.then(|| Self::from_units(integer, residual, unit, high, format))
    }

    /// Decides from an open interval (or from a single point, if its ends are equal); none where it does not decide.
    pub(super) fn from_interval(interval: &Interval, format: Format) -> Option<Self> {
        let (low, high) = (&interval.low, &interval.high);
        if !low.is_finite() || !high.is_finite() {
            // An end beyond the range of numbers: far beyond any format, if both ends agree in sign.
            return None;
        }
        // Half an ulp above the largest finite number: there and beyond, the value rounds to infinity.
        let threshold = (Float::with_val(64, 2) - ldexp(1.0, -(format.precision as i32))) << format.emax;
        if *low >= threshold {
            return Some(Self::overflow(1.0, format));
        }
        if -high.clone() >= threshold {
            return Some(Self::overflow(-1.0, format));
        }
        if low == high {
            return End::of(low, 0, format).map(|end| end.rounded(low, format));
        }
        let (from_low, from_high) = (End::of(low, 1, format)?, End::of(high, -1, format)?);
        let width = Float::with_val_round(64, high - low, Round::Up).0;
        let narrow = |unit: i32, bits: i32| width.get_exp().is_none_or(|e| e < unit - bits);
        if from_low.integer == 0.0 && from_high.integer == 0.0 && from_low.unit == from_high.unit {
            // Rounds to 0. The sign is known where the interval does not cross 0.
            if *low < 0 && *high > 0 {
                let zero = Self { rounded: 0.0, residual: 0.0, unit: from_low.unit };
                return narrow(from_low.unit, 2 * SHOWN_BITS).then_some(zero);
            }
            let end = End { sign: if *high <= 0 { -1.0 } else { 1.0 }, ..from_low };
            return narrow(from_low.unit, SHOWN_BITS).then(|| end.rounded(&interval.middle(), format));
        }
        let agree = from_low.integer == from_high.integer && from_low.unit == from_high.unit;
        (agree && narrow(from_low.unit, SHOWN_BITS)).then(|| from_low.rounded(&interval.middle(), format))
    }

    /// Decides from intervals, each narrower than the one before: from the first that decides. Of a number that rounds to 0 that is the first
    /// which knows its sign, if one does, for the sign of a result is right or wrong by it.
    pub(super) fn from_intervals(intervals: impl Iterator<Item = Interval>, format: Format) -> Option<Self> {
        let mut without_sign = None;
        for interval in intervals {
            match Self::from_interval(&interval, format) {
                Some(zero) if zero.is_zero() && interval.low != interval.high => without_sign = Some(zero),
                Some(rounded) => return Some(rounded),
                None => {}
            }
        }
        without_sign
    }

    /// Rounds a rational number.
    pub(super) fn from_rational(value: &Rational, format: Format) -> Self {
        if value.cmp0() == Ordering::Equal {
            return Self { rounded: 0.0, residual: 0.0, unit: format.least_exponent() };
        }
        let sign = if value.cmp0() == Ordering::Less { -1.0 } else { 1.0 };
        let magnitude = Rational::from(value.abs_ref());
        // floor(log2) is the difference of the lengths, or one less.
        let guess = magnitude.numer().significant_bits() as i32 - magnitude.denom().significant_bits() as i32;
        let binade = if power_of_two(guess) > magnitude { guess - 1 } else { guess };
        if binade > format.emax {
            return Self::overflow(sign, format);
        }
        let unit = format.ulp_exponent(binade);
        let scaled = &magnitude * power_of_two(-unit);
        let mut integer = Integer::from(scaled.floor_ref());
        let rest = Rational::from(&scaled - &integer);
        let up = match rest.cmp(&Rational::from((1, 2))) {
            Ordering::Less => false,
            Ordering::Equal => integer.is_odd(),
            Ordering::Greater => true,
        };
        integer += i32::from(up);
        let residual = Rational::from(&scaled - &integer).to_f64();
        let residual = if residual == 0.0 && scaled != integer { f64::MIN_POSITIVE } else { residual };
        Self::from_units(sign * integer.to_f64(), sign * residual, unit, sign, format)
    }
}

fn power_of_two(exponent: i32) -> Rational {
    let one = Rational::from(1);
    if exponent >= 0 { one << exponent as u32 } else { one >> exponent.unsigned_abs() }
}

/// Where an end of an interval rounds, seen from inside the interval.
struct End {
    /// The rounded number, in units.
    integer: f64,
    /// `log2` of the ulp.
    unit: i32,
    sign: f64,
}

impl End {
    /// `x` plus an infinitesimal of the sign of `inward` (or `x` itself, if 0).
    fn of(x: &Float, inward: i32, format: Format) -> Option<Self> {
        let Some(e) = x.get_exp() else {
            let sign = if inward < 0 { -1.0 } else { 1.0 };
            return Some(Self { integer: 0.0, unit: format.least_exponent(), sign });
        };
        let sign = if x.is_sign_negative() { -1.0 } else { 1.0 };
        let shrinking = f64::from(inward) * sign < 0.0;
        let is_power = x.cmp_abs(&(Float::with_val(2, 1) << (e - 1))) == Some(Ordering::Equal);
        let binade = if shrinking && is_power { e - 2 } else { e - 1 };
        if binade > format.emax {
            return None; // just below the overflow threshold on one side only
        }
        let unit = format.ulp_exponent(binade);
        let scaled = Float::with_val(x.prec(), x >> unit);
        let nearest = scaled.clone().round_even();
        let rest = Float::with_val(x.prec(), &scaled - &nearest);
        let mut integer = nearest.to_f64();
        if rest == 0.5 && inward > 0 {
            integer += 1.0;
        } else if rest == -0.5 && inward < 0 {
            integer -= 1.0;
        }
        Some(Self { integer, unit, sign })
    }

    fn rounded(&self, value: &Float, format: Format) -> Rounded {
        let scaled = Float::with_val(value.prec(), value >> self.unit);
        let rest = Float::with_val(value.prec() + 64, &scaled - self.integer);
        let residual = rest.to_f64();
        let residual = if residual == 0.0 && !rest.is_zero() {
            f64::MIN_POSITIVE.copysign(if rest.is_sign_negative() { -1.0 } else { 1.0 })
        } else {
            residual
        };
        Rounded::from_units(self.integer, residual, self.unit, self.sign, format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A format small enough to enumerate: 4 bits of precision, exponents -3 to 3.
    const TOY: Format = Format { precision: 4, emin: -3, emax: 3 };
    /// The grid of exact values: this many places in the least gap of the format.
    const PLACES: i64 = 16;

    /// Every value of the grid from 0 to beyond the overflow threshold, both signs.
    fn grid() -> impl Iterator<Item = f64> {
        let step = TOY.least() / PLACES as f64;
        let last = (18.0 / step) as i64;
        (-last..=last).map(move |place| place as f64 * step)
    }

    /// What is due for `x` plus an infinitesimal of the sign of `side`, by search through all numbers of the format.
    fn by_search(x: f64, side: f64) -> (f64, i32) {
        let beyond = TOY.from_ordinal(TOY.ordinal(TOY.largest())) + f64::powi(2.0, TOY.emax - 3);
        let numbers = (0..=TOY.ordinal(TOY.largest())).map(|place| TOY.from_ordinal(place)).chain([beyond]);
        let (size, outward) = (x.abs(), side * x.signum());
        let nearest = numbers
            .enumerate()
            .min_by(|(i, a), (j, b)| {
                let (da, db) = ((a - size).abs(), (b - size).abs());
                let by_side = (b - a) * outward;
                da.total_cmp(&db).then(by_side.partial_cmp(&0.0).unwrap()).then((i % 2).cmp(&(j % 2)))
            })
            .map_or(0.0, |(_, number)| number);
        // The binade of the value itself, not of what it rounds to.
        let mut binade = TOY.emin;
        while binade < TOY.emax
            && (f64::powi(2.0, binade + 1) < size || f64::powi(2.0, binade + 1) == size && outward >= 0.0)
        {
            binade += 1;
        }
        let rounded = if nearest == beyond { f64::INFINITY } else { nearest };
        (rounded, binade - 3)
    }

    #[test]
    fn rational_numbers_of_the_toy_format() {
        let mut checked = 0;
        for x in grid() {
            let real = Rounded::from_rational(&Rational::from_f64(x).unwrap(), TOY);
            let (rounded, unit) = by_search(x, 0.0);
            assert_eq!(real.rounded.abs(), rounded, "{x}");
            if rounded.is_finite() {
                assert_eq!(real.unit, unit, "{x}");
                assert_eq!(real.rounded + ldexp(real.residual, real.unit), x);
            }
            checked += 1;
        }
        assert!(checked > 36_000, "{checked}");
    }

    /// Just above and just below every value of the grid: representable numbers, midpoints, powers of two and the overflow
    /// threshold among them. Intervals decide all of them, balls all that they decide alike.
    #[test]
    fn intervals_and_balls_beside_every_value_of_the_toy_format() {
        let mut by_ball = 0;
        for x in grid().filter(|&x| x != 0.0) {
            for side in [-1.0, 1.0] {
                let far = Float::with_val(200, x) + Float::with_val(200, side) * f64::powi(2.0, -100);
                let end = Float::with_val(200, x);
                let (low, high) = if side > 0.0 { (end, far) } else { (far, end) };
                let real = Rounded::from_interval(&Interval { low, high }, TOY).unwrap_or_else(|| panic!("{x} {side}"));
                let (rounded, unit) = by_search(x, side);
                assert_eq!(real.rounded.abs(), rounded, "{x} {side}");
                if rounded.is_finite() {
                    assert_eq!(real.unit, unit, "{x} {side}");
                    let beside = (real.rounded - x) + ldexp(real.residual, real.unit);
                    assert!(beside * side >= 0.0 && beside.abs() < 1e-9, "{x} {side}");
                }
                let ball = Ball { high: x, low: side * f64::powi(2.0, -80), radius: f64::powi(2.0, -81) };
                if let Some(of_ball) = Rounded::from_ball(ball, 0, TOY) {
                    assert_eq!((of_ball.rounded, of_ball.unit), (real.rounded, real.unit), "{x} {side}");
                    by_ball += 1;
                }
            }
        }
        assert!(by_ball > 65_000, "{by_ball}");
    }

    /// The sign of what rounds to 0 is that of the first interval that has one; where none has, there is none.
    #[test]
    fn a_zero_has_the_sign_of_the_narrowest_interval() {
        let interval =
            |low: f64, high: f64| Interval { low: Float::with_val(64, low), high: Float::with_val(64, high) };
        let crossing = [interval(-1e-40, 2e-40), interval(-1e-60, 2e-60)];
        let signed = [crossing[0].clone(), interval(-1e-40, -1e-41), interval(-1e-40, 2e-41)];
        let of = |intervals: &[Interval]| Rounded::from_intervals(intervals.iter().cloned(), TOY).unwrap();
        assert!(of(&crossing).is_zero());
        assert!(of(&signed).residual < 0.0 && of(&signed[1..]).residual < 0.0);
        // It is wide, then decides.
        let decided = of(&[interval(1.0, 1.5), interval(1.0, 1.0)]);
        assert_eq!((decided.rounded, decided.residual), (1.0, 0.0));
    }

    #[test]
    fn what_is_wide_decides_nothing() {
        let interval = Interval { low: Float::with_val(64, 1.0), high: Float::with_val(64, 1.001) };
        assert_eq!(Rounded::from_interval(&interval, TOY), None);
        assert_eq!(Rounded::from_ball(Ball { high: 1.5, low: 0.0, radius: 1e-3 }, 0, TOY), None);
        assert_eq!(Rounded::from_ball(Ball { high: 1.5, low: 0.0, radius: f64::NAN }, 0, TOY), None);
        assert_eq!(Rounded::from_ball(Ball { high: f64::INFINITY, low: 0.0, radius: 0.0 }, 0, TOY), None);
    }
}
