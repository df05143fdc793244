//! What a campaign brings in, cell by cell, and the point at which a kernel is given up on.
//!
//! A *lot* is what some cases of a cell gave: counts, a curve, the first failures. Lots of one cell merge in any order to the same.
//!
//! A kernel that runs in a process of its own may crash or hang, and after [`MOST_FAULTS`] of that in a cell, counted in the order
//! of its cases, the rest of the cell is not run. Threads work on several pieces of a cell at once, so what they find is settled
//! in the order of the pieces: each piece brings for each cell a sequence of lots that end with a crash or a hang, and those
//! after the last one allowed are thrown away. So the results do not depend on the number of threads.

use super::tally::{CurveTally, Tally};
use super::{Desk, Plan, Shape};
use crate::case::Case;
use crate::judge::Verdict;
use crate::results::{Cell, Curve};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Crashes and hangs of a kernel in one cell after which the rest of the cell is not run.
#[cfg(unix)]
pub(super) use crate::kernel::foreign::MOST_FAULTS;
#[cfg(not(unix))]
pub(super) const MOST_FAULTS: u64 = u64::MAX;

/// Indices into the plan: kernel, op, dtype, source.
pub(super) type CellKey = (usize, usize, usize, usize);

/// One distinct failure: kernel, op, dtype, verdict, shape of the row.
pub(super) type FailureKey = (usize, usize, usize, Verdict, Shape);

/// The first case that showed a failure.
#[derive(Clone)]
pub(super) struct Failure {
    pub source: usize,
    pub index: u64,
    pub case: Case,
}

/// What some cases of one cell gave.
#[derive(Default)]
pub(super) struct Lot {
    pub tally: Tally,
    pub curve: CurveTally,
    /// For each distinct failure the first case of the cell that showed it.
    failures: BTreeMap<(Verdict, Shape), (u64, Case)>,
}

impl Lot {
    /// Takes a failing case, if it is the first of its kind.
    pub fn fail(&mut self, kind: (Verdict, Shape), index: u64, case: &Case) {
        if self.failures.get(&kind).is_none_or(|kept| index < kept.0) {
            self.failures.insert(kind, (index, case.clone()));
        }
    }

    fn merge(&mut self, other: Lot) {
        self.tally.merge(other.tally);
        self.curve.merge(other.curve);
        for (kind, (index, case)) in other.failures {
            self.fail(kind, index, &case);
        }
    }
}

/// A lot for each cell.
#[derive(Default)]
pub(super) struct Harvest {
    lots: BTreeMap<CellKey, Lot>,
}

impl Harvest {
    pub fn lot(&mut self, cell: CellKey) -> &mut Lot {
        self.lots.entry(cell).or_default()
    }

    pub fn merge(&mut self, other: Harvest) {
        other.lots.into_iter().for_each(|(cell, lot)| self.take(cell, lot));
    }

    /// Adds a lot of a cell.
    pub fn take(&mut self, cell: CellKey, lot: Lot) {
        self.lot(cell).merge(lot);
    }

    /// Of each distinct failure the first case, in the order of sources and indices.
    pub fn failures(&self) -> BTreeMap<FailureKey, Failure> {
        let mut first = BTreeMap::new();
        // Cells are sorted by source last, so of the same failure the first source comes first.
        for (&(kernel, op, dtype, source), lot) in &self.lots {
            for (&(verdict, shape), (index, case)) in &lot.failures {
                let failure = || Failure { source, index: *index, case: case.clone() };
                first.entry((kernel, op, dtype, verdict, shape)).or_insert_with(failure);
            }
        }
        first
    }

    pub fn cells(&self, plan: &Plan, desks: &[Vec<Desk>]) -> Vec<Cell> {
        let mut keys: Vec<CellKey> = Vec::new();
        for (dtype, desks) in desks.iter().enumerate() {
            for desk in desks {
                let sources = (0..plan.sources.len()).filter(|&source| plan.owns(dtype, source));
                keys.extend(sources.map(|source| (desk.kernel, desk.op, dtype, source)));
            }
        }
        keys.sort_unstable();
        let empty = Tally::default();
        let cell = |key: CellKey| {
            let (kernel, op, dtype, source) = key;
            let tally = self.lots.get(&key).map_or(&empty, |lot| &lot.tally);
            Cell {
                kernel: plan.kernels[kernel].name().to_owned(),
                op: plan.ops[op],
                dtype: plan.dtypes[dtype],
                family: plan.sources[source].name().to_owned(),
                cases: tally.cases,
                not_run: plan.sources[source].rows(plan.cases) - tally.rows,
                outputs: tally.outputs,
                verdicts: tally.verdict_counts(),
                first_failing: tally.first_failing,
                grades: tally.grade_counts(),
                max_ulp: tally.max_ulp,
                max_ratio: tally.max_ratio,
                mean_signed_ulp: tally.mean_signed_ulp(),
                ulp_histogram: tally.ulp_histogram(),
                worst: tally.worst_text(),
            }
        };
        keys.into_iter().map(cell).collect()
    }

    /// The curves, each with the tally that it was made of.
    pub fn curves(self, plan: &Plan) -> Vec<(Curve, CurveTally)> {
        let mut curves = BTreeMap::<_, CurveTally>::new();
        for ((kernel, op, dtype, _), lot) in self.lots {
            curves.entry((kernel, op, dtype)).or_default().merge(lot.curve);
        }
        let curve = |((kernel, op, dtype), tally): ((usize, usize, usize), CurveTally)| {
            let points = tally.clone().into_points();
            let kernel = plan.kernels[kernel].name().to_owned();
            (Curve { kernel, op: plan.ops[op], dtype: plan.dtypes[dtype], points }, tally)
        };
        curves.into_iter().map(curve).collect()
    }
}

/// What one piece of the work gave on kernels that may crash: for each cell, lots in the order of its cases, all but the last of
/// which end with a crash or a hang.
#[derive(Default)]
pub(super) struct Lots {
    by_cell: BTreeMap<CellKey, Vec<Lot>>,
}

impl Lots {
    /// The lot that the next case of the cell belongs to.
    pub fn current(&mut self, cell: CellKey) -> &mut Lot {
        let lots = self.by_cell.entry(cell).or_default();
        if lots.is_empty() {
            lots.push(Lot::default());
        }
        let last = lots.len() - 1;
        &mut lots[last]
    }

    /// Ends the present lot of the cell with a crash or a hang.
    pub fn close(&mut self, cell: CellKey) {
        self.by_cell.entry(cell).or_default().push(Lot::default());
    }
}

/// Pieces on their way into the harvest, in their order.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of the piece that is settled next.
    next: u64,
    /// Pieces that were finished before it.
    waiting: BTreeMap<u64, Lots>,
    settled: Harvest,
    /// Crashes and hangs so far.
    faults: BTreeMap<CellKey, u64>,
}

impl Queue {
    /// Whether the kernel has been given up on in this cell by an earlier piece.
    pub fn is_given_up(&self, cell: CellKey) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_given_up(cell)
    }

    /// Hands in a piece. It counts once all pieces before it have.
    pub fn settle(&self, chunk: u64, lots: Lots) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(chunk, lots);
        let mut next = state.next;
        while let Some(lots) = state.waiting.remove(&next) {
            next += 1;
            state.take(lots);
        }
        state.next = next;
    }

    /// Everything that was settled.
    pub fn into_harvest(self) -> Harvest {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).settled
    }
}

impl State {
    fn is_given_up(&self, cell: CellKey) -> bool {
        self.faults.get(&cell).is_some_and(|&faults| faults >= MOST_FAULTS)
    }

    fn take(&mut self, lots: Lots) {
        for (cell, lots) in lots.by_cell {
            let faults = lots.len() as u64 - 1;
            let left = MOST_FAULTS - *self.faults.entry(cell).or_default();
            for lot in lots.into_iter().take(left as usize) {
                self.settled.lot(cell).merge(lot);
            }
            *self.faults.entry(cell).or_default() += faults.min(left);
        }
    }
}
