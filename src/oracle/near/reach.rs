//! Which cases in f64 the screen takes: those whose numbers, and what bounds are made of, lie far within the range of an `f64`.
//!
//! With distances of at most 500 a weight is `7e-218` at least, and so is a probability, but for its part of the sum; a direction of `1e-25` or
//! more, a deviation that is `2^-53` of it, and a roundoff `2^-53` make products of `1e-275`, where neither a number nor its error is
//! lost to underflow. Logits of `1e-200` or more have differences and roundings far above that. So error bounds in `f64` are those of
//! `crate::magnitude` but for their roundings, which both count.

use crate::case::Case;
use crate::op::Kind;
use crate::op::inputs::Element;
use crate::op::signature::Role;
use std::ops::RangeInclusive;

/// The distance of a logit from the largest, or of what an element takes the exponential of from 0.
const FARTHEST: f64 = 500.0;

/// Sizes of logits that are not 0, and of all else.
const LOGITS: RangeInclusive<f64> = 1e-200..=1e100;
const OTHERS: RangeInclusive<f64> = 1e-25..=1e25;

fn is_in(x: f64, range: &RangeInclusive<f64>) -> bool {
    x == 0.0 || range.contains(&x.abs())
}

/// Whether a row is; masked logits are.
fn is_row_near(logits: &[f64]) -> bool {
    let finite = || logits.iter().copied().filter(|z| z.is_finite());
    let max = finite().fold(f64::NEG_INFINITY, f64::max);
    finite().all(|z| max - z <= FARTHEST && is_in(z, &LOGITS))
}

/// Whether an ordinary case in f64 is.
pub(super) fn is_near(case: &Case) -> bool {
    match &case.op().facts().kind {
        // Products of logits and a scale are no `f64`.
        Kind::Row(_) if case.scale().is_some() => false,
        Kind::Row(_) => {
            let (_, smoothing) = case.target().unwrap_or((0, 0.0));
            let mut others =
                case.seen().iter().chain(case.distribution().unwrap_or(&[])).copied().collect::<Vec<f64>>();
            others.push(smoothing);
            let is_target_near = case.target_logits().is_none_or(is_row_near);
            is_row_near(case.logits()) && is_target_near && others.into_iter().all(|x| is_in(x, &OTHERS))
        }
        Kind::Elements(facts) => case.elements().all(|element: Element| {
            let (x, y) = (facts.difference)(element);
            let is_logit = case.op().other_row().is_some_and(|input| input.role == Role::Logits);
            let other = if is_logit { &LOGITS } else { &OTHERS };
            let is_finite = element.logit.is_finite() && element.other.is_finite();
            is_finite && (y - x).abs() <= FARTHEST && is_in(element.logit, &LOGITS) && is_in(element.other, other)
        }),
        Kind::Mean(_) => case.rows().iter().flatten().all(is_near),
    }
}
