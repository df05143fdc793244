//! What is due where a logit is NaN or +inf, where all are -inf, and where there is none: the policy table.
//!
//! `limit` asks for the limit wherever one exists and for NaN where none does. `framework` accepts besides what the major
//! frameworks return: NaN in place of a limit at +inf; NaN, or the values of a row without weight, where all is masked. Rows
//! that are finite but for some -inf are ordinary rows with weights of 0; they are not decided here, but for what a label smoothing
//! does there that is lost when it is divided by the number of classes, and for values that are not finite: behind a mask they are not
//! seen, and frameworks return NaN, `0 * inf`; of a class with weight they are the output.
//!
//! Of an op of prefixes each output has the special value of its prefix, of whatever class the row is: up to the first logit that is NaN
//! or +inf the prefixes are ordinary, or masked and -inf; from the first +inf on they are +inf, and from the first NaN on NaN.

use super::rounded::Rounded;
use super::row::PreparedRow;
use super::tier::exactly::{Exactly, OfLimit};
use super::{Accepted, Due, Dues, Truth, anatomy_of_limit};
use crate::case::{Case, Draft, DraftValue, Value};
use crate::magnitude::Magnitude;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::signature::Role;
use crate::op::{Kind, Visitor};
use crate::special::{RowClass, Special};
use std::sync::Arc;

/// The truth of a case whose row is not ordinary.
pub(super) fn truth(case: &Case, class: RowClass, special: Special) -> Truth {
    let case = &at_scale_1(case);
    let outputs = case.op().outputs(case.logits().len());
    let anatomy = Arc::new(anatomy_of_limit(case.logits(), class));
    let one_of = |alternatives| Truth {
        alternatives,
        unit_sum: false,
        class,
        anatomy,
        target_anatomy: None,
        deviations: vec![Magnitude::ZERO; outputs],
        rows: Vec::new(),
    };
    if case.op().is_of_prefixes() {
        return one_of(vec![of_prefixes(case)]);
    }
    let each = |due: &dyn Fn(usize) -> Due| vec![(0..outputs).map(due).collect()];
    let limits = LimitOutputs::new(case, class);
    let limit = |j: usize| Due::of(&limits.exactly(j), case);
    let limit_only = case.op().row().is_some_and(|facts| facts.limit_only);
    match class {
        RowClass::ValuesNotFinite => one_of(vec![vec![of_values(case, special)]]),
        _ if case.target_logits().is_some() => one_of(of_two_rows(case, class, special)),
        RowClass::FullyMasked if !limit_only && special == Special::Framework => {
            one_of(without_weight(case, outputs, limit))
        }
        RowClass::OneInfinite | RowClass::SeveralInfinite => {
            let due = |j: usize| match (limit(j), special) {
                // Where every framework is right, nothing else is accepted.
                (Some(due), _) if limit_only => due,
                (Some(due), Special::Limit) => due,
                (Some(due), Special::Framework) => match (class, undetermined_beside(case, j)) {
                    // Where the limit is a coincidence of the cotangent, a kernel need not know it.
                    (RowClass::SeveralInfinite, Some(accepted)) => due.or(Accepted::Nan).or(accepted),
                    _ => due.or(Accepted::Nan),
                },
                (None, Special::Limit) => Due::nan(),
                (None, Special::Framework) => Due::nan().or(undetermined(case, j)),
            };
            let unit_sum =
                class == RowClass::SeveralInfinite && case.op().is_distribution() && special == Special::Framework;
            Truth { unit_sum, ..one_of(each(&due)) }
        }
        _ => one_of(each(&|j| limit(j).unwrap_or_else(Due::nan))),
    }
}

/// What is due of each prefix of a row that is not ordinary.
fn of_prefixes(case: &Case) -> Vec<Due> {
    let (row, ordinary) = ordinary_prefixes(case).map_or((None, 0), |(row, count)| (Some(row), count));
    let mut dues = row.map(|row| Dues::new(case, row));
    // What the logits so far sum to, where that is no number.
    let mut sum = f64::NEG_INFINITY;
    let due = |(j, &z): (usize, &f64)| match &mut dues {
        Some(dues) if j < ordinary => dues.get(j).clone(),
        _ => {
            sum = if z.is_nan() || sum.is_nan() { f64::NAN } else { sum.max(if z.is_finite() { sum } else { z }) };
            if sum.is_nan() { Due::nan() } else { Due::infinity(sum) }
        }
    };
    case.logits().iter().enumerate().map(due).collect()
}

/// Of an op of prefixes the row of the logits before the first that is NaN or +inf, as long as the whole, and their number; none where
/// none of them is finite, and none of another op.
pub(super) fn ordinary_prefixes(case: &Case) -> Option<(Arc<PreparedRow>, usize)> {
    let logits = case.logits();
    let is_over = |z: &f64| z.is_nan() || *z == f64::INFINITY;
    let count = logits.iter().position(is_over).unwrap_or(logits.len());
    let is_asked_for = case.op().is_of_prefixes() && logits[..count].iter().any(|z| z.is_finite());
    let masked = || logits.iter().enumerate().map(|(i, &z)| if i < count { z } else { f64::NEG_INFINITY }).collect();
    is_asked_for.then(|| (Arc::new(PreparedRow::new(case.dtype().output(), masked())), count))
}

/// The case without its scale, if it has one: the special values of the products are those of the logits, but for the sign of the scale.
fn at_scale_1(case: &Case) -> Case {
    match case.scale() {
        None => case.clone(),
        Some(_) => case.derived(case.signed_logits(), |_| Value::Number(1.0)),
    }
}

/// The limits of the outputs as the infinite logits are approached, where there are any: the same from every side.
///
/// The logits of +inf share all the weight, in shares that depend on the side; where all logits are -inf, all share it. An
/// output has a limit where it does not depend on the shares: always for a single class, and for several where the cotangent
/// happens to be equal on them or to sum to 0.
pub(super) struct LimitOutputs(Option<OfLimit>);

impl LimitOutputs {
    pub fn new(case: &Case, class: RowClass) -> Self {
        let case = &at_scale_1(case);
        Self(match class {
            RowClass::Finite
            | RowClass::PartlyMasked
            | RowClass::ValuesNotFinite
            | RowClass::Nan
            | RowClass::AllIgnored
            | RowClass::Elements => None,
            _ if case.op().mean_of().is_some() => None,
            _ if case.op().is_of_prefixes() => None,
            RowClass::Empty | RowClass::FullyMasked => Some(OfLimit::new(case, f64::NEG_INFINITY)),
            RowClass::OneInfinite | RowClass::SeveralInfinite => Some(OfLimit::new(case, f64::INFINITY)),
        })
    }

    /// The limit of output `j`; unknown where it has none.
    pub fn exactly(&self, j: usize) -> Exactly {
        self.0.as_ref().map_or(Exactly::Unknown, |tier| output(tier, j))
    }
}

/// The formula of the op at a limit.
fn output(tier: &OfLimit, j: usize) -> Exactly {
    struct Evaluate<'a>(&'a OfLimit, usize);
    impl Visitor for Evaluate<'_> {
        type Output = Exactly;

        fn row<D: RowDefinition>(self) -> Exactly {
            D::output(self.0, self.1)
        }

        /// Every element is ordinary for itself.
        fn elements<D: ElementDefinition>(self) -> Exactly {
            Exactly::Unknown
        }

        /// Every row has limits of its own.
        fn mean<D: MeanDefinition>(self) -> Exactly {
            Exactly::Unknown
        }
    }
    tier.case.op().visit(Evaluate(tier, j))
}

/// The same for the products on a class of +inf: there the policy accepts anything, limit or not.
fn undetermined_beside(case: &Case, j: usize) -> Option<Accepted> {
    (case.direction().is_some() && case.logits()[j] == f64::INFINITY).then(|| undetermined(case, j))
}

/// What a number must satisfy where several logits are +inf and output `j` has no limit.
fn undetermined(case: &Case, j: usize) -> Accepted {
    let all = (f64::NEG_INFINITY, f64::INFINITY);
    let (least, largest) = case.op().row().map_or(all, |facts| (facts.undetermined)(&case.inputs(), j));
    Accepted::Between(least, largest)
}

/// All -inf, `framework`: NaN, or the limit where there is one, or the values of a row without weight, or (gradients and products)
/// zeros. A uniform distribution is none of these.
fn without_weight(case: &Case, outputs: usize, limit: impl Fn(usize) -> Option<Due>) -> Vec<Vec<Due>> {
    let mut alternatives = vec![vec![Due::nan(); outputs]];
    alternatives.extend((0..outputs).map(limit).collect::<Option<Vec<Due>>>());
    let tier = OfLimit::without_weight(case);
    let value = |j: usize| Due::of(&output(&tier, j), case).unwrap_or_else(Due::nan);
    alternatives.push((0..outputs).map(value).collect());
    if case.op().row().is_some_and(|facts| facts.is_derivative) {
        let zeros = Due::Value(Rounded::of_number(0.0, case.output_format()));
        alternatives.push(vec![zeros; outputs]);
    }
    alternatives
}

/// What is due of a row and a target's, one of which at least is not ordinary: NaN where a logit is; no term where there is no logit. Where
/// a logit is +inf or all are -inf, in either, limits depend on how fast both approach: NaN is due, and `framework` accepts any number
/// of the op's range, or an infinity where that has none.
fn of_two_rows(case: &Case, class: RowClass, special: Special) -> Vec<Vec<Due>> {
    let outputs = case.op().outputs(case.logits().len());
    let due = match (class, special) {
        (RowClass::Empty, _) => Due::Value(Rounded::of_number(0.0, case.output_format())),
        (RowClass::Nan, _) | (_, Special::Limit) => Due::nan(),
        (_, Special::Framework) => Due::nan().or(undetermined(case, 0)),
    };
    vec![vec![due; outputs]]
}

/// Whether a masked class has a value that is not finite, which times a weight of 0 is NaN.
pub(super) fn masks_what_is_not_finite(case: &Case) -> bool {
    let mut weighed = case.weighed().iter().zip(case.logits());
    weighed.any(|(value, &z)| z == f64::NEG_INFINITY && !value.is_finite())
}

/// The distance from the maximum, with the logarithm of the number of logits, up to which no kernel loses a weight: the probability is above
/// the least normal number of f16, 2^-14.
const NEAR: f64 = 9.7;

/// Whether a weight at this distance from the maximum of so many logits may underflow.
fn may_be_lost(distance: f64, count: usize) -> bool {
    distance > NEAR - (count as f64).ln()
}

/// The classes that the row masks and the target's logits do not: for them the divergence is infinite.
fn masked_for_target(case: &Case) -> impl Iterator<Item = (usize, f64)> {
    let target = case.target_logits().unwrap_or(&[]);
    let top = target.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let masked = |&(_, (&t, &z)): &(usize, (&f64, &f64))| z == f64::NEG_INFINITY && t > f64::NEG_INFINITY;
    target.iter().zip(case.logits()).enumerate().filter(masked).map(move |(i, (&t, _))| (i, top - t))
}

/// Whether the divergence is infinite for no class but such as may have a probability of 0 in the target.
pub(super) fn masks_what_may_be_lost(case: &Case) -> bool {
    let mut classes = masked_for_target(case).peekable();
    let count = case.logits().len();
    case.op().is_scalar() && classes.peek().is_some() && classes.all(|(_, distance)| may_be_lost(distance, count))
}

/// What `framework` accepts besides the infinity then: what is due without these classes, which `due` says of a case, and NaN, `0 * inf`.
pub(super) fn of_lost_classes(case: &Case, due: impl FnOnce(&Case) -> Vec<Due>) -> Vec<Vec<Due>> {
    let lost: Vec<usize> = masked_for_target(case).map(|(i, _)| i).collect();
    let without = case.derived(case.shared_logits().clone(), |value| match value {
        Value::Row(target) => {
            let mut target = target.to_vec();
            lost.iter().for_each(|&i| target[i] = f64::NEG_INFINITY);
            target.into()
        }
        other => other.clone(),
    });
    vec![due(&without), vec![Due::nan(); case.op().outputs(case.logits().len())]]
}

/// What is due where a class with weight has a value that is not finite: NaN, or the infinity if it has one sign.
///
/// A weight may underflow. Then a kernel finds NaN, `0 * inf`, or leaves the class out as it does a masked one; and which weights are lost
/// depends on how they are rescaled. So `framework` accepts NaN besides, and what is due of any of these classes beside those whose weight
/// no kernel loses; of none at all, a mean of the finite values. As for masked classes, NaN is accepted where one of them has such a
/// value.
fn of_values(case: &Case, special: Special) -> Due {
    let max = case.logits().iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let is_certain = |z: f64| !may_be_lost(max - z, case.logits().len());
    let with_weight = || case.weighed().iter().zip(case.logits()).filter(|(_, z)| **z > f64::NEG_INFINITY);
    let not_finite = || with_weight().filter(|(v, _)| !v.is_finite());
    let accepted = |x: f64| if x.is_nan() { Accepted::Nan } else { Accepted::Infinity(x) };
    // The sum is NaN where a value is, or where both infinities are.
    let sum = |is_in: &dyn Fn(f64) -> bool| -> Option<f64> {
        not_finite().filter(|(_, z)| is_in(**z)).map(|(&v, _)| v).reduce(|sum, v| sum + v)
    };
    let due = sum(&|_| true).map_or(Accepted::Nan, accepted);
    let mut all = vec![due];
    let is_doubtful = not_finite().any(|(_, &z)| !is_certain(z)) || masks_what_is_not_finite(case);
    if special == Special::Framework && is_doubtful {
        let others = match sum(&is_certain) {
            Some(certain) => vec![accepted(certain)],
            None => {
                let finite = || with_weight().map(|(&v, _)| v).filter(|v| v.is_finite());
                // The probabilities sum to 1 but for roundings of the coarsest dtype.
                const ROUNDING: f64 = 1.0 / 256.0;
                let (least, largest) =
                    (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
                let between = Accepted::Between(least - least.abs() * ROUNDING, largest + largest.abs() * ROUNDING);
                not_finite().map(|(&v, _)| accepted(v)).chain([between]).collect()
            }
        };
        for other in std::iter::once(Accepted::Nan).chain(others) {
            if !all.contains(&other) {
                all.push(other);
            }
        }
    }
    Due::OneOf(all)
}

/// Of each element whether `framework` accepts NaN of it besides its value; nothing of a row op.
pub(super) fn may_be_nan(case: &Case) -> impl Iterator<Item = bool> {
    let facts = if let Kind::Elements(facts) = &case.op().facts().kind { Some(facts) } else { None };
    facts.into_iter().flat_map(|facts| case.elements().map(facts.may_be_nan))
}

/// Whether there is a label smoothing, and what it gives each class is below the least normal number of the accumulator: flushed, or
/// rounded to 0, it is none.
pub(super) fn smoothing_vanishes(case: &Case) -> bool {
    let smoothing = case.target().map_or(0.0, |(_, smoothing)| smoothing);
    let least = case.dtype().accumulator().format().least_normal();
    smoothing > 0.0 && smoothing / (case.logits().len() as f64) < least
}

/// The case without its label smoothing, where that vanishes.
pub(crate) fn without_smoothing(case: &Case) -> Option<Case> {
    if !smoothing_vanishes(case) {
        return None;
    }
    let mut draft = Draft::of(case);
    *draft.part_mut(Role::Smoothing)? = DraftValue::Number(0.0);
    draft.into_case().ok()
}

/// What `framework` accepts besides the truth where a label smoothing vanishes: what is due without it, which `due` says of a case; and for
/// a loss NaN, the product of a smoothing of 0 and the infinite log-probability of a masked class. `limit` accepts neither.
pub(super) fn of_vanished_smoothing(
    case: &Case,
    class: RowClass,
    due: impl FnOnce(&Case) -> Vec<Due>,
) -> Vec<Vec<Due>> {
    let Some(unsmoothed) = without_smoothing(case) else { return Vec::new() };
    let mut alternatives = vec![due(&unsmoothed)];
    let is_derivative = case.op().row().is_some_and(|facts| facts.is_derivative);
    if class == RowClass::PartlyMasked && !is_derivative {
        alternatives.push(vec![Due::nan(); case.op().outputs(case.logits().len())]);
    }
    alternatives
}
