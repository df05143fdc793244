//! A unit of the work: the rows of one dtype and one source, which all kernels and ops share; and the pieces in which threads take them.

use super::counts;
use super::plan::{Cells, Plan, Planned, UnitRows};
use super::sums::{PieceSums, Queue, Sums};
use crate::case::Case;
use crate::dtype::exponent;
use crate::error::Result;
use crate::generate::{self, Row};
use crate::kernel::{self, Batch, Kernel, Outcome, Supervised};
use crate::op::Op;
use crate::oracle::Oracle;
use crate::trial::{self, Answer, Trial};
use std::ops::Range;
use std::sync::Arc;

/// Of so many rows one is given to each kernel twice, to see that it answers alike.
const ROWS_PER_SECOND_CALL: u64 = 8;

/// How often a kernel is called again on a row that fails in a way that was not met before.
const CALLS_OF_A_NEW_FAILURE: usize = 4;

/// Logits of the rows of one batch after which no further row joins it: what is in memory at once stays small.
const LOGITS_AT_A_TIME: usize = 1 << 14;

/// What the rows of one dtype and one source have in common.
#[derive(Clone, Copy)]
pub(super) struct Unit<'a> {
    pub plan: &'a Plan,
    pub cells: Cells<'a>,
}

/// A row with its cases.
pub(super) struct RowCases {
    index: u64,
    logits: Arc<[f64]>,
    /// For each op of the plan the case, where it has one.
    cases: Vec<Option<Case>>,
    /// For each op of the plan the batch in which kernels that compute batches are given the case, where there is such a kernel.
    batches: Vec<Option<Arc<Batch>>>,
}

impl Unit<'_> {
    /// The next rows, with their cases: as many as make one batch.
    pub fn next_batch(&self, indices: &mut impl Iterator<Item = u64>) -> Result<Vec<RowCases>> {
        let (mut batch, mut logits) = (Vec::new(), 0);
        for index in indices {
            let row = self.row(index)?;
            let in_batches = |batch: &Arc<Batch>| batch.rows() * batch.len();
            logits += row.logits.len().max(row.batches.iter().flatten().map(in_batches).max().unwrap_or(0));
            batch.push(row);
            if logits >= LOGITS_AT_A_TIME {
                break;
            }
        }
        Ok(batch)
    }

    fn row(&self, index: u64) -> Result<RowCases> {
        let (plan, source) = (self.plan, self.plan.sources[self.cells.source].as_ref());
        let dtype = plan.dtypes[self.cells.dtype];
        if self.cells.planned.is_empty() {
            return Ok(RowCases { index, logits: Arc::new([]), cases: Vec::new(), batches: Vec::new() });
        }
        let Row { logits, target } = source.row(dtype, plan.seed, index, plan.max_len);
        let logits: Arc<[f64]> = logits.into();
        let case = |(place, &op): (usize, &Op)| {
            if !self.cells.planned.iter().any(|function| function.op == place) {
                return Ok(None);
            }
            generate::case(op, dtype, source.name(), plan.seed, index, logits.clone(), target)
        };
        let cases = plan.ops.iter().enumerate().map(case).collect::<Result<Vec<_>>>()?;
        let batch = |(place, case): (usize, &Option<Case>)| {
            let case = case.as_ref()?;
            let is_batched = |function: &Planned| {
                function.op == place && plan.kernels[function.kernel].batched(case.op(), dtype).is_some()
            };
            let is_asked = self.cells.planned.iter().any(is_batched);
            is_asked.then(|| Arc::new(generate::batch(case, source.name(), plan.seed, index)))
        };
        let batches = cases.iter().enumerate().map(batch).collect();
        Ok(RowCases { index, logits, cases, batches })
    }

    /// Lets the kernels in processes of their own run all rows of a batch: for each row and function the answer, where it is one
    /// of theirs and was not given up on.
    pub fn ask(&self, batch: &[RowCases], queue: &Queue) -> Vec<Vec<Option<Answer>>> {
        let mut answers: Vec<Vec<Option<Answer>>> =
            batch.iter().map(|_| vec![None; self.cells.planned.len()]).collect();
        for (index, kernel) in self.plan.kernels.iter().enumerate() {
            let Some(supervised) = kernel.supervised() else { continue };
            let mine = self.cells.planned.iter().enumerate().filter(|(_, function)| function.kernel == index);
            let mine: Vec<(usize, &Planned)> =
                mine.filter(|&(place, _)| !queue.is_given_up(self.cells.cell(place))).collect();
            let (mut places, mut cases) = (Vec::new(), Vec::new());
            for (row_place, row) in batch.iter().enumerate() {
                for &(function_place, function) in &mine {
                    if let Some(case) =
                        row.cases[function.op].as_ref().filter(|case| kernel::accepts(kernel.as_ref(), case))
                    {
                        let batch =
                            row.batches[function.op].as_ref().map(|batch| trial::allowed(batch, &function.claims));
                        places.push((row_place, function_place));
                        cases.push((case, batch));
                    }
                }
            }
            if cases.is_empty() {
                continue;
            }
            for ((row, function), answer) in places.iter().zip(run_all(kernel.as_ref(), supervised, &cases)) {
                answers[*row][*function] = Some(answer);
            }
            // A second call after a crash would count as another one.
            let is_again = |&((row, function), _): &(&(usize, usize), _)| {
                is_called_twice(kernel.as_ref(), batch[*row].index, &self.cells.planned[*function])
                    && matches!(answers[*row][*function], Some(Answer { outcome: Outcome::Outputs(_), .. }))
            };
            let again: Vec<_> = places.iter().zip(cases).filter(is_again).collect();
            let cases: Vec<_> = again.iter().map(|(_, case)| case.clone()).collect();
            if !cases.is_empty() {
                for (((row, function), _), second) in
                    again.into_iter().zip(run_all(kernel.as_ref(), supervised, &cases))
                {
                    let answer = &mut answers[*row][*function];
                    *answer = answer.take().map(|first| first.repeated(second));
                }
            }
        }
        answers
    }

    /// Judges one row on all ops and kernels. What in-process kernels did goes into `sums`, what the others did into those of the piece.
    pub fn judge(
        &self,
        row: &RowCases,
        mut answers: Vec<Option<Answer>>,
        oracle: &mut Oracle,
        sums: &mut Sums,
        piece: &mut PieceSums,
    ) {
        let size = row_size(&row.logits);
        let mut places = 0..;
        for planned in self.cells.planned.chunk_by(|a, b| a.op == b.op) {
            let mut trial = row.cases[planned[0].op].as_ref().map(Trial::new);
            for (function, place) in planned.iter().zip(places.by_ref()) {
                let kernel = self.plan.kernels[function.kernel].as_ref();
                let cell = self.cells.cell(place);
                let is_supervised = kernel.supervised().is_some();
                let mut trial = trial.as_mut().filter(|trial| kernel::accepts(kernel, trial.case()));
                if let Some(trial) = &mut trial {
                    trial.deliver(row.batches[function.op].as_ref(), &function.claims);
                }
                let answer = match (&trial, is_supervised) {
                    // The kernel has no case here.
                    (None, _) => Outcome::NotRun.into(),
                    (Some(trial), false) => {
                        let calls = usize::from(is_called_twice(kernel, row.index, function));
                        trial.again(kernel, &function.claims, trial.answer(kernel), calls)
                    }
                    (Some(_), true) => match answers[place].take() {
                        // Given up on: not a row of the cell.
                        None | Some(Answer { outcome: Outcome::NotRun, .. }) => continue,
                        Some(answer) => answer,
                    },
                };
                // In a batch it may be another row's doing; the process is lost all the same.
                let lost = match &answer.outcome {
                    Outcome::Failed(fault, _) => Some(*fault),
                    _ => None,
                };
                let sum = if is_supervised { piece.current(cell) } else { sums.sum(cell) };
                sum.counts.rows += 1;
                let Some(trial) = trial else {
                    sum.counts.without += 1;
                    continue;
                };
                let claims = &function.claims;
                let mut judgement = trial.judge_answer(oracle, kernel, claims, &answer);
                if judgement.verdict.is_failure() && !sum.is_known(trial.class(), trial.case(), &judgement) {
                    // What fails now and then is wrong in another way than what fails.
                    let settled = trial.again(kernel, claims, answer, CALLS_OF_A_NEW_FAILURE);
                    if matches!(settled.outcome, Outcome::Failed(..)) {
                        judgement = trial.judge_answer(oracle, kernel, claims, &settled);
                    }
                }
                sum.counts.add(row.index, trial.case(), &judgement);
                if let Some(size) = size {
                    counts::add_to_curve(&mut sum.curve, size, &judgement);
                }
                let fatal = judgement.fault().or(lost).filter(|fault| is_supervised && fault.is_fatal());
                if judgement.verdict.is_failure() {
                    sum.fail(trial.class(), row.index, trial.case(), judgement);
                }
                if let Some(fault) = fatal {
                    piece.close(cell, fault);
                }
            }
        }
    }
}

/// Lets a kernel in a process of its own run cases, each in its batch where it computes batches: for each the answer.
pub(super) fn run_all(
    kernel: &dyn Kernel,
    supervised: &dyn Supervised,
    cases: &[(&Case, Option<Arc<Batch>>)],
) -> Vec<Answer> {
    let (mut alone, mut batches): (Vec<&Case>, Vec<&Batch>) = (Vec::new(), Vec::new());
    let batched = |case: &Case| kernel.batched(case.op(), case.dtype());
    let in_batch: Vec<Option<&Batch>> =
        cases.iter().map(|(case, batch)| batch.as_deref().filter(|_| batched(case).is_some())).collect();
    for ((case, _), batch) in cases.iter().zip(&in_batch) {
        match batch {
            Some(batch) => batches.push(batch),
            None => alone.push(case),
        }
    }
    // Of one kernel it does not matter which of its functions hands them on.
    let door = batches.first().and_then(|batch| kernel.batched(batch.op(), batch.dtype()));
    let mut of_batches = door.map(|door| door.compute_all(&batches)).unwrap_or_default().into_iter();
    let mut of_cases = (if alone.is_empty() { Vec::new() } else { supervised.run_batch(&alone) }).into_iter();
    let answer = |batch: &Option<&Batch>| match batch {
        Some(batch) => Answer::of_batch(batch, of_batches.next().unwrap_or_default()),
        None => of_cases.next().unwrap_or(Outcome::NotRun).into(),
    };
    in_batch.iter().map(answer).collect()
}

/// Whether the kernel is given this row twice. Which rows these are depends on nothing else that runs.
fn is_called_twice(kernel: &dyn Kernel, index: u64, function: &Planned) -> bool {
    index.is_multiple_of(ROWS_PER_SECOND_CALL) && kernel.is_deterministic() && !function.claims.nondeterministic
}

/// `floor(log2)` of the largest finite |logit|; none where no logit is finite.
pub(super) fn row_size(logits: &[f64]) -> Option<i32> {
    /// Below the exponent of every non-zero number.
    const ZERO: i32 = -1075;
    let size = logits.iter().filter(|z| z.is_finite()).map(|z| z.abs()).reduce(f64::max)?;
    Some(if size == 0.0 { ZERO } else { exponent(size) })
}

/// All rows in pieces. A piece is found by its number, so their count costs no memory.
pub(super) struct Pieces<'a> {
    units: &'a [UnitRows],
    /// For each unit the number of pieces before its end.
    ends: Vec<u64>,
    /// Rows of a piece.
    size: u64,
}

impl<'a> Pieces<'a> {
    pub fn new(units: &'a [UnitRows], size: u64) -> Self {
        let mut end = 0;
        let ends = units.iter().map(|unit| {
            end += unit.len().div_ceil(size);
            end
        });
        Self { units, ends: ends.collect(), size }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The unit and the rows of a piece.
    pub fn get(&self, piece: u64) -> (&'a UnitRows, Range<u64>) {
        let place = self.ends.partition_point(|&end| end <= piece);
        let unit = &self.units[place];
        let before = if place == 0 { 0 } else { self.ends[place - 1] };
        let from = unit.rows.start + (piece - before) * self.size;
        (unit, from..unit.rows.end.min(from + self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_row_once() {
        const PIECE: u64 = 8;
        let units = [
            (0, 0, 0..2 * PIECE + 1),
            (0, 1, 0..0),
            (0, 2, 0..PIECE),
            (1, 0, 5..6),
            (1, 1, 3 * PIECE + 1..u64::MAX / 2),
        ];
        let units = units.map(|(dtype, source, rows)| UnitRows { dtype, source, rows });
        let pieces = Pieces::new(&units, PIECE);
        // The first four units have 3, 0, 1 and 1 pieces.
        for unit in &units[..4] {
            let mine = (0..5).map(|piece| pieces.get(piece)).filter(|piece| piece.0 == unit);
            assert_eq!(mine.flat_map(|piece| piece.1).collect::<Vec<_>>(), unit.rows.clone().collect::<Vec<_>>());
        }
        assert_eq!(pieces.get(5), (&units[4], 3 * PIECE + 1..4 * PIECE + 1));
        let (.., last) = pieces.get(pieces.len() - 1);
        assert_eq!(last.end, u64::MAX / 2);
    }
}
