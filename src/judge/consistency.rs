//! Special values must be answered alike everywhere: a row that is not finite is run again in other forms of the same class, and
//! all must answer NaN in the same places, or none.
//!
//! Where the policy accepts two answers for a kind of row, a kernel has to choose one: a library that gives NaN for 127 masked
//! logits and zeros for 128 has two code paths that disagree. The forms go through what paths are chosen by: a short row (one
//! vector at most), a row that begins past the blocks of most kernels, and the same row from its other end, where each logit is in
//! another lane and another block.

use crate::case::{Case, Draft, DraftValue};
use crate::op::signature::Role;
use crate::special::RowClass;
use std::collections::BTreeSet;

/// The longest short form; a row up to this length is its own.
const SHORT: usize = 8;

/// Logits put before a short row: a block of 128, and two lanes more.
const GROWN_BY: usize = 130;

/// A row of the same class as another.
pub(super) struct Form {
    pub case: Case,
    /// The indices of the other row's logits that the last of this one are: where the answers are compared.
    kept: Vec<usize>,
}

/// The other forms of a case whose row is not finite; none where there is nothing to compare.
pub(super) fn forms(case: &Case, class: RowClass) -> Vec<Form> {
    let logits = case.logits();
    let n = logits.len();
    // One logit has all the mass whatever it is, and may be answered so. Of prefixes one answer is accepted.
    if n < 2
        || case.op().is_of_prefixes()
        // Rows have classes of their own.
        || case.op().mean_of().is_some()
        || !matches!(class, RowClass::OneInfinite | RowClass::SeveralInfinite | RowClass::FullyMasked)
    {
        return Vec::new();
    }
    let reversed: Vec<usize> = (0..n).rev().collect();
    let other_length = if case.target_logits().is_some() {
        // Whether the other row stays of its class depends on what is left out or added.
        None
    } else if n > SHORT {
        // Of the values that are left out, each may be what makes the answer NaN, or what makes it differ from that of equal values.
        case.values().is_none().then(|| Form::of(case, class, short(case), None)).flatten()
    } else {
        filler(case).and_then(|filler| Form::of(case, class, (0..n).collect(), Some(filler)))
    };
    Form::of(case, class, reversed, None).into_iter().chain(other_length).collect()
}

/// The first two logits of each kind (+inf, -inf, finite; with mass and without where there is a distribution) and the target, in their
/// order. So a short form has mass on the same kinds.
fn short(case: &Case) -> Vec<usize> {
    let kinds: [fn(f64) -> bool; 3] = [|z| z == f64::INFINITY, |z| z == f64::NEG_INFINITY, f64::is_finite];
    let masses = case.distribution().unwrap_or(&[]);
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    for (kind, has_mass) in kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
        let is_kept =
            |&(index, z): &(usize, &f64)| kind(*z) && (masses.get(index).is_some_and(|&mass| mass > 0.0) == has_mass);
        kept.extend(case.logits().iter().enumerate().filter(is_kept).map(|(index, _)| index).take(2));
    }
    kept.extend(case.target().map(|(class, _)| class));
    kept.into_iter().collect()
}

/// A logit of which there may be more without another class of row: one that is not +inf; where there is a distribution, one that has no
/// mass, as those that are added.
fn filler(case: &Case) -> Option<f64> {
    let smoothing = case.target().map_or(0.0, |(_, smoothing)| smoothing);
    // Shared among so many classes, the smoothing must not underflow to 0, which would be another loss.
    if smoothing > 0.0 && smoothing < case.output_format().least_normal() * (SHORT + GROWN_BY) as f64 {
        return None;
    }
    if let Some(masses) = case.distribution() {
        let empty = case.logits().iter().zip(masses).filter(|&(&z, &mass)| z != f64::INFINITY && mass == 0.0);
        return empty.map(|(&z, _)| z).next_back();
    }
    // Of what the logits are times the scale, where there is one.
    let signed = case.signed_logits();
    let kept = case.logits().iter().zip(signed.iter()).filter(|&(_, &signed)| signed != f64::INFINITY);
    kept.map(|(&z, _)| z).next_back()
}

impl Form {
    /// The row of these logits of a case, after [`GROWN_BY`] of a filler; none if it is of another class.
    fn of(case: &Case, class: RowClass, kept: Vec<usize>, filler: Option<f64>) -> Option<Self> {
        let mut draft = Draft::of(case).select(&kept)?;
        if let Some(filler) = filler {
            // With zeros of the cotangent, whose sum must not overflow where it did not.
            draft.insert(0, GROWN_BY, filler);
            // Classes more have the value of one that is there: equal values stay equal.
            let copied = case.logits().iter().rposition(|z| z.to_bits() == filler.to_bits());
            if let (Some(DraftValue::Row(values)), Some(place)) = (draft.part_mut(Role::Values), copied) {
                let value = values[GROWN_BY + place];
                values[..GROWN_BY].fill(value);
            }
        }
        let case = draft.into_case().ok()?;
        (RowClass::of_case(&case) == class).then_some(Self { case, kept })
    }

    /// Whether the answers to this form and to the case are of one kind: NaN in the same places.
    pub fn agrees(&self, form_outputs: &[f64], outputs: &[f64]) -> bool {
        let same = |a: Option<&f64>, b: Option<&f64>| a.map(|x| x.is_nan()) == b.map(|x| x.is_nan());
        if self.case.op().is_scalar() {
            return same(outputs.first(), form_outputs.first());
        }
        let before = form_outputs.len().saturating_sub(self.kept.len());
        let same_place = |(&index, x): (&usize, &f64)| same(outputs.get(index), Some(x));
        self.kept.iter().zip(&form_outputs[before..]).all(same_place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms_of(text: &str) -> Vec<String> {
        let case = Case::parse(text).unwrap();
        let class = RowClass::of_case(&case);
        forms(&case, class).iter().map(|form| format!("{:#}", form.case)).collect()
    }

    /// What a row grows by has the value of a class that is there, and none of the values is left out.
    #[test]
    fn forms_keep_the_values() {
        assert_eq!(
            forms_of("attention f32 [-inf, -inf] values=[2, 2]"),
            ["attention f32 [-inf, -inf] values=[2, 2]", "attention f32 [-inf*132] values=[2*132]"]
        );
        assert_eq!(
            forms_of("attention f32 [inf, 1, 3] values=[5, 0, nan]")[1],
            "attention f32 [3*130, inf, 1, 3] values=[nan*130, 5, 0, nan]"
        );
        assert_eq!(forms_of("attention f32 [inf, 1*9] values=[5*10]").len(), 1);
    }

    /// A form has mass on the kinds of logits that the row has it on, and on no others: where a kernel answers NaN may depend on that.
    #[test]
    fn forms_keep_the_kinds_of_logits_that_have_mass() {
        let soft = "soft_cross_entropy f32";
        // A number without mass is in the row, so there may be more of it.
        assert_eq!(
            forms_of(&format!("{soft} [inf, 1, 2] distribution=[0.25, 0.75, 0]")),
            [
                format!("{soft} [2, 1, inf] distribution=[0, 0.75, 0.25]"),
                format!("{soft} [2*130, inf, 1, 2] distribution=[0*130, 0.25, 0.75, 0]"),
            ]
        );
        // None is: no longer form.
        assert_eq!(
            forms_of(&format!("{soft} [inf, 1] distribution=[0.25, 0.75]")),
            [format!("{soft} [1, inf] distribution=[0.75, 0.25]")]
        );
        // A shorter form has two of each kind, and the mass of those that are left out.
        assert_eq!(
            forms_of(&format!(
                "{soft} [inf, 1, 2, 3, 4, 5, 6, 7, -inf] distribution=[0, 0.25, 0.25, 0.25, 0, 0, 0, 0.25, 0]"
            ))[1],
            format!("{soft} [inf, 1, 2, 4, 5, -inf] distribution=[0, 0.75, 0.25, 0*3]")
        );
    }
}
