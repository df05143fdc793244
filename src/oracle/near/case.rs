//! A case as the screen sees it: its outputs in plain numbers, or in f64 in double-doubles, and what its error bounds are made of.

use super::elements;
use super::reach;
use super::tier::OfRow;
use super::{Near, NearRow};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::fenv::Standard;
use crate::magnitude::Magnitude;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::op::tier::RowTier;
use crate::op::{Anatomy, Kind, Visitor};
use crate::oracle::ball::Ball;
use crate::oracle::double::{DoubleCase, Real, anatomy_of_elements};
use crate::oracle::wide::Wide;
use crate::special::RowClass;
use std::sync::Arc;

/// A case whose outputs plain numbers tell, or in f64 double-doubles.
#[derive(Debug)]
pub(crate) struct NearCase {
    /// The class of the row.
    pub class: RowClass,
    /// The outputs; an infinite `high` where one is infinite, and NaN where NaN is due.
    pub outputs: Vec<Near>,
    /// By which powers of two the outputs are multiplied, so that each is far from the ends of the range of an `f64`; empty where none is.
    shifts: Vec<i32>,
    /// What the bounds are made of.
    pub sizes: Sizes,
    /// Of a mean over rows each row by itself, and none of an ignored one; of any other op nothing.
    pub rows: Vec<Option<NearCase>>,
}

/// What the error bounds of a case are made of: as upper bounds, the weights of its row and of that of the target's logits, for the ops that
/// take them, and `|g_j - c|`, for the ops whose bounds use them. Of an elementwise op the row has the weights `exp(-|z|)` of its elements; of a
/// mean over rows each row has its own, and these are of no account.
#[derive(Debug)]
pub(crate) enum Sizes {
    /// In plain numbers.
    Plain {
        /// The row, and that of the target's logits.
        row: Arc<NearRow>,
        other: Option<Arc<NearRow>>,
        deviations: Vec<f64>,
    },
    /// In numbers of any size.
    Wide {
        /// The same.
        row: Anatomy,
        other: Option<Anatomy>,
        deviations: Vec<Magnitude>,
    },
}

impl NearCase {
    /// The case in these numbers; none where they are not enough: a row that is not ordinary.
    pub fn of(case: &Case, class: RowClass) -> Option<Self> {
        let made = |case: &Case| match &case.op().facts().kind {
            _ if Self::is_wide(case) => Self::wide(case, class),
            Kind::Elements(_) => Self::of_elements(case),
            Kind::Row(_) => Self::on(Arc::new(NearRow::of(case)), case, class),
            Kind::Mean(_) => Self::of_rows(case, class),
        };
        Self::takes(class).then(|| made(case))
    }

    /// Whether plain numbers, or in f64 double-doubles, are enough for a case of this class.
    pub fn takes(class: RowClass) -> bool {
        class.is_ordinary()
    }

    /// Whether a case needs numbers of any size: it is beyond what `reach` says.
    pub fn is_wide(case: &Case) -> bool {
        match case.dtype() {
            Dtype::F64 => !reach::is_near(case),
            _ => reach::has_large_products(case),
        }
    }

    /// By which power of two an output is multiplied.
    #[inline]
    pub fn shift(&self, j: usize) -> i32 {
        self.shifts.get(j).copied().unwrap_or(0)
    }

    /// A case of a row op that [`NearCase::takes`] says yes to, of moderate numbers, on its row.
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
                let deviations = doubles.deviations().into_iter().map(Ball::bound).collect();
                (with_infinities(doubles.outputs(), || plain().0), deviations)
            }
            _ => plain(),
        };
        let sizes = Sizes::Plain { row, other, deviations };
        Self { class, outputs, shifts: Vec::new(), sizes, rows: Vec::new() }
    }

    /// A case of an elementwise op that [`NearCase::takes`] says yes to, of moderate numbers.
    pub fn of_elements(case: &Case) -> Self {
        let row = Arc::new(NearRow::of_elements(case));
        let plain = || elements::outputs(case);
        let outputs = match case.dtype() {
            Dtype::F64 => with_infinities(DoubleCase::new(case).outputs(), plain),
            _ => plain(),
        };
        let sizes = Sizes::Plain { row, other: None, deviations: Vec::new() };
        Self { class: RowClass::Elements, outputs, shifts: Vec::new(), sizes, rows: Vec::new() }
    }

    /// A case of a mean over rows that [`NearCase::takes`] says yes to, of moderate numbers: each row by itself, their sum and its quotient.
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
        let row = Arc::new(NearRow::new([0.0].into()));
        let sizes = Sizes::Plain { row, other: None, deviations: Vec::new() };
        Self { class, outputs, shifts: Vec::new(), sizes, rows }
    }

    /// A case that [`NearCase::takes`] says yes to, in numbers of any size.
    fn wide(case: &Case, class: RowClass) -> Self {
        let _standard = Standard::enter();
        let wide: DoubleCase<Wide> = DoubleCase::of(case);
        let (outputs, shifts) = wide.numbers().map(Real::told).unzip();
        let (row, other) = match &case.op().facts().kind {
            Kind::Elements(facts) => (anatomy_of_elements::<Wide>(case, facts), None),
            _ => wide.anatomies(),
        };
        let deviations = wide.deviations().into_iter().map(Real::magnitude).collect();
        let sizes = Sizes::Wide { row, other, deviations };
        let near = |row: &Case| Self::wide(row, RowClass::of_case(row));
        let rows = case.rows().iter().map(|row| row.as_ref().map(near)).collect();
        Self { class, outputs, shifts, sizes, rows }
    }
}

#[cfg(test)]
impl NearCase {
    /// The weights, and the deviations, as magnitudes.
    pub fn weights(&self) -> Vec<Magnitude> {
        match &self.sizes {
            Sizes::Plain { row, .. } => row.weights.iter().copied().map(Magnitude::from).collect(),
            Sizes::Wide { row, .. } => row.weights.clone(),
        }
    }

    /// See [`NearCase::weights`].
    pub fn deviations(&self) -> Vec<Magnitude> {
        match &self.sizes {
            Sizes::Plain { deviations, .. } => deviations.iter().copied().map(Magnitude::from).collect(),
            Sizes::Wide { deviations, .. } => deviations.clone(),
        }
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
