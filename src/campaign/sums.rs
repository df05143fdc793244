//! What a campaign found, cell by cell, and the point at which a kernel is given up on.
//!
//! A *sum* is what some cases of a cell gave: counts, a curve, the first failures. Sums of one cell merge in any order to the same.
//!
//! A kernel that runs in a process of its own may crash or hang, and after [`MOST_FAULTS`] of that in a cell, counted in the order
//! of its cases, the rest of the cell is not run. Threads work on several pieces of a cell at once, so what they find is settled
//! in the order of the pieces: each piece brings for each cell a sequence of sums that end with a crash or a hang, and those
//! after the last one allowed are thrown away. So the results do not depend on the number of threads. A function that hangs in
//! cell after cell is given up on in all that follow.
//!
//! At the end the counts of every cell must add up ([`Sums::check`]): a case that was selected has been judged or counted as
//! not run.

use super::counts::Counts;
use super::plan::{OwnRows, Plan, Planned};
use crate::case::Case;
use crate::error::{Error, Result};
use crate::judge::{Judgement, Verdict, WorstOutput};
use crate::kernel::{Claims, Declaration, Fault};
use crate::results::{Cell, CellRange, Curve, CurvePoints, Declared, Shape};
use crate::special::RowClass;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Crashes and hangs of a kernel in one cell after which the rest of the cell is not run.
#[cfg(unix)]
pub(super) use crate::foreign::MOST_FAULTS;
#[cfg(not(unix))]
pub(super) const MOST_FAULTS: u64 = u64::MAX;

/// Hangs of a function (kernel, op, dtype), in the order of its cases, after which it is run no more: three cells that were given up
/// on for them.
const MOST_HANGS: u64 = 3 * 8;

/// Indices into the plan: kernel, op, dtype, family (the source of the rows, or the search).
pub(super) type CellKey = (usize, usize, usize, usize);

/// One distinct failure: kernel, op, dtype, verdict, shape of the row.
pub(super) type FailureKey = (usize, usize, usize, Verdict, Shape);

/// The first case that showed a failure.
#[derive(Clone)]
pub(super) struct FirstFailure {
    pub source: usize,
    pub index: u64,
    pub case: Case,
    /// What was seen: it need not come again.
    pub seen: Judgement,
    /// The worst of all that failed so, with its source and its index.
    pub worst: Option<(usize, u64, WorstFailure)>,
}

/// The failing case with the largest error.
#[derive(Clone)]
pub(super) struct WorstFailure {
    pub case: Case,
    pub output: WorstOutput,
    /// In ulps, without its sign; finite.
    error: f64,
}

impl WorstFailure {
    /// Longer rows are no example that people look at.
    const LONGEST: usize = 64;

    /// The error of a failing case, if it may be shown as the worst.
    fn error(case: &Case, seen: &Judgement) -> Option<f64> {
        // By itself the row passes, and is no example.
        let worst = seen.worst.as_ref().filter(|_| seen.in_batch.is_none())?;
        let error = worst.judged.ulps?.abs();
        (case.logits().len() <= Self::LONGEST && error.is_finite()).then_some(error)
    }
}

/// The failing cases of one kind in a cell.
struct Failing {
    /// The first one, and its index.
    index: u64,
    case: Case,
    seen: Judgement,
    /// The worst one, with its index.
    worst: Option<(u64, WorstFailure)>,
}

impl Failing {
    fn merge(&mut self, other: Self) {
        // Of two that are as bad the one with the smaller index, in whatever order they come.
        self.worst = match (self.worst.take(), other.worst) {
            (Some(a), Some(b)) => {
                let is_other = b.1.error > a.1.error || (b.1.error == a.1.error && b.0 < a.0);
                Some(if is_other { b } else { a })
            }
            (a, b) => a.or(b),
        };
        if other.index < self.index {
            (self.index, self.case, self.seen) = (other.index, other.case, other.seen);
        }
    }
}

/// What some cases of one cell gave.
#[derive(Default)]
pub(super) struct CellSum {
    pub counts: Counts,
    pub curve: CurvePoints,
    /// For each distinct failure the cases of the cell that are shown.
    failures: BTreeMap<(Verdict, Shape), Failing>,
    /// The crash or the hang that it ends with.
    end: Option<Fault>,
}

impl CellSum {
    /// Takes a failing case, if it is the first or the worst of its kind; of a failure on another form of the row, that form.
    pub fn fail(&mut self, class: RowClass, index: u64, case: &Case, seen: Judgement) {
        let case = seen.culprit.as_ref().unwrap_or(case);
        let kind = (seen.verdict, Shape::of(case, class));
        let error = WorstFailure::error(case, &seen);
        let known = self.failures.get(&kind);
        let is_first = known.is_none_or(|known| index < known.index);
        // Cases come in any order of their indices.
        let is_worst = error.is_some_and(|error| {
            let worst = known.and_then(|known| known.worst.as_ref());
            worst.is_none_or(|(at, worst)| error > worst.error || (error == worst.error && index < *at))
        });
        if !is_first && !is_worst {
            return;
        }
        let worst = seen.worst.clone().zip(error).filter(|_| is_worst);
        let worst = worst.map(|(output, error)| (index, WorstFailure { case: case.clone(), output, error }));
        let failing = Failing { index, case: case.clone(), seen, worst };
        match self.failures.entry(kind) {
            Entry::Vacant(place) => {
                place.insert(failing);
            }
            Entry::Occupied(mut known) => known.get_mut().merge(failing),
        }
    }

    /// Whether a case that failed in this way was met before.
    pub fn is_known(&self, class: RowClass, case: &Case, seen: &Judgement) -> bool {
        let case = seen.culprit.as_ref().unwrap_or(case);
        self.failures.contains_key(&(seen.verdict, Shape::of(case, class)))
    }

    fn merge(&mut self, other: CellSum) {
        self.counts.merge(other.counts);
        self.curve.merge(other.curve);
        for (kind, failing) in other.failures {
            match self.failures.entry(kind) {
                Entry::Vacant(place) => {
                    place.insert(failing);
                }
                Entry::Occupied(mut known) => known.get_mut().merge(failing),
            }
        }
    }
}

/// Every cell of which this shard has rows, in the order of the results, with these rows.
fn keys<'a>(planned: &[Vec<Planned>], own: &'a OwnRows) -> BTreeMap<CellKey, &'a Range<u64>> {
    let of_unit = |(&(dtype, source), rows): (&(usize, usize), &'a Range<u64>)| {
        let functions = planned.get(dtype).into_iter().flatten();
        functions.map(move |function| ((function.kernel, function.op, dtype, source), rows))
    };
    own.iter().flat_map(of_unit).collect()
}

/// A sum for each cell.
#[derive(Default)]
pub(super) struct Sums {
    by_cell: BTreeMap<CellKey, CellSum>,
    /// The rows of each cell that a thread has come to, whatever became of them.
    seen: BTreeMap<CellKey, u64>,
}

impl Sums {
    /// The sum of a cell.
    pub fn sum(&mut self, cell: CellKey) -> &mut CellSum {
        self.by_cell.entry(cell).or_default()
    }

    /// Counts rows of a cell that a thread has come to.
    pub fn see(&mut self, cell: CellKey, rows: u64) {
        *self.seen.entry(cell).or_default() += rows;
    }

    pub fn merge(&mut self, other: Sums) {
        other.by_cell.into_iter().for_each(|(cell, sum)| self.take(cell, sum));
        for (cell, rows) in other.seen {
            self.see(cell, rows);
        }
    }

    /// Holds the counts of every cell against each other: what was judged has a verdict, and of a whole campaign each selected row
    /// has been come to, and was judged, has no case, or is not run because the kernel was given up on.
    ///
    /// # Errors
    /// They do not add up: cases were lost on the way, and nothing that was measured can be relied on.
    pub fn check(&self, plan: &Plan, planned: &[Vec<Planned>], own: &OwnRows, complete: bool) -> Result<()> {
        let nothing = Counts::default();
        for (key, rows) in keys(planned, own) {
            let (kernel, op, dtype, source) = key;
            let counts = self.by_cell.get(&key).map_or(&nothing, |sum| &sum.counts);
            let selected = rows.end - rows.start;
            // A search makes its rows itself, and may end before it has made all.
            let is_search = plan.search_place() == Some(source);
            let seen = if is_search { counts.rows } else { self.seen.get(&key).copied().unwrap_or(0) };
            let judged: u64 = counts.verdicts.iter().sum();
            let may_be_given_up = plan.kernels[kernel].supervised().is_some();
            let adds_up = judged == counts.cases
                && counts.cases + counts.without == counts.rows
                && (counts.rows == seen || (may_be_given_up && counts.rows < seen))
                && (seen == selected || (seen < selected && (is_search || !complete)));
            if !adds_up {
                return Err(Error::harness(format!(
                    "the counts of {} {} {} {} do not add up: {selected} rows selected, {seen} come to, {} judged, {judged} with a \
                     verdict, {} without a case; this is a fault of logitfuzz, please report it",
                    plan.kernels[kernel].name(),
                    plan.ops[op],
                    plan.dtypes[dtype],
                    plan.family(source),
                    counts.cases,
                    counts.without
                )));
            }
        }
        Ok(())
    }

    /// Adds a sum of a cell.
    pub fn take(&mut self, cell: CellKey, sum: CellSum) {
        self.sum(cell).merge(sum);
    }

    /// Of each distinct failure the first case, in the order of sources and indices.
    pub fn failures(&self) -> BTreeMap<FailureKey, FirstFailure> {
        let mut first: BTreeMap<FailureKey, FirstFailure> = BTreeMap::new();
        // Cells are sorted by source last, so of the same failure the first source comes first.
        for (&(kernel, op, dtype, source), sum) in &self.by_cell {
            for (&(verdict, shape), Failing { index, case, seen, worst }) in &sum.failures {
                let worst = worst.as_ref().map(|(index, worst)| (source, *index, worst.clone()));
                match first.entry((kernel, op, dtype, verdict, shape)) {
                    Entry::Vacant(place) => {
                        place.insert(FirstFailure {
                            source,
                            index: *index,
                            case: case.clone(),
                            seen: seen.clone(),
                            worst,
                        });
                    }
                    Entry::Occupied(mut known) => {
                        // The first of those that are as bad.
                        let known = &mut known.get_mut().worst;
                        let error =
                            |worst: &Option<(usize, u64, WorstFailure)>| worst.as_ref().map(|worst| worst.2.error);
                        if error(&worst) > error(known) {
                            *known = worst;
                        }
                    }
                }
            }
        }
        first
    }

    pub fn cells(&self, plan: &Plan, planned: &[Vec<Planned>], own: &OwnRows) -> Vec<Cell> {
        let empty = Counts::default();
        let cell = |(key, rows): (CellKey, &Range<u64>)| {
            let (kernel, op, dtype, source) = key;
            let counts = self.by_cell.get(&key).map_or(&empty, |sum| &sum.counts);
            Cell {
                kernel: plan.kernels[kernel].name().to_owned(),
                op: plan.ops[op],
                dtype: plan.dtypes[dtype],
                family: plan.family(source).to_owned(),
                cases: counts.cases,
                not_run: rows.end - rows.start - counts.rows,
                outputs: counts.outputs,
                verdicts: counts.verdict_counts(),
                first_failing: counts.first_failing,
                grades: counts.grade_counts(),
                max_ulp: counts.max_ulp,
                max_ratio: counts.max_ratio,
                max_strict_ratio: counts.max_strict_ratio,
                mean_signed_ulp: counts.mean_signed_ulp(),
                ulp_histogram: counts.ulp_histogram(),
                worst: counts.worst_text(),
            }
        };
        keys(planned, own).into_iter().map(cell).collect()
    }

    /// Of each cell of which other shards have rows, too, those that are this one's, and what its figures do not show.
    pub fn ranges(
        &self,
        plan: &Plan,
        planned: &[Vec<Planned>],
        own: &OwnRows,
        split: &BTreeMap<String, u64>,
    ) -> Vec<CellRange> {
        let empty = Counts::default();
        let range = |(key, rows): (CellKey, &Range<u64>)| {
            let (kernel, op, dtype, source) = key;
            let counts = self.by_cell.get(&key).map_or(&empty, |sum| &sum.counts);
            CellRange {
                kernel: plan.kernels[kernel].name().to_owned(),
                op: plan.ops[op],
                dtype: plan.dtypes[dtype],
                family: plan.family(source).to_owned(),
                from: rows.start,
                until: rows.end,
                signed_sum: counts.signed_sum,
                worst: counts.worst_case(),
            }
        };
        let is_split = |(key, _): &(CellKey, &Range<u64>)| split.contains_key(plan.family(key.3));
        keys(planned, own).into_iter().filter(is_split).map(range).collect()
    }

    /// What the kernels declare, where it is more than nothing, with the passes that needed it.
    pub fn declared(&self, plan: &Plan, planned: &[Vec<Planned>]) -> Vec<Declared> {
        let mut declared = Vec::new();
        for (dtype, planned) in planned.iter().enumerate() {
            for function in planned {
                let (op, kernel) = (plan.ops[function.op], &plan.kernels[function.kernel]);
                let declaration = Declaration::of(kernel.as_ref(), op, plan.dtypes[dtype], function.claims.clone());
                if declaration == Declaration::of_claims(Claims::default()) {
                    continue;
                }
                let cells = (0..plan.families().count()).map(|source| (function.kernel, function.op, dtype, source));
                let needed = cells.filter_map(|cell| self.by_cell.get(&cell)).map(|sum| sum.counts.needed).sum();
                let kernel = kernel.name().to_owned();
                let place = (function.kernel, function.op, dtype);
                declared.push((place, Declared { kernel, op, dtype: plan.dtypes[dtype], declaration, needed }));
            }
        }
        declared.sort_by_key(|(place, _)| *place);
        declared.into_iter().map(|(_, declared)| declared).collect()
    }

    /// The curves, each with the points that it was made of.
    pub fn curves(self, plan: &Plan) -> Vec<(Curve, CurvePoints)> {
        let mut curves = BTreeMap::<_, CurvePoints>::new();
        for ((kernel, op, dtype, _), sum) in self.by_cell {
            curves.entry((kernel, op, dtype)).or_default().merge(sum.curve);
        }
        let curve = |((kernel, op, dtype), chosen): ((usize, usize, usize), CurvePoints)| {
            let points = chosen.clone().into_points();
            let kernel = plan.kernels[kernel].name().to_owned();
            (Curve { kernel, op: plan.ops[op], dtype: plan.dtypes[dtype], points }, chosen)
        };
        curves.into_iter().map(curve).collect()
    }
}

/// What one piece of the work gave on kernels that may crash: for each cell, sums in the order of its cases, all but the last of
/// which end with a crash or a hang.
#[derive(Default)]
pub(super) struct PieceSums {
    by_cell: BTreeMap<CellKey, Vec<CellSum>>,
}

impl PieceSums {
    /// The sum that the next case of the cell belongs to.
    pub fn current(&mut self, cell: CellKey) -> &mut CellSum {
        let sums = self.by_cell.entry(cell).or_default();
        if sums.is_empty() {
            sums.push(CellSum::default());
        }
        let last = sums.len() - 1;
        &mut sums[last]
    }

    /// Ends the present sum of the cell with a crash or a hang.
    pub fn close(&mut self, cell: CellKey, fault: Fault) {
        self.current(cell).end = Some(fault);
        self.by_cell.entry(cell).or_default().push(CellSum::default());
    }
}

/// Pieces on their way into the sums, in their order.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<Settling>,
}

#[derive(Default)]
struct Settling {
    /// The number of the piece that is settled next.
    next: u64,
    /// Pieces that were finished before it.
    waiting: BTreeMap<u64, PieceSums>,
    settled: Sums,
    /// Crashes and hangs so far.
    faults: BTreeMap<CellKey, u64>,
    /// Hangs so far of each function: kernel, op, dtype.
    hangs: BTreeMap<(usize, usize, usize), u64>,
}

impl Queue {
    /// Whether the kernel has been given up on in this cell by an earlier piece.
    pub fn is_given_up(&self, cell: CellKey) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_given_up(cell)
    }

    /// Hands in a piece. It counts once all pieces before it have.
    pub fn settle(&self, number: u64, piece: PieceSums) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(number, piece);
        let mut next = state.next;
        while let Some(piece) = state.waiting.remove(&next) {
            next += 1;
            state.take(piece);
        }
        state.next = next;
    }

    /// Everything that was settled.
    pub fn into_sums(self) -> Sums {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).settled
    }
}

impl Settling {
    fn is_given_up(&self, cell: CellKey) -> bool {
        let (kernel, op, dtype, _) = cell;
        self.faults.get(&cell).is_some_and(|&faults| faults >= MOST_FAULTS)
            || self.hangs.get(&(kernel, op, dtype)).is_some_and(|&hangs| hangs >= MOST_HANGS)
    }

    fn take(&mut self, piece: PieceSums) {
        for (cell, sums) in piece.by_cell {
            for sum in sums {
                if self.is_given_up(cell) {
                    break;
                }
                if let Some(fault) = sum.end {
                    *self.faults.entry(cell).or_default() += 1;
                    let (kernel, op, dtype, _) = cell;
                    *self.hangs.entry((kernel, op, dtype)).or_default() += u64::from(fault == Fault::Hang);
                }
                self.settled.sum(cell).merge(sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;
    use crate::kernel::builtin;
    use crate::op::Op;
    use std::sync::Arc;

    #[test]
    fn counts_that_do_not_add_up_are_an_error() {
        let mut plan = Plan::new(vec![Arc::new(builtin::find("shifted").unwrap())]);
        (plan.ops, plan.dtypes, plan.cases) = (vec![Op::SOFTMAX], vec![Dtype::F32], 10);
        plan.sources.truncate(1);
        let planned = Planned::all(&plan).unwrap();
        let check = |rows: u64, without: u64, cases: u64, verdicts: u64, seen: u64, complete: bool| {
            let (mut sums, cell) = (Sums::default(), (0, 0, 0, 0));
            let counts = &mut sums.sum(cell).counts;
            (counts.rows, counts.without, counts.cases) = (rows, without, cases);
            counts.verdicts[Verdict::Pass as usize] = verdicts;
            sums.see(cell, seen);
            sums.check(&plan, &planned, &plan.own_rows(), complete)
        };
        assert!(check(10, 2, 8, 8, 10, true).is_ok());
        assert!(check(7, 2, 5, 5, 7, false).is_ok());
        for (why, wrong) in [
            ("a case without a verdict", check(10, 2, 8, 7, 10, true)),
            ("a row neither judged nor without a case", check(10, 1, 8, 8, 10, true)),
            ("a row that was come to and left out", check(9, 1, 8, 8, 10, true)),
            ("a row that nobody came to", check(9, 1, 8, 8, 9, true)),
            ("a row too many", check(11, 2, 9, 9, 11, false)),
        ] {
            let error = wrong.expect_err(why).to_string();
            assert!(
                error.contains("shifted softmax f32") && error.contains("do not add up: 10 rows selected"),
                "{error}"
            );
        }
        assert!(Sums::default().check(&plan, &planned, &plan.own_rows(), true).is_err(), "nothing at all");
    }
}
