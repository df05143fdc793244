//! The errors of the exponents of a row times a scale: see the head of `bound`.

use crate::dtype::{Format, two_difference};
use crate::oracle;

/// In which order a kernel may multiply by a scale and subtract.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scaled {
    /// The products are subtracted, or the difference is multiplied: the textbook has either.
    Either,
    /// The difference is multiplied.
    Last,
}

/// The errors of the exponents of a row times a scale.
pub(super) struct ScaleErrors {
    /// The largest logit of the sign of the scale, and its product as the accumulator has it.
    max: f64,
    top: f64,
    /// The size of the scale.
    scale: f64,
    accumulator: Format,
    flushes: bool,
    scaled: Scaled,
}

impl ScaleErrors {
    /// Of a row with this largest logit of the sign of the scale.
    pub fn new(max: f64, scale: f64, accumulator: Format, flushes: bool, scaled: Scaled) -> Self {
        let (high, low) = product(scale, max);
        Self { max, top: accumulator.round(high, low), scale, accumulator, flushes, scaled }
    }

    /// The relative error of the weight of a logit: `e^x - 1`.
    pub fn of_weight(&self, z: f64) -> f64 {
        /// Up to here `x + x^2` is little more.
        const SMALL: f64 = 0.0625;
        /// More than the exponential errs by.
        const SAFETY: f64 = 1.0 + 1e-12;
        match self.of_exponent(z) {
            None => 1.0,
            Some(x) if x <= SMALL => x + x * x,
            Some(x) => oracle::exp(x) * SAFETY - 1.0,
        }
    }

    /// `x`; none where a product overflows and the weight is lost. A row whose largest product overflows is forgiven as a whole.
    fn of_exponent(&self, z: f64) -> Option<f64> {
        if z == f64::NEG_INFINITY || !self.top.is_finite() {
            return Some(0.0);
        }
        let Self { max, scale, accumulator, .. } = *self;
        let (difference, rest) = two_difference(z, max);
        // The exact exponent, high + low.
        let (high, low) = if difference.is_finite() {
            let (high, low) = product(scale, difference);
            (high, low + scale * rest)
        } else {
            let ((own, own_rest), (top, top_rest)) = (product(scale, z), product(scale, max));
            let (high, low) = two_difference(own, top);
            (high, low + (own_rest - top_rest))
        };
        let error = |(own, own_rest): (f64, f64)| ((own - high) + (own_rest - low)).abs();
        // Of the exponent as it is computed, before it is rounded itself, and after; a kernel may take it apart, or multiply and add at once:
        // then it is not rounded, which may be worse.
        let of_computed = |computed: (f64, f64)| {
            let rounded = accumulator.round(computed.0, computed.1);
            (rounded.is_finite() && high.is_finite()).then(|| error((rounded, 0.0)).max(error(computed)))
        };
        let shifted = accumulator.round(difference, rest);
        let last = shifted.is_finite().then(|| of_computed(product(scale, shifted)));
        let first = || {
            let (high, low) = product(scale, z);
            of_computed(two_difference(accumulator.round(high, low), self.top))
        };
        let error = match (self.scaled, last) {
            (Scaled::Last, Some(last)) => last?,
            (Scaled::Last, None) | (Scaled::Either, None) => first()?,
            (Scaled::Either, Some(last)) => last?.max(first()?),
        };
        // What the low parts, which are roundings themselves, may lack.
        let slack = low.abs() * f64::EPSILON;
        Some(error + slack + self.flushed(z, high))
    }

    /// What is lost where subnormal numbers are read as 0, and products are flushed.
    fn flushed(&self, z: f64, exponent: f64) -> f64 {
        if !self.flushes {
            return 0.0;
        }
        let least = self.accumulator.least_normal();
        if self.scale < least {
            return exponent.abs();
        }
        let read = |z: f64| if z.abs() < least { z.abs() } else { 0.0 };
        self.scale * (read(z) + read(self.max)) + 3.0 * least
    }
}

/// The product and its exact error; where it overflows, the error is 0.
fn product(a: f64, b: f64) -> (f64, f64) {
    let high = a * b;
    (high, if high.is_finite() { a.mul_add(b, -high) } else { 0.0 })
}
