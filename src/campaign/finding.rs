//! Findings: a failing case, shrunk, with everything that a person needs to believe it and to see it again.

use super::quiet::without_panic_message;
use super::{Bench, Cause, Control, Desk, Failure, FailureKey, Plan, Shape};
use crate::case::{Case, direction_name, values_text};
use crate::dtype::text;
use crate::judge::{Judgement, Verdict};
use crate::kernel::{self, Claims, Kernel};
use crate::op::Takes;
use crate::oracle::{Exact, Oracle};
use crate::results::{Finding, Kept, Settings};
use crate::shrink::{self, Shrinker};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many evaluations a finding is shrunk with (see [`shrink::shrink`]).
const SHRINK_BUDGET: usize = 2_000;

/// The longest row that has the budget to be made flat and cut at its own length ([`shrink::EVALUATIONS_AT_LENGTH`]): beyond,
/// an evaluation takes seconds.
const LONGEST_SHRUNK: usize = 1 << 18;

/// The same for kernels that crash or hang: an evaluation may cost a process, or twice the time limit.
const SHRINK_BUDGET_OF_CRASHES: usize = 200;
const SHRINK_BUDGET_OF_HANGS: usize = 8;

/// The same once the campaign was stopped: whoever pressed Ctrl-C waits.
const SHRINK_BUDGET_WHEN_STOPPED: usize = 200;

/// How long findings are shrunk, all together, once the campaign was stopped. What is left is reported as it was found.
const SHRINK_TIME_WHEN_STOPPED: Duration = Duration::from_secs(2);

/// Significant decimal digits of exact values.
pub(crate) const DIGITS: usize = 30;

/// A case judged on one kernel, with what is said of it.
pub struct Examination {
    /// The judgement.
    pub judgement: Judgement,
    /// The cause, where it fails.
    pub cause: Option<Cause>,
    /// Every output's exact value.
    pub exact: Vec<Exact>,
}

/// Judges one case on one kernel and, where it fails, diagnoses why by running variations of it.
pub fn examine(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, case: &Case) -> Examination {
    let mut bench = Bench::new(case);
    let outcome = without_panic_message(|| kernel::run(kernel, case));
    let judgement = bench.judge_outcome(oracle, kernel, claims, &outcome);
    let exact = oracle.describe(case, claims.special, DIGITS);
    let cause = judgement.verdict.is_failure().then(|| {
        let truth = bench.truth(oracle, claims.special).clone();
        let flushing = (!claims.flush_to_zero).then(|| {
            let claims = Claims { flush_to_zero: true, ..claims.clone() };
            bench.judge_outcome(oracle, kernel, &claims, &outcome).verdict
        });
        let flushing = (flushing, kernel.flushes_when_loaded());
        let mut fails = |variation: &Case| Bench::new(variation).judge(oracle, kernel, claims).verdict.is_failure();
        Cause::of(case, &truth, &judgement, claims, flushing, &mut fails)
    });
    Examination { judgement, cause, exact }
}

/// The smallest case that fails on the kernel with the same verdict on a row of the same shape; the case itself if it does not
/// fail. Where another form of the row fails, that is shrunk.
pub fn shrink_case(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, case: &Case) -> Case {
    let judgement = Bench::new(case).judge(oracle, kernel, claims);
    let case = judgement.culprit.as_ref().unwrap_or(case);
    shrink_until(oracle, kernel, claims, case, judgement.verdict, budget(judgement.verdict, case), &|| false)
}

/// What shrinking a case with this verdict may cost, in the units of [`shrink::price`].
fn budget(verdict: Verdict, case: &Case) -> usize {
    match verdict {
        Verdict::Hang => SHRINK_BUDGET_OF_HANGS,
        Verdict::Crash => SHRINK_BUDGET_OF_CRASHES,
        _ => SHRINK_BUDGET.max(shrink::EVALUATIONS_AT_LENGTH * shrink::price(case.logits().len().min(LONGEST_SHRUNK))),
    }
}

/// [`shrink_case`] of a case with this verdict, with a budget, given up once `is_over`. The case itself if it does not fail so again.
fn shrink_until(
    oracle: &mut Oracle,
    kernel: &dyn Kernel,
    claims: &Claims,
    case: &Case,
    verdict: Verdict,
    budget: usize,
    is_over: &dyn Fn() -> bool,
) -> Case {
    let mut kind = |case: &Case| {
        let mut bench = Bench::new(case);
        let judgement = bench.judge(oracle, kernel, claims);
        // What only another form of the row does is no failure of this one.
        let fails = judgement.verdict == verdict && judgement.culprit.is_none() && verdict.is_failure();
        fails.then(|| Shape::of(case, bench.truth(oracle, claims.special).class))
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

/// Each failure shrunk and diagnosed, in parallel. They are shrunk little or not at all once the campaign was stopped.
pub(super) fn all(
    plan: &Plan,
    desks: &[Vec<Desk>],
    failures: &BTreeMap<FailureKey, Failure>,
    control: &Control,
) -> Vec<Kept> {
    let began = Instant::now();
    let is_over = || control.is_stopped() && began.elapsed() > SHRINK_TIME_WHEN_STOPPED;
    let failures: Vec<(&FailureKey, &Failure)> = failures.iter().collect();
    let kept = |oracle: &mut Oracle, (key, failure): &(&FailureKey, &Failure)| {
        let &(kernel, op, dtype, verdict, shape) = *key;
        let claims =
            desks[dtype].iter().find(|desk| (desk.kernel, desk.op) == (kernel, op)).map(|desk| &desk.claims)?;
        let kernel = plan.kernels[kernel].as_ref();
        let budget = budget(verdict, &failure.case).min(if control.is_stopped() {
            SHRINK_BUDGET_WHEN_STOPPED
        } else {
            usize::MAX
        });
        let case = shrink_until(oracle, kernel, claims, &failure.case, verdict, budget, &is_over);
        let subject = Subject { kernel, claims, case: &case };
        let mut finding = match subject.again(oracle, verdict) {
            Ok(examination) => subject.finding(&examination),
            Err(again) => {
                let subject = Subject { case: &failure.case, ..subject };
                subject.finding(&subject.seen(oracle, &failure.seen, again))
            }
        };
        finding.replay = replay(plan, &kernel.selector(), finding.case().as_ref().unwrap_or(&case));
        finding.family = plan.sources[failure.source].name().to_owned();
        finding.case_index = failure.index;
        Some(Kept { shape, finding })
    };
    failures.par_iter().map_init(Oracle::new, kept).flatten().collect()
}

/// The findings of a campaign: of each kind of failure the first, in the order of families and cases; of those with the same
/// diagnosis the smallest. The order of `kept` does not matter.
pub(super) fn distinct(settings: &Settings, mut kept: Vec<Kept>) -> Vec<Finding> {
    let kernel = |kept: &Kept| settings.kernels.iter().position(|kernel| *kernel == kept.finding.kernel);
    let family = |kept: &Kept| settings.families.iter().position(|family| *family == kept.finding.family);
    let slot = |kept: &Kept| (kernel(kept), kept.finding.op, kept.finding.dtype, kept.finding.verdict);
    kept.sort_by_cached_key(|kept| (slot(kept), kept.shape, family(kept), kept.finding.case_index));
    kept.dedup_by(|later, first| (slot(later), later.shape) == (slot(first), first.shape));
    let place = |kept: &Kept| (slot(kept), kept.finding.cause.clone());
    // A stable sort: where nothing here tells two apart, the shape does.
    kept.sort_by_cached_key(|kept| (place(kept), kept.finding.len, kept.finding.case_index));
    kept.dedup_by(|later, first| place(later) == place(first));
    kept.into_iter().map(|kept| kept.finding).collect()
}

/// A finding for a case that fails on a kernel (or passes: then its verdict says so). Where another form of the row fails, the
/// finding is about that one.
pub(crate) fn describe(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, case: &Case) -> Finding {
    let subject = Subject { kernel, claims, case };
    let examination = examine(oracle, kernel, claims, case);
    let Some(form) = &examination.judgement.culprit else { return subject.finding(&examination) };
    let subject = Subject { case: form, ..subject };
    let mut finding = match subject.again(oracle, examination.judgement.verdict) {
        Ok(examination) => subject.finding(&examination),
        Err(again) => subject.finding(&subject.seen(oracle, &examination.judgement, again)),
    };
    finding.explanation =
        format!("The row passes, and another form of it, which this is, does not. {}", finding.explanation);
    finding
}

/// A case on a kernel.
#[derive(Clone, Copy)]
struct Subject<'a> {
    kernel: &'a dyn Kernel,
    claims: &'a Claims,
    case: &'a Case,
}

impl Subject<'_> {
    /// Runs the case again and examines it, if it has the verdict that it had; else the verdict that it has now.
    fn again(&self, oracle: &mut Oracle, verdict: Verdict) -> std::result::Result<Examination, Verdict> {
        let examination = examine(oracle, self.kernel, self.claims, self.case);
        let judgement = &examination.judgement;
        if judgement.verdict == verdict && judgement.culprit.is_none() {
            Ok(examination)
        } else {
            Err(judgement.verdict)
        }
    }

    /// What was seen of the case and did not come again: then it had the verdict `again`.
    fn seen(&self, oracle: &mut Oracle, seen: &Judgement, again: Verdict) -> Examination {
        Examination {
            judgement: seen.clone(),
            cause: Some(Cause::NotReproduced(again)),
            exact: oracle.describe(self.case, self.claims.special, DIGITS),
        }
    }

    /// The finding, without the command that replays it.
    fn finding(&self, examination: &Examination) -> Finding {
        let Subject { kernel, case, .. } = *self;
        let Examination { judgement, cause, exact } = examination;
        let worst = judgement.worst.as_ref();
        let truth = worst.and_then(|worst| exact.get(worst.index));
        let list = |values: &[f64]| words(values);
        let direction = |takes: Takes| case.direction().filter(|_| case.op().takes() == takes).map(list);
        let got = worst.map_or(String::new(), |worst| text::hex(worst.got));
        Finding {
            kernel: kernel.name().to_owned(),
            op: case.op(),
            dtype: case.dtype(),
            family: String::new(),
            verdict: judgement.verdict,
            cause: cause.map_or_else(String::new, |cause| cause.name().to_owned()),
            logits: words(case.logits()),
            len: case.logits().len(),
            target: case.target().map(|(class, _)| class),
            label_smoothing: case.target().map(|(_, smoothing)| text::hex(smoothing)),
            cotangent: direction(Takes::Cotangent),
            tangent: direction(Takes::Tangent),
            index: worst.map(|worst| worst.index),
            got: if judgement.worst.is_none() && judgement.message.is_some() {
                judgement.verdict.name().into()
            } else {
                got
            },
            got_decimal: worst.map_or(String::new(), |worst| text::decimal(worst.got, case.dtype())),
            exact: truth.map_or(String::new(), |exact| exact.digits.clone()),
            rounded: truth.map_or(String::new(), |exact| text::hex(exact.rounded)),
            ulp: worst.and_then(|worst| worst.judged.ulps).map_or(f64::INFINITY, f64::abs),
            bound_ulp: worst.map_or(0.0, |worst| worst.judged.bound_ulps),
            ratio: worst.map_or(f64::INFINITY, |worst| worst.judged.ratio),
            explanation: cause.map_or_else(String::new, |cause| cause.explain(case, judgement)),
            replay: String::new(),
            case_index: 0,
        }
    }
}

/// The values as hex floats, runs of equal ones as `value*count`.
fn words(values: &[f64]) -> Vec<String> {
    let text = values_text(values, text::hex);
    if text.is_empty() { Vec::new() } else { text.split(", ").map(str::to_owned).collect() }
}

/// The command that shows a case on a kernel again. It holds everything: the case, the kernel and the policy.
fn replay(plan: &Plan, kernel: &str, case: &Case) -> String {
    let mut command = format!("logitfuzz replay --kernel {}", shell_quoted(kernel));
    if let Some(special) = plan.special {
        command += &format!(" --special {special}");
    }
    if let Some(claims) = &plan.claims {
        command += &format!(" --claims {}", shell_quoted(claims));
    }
    command + &format!(" '{case}'")
}

/// The word as a shell reads it back.
fn shell_quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The extra of a case in words: `target 1, label smoothing 0.1`, `cotangent [1, 0]`; empty where it has none.
pub fn extra_text(case: &Case) -> String {
    if let Some((class, smoothing)) = case.target() {
        return format!("target {class}, label smoothing {}", text::decimal(smoothing, case.dtype()));
    }
    case.direction().map_or_else(String::new, |direction| {
        format!("{} [{}]", direction_name(case.op()), values_text(direction, |x| text::decimal(x, case.dtype())))
    })
}
