//! What each output of a case is: the formula of its op, asked tier by tier.
//!
//! The first tier that decides an output has the word: what is rational, exactly; what is far below every number, by its sign; a
//! ball; intervals of rising precision. Every output that is not rational is no midpoint and no representable number, so the last
//! tier ends, at its cap at the latest: weights that are exact powers of one another can cancel to any depth.

use super::Due;
use super::ball::Ball;
use super::interval::Interval;
use super::prepared::Prepared;
use super::rounded::Rounded;
use super::row::{PRECISIONS, PreparedRow};
use super::special::LimitOutputs;
use super::tier::exactly::{self, Exactly};
use super::tier::{ball, interval, vanishing};
use crate::case::Case;
use crate::magnitude::Magnitude;
use crate::number::Rational;
use crate::op::Visitor;
use crate::op::definition::{ElementDefinition, MeanDefinition, RowDefinition};
use crate::special::RowClass;
use std::marker::PhantomData;
use std::sync::Arc;

/// The outputs of a case, as the tiers know them.
pub(super) trait Question {
    /// What output `j` is, where that is known without any exponential; [`Exactly::Unknown`] elsewhere.
    fn exactly(&self, j: usize) -> Exactly;

    /// What output `j` must be, by the cheapest tier that decides it.
    fn due(&self, j: usize) -> Due;

    /// Output `j` at a precision of Ziv's loop, by its place in [`PRECISIONS`].
    fn interval(&self, j: usize, index: usize) -> Interval;

    /// `|g_j - c|` for the bounds of products.
    fn deviation(&self, j: usize) -> Magnitude;
}

/// The question that a case is; `row` is its row, if the op makes its outputs of the whole row.
pub(super) fn of<'a>(case: &'a Case, row: Option<Arc<PreparedRow>>) -> Box<dyn Question + 'a> {
    case.op().visit(Make { case, row })
}

struct Make<'a> {
    case: &'a Case,
    row: Option<Arc<PreparedRow>>,
}

impl<'a> Visitor for Make<'a> {
    type Output = Box<dyn Question + 'a>;

    fn row<D: RowDefinition>(self) -> Self::Output {
        match self.row {
            Some(row) => Box::new(OfRow::<D> { prepared: Prepared::new(row, self.case), definition: PhantomData }),
            None => unreachable!("{} is made of the whole row", D::NAME),
        }
    }

    fn elements<D: ElementDefinition>(self) -> Self::Output {
        Box::new(OfElements::<D> { case: self.case, definition: PhantomData })
    }

    fn mean<D: MeanDefinition>(self) -> Self::Output {
        Box::new(OfMean::<D>::new(self.case))
    }
}

/// A tier's word on output `j`; none where it does not decide.
type Tier<Q> = fn(&Q, usize) -> Option<Rounded>;

struct OfRow<'a, D> {
    prepared: Prepared<'a>,
    definition: PhantomData<D>,
}

impl<D: RowDefinition> OfRow<'_, D> {
    /// The tiers after the exact one, from cheap to dear. A faster one joins here.
    const TIERS: [Tier<Self>; 3] = [Self::vanishing, Self::by_ball, Self::by_interval];

    fn vanishing(&self, j: usize) -> Option<Rounded> {
        let sign = D::output(&vanishing::OfRow(&self.prepared), j).sign()?;
        Some(Rounded::vanishing(sign, self.prepared.case.output_format()))
    }

    fn by_ball(&self, j: usize) -> Option<Rounded> {
        let tier = ball::OfRow(&self.prepared);
        tier.rounded(D::output(&tier, j))
    }

    fn by_interval(&self, j: usize) -> Option<Rounded> {
        let intervals = (0..PRECISIONS.len()).map(|index| self.interval(j, index));
        Rounded::from_intervals(intervals, self.prepared.case.output_format())
    }

    /// The interval at a precision, and the number if that decides its rounding.
    fn at(&self, index: usize, j: usize) -> (Interval, Option<Rounded>) {
        let tier = interval::OfRow { prepared: &self.prepared, level: self.prepared.row.level(index) };
        let interval = D::output(&tier, j);
        let rounded = tier.rounded(&interval);
        (interval, rounded)
    }
}

impl<D: RowDefinition> Question for OfRow<'_, D> {
    fn exactly(&self, j: usize) -> Exactly {
        D::output(&exactly::OfRow(&self.prepared), j)
    }

    fn due(&self, j: usize) -> Due {
        let known = Due::of(&self.exactly(j), self.prepared.case);
        known.unwrap_or_else(|| Self::TIERS.iter().find_map(|tier| tier(self, j)).map_or(Due::Undecided, Due::Value))
    }

    fn interval(&self, j: usize, index: usize) -> Interval {
        self.at(index, j).0
    }

    fn deviation(&self, j: usize) -> Magnitude {
        self.prepared.deviation_magnitude(j)
    }
}

struct OfElements<'a, D> {
    case: &'a Case,
    definition: PhantomData<D>,
}

impl<D: ElementDefinition> OfElements<'_, D> {
    /// The tiers after the exact one, from cheap to dear. A faster one joins here.
    const TIERS: [Tier<Self>; 3] = [Self::vanishing, Self::by_ball, Self::by_interval];

    fn vanishing(&self, j: usize) -> Option<Rounded> {
        let sign = D::output(&vanishing::OfElement(self.case.dtype().output()), self.case.element(j)).sign()?;
        Some(Rounded::vanishing(sign, self.case.output_format()))
    }

    fn by_ball(&self, j: usize) -> Option<Rounded> {
        let tier = ball::OfElement(self.case.dtype().output());
        tier.rounded(D::output(&tier, self.case.element(j)))
    }

    fn by_interval(&self, j: usize) -> Option<Rounded> {
        let intervals = (0..PRECISIONS.len()).map(|index| self.interval(j, index));
        Rounded::from_intervals(intervals, self.case.output_format())
    }
}

impl<D: ElementDefinition> Question for OfElements<'_, D> {
    fn exactly(&self, j: usize) -> Exactly {
        let element = self.case.element(j);
        if D::has_value(element) { D::output(&exactly::OfElement, element) } else { Exactly::Unknown }
    }

    fn due(&self, j: usize) -> Due {
        if !D::has_value(self.case.element(j)) {
            return Due::nan();
        }
        let known = Due::of(&self.exactly(j), self.case);
        known.unwrap_or_else(|| Self::TIERS.iter().find_map(|tier| tier(self, j)).map_or(Due::Undecided, Due::Value))
    }

    fn interval(&self, j: usize, index: usize) -> Interval {
        D::output(&interval::OfElement(PRECISIONS[index]), self.case.element(j))
    }

    fn deviation(&self, _: usize) -> Magnitude {
        Magnitude::ZERO
    }
}

/// A row of a mean.
enum Part<'a, D> {
    /// It is ignored.
    Ignored,
    /// It is not ordinary: `special` says what is due of it. Where a mean has a number all the same, this row's is its limit, 0.
    Special(LimitOutputs),
    Row(Box<OfRow<'a, D>>),
}

struct OfMean<'a, D: MeanDefinition> {
    case: &'a Case,
    parts: Vec<Part<'a, D::Of>>,
    /// The number of rows that are not ignored.
    count: u32,
}

impl<'a, D: MeanDefinition> OfMean<'a, D> {
    /// The tiers after the exact one, from cheap to dear. A faster one joins here.
    const TIERS: [Tier<Self>; 3] = [Self::vanishing, Self::by_ball, Self::by_interval];

    fn new(case: &'a Case) -> Self {
        let part = |row: &'a Option<Case>| match row {
            None => Part::Ignored,
            Some(row) if !RowClass::of_case(row).is_ordinary() => {
                Part::Special(LimitOutputs::new(row, RowClass::of_case(row)))
            }
            Some(row) => {
                let prepared = Prepared::new(Arc::new(PreparedRow::of(row)), row);
                Part::Row(Box::new(OfRow { prepared, definition: PhantomData }))
            }
        };
        let count = case.rows().iter().flatten().count() as u32;
        Self { case, parts: case.rows().iter().map(part).collect(), count }
    }

    /// The rows that output `j` is made of, each with the place of its own output; none where that is not known to be a number.
    fn rows(&self, j: usize) -> Vec<(&OfRow<'a, D::Of>, usize)> {
        if self.case.op().is_scalar() {
            let rows = self.parts.iter();
            return rows.filter_map(|part| if let Part::Row(row) = part { Some((&**row, 0)) } else { None }).collect();
        }
        let n = self.case.row_len();
        if let Some(Part::Row(row)) = self.parts.get(j / n) { vec![(row, j % n)] } else { Vec::new() }
    }

    /// What is far below every number is so after a division, too.
    fn vanishing(&self, j: usize) -> Option<Rounded> {
        if let &[(row, j)] = &self.rows(j)[..] { row.vanishing(j) } else { None }
    }

    fn by_ball(&self, j: usize) -> Option<Rounded> {
        let rows = self.rows(j);
        let (first, _) = rows.first()?;
        let scale = first.prepared.scale();
        if rows.iter().any(|(row, _)| row.prepared.scale() != scale) {
            return None;
        }
        let output = |i: usize| D::Of::output(&ball::OfRow(&rows[i].0.prepared), rows[i].1);
        let mean = Ball::sum(0, rows.len(), &output) / Ball::exact(f64::from(self.count));
        Rounded::from_ball(mean, scale, self.case.output_format())
    }

    fn by_interval(&self, j: usize) -> Option<Rounded> {
        let intervals = (0..PRECISIONS.len()).map(|index| self.interval(j, index));
        Rounded::from_intervals(intervals, self.case.output_format())
    }
}

impl<D: MeanDefinition> Question for OfMean<'_, D> {
    fn exactly(&self, j: usize) -> Exactly {
        let of_part = |part: &Part<D::Of>, j: usize| match part {
            Part::Ignored => Exactly::Number(0.0),
            Part::Special(limits) => limits.exactly(j),
            Part::Row(row) => row.exactly(j),
        };
        let n = self.case.row_len();
        let sum = match self.case.op().is_scalar() {
            // A row without a limit may be NaN, whatever the others are.
            true if self
                .parts
                .iter()
                .any(|part| matches!(part, Part::Special(_)) && of_part(part, 0) == Exactly::Unknown) =>
            {
                Exactly::Unknown
            }
            true => self.parts.iter().fold(Exactly::Number(0.0), |sum, part| sum + of_part(part, 0)),
            false => self.parts.get(j / n).map_or(Exactly::Unknown, |part| of_part(part, j % n)),
        };
        let mean = |sum: Rational| Exactly::rational(sum / self.count.max(1));
        sum.to_rational().map_or(sum, mean)
    }

    fn due(&self, j: usize) -> Due {
        let known = Due::of(&self.exactly(j), self.case);
        known.unwrap_or_else(|| Self::TIERS.iter().find_map(|tier| tier(self, j)).map_or(Due::Undecided, Due::Value))
    }

    fn interval(&self, j: usize, index: usize) -> Interval {
        let bits = PRECISIONS[index];
        let outputs = self.rows(j).into_iter().map(|(row, j)| row.interval(j, index));
        let sum = outputs.reduce(|sum, output| sum.plus(&output)).unwrap_or_else(|| Interval::zero(bits));
        sum.div_positive(&Interval::enclose(bits, self.count))
    }

    fn deviation(&self, _: usize) -> Magnitude {
        Magnitude::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::ldexp;
    use crate::generate::{self, Family};
    use crate::oracle::rounded::SHOWN_BITS;
    use crate::{Dtype, Op};
    use std::collections::BTreeMap;

    /// Two words on one output agree: the same number, and the same distance from it as far as the judge shows it.
    fn agree(a: Rounded, b: Rounded) -> bool {
        let same = (a.rounded.to_bits(), a.unit) == (b.rounded.to_bits(), b.unit);
        same && (a.residual - b.residual).abs() < 2.0 * ldexp(1.0, -SHOWN_BITS)
    }

    /// Holds each tier against the ones after it. Called for every op by a visitor, since the tiers are generic.
    struct Compare<'a> {
        case: &'a Case,
        row: Option<Arc<PreparedRow>>,
    }

    impl Visitor for Compare<'_> {
        /// Outputs that the tiers decided both ways: exactly and by an interval, by the sign, by a ball.
        type Output = [u64; 3];

        fn row<D: RowDefinition>(self) -> [u64; 3] {
            let row = self.row.expect("a row");
            let question = OfRow::<D> { prepared: Prepared::new(row, self.case), definition: PhantomData };
            compare(self.case, &question, &OfRow::vanishing, &OfRow::by_ball, &|index, j| question.at(index, j))
        }

        fn elements<D: ElementDefinition>(self) -> [u64; 3] {
            let question = OfElements::<D> { case: self.case, definition: PhantomData };
            let at = |index, j| {
                let interval = question.interval(j, index);
                let rounded = Rounded::from_interval(&interval, self.case.output_format());
                (interval, rounded)
            };
            compare(self.case, &question, &OfElements::vanishing, &OfElements::by_ball, &at)
        }

        fn mean<D: MeanDefinition>(self) -> [u64; 3] {
            let question = OfMean::<D>::new(self.case);
            let at = |index, j| {
                let interval = question.interval(j, index);
                let rounded = Rounded::from_interval(&interval, self.case.output_format());
                (interval, rounded)
            };
            compare(self.case, &question, &OfMean::vanishing, &OfMean::by_ball, &at)
        }
    }

    fn compare<Q: Question>(
        case: &Case,
        question: &Q,
        vanishing: &dyn Fn(&Q, usize) -> Option<Rounded>,
        by_ball: &dyn Fn(&Q, usize) -> Option<Rounded>,
        at: &dyn Fn(usize, usize) -> (Interval, Option<Rounded>),
    ) -> [u64; 3] {
        let mut counts = [0; 3];
        for j in 0..case.op().outputs(case.logits().len()) {
            let due = question.due(j);
            match (Due::of(&question.exactly(j), case), due) {
                // What is known exactly lies in the interval, ends included: it is a number that may be one of them.
                (Some(Due::Value(_)), _) => {
                    let Some(exact) = question.exactly(j).to_rational() else { continue };
                    let Interval { low, high } = at(1, j).0;
                    // A masked class has no interval of its own.
                    if low.is_finite() && high.is_finite() {
                        assert!(low <= exact && high >= exact, "{case} {j}: {exact} in [{low}, {high}]");
                        counts[0] += 1;
                    }
                }
                (None, Due::Value(_)) => {
                    // The intervals from the second precision on share nothing with the balls.
                    let Some(careful) = (1..PRECISIONS.len()).find_map(|index| at(index, j).1) else {
                        panic!("{case} {j}: undecided")
                    };
                    for (place, word) in [(1, vanishing(question, j)), (2, by_ball(question, j))] {
                        if let Some(word) = word {
                            assert!(agree(word, careful), "{case} {j}: {word:?} and {careful:?}");
                            counts[place] += 1;
                        }
                    }
                }
                _ => {}
            }
        }
        counts
    }

    /// What a tier decides, the intervals decide alike: over all families, ops and dtypes.
    #[test]
    fn the_tiers_agree() {
        let mut counts: BTreeMap<(Op, Dtype), [u64; 3]> = BTreeMap::new();
        for &family in Family::all().iter().filter(|family| !family.is_slow()) {
            for dtype in Dtype::ALL {
                for index in 0..25 {
                    let logits: Arc<[f64]> = generate::row(family, dtype, 11, index, 70).into();
                    for &op in Op::ALL {
                        let made = generate::case(op, dtype, family.name(), 11, index, logits.clone(), None).unwrap();
                        let Some(case) = made else { continue };
                        if !RowClass::of_case(&case).is_ordinary() {
                            continue;
                        }
                        let row = op.row().map(|_| Arc::new(PreparedRow::of(&case)));
                        let found = op.visit(Compare { case: &case, row });
                        let all = counts.entry((op, dtype)).or_default();
                        all.iter_mut().zip(found).for_each(|(all, found)| *all += found);
                    }
                }
            }
        }
        assert_eq!(counts.len(), Op::ALL.len() * Dtype::ALL.len());
        let sum = |place: usize| counts.values().map(|counts| counts[place]).sum::<u64>();
        // An op that has values is given some that are not finite, targets have other masks, and of several rows one at least is odd, or all
        // are ignored.
        let least = |op: Op| match op {
            Op::ATTENTION | Op::KL_DIVERGENCE | Op::MEAN_CROSS_ENTROPY => 200,
            _ => 400,
        };
        assert!(counts.iter().all(|((op, _), counts)| counts[1] + counts[2] > least(*op)), "{counts:?}");
        assert!(sum(0) > 10_000 && sum(1) > 1_000 && sum(2) > 100_000, "{counts:?}");
    }
}
