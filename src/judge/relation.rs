//! Relations that need no oracle: what must hold between the outputs of a case, or between a case and a transformed one.
//!
//! The two sum relations hold for every kernel that divides by the sum it formed, whatever its exp. The others hold only for
//! kernels of a certain shape and are checked where a kernel claims that shape.

use super::bound::{least_number, sum_error};
use crate::case::{Case, Draft};
use crate::dtype::two_sum;
use crate::kernel::{Claims, Summation};
use crate::op::Op;
use crate::op::definition::Shift;
use crate::special::RowClass;
use std::fmt;

/// A relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// The probabilities sum to 1.
    SumsToOne,
    /// The gradient sums to 0.
    SumsToZero,
    /// Probabilities in [0, 1], log-probabilities at most 0, losses at least 0, log-sum-exp at least the maximum.
    Range,
    /// A larger logit has no smaller probability.
    Order,
    /// A common shift that is exact changes no bit (of log-sum-exp: changes it by the shift).
    Shift,
    /// One more logit of -inf changes no bit.
    ExtraMask,
    /// Permuting the logits permutes the outputs.
    Permutation,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Relation; 7] = [
        Relation::SumsToOne,
        Relation::SumsToZero,
        Relation::Range,
        Relation::Order,
        Relation::Shift,
        Relation::ExtraMask,
        Relation::Permutation,
    ];

    /// The relation in words, as it is broken.
    pub const fn broken(self) -> &'static str {
        match self {
            Relation::SumsToOne => "the probabilities do not sum to 1",
            Relation::SumsToZero => "the gradient does not sum to 0",
            Relation::Range => "an output is outside the range of the op",
            Relation::Order => "a larger logit has a smaller probability",
            Relation::Shift => "adding a constant to all logits, exactly, changes the result",
            Relation::ExtraMask => "one more class of -inf changes the result",
            Relation::Permutation => "reversing the logits does not reverse the result",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.broken())
    }
}

/// The first relation that the outputs of an ordinary row break among themselves.
pub(super) fn broken_within(case: &Case, outputs: &[f64], claims: &Claims, sum_bound: f64) -> Option<Relation> {
    let facts = case.op().row();
    let sum =
        facts.and_then(|facts| facts.sum).filter(|_| !outputs.is_empty() && outputs.iter().all(|x| x.is_finite()));
    if let Some(sum) = sum
        && exact_sum(outputs, -sum.value).abs() > sum_bound
    {
        return Some(if sum.value == 0.0 { Relation::SumsToZero } else { Relation::SumsToOne });
    }
    if claims.shifted {
        let max = case.logits().iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Where subnormal numbers are flushed, the maximum itself may be.
        let least = max - least_number(case, claims, 0.0);
        let is_below_maximum = |x: f64| shift(case.op()) == Some(Shift::Follows) && x < least;
        if outputs.iter().any(|&x| is_out_of_range(case.op(), x) || is_below_maximum(x)) {
            return Some(Relation::Range);
        }
    }
    if claims.elementwise_monotone && facts.is_some_and(|facts| facts.is_monotone) {
        let mut order: Vec<usize> = (0..outputs.len()).collect();
        order.sort_by(|&i, &j| case.logits()[i].total_cmp(&case.logits()[j]));
        // The largest output of all smaller logits, group by group of equal ones.
        let mut below = f64::NEG_INFINITY;
        for group in order.chunk_by(|&i, &j| case.logits()[i] == case.logits()[j]) {
            if group.iter().any(|&j| outputs[j] < below) {
                return Some(Relation::Order);
            }
            below = group.iter().fold(below, |below, &j| below.max(outputs[j]));
        }
    }
    None
}

/// What a common shift does to the outputs of an op; none where each element stands for itself.
fn shift(op: Op) -> Option<Shift> {
    op.row().map(|facts| facts.shift)
}

/// Whether a number is outside the range of the op: a probability outside [0, 1], a log-probability above 0, a negative loss.
pub(super) fn is_out_of_range(op: Op, x: f64) -> bool {
    let (least, largest) = op.facts().range;
    x < least || x > largest || (x.is_nan() && least > f64::NEG_INFINITY && largest < f64::INFINITY)
}

/// The transformed cases whose outputs a kernel's claims relate to those of this one. Ordinary, short rows only: long ones
/// show nothing more.
pub(super) fn transformed(case: &Case, claims: &Claims) -> Vec<(Relation, Case)> {
    const LONGEST: usize = 256;
    let logits = case.logits();
    let n = logits.len();
    let mut cases = Vec::new();
    if !(2..=LONGEST).contains(&n) || !RowClass::of(case.op(), logits).is_ordinary() {
        return cases;
    }
    let dtype = case.dtype();
    let mut push = |relation, draft: Draft| cases.extend(draft.into_case().ok().map(|case| (relation, case)));
    if claims.shifted && !case.op().is_elementwise() {
        // A shift by a power of two around the size of the row: exact often enough, and then a strong check.
        let size = logits.iter().filter(|z| z.is_finite()).fold(0.0f64, |size, z| size.max(z.abs()));
        let shift = dtype.round(f64::powi(2.0, crate::dtype::exponent(size.max(1.0)).min(1000)));
        let shifted: Vec<f64> =
            logits.iter().map(|&z| if z.is_finite() { dtype.round(z + shift) } else { z }).collect();
        let is_exact = logits
            .iter()
            .zip(&shifted)
            .all(|(&z, &moved)| !z.is_finite() || (moved.is_finite() && moved - shift == z && moved - z == shift));
        if is_exact {
            push(Relation::Shift, Draft { logits: shifted, ..Draft::of(case) });
        }
    }
    let smoothing = case.target().map_or(0.0, |(_, smoothing)| smoothing);
    if claims.sequential && claims.sum == Summation::Sequential && smoothing == 0.0 {
        let mut longer = Draft::of(case);
        longer.insert(n, 1, f64::NEG_INFINITY);
        push(Relation::ExtraMask, longer);
    }
    // An online kernel's rescaling depends on the order.
    let is_equivariant = case.op().row().is_some_and(|facts| facts.is_equivariant);
    if claims.elementwise_monotone && !claims.online && is_equivariant {
        let reversed = Draft::of(case).select(&(0..n).rev().collect::<Vec<usize>>());
        reversed.into_iter().for_each(|reversed| push(Relation::Permutation, reversed));
    }
    cases
}

/// Whether the outputs of a transformed case stand in the relation to those of the case.
pub(super) fn holds_between(
    relation: Relation,
    case: &Case,
    outputs: &[f64],
    moved: &Case,
    moved_outputs: &[f64],
    claims: &Claims,
) -> bool {
    let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
    let (output, accumulator) = (case.dtype().format(), claims.accumulator(case.dtype()).format());
    let u = output.unit_roundoff().max(accumulator.unit_roundoff());
    let least = least_number(case, claims, output.least());
    match relation {
        Relation::Shift if shift(case.op()) == Some(Shift::Follows) => {
            let mut shifts =
                moved.logits().iter().zip(case.logits()).filter(|(_, z)| z.is_finite()).map(|(moved, z)| moved - z);
            let (Some(&before), Some(&after), Some(shift)) = (outputs.first(), moved_outputs.first(), shifts.next())
            else {
                return false;
            };
            // Each of the two is a rounded sum of the maximum and the same logarithm.
            (after - before - shift).abs() <= 2.0 * u * (before.abs() + after.abs()) + least
        }
        Relation::Shift => {
            outputs.len() == moved_outputs.len() && outputs.iter().zip(moved_outputs).all(|(&a, &b)| same(a, b))
        }
        // The class that is added comes last.
        Relation::ExtraMask => outputs.iter().zip(moved_outputs).all(|(&a, &b)| same(a, b)),
        Relation::Permutation => {
            let h = sum_error(claims, case);
            let rounded_again = if accumulator == output { 0.0 } else { 2.0 * output.unit_roundoff() };
            let relative = (2.0 * h + 2.0 * accumulator.unit_roundoff() + rounded_again) * (1.0 + 4.0 * h);
            let close = |a: f64, b: f64| same(a, b) || (a - b).abs() <= relative * a.abs().max(b.abs()) + least;
            outputs.iter().zip(moved_outputs.iter().rev()).all(|(&a, &b)| close(a, b))
        }
        Relation::SumsToOne | Relation::SumsToZero | Relation::Range | Relation::Order => true,
    }
}

/// `start + sum`, with an error far below one rounding of the result (compensated, of finite numbers).
fn exact_sum(values: &[f64], start: f64) -> f64 {
    let (sum, rest) = values.iter().fold((start, 0.0), |(sum, rest), &x| {
        let (sum, error) = two_sum(sum, x);
        (sum, rest + error)
    });
    sum + rest
}
