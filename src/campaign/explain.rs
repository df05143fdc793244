//! Why a case fails, in words: the step that overflowed, cancelled or lost the bits, and the pattern that cures it.
//!
//! The harness sees inputs and outputs, not the kernel. What it says is the mechanism that this kind of failure on this kind of
//! input has; the first rule of the list that fits decides, from the certain to the likely.

use crate::case::Case;
use crate::dtype::{Dtype, text};
use crate::judge::{Judgement, Relation, Verdict};
use crate::op::Op;
use crate::oracle::{RowClass, Truth};

/// The mechanism of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The kernel panicked.
    Panicked,
    /// A relation is broken although each output is within its bound.
    BrokenRelation,
    /// The same kind of row is answered differently at another length.
    Inconsistent,
    /// A row without logits.
    EmptyRow,
    /// A NaN logit was lost, or not everywhere seen.
    NanLost,
    /// A logit of +inf.
    InfiniteLogit,
    /// All logits are -inf.
    FullyMasked,
    /// A class of -inf beside finite ones.
    MaskedClass,
    /// An exponential of a large logit overflowed.
    ExpOverflow,
    /// All exponentials underflowed.
    SumUnderflow,
    /// The sum of exponentials overflowed although none of them did.
    SumOverflow,
    /// The logarithm of a probability that underflowed to 0.
    LogOfZero,
    /// The logarithm of a probability that had lost digits to underflow.
    LogOfSubnormal,
    /// A large common offset was subtracted after the logarithm was added to it.
    Absorption,
    /// A probability near 1 was subtracted from 1, or two near numbers after one was rounded.
    Cancellation,
    /// A sum in a narrow type stopped growing.
    NarrowSum,
    /// A weight that should be 0 or tiny is not.
    WeightFloor,
    /// More than rounding explains.
    WrongValue,
}

impl Cause {
    /// The short name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Panicked => "panic",
            Cause::BrokenRelation => "broken_relation",
            Cause::Inconsistent => "inconsistent",
            Cause::EmptyRow => "empty_row",
            Cause::NanLost => "nan_lost",
            Cause::InfiniteLogit => "infinite_logit",
            Cause::FullyMasked => "fully_masked",
            Cause::MaskedClass => "masked_class",
            Cause::ExpOverflow => "exp_overflow",
            Cause::SumUnderflow => "sum_underflow",
            Cause::SumOverflow => "sum_overflow",
            Cause::LogOfZero => "log_of_zero",
            Cause::LogOfSubnormal => "log_of_subnormal",
            Cause::Absorption => "absorption",
            Cause::Cancellation => "cancellation",
            Cause::NarrowSum => "narrow_sum",
            Cause::WeightFloor => "weight_floor",
            Cause::WrongValue => "wrong_value",
        }
    }

    /// The cause of a failing judgement.
    pub fn of(case: &Case, truth: &Truth, judgement: &Judgement) -> Self {
        if judgement.verdict == Verdict::Panic {
            return Cause::Panicked;
        }
        if judgement.relation.is_some() {
            return Cause::BrokenRelation;
        }
        if judgement.verdict == Verdict::Inconsistent {
            return Cause::Inconsistent;
        }
        match truth.class {
            RowClass::Empty => return Cause::EmptyRow,
            RowClass::Nan => return Cause::NanLost,
            RowClass::OneInfinite | RowClass::SeveralInfinite => return Cause::InfiniteLogit,
            RowClass::FullyMasked => return Cause::FullyMasked,
            RowClass::PartlyMasked | RowClass::Finite => {}
        }
        Self::of_ordinary(case, truth, judgement)
    }

    fn of_ordinary(case: &Case, truth: &Truth, judgement: &Judgement) -> Self {
        let Some(worst) = &judgement.worst else { return Cause::WrongValue };
        let logits = case.logits();
        let max = truth.anatomy.max;
        let masked = truth.class == RowClass::PartlyMasked;
        // Kernels compute in the dtype or in its accumulator; either may be where it happened.
        let narrow = Thresholds::of(case.dtype());
        let wide = Thresholds::of(case.dtype().accumulator());
        let beyond = |limit: fn(&Thresholds) -> f64| max > limit(&narrow) || max > limit(&wide);
        let sum_log = max + (logits.len().max(1) as f64).ln();
        let logarithmic = matches!(case.op(), Op::LogSoftmax | Op::CrossEntropy);
        let gap = match case.op() {
            Op::LogSoftmax => max - logits[worst.index],
            Op::CrossEntropy => case.target().map_or(0.0, |(target, _)| max - logits[target]),
            _ => 0.0,
        };
        if !worst.got.is_finite() {
            return if beyond(|thresholds| thresholds.overflow) {
                Cause::ExpOverflow
            } else if sum_log > narrow.overflow || (sum_log > wide.overflow && case.dtype() == Dtype::F64) {
                Cause::SumOverflow
            } else if max < narrow.underflow {
                Cause::SumUnderflow
            } else if masked {
                Cause::MaskedClass
            } else if logarithmic && gap > -narrow.underflow {
                Cause::LogOfZero
            } else {
                Cause::WrongValue
            };
        }
        if beyond(|thresholds| thresholds.overflow) && worst.judged.ratio.is_infinite() {
            return Cause::ExpOverflow;
        }
        let u = case.dtype().format().unit_roundoff();
        let error = worst.judged.ulps.map_or(0.0, f64::abs);
        let size = logits.iter().filter(|z| z.is_finite()).fold(0.0f64, |size, z| size.max(z.abs()));
        let unit = truth
            .alternatives
            .first()
            .and_then(|outputs| crate::judge::due_value(&outputs[worst.index]))
            .map_or(0, |real| real.unit);
        let absolute = crate::dtype::ldexp(error, unit);
        let format = case.dtype().format();
        // p below the least normal number has lost digits, and its logarithm shows it.
        if logarithmic && gap > -Thresholds::of(case.dtype()).subnormal && absolute < 1.0 + gap * 0.1 {
            return Cause::LogOfSubnormal;
        }
        if max < narrow.subnormal {
            return Cause::SumUnderflow;
        }
        let exact_is_small = crate::dtype::ldexp(1.0, unit + format.precision as i32) < size * 0.25;
        if exact_is_small
            && absolute <= 4.0 * u * (size + (logits.len().max(1) as f64).ln())
            && matches!(case.op(), Op::LogSumExp | Op::LogSoftmax | Op::CrossEntropy)
        {
            return Cause::Absorption;
        }
        if logits.len() > 16 && matches!(case.dtype(), Dtype::F16 | Dtype::Bf16) && !exact_is_small {
            return Cause::NarrowSum;
        }
        if matches!(case.op(), Op::Softmax) && worst.got != 0.0 && max - logits[worst.index] > -narrow.subnormal {
            return Cause::WeightFloor;
        }
        if absolute <= 8.0 * u * (1.0 + size) {
            return Cause::Cancellation;
        }
        if masked { Cause::MaskedClass } else { Cause::WrongValue }
    }

    /// What went wrong and what cures it.
    pub fn explain(self, case: &Case, judgement: &Judgement) -> String {
        let max = case.logits().iter().copied().filter(|z| z.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        let shown = text::decimal(max, case.dtype());
        let thresholds = Thresholds::of(case.dtype());
        match self {
            Cause::Panicked => format!(
                "The kernel panicked: {}. Cure: handle this shape of input (an empty row above all) before indexing.",
                judgement.message.as_deref().unwrap_or("no message")
            ),
            Cause::BrokenRelation => format!(
                "Each output is within its own bound, but {}. Cure: divide by the very sum that was formed, and treat all elements alike.",
                judgement.relation.map_or("a relation between them is broken", Relation::broken)
            ),
            Cause::Inconsistent => format!(
                "A short row of the same kind is answered with a number where this one, of {} logits, is answered with NaN, or the other way round: two code paths disagree. Cure: one rule for special values, before the length decides the path.",
                case.logits().len()
            ),
            Cause::EmptyRow => "A row without logits: the log-sum-exp of nothing is -inf, all other ops return nothing. Cure: start the maximum and the sum from -inf and 0, and return early.".into(),
            Cause::NanLost => "A NaN logit must make every output NaN; here it was lost, as a maximum or a comparison that ignores NaN does. Cure: let the maximum propagate NaN.".into(),
            Cause::InfiniteLogit => "A logit of +inf: subtracting the maximum forms inf - inf. Cure: where the maximum is infinite, return it (log-sum-exp) instead of computing with it.".into(),
            Cause::FullyMasked => "All logits are -inf: nothing has weight. NaN or zeros (-inf for logarithms) say so; here the row became something else. Cure: test for a maximum of -inf and return the agreed value; never start the maximum from a finite number.".into(),
            Cause::MaskedClass => "A class of -inf has weight exactly 0, and the rest of the row is an ordinary row. Here the mask leaked: 0 * inf or inf - inf was formed, or its weight is not 0. Cure: mask by selection, not by arithmetic, and leave terms with weight 0 out.".into(),
            Cause::ExpOverflow => format!(
                "The largest logit is {shown}, and exp overflows beyond {:.2} in {}: inf, then inf / inf or log(inf). Cure: subtract the maximum before exp.",
                thresholds.overflow, case.dtype()
            ),
            Cause::SumUnderflow => format!(
                "The largest logit is {shown}; all exponentials underflow (exp loses digits below {:.2} in {} and is 0 below {:.2}), and the sum is 0 or has no digits left. Cure: subtract the maximum before exp, whatever its sign; start the maximum from -inf.",
                thresholds.subnormal, case.dtype(), thresholds.underflow
            ),
            Cause::SumOverflow => format!(
                "No exponential overflows, but the sum of {} of them does. Cure: subtract the maximum before exp: then the sum is at most the number of logits.",
                case.logits().len()
            ),
            Cause::LogOfZero => format!(
                "The probability underflowed to 0 (its gap to the maximum is beyond {:.2}), and its logarithm is -inf. Cure: fuse the two: log_softmax = (z - max) - log(sum), loss from that.",
                -thresholds.underflow
            ),
            Cause::LogOfSubnormal => "The probability is subnormal, so it has lost digits before the logarithm is taken. Cure: fuse the two: log_softmax = (z - max) - log(sum).".into(),
            Cause::Absorption => "The logits share an offset that is large beside the result: max + log(sum) is rounded in units of the offset, and what is subtracted from it afterwards cannot bring the digits back. Cure: (z - max) - log(sum), in that order; the loss as log(sum) + (max - z_target).".into(),
            Cause::Cancellation => "The result is small because two near numbers cancel, and one of them had been rounded before. Cure: form the small difference directly: log1p of the sum without the maximum, 1 - p as the sum of the other probabilities, p - q before rounding to the dtype.".into(),
            Cause::NarrowSum => format!(
                "A sum of {} terms in a narrow type: once it is large enough, each further term is rounded away. Cure: accumulate in f32 (f64 for f32 over millions), or in blocks.",
                case.logits().len()
            ),
            Cause::WeightFloor => "A class so far below the maximum has a probability that underflows, but a larger one was returned: an exp with a floor, or an epsilon. Cure: let exp underflow.".into(),
            Cause::WrongValue => "The error is larger than rounding in the textbook algorithm explains on this input: a coarse exp or log, a wrong maximum (some logits are not looked at), a missing rescaling, or a wrong formula.".into(),
        }
    }
}

/// Where exp of a dtype stops: natural logarithms.
struct Thresholds {
    /// Above, exp rounds to infinity.
    overflow: f64,
    /// Below, exp is subnormal.
    subnormal: f64,
    /// Below, exp rounds to 0.
    underflow: f64,
}

impl Thresholds {
    fn of(dtype: Dtype) -> Self {
        let format = dtype.format();
        let ln2 = std::f64::consts::LN_2;
        Self {
            overflow: f64::from(format.emax + 1) * ln2,
            subnormal: f64::from(format.emin) * ln2,
            underflow: f64::from(format.least_exponent() - 1) * ln2,
        }
    }
}
