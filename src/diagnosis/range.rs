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

/// The largest finite logit; -inf where none is.
pub(super) fn maximum(case: &Case) -> f64 {
    case.logits().iter().copied().filter(|z| z.is_finite()).fold(f64::NEG_INFINITY, f64::max)
}

/// The largest distance of a finite logit from the maximum.
pub(super) fn gap(case: &Case) -> f64 {
    let max = maximum(case);
    case.logits().iter().filter(|z| z.is_finite()).fold(0.0f64, |gap, z| gap.max(max - z))
}
