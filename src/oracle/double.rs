//! Cases in double-doubles: what plain numbers (`near`) leave open, known to some ninety bits at a small part of what the exact tiers cost.
//! Every number is a [`Ball`], so that each error is counted where it is made; the functions have their proofs in `ball::functions`.
//! Nothing is shared between equal logits, and nothing is rational: what is exact is so because its radius is 0. Logits are sorted only where
//! that may show an output to be 0.
//!
//! The quantities of a row are those of `near::tier`, in the same shape: a probability near 1 is known by what it lacks, a difference from a
//! mean by the mean over the maxima and a remainder.

use super::ball::Ball;
use super::near::Near;
use crate::case::Case;
use crate::fenv::Standard;
use crate::magnitude::Magnitude;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::inputs::Element;
use crate::op::terms::Anatomy;
use crate::op::tier::{ElementTier, RowTier};
use crate::op::{ElementFacts, Kind, Visitor};
pub(super) use real::Real;
use row::Row;
use tier::OfRow;

mod real;
mod row;
mod tier;

/// The outputs of a case, each told when it is asked for: in balls, or in numbers of any size.
pub(crate) struct DoubleCase<'a, N = Ball> {
    case: &'a Case,
    /// Of a row op its row, of a mean each row, and none of an ignored one; of an elementwise op nothing.
    rows: Vec<Option<Row<'a, N>>>,
    /// The number of rows that are not ignored.
    count: f64,
}

impl<'a> DoubleCase<'a> {
    /// A case of numbers of a moderate size.
    pub fn new(case: &'a Case) -> Self {
        Self::of(case)
    }

    /// Output `j`.
    pub fn output(&self, j: usize) -> Near {
        let _standard = Standard::enter();
        self.number(j).told().0
    }

    /// All outputs.
    pub fn outputs(&self) -> Vec<Near> {
        let _standard = Standard::enter();
        self.numbers().map(|output| output.told().0).collect()
    }
}

impl<'a, N: Real> DoubleCase<'a, N> {
    /// A case that `NearCase::takes` says yes to.
    pub(super) fn of(case: &'a Case) -> Self {
        let _standard = Standard::enter();
        let rows = match &case.op().facts().kind {
            Kind::Elements(_) => Vec::new(),
            Kind::Row(_) => vec![Some(Row::of(case))],
            Kind::Mean(_) => case.rows().iter().map(|row| row.as_ref().map(Row::of)).collect(),
        };
        let count = rows.iter().flatten().count() as f64;
        Self { case, rows, count }
    }

    fn number(&self, j: usize) -> N {
        self.case.op().visit(Output { case: self, j })
    }

    /// All outputs. To be asked for in the standard environment.
    pub(super) fn numbers(&self) -> impl Iterator<Item = N> {
        (0..self.case.op().outputs(self.case.logits().len())).map(|j| self.number(j))
    }

    /// Upper bounds of `|g_j - c|`, for the ops whose bounds use them; else nothing.
    pub(super) fn deviations(&self) -> Vec<N> {
        let uses_deviations = self.case.op().row().is_some_and(|facts| facts.uses_deviations);
        let of_row = |row: &Row<N>| (0..row.logits.len()).map(|j| OfRow(row).deviation(j).size()).collect();
        self.rows.iter().flatten().next().filter(|_| uses_deviations).map_or(Vec::new(), of_row)
    }

    /// What error bounds need of the row of a row op, and of that of the target's logits.
    pub(super) fn anatomies(&self) -> (Anatomy, Option<Anatomy>) {
        let row = self.rows.iter().flatten().next();
        let other = row.and_then(|row| row.other.as_deref());
        (row.map_or_else(no_anatomy, Row::anatomy), other.map(Row::anatomy))
    }
}

/// What error bounds need of no row.
fn no_anatomy() -> Anatomy {
    Anatomy { max: 0.0, weights: Vec::new(), total: 1.0, others: Magnitude::ZERO, log_total: Magnitude::ZERO }
}

/// What error bounds need of the elements of a case: the weights of their differences.
pub(super) fn anatomy_of_elements<N: Real>(case: &Case, facts: &ElementFacts) -> Anatomy {
    let tier = N::elements(case.dtype().output());
    let weight = |element: Element| {
        let (x, y) = (facts.difference)(element);
        tier.exp_of_difference(x, y).magnitude()
    };
    Anatomy { weights: case.elements().map(weight).collect(), ..no_anatomy() }
}

/// One output, with the formula of its op.
struct Output<'a, N> {
    case: &'a DoubleCase<'a, N>,
    j: usize,
}

impl<N: Real> Visitor for Output<'_, N> {
    type Output = N;

    fn row<D: RowDefinition>(self) -> N {
        let row = self.case.rows.first().and_then(Option::as_ref);
        row.map_or(N::UNKNOWN, |row| D::output(&OfRow(row), self.j))
    }

    fn elements<D: ElementDefinition>(self) -> N {
        let (case, element) = (self.case.case, self.case.case.element(self.j));
        if D::has_value(element) { D::output(&N::elements(case.dtype().output()), element) } else { N::exact(f64::NAN) }
    }

    fn mean<D: MeanDefinition>(self) -> N {
        let Self { case: DoubleCase { case, rows, count }, j } = self;
        let is_infinite = |sum: N| sum.number().is_some_and(f64::is_infinite);
        let share = |sum: N| if is_infinite(sum) { sum } else { sum / N::exact(*count) };
        if case.op().is_scalar() {
            let outputs = rows.iter().flatten().map(|row| D::Of::output(&OfRow(row), 0));
            return outputs.reduce(|sum, output| sum + output).map_or(N::ZERO, share);
        }
        let (row, j) = (&rows[j / case.row_len()], j % case.row_len());
        row.as_ref().map_or(N::ZERO, |row| share(D::Of::output(&OfRow(row), j)))
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
