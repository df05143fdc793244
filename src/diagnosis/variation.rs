//! Variations of a failing case: a kernel is run on them, and what cures the failure names the step that causes it.

use super::range::{Thresholds, gap, maximum};
use super::size::relative_error;
use crate::case::{Case, Draft, DraftValue};
use crate::dtype::{Dtype, ldexp};
use crate::judge::Judgement;
use crate::op::signature::Role;
use crate::oracle::Truth;
use std::ops::Range;

/// The case with its maximum moved to 0; its maximum is that of the products, where there is a scale.
pub(super) fn recentred(case: &Case, max: f64) -> Option<Case> {
    let by = max / case.scale().unwrap_or(1.0);
    if !by.is_finite() {
        return None;
    }
    let logits: Vec<f64> = case.logits().iter().map(|&z| case.dtype().round(z - by)).collect();
    Draft { logits, ..Draft::of(case) }.into_case().ok()
}

/// The case with every logit twice as far below the maximum; none where nothing is below it, or the dtype ends before.
pub(super) fn widened(case: &Case) -> Option<Case> {
    let max = maximum(case) / case.scale().unwrap_or(1.0);
    let twice = |&z: &f64| if z.is_finite() { case.dtype().round(z - (max - z)) } else { z };
    let logits: Vec<f64> = case.logits().iter().map(twice).collect();
    let is_in_range = logits.iter().zip(case.logits()).all(|(wide, z)| wide.is_finite() || z == wide);
    if !is_in_range || logits == case.logits() {
        return None;
    }
    Draft { logits, ..Draft::of(case) }.into_case().ok()
}

/// The case with no number near the least normal one of the accumulator: gaps shrunk, so that no exponential is, and small values
/// raised; none if it is so already.
pub(super) fn raised(case: &Case, accumulator: Dtype) -> Option<Case> {
    let dtype = case.dtype();
    // The product of two such numbers is still a normal one.
    let least = ldexp(1.0, accumulator.format().emin / 2);
    let raise = |&x: &f64| if x != 0.0 && x.abs() < least { dtype.round(least.copysign(x)) } else { x };
    let shrunk = (-Thresholds::of(accumulator).subnormal / 2.0 / gap(case)).min(1.0);
    let max = maximum(case) / case.scale().unwrap_or(1.0);
    let closer = |&z: &f64| if z.is_finite() && shrunk < 1.0 { dtype.round(max - (max - z) * shrunk) } else { z };
    let mut draft = Draft::of(case);
    draft.logits.iter_mut().for_each(|z| *z = closer(z));
    draft.values_mut().for_each(|x| *x = raise(x));
    let raised = draft.into_case().ok()?;
    (raised != *case).then_some(raised)
}

/// The case with only some of its logits; none if the target is not among them, or nothing is left.
pub(super) fn kept(case: &Case, keep: impl Fn(&f64) -> bool) -> Option<Case> {
    let indices: Vec<usize> = (0..case.logits().len()).filter(|&index| keep(&case.logits()[index])).collect();
    rearranged(case, &indices)
}

/// A few classes: the relations add one, and shrinking may stop so far above the shortest row.
const FEW: usize = 4;

/// The power of two from 128 on at which an index may have wrapped around in a row of `n` classes, shrunk: just so long, or by a
/// few classes longer.
pub(super) fn wrapping(n: usize) -> Option<usize> {
    const FEWEST: usize = 1 << 7;
    let power = if n.is_power_of_two() { n } else { n.next_power_of_two() / 2 };
    (power >= FEWEST && n - power <= FEW).then_some(power)
}

/// The case with a few classes less than at which an index may have wrapped around, if that is how it fails. A sum that stalls errs by
/// little more than its last term there; one that lacks all terms but a few errs grossly.
pub(super) fn before_wrapping(case: &Case, truth: &Truth, judgement: &Judgement) -> Option<Case> {
    let worst = judgement.worst.as_ref()?;
    if worst.got.is_finite() && relative_error(truth, worst.index, worst.got) < 0.5 {
        return None;
    }
    let n = case.logits().len();
    let short = wrapping(n)? - FEW;
    let part = |classes: Range<usize>| rearranged(case, &classes.collect::<Vec<usize>>());
    part(0..short).or_else(|| part(n - short..n))
}

/// The case with zeros in every row that is ignored; none of an op that takes one row, or where it is so already.
pub(super) fn emptied(case: &Case) -> Option<Case> {
    let (targets, n) = (case.targets()?, case.row_len());
    let mut draft = Draft::of(case);
    let ignored = (0..targets.len()).filter(|row| targets[*row].is_none());
    ignored.for_each(|row| draft.logits[row * n..(row + 1) * n].fill(0.0));
    let is_changed = draft.logits.iter().zip(case.logits()).any(|(new, old)| new.to_bits() != old.to_bits());
    if is_changed { draft.into_case().ok() } else { None }
}

/// The case with a number in place of each -inf: 1e4 below the maximum, where every weight is 0; none if the dtype has no such number.
pub(super) fn far_below(case: &Case, max: f64) -> Option<Case> {
    const FAR: f64 = 1e4;
    let low = case.dtype().round(max - FAR);
    let mut draft = Draft::of(case);
    draft.logits.iter_mut().filter(|z| **z == f64::NEG_INFINITY).for_each(|z| *z = low);
    if low.is_finite() && max - low > FAR / 2.0 { draft.into_case().ok() } else { None }
}

/// The first half of the case; none of a single logit, or if the target is not among them.
pub(super) fn first_half(case: &Case) -> Option<Case> {
    rearranged(case, &(0..case.logits().len() / 2).collect::<Vec<usize>>())
}

/// The case without label smoothing; none if it has none.
pub(super) fn unsmoothed(case: &Case) -> Option<Case> {
    let mut draft = Draft::of(case);
    let part = draft.part_mut(Role::Smoothing)?;
    if *part == DraftValue::Number(0.0) {
        return None;
    }
    *part = DraftValue::Number(0.0);
    draft.into_case().ok()
}

/// The case with a scale of 1, and for its logits what they are times its scale, rounded; none if it has no other scale, or a product is
/// beyond the range.
pub(super) fn multiplied(case: &Case) -> Option<Case> {
    let scale = case.scale().filter(|scale| *scale != 1.0)?;
    let product = |&z: &f64| if z.is_finite() { case.dtype().round(z * scale) } else { z };
    let mut draft = Draft::of(case);
    draft.logits = case.logits().iter().map(product).collect();
    *draft.part_mut(Role::Scale)? = DraftValue::Number(1.0);
    let is_in_range = draft.logits.iter().zip(case.logits()).all(|(product, z)| product.is_finite() || product == z);
    if is_in_range { draft.into_case().ok() } else { None }
}

/// The case with its cotangent or tangent scaled by a power of two, so that its largest number is 1 or a little less; none of an op without
/// one, of zeros, or where it is so already.
pub(super) fn of_unit_direction(case: &Case) -> Option<Case> {
    let size = case.direction()?.iter().fold(0.0, |size: f64, g| size.max(g.abs()));
    if size == 0.0 || (0.5 < size && size <= 1.0) {
        return None;
    }
    let factor = ldexp(1.0, -(size.log2().ceil() as i32));
    let mut draft = Draft::of(case);
    draft.other_row_mut()?.iter_mut().for_each(|g| *g = case.dtype().round(*g * factor));
    draft.into_case().ok()
}

/// The case in descending order; none if it is so already.
pub(super) fn descending(case: &Case) -> Option<Case> {
    let mut indices: Vec<usize> = (0..case.logits().len()).collect();
    indices.sort_by(|&i, &j| case.logits()[j].total_cmp(&case.logits()[i]));
    if indices.is_sorted() { None } else { rearranged(case, &indices) }
}

/// The case with the logits of these indices, in this order, and what belongs to them.
fn rearranged(case: &Case, indices: &[usize]) -> Option<Case> {
    if indices.is_empty() {
        return None;
    }
    Draft::of(case).select(indices)?.into_case().ok()
}
