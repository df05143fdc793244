//! The bounds of a mean over rows, made of those of each row by itself.
//!
//! Notation as in `bound`; `c` is the number of rows that are not ignored, `L_i` and `B_i` the loss of row i and its bound with the half ulp
//! of a stored output in it, for a loss of each row may be stored before they are added. `h_c` is the relative error of a sum of `c` terms,
//! which are not negative.
//!
//! **The mean** `L = (1/c) sum L_i`: the sum errs by `h_c` of itself, the quotient (or the reciprocal and a product) by `2 u`:
//! `(1/c) sum B_i + (h_c + 2 u) L`. Where subnormal numbers are flushed, every loss that is read and the result may be: `2 eta`.
//!
//! **Its gradient** `(p - [j = t]) / c`: of the gradient of the row divided by the count it is `B_j / c + 2 u |out|`. A kernel that is given
//! the cotangent of each loss, `g = 1/c`, has it rounded to the dtype and multiplies: `p g - g` errs by `u_out |out|` for that, and by
//! `u p / c` for the product beside the difference. `p / c` is the size of the output, and at the target at most `1/c`.
//!
//! An overflow of a row's loss is forgiven to the mean, in the accumulator and in the dtype, as it may be stored; and one of the sum.

use super::finish::{Bounds, Finish, least};
use crate::case::Case;
use crate::kernel::Claims;
use crate::magnitude::Size;

/// A row that is not ignored: its bounds, and for a mean of losses its own.
pub(super) struct RowBounds<S> {
    pub bounds: Bounds<S>,
    /// An upper bound of the loss, if it is finite.
    pub loss: Option<S>,
}

/// A mean over rows, of which those that are ignored are none.
pub(super) struct Mean<'a, S> {
    pub case: &'a Case,
    pub claims: &'a Claims,
    pub rows: &'a [Option<RowBounds<S>>],
}

impl<S: Size> Mean<'_, S> {
    /// The bounds of all outputs, whose sizes are told by `size` (none where there is no finite value).
    pub fn bounds(&self, size: &impl Fn(usize) -> Option<S>) -> Bounds<S> {
        let of = |bound: &dyn Fn(&Bounds<S>, usize) -> S| match self.case.op().is_scalar() {
            true => vec![self.mean(bound, size)],
            false => self.gradient(bound, size),
        };
        let all = |has: &dyn Fn(&Bounds<S>) -> bool| self.rows.iter().flatten().all(|row| has(&row.bounds));
        let any = |has: &dyn Fn(&Bounds<S>) -> bool| self.rows.iter().flatten().any(|row| has(&row.bounds));
        let or_textbook = |bounds: &Option<Vec<S>>, whole: &Bounds<S>, j: usize| match bounds {
            Some(bounds) => bounds[j],
            None => whole.textbook[j],
        };
        Bounds {
            textbook: of(&|row, j| row.textbook[j]),
            tight: all(&|row| row.tight.is_some()).then(|| of(&|row, j| or_textbook(&row.tight, row, j))),
            half_digits: any(&|row| row.half_digits.is_some())
                .then(|| of(&|row, j| or_textbook(&row.half_digits, row, j))),
            overflow_is_forgiven: any(&|row| row.overflow_is_forgiven) || self.overflows(),
            sum: 0.0,
        }
    }

    fn count(&self) -> f64 {
        self.rows.iter().flatten().count() as f64
    }

    /// `h_c`.
    fn sum_error(&self) -> f64 {
        let u = self.claims.accumulator(self.case.dtype()).format().unit_roundoff();
        (self.claims.sum.roundings(self.rows.len()) * u).min(0.125)
    }

    fn mean(&self, bound: &dyn Fn(&Bounds<S>, usize) -> S, size: &impl Fn(usize) -> Option<S>) -> S {
        let accumulator = self.claims.accumulator(self.case.dtype()).format();
        let (u, h) = (accumulator.unit_roundoff(), self.sum_error());
        let flushed = if self.claims.flush_to_zero { least::<S>(self.claims, accumulator).shifted(1) } else { S::ZERO };
        let Some(size) = size(0) else { return S::ZERO };
        let sum = self.rows.iter().flatten().fold(S::ZERO, |sum, row| sum + bound(&row.bounds, 0));
        let finish = Finish::new(self.case, 1.0 + 4.0 * (h + 10.0 * u), 8 + 2 * self.rows.len());
        let error = |size: S| sum / S::of(self.count()) + S::of(h + 2.0 * u) * size + flushed;
        // A loss of 0 has no error: every row has one class.
        if size.is_zero() && sum.is_zero() { S::ZERO } else { finish.bound(size, error) }
    }

    fn gradient(&self, bound: &dyn Fn(&Bounds<S>, usize) -> S, size: &impl Fn(usize) -> Option<S>) -> Vec<S> {
        let accumulator = self.claims.accumulator(self.case.dtype()).format();
        let u = accumulator.unit_roundoff();
        let stored = self.case.output_format().unit_roundoff();
        let flushed = if self.claims.flush_to_zero { least::<S>(self.claims, accumulator).shifted(1) } else { S::ZERO };
        let (count, n) = (S::of(self.count().max(1.0)), self.case.row_len());
        let targets = self.case.targets().unwrap_or(&[]);
        let finish = Finish::new(self.case, 1.0 + 4.0 * (10.0 * u + stored), 16);
        let of_output = |j: usize| {
            let (Some(row), Some(size)) = (&self.rows[j / n], size(j)) else { return S::ZERO };
            let share = if targets[j / n] == Some(j % n) { S::of(1.0) / count } else { size };
            let own = bound(&row.bounds, j % n);
            // What is due exactly by itself is so as a share.
            if own.is_zero() && size.is_zero() {
                return S::ZERO;
            }
            finish.bound(size, |size| own / count + S::of(2.0 * u + stored) * size + S::of(u) * share + flushed)
        };
        (0..self.case.logits().len()).map(of_output).collect()
    }

    /// Whether the sum of the losses overflows the accumulator, or one of them the dtype, though the mean does not.
    fn overflows(&self) -> bool {
        if !self.case.op().is_scalar() {
            return false;
        }
        let losses = || self.rows.iter().flatten().filter_map(|row| row.loss);
        let accumulator = self.claims.accumulator(self.case.dtype()).format();
        let sum = losses().fold(S::ZERO, |sum, loss| sum + loss) * S::of(1.0 + 2.0 * self.sum_error());
        let reaches = |x: S, format: crate::dtype::Format| x >= S::of(format.largest());
        reaches(sum, accumulator) || losses().any(|loss| reaches(loss, self.case.output_format()))
    }
}
