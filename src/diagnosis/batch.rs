//! A row that passes by itself and fails in a batch: the smallest batch that shows it, and what of the batch decides.
//!
//! The batch is made smaller step by step, and each step is kept if the row still fails so and still passes by itself: outputs into a
//! buffer of their own, rows without padding, fewer rows, shorter rows, plainer rows. What could not be taken away decides.

use super::{Effort, Examination, Subject, describe};
use crate::case::{Case, Draft};
use crate::judge::{Judgement, Verdict};
use crate::kernel::batch::{Batch, Layout, Padding};
use crate::kernel::{Claims, Kernel};
use crate::oracle::Oracle;
use crate::results::{BatchRows, Cause, Finding, Tried};
use crate::shrink::{Shrinker, price};
use crate::trial::Trial;
use std::sync::Arc;

/// What making a batch smaller may cost, in units of [`price`] for each row.
const BUDGET: usize = 400_000;

/// The same where the kernel crashes or hangs: each evaluation may cost a process, or the time limit.
const EVALUATIONS_OF_CRASHES: usize = 40;
const EVALUATIONS_OF_HANGS: usize = 8;

/// What each row may cost that is made plainer by itself.
const BUDGET_OF_ROW: usize = 300;

/// Rows of a batch, beside the judged one, that are made plainer.
const MOST_PLAINER: usize = 4;

/// Rounds of all steps.
const ROUNDS: usize = 3;

/// A kernel, and how a row must fail on it.
struct Reducer<'a> {
    oracle: &'a mut Oracle,
    kernel: &'a dyn Kernel,
    claims: &'a Claims,
    wanted: Verdict,
    budget: usize,
    evaluations: usize,
    is_over: &'a dyn Fn() -> bool,
}

/// What is said of the judged row of a batch on a kernel, and of no other row.
fn judge(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, batch: &Batch) -> Judgement {
    let batch = Arc::new(batch.clone());
    let mut trial = Trial::new(batch.case());
    trial.deliver(Some(&batch), claims);
    let answer = trial.again(kernel, claims, trial.answer(kernel), 1);
    trial.judge_outcome(oracle, kernel, claims, &answer.outcome)
}

impl Reducer<'_> {
    /// Whether the judged row of a batch passes by itself and fails as it must; not where there is nothing left to spend.
    fn shows(&mut self, batch: &Batch) -> bool {
        if !self.affords(batch) {
            return false;
        }
        self.budget -= batch.rows() * price(batch.len());
        self.evaluations -= 1;
        self.fails(batch)
    }

    /// Whether there is enough left for a batch of this size.
    fn affords(&self, batch: &Batch) -> bool {
        batch.rows() * price(batch.len()) <= self.budget && self.evaluations > 0 && !(self.is_over)()
    }

    /// The same as [`Reducer::shows`], whatever it costs.
    fn fails(&mut self, batch: &Batch) -> bool {
        let judgement = judge(self.oracle, self.kernel, self.claims, batch);
        judgement.verdict == self.wanted && judgement.in_batch.is_some()
    }

    /// Takes a smaller batch if it shows the same.
    fn take(&mut self, batch: &mut Batch, smaller: Option<Batch>) -> bool {
        let Some(smaller) = smaller.filter(|smaller| smaller != batch) else { return false };
        let shows = self.shows(&smaller);
        if shows {
            *batch = smaller;
        }
        shows
    }

    fn reduced(&mut self, batch: &Batch) -> Batch {
        let mut batch = batch.clone();
        for _ in 0..ROUNDS {
            let before = batch.clone();
            self.layout(&mut batch);
            self.rows(&mut batch);
            self.columns(&mut batch);
            self.plainer(&mut batch);
            // NaN is not equal to itself.
            if batch.to_string() == before.to_string() {
                break;
            }
        }
        batch
    }

    /// Not in place; no padding, or that of one array alone, or one element of it.
    fn layout(&mut self, batch: &mut Batch) {
        let compact = Layout::compact(batch.op(), batch.len());
        let not_in_place = Layout { in_place: false, ..batch.layout() };
        self.take(batch, batch.with_layout(not_in_place).ok());
        let Layout { padding, in_place, .. } = batch.layout();
        if self.take(batch, batch.with_layout(Layout { padding, in_place, ..compact }).ok()) {
            return;
        }
        let strides: [fn(&mut Layout) -> &mut usize; 3] =
            [|layout| &mut layout.logits_stride, |layout| &mut layout.other_stride, |layout| &mut layout.out_stride];
        for stride in strides {
            let mut least = compact;
            for more in 0..2 {
                let mut layout = batch.layout();
                if layout.in_place {
                    (layout.logits_stride, layout.out_stride) = (batch.len() + more, batch.len() + more);
                }
                *stride(&mut layout) = *stride(&mut least) + more;
                if self.take(batch, batch.with_layout(layout).ok()) {
                    break;
                }
            }
        }
    }

    /// Without companions; with the first 1, 2, 4, ... of them; without chunks of them: half of them, a quarter, down to single ones.
    fn rows(&mut self, batch: &mut Batch) {
        let judged = batch.judged();
        if self.take(batch, batch.with_rows(&[judged])) {
            return;
        }
        for count in (0..usize::BITS).map(|power| 1 << power).take_while(|&count| count < judged) {
            let kept: Vec<usize> = (0..count).chain([judged]).collect();
            if self.take(batch, batch.with_rows(&kept)) {
                break;
            }
        }
        let mut size = batch.rows() / 2;
        while size > 0 {
            let mut from = 0;
            while from < batch.rows() && self.affords(batch) {
                let is_kept = |&row: &usize| row == batch.judged() || !(from..from + size).contains(&row);
                let kept: Vec<usize> = (0..batch.rows()).filter(is_kept).collect();
                // The judged row alone stays: nothing was dropped.
                let fewer = (kept.len() < batch.rows()).then(|| batch.with_rows(&kept)).flatten();
                if !self.take(batch, fewer) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// Without chunks of the logits, in all rows alike.
    fn columns(&mut self, batch: &mut Batch) {
        let mut size = batch.len() / 2;
        while size > 0 {
            let mut from = 0;
            while from < batch.len() && self.affords(batch) {
                let kept: Vec<usize> = (0..batch.len()).filter(|j| !(from..from + size).contains(j)).collect();
                if !self.take(batch, of_columns(batch, &kept)) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// Rows of zeros in the place of companions, the plainest companions, and the plainest judged row.
    fn plainer(&mut self, batch: &mut Batch) {
        let places: Vec<usize> = (0..batch.rows()).filter(|&row| row != batch.judged()).collect();
        if self.take(batch, with_zeros(batch, &places)) {
            // Nothing is plainer.
        } else {
            for &place in places.iter().take(MOST_PLAINER) {
                if !self.take(batch, with_zeros(batch, &[place])) {
                    self.row(batch, place);
                }
            }
        }
        self.row(batch, batch.judged());
    }

    /// The row at a place as plain as it can be at its length.
    fn row(&mut self, batch: &mut Batch, place: usize) {
        let mut shrinker = Shrinker::new(batch.cases()[place].clone(), BUDGET_OF_ROW);
        while self.affords(batch)
            && let Some(case) = shrinker.candidate()
        {
            let smaller = with_row(batch, place, case.clone());
            let shows = self.take(batch, smaller);
            shrinker.answer(shows);
        }
    }
}

/// The batch with another row at a place; none where it does not fit the others.
fn with_row(batch: &Batch, place: usize, case: Case) -> Option<Batch> {
    let mut cases = batch.cases().to_vec();
    cases[place] = case;
    Batch::new(cases, batch.judged(), batch.layout()).ok()
}

/// The batch with zeros for the logits of some rows.
fn with_zeros(batch: &Batch, places: &[usize]) -> Option<Batch> {
    let mut cases = batch.cases().to_vec();
    for &place in places {
        let mut draft = Draft::of(&cases[place]);
        draft.logits.fill(0.0);
        cases[place] = draft.into_case().ok()?;
    }
    Batch::new(cases, batch.judged(), batch.layout()).ok()
}

/// The batch with the judged row at every place.
fn with_copies(batch: &Batch) -> Option<Batch> {
    Batch::new(vec![batch.case().clone(); batch.rows()], batch.judged(), batch.layout()).ok()
}

/// The batch with some of the logits of each row, and as much padding.
fn of_columns(batch: &Batch, kept: &[usize]) -> Option<Batch> {
    let select = |case: &Case| Draft::of(case).select(kept)?.into_case().ok();
    let cases = batch.cases().iter().map(select).collect::<Option<Vec<Case>>>()?;
    let (before, layout) = (Layout::compact(batch.op(), batch.len()), batch.layout());
    let after = Layout::compact(batch.op(), kept.len());
    let layout = Layout {
        logits_stride: layout.logits_stride - before.logits_stride + after.logits_stride,
        other_stride: layout.other_stride - before.other_stride + after.other_stride,
        out_stride: layout.out_stride - before.out_stride + after.out_stride,
        ..layout
    };
    Batch::new(cases, batch.judged(), layout).ok()
}

/// What of a batch decides that its row fails, and what was tried.
fn cause(reducer: &mut Reducer, batch: &Batch) -> (Cause, Vec<Tried>) {
    let mut tried = Vec::new();
    let mut passes = |change: &str, other: Option<Batch>| {
        let passes = other.is_some_and(|other| !reducer.fails(&other));
        tried.push(Tried { change: change.into(), passes });
        passes
    };
    if batch.layout().in_place
        && passes("into a buffer of its own", batch.with_layout(Layout { in_place: false, ..batch.layout() }).ok())
    {
        return (Cause::InPlace, tried);
    }
    if !batch.is_compact() {
        let masked = Layout { padding: Padding::Masked, ..batch.layout() };
        if passes("with -inf between the rows", batch.with_layout(masked).ok()) {
            return (Cause::Padding, tried);
        }
    }
    let places: Vec<usize> = (0..batch.rows()).filter(|&row| row != batch.judged()).collect();
    if !places.is_empty() && passes("with copies of it in the place of the other rows", with_copies(batch)) {
        return (Cause::OtherRows, tried);
    }
    (Cause::BatchShape, tried)
}

fn reducer<'a>(
    oracle: &'a mut Oracle,
    kernel: &'a dyn Kernel,
    claims: &'a Claims,
    seen: &Judgement,
    effort: &Effort<'a>,
) -> Reducer<'a> {
    let evaluations = match seen.in_batch.as_ref().map(|seen| seen.verdict) {
        Some(Verdict::Hang) => EVALUATIONS_OF_HANGS,
        Some(Verdict::Crash) => EVALUATIONS_OF_CRASHES,
        _ => usize::MAX,
    };
    let (wanted, budget) = (seen.verdict, BUDGET.min(effort.budget));
    Reducer { oracle, kernel, claims, wanted, budget, evaluations, is_over: effort.is_over }
}

/// The finding of a row that failed so in a batch, of the smallest batch that shows it. Where it does not fail so again, what was seen.
pub(super) fn finding(
    oracle: &mut Oracle,
    kernel: &dyn Kernel,
    claims: &Claims,
    case: &Case,
    seen: &Judgement,
    effort: &Effort,
) -> Finding {
    let found = seen.in_batch.as_ref().map_or_else(|| Arc::new(Batch::alone(case)), |seen| seen.batch.clone());
    let again = judge(oracle, kernel, claims, &found);
    if again.verdict != seen.verdict || again.in_batch.is_none() {
        return told(oracle, kernel, claims, &found, &Examination::not_reproduced(seen, again.verdict));
    }
    let mut reducer = reducer(oracle, kernel, claims, seen, effort);
    let smallest = reducer.reduced(&found);
    examined(oracle, kernel, claims, &smallest, effort)
}

/// The finding of a batch as it is, which shows that its judged row fails.
fn examined(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, batch: &Batch, effort: &Effort) -> Finding {
    let judgement = judge(oracle, kernel, claims, batch);
    let mut reducer = reducer(oracle, kernel, claims, &judgement, effort);
    let (cause, tried) = cause(&mut reducer, batch);
    told(oracle, kernel, claims, batch, &Examination { tried, ..Examination::seen(&judgement, cause, None) })
}

/// The finding of what was found of a batch.
pub(super) fn told(
    oracle: &mut Oracle,
    kernel: &dyn Kernel,
    claims: &Claims,
    batch: &Batch,
    examination: &Examination,
) -> Finding {
    let mut finding = Subject { kernel, claims, case: batch.case() }.finding(oracle, examination);
    finding.batch = Some(BatchRows::of(batch));
    finding
}

/// All the effort there is.
const WHOLE: Effort = Effort { budget: usize::MAX, is_over: &|| false };

/// A finding for a batch whose judged row fails on a kernel (or passes: then its verdict says so). Where the row fails by itself, the
/// finding is about that.
pub(crate) fn describe_batch(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, batch: &Batch) -> Finding {
    let judgement = judge(oracle, kernel, claims, batch);
    match &judgement.in_batch {
        Some(seen) => examined(oracle, kernel, claims, &seen.batch.clone(), &WHOLE),
        None if judgement.verdict.is_failure() => describe(oracle, kernel, claims, batch.case()),
        None => told(
            oracle,
            kernel,
            claims,
            batch,
            &Examination { cause: None, ..Examination::seen(&judgement, Cause::NotReproduced, None) },
        ),
    }
}

/// The smallest batch whose judged row fails on the kernel as that of this one does, and passes by itself; none where it does not.
#[cfg(feature = "cli")]
pub(crate) fn shrink_batch(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, batch: &Batch) -> Option<Batch> {
    let judgement = judge(oracle, kernel, claims, batch);
    let seen = judgement.in_batch.as_ref()?.batch.clone();
    Some(reducer(oracle, kernel, claims, &judgement, &WHOLE).reduced(&seen))
}
