//! A failing case made smaller: it still fails with the same verdict on a row of the same shape.

use crate::case::Case;
use crate::judge::Verdict;
use crate::kernel::{Claims, Kernel};
use crate::oracle::Oracle;
use crate::results::Shape;
use crate::shrink::{self, Shrinker};
use crate::trial::Trial;

/// How many evaluations a finding is shrunk with (see [`shrink::shrink`]).
const SHRINK_BUDGET: usize = 2_000;

/// The longest row that has the budget to be made flat and cut at its own length ([`shrink::EVALUATIONS_AT_LENGTH`]): beyond,
/// an evaluation takes seconds.
const LONGEST_SHRUNK: usize = 1 << 18;

/// The same for kernels that crash or hang: an evaluation may cost a process, or twice the time limit.
const SHRINK_BUDGET_OF_CRASHES: usize = 200;
const SHRINK_BUDGET_OF_HANGS: usize = 8;

/// The smallest case that fails on the kernel with the same verdict on a row of the same shape; the case itself if it does not
/// fail. Where another form of the row fails, that is shrunk.
pub fn shrink_case(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, case: &Case) -> Case {
    let judgement = Trial::new(case).judge(oracle, kernel, claims);
    let case = judgement.culprit.as_ref().unwrap_or(case);
    shrink_until(oracle, kernel, claims, case, judgement.verdict, budget(judgement.verdict, case), &|| false)
}

/// What shrinking a case with this verdict may cost, in the units of [`shrink::price`].
pub(super) fn budget(verdict: Verdict, case: &Case) -> usize {
    match verdict {
        Verdict::Hang => SHRINK_BUDGET_OF_HANGS,
        Verdict::Crash => SHRINK_BUDGET_OF_CRASHES,
        _ => SHRINK_BUDGET.max(shrink::EVALUATIONS_AT_LENGTH * shrink::price(case.logits().len().min(LONGEST_SHRUNK))),
    }
}

/// [`shrink_case`] of a case with this verdict, with a budget, given up once `is_over`. The case itself if it does not fail so again.
pub(super) fn shrink_until(
    oracle: &mut Oracle,
    kernel: &dyn Kernel,
    claims: &Claims,
    case: &Case,
    verdict: Verdict,
    budget: usize,
    is_over: &dyn Fn() -> bool,
) -> Case {
    let mut kind = |case: &Case| {
        let mut trial = Trial::new(case);
        let judgement = trial.judge(oracle, kernel, claims);
        // What only another form of the row does is no failure of this one.
        let fails = judgement.verdict == verdict && judgement.culprit.is_none() && verdict.is_failure();
        fails.then(|| Shape::of(case, trial.class()))
    };
    let Some(wanted) = kind(case) else { return case.clone() };
    let mut shrinker = Shrinker::new(case.clone(), budget);
    while !is_over() {
        let Some(smaller) = shrinker.candidate() else { break };
        let fails = kind(smaller) == Some(wanted);
        shrinker.answer(fails);
    }
    shrinker.into_best()
}
