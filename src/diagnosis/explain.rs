//! The words of a finding: what was seen, which is a fact; what explains it, and how well that is known; and what cures it, which is said
//! only where the explanation was shown. What was tried stands beside it.

use super::fit::Hypothesis;
use super::hypothesis::{Asked, Recognised};
use super::range::{Thresholds, maximum};
use super::variation::wrapping;
use crate::case::Case;
use crate::dtype::{Dtype, text};
use crate::judge::{InBatch, Judgement, Relation, Verdict};
use crate::kernel::Claims;
use crate::results::{Cause, Certainty, Tried};
use crate::words::plural_u64;

/// What is known of a failure besides its cause.
pub(super) struct Seen<'a> {
    pub case: &'a Case,
    pub judgement: &'a Judgement,
    pub claims: &'a Claims,
    /// Whether the kernel's library sets flush-to-zero when it is loaded.
    pub flushes_when_loaded: bool,
    /// The verdict when it was run once more, where that is another one.
    pub again: Option<Verdict>,
    /// What the planted defects say.
    pub asked: Option<&'a Asked>,
    /// What was tried.
    pub tried: &'a [Tried],
    /// For which rows it fails, in words.
    pub scope: Option<&'a str>,
}

/// A sentence on a cause, and what it is worth.
enum Said {
    /// A fact, and what cures it.
    Shown(String),
    /// What would explain the failure.
    Fits(String),
    /// What is wrong, which explains nothing.
    Symptom(String),
}

/// How well the cause is known, and all that is said of the failure.
pub(super) fn explain(cause: Cause, seen: &Seen) -> (Certainty, String) {
    let tried = tried_in_words(seen.tried);
    match (seen.asked, say(cause, seen)) {
        (_, Said::Shown(text)) => (Certainty::Shown, text),
        (Some(Asked::Shown(recognised)), _) => (Certainty::Shown, recognised_in_words(recognised)),
        (Some(Asked::Open(alike)), _) => {
            let text = match &titles(alike)[..] {
                [name] => format!("it errs as {name} does, by little, and no probe tells that from a correct kernel"),
                names => format!("it answers as {} do, which the probes do not tell apart", names.join(" and ")),
            };
            (Certainty::Consistent, format!("Not shown: {text}.{tried}"))
        }
        (None, Said::Fits(guess)) => (Certainty::Consistent, format!("Not shown, but it fits: {guess}.{tried}")),
        (None, Said::Symptom(symptom)) => (Certainty::NotKnown, format!("{symptom} Why is not known.{tried}")),
    }
}

/// The names of what answers alike, each kernel once: with the first of its numbers that do.
fn titles(alike: &[Hypothesis]) -> Vec<String> {
    let is_first = |(place, one): &(usize, &Hypothesis)| {
        !alike[..*place].iter().any(|before| before.kernel.name() == one.kernel.name())
    };
    alike.iter().enumerate().filter(is_first).map(|(_, one)| one.title()).collect()
}

/// What was tried, as sentences; empty where nothing was.
fn tried_in_words(tried: &[Tried]) -> String {
    let word = |tried: &Tried| format!("{} it {}", tried.change, if tried.passes { "passes" } else { "fails" });
    let words: Vec<String> = tried.iter().map(word).collect();
    if words.is_empty() { String::new() } else { format!(" Tried: {}.", words.join(", ")) }
}

/// What a planted defect explains.
fn recognised_in_words(recognised: &Recognised) -> String {
    let Recognised { hypothesis, others, defect, is_log_too, probes, alike, telling } = recognised;
    let others = match others {
        0 => String::new(),
        _ => format!(" (as with {} of it)", plural_u64(*others as u64, "other value")),
    };
    let report = defect.report.map_or_else(String::new, |link| format!(" Seen in public: {link}"));
    let all = plural_u64(*probes as u64, "probe");
    let (on, beside) = match probes - alike {
        0 => (format!("all {all}"), String::new()),
        rest => (
            format!("{alike} of {all}"),
            format!(
                " On the other {rest}, rows that are empty, masked throughout or not finite, one of the two answers well."
            ),
        ),
    };
    // What is said of the planted defect is not said of one with another number in it.
    let summary = |one: &Hypothesis| {
        let is_other = one.kernel.defect().is_some() && one.difference().is_some();
        format!("{}{}", if is_other { "as planted: " } else { "" }, one.kernel.summary())
    };
    let (mut summaries, mut story, mut cure) = (summary(hypothesis), defect.story.to_owned(), defect.cure().to_owned());
    let mut does = if summaries.starts_with("as planted") { ", does" } else { " does" };
    if let Some((second, other)) = hypothesis.second().and_then(|one| Some((one, one.kernel.mechanism()?))) {
        does = ", together do";
        summaries = format!("{summaries}; {}", summary(&second));
        story = format!("{story}; and {}", other.story);
        cure = format!("{cure}; and {}", other.cure());
    }
    let log = if *is_log_too {
        " Cured of that it would fail here all the same, for it claims to lose no digit of a small result: that takes log1p of the sum of the other weights, without the 1 of the maximum."
    } else {
        ""
    };
    format!(
        "Shown: on {on} it answers as {}{others}{does} ({summaries}), but for roundings, and on {telling} of them otherwise than a correct kernel.{beside} What that does: {story}. Cure: {cure}.{log}{report}",
        hypothesis.title(),
    )
}

/// What a row that passes by itself does in its batch.
fn beside(judgement: &Judgement) -> String {
    let Some(InBatch { batch, verdict }) = &judgement.in_batch else { return String::new() };
    let place = format!("row {} of {}", batch.judged(), batch.rows());
    let did = match (judgement.relation, &judgement.message) {
        (Some(Relation::BatchInvariance), Some(message)) => {
            format!("as {place} in a batch it has other bits ({message}), which the claim batch_invariant rules out")
        }
        (_, Some(message)) => format!("as {place} in a batch its verdict is {verdict} ({message})"),
        (_, None) => format!("as {place} in a batch its verdict is {verdict}"),
    };
    format!("The row passes by itself; {did}.")
}

/// For which rows it fails.
fn scope(seen: &Seen) -> String {
    seen.scope.unwrap_or("with its maximum moved to 0 it passes").to_owned()
}

/// What is said of a cause.
fn say(cause: Cause, seen: &Seen) -> Said {
    let Seen { case, judgement, .. } = *seen;
    let max = text::decimal(maximum(case), case.dtype());
    // A kernel of two formats may compute in either; it is the wider one where the row leaves the range of that.
    let is_left = |dtype: Dtype| {
        let thresholds = Thresholds::of(dtype);
        maximum(case) > thresholds.overflow || maximum(case) < thresholds.subnormal
    };
    let (narrow, wide) = (case.dtype().input(), case.dtype().output());
    let dtype = if is_left(wide) { wide } else { narrow };
    let thresholds = Thresholds::of(dtype);
    let n = case.logits().len();
    let message = judgement.message.as_deref().unwrap_or("no message");
    let fault = |did: &str, cure: &str| Said::Shown(format!("The kernel {did}: {message}. Cure: {cure}."));
    match cause {
        Cause::Flaky => Said::Shown(format!(
            "The kernel does not answer the same call alike: {message}. So its results cannot be reproduced, these neither. A kernel that is meant to (atomic additions, a reduction by threads) claims `nondeterministic`, and is then held to its bound alone."
        )),
        Cause::Unwritten => fault("left outputs unwritten", "write every output on every path, special values too"),
        Cause::FenvChanged => fault(
            "left the floating-point environment changed",
            "save MXCSR (on Arm FPCR) before and restore it after, or do not set it",
        ),
        Cause::InputChanged => fault("changed its input", "work on a copy, or in the output"),
        Cause::OutOfBounds => fault("reached outside its buffers", "keep to the n values of each row"),
        // That it ended so is a fact; why is for its author to see.
        Cause::Panic => Said::Shown(format!("The kernel panicked: {message}.")),
        Cause::Hang => Said::Shown(format!("The kernel did not answer in time: {message}.")),
        Cause::Crash => Said::Shown(format!("The kernel crashed: {message}.")),
        Cause::OtherRows => Said::Shown(format!(
            "{} What another row holds decides: with copies of this one in the place of the others it passes. Cure: take maxima, sums and flags of each row by itself.",
            beside(judgement)
        )),
        Cause::Padding => Said::Shown(format!(
            "{} What lies between the rows decides: with -inf there it passes. Cure: end at the last of the n values of a row, or mask what lies behind it with -inf.",
            beside(judgement)
        )),
        Cause::InPlace => Said::Shown(format!(
            "{} Into a buffer of its own it passes, and over its logits it fails. Cure: keep what is read again, or claim no in_place.",
            beside(judgement)
        )),
        Cause::BatchShape => Said::Shown(format!(
            "{} It is not what the other rows hold: the number of rows, the place of this one or the strides decide, for beside copies of itself it fails, too. Cure: find a row at its number times its stride, in a type as wide as that product, and run to the last row.",
            beside(judgement)
        )),
        Cause::NotExamined => Said::Symptom("The run was stopped before this was looked into.".to_owned()),
        Cause::NotReproduced => {
            let again = match seen.again.unwrap_or(Verdict::Undecided) {
                Verdict::Pass => "it passes".to_owned(),
                // Nothing was measured.
                Verdict::Undecided => "it could not be judged".to_owned(),
                verdict => format!("its verdict is {verdict}"),
            };
            let message = judgement.message.as_ref().map_or_else(String::new, |message| format!(" It said: {message}."));
            Said::Shown(format!(
                "Not reproduced: this is what was seen when the kernel was first run on the row; run on it once more, {again}.{message} What the kernel returns depends on more than its input, or on the calls before."
            ))
        }
        Cause::FlushToZero => {
            let least = format!("{:.2e}", seen.claims.accumulator(case.dtype()).format().least_normal());
            if seen.flushes_when_loaded {
                Said::Shown(format!(
                    "Judged with the claim flush_to_zero it passes: numbers below {least}, the least normal number, become 0. Loading the library sets flush-to-zero (gcc's -ffast-math does that). Cure: compile without -ffast-math, or claim flush_to_zero where that is meant."
                ))
            } else {
                // Nobody has seen it flush.
                Said::Fits(format!(
                    "judged with the claim flush_to_zero it passes, and without it once the smallest numbers are raised: it does as if numbers below {least}, the least normal number, became 0 (as -ffast-math may make them)"
                ))
            }
        }
        Cause::BrokenRelation => Said::Symptom(format!(
            "Each output is within its own bound, but {}.",
            judgement.relation.map_or("a relation between them is broken", Relation::broken)
        )),
        Cause::Inconsistent => Said::Symptom(format!(
            "A row of the same kind, shorter, longer or in reverse order, is answered with a number where this one, of length {n}, is answered with NaN, or the other way round."
        )),
        Cause::EmptyRow => Said::Symptom(
            "A row without logits: the log-sum-exp of nothing is -inf, all other ops return nothing.".into(),
        ),
        Cause::NanLost => Said::Symptom("A NaN logit must make NaN of every output that depends on it; here it was lost.".into()),
        Cause::InfiniteLogit if judgement.worst.as_ref().is_some_and(|worst| !worst.got.is_nan()) => {
            Said::Symptom("A row with +inf: NaN is due or the limit, and this number is neither.".into())
        }
        Cause::InfiniteLogit => Said::Fits("a logit of +inf makes NaN of inf - inf, or of inf / inf where nothing is subtracted".into()),
        Cause::FullyMasked => Said::Symptom(
            "All logits are -inf: nothing has weight. NaN or zeros (-inf for logarithms) say so; here the row became something else.".into(),
        ),
        Cause::IgnoredRow => Said::Fits(
            "what an ignored row holds shows in the outputs, as where it is multiplied by 0 and not left out".into(),
        ),
        Cause::MaskedClass => Said::Fits("a class of -inf has weight exactly 0, and here it has not, or 0 * inf or inf - inf is formed".into()),
        Cause::ExpOverflow => Said::Fits(format!(
            "exp overflows (in {dtype} beyond {:.2}) where the maximum, {max}, is not subtracted before",
            thresholds.overflow
        )),
        Cause::SumOverflow => {
            Said::Fits(format!("no exponential overflows, but the sum of {n} of them does, where the maximum, {max}, is not subtracted before"))
        }
        Cause::SumUnderflow => Said::Fits(format!(
            "all exponentials underflow (in {dtype} they lose digits below {:.2} and are 0 below {:.2}), as where something other than the maximum, {max}, is subtracted before",
            thresholds.subnormal, thresholds.underflow
        )),
        Cause::Absorption => Said::Fits(format!(
            "the common offset, {max}, is mixed with the result, which is then rounded in units of the offset"
        )),
        Cause::Order => Said::Symptom("The same logits in descending order pass: the answer depends on their order.".into()),
        Cause::Limit => Said::Fits(scope(seen)),
        Cause::Level => Said::Symptom(format!("The level of the row decides: {}.", scope(seen))),
        Cause::Alignment => Said::Shown(
            "The answer depends on where the buffers lie: as it was called the row fails, and with every buffer at a multiple of 64 bytes it passes. Cure: an array of C is aligned to its type and to no more; use loads that need no more, or take the first elements one by one.".into(),
        ),
        Cause::Formula | Cause::Place | Cause::Length => Said::Symptom(scope(seen)),
        Cause::Direction => Said::Symptom(
            "The size of the cotangent or tangent decides: scaled by a power of two, so that its largest number is 1, the same row passes.".into(),
        ),
        Cause::Scale => Said::Symptom(
            seen.scope.unwrap_or("With its products as logits and a scale of 1 the row passes.").to_owned(),
        ),
        Cause::LabelSmoothing => Said::Symptom("The same row without label smoothing passes.".into()),
        Cause::LogOfZero => Said::Fits(format!(
            "the logarithm of a probability that underflowed to 0 (its logarithm is below {:.2} in {dtype})",
            thresholds.underflow
        )),
        Cause::LogOfSubnormal => Said::Fits(format!(
            "the logarithm of a probability that is subnormal (its logarithm is below {:.2} in {dtype}) and has lost digits",
            thresholds.subnormal
        )),
        Cause::Clipped => Said::Fits(
            "the result stops short of its value, as a clamp, a floor under exp, an epsilon or a lost term may make it".into(),
        ),
        Cause::NarrowSum => Said::Fits(format!("a sum in a narrow type loses what is added at a length like this, {n}")),
        Cause::NarrowIndex => Said::Fits(format!(
            "an index or a count wraps around, or a buffer ends, at {} classes",
            wrapping(n).unwrap_or(n)
        )),
        Cause::Cancellation => Said::Fits("the result is small because near numbers cancel, and one of them was rounded before".into()),
        Cause::NarrowArithmetic => Said::Fits(format!("the error has the size that rounding every step to {dtype} leaves")),
        Cause::RoundedExponent => {
            Said::Fits("the relative error has the size that an argument of exp leaves which is rounded in units of its own size".into())
        }
        Cause::WrongValue => {
            let words = match judgement.verdict {
                Verdict::Nan => "It is NaN where the exact value is a number.",
                Verdict::Inf => "It is infinite where the exact value is finite.",
                Verdict::Zero => "It is 0 where the exact value is not, and is not so small that rounding makes it 0.",
                _ => "The error is larger than rounding explains on this input.",
            };
            Said::Symptom(words.into())
        }
    }
}
