//! The size of an error, which tells the cause where no experiment does.

use crate::case::Case;
use crate::dtype::ldexp;
use crate::judge::due_value;
use crate::oracle::Truth;

/// The largest cotangent or tangent, the unit of the products; 1 for the other ops.
pub(super) fn direction_size(case: &Case) -> f64 {
    case.direction().map_or(1.0, |direction| direction.iter().fold(0.0, |size: f64, g| size.max(g.abs())))
}

/// The exact value of an output, to 53 bits.
pub(super) fn exact_value(truth: &Truth, index: usize) -> Option<f64> {
    let real = truth.alternatives.first().and_then(|outputs| due_value(&outputs[index]))?;
    Some(real.rounded + ldexp(real.residual, real.unit))
}

pub(super) fn relative_error(truth: &Truth, index: usize, got: f64) -> f64 {
    match exact_value(truth, index) {
        Some(exact) if exact == got => 0.0,
        Some(exact) => ((got - exact) / exact).abs(),
        None => f64::INFINITY,
    }
}
