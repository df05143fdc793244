//! The findings of a campaign: each failure that was kept is diagnosed, and of those that are alike one is kept.

use super::Control;
use super::plan::{Plan, Planned};
use super::sums::{FailureKey, FirstFailure};
use crate::diagnosis::{self, Effort};
use crate::oracle::Oracle;
use crate::results::{Finding, Kept, Settings};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The same once the campaign was stopped: whoever pressed Ctrl-C waits.
const SHRINK_BUDGET_WHEN_STOPPED: usize = 200;

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
    let kept = |oracle: &mut Oracle, (key, failure): &(&FailureKey, &FirstFailure)| {
        let &(kernel, op, dtype, _, shape) = *key;
        let claims = planned[dtype]
            .iter()
            .find(|function| (function.kernel, function.op) == (kernel, op))
            .map(|function| &function.claims)?;
        let kernel = plan.kernels[kernel].as_ref();
        let budget = if control.is_stopped() { SHRINK_BUDGET_WHEN_STOPPED } else { usize::MAX };
        let effort = Effort { budget, is_over: &is_over };
        let mut finding = diagnosis::finding(oracle, kernel, claims, &failure.case, &failure.seen, &effort);
        finding.selector = Some(kernel.selector()).filter(|selector| *selector != finding.kernel);
        (finding.special, finding.claims) = (plan.special, plan.claims.clone());
        finding.replay = finding.command().unwrap_or_default();
        finding.family = plan.family(failure.source).to_owned();
        finding.case_index = failure.index;
        if let Some(worst) = &failure.worst {
            finding.note_worst(diagnosis::worst(oracle, claims, &worst.case, &worst.output));
        }
        Some(Kept { shape, finding })
    };
    failures.par_iter().map_init(|| plan.oracle(), kept).flatten().collect()
}

/// The findings of a campaign: of each kind of failure the first, in the order of families and cases; of those with the same
/// diagnosis the smallest. The order of `kept` does not matter.
pub(super) fn distinct(settings: &Settings, mut kept: Vec<Kept>) -> Vec<Finding> {
    let kernel = |kept: &Kept| settings.kernels.iter().position(|kernel| *kernel == kept.finding.kernel);
    let family = |kept: &Kept| settings.families.iter().position(|family| *family == kept.finding.family);
    let failure = |kept: &Kept| (kernel(kept), kept.finding.op, kept.finding.dtype, kept.finding.verdict);
    kept.sort_by_cached_key(|kept| (failure(kept), kept.shape, family(kept), kept.finding.case_index));
    kept.dedup_by(|later, first| {
        let is_alike = (failure(later), later.shape) == (failure(first), first.shape);
        if let Some(worst) = later.finding.worst.take_if(|_| is_alike) {
            first.finding.note_worst(worst);
        }
        is_alike
    });
    let place = |kept: &Kept| (failure(kept), kept.finding.mechanism_name().to_owned());
    // A stable sort: where nothing here tells two apart, the shape does.
    kept.sort_by_cached_key(|kept| (place(kept), kept.finding.len, kept.finding.case_index));
    kept.dedup_by(|later, first| {
        let is_alike = place(later) == place(first);
        if let Some(worst) = later.finding.worst.take_if(|_| is_alike) {
            first.finding.note_worst(worst);
        }
        is_alike
    });
    kept.into_iter().map(|kept| kept.finding).collect()
}
