//! The words of a cause: what went wrong, on which experiment that rests, and the pattern that cures it.

use super::range::{Thresholds, maximum};
use super::variation::wrapping;
use crate::case::Case;
use crate::dtype::text;
use crate::judge::{Judgement, Relation, Verdict};
use crate::kernel::Claims;
use crate::results::Cause;

/// What is known of a failure besides its cause.
pub(super) struct Seen<'a> {
    pub case: &'a Case,
    pub judgement: &'a Judgement,
    pub claims: &'a Claims,
    /// Whether the kernel's library sets flush-to-zero when it is loaded.
    pub flushes_when_loaded: bool,
    /// The verdict when it was run once more, where that is another one.
    pub again: Option<Verdict>,
}

/// What went wrong and what cures it.
pub(super) fn explain(cause: Cause, seen: &Seen) -> String {
    let Seen { case, judgement, .. } = *seen;
    let dtype = case.dtype();
    let max = text::decimal(maximum(case), dtype);
    let thresholds = Thresholds::of(dtype);
    let n = case.logits().len();
    let fault = |did: &str, cure: &str| {
        format!("The kernel {did}: {}. Cure: {cure}.", judgement.message.as_deref().unwrap_or("no message"))
    };
    match cause {
        Cause::Unwritten => fault("left outputs unwritten", "write every output on every path, special values too"),
        Cause::FenvChanged => fault(
            "left the floating-point environment changed",
            "save MXCSR (on Arm FPCR) before and restore it after, or do not set it",
        ),
        Cause::InputChanged => fault("changed its input", "work on a copy, or in the output"),
        Cause::OutOfBounds => {
            fault("reached outside its buffers", "check the tail of vector loops, and the index types")
        }
        Cause::Panic => fault("panicked", "handle this shape of input before indexing or dividing"),
        Cause::Hang => fault("did not answer in time", "bound every loop by the number of logits, not by a value"),
        Cause::Crash => fault("crashed", "look for reads and writes out of bounds at this length and value"),
        Cause::NotReproduced => {
            let again = match seen.again.unwrap_or(Verdict::Undecided) {
                Verdict::Pass => "it passes".to_owned(),
                // Nothing was measured.
                Verdict::Undecided => "it could not be judged".to_owned(),
                verdict => format!("its verdict is {verdict}"),
            };
            let message = judgement.message.as_ref().map_or_else(String::new, |message| format!(" It said: {message}."));
            format!(
                "Not reproduced: this is what was seen when the kernel was first run on the row; run on it once more, {again}.{message} What the kernel returns depends on more than its input, or on the calls before."
            )
        }
        Cause::FlushToZero => format!(
            "Judged with the claim flush_to_zero it passes{} numbers below {:.2e}, the least normal number, {} compile without -ffast-math, or claim flush_to_zero where that is meant.",
            if seen.flushes_when_loaded { ":" } else { ", and without it once the smallest numbers are raised: it does as if" },
            seen.claims.accumulator(dtype).format().least_normal(),
            if seen.flushes_when_loaded {
                "become 0. Loading the library sets flush-to-zero (gcc's -ffast-math does that). Cure:"
            } else {
                // Nobody has seen it flush: no more than a guess, and so is the cure.
                "became 0. If so,"
            }
        ),
        Cause::BrokenRelation => format!(
            "Each output is within its own bound, but {}. Cure: divide by the very sum that was formed, and treat all elements alike.",
            judgement.relation.map_or("a relation between them is broken", Relation::broken)
        ),
        Cause::Inconsistent => format!(
            "A row of the same kind, shorter, longer or in reverse order, is answered with a number where this one, of length {n}, is answered with NaN, or the other way round: two code paths disagree. Cure: one rule for special values, before length or place decides the path."
        ),
        Cause::EmptyRow => "A row without logits: the log-sum-exp of nothing is -inf, all other ops return nothing. Cure: start the maximum from -inf and the sum from 0, and return early.".into(),
        Cause::NanLost => "A NaN logit must make every output NaN; here it was lost, as by a maximum or a comparison that ignores NaN. Cure: let the maximum propagate NaN.".into(),
        Cause::InfiniteLogit => "A logit of +inf: subtracting the maximum forms inf - inf. Cure: where the maximum is infinite, return what is due instead of computing with it.".into(),
        Cause::FullyMasked => "All logits are -inf: nothing has weight. NaN or zeros (-inf for logarithms) say so; here the row became something else. Cure: test for a maximum of -inf and return the agreed value; never start the maximum from a finite number.".into(),
        Cause::MaskedClass => "Without its classes of -inf the row passes. Such a class has weight exactly 0; here it leaked: 0 * inf or inf - inf was formed, or its weight is not 0. Cure: mask by selection, not by arithmetic, and leave terms of weight 0 out.".into(),
        Cause::ExpOverflow => format!(
            "With its maximum, {max}, moved to 0 the row passes: exp overflows (in {dtype} beyond {:.2}), then inf / inf or log(inf). Cure: subtract the maximum before exp.",
            thresholds.overflow
        ),
        Cause::SumOverflow => format!(
            "With its maximum, {max}, moved to 0 the row passes: no exponential overflows, but the sum of {n} of them does. Cure: subtract the maximum before exp; then the sum is at most the number of logits."
        ),
        Cause::SumUnderflow => format!(
            "With its maximum, {max}, moved to 0 the row passes: all exponentials underflow (in {dtype} they lose digits below {:.2} and are 0 below {:.2}), and their sum has none left. Cure: subtract the true maximum before exp, whatever its sign; start the maximum from -inf, not from 0 or a large negative number.",
            thresholds.subnormal, thresholds.underflow
        ),
        Cause::Absorption => format!(
            "With its maximum, {max}, moved to 0 the row passes: the common offset is mixed with the result, which is then rounded in units of the offset; what is subtracted later cannot bring the digits back. Cure: subtract the maximum first; (z - max) - log(sum), in that order, and the loss as log(sum) + (max - z_target)."
        ),
        Cause::Order => "The same logits in descending order pass, so the result depends on where the maximum stands: some logits are not looked at (the tail of a vector loop, one half of a vector), or a running sum is not rescaled when the maximum rises. Cure: take the maximum over all logits; rescale by exp(old - new) at every rise.".into(),
        Cause::LogOfZero => format!(
            "The probability underflows to 0 (its logarithm is below {:.2} in {dtype}), and the logarithm of that is -inf. Cure: fuse the two: log_softmax = (z - max) - log(sum), and the loss from it.",
            thresholds.underflow
        ),
        Cause::LogOfSubnormal => format!(
            "The probability is subnormal (its logarithm is below {:.2} in {dtype}), so it has lost digits before the logarithm is taken. Cure: fuse the two: log_softmax = (z - max) - log(sum).",
            thresholds.subnormal
        ),
        Cause::Clipped => "The result stops short of its value, as a clamp, a floor under exp or an epsilon in log(p + eps) makes it. Cure: remove it; fused and shifted formulas need none, and exp may underflow.".into(),
        Cause::NarrowSum => format!(
            "The row fails only at a length like this, {n}: a sum in a narrow type loses what is added once it is large enough. Cure: accumulate in f32 (f64 for f32 over millions of terms), or in blocks."
        ),
        Cause::NarrowIndex => format!(
            "The row fails grossly at {n} classes and passes with a few less than {}: an index or a count wraps around there, or a buffer ends. Cure: count classes in a type as wide as their number.",
            wrapping(n).unwrap_or(n)
        ),
        Cause::Cancellation => "The result is small because near numbers cancel, and one of them had been rounded before. Cure: form the small difference directly: log1p of the sum without the maximum, 1 - p as the sum of the other probabilities, differences before rounding to the dtype.".into(),
        Cause::NarrowArithmetic => format!(
            "The error is what rounding every step to {dtype} leaves. Cure: compute in f32 and round once, at the end."
        ),
        Cause::RoundedExponent => "The relative error grows with the argument of exp, which was rounded in units of its own size, as in exp(z - logsumexp). Cure: divide exp(z - max) by the sum instead.".into(),
        Cause::WrongValue => if case.op().others().is_empty() || n > 1 {
            "The error is larger than rounding explains on this input: a coarse exp or log, a missing term, a wrong constant or a wrong formula.".into()
        } else {
            "A single class is certain, whatever its logit, and the result for it is wrong: a wrong formula.".into()
        },
    }
}
