//! The campaign: cases go through kernels, in parallel, and come out as counts and findings.
//!
//! The unit of work is a row of logits: its cases for all ops are made, the truth of each is computed once, and every kernel is
//! run and judged on it. Rows are independent, and counts merge in any order to the same numbers, so the results do not depend
//! on the number of threads. Memory does not grow with the number of cases: of a failing case only the first of each
//! distinct (kernel, op, dtype, verdict, shape of the row) is kept, and at the end it is shrunk and diagnosed.
//!
//! A kernel in a process of its own gets the cases of many rows as one batch. One that crashes or hangs too often in a cell is
//! given up on there, at the same case whatever the number of threads (`sums`).

use crate::error::{Error, Result};
use crate::fenv::{self, Standard};
use crate::oracle::Oracle;
use crate::outside;
use crate::quiet::PanicHook;
use crate::results::{self, Results};
use plan::{Cells, OwnRows, Planned, UnitRows};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use sums::{PieceSums, Queue, Sums};
use unit::{Pieces, Unit};

mod counts;
mod finding;
mod plan;
mod range;
mod search;
mod shard;
mod sums;
mod unit;

pub use crate::generate::Source;
pub use crate::results::{CellRange, CurvePart, Kept, Part, Shape, Shard};
pub use plan::{DEFAULT_MAX_LEN, Plan, SEARCH_FAMILY, SLOW_MAX_LEN, provenance};
pub use shard::merge;

/// Rows that a thread takes at a time: few enough to share the work evenly.
const ROWS_AT_A_TIME: u64 = 8;

/// The most of them where a kernel runs in a process of its own: an exchange with it costs as much as judging several short rows.
const ROWS_AT_A_TIME_SUPERVISED: u64 = 256;

/// Pieces that each thread gets at least then, if there are rows enough, so that the shares are even.
const LEAST_PIECES: u64 = 4;

/// The most threads, unless there are more cores: beyond, starting them is all that happens.
pub(crate) const MOST_THREADS: usize = 1024;

/// How a campaign tells of its progress and is told to stop.
#[derive(Default)]
pub struct Control<'a> {
    /// Called with the rows done and the rows in all, from any thread.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    /// Once true, no further row is begun, and the results are marked as incomplete.
    pub stop: Option<&'a AtomicBool>,
}

impl Control<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// Runs a campaign. Where a kernel cannot be run any more for a reason that is not its own, it stops: the results are marked as
/// incomplete, and [`Plan::trouble`] says why.
///
/// # Errors
/// Nothing is selected (no kernel implements any selected op in any selected dtype, or there is no row), claims that cannot be
/// read, no threads can be had, or the counts of a cell do not add up at the end, which would be a fault of logitfuzz.
pub fn run(plan: &Plan, control: &Control) -> Result<Results> {
    let _standard = Standard::enter();
    for kernel in &plan.kernels {
        outside::check_recorded_name(kernel.name()).map_err(Error::usage)?;
    }
    plan.check_families()?;
    let planned = Planned::all(plan)?;
    if planned.iter().all(Vec::is_empty) {
        return Err(Error::nothing_selected(
            "no selected kernel implements any of the selected ops in any of the selected dtypes",
        ));
    }
    plan.check_shard()?;
    let own = plan.own_rows();
    let work = Work::new(plan, control, &planned, &own);
    if work.total == 0 {
        return Err(Error::nothing_selected("nothing to run: no family is selected, or --cases is 0"));
    }
    let pool = work.threads()?;
    let _quiet = PanicHook::install();
    let mut sums = work.judge_rows(&pool)?;
    work.search(&pool, &mut sums);
    let kept = match plan.findings {
        true => pool.install(|| finding::all(plan, &planned, &sums.failures(), control)),
        false => Vec::new(),
    };
    // Findings that were not shrunk to the end are not what a whole run gives, so stopping late counts too.
    let complete = work.is_done() && !control.is_stopped() && plan.trouble().is_none();
    sums.check(plan, &planned, &own, complete)?;
    let (settings, cells) = (plan.settings(), sums.cells(plan, &planned, &own));
    let declared = sums.declared(plan, &planned);
    let split = plan.shard.map(|shard| plan.split(shard.of)).unwrap_or_default();
    let ranges = sums.ranges(plan, &planned, &own, &split);
    let (curves, points): (Vec<_>, Vec<_>) = sums.curves(plan).into_iter().unzip();
    let shard = plan.shard.map(|shard| Part {
        shard,
        split,
        ranges,
        failures: kept.clone(),
        curves: curves.iter().zip(points).map(|(curve, points)| CurvePart::new(curve, points)).collect(),
    });
    let findings = finding::distinct(&settings, kept);
    let schema = results::SCHEMA.to_owned();
    Ok(Results { schema, complete, settings, provenance: plan.provenance(), declared, cells, findings, curves, shard })
}

/// The work of a campaign, and how much of it is done.
struct Work<'a> {
    plan: &'a Plan,
    control: &'a Control<'a>,
    /// For each dtype of the plan.
    planned: &'a [Vec<Planned>],
    /// The units of rows.
    units: Vec<UnitRows>,
    searches: Vec<Search<'a>>,
    /// Rows of units, and cases of searches.
    total: u64,
    done: AtomicU64,
}

/// A search that is to be made on one function.
struct Search<'a> {
    /// The place of the search among the families.
    family: usize,
    dtype: usize,
    function: &'a Planned,
}

impl<'a> Work<'a> {
    fn new(plan: &'a Plan, control: &'a Control<'a>, planned: &'a [Vec<Planned>], own: &OwnRows) -> Self {
        let is_search = |family: usize| plan.search_place() == Some(family);
        let units = own.iter().filter(|&(&(_, family), _)| !is_search(family));
        let units = units.map(|(&(dtype, source), rows)| UnitRows { dtype, source, rows: rows.clone() });
        let units: Vec<UnitRows> = units.collect();
        let of_dtype = |(dtype, planned): (usize, &'a Vec<Planned>)| {
            let family = plan.search_place().filter(|&family| own.contains_key(&(dtype, family)));
            let searches = family.map(|family| planned.iter().map(move |function| Search { family, dtype, function }));
            searches.into_iter().flatten()
        };
        let searches: Vec<Search> = planned.iter().enumerate().flat_map(of_dtype).collect();
        let rows: u64 = units.iter().map(UnitRows::len).sum();
        let total = rows + plan.search * searches.len() as u64;
        Self { plan, control, planned, units, searches, total, done: AtomicU64::new(0) }
    }

    fn rows(&self) -> u64 {
        self.units.iter().map(UnitRows::len).sum()
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) == self.total
    }

    /// The threads that the plan asks for, no more than have something to do.
    fn threads(&self) -> Result<ThreadPool> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let asked = if self.plan.jobs == 0 { cores } else { self.plan.jobs.min(cores.max(MOST_THREADS)) };
        let most = self.rows().div_ceil(ROWS_AT_A_TIME) + self.searches.len() as u64;
        ThreadPoolBuilder::new()
            .num_threads(asked.min(usize::try_from(most).unwrap_or(asked)).max(1))
            .build()
            .map_err(|error| Error::harness(format!("cannot start the worker threads: {error}; try fewer with --jobs")))
    }

    /// All rows in the pieces that threads take.
    fn pieces(&self, threads: usize, is_supervised: bool) -> Pieces<'_> {
        let even = self.rows() / (LEAST_PIECES * threads as u64);
        let at_a_time =
            if is_supervised { even.clamp(ROWS_AT_A_TIME, ROWS_AT_A_TIME_SUPERVISED) } else { ROWS_AT_A_TIME };
        Pieces::new(&self.units, at_a_time)
    }

    /// Runs and judges all rows of units.
    fn judge_rows(&self, pool: &ThreadPool) -> Result<Sums> {
        let Self { plan, control, planned, .. } = *self;
        let is_supervised = plan.is_supervised();
        let pieces = self.pieces(pool.current_num_threads(), is_supervised);
        let next = AtomicU64::new(0);
        let merged = Mutex::new(Sums::default());
        let queue = Queue::default();
        // A kernel is in trouble, or a case could not be made.
        let halted = AtomicBool::new(false);
        let fault = Mutex::new(None);
        let is_over = || control.is_stopped() || halted.load(Ordering::Relaxed);
        let halt = |error: Option<Error>| {
            if let Some(error) = error {
                fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            halted.store(true, Ordering::Relaxed);
        };
        // Every thread takes the next piece, so pieces are finished nearly in their order.
        pool.broadcast(|_| {
            // The thread keeps this environment for what the pool does later.
            if let Err(error) = fenv::ensure_standard() {
                halt(Some(error));
            }
            let (mut oracle, mut sums) = (plan.oracle(), Sums::default());
            while !is_over() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= pieces.len() {
                    break;
                }
                let (&UnitRows { dtype, source, .. }, rows) = pieces.get(number);
                let cells = Cells { planned: &planned[dtype], dtype, source };
                let unit = Unit { plan, cells };
                let mut piece = PieceSums::default();
                let (mut rows, mut seen) = (rows.peekable(), 0);
                while rows.peek().is_some() && !is_over() {
                    let batch = match unit.next_batch(&mut rows) {
                        Ok(batch) => batch,
                        Err(error) => {
                            halt(Some(error));
                            break;
                        }
                    };
                    let answers = unit.ask(&batch, &queue);
                    if is_supervised && plan.trouble().is_some() {
                        halt(None);
                    }
                    for (row, answers) in batch.iter().zip(answers) {
                        seen += 1;
                        unit.judge(row, answers, &mut oracle, &mut sums, &mut piece);
                        self.advance(1, 1);
                    }
                }
                queue.settle(number, piece);
                (0..cells.planned.len()).for_each(|place| sums.see(cells.cell(place), seen));
            }
            merged.lock().unwrap_or_else(PoisonError::into_inner).merge(sums);
        });
        if let Some(error) = fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut sums = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
        sums.merge(queue.into_sums());
        Ok(sums)
    }

    /// Makes all searches, and adds what they found.
    fn search(&self, pool: &ThreadPool, sums: &mut Sums) {
        let Self { plan, control, .. } = *self;
        let steps = plan.search;
        let search = |oracle: &mut Oracle, &Search { family, dtype, function }: &Search| {
            let sum = search::search(plan, function, plan.dtypes[dtype], steps, control, oracle);
            // One that gave up, or had nothing to begin with, is done as well.
            self.advance(if control.is_stopped() { sum.counts.rows } else { steps }, steps);
            ((function.kernel, function.op, dtype, family), sum)
        };
        let found: Vec<_> = pool.install(|| self.searches.par_iter().map_init(|| plan.oracle(), search).collect());
        found.into_iter().for_each(|(cell, sum)| sums.take(cell, sum));
    }

    /// Counts what was done, and shows what was reached with it.
    fn advance(&self, done: u64, reached: u64) {
        let before = self.done.fetch_add(done, Ordering::Relaxed);
        if let Some(progress) = self.control.progress {
            progress((before + reached).min(self.total), self.total);
        }
    }
}
