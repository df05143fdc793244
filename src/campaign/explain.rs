//! Why a case fails, in words: the step that overflowed, cancelled or lost the bits, and the pattern that cures it.
//!
//! The harness does not see inside a kernel, but it can ask: the failing case, shrunk, is run again with its maximum moved to 0,
//! without its masked classes, in descending order. What cures the failure names the step that causes it; the size of the error
//! tells the rest. The same outputs are also judged as those of a kernel that flushes subnormal numbers to zero. [`Shape`] is the
//! cheap classification by which failures are told apart while a campaign runs; [`Cause`] is the diagnosis of a finding.

use crate::case::{Case, Extra};
use crate::dtype::{Dtype, ldexp, text};
use crate::judge::{Judgement, Relation, Verdict, due_value};
use crate::kernel::{Claims, Fault};
use crate::op::{Op, Takes};
use crate::oracle::{RowClass, Truth};
use crate::results::{Level, Shape};
use std::ops::Range;

impl Shape {
    /// The shape of a case of this class.
    pub fn of(case: &Case, class: RowClass) -> Self {
        let level = if class.is_ordinary() {
            let (max, thresholds) = (maximum(case), Thresholds::of(case.dtype()));
            if max > thresholds.overflow {
                Level::Above
            } else if max < thresholds.subnormal {
                Level::Below
            } else {
                Level::Within
            }
        } else {
            Level::Within
        };
        Self { class, level }
    }
}

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

/// The largest distance of a finite logit from the maximum.
fn gap(case: &Case) -> f64 {
    let max = maximum(case);
    case.logits().iter().filter(|z| z.is_finite()).fold(0.0f64, |gap, z| gap.max(max - z))
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

/// The largest finite logit; -inf where none is.
fn maximum(case: &Case) -> f64 {
    case.logits().iter().copied().filter(|z| z.is_finite()).fold(f64::NEG_INFINITY, f64::max)
}

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

    /// What went wrong and what cures it.
    pub fn explain(self, case: &Case, judgement: &Judgement) -> String {
        let dtype = case.dtype();
        let max = text::decimal(maximum(case), dtype);
        let thresholds = Thresholds::of(dtype);
        let n = case.logits().len();
        match self {
            Cause::Faulty(fault) => {
                let (did, cure) = match fault {
                    Fault::Unwritten => ("left outputs unwritten", "write every output on every path, special values too"),
                    Fault::FenvChanged => (
                        "left the floating-point environment changed",
                        "save MXCSR (on Arm FPCR) before and restore it after, or do not set it",
                    ),
                    Fault::InputChanged => ("changed its input", "work on a copy, or in the output"),
                    Fault::OutOfBounds => {
                        ("reached outside its buffers", "check the tail of vector loops, and the index types")
                    }
                    Fault::Panic => ("panicked", "handle this shape of input before indexing or dividing"),
                    Fault::Hang => ("did not answer in time", "bound every loop by the number of logits, not by a value"),
                    Fault::Crash => ("crashed", "look for reads and writes out of bounds at this length and value"),
                };
                format!("The kernel {did}: {}. Cure: {cure}.", judgement.message.as_deref().unwrap_or("no message"))
            }
            Cause::NotReproduced(again) => {
                let again = match again {
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
            Cause::FlushToZero { accumulator, by_loading } => format!(
                "Judged with the claim flush_to_zero it passes{} numbers below {:.2e}, the least normal number, {} compile without -ffast-math, or claim flush_to_zero where that is meant.",
                if by_loading { ":" } else { ", and without it once the smallest numbers are raised: it does as if" },
                accumulator.format().least_normal(),
                if by_loading {
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
            Cause::WrongValue => if case.op().takes() == Takes::Logits || n > 1 {
                "The error is larger than rounding explains on this input: a coarse exp or log, a missing term, a wrong constant or a wrong formula.".into()
            } else {
                "A single class is certain, whatever its logit, and the result for it is wrong: a wrong formula.".into()
            },
        }
    }
}

/// The largest cotangent or tangent, the unit of the products; 1 for the other ops.
fn direction_size(case: &Case) -> f64 {
    case.direction().map_or(1.0, |direction| direction.iter().fold(0.0, |size: f64, g| size.max(g.abs())))
}

/// The exact value of an output, to 53 bits.
fn exact_value(truth: &Truth, index: usize) -> Option<f64> {
    let real = truth.alternatives.first().and_then(|outputs| due_value(&outputs[index]))?;
    Some(real.rounded + ldexp(real.residual, real.unit))
}

fn relative_error(truth: &Truth, index: usize, got: f64) -> f64 {
    match exact_value(truth, index) {
        Some(exact) if exact == got => 0.0,
        Some(exact) => ((got - exact) / exact).abs(),
        None => f64::INFINITY,
    }
}

/// The case with its maximum moved to 0.
fn recentred(case: &Case, max: f64) -> Option<Case> {
    let logits: Vec<f64> = case.logits().iter().map(|&z| case.dtype().round(z - max)).collect();
    Case::new(case.op(), case.dtype(), logits, case.extra().clone()).ok()
}

/// The case with no number near the least normal one of the accumulator: gaps shrunk, so that no exponential is, and small values
/// raised; none if it is so already.
fn raised(case: &Case, accumulator: Dtype) -> Option<Case> {
    let dtype = case.dtype();
    // The product of two such numbers is still a normal one.
    let least = ldexp(1.0, accumulator.format().emin / 2);
    let raise = |&x: &f64| if x != 0.0 && x.abs() < least { dtype.round(least.copysign(x)) } else { x };
    let shrunk = (-Thresholds::of(accumulator).subnormal / 2.0 / gap(case)).min(1.0);
    let max = maximum(case);
    let closer = |&z: &f64| if z.is_finite() && shrunk < 1.0 { dtype.round(max - (max - z) * shrunk) } else { z };
    let logits: Vec<f64> = case.logits().iter().map(|z| raise(&closer(z))).collect();
    let extra = match case.extra() {
        Extra::None => Extra::None,
        Extra::Target { class, label_smoothing } => {
            Extra::Target { class: *class, label_smoothing: raise(label_smoothing) }
        }
        Extra::Direction(direction) => Extra::Direction(direction.iter().map(raise).collect()),
    };
    let raised = Case::new(case.op(), dtype, logits, extra).ok()?;
    (raised != *case).then_some(raised)
}

/// The case with only some of its logits; none if the target is not among them, or nothing is left.
fn kept(case: &Case, keep: impl Fn(&f64) -> bool) -> Option<Case> {
    let indices: Vec<usize> = (0..case.logits().len()).filter(|&index| keep(&case.logits()[index])).collect();
    rearranged(case, &indices)
}

/// A few classes: the relations add one, and shrinking may stop so far above the shortest row.
const FEW: usize = 4;

/// The power of two from 128 on at which an index may have wrapped around in a row of `n` classes, shrunk: just so long, or by a
/// few classes longer.
fn wrapping(n: usize) -> Option<usize> {
    const FEWEST: usize = 1 << 7;
    let power = if n.is_power_of_two() { n } else { n.next_power_of_two() / 2 };
    (power >= FEWEST && n - power <= FEW).then_some(power)
}

/// The case with a few classes less than at which an index may have wrapped around, if that is how it fails. A sum that stalls errs by
/// little more than its last term there; one that lacks all terms but a few errs grossly.
fn before_wrapping(case: &Case, truth: &Truth, judgement: &Judgement) -> Option<Case> {
    let worst = judgement.worst.as_ref()?;
    if worst.got.is_finite() && relative_error(truth, worst.index, worst.got) < 0.5 {
        return None;
    }
    let n = case.logits().len();
    let short = wrapping(n)? - FEW;
    let part = |classes: Range<usize>| rearranged(case, &classes.collect::<Vec<usize>>());
    part(0..short).or_else(|| part(n - short..n))
}

/// The case in descending order; none if it is so already.
fn descending(case: &Case) -> Option<Case> {
    let mut indices: Vec<usize> = (0..case.logits().len()).collect();
    indices.sort_by(|&i, &j| case.logits()[j].total_cmp(&case.logits()[i]));
    if indices.is_sorted() { None } else { rearranged(case, &indices) }
}

/// The case with the logits of these indices, in this order, and what belongs to them.
fn rearranged(case: &Case, indices: &[usize]) -> Option<Case> {
    if indices.is_empty() {
        return None;
    }
    let extra = match case.extra() {
        Extra::None => Extra::None,
        Extra::Target { class, label_smoothing } => {
            Extra::Target { class: indices.iter().position(|index| index == class)?, label_smoothing: *label_smoothing }
        }
        Extra::Direction(direction) => Extra::Direction(indices.iter().map(|&index| direction[index]).collect()),
    };
    Case::new(case.op(), case.dtype(), indices.iter().map(|&index| case.logits()[index]).collect::<Vec<f64>>(), extra)
        .ok()
}
