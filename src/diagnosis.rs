//! The diagnosis: why a case fails on a kernel, found by running it again, and the finding that is made of it.
//!
//! A failing case is made smaller (`smaller`), and the kernel is asked by experiments (`cause`) on variations of the case (`variation`), or
//! the size of the error (`size`), which cause would fit, or at least for which rows it fails (`scope`). What a cause is, is shown by comparison: the planted defects are a dictionary of
//! things that kernels do, and one that answers like the kernel on every case of a `battery` explains it (`hypothesis`), as it is or with
//! another number in it (`fit`). A claim may forgive the failure (`forgiving`). `explain` says in words what was seen, and how well its cause
//! is known. A row that fails in a batch alone is made smaller with it (`batch`). What was seen stays: a failure that does not come again is a finding, too.

use crate::case::Case;
use crate::dtype::text;
use crate::judge::{Judgement, Verdict, WorstOutput};
use crate::kernel::{Claims, Kernel, accepts};
use crate::oracle::{Exact, Oracle};
use crate::results::{Certainty, Finding, Others, Tried, Worst, words};
use crate::trial::Trial;

mod batch;
mod battery;
mod cause;
mod explain;
mod fit;
mod forgiving;
mod hypothesis;
mod range;
mod scope;
mod shape;
mod size;
mod smaller;
mod variation;

pub use crate::results::Cause;
pub(crate) use batch::describe_batch;
#[cfg(feature = "cli")]
pub(crate) use batch::shrink_batch;
pub(crate) use battery::battery;
use cause::Experiments;
use explain::Seen;
use hypothesis::Asked;
pub(crate) use hypothesis::Suspect;
#[cfg(feature = "cli")]
pub(crate) use hypothesis::{Evidence, Telling, evidence};
pub use smaller::shrink_case;

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
    /// The verdict when it was run once more, where that is another one.
    again: Option<Verdict>,
    /// What the planted defects say, the claim under which it passes, and what was tried.
    asked: Option<Asked>,
    passes_under: Option<String>,
    tried: Vec<Tried>,
    /// For which rows it fails, in words.
    scope: Option<String>,
}

impl Examination {
    /// What was seen and did not come again: then the case had the verdict `again`.
    fn not_reproduced(seen: &Judgement, again: Verdict) -> Self {
        // That it does not come again is what was seen of a flaky one.
        let cause = if seen.verdict == Verdict::Flaky { Cause::Flaky } else { Cause::NotReproduced };
        Self::seen(seen, cause, Some(again))
    }

    /// What was seen, and no more.
    fn seen(seen: &Judgement, cause: Cause, again: Option<Verdict>) -> Self {
        let (judgement, cause) = (seen.clone(), Some(cause));
        let (exact, asked, passes_under, tried, scope) = Default::default();
        Self { judgement, cause, exact, again, asked, passes_under, tried, scope }
    }
}

/// Judges one case on one kernel and, where it fails, diagnoses why by running variations of it.
pub fn examine(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, case: &Case) -> Examination {
    let battery = battery(case.op(), case.dtype());
    let mut examination = examined(oracle, &mut Suspect::new(kernel, claims, &battery), case);
    examination.exact = oracle.describe(case, claims.special, DIGITS);
    examination
}

/// The same of a kernel that may be known already, without the exact values.
fn examined(oracle: &mut Oracle, suspect: &mut Suspect, case: &Case) -> Examination {
    let Suspect { kernel, claims, .. } = *suspect;
    let mut trial = Trial::new(case);
    let (outcome, judgement) = trial.run(oracle, kernel, claims);
    let (mut asked, mut tried, mut passes_under, mut scope) = (None, Vec::new(), None, None);
    let cause = judgement.verdict.is_failure().then(|| {
        asked = suspect.ask(oracle, case);
        if judgement.verdict.fault().is_none() {
            passes_under = forgiving::claim(oracle, suspect, &mut trial, &outcome);
        }
        // A number that was found may be the right one: that of a correct kernel that has another shape.
        if passes_under.is_some() && asked.as_ref().is_some_and(Asked::is_fitted) {
            asked = None;
        }
        let truth = trial.truth(oracle, claims.special).clone();
        let if_flushing = (!claims.flush_to_zero).then(|| {
            let claims = Claims { flush_to_zero: true, ..claims.clone() };
            trial.judge_outcome(oracle, kernel, &claims, &outcome).verdict
        });
        let flushes_when_loaded = kernel.flushes_when_loaded();
        let is_explained = asked.as_ref().is_some_and(|asked| asked.likeness().is_some());
        // What a planted defect explains is not the alignment, which may change the order of additions.
        // Nor is what passes by chance.
        let is_repeatable = kernel.is_deterministic() && !claims.nondeterministic;
        let passes_aligned = judgement.verdict.fault().is_none()
            && !is_explained
            && is_repeatable
            && kernel.aligned().is_some_and(|aligned| !trial.judge(oracle, aligned, claims).verdict.is_failure());
        let ask = &mut |other: &Case| accepts(kernel, other).then(|| Trial::new(other).judge(oracle, kernel, claims));
        let judgement = &judgement;
        let mut experiments = Experiments {
            case,
            truth: &truth,
            judgement,
            claims,
            if_flushing,
            flushes_when_loaded,
            passes_aligned,
            is_explained,
            ask,
            tried: Vec::new(),
            scope: None,
        };
        let cause = experiments.cause();
        (tried, scope) = (experiments.tried, experiments.scope);
        cause
    });
    Examination { judgement, cause, exact: Vec::new(), again: None, asked, passes_under, tried, scope }
}

/// What making a case smaller may cost at most.
pub(crate) struct Effort<'a> {
    /// In the units of [`crate::shrink::price`].
    pub budget: usize,
    /// Once true, what is smallest by then is taken, and what comes later is not looked into.
    pub is_over: &'a dyn Fn() -> bool,
}

/// The finding of a case that failed as `seen`: made smaller and examined again. Where it does not fail so again, or there is no time,
/// what was seen. It is still without the command that replays it and without the place where it was found.
pub(crate) fn finding(
    oracle: &mut Oracle,
    suspect: &mut Suspect,
    case: &Case,
    seen: &Judgement,
    effort: &Effort,
) -> Finding {
    let Suspect { kernel, claims, .. } = *suspect;
    let subject = Subject { kernel, claims, case };
    if (effort.is_over)() {
        let cause = seen.verdict.fault().map_or(Cause::NotExamined, Cause::of_fault);
        let examination = Examination::seen(seen, cause, None);
        // Of a batch it may be another row that fails.
        return match &seen.in_batch {
            Some(seen) => batch::told(oracle, kernel, claims, &seen.batch, &examination),
            None => subject.finding(oracle, &examination),
        };
    }
    if seen.in_batch.is_some() {
        return batch::finding(oracle, kernel, claims, case, seen, effort);
    }
    let budget = smaller::budget(seen.verdict, case).min(effort.budget);
    let smaller = smaller::shrink_until(oracle, kernel, claims, case, seen.verdict, budget, effort.is_over);
    match again(oracle, suspect, &smaller, seen.verdict) {
        Ok(examination) => match plainer(oracle, suspect, &smaller, &examination) {
            Some((plain, examination)) => Subject { case: &plain, ..subject }.finding(oracle, &examination),
            None => Subject { case: &smaller, ..subject }.finding(oracle, &examination),
        },
        Err(again) => subject.finding(oracle, &Examination::not_reproduced(seen, again)),
    }
}

/// A finding for a case that fails on a kernel (or passes: then its verdict says so). Where another form of the row fails, the
/// finding is about that one.
pub fn describe(oracle: &mut Oracle, kernel: &dyn Kernel, claims: &Claims, case: &Case) -> Finding {
    let battery = battery(case.op(), case.dtype());
    let suspect = &mut Suspect::new(kernel, claims, &battery);
    let subject = Subject { kernel, claims, case };
    let examination = examined(oracle, suspect, case);
    let Some(form) = &examination.judgement.culprit else { return subject.finding(oracle, &examination) };
    let subject = Subject { case: form, ..subject };
    let mut finding = match again(oracle, suspect, form, examination.judgement.verdict) {
        Ok(examination) => subject.finding(oracle, &examination),
        Err(again) => subject.finding(oracle, &Examination::not_reproduced(&examination.judgement, again)),
    };
    finding.explanation =
        format!("The row passes, and another form of it, which this is, does not. {}", finding.explanation);
    finding
}

/// Runs a case again and examines it, if it has the verdict that it had; else the verdict that it has now.
fn again(
    oracle: &mut Oracle,
    suspect: &mut Suspect,
    case: &Case,
    verdict: Verdict,
) -> std::result::Result<Examination, Verdict> {
    let examination = examined(oracle, suspect, case);
    let judgement = &examination.judgement;
    if judgement.verdict == verdict && judgement.culprit.is_none() { Ok(examination) } else { Err(judgement.verdict) }
}

/// One of the cases that people try first, if the kernel fails on it in the same way for the same reason and it is no longer than the case
/// that was found: that was shrunk within its shape, and a row within the range of exp may fail alike.
fn plainer(
    oracle: &mut Oracle,
    suspect: &mut Suspect,
    case: &Case,
    found: &Examination,
) -> Option<(Case, Examination)> {
    let Suspect { kernel, claims, .. } = *suspect;
    let size = |case: &Case| case.logits().iter().filter(|z| z.is_finite()).fold(0.0, |size: f64, z| size.max(z.abs()));
    let is_simpler = |plain: &Case| {
        plain != case
            && plain.logits().len() <= case.logits().len()
            && size(plain) <= size(case)
            && accepts(kernel, plain)
    };
    let mechanism = |examination: &Examination| {
        let likeness = examination.asked.as_ref().and_then(Asked::likeness);
        (likeness.map(|likeness| likeness.class), examination.cause)
    };
    if found.judgement.verdict.fault().is_some() {
        return None;
    }
    battery::plain(case.op(), case.dtype()).into_iter().filter(is_simpler).find_map(|plain| {
        // Most cases pass, and are not examined.
        let verdict = Trial::new(&plain).judge(oracle, kernel, claims).verdict;
        if verdict != found.judgement.verdict {
            return None;
        }
        let examination = again(oracle, suspect, &plain, verdict).ok()?;
        (mechanism(&examination) == mechanism(found)).then_some((plain, examination))
    })
}

/// The case with the worst output of all that failed alike, for a finding; it is the one of this index in a family.
pub(crate) fn worst(
    oracle: &mut Oracle,
    claims: &Claims,
    (family, case_index): (&str, u64),
    case: &Case,
    output: &WorstOutput,
) -> Worst {
    let exact = oracle.describe_output(case, claims.special, DIGITS, output.index);
    Worst {
        case: case.to_string(),
        family: family.to_owned(),
        case_index,
        got_decimal: text::decimal(output.got, case.dtype().output()),
        exact: exact.map_or_else(String::new, |exact| exact.digits),
        ulp: output.judged.ulps.map_or(f64::INFINITY, f64::abs),
    }
}

/// A case on a kernel.
#[derive(Clone, Copy)]
struct Subject<'a> {
    kernel: &'a dyn Kernel,
    claims: &'a Claims,
    case: &'a Case,
}

impl Subject<'_> {
    /// The finding, without the command that replays it.
    fn finding(&self, oracle: &mut Oracle, examination: &Examination) -> Finding {
        let Subject { kernel, claims, case } = *self;
        let Examination { judgement, cause, again, asked, passes_under, tried, scope, .. } = examination;
        let flushes_when_loaded = kernel.flushes_when_loaded();
        let (again, asked_of, scope) = (*again, asked.as_ref(), scope.as_deref());
        let seen = Seen { case, judgement, claims, flushes_when_loaded, again, asked: asked_of, tried, scope };
        let explained = cause.map(|cause| explain::explain(cause, &seen));
        let certainty = explained.as_ref().map_or(Certainty::NotKnown, |(certainty, _)| *certainty);
        let worst = judgement.worst.as_ref();
        let truth = worst.and_then(|worst| oracle.describe_output(case, claims.special, DIGITS, worst.index));
        let got = worst.map_or(String::new(), |worst| text::hex(worst.got));
        Finding {
            kernel: kernel.name().to_owned(),
            op: case.op(),
            dtype: case.dtype(),
            family: String::new(),
            verdict: judgement.verdict,
            cause: *cause,
            certainty,
            answers_like: asked.as_ref().and_then(Asked::likeness),
            tried: tried.clone(),
            logits: words(case.logits()),
            len: case.logits().len(),
            others: Others::of(case),
            index: worst.map(|worst| worst.index),
            got: if judgement.worst.is_none() && judgement.message.is_some() {
                judgement.verdict.name().into()
            } else {
                got
            },
            got_decimal: worst.map_or(String::new(), |worst| text::decimal(worst.got, case.dtype().output())),
            exact: truth.as_ref().map_or(String::new(), |exact| exact.digits.clone()),
            rounded: truth.as_ref().map_or(String::new(), |exact| text::hex(exact.rounded)),
            ulp: worst.and_then(|worst| worst.judged.ulps).map_or(f64::INFINITY, f64::abs),
            bound_ulp: worst.map_or(0.0, |worst| worst.judged.bound_ulps),
            ratio: worst.map_or(f64::INFINITY, |worst| worst.judged.ratio),
            worst: None,
            batch: None,
            passes_under: passes_under.clone(),
            explanation: explained
                .map_or_else(String::new, |(_, text)| text + &forgiving::in_words(passes_under.as_deref())),
            replay: String::new(),
            case_index: 0,
            selector: None,
            special: None,
            claims: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::builtin;

    /// Where there is no time the finding is what was seen, on the case that was found; where there is, it is smaller and explained.
    #[test]
    fn what_there_was_no_time_for_is_told_as_it_was_seen() {
        let kernel = builtin::find("naive").unwrap();
        let case = Case::parse("softmax f32 [1000, 1, 2, 3]").unwrap();
        let claims = kernel.claims(case.op(), case.dtype());
        let oracle = &mut Oracle::new();
        let seen = Trial::new(&case).judge(oracle, kernel, &claims);
        let battery = battery(case.op(), case.dtype());
        let mut told = |is_over: bool| {
            let effort = Effort { budget: usize::MAX, is_over: &|| is_over };
            finding(oracle, &mut Suspect::new(kernel, &claims, &battery), &case, &seen, &effort)
        };
        let (late, whole) = (told(true), told(false));
        assert_eq!((late.cause, late.certainty, late.len), (Some(Cause::NotExamined), Certainty::NotKnown, 4));
        assert!(late.verdict == whole.verdict && whole.cause != Some(Cause::NotExamined) && whole.len < 4, "{whole:?}");
    }

    /// One output is described as it is among all, special rows and lost smoothings too.
    #[test]
    fn one_output_is_described_as_all_are() {
        let oracle = &mut Oracle::new();
        for text in [
            "softmax f32 [0, 1, -200]",
            "logsumexp f64 [1, 1]",
            "softmax f16 [-inf, -inf]",
            "log_softmax bf16 [inf, 0]",
            "cross_entropy f32 [0, -inf] target=0 label_smoothing=1e-45",
            "log1mexp f32 [-1, 0, 1]",
        ] {
            let case = Case::parse(text).unwrap();
            for special in [crate::special::Special::Framework, crate::special::Special::Limit] {
                let all = oracle.describe(&case, special, DIGITS);
                let each = (0..all.len()).map(|j| oracle.describe_output(&case, special, DIGITS, j).unwrap());
                // NaN is not equal to itself, and is one text.
                let text = |exact: &Exact| format!("{exact:?}");
                assert_eq!(
                    each.map(|exact| text(&exact)).collect::<Vec<_>>(),
                    all.iter().map(text).collect::<Vec<_>>()
                );
                assert_eq!(oracle.describe_output(&case, special, DIGITS, all.len()), None);
            }
        }
    }
}
