//! What is due where a logit is NaN or +inf, where all are -inf, and where there is none: the policy table.
//!
//! `limit` asks for the limit wherever one exists and for NaN where none does. `framework` accepts besides what the major
//! frameworks return: NaN in place of a limit at +inf; NaN, or the values of a row without weight, where all is masked. Rows
//! that are finite but for some -inf are ordinary rows with weights of 0; they are not decided here.

use super::output::{Known, exact, exact_sum, target_probability};
use super::real::Real;
use super::{Accepted, Anatomy, Due, Truth};
use crate::case::Case;
use crate::magnitude::Magnitude;
use crate::op::Op;
use crate::special::Special;
use rug::Rational;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;

/// What kind of row it is, for the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowClass {
    /// No logit.
    Empty,
    /// A NaN somewhere.
    Nan,
    /// More than one +inf, no NaN.
    SeveralInfinite,
    /// One +inf, no NaN.
    OneInfinite,
    /// All -inf.
    FullyMasked,
    /// Some -inf, the rest finite.
    PartlyMasked,
    /// All finite.
    Finite,
}

impl RowClass {
    /// The first class that fits.
    pub fn of(logits: &[f64]) -> Self {
        let count = |test: fn(&f64) -> bool| logits.iter().filter(|z| test(z)).count();
        let masked = count(|&z| z == f64::NEG_INFINITY);
        if logits.is_empty() {
            RowClass::Empty
        } else if logits.iter().any(|z| z.is_nan()) {
            RowClass::Nan
        } else {
            match count(|&z| z == f64::INFINITY) {
                0 if masked == logits.len() => RowClass::FullyMasked,
                0 if masked > 0 => RowClass::PartlyMasked,
                0 => RowClass::Finite,
                1 => RowClass::OneInfinite,
                _ => RowClass::SeveralInfinite,
            }
        }
    }

    /// The class in words, for explanations.
    pub const fn name(self) -> &'static str {
        match self {
            RowClass::Empty => "no logits",
            RowClass::Nan => "a NaN logit",
            RowClass::SeveralInfinite => "several +inf logits",
            RowClass::OneInfinite => "one +inf logit",
            RowClass::FullyMasked => "all logits -inf",
            RowClass::PartlyMasked => "some logits -inf, the rest finite",
            RowClass::Finite => "finite logits",
        }
    }
}

/// The truth of a case whose row is not ordinary.
pub(super) fn truth(case: &Case, class: RowClass, special: Special) -> Truth {
    let outputs = case.op().outputs(case.logits().len());
    let anatomy = Arc::new(Anatomy::of_limit(case.logits(), class));
    let one_of = |alternatives| Truth {
        alternatives,
        unit_sum: false,
        class,
        anatomy,
        deviations: vec![Magnitude::ZERO; outputs],
    };
    let each = |due: &dyn Fn(usize) -> Due| vec![(0..outputs).map(due).collect()];
    let limit = |j: usize| limit(case, class, j).map(|known| known.due(case));
    match class {
        RowClass::FullyMasked if case.op() != Op::LogSumExp && special == Special::Framework => {
            one_of(without_weight(case, outputs, limit))
        }
        RowClass::OneInfinite | RowClass::SeveralInfinite => {
            let due = |j: usize| match (limit(j), special) {
                // The log-sum-exp of a +inf is right everywhere, so nothing else is accepted.
                (Some(due), _) if case.op() == Op::LogSumExp => due,
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
                class == RowClass::SeveralInfinite && case.op() == Op::Softmax && special == Special::Framework;
            Truth { unit_sum, ..one_of(each(&due)) }
        }
        _ => one_of(each(&|j| limit(j).unwrap_or_else(Due::nan))),
    }
}

/// The limit of output `j` as the infinite logits are approached, where there is one: the same from every side.
///
/// The logits of +inf share all the weight, in shares that depend on the side; where all logits are -inf, all share it. An
/// output has a limit where it does not depend on the shares: always for a single class, and for several where the cotangent
/// happens to be equal on them or to sum to 0.
pub(super) fn limit(case: &Case, class: RowClass, j: usize) -> Option<Known> {
    let logits = case.logits();
    let shared = match class {
        RowClass::Finite | RowClass::PartlyMasked | RowClass::Nan => return None,
        RowClass::Empty => return Some(Known::Infinite(-1.0)),
        RowClass::FullyMasked => f64::NEG_INFINITY,
        RowClass::OneInfinite | RowClass::SeveralInfinite => f64::INFINITY,
    };
    let has_weight = |i: usize| logits.get(i) == Some(&shared);
    let single = logits.iter().filter(|&&z| z == shared).count() == 1;
    let rational = |value: Rational| Some(Known::Rational(value));
    let direction = case.direction().unwrap_or(&[]);
    // The value of the direction on the classes with weight, if it is one.
    let common = || {
        let mut values = direction.iter().zip(logits).filter(|(_, z)| **z == shared).map(|(&g, _)| g);
        let first = values.next()?;
        values.all(|g| g == first).then(|| exact(first))
    };
    match case.op() {
        Op::LogSumExp => Some(Known::Infinite(shared)),
        Op::CrossEntropy => {
            let (target, smoothing) = case.target().unwrap_or((0, 0.0));
            let all_have_weight = (0..logits.len()).all(has_weight);
            if !(has_weight(target) && (smoothing == 0.0 || all_have_weight)) {
                Some(Known::Infinite(1.0)) // a class that is asked for has no weight
            } else if single {
                rational(Rational::new())
            } else {
                None
            }
        }
        Op::LogSoftmaxJvp => rational(exact(direction[j]) - common()?),
        Op::SoftmaxVjp | Op::SoftmaxJvp => {
            if has_weight(j) {
                common().and_then(|_| rational(Rational::new()))
            } else {
                rational(Rational::new())
            }
        }
        Op::LogSoftmaxVjp => {
            let total = if has_weight(j) { exact_sum(direction.iter().copied()) } else { Rational::new() };
            if single || total.cmp0() == Ordering::Equal { rational(exact(direction[j]) - total) } else { None }
        }
        _ if has_weight(j) && !single => None,
        Op::Softmax => rational(Rational::from(u32::from(has_weight(j)))),
        Op::LogSoftmax if has_weight(j) => rational(Rational::new()),
        Op::LogSoftmax => Some(Known::Infinite(-1.0)),
        Op::CrossEntropyGrad => rational(Rational::from(u32::from(has_weight(j))) - target_probability(case, j)),
    }
}

/// The same for the products on a class of +inf: there the policy accepts anything, limit or not.
fn undetermined_beside(case: &Case, j: usize) -> Option<Accepted> {
    (case.op().takes_direction() && case.logits()[j] == f64::INFINITY).then(|| undetermined(case, j))
}

/// What a number must satisfy where several logits are +inf and output `j` has no limit.
fn undetermined(case: &Case, j: usize) -> Accepted {
    match case.op() {
        Op::Softmax => Accepted::Between(0.0, 1.0),
        Op::LogSoftmax => Accepted::Between(f64::NEG_INFINITY, 0.0),
        Op::CrossEntropy => Accepted::Between(0.0, f64::INFINITY),
        Op::LogSoftmaxJvp if case.logits()[j] != f64::INFINITY => {
            // v_j - c, where c is some mean of the tangent over the infinite logits.
            let tangent = case.direction().unwrap_or(&[]);
            let over_top = || tangent.iter().zip(case.logits()).filter(|(_, z)| **z == f64::INFINITY).map(|(&v, _)| v);
            let (least, largest) =
                (over_top().fold(f64::INFINITY, f64::min), over_top().fold(f64::NEG_INFINITY, f64::max));
            // Rounding is monotone, so a rounded difference lies between the rounded ends.
            let rounded =
                |other: f64| Real::from_rational(&(exact(tangent[j]) - exact(other)), case.dtype().format()).rounded;
            Accepted::Between(rounded(largest), rounded(least))
        }
        _ => Accepted::Between(f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// All -inf, `framework`: NaN, or the values of a row without weight, or (gradients and products) zeros, and the limit where
/// there is one. A uniform distribution is none of these.
fn without_weight(case: &Case, outputs: usize, limit: impl Fn(usize) -> Option<Due>) -> Vec<Vec<Due>> {
    let real = |value: Rational| Known::Rational(value).due(case);
    let mut alternatives = vec![vec![Due::nan(); outputs]];
    alternatives.extend((0..outputs).map(limit).collect::<Option<Vec<Due>>>());
    let direction = |j: usize| case.direction().map_or(0.0, |direction| direction[j]);
    let value = |j: usize| match case.op() {
        Op::LogSoftmax => Due::infinity(f64::NEG_INFINITY),
        Op::CrossEntropy => Due::infinity(f64::INFINITY),
        Op::CrossEntropyGrad => real(-target_probability(case, j)),
        Op::LogSoftmaxVjp | Op::LogSoftmaxJvp => real(exact(direction(j))),
        _ => real(Rational::new()),
    };
    alternatives.push((0..outputs).map(value).collect());
    if matches!(case.op(), Op::CrossEntropyGrad | Op::LogSoftmaxVjp | Op::LogSoftmaxJvp) {
        alternatives.push(vec![real(Rational::new()); outputs]);
    }
    alternatives
}
