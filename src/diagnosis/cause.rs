//! The cause of a failure, found by asking.
//!
//! The harness does not see inside a kernel, but it can run it: the failing case, shrunk, is run again with its maximum moved to 0,
//! without its masked classes, in descending order. What cures the failure, and the size of the error, say which cause would fit; that
//! it is the cause is not shown by it ([`hypothesis`](super::hypothesis) may show it). A cause that foretells something else, as that
//! a row just past the range of exp fails, too, is asked for that, and is none where it does not come true. Then the
//! [`scope`](super::scope) of the failure is what is left to say. The same outputs are also judged as those of a kernel that flushes
//! subnormal numbers to zero.

use super::battery::{ordinary, others};
use super::range::{Thresholds, gap, is_product_infinite};
use super::scope::{self, Ask, FAR, Level};
use super::size::{direction_size, exact_value, relative_error};
use super::variation::{
    before_wrapping, descending, emptied, far_below, first_half, kept, multiplied, of_unit_direction, raised,
    recentred, unsmoothed, widened,
};
use crate::case::Case;
use crate::dtype::{Dtype, ldexp, text};
use crate::judge::{Judgement, Verdict};
use crate::kernel::Claims;
use crate::oracle::Truth;
use crate::results::{Cause, Tried};
use crate::special::RowClass;

/// A maximum is an offset that may be absorbed where it is so many times the gaps of the row.
const LARGE_OFFSET: f64 = 16.0;

/// A probability that is kept from 0 is small all the same: a larger one is no floor, but another value, as that of another class.
const LARGEST_FLOOR: f64 = 1e-2;

/// The variation that scales what is linear in the outputs.
const SCALED: &str = "with its cotangent or tangent scaled to 1";

/// The variation that leaves an op with a scale nothing to multiply.
const MULTIPLIED: &str = "with its products as logits and a scale of 1";

/// A row that is so long although it was shrunk is so for a reason.
const LONG: usize = 8;

/// What is known of a failing case, and the kernel to ask for more.
pub(super) struct Experiments<'a> {
    pub case: &'a Case,
    pub truth: &'a Truth,
    pub judgement: &'a Judgement,
    pub claims: &'a Claims,
    /// What is said of the same outputs under the claim `flush_to_zero`, where the kernel does not claim it.
    pub if_flushing: Option<Verdict>,
    /// Whether the kernel's library sets flush-to-zero when it is loaded.
    pub flushes_when_loaded: bool,
    /// Whether it passes with its buffers aligned.
    pub passes_aligned: bool,
    /// Whether a planted defect explains it: then nobody asks on what it depends.
    pub is_explained: bool,
    /// Runs the kernel on another case, if it takes that.
    pub ask: &'a mut Ask<'a>,
    /// What was tried so far.
    pub tried: Vec<Tried>,
    /// The scope of the failure, in words, where the cause is one.
    pub scope: Option<String>,
}

impl Experiments<'_> {
    /// The cause of the failure.
    pub fn cause(&mut self) -> Cause {
        let Self { case, truth, judgement, .. } = *self;
        if let Some(fault) = judgement.verdict.fault() {
            return Cause::of_fault(fault);
        }
        if self.passes_aligned {
            return Cause::Alignment;
        }
        if self.if_flushing == Some(Verdict::Pass) && (self.flushes_when_loaded || self.is_flushed()) {
            return Cause::FlushToZero;
        }
        match judgement.verdict {
            Verdict::Inconsistent => return Cause::Inconsistent,
            _ if judgement.relation.is_some() => return Cause::BrokenRelation,
            _ => {}
        }
        if self.cures("with zeros in its ignored rows", emptied(case)) {
            return Cause::IgnoredRow;
        }
        match self.class() {
            RowClass::Empty => Cause::EmptyRow,
            // It is ignored, or no row is left that an experiment could change.
            RowClass::AllIgnored => Cause::WrongValue,
            RowClass::Nan => Cause::NanLost,
            // What is due is no number, so no experiment with sizes says anything.
            RowClass::ValuesNotFinite => Cause::WrongValue,
            // A limit that is reached with an error is an ordinary error.
            RowClass::OneInfinite | RowClass::SeveralInfinite if judgement.verdict != Verdict::Inaccurate => {
                Cause::InfiniteLogit
            }
            RowClass::FullyMasked => Cause::FullyMasked,
            RowClass::OneInfinite | RowClass::SeveralInfinite => by_size(case, truth, judgement),
            // The other experiments are about rows.
            RowClass::Elements => self.by_formula().unwrap_or(Cause::WrongValue),
            RowClass::PartlyMasked | RowClass::Finite => {
                self.try_all();
                if let Some(cause) = self.by_formula().or_else(|| self.by_product()) {
                    return cause;
                }
                let by_size = by_size(case, truth, judgement);
                // An error that rounding explains comes and goes with any change of the row: an experiment says nothing then.
                // Only an offset that is large beside the gaps still does.
                let is_rounding =
                    matches!(by_size, Cause::NarrowArithmetic | Cause::Cancellation | Cause::RoundedExponent);
                // Nor is it one where it is large and goes away with the size of what it is proportional to.
                let is_by_size =
                    self.passed(SCALED) && judgement.worst.as_ref().is_some_and(|worst| worst.judged.ratio >= FAR);
                if is_rounding && !is_by_size && truth.anatomy.max.abs() <= LARGE_OFFSET * (1.0 + gap(case)) {
                    // But a row of several that was shrunk may fail for a place.
                    let by_places = (case.logits().len() > 2).then(|| self.by_places()).flatten();
                    return by_places.unwrap_or(by_size);
                }
                match self.by_experiment(by_size) {
                    Some(cause) => cause,
                    None if self.foretells(by_size) => by_size,
                    None => self.by_scope(),
                }
            }
        }
    }

    /// The class of the row that fails: of several that of the worst output, where each output is of one.
    fn class(&self) -> RowClass {
        let Self { case, truth, judgement, .. } = *self;
        let row = judgement.worst.as_ref().and_then(|worst| case.rows().get(worst.index.checked_div(case.row_len())?));
        match row {
            Some(row) if !case.op().is_scalar() => row.as_ref().map_or(RowClass::AllIgnored, RowClass::of_case),
            _ => truth.class,
        }
    }

    /// Tries what says something of any row, so that a person may draw conclusions of their own.
    fn try_all(&mut self) {
        let Self { case, truth, .. } = *self;
        let max = truth.anatomy.max;
        if max != 0.0 {
            self.cures("with its maximum moved to 0", recentred(case, max));
        }
        if truth.class == RowClass::PartlyMasked {
            self.cures("without its classes of -inf", kept(case, |&z| z.is_finite()));
            self.cures("with its classes of -inf far below the others", far_below(case, max));
        }
        self.cures("in descending order", descending(case));
        self.cures("with its first half alone", first_half(case));
        self.cures("without label smoothing", unsmoothed(case));
        self.cures(SCALED, of_unit_direction(case));
        self.cures(MULTIPLIED, multiplied(case));
    }

    /// Whether small numbers that became 0 explain a failure that the claim of flushing forgives. The claim forgives other errors of
    /// that size as well: but what flushing leaves is seldom near its value, it makes no result larger, and it does nothing where all
    /// numbers are far above the least normal one.
    fn is_flushed(&mut self) -> bool {
        let Self { case, truth, judgement, claims, .. } = *self;
        let is_no_larger = judgement
            .worst
            .as_ref()
            .is_none_or(|worst| exact_value(truth, worst.index).is_some_and(|exact| worst.got.abs() <= exact.abs()));
        judgement.verdict != Verdict::Inaccurate
            && is_no_larger
            && self.cures("with its smallest numbers raised", raised(case, claims.accumulator(case.dtype())))
    }

    /// What a variation of the input cures.
    fn by_experiment(&mut self, by_size: Cause) -> Option<Cause> {
        let Self { case, truth, judgement, .. } = *self;
        // A row that is also cured by other numbers at their places fails by their being -inf; else it may be the length.
        if self.passed("without its classes of -inf") && self.passed("with its classes of -inf far below the others") {
            return Some(Cause::MaskedClass);
        }
        if self.passed(MULTIPLIED) {
            return Some(Cause::Scale);
        }
        if self.passed("without label smoothing") && matches!(by_size, Cause::WrongValue | Cause::Clipped) {
            return Some(Cause::LabelSmoothing);
        }
        if self.passed("with its maximum moved to 0") {
            return Some(self.by_level());
        }
        // An error that is linear in the direction, as that of every formula is, does not go away with its size.
        if self.passed(SCALED) {
            return Some(Cause::Direction);
        }
        if self.passed("in descending order") {
            return Some(self.by_places().unwrap_or(Cause::Order));
        }
        self.cures("with a few logits less", before_wrapping(case, truth, judgement)).then_some(Cause::NarrowIndex)
    }

    /// Whether a variation that was tried passes.
    fn passed(&self, change: &str) -> bool {
        self.tried.iter().any(|tried| tried.change == change && tried.passes)
    }

    /// Why a row fails that passes with its maximum moved to 0.
    fn by_level(&mut self) -> Cause {
        let Self { case, truth, judgement, claims, .. } = *self;
        let guess = of_level(case, truth, judgement, claims);
        if guess.is_some_and(|(_, level)| level.is_none_or(|level| self.fails_at(level))) {
            return guess.map_or(Cause::Level, |(cause, _)| cause);
        }
        let Some(level) = Level::of(case, truth.anatomy.max, self.ask) else { return Cause::Level };
        let (words, is_explained) = level.in_words();
        self.scope = Some(words);
        if is_explained { Cause::Limit } else { Cause::Level }
    }

    /// Whether the row fails with its maximum at this level, too.
    fn fails_at(&mut self, level: f64) -> bool {
        let (case, max) = (self.case, self.truth.anatomy.max);
        let change = format!("with its maximum at {}", text::decimal(level, case.dtype()));
        self.fails_on(&change, recentred(case, max - level))
    }

    /// Whether what a cause that fits the size of the error foretells comes true; it does where it foretells nothing.
    fn foretells(&mut self, cause: Cause) -> bool {
        let Self { case, judgement, .. } = *self;
        match cause {
            // What is cut off stays where it is, however far the truth goes.
            Cause::Clipped => {
                const SLACK: f64 = 1.25;
                let Some(widened) = widened(case) else { return false };
                let Some(further) = (self.ask)(&widened) else { return false };
                let size = |judgement: &Judgement| judgement.worst.as_ref().map_or(f64::NAN, |worst| worst.got.abs());
                let stays = further.verdict.is_failure() && size(&further) <= SLACK * size(judgement);
                self.tried
                    .push(Tried { change: "with its gaps doubled".into(), passes: !further.verdict.is_failure() });
                stays
            }
            // A narrow sum loses much of an ordinary row that is long enough, whatever it adds up.
            Cause::NarrowSum if case.dtype().output().bytes() == 2 => {
                const ENOUGH: usize = 8192;
                let variants = if case.op().others().is_empty() { 1 } else { 2 };
                (0..variants).any(|variant| {
                    let logits = ordinary(ENOUGH);
                    let others = others(case.op(), case.dtype(), &logits, variant);
                    let long = Case::new(case.op(), case.dtype(), logits, others).ok();
                    let change = match variant {
                        0 => format!("on an ordinary row of {ENOUGH}"),
                        _ => "on that row with other inputs beside the logits".to_owned(),
                    };
                    self.fails_on(&change, long)
                })
            }
            Cause::WrongValue => false,
            _ => true,
        }
    }

    /// Whether nearly any row fails, so that none tells a cause.
    fn by_formula(&mut self) -> Option<Cause> {
        if self.is_explained {
            return None;
        }
        self.scope = scope::everywhere(self.case, self.ask);
        self.scope.is_some().then_some(Cause::Formula)
    }

    /// Whether it is a row whose products with the scale are beyond the range.
    fn by_product(&mut self) -> Option<Cause> {
        let Self { case, claims, .. } = *self;
        let accumulator = claims.accumulator(case.dtype());
        if self.is_explained || !is_product_infinite(case, accumulator) {
            return None;
        }
        self.scope = Some(format!("A logit times the scale is beyond the range of {accumulator}."));
        Some(Cause::Scale)
    }

    /// Where it fails, for want of a cause.
    fn by_scope(&mut self) -> Cause {
        if let Some(cause) = self.by_places() {
            return cause;
        }
        if self.is_explained {
            return Cause::WrongValue;
        }
        self.scope = scope::lengths(self.case, self.ask);
        if self.scope.is_some() { Cause::Length } else { Cause::WrongValue }
    }

    /// The places at which a logit makes it fail.
    fn by_places(&mut self) -> Option<Cause> {
        if self.is_explained {
            return None;
        }
        self.scope = scope::places(self.case, self.ask);
        self.scope.is_some().then_some(Cause::Place)
    }

    /// Whether the kernel passes on a variation of the case; where there is none, it does not.
    fn cures(&mut self, change: &str, variation: Option<Case>) -> bool {
        let Some(variation) = variation else { return false };
        let Some(judgement) = (self.ask)(&variation) else { return false };
        let passes = !judgement.verdict.is_failure();
        self.tried.push(Tried { change: change.into(), passes });
        passes
    }

    /// Whether the kernel fails on a variation of the case; where there is none, it does not.
    fn fails_on(&mut self, change: &str, variation: Option<Case>) -> bool {
        let before = self.tried.len();
        !self.cures(change, variation) && self.tried.len() > before
    }
}

/// What would explain a row that passes with its maximum moved to 0, and a level nearer to 0 at which it would then fail, too; none where
/// the row is at that level itself.
fn of_level(case: &Case, truth: &Truth, judgement: &Judgement, claims: &Claims) -> Option<(Cause, Option<f64>)> {
    let max = truth.anatomy.max;
    let sum = max + (case.logits().len() as f64).ln();
    let worst = judgement.worst.as_ref()?;
    let u = case.output_format().unit_roundoff();
    let relative = relative_error(truth, worst.index, worst.got);
    let absolute = exact_value(truth, worst.index).map_or(f64::INFINITY, |exact| (worst.got - exact).abs());
    // An offset leaves an error of a few roundings of itself, a relative one in a probability; leaving the range of exp does not.
    let error = if case.op().is_distribution() { relative } else { relative.min(absolute / direction_size(case)) };
    if error <= 16.0 * u * (max.abs() + sum.abs()) {
        return Some((Cause::Absorption, None));
    }
    // A kernel that leaves the range of the dtype, though not of its accumulator, fails grossly if it computes there.
    let gross = !worst.got.is_finite() || relative > 0.1;
    let (narrow, wide) = (Thresholds::of(case.dtype()), Thresholds::of(claims.accumulator(case.dtype())));
    // Past the range by more than a step of any dtype.
    const PAST: f64 = 1.0 + 1.0 / 64.0;
    let past = |threshold: f64| {
        let level = case.dtype().round(threshold * PAST);
        (level.abs() < max.abs()).then_some(level)
    };
    let beyond = |x: f64| x > wide.overflow || (gross && x > narrow.overflow);
    if beyond(max) {
        let reached = if max > wide.overflow { wide } else { narrow };
        Some((Cause::ExpOverflow, past(reached.overflow)))
    } else if beyond(sum) {
        Some((Cause::SumOverflow, None))
    } else if max < wide.subnormal {
        // What is left of the largest exponential has so many digits, and no fewer.
        let lost = (wide.underflow - max).exp();
        (relative <= 16.0 * lost || max < wide.underflow).then(|| (Cause::SumUnderflow, past(wide.underflow)))
    } else if gross && max < narrow.subnormal {
        Some((Cause::SumUnderflow, past(narrow.underflow)))
    } else {
        None
    }
}

/// What the size of the error tells.
fn by_size(case: &Case, truth: &Truth, judgement: &Judgement) -> Cause {
    let Some(worst) = &judgement.worst else { return Cause::WrongValue };
    let Some(exact) = exact_value(truth, worst.index) else { return Cause::WrongValue };
    let (got, narrow) = (worst.got, Thresholds::of(case.dtype()));
    let logarithmic = case.op().row().is_some_and(|facts| facts.is_log_probability);
    if logarithmic && got.is_infinite() && exact.abs() > -narrow.underflow - 1.0 {
        return Cause::LogOfZero;
    }
    if !got.is_finite() {
        return Cause::WrongValue;
    }
    let relative = relative_error(truth, worst.index, got);
    let falls_short = got.abs() < exact.abs() * (1.0 - 1e-3) && exact.abs() > 8.0;
    let is_floor = got > 0.0 && got < LARGEST_FLOOR;
    let stays_above = case.op().is_distribution() && is_floor && exact < ldexp(1.0, -40) && relative > 0.1;
    if (logarithmic && falls_short) || stays_above {
        return Cause::Clipped;
    }
    if logarithmic && exact.abs() > -narrow.subnormal {
        return Cause::LogOfSubnormal;
    }
    let u = case.output_format().unit_roundoff();
    let n = case.logits().len();
    let is_half = matches!(case.dtype().output(), Dtype::F16 | Dtype::Bf16);
    // Shrinking has made the row as short as it fails, so a row that is still long needs its length.
    if n >= LONG && (is_half || n as f64 * u > 1e-3) {
        return Cause::NarrowSum;
    }
    let gap = gap(case);
    let scale =
        case.direction().map_or(1.0, |direction| direction.iter().fold(0.0, |scale: f64, g| scale.max(g.abs())));
    // What loses half of itself and more is no matter of rounding.
    const MOST: f64 = 0.5;
    let steps = (8.0 * u * (1.0 + gap)).min(MOST);
    let absolute = relative * exact.abs();
    let is_quotient = case.op().is_distribution();
    if !is_quotient && exact.abs() <= 0.25 * scale && absolute <= steps * scale && relative > steps {
        return Cause::Cancellation;
    }
    if is_half && (relative <= steps || (!is_quotient && absolute <= steps * scale)) {
        return Cause::NarrowArithmetic;
    }
    if relative <= steps { Cause::RoundedExponent } else { Cause::WrongValue }
}
