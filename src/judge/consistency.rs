//! Special values must be the same whatever the length: a row that is not finite is run again in a short form of the same
//! class, and both must answer NaN, or both not.
//!
//! Where the policy accepts two answers for a kind of row, a kernel has to choose one: a library that gives NaN for 127 masked
//! logits and zeros for 128 has two code paths that disagree.

use crate::case::{Case, Extra};
use crate::oracle::RowClass;
use std::collections::BTreeSet;

/// The longest short form; rows up to this length are not compared.
const SHORT: usize = 8;

/// The short form of a case whose row is not finite, and the indices of the logits that it kept; none where there is nothing
/// to compare. It keeps the first two logits of each kind (+inf, -inf, finite) and the target, in their order.
pub(super) fn short_form(case: &Case, class: RowClass) -> Option<(Case, Vec<usize>)> {
    let logits = case.logits();
    let comparable = matches!(class, RowClass::OneInfinite | RowClass::SeveralInfinite | RowClass::FullyMasked);
    if !comparable || logits.len() <= SHORT {
        return None;
    }
    let kinds: [fn(f64) -> bool; 3] = [|z| z == f64::INFINITY, |z| z == f64::NEG_INFINITY, f64::is_finite];
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    for kind in kinds {
        kept.extend(logits.iter().enumerate().filter(|(_, z)| kind(**z)).map(|(index, _)| index).take(2));
    }
    kept.extend(case.target().map(|(class, _)| class));
    let kept: Vec<usize> = kept.into_iter().collect();
    let short: Vec<f64> = kept.iter().map(|&index| logits[index]).collect();
    let extra = match case.extra() {
        Extra::None => Extra::None,
        Extra::Target { class, label_smoothing } => {
            Extra::Target { class: kept.iter().position(|index| index == class)?, label_smoothing: *label_smoothing }
        }
        Extra::Direction(direction) => Extra::Direction(kept.iter().map(|&index| direction[index]).collect()),
    };
    let short = Case::new(case.op(), case.dtype(), short, extra).ok()?;
    (RowClass::of(short.logits()) == class).then_some((short, kept))
}

/// Whether two answers are of one kind: NaN in the same places.
pub(super) fn agree(case: &Case, outputs: &[f64], kept: &[usize], short_outputs: &[f64]) -> bool {
    let same = |a: Option<&f64>, b: Option<&f64>| a.map(|x| x.is_nan()) == b.map(|x| x.is_nan());
    if case.op().is_scalar() {
        return same(outputs.first(), short_outputs.first());
    }
    kept.iter().enumerate().all(|(place, &index)| same(outputs.get(index), short_outputs.get(place)))
}
