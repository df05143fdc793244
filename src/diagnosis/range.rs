//! The range of exp in a dtype, and where the logits of a case lie in it.

use crate::case::Case;
use crate::dtype::Dtype;

/// Where exp of a dtype stops: natural logarithms.
pub(super) struct Thresholds {
    /// Above, exp rounds to infinity.
    pub overflow: f64,
    /// Below, exp is subnormal.
    pub subnormal: f64,
    /// Below, exp rounds to 0.
    pub underflow: f64,
}

impl Thresholds {
    pub fn of(dtype: Dtype) -> Self {
        let format = dtype.format();
        let ln2 = std::f64::consts::LN_2;
        Self {
            overflow: f64::from(format.emax + 1) * ln2,
            subnormal: f64::from(format.emin) * ln2,
            underflow: f64::from(format.least_exponent() - 1) * ln2,
        }
    }
}

/// What exp is taken of, but for the maximum: the finite logits, times the scale if there is one.
fn arguments(case: &Case) -> impl Iterator<Item = f64> {
    let scale = case.scale().unwrap_or(1.0);
    case.logits().iter().filter(|z| z.is_finite()).map(move |z| z * scale)
}

/// The largest finite logit, times the scale if there is one; -inf where none is.
pub(super) fn maximum(case: &Case) -> f64 {
    arguments(case).fold(f64::NEG_INFINITY, f64::max)
}

/// The largest distance of a finite logit, times the scale if there is one, from the maximum.
pub(super) fn gap(case: &Case) -> f64 {
    let max = maximum(case);
    arguments(case).fold(0.0f64, |gap, z| gap.max(max - z))
}

/// Whether a finite logit times the scale is beyond the largest number of the type that the products are formed in.
pub(super) fn is_product_infinite(case: &Case, accumulator: Dtype) -> bool {
    arguments(case).any(|z| z.abs() > accumulator.format().largest())
}
