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
use plan::Planned;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use sums::{PieceSums, Queue, Sums};
use unit::{Pieces, Unit};

mod counts;
mod finding;
mod plan;
mod search;
mod shard;
mod sums;
mod unit;

pub use crate::results::{CurvePart, Kept, Part, Shape, Shard};
pub use plan::{DEFAULT_MAX_LEN, Plan, SEARCH_FAMILY, SLOW_MAX_LEN, Source, provenance};
pub use shard::merge;

/// Rows that a thread takes at a time: few enough to share the work evenly.
const ROWS_AT_A_TIME: u64 = 8;

/// The most of them where a kernel runs in a process of its own: an exchange with it costs as much as judging several short rows.
const ROWS_AT_A_TIME_SUPERVISED: u64 = 256;

/// Pieces that each thread gets at least then, if there are rows enough, so that the shares are even.
const LEAST_PIECES: u64 = 4;

/// The most threads, unless there are more cores: beyond, starting them is all that happens.
const MOST_THREADS: usize = 1024;

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
    let planned = Planned::all(plan)?;
    if planned.iter().all(Vec::is_empty) {
        return Err(Error::nothing_selected(
            "no selected kernel implements any of the selected ops in any of the selected dtypes",
        ));
    }
    if let Some(shard) = plan.shard {
        shard.check(plan.dtypes.len() * plan.sources.len())?;
    }
    let units = plan.units();
    let searches: Vec<(usize, usize, &Planned, u64)> = plan
        .searches()
        .flat_map(|(source, steps)| {
            let planned = planned.iter().enumerate().filter(move |(dtype, _)| plan.owns(*dtype, source));
            planned
                .flat_map(move |(dtype, planned)| planned.iter().map(move |function| (source, dtype, function, steps)))
        })
        .collect();
    let rows: u64 = units.iter().map(|unit| unit.2).sum();
    let total = rows + searches.iter().map(|search| search.3).sum::<u64>();
    if total == 0 {
        return Err(Error::nothing_selected("nothing to run: no family is selected, or --cases is 0"));
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let asked = if plan.jobs == 0 { cores } else { plan.jobs.min(cores.max(MOST_THREADS)) };
    let most = rows.div_ceil(ROWS_AT_A_TIME) + searches.len() as u64;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(asked.min(usize::try_from(most).unwrap_or(asked)).max(1))
        .build()
        .map_err(|error| Error::harness(format!("cannot start the worker threads: {error}; try fewer with --jobs")))?;
    let _quiet = PanicHook::install();
    let is_supervised = plan.kernels.iter().any(|kernel| kernel.supervised().is_some());
    let even = rows / (LEAST_PIECES * pool.current_num_threads() as u64);
    let at_a_time = if is_supervised { even.clamp(ROWS_AT_A_TIME, ROWS_AT_A_TIME_SUPERVISED) } else { ROWS_AT_A_TIME };
    let pieces = Pieces::new(&units, at_a_time);
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let merged = Mutex::new(Sums::default());
    let queue = Queue::default();
    // A kernel is in trouble, or a case could not be made.
    let halted = AtomicBool::new(false);
    let fault = Mutex::new(None);
    let is_over = || control.is_stopped() || halted.load(Ordering::Relaxed);
    // Every thread takes the next piece, so pieces are finished nearly in their order.
    let halt = |error: Option<Error>| {
        if let Some(error) = error {
            fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        halted.store(true, Ordering::Relaxed);
    };
    pool.broadcast(|_| {
        // The thread keeps this environment for what the pool does later.
        if let Err(error) = fenv::ensure_standard() {
            halt(Some(error));
        }
        let (mut oracle, mut sums) = (Oracle::new(), Sums::default());
        while !is_over() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= pieces.len() {
                break;
            }
            let (dtype, source, rows) = pieces.get(number);
            let unit = Unit { plan, planned: &planned[dtype], dtype, source };
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
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if let Some(progress) = control.progress {
                        progress(done, total);
                    }
                }
            }
            queue.settle(number, piece);
            unit.planned.iter().for_each(|function| sums.see(unit.cell(function), seen));
        }
        merged.lock().unwrap_or_else(PoisonError::into_inner).merge(sums);
    });
    if let Some(error) = fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut sums = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
    sums.merge(queue.into_sums());
    let found = pool.install(|| {
        let search = |oracle: &mut Oracle, &(source, dtype, function, steps): &(usize, usize, &Planned, u64)| {
            let sum = search::search(plan, function, plan.dtypes[dtype], steps, control, oracle);
            // One that gave up, or had nothing to begin with, is done as well.
            let done = done.fetch_add(if control.is_stopped() { sum.counts.rows } else { steps }, Ordering::Relaxed);
            if let Some(progress) = control.progress {
                progress((done + steps).min(total), total);
            }
            ((function.kernel, function.op, dtype, source), sum)
        };
        searches.par_iter().map_init(Oracle::new, search).collect::<Vec<_>>()
    });
    found.into_iter().for_each(|(cell, sum)| sums.take(cell, sum));
    let kept = pool.install(|| finding::all(plan, &planned, &sums.failures(), control));
    // Findings that were not shrunk to the end are not what a whole run gives, so stopping late counts too.
    let complete = done.into_inner() == total && !control.is_stopped() && plan.trouble().is_none();
    sums.check(plan, &planned, complete)?;
    let (settings, cells) = (plan.settings(), sums.cells(plan, &planned));
    let declared = sums.declared(plan, &planned);
    let (curves, points): (Vec<_>, Vec<_>) = sums.curves(plan).into_iter().unzip();
    let shard = plan.shard.map(|shard| Part {
        shard,
        failures: kept.clone(),
        curves: curves.iter().zip(points).map(|(curve, points)| CurvePart::new(curve, points)).collect(),
    });
    let findings = finding::distinct(&settings, kept);
    let schema = results::SCHEMA.to_owned();
    Ok(Results { schema, complete, settings, provenance: plan.provenance(), declared, cells, findings, curves, shard })
}
