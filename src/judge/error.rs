//! The error of an output: in ulps of the exact value, and absolute.
//!
//! `ulp(x) = 2^(max(floor(log2 |x|), emin) - p + 1)` of the exact value, as Goldberg defines it for real numbers (see Muller,
//! "On the definition of ulp(x)", 2005); subnormal results and exact zeros are measured in units of the least subnormal. Where
//! the exact value overflows, its infinity has error 0 and all else is measured from `2^(emax + 1)`.

use crate::dtype::{Format, exponent, ldexp};
use crate::magnitude::Magnitude;
use crate::oracle::Rounded;

/// An error is told as a multiple of this many ulps: the oracle tells it much better, and plain numbers nearly always (`screen`), so that
/// both tell the same.
pub(crate) const RESOLUTION: f64 = 1.0 / (1u64 << 20) as f64;

/// From here on, an error is told by its significant bits.
pub(super) const GRID_REACH: f64 = 1024.0;

/// The nearest multiple of [`RESOLUTION`] to a number below [`GRID_REACH`]. It is 0 and not -0 where it is none.
#[inline]
pub(super) fn on_grid(ulps: f64) -> f64 {
    /// Adding it rounds to such a multiple.
    const ROUNDING: f64 = 1.5 * (1u64 << 32) as f64;
    (ulps + ROUNDING) - ROUNDING
}

/// An error in ulps as it is told: a multiple of [`RESOLUTION`], or, from `2^10` ulps on, with 31 significant bits.
#[inline]
pub(crate) fn figure(ulps: f64) -> f64 {
    if ulps.abs() < GRID_REACH {
        return on_grid(ulps);
    }
    let unit = exponent(ulps) - 30;
    ldexp(ldexp(ulps, -unit).round_ties_even(), unit).clamp(-f64::MAX, f64::MAX)
}

/// The error of one finite or infinite output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputError {
    /// `|got - exact|`.
    pub absolute: Magnitude,
    /// `(got - exact) / ulp(exact)`, between `-f64::MAX` and `f64::MAX`, as a multiple of `2^-20`, from `2^10` on with 31 significant bits.
    pub signed_ulps: f64,
}

impl OutputError {
    /// The error of `got`, which must not be NaN, in a format.
    pub fn of(got: f64, exact: &Rounded, format: Format) -> Self {
        if got == exact.rounded && got.is_infinite() {
            return Self { absolute: Magnitude::ZERO, signed_ulps: 0.0 };
        }
        // Infinities stand for the number after the largest, which an f64 may not hold: halves do.
        let half = |x: f64| if x.is_infinite() { ldexp(1.0, format.emax).copysign(x) } else { x / 2.0 };
        let far = got.abs() > ldexp(1.0, 1000)
            || exact.rounded.abs() > ldexp(1.0, 1000)
            || got.is_infinite()
            || exact.rounded.is_infinite();
        let (difference, unit) =
            if far { (half(got) - half(exact.rounded), exact.unit - 1) } else { (got - exact.rounded, exact.unit) };
        // Close to the exact value the difference is exact, far from it the residual is of no account.
        let ulps = ldexp(difference, -unit) - exact.residual;
        if ulps.abs() <= f64::MAX {
            let ulps = figure(ulps);
            return Self { absolute: Magnitude::scaled(ulps, exact.unit), signed_ulps: ulps };
        }
        if ulps.is_nan() {
            // An exact value that is none: nothing is near it.
            return Self { absolute: Magnitude::INFINITY, signed_ulps: f64::MAX };
        }
        Self { absolute: Magnitude::scaled(difference, exact.unit - unit), signed_ulps: f64::MAX.copysign(difference) }
    }

    /// The error in ulps, without its sign.
    pub fn ulps(&self) -> f64 {
        self.signed_ulps.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;

    const F32: Format = Dtype::F32.format();

    #[test]
    fn fractions_of_an_ulp() {
        let exact = Rounded { rounded: 1.0, residual: 0.25, unit: -23 };
        let ulp = ldexp(1.0, -23);
        for (got, want) in [(1.0, -0.25), (1.0 + ulp, 0.75), (1.0 - ulp / 2.0, -0.75), (0.0, -8388608.25)] {
            let error = OutputError::of(got, &exact, F32);
            assert_eq!(error.signed_ulps, want);
            assert_eq!(error.absolute.to_f64(), want.abs() * ulp);
        }
    }

    #[test]
    fn figures() {
        for (ulps, told) in [
            (0.0, 0.0),
            (-0.4 * RESOLUTION, 0.0),
            (0.6 * RESOLUTION, RESOLUTION),
            (1.0 - 1e-9, 1.0),
            (-1023.9999999, -1024.0),
            (1024.0 + 0.4 * RESOLUTION, 1024.0),
            (1e9 + 0.1, 1e9),
            (f64::MAX, f64::MAX),
            (-1e300, -1e300),
        ] {
            let found = figure(ulps);
            let is_near = (found - told).abs() <= told.abs() * 2.0f64.powi(-31);
            assert!(found.is_finite() && is_near && found.to_bits() != (-0.0f64).to_bits(), "{ulps}: {found}");
            assert_eq!(figure(found), found);
        }
    }

    #[test]
    fn overflow_is_measured_from_the_number_after_the_largest() {
        let overflow = Rounded { rounded: f64::INFINITY, residual: 0.0, unit: 104 };
        assert_eq!(OutputError::of(f64::INFINITY, &overflow, F32).signed_ulps, 0.0);
        assert_eq!(OutputError::of(f64::from(f32::MAX), &overflow, F32).signed_ulps, -1.0);
        let largest = Rounded { rounded: f64::from(f32::MAX), residual: 0.0, unit: 104 };
        assert_eq!(OutputError::of(f64::INFINITY, &largest, F32).signed_ulps, 1.0);
        assert_eq!(OutputError::of(f64::NEG_INFINITY, &overflow, F32).signed_ulps, -33554432.0);
    }

    #[test]
    fn the_whole_range_of_f64() {
        let format = Dtype::F64.format();
        let zero = Rounded { rounded: 0.0, residual: 0.0, unit: -1074 };
        let error = OutputError::of(f64::MAX, &zero, format);
        assert_eq!((error.absolute.to_f64(), error.signed_ulps), (f64::MAX, f64::MAX));
        let largest = Rounded { rounded: f64::MAX, residual: 0.0, unit: 971 };
        assert_eq!(OutputError::of(f64::INFINITY, &largest, format).signed_ulps, 1.0);
        assert_eq!(OutputError::of(-f64::MAX, &largest, format).signed_ulps, -ldexp(1.0, 54));
        let tiny = Rounded { rounded: 0.0, residual: 1e-200, unit: -1074 };
        assert_eq!(OutputError::of(0.0, &tiny, format).signed_ulps, 0.0);
    }
}
