//! The correct kernels: the textbook, and five ways to be faster or more accurate than it. They must pass on every input.

use super::recipe::{Normalizer, Recipe, Row};
use crate::dtype::Dtype;
use crate::kernel::{Claims, Real, Summation};
use crate::op::Op;

/// The textbook, as [`Recipe`] provides it.
pub(super) struct Shifted;

impl Recipe for Shifted {
    const NAME: &'static str = "shifted";
    const SUMMARY: &'static str = "the textbook: subtract the maximum, exponentiate, add up from first to last, divide";
    const TRUSTED: bool = true;
}

/// `log S = log1p(s)`, where `s` is the sum of all weights but that of one maximum: no digit is lost where the maximum dominates.
pub(super) struct Log1p;

impl Log1p {
    /// `s`. Where the maximum is infinite or NaN no weight is 1, and none is left out.
    fn rest<A: Real>(row: &Row<A>, max: A) -> A {
        let left_out = row.logits.iter().position(|&z| z == max && max.is_finite());
        let weights = row.logits.iter().enumerate().filter(|&(i, _)| Some(i) != left_out);
        Self::sum(row, &weights.map(|(_, &z)| Self::weight(row, z, max)).collect::<Vec<A>>())
    }
}

impl Recipe for Log1p {
    const NAME: &'static str = "log1p";
    const SUMMARY: &'static str = "the textbook with log S as log1p of the sum without one maximum";
    const TRUSTED: bool = true;

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let max = Self::maximum(row);
        let rest = Self::rest(row, max);
        Normalizer { max, sum: A::ONE + rest, log_sum: rest.ln_1p() }
    }

    /// `p_t - 1 = -s / S` where the true class is on the maximum, so that the gradient of a confident row does not vanish.
    fn gradient<A: Real>(row: &Row<A>, class: usize, probability: A) -> A {
        if class == row.target && row.label_smoothing == A::ZERO {
            let max = Self::maximum(row);
            if row.logits[class] == max {
                let rest = Self::rest(row, max);
                return A::ZERO - rest / (A::ONE + rest);
            }
        }
        Shifted::gradient(row, class, probability)
    }
}

/// One pass that keeps a running maximum, and rescales the running sum whenever it rises.
pub(super) struct Online;

impl Recipe for Online {
    const NAME: &'static str = "online";
    const SUMMARY: &'static str = "one pass with a running maximum and a rescaled running sum (online softmax)";
    const TRUSTED: bool = true;
    const ONLINE: bool = true;
}

/// Every sum by halves.
pub(super) struct Pairwise;

impl Recipe for Pairwise {
    const NAME: &'static str = "pairwise";
    const SUMMARY: &'static str = "the textbook with every sum taken pairwise";
    const TRUSTED: bool = true;

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { sum: Summation::Pairwise, sequential: false, ..Shifted::claims(op, dtype) }
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        match *terms {
            [] => A::ZERO,
            [only] => only,
            _ => {
                let (left, right) = terms.split_at(terms.len() / 2);
                Self::sum(row, left) + Self::sum(row, right)
            }
        }
    }
}

/// Every sum with the rounding error of each addition carried along (Neumaier 1974, after Kahan and Babuska).
pub(super) struct Compensated;

impl Recipe for Compensated {
    const NAME: &'static str = "compensated";
    const SUMMARY: &'static str = "the textbook with every sum compensated for its rounding errors";
    const TRUSTED: bool = true;

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { sum: Summation::Compensated, ..Shifted::claims(op, dtype) }
    }

    fn sum<A: Real>(_: &Row<A>, terms: &[A]) -> A {
        let (mut high, mut low) = (A::ZERO, A::ZERO);
        for &term in terms {
            let (total, error) = sum_and_error(high, term);
            // Carrying the error back at every step keeps `low` below half an ulp of `high`. In Neumaier's own form it
            // grows, and its rounding errors add up to n^2 u^2: more than 3 u in a row of 65536 equal terms in f32.
            (high, low) = sum_and_error(total, low + error);
        }
        high
    }
}

/// `a + b` rounded, and the rounding error, which is exact (Dekker 1971); 0 where the sum is not finite.
fn sum_and_error<A: Real>(a: A, b: A) -> (A, A) {
    let sum = a + b;
    let (larger, smaller) = if a.abs() >= b.abs() { (a, b) } else { (b, a) };
    let error = if sum.is_finite() { (larger - sum) + smaller } else { A::ZERO };
    (sum, error)
}
