//! A case as the screen sees it: its outputs in plain numbers, or in f64 in double-doubles, and what its error bounds are made of.

use super::elements;
use super::reach;
use super::tier::OfRow;
use super::{Near, NearRow};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::tier::RowTier;
use crate::op::{Kind, Visitor};
use crate::oracle::double::DoubleCase;
use crate::special::RowClass;
use std::sync::Arc;

/// A case whose outputs plain numbers tell, or in f64 double-doubles.
#[derive(Debug)]
pub(crate) struct NearCase {
    /// The class of the row.
    pub class: RowClass,
    /// The row; of an elementwise op, the weights `exp(-|z|)` of its elements, as in the truth.
    pub row: Arc<NearRow>,
    /// The row of the target's logits, for the ops that take them.
    pub other: Option<Arc<NearRow>>,
    /// The outputs; an infinite `high` where one is infinite, and NaN where NaN is due.
    pub outputs: Vec<Near>,
    /// Upper bounds of `|g_j - c|`, for the ops whose bounds use them.
    pub deviations: Vec<f64>,
    /// Of a mean over rows each row by itself, and none of an ignored one; of any other op nothing.
    pub rows: Vec<Option<NearCase>>,
}

impl NearCase {
    /// The case in these numbers; none where they are not enough: a row that is not ordinary, an f64 that `reach` leaves out.
    pub fn of(case: &Case, class: RowClass) -> Option<Self> {
        let made = |case: &Case| match &case.op().facts().kind {
            Kind::Elements(_) => Self::of_elements(case),
            Kind::Row(_) => Self::on(Arc::new(NearRow::of(case)), case, class),
            Kind::Mean(_) => Self::of_rows(case, class),
        };
        Self::takes(case, class).then(|| made(case))
    }

    /// Whether plain numbers, or in f64 double-doubles, are enough for a case.
    pub fn takes(case: &Case, class: RowClass) -> bool {
        class.is_ordinary() && (case.dtype() != Dtype::F64 || reach::is_near(case))
    }

    /// A case of a row op that [`NearCase::takes`] says yes to, on its row.
    pub fn on(row: Arc<NearRow>, case: &Case, class: RowClass) -> Self {
        let other = case.shared_target_logits().map(|logits| Arc::new(NearRow::new(logits.clone())));
        let plain = || {
            let target = other.as_ref().map(|other| OfRow::new(other, None, case));
            let tier = OfRow::new(&row, target.as_ref(), case);
            let uses_deviations = case.op().row().is_some_and(|facts| facts.uses_deviations);
            let each = if uses_deviations { 0..case.logits().len() } else { 0..0 };
            let deviations: Vec<f64> = each.map(|j| tier.deviation(j).bound()).collect();
            let count = case.op().outputs(case.logits().len());
            (case.op().visit(Outputs { tier: &tier, count }), deviations)
        };
        let (outputs, deviations) = match case.dtype() {
            Dtype::F64 => {
                let doubles = DoubleCase::new(case);
                (with_infinities(doubles.outputs(), || plain().0), doubles.deviations())
            }
            _ => plain(),
        };
        Self { class, outputs, deviations, row, other, rows: Vec::new() }
    }

    /// A case of an elementwise op that [`NearCase::takes`] says yes to.
    pub fn of_elements(case: &Case) -> Self {
        let row = Arc::new(NearRow::of_elements(case));
        let plain = || elements::outputs(case);
        let outputs = match case.dtype() {
            Dtype::F64 => with_infinities(DoubleCase::new(case).outputs(), plain),
            _ => plain(),
        };
        Self { class: RowClass::Elements, row, other: None, outputs, deviations: Vec::new(), rows: Vec::new() }
    }

    /// A case of a mean over rows that [`NearCase::takes`] says yes to: each row by itself, their sum and its quotient.
    fn of_rows(case: &Case, class: RowClass) -> Self {
        let near = |row: &Case| Self::on(Arc::new(NearRow::of(row)), row, RowClass::of_case(row));
        let rows: Vec<Option<NearCase>> = case.rows().iter().map(|row| row.as_ref().map(near)).collect();
        let count = rows.iter().flatten().count() as f64;
        let outputs = match case.op().is_scalar() {
            _ if case.dtype() == Dtype::F64 => DoubleCase::new(case).outputs(),
            true => {
                let all = rows.iter().flatten().map(|row| row.outputs[0]);
                vec![all.reduce(|sum, output| sum + output).unwrap_or(Near::ZERO).shared(count)]
            }
            false => {
                let zeros = || vec![Near::ZERO; case.row_len()];
                let row = |row: &Option<NearCase>| {
                    let shared = |row: &NearCase| row.outputs.iter().map(|output| output.shared(count)).collect();
                    row.as_ref().map_or_else(zeros, shared)
                };
                rows.iter().flat_map(row).collect()
            }
        };
        let first = rows.iter().flatten().map(|row| row.row.clone()).next();
        let row = first.unwrap_or_else(|| Arc::new(NearRow::new([0.0].into())));
        Self { class, outputs, deviations: Vec::new(), row, other: None, rows }
    }
}

/// Outputs in double-doubles, which do not know what is infinite; plain numbers do.
fn with_infinities(mut outputs: Vec<Near>, plain: impl FnOnce() -> Vec<Near>) -> Vec<Near> {
    if outputs.iter().any(|output| output.radius == f64::INFINITY) {
        let infinite =
            |(output, plain): (&mut Near, Near)| *output = if plain.high.is_finite() { *output } else { plain };
        outputs.iter_mut().zip(plain()).for_each(infinite);
    }
    outputs
}

struct Outputs<'a> {
    tier: &'a OfRow<'a>,
    count: usize,
}

impl Visitor for Outputs<'_> {
    type Output = Vec<Near>;

    fn row<D: RowDefinition>(self) -> Vec<Near> {
        (0..self.count).map(|j| D::output(self.tier, j)).collect()
    }

    fn elements<D: ElementDefinition>(self) -> Vec<Near> {
        unreachable!("{} is not made of the whole row", D::NAME)
    }

    fn mean<D: MeanDefinition>(self) -> Vec<Near> {
        unreachable!("{} is made of several rows", D::NAME)
    }
}
