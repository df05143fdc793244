//! The screen: what can be said of an answer from plain numbers alone.
//!
//! The oracle's tiers tell every output to a hundred bits. Nearly always less is enough: an answer that passes, and lies in the middle
//! of its bin of the histogram, is counted the same by any number near the truth. Here each output has an interval of its error, from
//! the radius of [`Near`], and a bound that is the judge's own, bit for bit. Where the intervals decide every count, they are the
//! judgement; where one is left open, there is none, and the exact way is taken. So the screen decides nothing differently, and what it
//! says is never a failure.
//!
//! The largest error and the largest ratio are known as intervals only ([`Largest`]). Whoever keeps the largest of many answers asks
//! for the exact ones of those that may be it.

use super::error::RESOLUTION;
use super::{
    Bounds, Grade, HISTOGRAM_BINS, Judgement, OutputJudgement, Verdict, WorstOutput, fixed_point, histogram_bin,
    relation,
};
use crate::case::Case;
use crate::dtype::{Format, exponent, ldexp, two_sum};
use crate::kernel::Claims;
use crate::oracle::{Near, NearCase, SHOWN_BITS, SLACK};

/// The largest figures of an answer: each between the first number and the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Largest {
    /// The error in ulps.
    pub ulp: (f64, f64),
    /// The ratio of error to bound.
    pub ratio: (f64, f64),
}

/// More than the roundings of this file, relative to what they are roundings of.
const SAFE: f64 = 1.0 + 1.0 / (1u64 << 40) as f64;

/// The error of an output in ulps: within `doubt` of `ulps`.
#[derive(Debug, Clone, Copy)]
struct Measured {
    ulps: f64,
    doubt: f64,
    /// `log2` of the ulp of the exact value, or of half of it where the value may lie on either side of a power of two.
    unit: i32,
    /// Whether it is certain on which.
    is_certain: bool,
}

impl Measured {
    /// Whether there is no error, as the judge shows it.
    fn is_negligible(&self) -> bool {
        self.ulps.abs() + self.doubt < RESOLUTION
    }
}

/// The judgement of an answer that passes, without its largest figures and its worst output, and the intervals of the figures; none where
/// plain numbers do not decide it. Where no output has an error, all of it is known, and there are no intervals.
pub(crate) fn screen(
    case: &Case,
    near: &NearCase,
    bounds: &Bounds<f64>,
    claims: &Claims,
    outputs: &[f64],
) -> Option<(Judgement, Option<Largest>)> {
    if outputs.len() != near.outputs.len() || bounds.half_digits.is_some() {
        return None;
    }
    let format = case.dtype().format();
    let mut grades = [0; Grade::ALL.len()];
    let mut histogram = [0; HISTOGRAM_BINS];
    let (mut signed_sum, mut measured) = (0i128, 0);
    let mut largest = Largest { ulp: (0.0, 0.0), ratio: (0.0, 0.0) };
    for (j, (&got, &near)) in outputs.iter().zip(&near.outputs).enumerate() {
        if near.high.is_infinite() {
            if got != near.high {
                return None;
            }
            grades[Grade::Tight as usize] += 1;
            continue;
        }
        let own = measure(got, near, format).filter(|own| own.is_certain || own.is_negligible())?;
        let Measured { ulps, doubt, unit, .. } = own;
        let (least, most) = (ulps.abs() - doubt, ulps.abs() + doubt);
        let scale = ldexp(1.0, -unit);
        let tight = bounds.tight.as_ref().map(|tight| tight[j] * scale);
        measured += 1;
        if own.is_negligible() {
            grades[if tight.is_some() { Grade::Tight } else { Grade::Textbook } as usize] += 1;
            histogram[0] += 1;
            continue;
        }
        let bound = bounds.textbook[j] * scale;
        if least < RESOLUTION || most * SAFE > bound {
            return None;
        }
        let grade = match tight {
            Some(tight) if most * SAFE <= tight => Grade::Tight,
            Some(tight) if least <= tight * SAFE => return None,
            _ => Grade::Textbook,
        };
        let bin = histogram_bin(least);
        let sum = fixed_point(ulps - doubt);
        if bin != histogram_bin(most) || sum != fixed_point(ulps + doubt) {
            return None;
        }
        grades[grade as usize] += 1;
        histogram[bin] += 1;
        signed_sum += i128::from(sum);
        let raise = |(low, high): (f64, f64), least: f64, most: f64| (low.max(least), high.max(most));
        largest.ulp = raise(largest.ulp, least, most);
        largest.ratio = raise(largest.ratio, least / bound / SAFE, most / bound * SAFE);
    }
    let is_exact = largest.ulp.1 == 0.0;
    if relation::broken_within(case, outputs, claims, bounds.sum).is_some() {
        return None;
    }
    let grade = Grade::ALL.into_iter().rev().find(|&grade| grades[grade as usize] > 0);
    let worst = if is_exact { Some(first_output(near, bounds, outputs[0], format)?) } else { None };
    let judgement = Judgement {
        grade,
        worst,
        outputs: outputs.len() as u64,
        grades,
        signed_sum,
        measured,
        histogram,
        ..Judgement::empty()
    };
    Some((judgement, (!is_exact).then_some(largest)))
}

/// The first output, which decides where none has an error; none where its ulp is not certain.
fn first_output(near: &NearCase, bounds: &Bounds<f64>, got: f64, format: Format) -> Option<WorstOutput> {
    let near = near.outputs[0];
    let judged = if near.high.is_infinite() {
        OutputJudgement::exact()
    } else {
        let own = measure(got, near, format).filter(|own| own.is_certain)?;
        OutputJudgement {
            verdict: Verdict::Pass,
            grade: Some(if bounds.tight.is_some() { Grade::Tight } else { Grade::Textbook }),
            ulps: Some(0.0),
            bound_ulps: ldexp(bounds.textbook[0], -own.unit),
            ratio: 0.0,
        }
    };
    Some(WorstOutput { index: 0, got, judged })
}

/// The error of an output; none where not even the ulp of the exact value is certain, or where either is not finite.
#[inline]
fn measure(got: f64, near: Near, format: Format) -> Option<Measured> {
    let (value, rest) = two_sum(near.high, near.low);
    let radius = near.radius * SAFE + SLACK;
    let (size, outward) = (value.abs(), if value < 0.0 { -rest } else { rest });
    let reach = outward.abs() + radius;
    let least_normal = format.least_normal();
    // Half an ulp above the largest number: from there on, values round to infinity, which has no error.
    if got.is_infinite() {
        let overflows = size - reach > format.largest() + ldexp(1.0, format.ulp_exponent(format.emax) - 1);
        let unit = format.ulp_exponent(format.emax);
        return (overflows && got * value > 0.0).then_some(Measured { ulps: 0.0, doubt: 0.0, unit, is_certain: true });
    }
    let mut is_certain = true;
    let binade = if size + reach < least_normal {
        format.emin
    } else {
        let binade = exponent(size);
        let floor = ldexp(1.0, binade);
        if size == floor {
            // A power of two with a rest of known sign: the sign needs no slack, which stands for what underflow takes from sizes.
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
    // What rounds to infinity, or is none of this (NaN), is not told here.
    if !(got.is_finite() && size + reach < format.largest()) {
        return None;
    }
    let unit = format.ulp_exponent(binade);
    let scale = ldexp(1.0, -unit);
    let (difference, error) = two_sum(got, -near.high);
    let far = difference + (error - near.low);
    let rounded = (error.abs() + near.low.abs()) * (2.0 * f64::EPSILON) + far.abs() * f64::EPSILON;
    // The exact way tells the error to 2^-SHOWN_BITS ulp.
    let doubt = (radius + rounded) * scale + ldexp(1.0, -SHOWN_BITS);
    Some(Measured { ulps: far * scale, doubt, unit, is_certain })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::draw::Draw;
    use crate::generate::{self, Family};
    use crate::judge::due_value;
    use crate::kernel::Outcome;
    use crate::oracle::Oracle;
    use crate::special::{RowClass, Special};
    use crate::{Dtype, Op};
    use std::sync::Arc;

    /// Answers near the truth, by steps that reach the edges of bounds and bins: what the screen says of them, the exact way says.
    #[test]
    fn what_the_screen_says_is_what_the_exact_way_says() {
        let claims = ["exp=2", "tight", "exp=1,log=1", "sum=pairwise", "flush_to_zero"].map(|text| {
            let mut claims = Claims::default();
            claims.set(text).unwrap();
            claims
        });
        let (mut told, mut failures, mut open, mut exact) = (0u64, 0u64, 0u64, 0u64);
        let mut oracle = Oracle::new();
        for (number, &family) in Family::all().iter().filter(|family| !family.is_slow()).enumerate() {
            for (dtype, index) in
                [Dtype::F16, Dtype::Bf16, Dtype::F32].into_iter().flat_map(|d| (0..6).map(move |i| (d, i)))
            {
                let logits: Arc<[f64]> = generate::row(family, dtype, 31, index, 90).into();
                for &op in Op::ALL {
                    let made = generate::case(op, dtype, family.name(), 31, index, logits.clone(), None).unwrap();
                    let Some(case) = made else { continue };
                    let Some(near) = NearCase::of(&case, RowClass::of(op, case.logits())) else { continue };
                    let truth = oracle.truth(&case, Special::Framework);
                    let mut draw = Draw::from_seed((number as u64) << 32 | index << 8 | u64::from(op.code()));
                    let claims = &claims[draw.index(claims.len())];
                    let most = draw.choose(&[0, 1, 2, 40]);
                    let format = dtype.format();
                    let step = |due: &crate::oracle::Due| match due_value(due) {
                        Some(value) => format.step(value.rounded, draw.between(-most, most)),
                        None => f64::NEG_INFINITY,
                    };
                    let outputs: Vec<f64> = truth.alternatives[0].iter().map(step).collect();
                    let bounds = Bounds::of_near(&case, &near, claims);
                    let widened = Bounds::new(&case, &truth, claims);
                    let answer = Outcome::Outputs(outputs.clone());
                    let due = super::super::judge(&case, &answer, &truth, &widened, claims);
                    failures += u64::from(due.verdict.is_failure());
                    let Some((judgement, largest)) = screen(&case, &near, &bounds, claims, &outputs) else {
                        open += u64::from(due.verdict == Verdict::Pass);
                        continue;
                    };
                    let counts = |of: &Judgement| {
                        (of.verdict, of.grade, of.outputs, of.grades, of.signed_sum, of.measured, of.histogram)
                    };
                    assert_eq!(counts(&judgement), counts(&due), "{case}");
                    match largest {
                        Some(Largest { ulp, ratio }) => {
                            assert!((ulp.0..=ulp.1).contains(&due.max_ulp), "{case}: {ulp:?} {}", due.max_ulp);
                            assert!(
                                (ratio.0..=ratio.1).contains(&due.max_ratio),
                                "{case}: {ratio:?} {}",
                                due.max_ratio
                            );
                        }
                        None => {
                            assert_eq!(
                                (due.max_ulp, due.max_ratio, &judgement.worst),
                                (0.0, 0.0, &due.worst),
                                "{case}"
                            );
                            exact += 1;
                        }
                    }
                    told += 1;
                }
            }
        }
        assert!(told > 1_000 && failures > 300 && open * 3 < told && exact > 50, "{told} {failures} {open} {exact}");
    }

    /// Where an error lies on the edge of a bin, or a value on a power of two, plain numbers leave it open.
    #[test]
    fn edges_are_left_open() {
        let format = Dtype::F32.format();
        let near = |high: f64, low: f64, radius: f64| Near { high, low, radius };
        // Just below 1, and known to be: the ulp is that of the binade below.
        let below = measure(1.0, near(1.0, -1e-30, 1e-45), format).unwrap();
        assert_eq!((below.unit, below.is_certain, below.is_negligible()), (-24, true, true));
        let exact = measure(1.0, near(1.0, 0.0, 0.0), format).unwrap();
        assert_eq!((exact.unit, exact.is_certain, exact.ulps), (-23, true, 0.0));
        // On either side of 1.
        let either = measure(1.0, near(1.0, 0.0, 1e-17), format).unwrap();
        assert_eq!((either.unit, either.is_certain), (-24, false));
        assert!(measure(1.0, near(1.0 - 1e-16, 0.0, 1e-15), format).is_none());
        // Overflow: infinite is right beyond half an ulp above the largest number, and nothing else is told there.
        let edge = format.largest() * (1.0 + f64::from(f32::EPSILON) / 4.0);
        assert!(measure(f64::INFINITY, near(edge * 1.000001, 0.0, 0.0), format).unwrap().is_negligible());
        assert!(measure(f64::NEG_INFINITY, near(edge * 1.000001, 0.0, 0.0), format).is_none());
        assert!(measure(f64::INFINITY, near(edge * 0.9999999, 0.0, 0.0), format).is_none());
        assert!(measure(f64::from(f32::MAX), near(edge, 0.0, 0.0), format).is_none());
        assert!(measure(f64::NAN, near(0.5, 0.0, 0.0), format).is_none());
    }
}
