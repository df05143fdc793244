//! The findings of a campaign: each failure that was kept is diagnosed, and of those that are alike one is kept.

use super::Control;
use super::plan::{Plan, Planned};
use super::sums::{FailureKey, FirstFailure};
use crate::diagnosis::{self, Effort, Suspect};
use crate::oracle::Oracle;
use crate::results::{Finding, Kept, Settings, Worst};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a finding is shrunk with once the campaign was stopped: whoever pressed Ctrl-C waits.
const SHRINK_BUDGET_WHEN_STOPPED: usize = 200;

/// How much larger the error of the worst case is, where it says more than that of the small one.
const MUCH_WORSE: f64 = 8.0;

/// How long findings are shrunk, all together, once the campaign was stopped. What is left is reported as it was found.
const SHRINK_TIME_WHEN_STOPPED: Duration = Duration::from_secs(2);

/// Each failure shrunk and diagnosed, in parallel. They are shrunk little or not at all once the campaign was stopped.
pub(super) fn all(
    plan: &Plan,
    planned: &[Vec<Planned>],
    failures: &BTreeMap<FailureKey, FirstFailure>,
    control: &Control,
) -> Vec<Kept> {
    let began = Instant::now();
    let is_over = || control.is_stopped() && began.elapsed() > SHRINK_TIME_WHEN_STOPPED;
    let failures: Vec<(&FailureKey, &FirstFailure)> = failures.iter().collect();
    let mut batteries = BTreeMap::new();
    for FirstFailure { case, .. } in failures.iter().map(|(_, failure)| failure) {
        batteries.entry((case.op(), case.dtype())).or_insert_with(|| diagnosis::battery(case.op(), case.dtype()));
    }
    let kept = |(oracle, known): &mut (Oracle, Option<_>), (key, failure): &(&FailureKey, &FirstFailure)| {
        let &(index, op, dtype, _, shape) = *key;
        let claims = planned[dtype]
            .iter()
            .find(|function| (function.kernel, function.op) == (index, op))
            .map(|function| &function.claims)?;
        let kernel = plan.kernels[index].as_ref();
        // The failures of a kernel at an op in a dtype follow each other.
        let function = (index, op, dtype);
        known.take_if(|(known, _)| *known != function);
        let battery = batteries.get(&(failure.case.op(), failure.case.dtype()))?;
        let (_, suspect) = known.get_or_insert_with(|| (function, Suspect::new(kernel, claims, battery)));
        let budget = if control.is_stopped() { SHRINK_BUDGET_WHEN_STOPPED } else { usize::MAX };
        let effort = Effort { budget, is_over: &is_over };
        let mut finding = diagnosis::finding(oracle, suspect, &failure.case, &failure.seen, &effort);
        finding.selector = Some(kernel.selector()).filter(|selector| *selector != finding.kernel);
        (finding.special, finding.claims) = (plan.special, plan.claims.clone());
        finding.replay = finding.command().unwrap_or_default();
        finding.family = plan.family(failure.source).to_owned();
        finding.case_index = failure.index;
        finding.worst = failure.worst.as_ref().map(|(source, index, worst)| {
            diagnosis::worst(oracle, claims, (plan.family(*source), *index), &worst.case, &worst.output)
        });
        Some(Kept { shape, finding })
    };
    failures.par_iter().map_init(|| (plan.oracle(), None), kept).flatten().collect()
}

/// The findings of a campaign: of each kind of failure the first, in the order of families and cases; of those with the same
/// diagnosis the smallest. The order of `kept` does not matter.
pub(super) fn distinct(settings: &Settings, mut kept: Vec<Kept>) -> Vec<Finding> {
    let kernel = |kept: &Kept| settings.kernels.iter().position(|kernel| *kernel == kept.finding.kernel);
    let family = |kept: &Kept| settings.families.iter().position(|family| *family == kept.finding.family);
    let failure = |kept: &Kept| (kernel(kept), kept.finding.op, kept.finding.dtype, kept.finding.verdict);
    kept.sort_by_cached_key(|kept| (failure(kept), kept.shape, family(kept), kept.finding.case_index));
    // The worst of all that are one finding; of those that are as bad the first.
    let order = |worst: &Worst| {
        let family = settings.families.iter().position(|family| *family == worst.family);
        (std::cmp::Reverse(worst.ulp.to_bits()), family, worst.case_index)
    };
    let join = |later: &mut Kept, first: &mut Kept, are_one: bool| {
        if let Some(worst) = later.finding.worst.take_if(|_| are_one) {
            let known = first.finding.worst.take();
            first.finding.worst = known.into_iter().chain([worst]).min_by_key(order);
        }
        are_one
    };
    kept.dedup_by(|later, first| {
        let are_one = (failure(later), later.shape) == (failure(first), first.shape);
        join(later, first, are_one)
    });
    let place = |kept: &Kept| (failure(kept), kept.finding.mechanism_name().to_owned());
    // A stable sort: where nothing here tells two apart, the shape does.
    kept.sort_by_cached_key(|kept| (place(kept), kept.finding.len, kept.finding.case_index));
    kept.dedup_by(|later, first| {
        let are_one = place(later) == place(first);
        join(later, first, are_one)
    });
    let shown = |kept: Kept| {
        let mut finding = kept.finding;
        finding.worst = finding.worst.filter(|worst| finding.ulp.is_finite() && worst.ulp > MUCH_WORSE * finding.ulp);
        finding
    };
    kept.into_iter().map(shown).collect()
}
