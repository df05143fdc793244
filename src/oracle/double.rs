//! Cases in double-doubles: what plain numbers (`near`) leave open, known to some ninety bits at a small part of what the exact tiers cost.
//! Every number is a [`Ball`], so that each error is counted where it is made; the functions have their proofs in `ball::functions`.
//! Nothing is shared between equal logits, and nothing is rational: what is exact is so because its radius is 0. Logits are sorted only where
//! that may show an output to be 0.
//!
//! The quantities of a row are those of `near::tier`, in the same shape: a probability near 1 is known by what it lacks, a difference from a
//! mean by the mean over the maxima and a remainder.

use super::ball::Ball;
use super::near::Near;
use super::tier::ball::OfElement;
use crate::case::Case;
use crate::fenv::Standard;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::tier::RowTier;
use crate::op::{Kind, Visitor};
use row::Row;
use tier::OfRow;

mod row;
mod tier;

/// The outputs of a case, each told when it is asked for.
pub(crate) struct DoubleCase<'a> {
    case: &'a Case,
    /// Of a row op its row, of a mean each row, and none of an ignored one; of an elementwise op nothing.
    rows: Vec<Option<Row<'a>>>,
    /// The number of rows that are not ignored.
    count: f64,
}

impl<'a> DoubleCase<'a> {
    /// A case that `NearCase::takes` says yes to.
    pub fn new(case: &'a Case) -> Self {
        let _standard = Standard::enter();
        let rows = match &case.op().facts().kind {
            Kind::Elements(_) => Vec::new(),
            Kind::Row(_) => vec![Some(Row::of(case))],
            Kind::Mean(_) => case.rows().iter().map(|row| row.as_ref().map(Row::of)).collect(),
        };
        let count = rows.iter().flatten().count() as f64;
        Self { case, rows, count }
    }

    /// Output `j`.
    pub fn output(&self, j: usize) -> Near {
        let _standard = Standard::enter();
        near(self.case.op().visit(Output { case: self, j }))
    }

    /// All outputs.
    pub fn outputs(&self) -> Vec<Near> {
        let _standard = Standard::enter();
        let count = self.case.op().outputs(self.case.logits().len());
        (0..count).map(|j| near(self.case.op().visit(Output { case: self, j }))).collect()
    }

    /// Upper bounds of `|g_j - c|`, for the ops whose bounds use them; else nothing.
    pub fn deviations(&self) -> Vec<f64> {
        let uses_deviations = self.case.op().row().is_some_and(|facts| facts.uses_deviations);
        let of_row = |row: &Row| (0..row.logits.len()).map(|j| OfRow(row).deviation(j).bound()).collect();
        self.rows.iter().flatten().next().filter(|_| uses_deviations).map_or(Vec::new(), of_row)
    }
}

/// What is known of an output. Infinities are added up to what says nothing, but for one that is known as it is.
fn near(Ball { high, low, radius }: Ball) -> Near {
    if !radius.is_finite() {
        return Near { high: 0.0, low: 0.0, radius: f64::INFINITY };
    }
    if high.is_finite() { Near { high, low, radius } } else { Near { high, low: 0.0, radius: 0.0 } }
}

/// One output, with the formula of its op.
struct Output<'a> {
    case: &'a DoubleCase<'a>,
    j: usize,
}

impl Visitor for Output<'_> {
    type Output = Ball;

    fn row<D: RowDefinition>(self) -> Ball {
        let row = self.case.rows.first().and_then(Option::as_ref);
        row.map_or(Ball::UNKNOWN, |row| D::output(&OfRow(row), self.j))
    }

    fn elements<D: ElementDefinition>(self) -> Ball {
        let (case, element) = (self.case.case, self.case.case.element(self.j));
        if D::has_value(element) {
            D::output(&OfElement(case.dtype().output()), element)
        } else {
            Ball::exact(f64::NAN)
        }
    }

    fn mean<D: MeanDefinition>(self) -> Ball {
        let Self { case: DoubleCase { case, rows, count }, j } = self;
        let share = |sum: Ball| if sum.high.is_finite() { sum / Ball::exact(*count) } else { sum };
        if case.op().is_scalar() {
            let outputs = rows.iter().flatten().map(|row| D::Of::output(&OfRow(row), 0));
            return outputs.reduce(|sum, output| sum + output).map_or(Ball::ZERO, share);
        }
        let (row, j) = (&rows[j / case.row_len()], j % case.row_len());
        row.as_ref().map_or(Ball::ZERO, |row| share(D::Of::output(&OfRow(row), j)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places whose outputs are 0, exactly.
    fn zeros(text: &str) -> Vec<usize> {
        let case = Case::parse(text).unwrap();
        let outputs = DoubleCase::new(&case).outputs();
        let is_zero = |output: &Near| output.high == 0.0 && output.low == 0.0 && output.radius == 0.0;
        outputs.iter().enumerate().filter(|(_, output)| is_zero(output)).map(|(j, _)| j).collect()
    }

    /// A zero that is claimed to be exact is: what is left of the others may be far below every number, and is no zero.
    #[test]
    fn zeros_that_are_exact() {
        for (text, expected) in [
            // One mean over every group of equal logits; over all but one of them, which weighs 1e-88; the same beyond every weight.
            ("log_softmax_jvp f32 [1, 1, 0, 0, -200] tangent=[1, 3, 1, 3, 2]", &[4][..]),
            ("log_softmax_jvp f32 [1, 1, 0, 0, -200, -200] tangent=[1, 3, 1, 3, 5, 2]", &[]),
            ("log_softmax_jvp f32 [1, 1, 0, -200] tangent=[1, 3, 2, 2]", &[2, 3]),
            ("log_softmax_jvp f32 [1, 1, 0, -200] tangent=[1, 3, 2, 5]", &[]),
            ("log_softmax_jvp f32 [1, 1, -2000] tangent=[2, 2, 2]", &[0, 1, 2]),
            ("log_softmax_jvp f32 [1, 1, -2000] tangent=[2, 2, 5]", &[]),
            ("softmax_vjp f32 [0, 0, 0] cotangent=[1, 2, 3]", &[1]),
            ("log_softmax_vjp f32 [0, 0, 0] cotangent=[1, 2, 3]", &[1]),
            // Permutations, also of rows to which a number is added; and rows that are permutations but for one logit.
            ("kl_divergence_grad f32 [0, 1, 2, 3] target_logits=[0, 2, 1, 3]", &[0, 3]),
            ("kl_divergence_grad f32 [5, 6, 7, 8] target_logits=[0, 2, 1, 3]", &[0, 3]),
            ("kl_divergence_grad f32 [0, 1, 2, 3.5] target_logits=[0, 2, 1, 3]", &[]),
            ("kl_divergence_grad f32 [0, 1, -inf] target_logits=[1, 0, -inf]", &[2]),
            ("kl_divergence f32 [5, 6, 7] target_logits=[0, 1, 2]", &[0]),
            // Flat rows whose masses are all 1/n.
            ("cross_entropy_grad f32 [7, 7, 7] target=0 label_smoothing=1", &[0, 1, 2]),
            ("cross_entropy_grad f32 [7, 7, 7] target=0 label_smoothing=0.5", &[]),
            ("cross_entropy_grad f32 [7, 7, 6] target=0 label_smoothing=1", &[]),
        ] {
            assert_eq!(zeros(text), expected, "{text}");
        }
    }

    /// Where the rows differ by little, what they differ by is known to as many bits as where they differ by much.
    #[test]
    fn rows_near_each_other_are_told_apart() {
        for (text, least) in [
            ("kl_divergence f32 [0, 0x1p-140] target_logits=[0, 0]", 1e-90),
            ("kl_divergence f32 [0, -3, 0x1p-20] target_logits=[0, -3, 0]", 1e-15),
            ("kl_divergence_grad f32 [0, 0x1p-140] target_logits=[0, 0]", 1e-45),
            ("kl_divergence_grad f32 [0, -3, 0x1p-20] target_logits=[0, -3, 0]", 1e-9),
        ] {
            let case = Case::parse(text).unwrap();
            for output in DoubleCase::new(&case).outputs() {
                let is_known = output.radius < output.high.abs() * 1e-22 && output.high.abs() > least;
                assert!(is_known, "{text}: {output:?}");
            }
        }
    }
}
