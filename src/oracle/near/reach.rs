//! Which cases have bounds in plain numbers, and in f64 are told in balls: those whose numbers, and what bounds are made of, lie far within
//! the range of an `f64`. All others are told in numbers of any size (`wide`), and their bounds are magnitudes. Of the narrow dtypes these are
//! rows of large products, whose weights may err by any factor.
//!
//! A weight, and a probability but for its part of the sum, times the least of all that it is multiplied by, is `2^-900` or more; a deviation
//! may be `2^-53` of that, and a roundoff `2^-53` of it: `2^-1006`, where neither a number nor its error is lost to underflow. Logits of `1e-200`
//! or more have differences and roundings far above that. So error bounds in `f64` are those of `crate::magnitude` but for their
//! roundings, which both count.

use crate::case::Case;
use crate::dtype::exponent;
use crate::op::Kind;
use crate::op::inputs::Element;
use crate::op::signature::Role;
use std::ops::RangeInclusive;

/// By how many powers of two a weight may be below 1, with the least of all that it is multiplied by.
const FARTHEST: f64 = 900.0;

/// Sizes of logits that are not 0, and of all else.
const LOGITS: RangeInclusive<f64> = 1e-200..=1e100;
const OTHERS: RangeInclusive<f64> = 1e-25..=1e25;

/// Products of logits and a scale in a narrow dtype err by at most `2^-8` of themselves, once or twice: up to here by less than 128 in all,
/// and the weights by less than a factor of `e^128`, whose square an `f64` holds.
const LARGEST_PRODUCT: f64 = 16_384.0;

fn is_in(x: f64, range: &RangeInclusive<f64>) -> bool {
    x == 0.0 || range.contains(&x.abs())
}

/// Whether the weight at this distance, times a number that is 0 or this large, is within [`FARTHEST`].
fn is_weight_near(distance: f64, other: f64) -> bool {
    let below = if other == 0.0 { 0 } else { -exponent(other).min(0) };
    distance * std::f64::consts::LOG2_E + f64::from(below) <= FARTHEST
}

/// Whether a row is, whose weights are multiplied by numbers of which this is the least; masked logits are.
fn is_row_near(logits: &[f64], other: f64) -> bool {
    let finite = || logits.iter().copied().filter(|z| z.is_finite());
    let max = finite().fold(f64::NEG_INFINITY, f64::max);
    finite().all(|z| is_in(z, &LOGITS) && is_weight_near(max - z, other))
}

/// Whether a case in a narrow dtype has products of logits and a scale that are larger.
pub(super) fn has_large_products(case: &Case) -> bool {
    let large = |scale: f64| case.logits().iter().any(|z| z.is_finite() && (z * scale).abs() > LARGEST_PRODUCT);
    case.scale().is_some_and(large)
}

/// Whether an ordinary case in f64 is.
pub(super) fn is_near(case: &Case) -> bool {
    match &case.op().facts().kind {
        // Products of logits and a scale are no `f64`.
        Kind::Row(_) if case.scale().is_some() => false,
        Kind::Row(_) => {
            let (_, smoothing) = case.target().unwrap_or((0, 0.0));
            let (seen, masses) = (case.seen(), case.distribution().unwrap_or(&[]));
            let others = || seen.iter().chain(masses).copied().chain([smoothing]).filter(|x| *x != 0.0).map(f64::abs);
            let least = others().fold(1.0, f64::min);
            let is_target_near = case.target_logits().is_none_or(|target| is_row_near(target, least));
            is_row_near(case.logits(), least) && is_target_near && others().all(|x| is_in(x, &OTHERS))
        }
        Kind::Elements(facts) => case.elements().all(|element: Element| {
            let (x, y) = (facts.difference)(element);
            let Element { logit, other } = element;
            let is_other_near = match case.op().other_row().is_some_and(|input| input.role == Role::Logits) {
                true => is_in(other, &LOGITS) && is_weight_near((y - x).abs(), 1.0),
                false => is_in(other, &OTHERS) && is_weight_near((y - x).abs(), other),
            };
            logit.is_finite() && other.is_finite() && is_in(logit, &LOGITS) && is_other_near
        }),
        Kind::Mean(_) => case.rows().iter().flatten().all(is_near),
    }
}
