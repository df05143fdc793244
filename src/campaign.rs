//! The campaign: cases go through kernels, in parallel, and come out as counts and findings.
//!
//! The unit of work is a row of logits: its cases for all ops are made, the truth of each is computed once, and every kernel is
//! run and judged on it. Rows are independent, and counts merge in any order to the same numbers, so the results do not depend
//! on the number of threads. Memory does not grow with the number of cases: of a failing case only the first of each
//! distinct (kernel, op, dtype, verdict, shape of the row) is kept, and at the end it is shrunk and diagnosed.
//!
//! A kernel in a process of its own gets the cases of many rows as one batch. One that crashes or hangs too often in a cell is
//! given up on there, at the same case whatever the number of threads (`sums`).

use crate::case::Case;
use crate::dtype::{Dtype, exponent};
use crate::error::{Error, Result};
use crate::fenv::{self, Standard};
use crate::generate::file::{FILE_FAMILY, Rows};
use crate::generate::{self, Family};
use crate::kernel::{self, Claims, Kernel, Outcome, Special};
use crate::op::Op;
use crate::oracle::Oracle;
use crate::outside;
use crate::quiet::PanicHook;
use crate::results::{self, Provenance, Results, Settings};
use crate::trial::Trial;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use sums::{CellKey, FailureKey, FirstFailure, PieceSums, Queue, Sums};

mod counts;
mod finding;
mod search;
mod shard;
mod sums;

pub use crate::results::{CurvePart, Kept, Part, Shape, Shard};
pub use search::SEARCH_FAMILY;
pub use shard::merge;

/// The longest row by default: a large vocabulary, and past the reach of an index of 16 bits.
pub const DEFAULT_MAX_LEN: usize = 1 << 17;

/// The longest row that the slow families make when they are asked for.
pub const SLOW_MAX_LEN: usize = 1 << 25;

/// Rows that a thread takes at a time: few enough to share the work evenly.
const ROWS_AT_A_TIME: u64 = 8;

/// The most of them where a kernel runs in a process of its own: an exchange with it costs as much as judging several short rows.
const ROWS_AT_A_TIME_SUPERVISED: u64 = 256;

/// Pieces that each thread gets at least then, if there are rows enough, so that the shares are even.
const LEAST_PIECES: u64 = 4;

/// The most threads, unless there are more cores: beyond, starting them is all that happens.
const MOST_THREADS: usize = 1024;

/// Logits of the rows of one batch after which no further row joins it: what is in memory at once stays small.
const LOGITS_AT_A_TIME: usize = 1 << 14;

/// What to run: the selection, the amount of work, and the policy.
pub struct Plan {
    /// The kernels, in the order of the report.
    pub kernels: Vec<Arc<dyn Kernel>>,
    /// The ops, in the order of the report.
    pub ops: Vec<Op>,
    /// The dtypes, in the order of the report.
    pub dtypes: Vec<Dtype>,
    /// Where the rows come from, in the order of the report.
    pub sources: Vec<Source>,
    /// The seed of all random streams.
    pub seed: u64,
    /// Cases for each cell. Rows from a file are run once each whatever this is.
    pub cases: u64,
    /// The longest row generated.
    pub max_len: usize,
    /// Threads; 0 for as many as there are cores. There are never more than pieces of work.
    pub jobs: usize,
    /// The preset of special values for all kernels; otherwise each kernel's own.
    pub special: Option<Special>,
    /// Claims for all kernels, on top of each kernel's own, as `--claims` takes them.
    pub claims: Option<String>,
    /// The share of the work to do; all of it if there is none. Its results are to be merged with those of the other shares.
    pub shard: Option<Shard>,
}

/// Where rows come from.
#[derive(Clone)]
pub enum Source {
    /// A family of the registry.
    Family(Family),
    /// A user's own rows: the family `file`.
    File(Arc<Rows>),
    /// So many cases for each (kernel, op, dtype) of a search for the largest error / bound: the family `search`. Each kernel has
    /// cases of its own.
    Search(u64),
}

impl Source {
    /// The name of the family.
    pub fn name(&self) -> &'static str {
        match self {
            Source::Family(family) => family.name(),
            Source::File(_) => FILE_FAMILY,
            Source::Search(_) => SEARCH_FAMILY,
        }
    }

    fn rows(&self, cases: u64) -> u64 {
        match self {
            Source::Family(_) => cases,
            Source::File(rows) => rows.len() as u64,
            Source::Search(steps) => *steps,
        }
    }

    fn row(&self, plan: &Plan, dtype: Dtype, index: u64) -> (Vec<f64>, Option<usize>) {
        match self {
            Source::Family(family) => (generate::row(*family, dtype, plan.seed, index, plan.max_len), None),
            Source::File(rows) => {
                let target = rows.targets.as_ref().map(|targets| targets[index as usize]);
                (rows.row(index as usize, dtype), target)
            }
            Source::Search(_) => unreachable!("a search has no rows of its own"),
        }
    }
}

impl Plan {
    /// A plan for these kernels with everything else at its default: all ops, dtypes and quick families, 200 cases a cell.
    pub fn new(kernels: Vec<Arc<dyn Kernel>>) -> Self {
        let quick = Family::all().iter().copied().filter(|family| !family.is_slow());
        Self {
            kernels,
            ops: Op::ALL.to_vec(),
            dtypes: Dtype::ALL.to_vec(),
            sources: quick.map(Source::Family).collect(),
            seed: 0,
            cases: 200,
            max_len: DEFAULT_MAX_LEN,
            jobs: 0,
            special: None,
            claims: None,
            shard: None,
        }
    }

    /// The claims of a kernel under this plan.
    ///
    /// # Errors
    /// Claims that cannot be read, or that no kernel may make ([`Claims::check`]).
    pub fn claims_of(&self, kernel: &dyn Kernel, op: Op, dtype: Dtype) -> Result<Claims> {
        let mut claims = kernel.claims(op, dtype);
        if let Some(text) = &self.claims {
            claims.set(text)?;
        }
        if let Some(special) = self.special {
            claims.special = special;
        }
        let of = |error| Error::usage(format!("the kernel {}, {op} in {dtype}: {error}", kernel.name()));
        claims.check(dtype).map_err(of)?;
        Ok(claims)
    }

    /// Why the results are not whole, if a kernel cannot be run any more for a reason that is not its own.
    pub fn trouble(&self) -> Option<Error> {
        self.kernels.iter().find_map(|kernel| kernel::trouble(kernel.as_ref()))
    }

    pub(crate) fn settings(&self) -> Settings {
        let file = self.sources.iter().find_map(|source| match source {
            Source::File(rows) => Some(results::FileRows { rows: rows.len(), checksum: rows.checksum() }),
            Source::Family(_) | Source::Search(_) => None,
        });
        Settings {
            seed: self.seed,
            cases: self.cases,
            max_len: self.max_len,
            kernels: self.kernels.iter().map(|kernel| kernel.name().to_owned()).collect(),
            ops: self.ops.clone(),
            dtypes: self.dtypes.clone(),
            families: self.sources.iter().map(|source| source.name().to_owned()).collect(),
            special: self.special.map(|special| special.name().to_owned()),
            claims: self.claims.clone(),
            file,
            search: self.searches().map(|(_, steps)| steps).next().unwrap_or(0),
        }
    }

    /// The searches among the sources: the place and the cases of each.
    fn searches(&self) -> impl Iterator<Item = (usize, u64)> {
        self.sources.iter().enumerate().filter_map(|(place, source)| match source {
            Source::Search(steps) => Some((place, *steps)),
            _ => None,
        })
    }

    fn provenance(&self) -> Provenance {
        let version = |kernel: &Arc<dyn Kernel>| Some((kernel.name().to_owned(), kernel.version()?.to_owned()));
        Provenance { libraries: self.kernels.iter().filter_map(version).collect(), ..provenance() }
    }

    /// Every pair of a dtype and a source of rows of this shard, as indices, with the number of its rows.
    fn units(&self) -> Vec<(usize, usize, u64)> {
        let rows = || self.sources.iter().enumerate().filter(|(_, source)| !matches!(source, Source::Search(_)));
        let each = |dtype: usize| rows().map(move |(source, from)| (dtype, source, from.rows(self.cases)));
        (0..self.dtypes.len()).flat_map(each).filter(|&(dtype, source, _)| self.owns(dtype, source)).collect()
    }

    /// Whether the rows of a source in a dtype, both as indices, are this shard's.
    fn owns(&self, dtype: usize, source: usize) -> bool {
        self.shard.is_none_or(|shard| shard.owns(dtype * self.sources.len() + source))
    }
}

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
    let pieces = rows.div_ceil(ROWS_AT_A_TIME) + searches.len() as u64;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(asked.min(usize::try_from(pieces).unwrap_or(asked)).max(1))
        .build()
        .map_err(|error| Error::harness(format!("cannot start the worker threads: {error}; try fewer with --jobs")))?;
    let _quiet = PanicHook::install();
    let is_supervised = plan.kernels.iter().any(|kernel| kernel.supervised().is_some());
    let even = rows / (LEAST_PIECES * pool.current_num_threads() as u64);
    let at_a_time = if is_supervised { even.clamp(ROWS_AT_A_TIME, ROWS_AT_A_TIME_SUPERVISED) } else { ROWS_AT_A_TIME };
    let chunks = Chunks::new(&units, at_a_time);
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
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks.len() {
                break;
            }
            let (dtype, source, rows) = chunks.get(chunk);
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
            queue.settle(chunk, piece);
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

/// The versions that results depend on, without those of libraries under test.
pub fn provenance() -> Provenance {
    Provenance {
        libraries: BTreeMap::new(),
        logitfuzz: env!("CARGO_PKG_VERSION").to_owned(),
        generators: generate::VERSION,
        mpfr: crate::oracle::mpfr_version(),
    }
}

/// All rows in pieces. A piece is found by its number, so their count costs no memory.
struct Chunks<'a> {
    units: &'a [(usize, usize, u64)],
    /// For each unit the number of pieces before its end.
    ends: Vec<u64>,
    /// Rows of a piece.
    size: u64,
}

impl<'a> Chunks<'a> {
    fn new(units: &'a [(usize, usize, u64)], size: u64) -> Self {
        let mut end = 0;
        let ends = units.iter().map(|unit| {
            end += unit.2.div_ceil(size);
            end
        });
        Self { units, ends: ends.collect(), size }
    }

    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The dtype, the source and the rows of a piece.
    fn get(&self, chunk: u64) -> (usize, usize, Range<u64>) {
        let unit = self.ends.partition_point(|&end| end <= chunk);
        let (dtype, source, rows) = self.units[unit];
        let before = if unit == 0 { 0 } else { self.ends[unit - 1] };
        let from = (chunk - before) * self.size;
        (dtype, source, from..rows.min(from + self.size))
    }
}

/// A kernel on one op in one dtype, with what it claims there.
struct Planned {
    kernel: usize,
    op: usize,
    claims: Claims,
}

impl Planned {
    /// For each dtype of the plan, the kernels that implement each op; by op, so that its truth is made once.
    fn all(plan: &Plan) -> Result<Vec<Vec<Planned>>> {
        plan.dtypes
            .iter()
            .map(|&dtype| {
                let mut planned = Vec::new();
                for (op_index, &op) in plan.ops.iter().enumerate() {
                    for (index, kernel) in
                        plan.kernels.iter().enumerate().filter(|(_, kernel)| kernel.supports(op, dtype))
                    {
                        planned.push(Planned {
                            kernel: index,
                            op: op_index,
                            claims: plan.claims_of(kernel.as_ref(), op, dtype)?,
                        });
                    }
                }
                Ok(planned)
            })
            .collect()
    }
}

/// What the rows of one dtype and one source have in common.
struct Unit<'a> {
    plan: &'a Plan,
    planned: &'a [Planned],
    dtype: usize,
    source: usize,
}

/// A row with its cases.
struct RowCases {
    index: u64,
    logits: Arc<[f64]>,
    /// For each op of the plan the case, where it has one.
    cases: Vec<Option<Case>>,
}

impl Unit<'_> {
    /// The next rows, with their cases: as many as make one batch.
    fn next_batch(&self, indices: &mut impl Iterator<Item = u64>) -> Result<Vec<RowCases>> {
        let (mut batch, mut logits) = (Vec::new(), 0);
        for index in indices {
            let row = self.row(index)?;
            logits += row.logits.len();
            batch.push(row);
            if logits >= LOGITS_AT_A_TIME {
                break;
            }
        }
        Ok(batch)
    }

    fn row(&self, index: u64) -> Result<RowCases> {
        let (plan, source) = (self.plan, &self.plan.sources[self.source]);
        let dtype = plan.dtypes[self.dtype];
        if self.planned.is_empty() {
            return Ok(RowCases { index, logits: Arc::new([]), cases: Vec::new() });
        }
        let (logits, target) = source.row(plan, dtype, index);
        let logits: Arc<[f64]> = logits.into();
        let case = |(place, &op): (usize, &Op)| {
            if !self.planned.iter().any(|function| function.op == place) {
                return Ok(None);
            }
            generate::case(op, dtype, source.name(), plan.seed, index, logits.clone(), target)
        };
        let cases = plan.ops.iter().enumerate().map(case).collect::<Result<_>>()?;
        Ok(RowCases { index, logits, cases })
    }

    fn cell(&self, function: &Planned) -> CellKey {
        (function.kernel, function.op, self.dtype, self.source)
    }

    /// Lets the kernels in processes of their own run all rows of a batch: for each row and function the outcome, where it is one
    /// of theirs and was not given up on.
    fn ask(&self, batch: &[RowCases], queue: &Queue) -> Vec<Vec<Option<Outcome>>> {
        let mut answers: Vec<Vec<Option<Outcome>>> = batch.iter().map(|_| vec![None; self.planned.len()]).collect();
        for (index, kernel) in self.plan.kernels.iter().enumerate() {
            let Some(supervised) = kernel.supervised() else { continue };
            let mine = self.planned.iter().enumerate().filter(|(_, function)| function.kernel == index);
            let mine: Vec<(usize, &Planned)> =
                mine.filter(|(_, function)| !queue.is_given_up(self.cell(function))).collect();
            let (mut places, mut cases) = (Vec::new(), Vec::new());
            for (row_place, row) in batch.iter().enumerate() {
                for &(function_place, function) in &mine {
                    if let Some(case) =
                        row.cases[function.op].as_ref().filter(|case| kernel::accepts(kernel.as_ref(), case))
                    {
                        places.push((row_place, function_place));
                        cases.push(case);
                    }
                }
            }
            if !cases.is_empty() {
                for ((row, function), outcome) in places.into_iter().zip(supervised.run_batch(&cases)) {
                    answers[row][function] = Some(outcome);
                }
            }
        }
        answers
    }

    /// Judges one row on all ops and kernels. What in-process kernels did goes into `sums`, what the others did into those of the piece.
    fn judge(
        &self,
        row: &RowCases,
        mut answers: Vec<Option<Outcome>>,
        oracle: &mut Oracle,
        sums: &mut Sums,
        piece: &mut PieceSums,
    ) {
        let size = row_size(&row.logits);
        let mut places = 0..;
        for planned in self.planned.chunk_by(|a, b| a.op == b.op) {
            let mut trial = row.cases[planned[0].op].as_ref().map(Trial::new);
            for (function, place) in planned.iter().zip(places.by_ref()) {
                let kernel = self.plan.kernels[function.kernel].as_ref();
                let cell = self.cell(function);
                let is_supervised = kernel.supervised().is_some();
                let trial = trial.as_mut().filter(|trial| kernel::accepts(kernel, trial.case()));
                let judgement = match (trial, is_supervised) {
                    // The kernel has no case here.
                    (None, _) => None,
                    (Some(trial), false) => Some((trial.judge(oracle, kernel, &function.claims), trial)),
                    (Some(trial), true) => match answers[place].take() {
                        // Given up on: not a row of the cell.
                        None | Some(Outcome::NotRun) => continue,
                        Some(outcome) => Some((trial.judge_outcome(oracle, kernel, &function.claims, &outcome), trial)),
                    },
                };
                let sum = if is_supervised { piece.current(cell) } else { sums.sum(cell) };
                sum.counts.rows += 1;
                let Some((judgement, trial)) = judgement else {
                    sum.counts.without += 1;
                    continue;
                };
                sum.counts.add(row.index, trial.case(), &judgement);
                if let Some(size) = size {
                    counts::add_to_curve(&mut sum.curve, size, &judgement);
                }
                let fatal = judgement.verdict.fault().filter(|fault| is_supervised && fault.is_fatal());
                if judgement.verdict.is_failure() {
                    let class = trial.truth(oracle, function.claims.special).class;
                    sum.fail(class, row.index, trial.case(), judgement);
                }
                if let Some(fault) = fatal {
                    piece.close(cell, fault);
                }
            }
        }
    }
}

/// `floor(log2)` of the largest finite |logit|; none where no logit is finite.
fn row_size(logits: &[f64]) -> Option<i32> {
    /// Below the exponent of every non-zero number.
    const ZERO: i32 = -1075;
    let size = logits.iter().filter(|z| z.is_finite()).map(|z| z.abs()).reduce(f64::max)?;
    Some(if size == 0.0 { ZERO } else { exponent(size) })
}

#[cfg(test)]
mod tests {
    use super::Chunks;

    #[test]
    fn pieces_cover_every_row_once() {
        const PIECE: u64 = 8;
        let units = [(0, 0, 2 * PIECE + 1), (0, 1, 0), (0, 2, PIECE), (1, 0, 1), (1, 1, u64::MAX / 2)];
        let chunks = Chunks::new(&units, PIECE);
        // The first four units have 3, 0, 1 and 1 pieces.
        for &(dtype, source, rows) in &units[..4] {
            let mine = (0..5).map(|chunk| chunks.get(chunk)).filter(|chunk| (chunk.0, chunk.1) == (dtype, source));
            assert_eq!(mine.flat_map(|chunk| chunk.2).collect::<Vec<_>>(), (0..rows).collect::<Vec<_>>());
        }
        assert_eq!(chunks.get(5), (1, 1, 0..PIECE));
        let (.., last) = chunks.get(chunks.len() - 1);
        assert_eq!(last.end, u64::MAX / 2);
    }
}
