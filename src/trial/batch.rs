//! The trial of a case in a batch.
//!
//! A kernel that computes batches is given the case beside other rows. Where the case fails there, the kernel is run on it alone: if it
//! passes so, the verdict is `contaminated`, else it is that of the row alone.
//!
//! Many of the other rows are copies of one another. What a kernel answers alike for copies it answers so wherever they stand, and the judged
//! row stands at every place in its turn. Of copies that are answered differently each answer is judged, too: one row of many that is wrong
//! is found in the first batch, not in the one of hundreds whose judged row stands there.

use super::{Trial, is_same};
use crate::case::Case;
use crate::judge::{Judgement, Verdict};
use crate::kernel::{self, Batch, Claims, Fault, Kernel, Outcome};
use crate::oracle::Oracle;
use crate::quiet::without_panic_message;
use std::sync::Arc;

/// What a kernel did in one call.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// With the case that is judged.
    pub outcome: Outcome,
    /// With rows of its batch that are answered unlike copies of them, by their places.
    unlike: Vec<(usize, Outcome)>,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, unlike: Vec::new() }
    }
}

impl Answer {
    /// Of what a kernel did with each row of a batch. It is as if it had not run where there is nothing for the judged row.
    pub fn of_batch(batch: &Batch, outcomes: Vec<Outcome>) -> Self {
        let unlike = unlike_copies(batch, &outcomes);
        let unlike = unlike.into_iter().map(|place| (place, outcomes[place].clone())).collect();
        let outcome = outcomes.into_iter().nth(batch.judged()).unwrap_or(Outcome::NotRun);
        Self { outcome, unlike }
    }

    /// After a second call with the same input.
    pub fn repeated(self, second: Self) -> Self {
        Self { outcome: kernel::of_two_calls(self.outcome, second.outcome), unlike: self.unlike }
    }
}

/// The places of rows whose copies are answered differently, but for the judged one: of each row one place for each answer.
fn unlike_copies(batch: &Batch, outcomes: &[Outcome]) -> Vec<usize> {
    /// Different answers for one row that are judged.
    const MOST: usize = 4;
    let mut copies: Vec<Vec<usize>> = Vec::new();
    for (place, (case, outcome)) in batch.cases().iter().zip(outcomes).enumerate() {
        match copies.iter_mut().find(|places| is_same_case(&batch.cases()[places[0]], case)) {
            None => copies.push(vec![place]),
            Some(places) if places.len() >= MOST || places.iter().any(|&known| is_alike(&outcomes[known], outcome)) => {
            }
            Some(places) => places.push(place),
        }
    }
    copies.retain(|places| places.len() > 1);
    copies.into_iter().flatten().filter(|&place| place != batch.judged()).collect()
}

fn is_alike(a: &Outcome, b: &Outcome) -> bool {
    match (a, b) {
        (Outcome::Outputs(a), Outcome::Outputs(b)) => is_same(a, b),
        _ => a == b,
    }
}

impl Trial<'_> {
    /// Gives the case to kernels that compute batches in this one from here on, of which it must be the judged row; alone where there is
    /// none. It is not written in place unless the claims of the kernel say that it may be.
    pub fn deliver(&mut self, batch: Option<&Arc<Batch>>, claims: &Claims) {
        self.batch = batch.filter(|batch| !batch.is_alone()).map(|batch| allowed(batch, claims));
    }

    /// The batch in which a kernel is given the case, if it computes batches and there is one.
    pub(super) fn batch_for(&self, kernel: &dyn Kernel) -> Option<&Arc<Batch>> {
        let is_batched = kernel.batched(self.case.op(), self.case.dtype()).is_some();
        self.batch.as_ref().filter(|_| is_batched)
    }

    /// Judges what a kernel did with a batch: with its judged row and, where that passes, with the rows that it answers unlike their copies.
    pub(super) fn judge_in_batch(
        &mut self,
        oracle: &mut Oracle,
        kernel: &dyn Kernel,
        claims: &Claims,
        answer: &Answer,
        batch: Arc<Batch>,
    ) -> Judgement {
        let judgement = self.judge_row(oracle, kernel, claims, &answer.outcome, batch.clone());
        if judgement.verdict != Verdict::Pass {
            return judgement;
        }
        let mut of_others = answer.unlike.iter().filter_map(|(place, outcome)| {
            let batch = Arc::new(batch.judging(*place)?);
            let mut trial = Trial::new(batch.case());
            trial.deliver(Some(&batch), claims);
            // What it does with the row alone is for families to find.
            let judgement = trial.judge_row(oracle, kernel, claims, outcome, batch.clone());
            judgement.in_batch.is_some().then_some(judgement)
        });
        of_others.next().unwrap_or(judgement)
    }

    /// Judges what a kernel did with the judged row of a batch.
    fn judge_row(
        &mut self,
        oracle: &mut Oracle,
        kernel: &dyn Kernel,
        claims: &Claims,
        outcome: &Outcome,
        batch: Arc<Batch>,
    ) -> Judgement {
        let (mut outcome, mut batch) = (outcome.clone(), batch);
        // A companion that stops the whole call by itself is a finding of its own, and says nothing of this row.
        if let Outcome::Failed(fault, _) = &outcome
            && stops_a_call(*fault)
            && let Some(others) = without_stopping(kernel, &batch)
        {
            outcome = without_panic_message(|| in_batch(kernel, &others));
            batch = Arc::new(others);
        }
        let mut judgement = self.judge_alone(oracle, claims, &outcome);
        // Two answers to one call are a failure of the call, in whatever batch.
        if judgement.verdict == Verdict::Undecided || matches!(outcome, Outcome::Failed(Fault::Flaky, _)) {
            return judgement;
        }
        let asks_of_alone = claims.batch_invariant || !self.class.is_ordinary() || self.has_related(claims);
        if judgement.verdict == Verdict::Pass && !asks_of_alone {
            judgement.needs_claims = self.needs_claims(oracle, claims, &outcome, judgement.max_ratio);
            return judgement;
        }
        let alone = without_panic_message(|| kernel::run(kernel, self.case));
        let by_itself = self.judge_by_itself(oracle, kernel, claims, &alone);
        if by_itself.verdict.is_failure() || by_itself.verdict == Verdict::Undecided {
            return by_itself;
        }
        if judgement.verdict.is_failure() {
            judgement.contaminate(batch);
            return judgement;
        }
        judgement.needs_claims = by_itself.needs_claims;
        let is_repeatable = kernel.is_deterministic() && !claims.nondeterministic;
        if claims.batch_invariant
            && is_repeatable
            && let (Outcome::Outputs(alone), Outcome::Outputs(beside)) = (&alone, &outcome)
            && let Some(words) = kernel::difference(alone, beside)
        {
            judgement.break_invariance(batch);
            judgement.message = Some(words);
        }
        judgement
    }
}

/// A batch as a kernel with these claims is given it.
pub(crate) fn allowed(batch: &Arc<Batch>, claims: &Claims) -> Arc<Batch> {
    if batch.layout().in_place && !claims.in_place { Arc::new(batch.not_in_place()) } else { batch.clone() }
}

/// What a kernel does with the judged row of a batch.
fn in_batch(kernel: &dyn Kernel, batch: &Batch) -> Outcome {
    kernel::run_batch(kernel, batch).into_iter().nth(batch.judged()).unwrap_or(Outcome::NotRun)
}

/// Whether a fault is one of a call, and so of all of its rows.
fn stops_a_call(fault: Fault) -> bool {
    !matches!(fault, Fault::Flaky | Fault::Unwritten)
}

/// A batch without the companions on which the kernel does by itself what stops a call; none where there is no such companion.
fn without_stopping(kernel: &dyn Kernel, batch: &Batch) -> Option<Batch> {
    let mut known: Vec<(&Case, bool)> = Vec::new();
    let mut kept = Vec::new();
    for (row, case) in batch.cases().iter().enumerate() {
        if row == batch.judged() {
            kept.push(row);
            continue;
        }
        let stops = match known.iter().find(|(other, _)| is_same_case(other, case)) {
            Some((_, stops)) => *stops,
            None => {
                let outcome = without_panic_message(|| kernel::run(kernel, case));
                let stops = matches!(outcome, Outcome::Failed(fault, _) if stops_a_call(fault));
                known.push((case, stops));
                stops
            }
        };
        if !stops {
            kept.push(row);
        }
    }
    (kept.len() < batch.rows()).then(|| batch.with_rows(&kept))?
}

/// Whether two cases are the same, NaN being one value: copies of one row share their logits.
fn is_same_case(a: &Case, b: &Case) -> bool {
    std::ptr::eq(a.logits(), b.logits()) && (a == b || a.to_string() == b.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Closure;
    use crate::kernel::batch::{Rows, RowsMut};
    use crate::op::Op;

    /// What is said of a softmax that is `wrong` in a row of a batch of eight, whose first one is judged.
    fn judged(wrong: fn(usize, &mut [f32])) -> Judgement {
        let kernel = Closure::batched("mine", Op::SOFTMAX, move |logits: Rows<f32>, out: &mut RowsMut<f32>| {
            for row in 0..logits.rows() {
                let (z, out) = (logits.row(row), out.row_mut(row));
                let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f32 = z.iter().map(|z| (z - max).exp()).sum();
                out.iter_mut().zip(z).for_each(|(out, z)| *out = (z - max).exp() / sum);
                wrong(row, out);
            }
        });
        let batch =
            Batch::parse("batch : softmax f32 [1, 2]; softmax f32 [3, 5] x 4; softmax f32 [1000, 0] x 3").unwrap();
        let batch = Arc::new(batch);
        let mut trial = Trial::new(batch.case());
        let claims = Claims::default();
        trial.deliver(Some(&batch), &claims);
        trial.judge(&mut Oracle::new(), &kernel, &claims)
    }

    /// One row of several alike ones is wrong in the batch and right alone: it is the judged one of the batch that shows it.
    #[test]
    fn of_copies_that_differ_each_answer_is_judged() {
        for place in [2, 4, 7] {
            let wrong: fn(usize, &mut [f32]) = match place {
                2 => |row, out| {
                    if row == 2 {
                        out.fill(0.0)
                    }
                },
                4 => |row, out| {
                    if row == 4 {
                        out.reverse()
                    }
                },
                _ => |row, out| {
                    if row == 7 {
                        out.fill(f32::NAN)
                    }
                },
            };
            let judgement = judged(wrong);
            assert_eq!(judgement.verdict, Verdict::Contaminated, "{place}");
            assert_eq!(judgement.in_batch.map(|seen| seen.batch.judged()), Some(place));
        }
    }

    /// Copies that are alike, or differ by no more than they may, are right.
    #[test]
    fn copies_may_differ_within_the_bound() {
        let ulp = |row: usize, out: &mut [f32]| {
            if row == 3 {
                out[1] = f32::from_bits(out[1].to_bits() + 1);
            }
        };
        assert_eq!(judged(|_, _| {}).verdict, Verdict::Pass);
        assert_eq!(judged(ulp).verdict, Verdict::Pass);
    }
}
