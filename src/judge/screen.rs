//! The screen: what can be said of an answer from plain numbers, and of the outputs that these leave open from the oracle.
//!
//! The oracle's tiers tell every output to a hundred bits. Nearly always less is enough: an output that passes, or fails, and lies in
//! the middle of its bin of the histogram, is counted the same by any number near the truth. Here each output has an interval of its
//! error, from the radius of [`Near`], and a bound that is the judge's own, bit for bit. Where the interval decides every count, it is
//! counted by it; where one is left open, the oracle is asked about this output. So the screen decides nothing differently.
//!
//! What plain numbers leave open, double-doubles are asked about first ([`Deeper`]): they say the same of an output, with a radius that is
//! smaller by forty bits. The oracle has the rest: what lies exactly on an edge, or cancels below what double-doubles resolve.
//!
//! An error is told on a grid ([`figure`]), and the interval of nearly every output has one number of it: then that is the figure. Of
//! the few others the oracle is asked about those that may have the largest error of the answer, or be its worst output.

use super::error::figure;
use common::{CHUNK, Chunk};

use super::{
    Bounds, Grade, Judgement, Judging, NearBounds, OutputJudgement, Verdict, WorstOutput, fixed_point, histogram_bin,
    relation,
};
use crate::case::Case;
use crate::dtype::{Dtype, Format, exponent, ldexp, two_sum};
use crate::kernel::Claims;
use crate::magnitude::{Magnitude, Size};
use crate::oracle::{Due, Near, NearCase, Rounded, SHOWN_BITS, SLACK};
use crate::special::RowClass;

mod common;

pub(crate) use common::Scales;

/// What an answer is screened by. The row must be ordinary.
pub(crate) struct Screening<'a, S = NearBounds> {
    /// The case.
    pub case: &'a Case,
    /// The case in plain numbers.
    pub near: &'a NearCase,
    /// How the errors of its outputs are told.
    pub scales: &'a Scales,
    /// The bounds under the claims.
    pub bounds: &'a S,
    /// What the kernel claims.
    pub claims: &'a Claims,
}

/// What is asked about the outputs that plain numbers leave open.
pub(crate) trait Deeper {
    /// What double-doubles say of output `j`.
    fn near(&mut self, j: usize) -> Near;
    /// What it must be, by the oracle.
    fn due(&mut self, j: usize) -> Due;
}

/// What is known of an output: all that is counted, and intervals of its figures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    verdict: Verdict,
    grade: Option<Grade>,
    /// Whether there is a finite error, and its sign.
    measured: Option<f64>,
    /// The size of the error in ulps, and its ratio to the bound.
    ulp: (f64, f64),
    ratio: (f64, f64),
    /// See [`OutputJudgement::strict_ratio`].
    strict: (f64, f64),
    /// NaN where the unit is not certain.
    bound_ulps: f64,
}

/// The unit in which the error of an output is told.
#[derive(Debug, Clone, Copy)]
struct Unit {
    /// `log2` of the ulp of the exact value, or of half of it where the value may lie on either side of a power of two.
    exponent: i32,
    /// Whether it is certain on which.
    is_certain: bool,
}

/// More than the roundings of this file, relative to what they are roundings of.
const SAFE: f64 = 1.0 + 1.0 / (1u64 << 40) as f64;

/// Errors of more ulps are told in numbers of any size.
const MOST_ULPS: f64 = f64::MAX / 4.0;

/// Whether the ratio of an error to a bound, in ulps, is what it is in numbers of any size: it does not underflow, and the bound is one. No
/// error has a ratio of 0, and so has any beside an infinite bound.
#[inline]
fn is_told_in_ulps(bound: f64, ulps: f64) -> bool {
    (ulps == 0.0) | (bound == f64::INFINITY) | ((bound < f64::MAX) & (ulps > bound * f64::MIN_POSITIVE))
}

/// The exact way tells the error of what is not known exactly to this many ulps.
const SHOWN_DOUBT: f64 = 1.0 / (1u64 << SHOWN_BITS) as f64;

impl Told {
    /// The special value that is due.
    const EXACT: Self = Self {
        verdict: Verdict::Pass,
        grade: Some(Grade::Tight),
        measured: None,
        ulp: (0.0, 0.0),
        ratio: (0.0, 0.0),
        strict: (0.0, 0.0),
        bound_ulps: 0.0,
    };

    /// A value of the wrong kind.
    fn wrong_kind(verdict: Verdict, bound_ulps: f64) -> Self {
        Self { verdict, grade: None, ratio: (f64::INFINITY, f64::INFINITY), bound_ulps, ..Self::EXACT }
    }

    /// What is known of an output that was judged.
    pub(super) fn of(judged: &OutputJudgement) -> Self {
        let OutputJudgement { verdict, grade, ulps, bound_ulps, ratio, strict_ratio: strict } = *judged;
        let ulp = ulps.map_or(0.0, f64::abs);
        let measured = ulps.map(|ulps| 1.0f64.copysign(ulps));
        let (ulp, ratio, strict) = ((ulp, ulp), (ratio, ratio), (strict, strict));
        Self { verdict, grade, measured, ulp, ratio, strict, bound_ulps }
    }

    /// The whole judgement, where the figures are known.
    fn whole(&self) -> Option<OutputJudgement> {
        let Self { verdict, grade, measured, ulp, ratio, strict, bound_ulps } = *self;
        let is_whole = ulp.0 == ulp.1 && ratio.0 == ratio.1 && strict.0 == strict.1 && !bound_ulps.is_nan();
        // 0 has no sign.
        let ulps = measured.map(|sign| if ulp.0 == 0.0 { 0.0 } else { ulp.0 * sign });
        is_whole.then_some(OutputJudgement { verdict, grade, ulps, bound_ulps, ratio: ratio.0, strict_ratio: strict.0 })
    }
}

impl<'a> Screening<'a> {
    /// Judges an answer, which must have as many outputs as are due.
    pub fn judge(&self, outputs: &[f64], deeper: &mut impl Deeper) -> Judgement {
        match self.bounds {
            NearBounds::Plain(bounds) => self.under(bounds).judge_all(outputs, deeper),
            NearBounds::Wide(bounds) => self.under(bounds).judge_all(outputs, deeper),
        }
    }

    /// Judges each output by itself.
    pub fn judge_each(&self, outputs: &[f64], deeper: &mut impl Deeper) -> Vec<OutputJudgement> {
        match self.bounds {
            NearBounds::Plain(bounds) => self.under(bounds).judge_one_by_one(outputs, deeper),
            NearBounds::Wide(bounds) => self.under(bounds).judge_one_by_one(outputs, deeper),
        }
    }

    /// The same under these bounds.
    fn under<S>(&self, bounds: &'a Bounds<S>) -> Screening<'a, Bounds<S>> {
        let Self { case, near, scales, claims, .. } = *self;
        Screening { case, near, scales, bounds, claims }
    }
}

impl<S: Size + Into<Magnitude>> Screening<'_, Bounds<S>> {
    fn judge_all(&self, outputs: &[f64], deeper: &mut impl Deeper) -> Judgement {
        let mut judgement = Judgement { outputs: outputs.len() as u64, ..Judgement::empty() };
        let mut open = Vec::new();
        let mut judge_alone = |judgement: &mut Judgement, j: usize, deeper: &mut _| {
            let got = outputs[j];
            let told = self.tell(self.near.outputs[j], j, got).or_else(|| self.tell_deeper(j, got, deeper));
            let told = told.unwrap_or_else(|| Told::of(&self.judge_exactly(j, got, deeper)));
            judgement.count(&told);
            if judgement.may_be_raised(j, &told) {
                match told.whole() {
                    Some(whole) => judgement.raise(j, got, whole),
                    None => open.push((j, told)),
                }
            }
        };
        let Bounds { textbook, tight, half_digits, .. } = self.bounds;
        for (place, chunk) in outputs.chunks(CHUNK).enumerate() {
            let start = place * CHUNK;
            if half_digits.is_some() {
                (start..start + chunk.len()).for_each(|j| judge_alone(&mut judgement, j, deeper));
                continue;
            }
            let told = self.scales.judge(start, chunk, textbook, tight.as_deref());
            judgement.count_chunk(&told);
            for (j, (&ulp, &ratio)) in (start..start + chunk.len()).zip(told.ulp.iter().zip(&told.ratio)) {
                if ulp.is_nan() {
                    judge_alone(&mut judgement, j, deeper);
                    continue;
                }
                judgement.histogram[histogram_bin(ulp)] += 1;
                let strict = self.strict_ratio(j, ulp);
                let is_largest =
                    ulp > judgement.max_ulp || ratio > judgement.max_ratio || strict > judgement.max_strict_ratio;
                if is_largest || judgement.worst.is_none() {
                    judgement.raise(j, outputs[j], self.judge_plainly(j, outputs[j], (ulp, ratio)));
                }
            }
        }
        for (j, told) in open {
            if judgement.may_be_raised(j, &told) {
                judgement.raise(j, outputs[j], self.judge_whole(j, outputs[j], deeper));
            }
        }
        if judgement.verdict == Verdict::Pass {
            judgement.break_relation(relation::broken_within(self.case, outputs, self.claims, self.bounds.sum));
        }
        judgement
    }

    fn judge_one_by_one(&self, outputs: &[f64], deeper: &mut impl Deeper) -> Vec<OutputJudgement> {
        let judge = |(j, &got): (usize, &f64)| {
            let told = self.tell(self.near.outputs[j], j, got).and_then(|told| told.whole());
            told.unwrap_or_else(|| self.judge_whole(j, got, deeper))
        };
        outputs.iter().enumerate().map(judge).collect()
    }

    /// The whole judgement of an output of which plain numbers do not say all.
    fn judge_whole(&self, j: usize, got: f64, deeper: &mut impl Deeper) -> OutputJudgement {
        let told = self.tell_deeper(j, got, deeper).and_then(|told| told.whole());
        told.unwrap_or_else(|| self.judge_exactly(j, got, deeper))
    }

    /// What double-doubles say of output `j`, if it is not known exactly. In f64 they have said it already.
    fn tell_deeper(&self, j: usize, got: f64, deeper: &mut impl Deeper) -> Option<Told> {
        let is_known = self.near.outputs[j].radius == 0.0 || self.case.dtype() == Dtype::F64;
        if is_known { None } else { self.tell(deeper.near(j), j, got) }
    }

    /// The [`OutputJudgement::strict_ratio`] of an output that passes with this error.
    #[inline]
    fn strict_ratio(&self, j: usize, ulp: f64) -> f64 {
        let Some(tight) = &self.bounds.tight else { return 0.0 };
        let bound = tight[j].times(self.scales.scale(j));
        if ulp > bound { ulp / bound } else { 0.0 }
    }

    /// An output that passes with this error and ratio.
    fn judge_plainly(&self, j: usize, got: f64, (ulp, ratio): (f64, f64)) -> OutputJudgement {
        let (near, scale) = (self.near.outputs[j], self.scales.scale(j));
        let strict_ratio = self.strict_ratio(j, ulp);
        let is_tight = self.bounds.tight.is_some() && strict_ratio == 0.0;
        OutputJudgement {
            verdict: Verdict::Pass,
            strict_ratio,
            grade: Some(if is_tight { Grade::Tight } else { Grade::Textbook }),
            ulps: Some(if ulp == 0.0 { 0.0 } else { ulp.copysign(distance(got, near.high, near.low, scale, 0.0).0) }),
            bound_ulps: self.bounds.textbook[j].times(scale),
            ratio,
        }
    }

    fn judge_exactly(&self, j: usize, got: f64, deeper: &mut impl Deeper) -> OutputJudgement {
        self.judging().judge_due(&deeper.due(j), &self.bounds.at(j), got)
    }

    fn judging(&self) -> Judging<'_> {
        Judging { case: self.case, class: self.near.class, claims: self.claims }
    }

    /// What a number near the truth says of output `j`, if it decides all that is counted.
    #[inline]
    fn tell(&self, near: Near, j: usize, got: f64) -> Option<Told> {
        // An element that may be flushed to zero may have any output, which is told without an error.
        let may_be_flushed = self.near.class == RowClass::Elements && self.claims.flush_to_zero;
        if may_be_flushed && self.bounds.textbook[j] == S::INFINITY {
            return None;
        }
        if !near.high.is_finite() {
            let is_due = got == near.high || (got.is_nan() && near.high.is_nan());
            let verdict = if got.is_nan() { Verdict::Nan } else { Verdict::Swallowed };
            return Some(if is_due { Told::EXACT } else { Told::wrong_kind(verdict, 0.0) });
        }
        let (format, shift) = (self.case.output_format(), self.near.shift(j));
        let as_it_is = got;
        let (format, got) = if shift == 0 { (format, got) } else { shifted(format, got, shift)? };
        let Bounds { tight, half_digits, .. } = self.bounds;
        let Some(unit) = Unit::of(near, format) else { return self.tell_overflow(near, format, j, got) };
        // The ulp of a small f64 has no reciprocal. What is exactly a number there, nearly always 0, needs no oracle all the same.
        if unit.exponent <= -f64::MAX_EXP {
            let is_number = near.radius == 0.0 && near.low == 0.0;
            let due = Due::Value(Rounded::of_number(near.high, format));
            return is_number.then(|| Told::of(&self.judging().judge_due(&due, &self.bounds.at(j), got)));
        }
        let scale = ldexp(1.0, -unit.exponent);
        let exponent = unit.exponent - shift;
        let bound = self.bounds.textbook[j].shifted(-exponent).to_f64();
        if !got.is_finite() {
            return self.tell_not_finite(got, bound).filter(|_| unit.is_certain);
        }
        let (ulps, doubt) = distance(got, near.high, near.low, scale, unknown(near, format, scale));
        let (least, most) = (figure(ulps.abs() - doubt).max(0.0), figure(ulps.abs() + doubt));
        if most > MOST_ULPS {
            return None;
        }
        let ratio_to = |bound: S| (bound.ratio_of(least, exponent), bound.ratio_of(most, exponent));
        let ratio = ratio_to(self.bounds.textbook[j]);
        // Whether the error is within a bound, where that is certain.
        let within = |bounds: &Option<Vec<S>>| match bounds {
            Some(bounds) => {
                let is_within = bounds[j].holds(most, exponent);
                (is_within || !bounds[j].holds(least, exponent)).then_some(Some(is_within))
            }
            None => Some(None),
        };
        let half = within(half_digits)?;
        let (verdict, grade) = if ratio.0 > 1.0 || (self.claims.half_digits && half == Some(false)) {
            (self.tell_failure(near, format, as_it_is)?, None)
        } else if ratio.1 > 1.0 {
            return None;
        } else if within(tight)? == Some(true) {
            (Verdict::Pass, Some(Grade::Tight))
        } else if half == Some(false) {
            (Verdict::Pass, Some(Grade::LongSum))
        } else {
            (Verdict::Pass, Some(Grade::Textbook))
        };
        let strict = match tight {
            Some(tight) if verdict == Verdict::Pass && grade != Some(Grade::Tight) => ratio_to(tight[j]),
            _ => (0.0, 0.0),
        };
        let sign = 1.0f64.copysign(ulps);
        let is_counted = least == most
            || (least > 0.0
                && histogram_bin(least) == histogram_bin(most)
                && fixed_point(sign * least) == fixed_point(sign * most));
        // Where the unit is not certain, only nothing is the same in either.
        let is_told = is_counted && (unit.is_certain || most == 0.0);
        let bound_ulps = if unit.is_certain { bound } else { f64::NAN };
        is_told.then_some(Told { verdict, grade, measured: Some(sign), ulp: (least, most), ratio, strict, bound_ulps })
    }

    /// The same of NaN or an infinity where the value is a number, and rounds to one.
    fn tell_not_finite(&self, got: f64, bound_ulps: f64) -> Option<Told> {
        if self.judging().is_forgiven_overflow(self.bounds.overflow_is_forgiven, got) {
            return Some(Told { grade: Some(Grade::Textbook), ..Told::EXACT });
        }
        let verdict = if got.is_nan() { Verdict::Nan } else { Verdict::Inf };
        Some(Told::wrong_kind(verdict, bound_ulps))
    }

    /// The same of an infinity where the value rounds to it: from half an ulp above the largest number on.
    fn tell_overflow(&self, near: Near, format: Format, j: usize, got: f64) -> Option<Told> {
        let (value, rest) = two_sum(near.high, near.low);
        let unit = format.ulp_exponent(format.emax);
        let is_certain = value.abs() - (rest.abs() + near.reach(format)) > beyond(format);
        let grade = if self.bounds.tight.is_some() { Grade::Tight } else { Grade::Textbook };
        let bound_ulps = self.bounds.textbook[j].shifted(self.near.shift(j)).times(ldexp(1.0, -unit));
        let told = Told { grade: Some(grade), measured: Some(1.0), bound_ulps, ..Told::EXACT };
        (is_certain && got.is_infinite() && got * value > 0.0).then_some(told)
    }

    /// The name of an error beyond the bound, where it is certain.
    fn tell_failure(&self, near: Near, format: Format, got: f64) -> Option<Verdict> {
        let (value, reach) = (near.high + near.low, near.low.abs() * f64::EPSILON + near.reach(format));
        // The sign needs no slack, which stands for what underflow takes from sizes.
        let is_signed = value.abs() > near.radius + near.low.abs() * f64::EPSILON || reach == 0.0;
        let tie = format.least() / 2.0;
        let is_zero = value.abs() + reach < tie;
        let is_open = got == 0.0 && !is_zero && value.abs() - reach <= tie;
        (is_signed && !is_open).then(|| self.judging().failure(if is_zero { 0.0 } else { value }, value, got))
    }
}

impl Judgement {
    /// Whether an output may have one of the largest figures so far.
    #[inline]
    fn may_be_raised(&self, j: usize, told: &Told) -> bool {
        let is_behind = |worst: &WorstOutput| {
            let known = (worst.judged.verdict, worst.judged.ratio);
            known > (told.verdict, told.ratio.1) || (known == (told.verdict, told.ratio.1) && worst.index < j)
        };
        let is_behind = self.worst.as_ref().is_some_and(is_behind);
        told.ulp.1 > self.max_ulp
            || told.ratio.1 > self.max_ratio
            || told.strict.1 > self.max_strict_ratio
            || !is_behind
    }

    /// Counts the outputs of a chunk that are told, but for the histogram.
    fn count_chunk(&mut self, chunk: &Chunk) {
        for (grade, count) in [(Grade::Tight, chunk.tight), (Grade::Textbook, chunk.told - chunk.tight)] {
            self.grades[grade as usize] += count;
            if count > 0 {
                self.grade = self.grade.max(Some(grade));
            }
        }
        self.measured += chunk.told;
        self.signed_sum += i128::from(chunk.signed_sum);
    }

    /// Counts an output.
    #[inline]
    pub(super) fn count(&mut self, told: &Told) {
        self.verdict = self.verdict.max(told.verdict);
        if let Some(grade) = told.grade {
            self.grades[grade as usize] += 1;
            self.grade = self.grade.max(Some(grade));
        }
        if let Some(sign) = told.measured {
            self.measured += 1;
            self.signed_sum += i128::from(fixed_point(sign * told.ulp.0));
            self.histogram[histogram_bin(told.ulp.0)] += 1;
        }
    }
}

impl Near {
    /// How far from the sum of its parts the number may be, which is an output of this format.
    #[inline]
    fn reach(self, format: Format) -> f64 {
        // The radius of a double-double has what underflow takes from it.
        let slack = if format.precision == f64::MANTISSA_DIGITS { 0.0 } else { SLACK };
        if self.radius == 0.0 { 0.0 } else { self.radius * SAFE + slack }
    }
}

impl Unit {
    /// The unit of an output; none where not even two that it may be are known, or where the value may round to infinity.
    #[inline]
    fn of(near: Near, format: Format) -> Option<Self> {
        let (value, rest) = two_sum(near.high, near.low);
        let radius = near.reach(format);
        let (size, outward) = (value.abs(), if value < 0.0 { -rest } else { rest });
        let reach = outward.abs() + radius;
        let mut is_certain = true;
        let binade = if size + reach < format.least_normal() {
            format.emin
        } else {
            let binade = exponent(size);
            let floor = ldexp(1.0, binade);
            if size == floor {
                // A power of two with a rest of known sign: the sign needs no slack.
                if outward + near.radius < 0.0 {
                    binade - 1
                } else if outward >= near.radius {
                    binade
                } else {
                    is_certain = false;
                    binade - 1
                }
            } else if size - floor > reach && floor - (size - floor) > reach {
                binade
            } else {
                return None;
            }
        };
        (size + reach < beyond(format)).then_some(Self { exponent: format.ulp_exponent(binade), is_certain })
    }
}

/// A format and a number of it times a power of two; none where the number does not stay what it is.
fn shifted(format: Format, got: f64, shift: i32) -> Option<(Format, f64)> {
    let moved = ldexp(got, shift);
    let is_same = !got.is_finite() || (moved.is_finite() && ldexp(moved, -shift) == got);
    let format = Format { emin: format.emin + shift, emax: format.emax + shift, ..format };
    is_same.then_some((format, moved))
}

/// Where values begin that round to infinity: half an ulp above the largest number.
#[inline]
fn beyond(format: Format) -> f64 {
    format.largest() + ldexp(1.0, format.ulp_exponent(format.emax) - 1)
}

/// What is not known of the exact value of an output, in units of `1 / scale`.
#[inline]
fn unknown(near: Near, format: Format, scale: f64) -> f64 {
    let shown = if (near.radius == 0.0) & (near.low == 0.0) { 0.0 } else { SHOWN_DOUBT };
    near.reach(format) * scale + shown
}

/// The error of a finite output whose value is `high + low`, in units of `1 / scale`, and how far from it the true error may be where so
/// much is [`unknown`] of the value.
#[inline]
fn distance(got: f64, high: f64, low: f64, scale: f64, unknown: f64) -> (f64, f64) {
    let (difference, error) = two_sum(got, -high);
    let far = difference + (error - low);
    let rounded = (error.abs() + low.abs()) * (2.0 * f64::EPSILON) + far.abs() * f64::EPSILON;
    let inexact = if error == 0.0 { 0.0 } else { SHOWN_DOUBT };
    (far * scale, unknown + rounded * scale + inexact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::generate::draw::Draw;
    use crate::generate::{self, Family};
    use crate::judge::judge_output;
    use crate::judge::{due_value, judge};
    use crate::kernel::{Kernel, Outcome, builtin};
    use crate::oracle::{DoubleCase, Oracle};
    use crate::special::Special;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    /// What the double-doubles of a case and its truth say, and how often they are asked.
    struct Counted<'a, D> {
        doubles: Option<DoubleCase<'a>>,
        case: &'a Case,
        due: D,
        asked: [u64; 2],
    }

    impl<'a, D: FnMut(usize) -> Due> Counted<'a, D> {
        fn new(case: &'a Case, due: D) -> Self {
            Self { doubles: None, case, due, asked: [0; 2] }
        }
    }

    impl<D: FnMut(usize) -> Due> Deeper for Counted<'_, D> {
        fn near(&mut self, j: usize) -> Near {
            self.asked[0] += 1;
            self.doubles.get_or_insert_with(|| DoubleCase::new(self.case)).output(j)
        }

        fn due(&mut self, j: usize) -> Due {
            self.asked[1] += 1;
            (self.due)(j)
        }
    }

    /// Answers near the truth, by steps that reach the edges of bounds and bins, and beyond: what the screen says of them, the exact way
    /// says, to the last figure. And it asks about few outputs.
    #[test]
    fn what_the_screen_says_is_what_the_exact_way_says() {
        let claims = [
            "exp=2",
            "tight",
            "exp=1,log=1",
            "sum=pairwise",
            "flush_to_zero",
            "half_digits",
            "exp_argument=2",
            "online=rescaled,exp_argument=1",
            "merged=8,online=rescaled,tight",
            "merged=3",
        ]
        .map(|text| {
            let mut claims = Claims::default();
            claims.set(text).unwrap();
            claims
        });
        const NEVER: u64 = u64::MAX;
        let (mut outputs_judged, mut asked) = (0u64, 0u64);
        let (mut verdicts, mut ops): (BTreeMap<Verdict, u64>, BTreeSet<Op>) = Default::default();
        let mut oracle = Oracle::new();
        for (number, &family) in Family::all().iter().filter(|family| !family.is_slow()).enumerate() {
            for (dtype, index) in Dtype::ALL.into_iter().flat_map(|d| (0..6).map(move |i| (d, i))) {
                let logits: Arc<[f64]> = generate::row(family, dtype, 31, index, 90).into();
                for &op in Op::ALL {
                    let made = generate::case(op, dtype, family.name(), 31, index, logits.clone(), None).unwrap();
                    let Some(case) = made else { continue };
                    // Where several answers are accepted, plain numbers are not asked.
                    let Some(near) = oracle.near(&case, RowClass::of_case(&case)) else { continue };
                    let truth = oracle.truth(&case, Special::Framework);
                    let mut draw = Draw::from_seed((number as u64) << 32 | index << 8 | u64::from(op.code()));
                    let claims = &claims[draw.index(claims.len())];
                    let (most, wrong) = draw.choose(&[(0, NEVER), (1, NEVER), (2, 10), (40, NEVER), (1 << 12, 3)]);
                    let format = dtype.output().format();
                    let step = |due: &Due| match due_value(due) {
                        _ if draw.chance(wrong) => draw.choose(&[0.0, -0.0, 1.0, 2.0, f64::NAN, f64::INFINITY]),
                        Some(value) => format.step(value.rounded, draw.between(-most, most)),
                        None => f64::NEG_INFINITY,
                    };
                    let outputs: Vec<f64> = truth.alternatives[0].iter().map(step).collect();
                    let bounds = NearBounds::new(&case, &near, claims);
                    if let NearBounds::Plain(bounds) = &bounds {
                        let all = [Some(&bounds.textbook), bounds.tight.as_ref(), bounds.half_digits.as_ref()];
                        assert!(!all.into_iter().flatten().flatten().any(|bound| bound.is_nan()), "{case}");
                    }
                    let widened = Bounds::new(&case, &truth, claims);
                    let judgement = judge(&case, &Outcome::Outputs(outputs.clone()), &truth, &widened, claims);
                    let scales = Scales::of(&near, format);
                    let screening = Screening { case: &case, near: &near, scales: &scales, bounds: &bounds, claims };
                    let mut deeper = Counted::new(&case, |j: usize| truth.alternatives[0][j].clone());
                    let screened = screening.judge(&outputs, &mut deeper);
                    asked += deeper.asked[1];
                    assert_eq!(format!("{screened:?}"), format!("{judgement:?}"), "{case}");
                    for (j, judged) in screening.judge_each(&outputs, &mut deeper).into_iter().enumerate() {
                        let exactly = judge_output(&case, &truth, &widened, claims, j, outputs[j]);
                        assert_eq!(judged, exactly, "{case} {j}");
                    }
                    ops.insert(op);
                    *verdicts.entry(judgement.verdict).or_default() += 1;
                    outputs_judged += outputs.len() as u64;
                }
            }
        }
        assert_eq!(ops.len(), Op::ALL.len());
        assert!(asked * 20 < outputs_judged, "{asked} of {outputs_judged}");
        let is_met = |verdict: &Verdict| verdicts.get(verdict).is_some_and(|&count| count > 10);
        let met = [Verdict::Pass, Verdict::Inaccurate, Verdict::Range, Verdict::Zero, Verdict::Inf, Verdict::Nan];
        assert!(met.iter().all(is_met), "{verdicts:?}");
    }

    /// Of what correct kernels answer on ordinary rows plain numbers and double-doubles leave one output in a hundred to the oracle, at most;
    /// and plain numbers alone settle nearly all, but for ops whose values cancel, or of which a row has one output, which is then its worst.
    #[test]
    fn correct_answers_are_settled() {
        let kernels = ["shifted", "log1p", "online", "flash", "branched", "logaddexp_scan"];
        let kernels = kernels.map(|name| builtin::find(name).unwrap());
        let mut oracle = Oracle::new();
        let (mut left_open, mut of_f64) = (Vec::new(), [0u64; 2]);
        for &op in Op::ALL {
            // Of the dtypes that plain numbers are asked about first, and of f64.
            let (mut judged, mut asked) = ([0u64; 2], [[0u64; 2]; 2]);
            let families = Family::all().iter().filter(|family| !family.is_slow());
            for (family, dtype) in families.flat_map(|&f| Dtype::ALL.map(|dtype| (f, dtype))) {
                for index in 0..8 {
                    let logits: Arc<[f64]> = generate::row(family, dtype, 77, index, 200).into();
                    let made = generate::case(op, dtype, family.name(), 77, index, logits, None).unwrap();
                    let Some(case) = made else { continue };
                    let Some(near) = oracle.near(&case, RowClass::of_case(&case)) else { continue };
                    let scales = Scales::of(&near, dtype.output().format());
                    for kernel in kernels.iter().filter(|kernel| kernel.supports(op, dtype)) {
                        let Outcome::Outputs(outputs) = kernel.run(&case) else { panic!("{case}") };
                        let claims = kernel.claims(op, dtype);
                        let bounds = NearBounds::new(&case, &near, &claims);
                        let screening =
                            Screening { case: &case, near: &near, scales: &scales, bounds: &bounds, claims: &claims };
                        let mut dues = None;
                        let due = |j: usize| dues.get_or_insert_with(|| oracle.dues(&case)).get(j).clone();
                        let mut deeper = Counted::new(&case, due);
                        screening.judge(&outputs, &mut deeper);
                        let kind = usize::from(dtype == Dtype::F64);
                        asked[kind] = [0, 1].map(|tier| asked[kind][tier] + deeper.asked[tier]);
                        judged[kind] += outputs.len() as u64;
                    }
                }
            }
            let most = match op {
                Op::KL_DIVERGENCE => 18.0,
                Op::ATTENTION => 12.0,
                Op::CROSS_ENTROPY_GRAD | Op::KL_DIVERGENCE_GRAD => 7.0,
                Op::SOFT_CROSS_ENTROPY_GRAD | Op::LOG_SOFTMAX_JVP => 5.0,
                Op::SOFTMAX_VJP | Op::SOFTMAX_JVP | Op::LOG_SOFTMAX_VJP => 4.0,
                Op::LOGSUMEXP | Op::ENTROPY => 3.0,
                _ => 1.0,
            };
            // In f64 the losses of some rows cancel beyond double-doubles, or are a power of two exactly; a row has one.
            let most_of_f64 = if [Op::LOGSUMEXP, Op::CROSS_ENTROPY].contains(&op) { 2.5 } else { 1.0 };
            for (kind, most, most_exact) in [(0, most, 1.0), (1, 0.0, most_of_f64)] {
                let share = |asked: u64| 100.0 * asked as f64 / judged[kind] as f64;
                let [doubles, exact] = asked[kind].map(share);
                let dtypes = ["narrow dtypes", "f64"][kind];
                println!(
                    "{op}, {dtypes}: of {} outputs {doubles:.2} % are asked of double-doubles, {exact:.2} % of the oracle",
                    judged[kind]
                );
                if judged[kind] > 0 && !(doubles <= most && exact < most_exact) {
                    left_open.push((op, dtypes, doubles, exact));
                }
            }
            assert!(judged[0] > 1000, "{op}: {judged:?}");
            of_f64 = [of_f64[0] + judged[1], of_f64[1] + asked[1][1]];
        }
        assert!(of_f64[0] > 400_000 && of_f64[1] * 500 < of_f64[0], "{of_f64:?}");
        assert!(left_open.is_empty(), "{left_open:?}");
    }

    /// An error of which it is open whether it is within its bound passes neither here nor fails: the oracle decides.
    #[test]
    fn an_error_on_its_bound_is_left_open() {
        for text in ["softmax f32 [0, 1, 2.5]", "softmax f64 [0, 1, 2.5]", "softmax f64 [0, 1, -1e300]"] {
            let case = Case::parse(text).unwrap();
            let mut near = NearCase::of(&case, RowClass::of_case(&case)).unwrap();
            let (claims, format) = (Claims::default(), case.output_format());
            let bounds = NearBounds::new(&case, &near, &claims);
            let bound = match &bounds {
                NearBounds::Plain(bounds) => bounds.textbook[0],
                NearBounds::Wide(bounds) => bounds.textbook[0].to_f64(),
            };
            let unit = ldexp(1.0, format.ulp_exponent(exponent(near.outputs[0].high)));
            let got = near.outputs[0].high;
            // By how many steps of the figures the error is beyond the bound, and how many it is known to.
            let mut verdict_of = |beyond: f64, radius: f64| {
                let step = unit / f64::from(1 << 20);
                let (high, low) = two_sum(got, bound + beyond * step);
                near.outputs[0] = Near { high, low, radius: radius * step };
                let scales = Scales::of(&near, format);
                let screening =
                    Screening { case: &case, near: &near, scales: &scales, bounds: &bounds, claims: &claims };
                let told = |told: Option<Told>| told.map(|told| told.verdict);
                match &bounds {
                    NearBounds::Plain(bounds) => told(screening.under(bounds).tell(near.outputs[0], 0, got)),
                    NearBounds::Wide(bounds) => told(screening.under(bounds).tell(near.outputs[0], 0, got)),
                }
            };
            assert_eq!(verdict_of(0.0, 0.9), None, "{text}");
            assert_eq!(verdict_of(-4.0, 0.9), Some(Verdict::Pass), "{text}");
            assert_eq!(verdict_of(4.0, 0.9), Some(Verdict::Inaccurate), "{text}");
        }
    }

    /// Where an error lies on the edge of a bin, or a value on a power of two, plain numbers leave it open.
    #[test]
    fn edges_are_left_open() {
        let format = Dtype::F32.format();
        let near = |high: f64, low: f64, radius: f64| Near { high, low, radius };
        let of = |near: Near| Unit::of(near, format).map(|unit| (unit.exponent, unit.is_certain));
        // Just below 1, and known to be: the ulp is that of the binade below.
        assert_eq!(of(near(1.0, -1e-30, 1e-45)), Some((-24, true)));
        assert_eq!(of(near(1.0, 0.0, 0.0)), Some((-23, true)));
        // On either side of 1.
        assert_eq!(of(near(1.0, 0.0, 1e-17)), Some((-24, false)));
        assert_eq!(of(near(1.0 - 1e-16, 0.0, 1e-15)), None);
        // Above the largest number.
        assert_eq!(of(near(format.largest() * (1.0 - 1e-9), 0.0, 0.0)), Some((104, true)));
        assert_eq!(of(near(format.largest(), 0.0, 0.0)), Some((104, true)));
        assert_eq!(of(near(format.largest() + ldexp(1.0, 103), 0.0, 0.0)), None);
        // What is known exactly is told so, and else there is a doubt.
        let far = |near: Near| distance(1.5, near.high, near.low, 4.0, unknown(near, format, 4.0));
        let (ulps, doubt) = far(near(1.0, 0.0, 0.0));
        assert!(ulps == 2.0 && doubt < 1e-15, "{ulps} {doubt}");
        let (ulps, doubt) = far(near(1.0, 1e-30, 1e-45));
        assert!(ulps == 2.0 && doubt > 1e-10 && doubt < 1e-9, "{ulps} {doubt}");
        // The exact way rounds the error as well, where it is no `f64`.
        assert!(distance(1.5, 1e-30, 0.0, 4.0, 0.0).1 >= SHOWN_DOUBT && distance(1.5, 1.0, 0.0, 4.0, 0.0).1 < 1e-15);
    }
}
