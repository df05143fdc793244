//! The cause of a failure, found by asking.
//!
//! The harness does not see inside a kernel, but it can run it: the failing case, shrunk, is run again with its maximum moved to 0,
//! without its masked classes, in descending order. What cures the failure names the step that causes it; the size of the error
//! tells the rest. The same outputs are also judged as those of a kernel that flushes subnormal numbers to zero.

use super::range::{Thresholds, gap};
use super::size::{direction_size, exact_value, relative_error};
use super::variation::{before_wrapping, descending, kept, raised, recentred};
use crate::case::Case;
use crate::dtype::{Dtype, ldexp};
use crate::judge::{Judgement, Verdict};
use crate::kernel::{Claims, Fault};
use crate::op::Op;
use crate::oracle::{RowClass, Truth};

/// The mechanism of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The kernel did not come to an answer.
    Faulty(Fault),
    /// Run once more on the same input, the kernel had this verdict instead.
    NotReproduced(Verdict),
    /// The outputs are those of a kernel that flushes subnormal numbers to zero.
    FlushToZero {
        /// What the kernel computes in.
        accumulator: Dtype,
        /// Whether loading its library sets flush-to-zero.
        by_loading: bool,
    },
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
    /// The sum of exponentials overflowed although none of them did.
    SumOverflow,
    /// All exponentials underflowed.
    SumUnderflow,
    /// A large common offset was mixed with the result before it was subtracted.
    Absorption,
    /// The same logits in descending order pass.
    Order,
    /// The logarithm of a probability that underflowed to 0.
    LogOfZero,
    /// The logarithm of a probability that had lost digits to underflow.
    LogOfSubnormal,
    /// A loss or a probability that stops short of its value.
    Clipped,
    /// A sum in a narrow type lost terms.
    NarrowSum,
    /// An index or a count wrapped around at a power of two.
    NarrowIndex,
    /// The result is small beside numbers that were rounded before.
    Cancellation,
    /// Every step was rounded to a half dtype.
    NarrowArithmetic,
    /// exp of an argument that was rounded in units of its size.
    RoundedExponent,
    /// More than rounding explains.
    WrongValue,
}

/// A maximum is an offset that may be absorbed where it is so many times the gaps of the row.
const LARGE_OFFSET: f64 = 16.0;

impl Cause {
    /// The short name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Faulty(fault) => Verdict::of_fault(fault).name(),
            Cause::NotReproduced(_) => "not_reproduced",
            Cause::FlushToZero { .. } => "flush_to_zero",
            Cause::BrokenRelation => "broken_relation",
            Cause::Inconsistent => "inconsistent",
            Cause::EmptyRow => "empty_row",
            Cause::NanLost => "nan_lost",
            Cause::InfiniteLogit => "infinite_logit",
            Cause::FullyMasked => "fully_masked",
            Cause::MaskedClass => "masked_class",
            Cause::ExpOverflow => "exp_overflow",
            Cause::SumOverflow => "sum_overflow",
            Cause::SumUnderflow => "sum_underflow",
            Cause::Absorption => "absorption",
            Cause::Order => "order",
            Cause::LogOfZero => "log_of_zero",
            Cause::LogOfSubnormal => "log_of_subnormal",
            Cause::Clipped => "clipped",
            Cause::NarrowSum => "narrow_sum",
            Cause::NarrowIndex => "narrow_index",
            Cause::Cancellation => "cancellation",
            Cause::NarrowArithmetic => "narrow_arithmetic",
            Cause::RoundedExponent => "rounded_exponent",
            Cause::WrongValue => "wrong_value",
        }
    }

    /// The cause of a failing judgement. `flushing` is what is said of the same outputs under the claim `flush_to_zero`, where the
    /// kernel does not claim it, and `by_loading` whether its library sets that when it is loaded; `fails` runs the kernel on a
    /// variation of the case and says whether it fails, too.
    pub fn of(
        case: &Case,
        truth: &Truth,
        judgement: &Judgement,
        claims: &Claims,
        (flushing, by_loading): (Option<Verdict>, bool),
        fails: &mut dyn FnMut(&Case) -> bool,
    ) -> Self {
        if let Some(fault) = judgement.verdict.fault() {
            return Cause::Faulty(fault);
        }
        let accumulator = claims.accumulator(case.dtype());
        if flushing == Some(Verdict::Pass)
            && (by_loading || Self::is_flushed(case, truth, judgement, accumulator, fails))
        {
            return Cause::FlushToZero { accumulator, by_loading };
        }
        match judgement.verdict {
            Verdict::Inconsistent => return Cause::Inconsistent,
            _ if judgement.relation.is_some() => return Cause::BrokenRelation,
            _ => {}
        }
        match truth.class {
            RowClass::Empty => Cause::EmptyRow,
            RowClass::Nan => Cause::NanLost,
            // A limit that is reached with an error is an ordinary error.
            RowClass::OneInfinite | RowClass::SeveralInfinite if judgement.verdict != Verdict::Inaccurate => {
                Cause::InfiniteLogit
            }
            RowClass::FullyMasked => Cause::FullyMasked,
            RowClass::OneInfinite | RowClass::SeveralInfinite => Self::by_size(case, truth, judgement),
            RowClass::PartlyMasked | RowClass::Finite => {
                let by_size = Self::by_size(case, truth, judgement);
                // An error that rounding explains comes and goes with any change of the row: an experiment proves nothing then.
                // Only an offset that is large beside the gaps still does.
                let is_rounding =
                    matches!(by_size, Cause::NarrowArithmetic | Cause::Cancellation | Cause::RoundedExponent);
                if is_rounding && truth.anatomy.max.abs() <= LARGE_OFFSET * (1.0 + gap(case)) {
                    return by_size;
                }
                Self::by_experiment(case, truth, judgement, claims, fails).unwrap_or(by_size)
            }
        }
    }

    /// Whether small numbers that became 0 explain a failure that the claim of flushing forgives. The claim forgives other errors of
    /// that size as well: but what flushing leaves is seldom near its value, it makes no result larger, and it does nothing where all
    /// numbers are far above the least normal one.
    fn is_flushed(
        case: &Case,
        truth: &Truth,
        judgement: &Judgement,
        accumulator: Dtype,
        fails: &mut dyn FnMut(&Case) -> bool,
    ) -> bool {
        let is_no_larger = judgement
            .worst
            .as_ref()
            .is_none_or(|worst| exact_value(truth, worst.index).is_some_and(|exact| worst.got.abs() <= exact.abs()));
        judgement.verdict != Verdict::Inaccurate
            && is_no_larger
            && raised(case, accumulator).is_some_and(|case| !fails(&case))
    }

    /// What a variation of the input cures.
    fn by_experiment(
        case: &Case,
        truth: &Truth,
        judgement: &Judgement,
        claims: &Claims,
        fails: &mut dyn FnMut(&Case) -> bool,
    ) -> Option<Self> {
        let mut cures = |variation: Option<Case>| variation.is_some_and(|case| !fails(&case));
        let max = truth.anatomy.max;
        if truth.class == RowClass::PartlyMasked && cures(kept(case, |&z| z.is_finite())) {
            return Some(Cause::MaskedClass);
        }
        if max != 0.0 && cures(recentred(case, max)) {
            return Some(Self::of_level(case, truth, judgement, claims));
        }
        if cures(descending(case)) {
            return Some(Cause::Order);
        }
        cures(before_wrapping(case, truth, judgement)).then_some(Cause::NarrowIndex)
    }

    /// Why a row fails that passes with its maximum moved to 0.
    fn of_level(case: &Case, truth: &Truth, judgement: &Judgement, claims: &Claims) -> Self {
        let max = truth.anatomy.max;
        let sum = max + (case.logits().len() as f64).ln();
        let Some(worst) = &judgement.worst else { return Cause::Absorption };
        let u = case.dtype().format().unit_roundoff();
        let relative = relative_error(truth, worst.index, worst.got);
        let absolute = exact_value(truth, worst.index).map_or(f64::INFINITY, |exact| (worst.got - exact).abs());
        // An offset leaves an error of a few roundings of itself; leaving the range of exp does not.
        if relative.min(absolute / direction_size(case)) <= 16.0 * u * (max.abs() + sum.abs()) {
            return Cause::Absorption;
        }
        // A kernel that leaves the range of the dtype, though not of its accumulator, fails grossly if it computes there.
        let gross = !worst.got.is_finite() || relative > 0.1;
        let (narrow, wide) = (Thresholds::of(case.dtype()), Thresholds::of(claims.accumulator(case.dtype())));
        let beyond = |x: f64| x > wide.overflow || (gross && x > narrow.overflow);
        if beyond(max) {
            Cause::ExpOverflow
        } else if beyond(sum) {
            Cause::SumOverflow
        } else if max < wide.subnormal || (gross && max < narrow.subnormal) {
            Cause::SumUnderflow
        } else {
            Cause::Absorption
        }
    }

    /// What the size of the error tells.
    fn by_size(case: &Case, truth: &Truth, judgement: &Judgement) -> Self {
        let Some(worst) = &judgement.worst else { return Cause::WrongValue };
        let Some(exact) = exact_value(truth, worst.index) else { return Cause::WrongValue };
        let (got, narrow) = (worst.got, Thresholds::of(case.dtype()));
        let logarithmic = matches!(case.op(), Op::LogSoftmax | Op::CrossEntropy);
        if logarithmic && got.is_infinite() && exact.abs() > -narrow.underflow - 1.0 {
            return Cause::LogOfZero;
        }
        if !got.is_finite() {
            return Cause::WrongValue;
        }
        let relative = relative_error(truth, worst.index, got);
        let falls_short = got.abs() < exact.abs() * (1.0 - 1e-3) && exact.abs() > 8.0;
        let stays_above = case.op() == Op::Softmax && got > 0.0 && exact < ldexp(1.0, -40) && relative > 0.1;
        if (logarithmic && falls_short) || stays_above {
            return Cause::Clipped;
        }
        if logarithmic && exact.abs() > -narrow.subnormal {
            return Cause::LogOfSubnormal;
        }
        let u = case.dtype().format().unit_roundoff();
        let n = case.logits().len();
        let is_half = matches!(case.dtype(), Dtype::F16 | Dtype::Bf16);
        // Shrinking has made the row as short as it fails, so a row that is still long needs its length.
        if n >= 8 && (is_half || n as f64 * u > 1e-3) {
            return Cause::NarrowSum;
        }
        let gap = gap(case);
        let scale =
            case.direction().map_or(1.0, |direction| direction.iter().fold(0.0, |scale: f64, g| scale.max(g.abs())));
        let steps = 8.0 * u * (1.0 + gap);
        let absolute = relative * exact.abs();
        if exact.abs() <= 0.25 * scale && absolute <= steps * scale && relative > steps {
            return Cause::Cancellation;
        }
        if is_half && (relative <= steps || absolute <= steps * scale) {
            return Cause::NarrowArithmetic;
        }
        if relative <= steps { Cause::RoundedExponent } else { Cause::WrongValue }
    }
}
