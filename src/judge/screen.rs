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
    /// `log2` of the ulp of the exact value.
    unit: i32,
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
        let Measured { ulps, doubt, unit } = measure(got, near, format)?;
        let (least, most) = (ulps.abs() - doubt, ulps.abs() + doubt);
        let scale = ldexp(1.0, -unit);
        let tight = bounds.tight.as_ref().map(|tight| tight[j] * scale);
        measured += 1;
        if most < RESOLUTION {
            // No error at all, as the judge shows it.
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
    // Of outputs without an error the first one decides.
    let worst = is_exact.then(|| {
        let (got, infinite) = (outputs[0], near.outputs[0].high.is_infinite());
        let own = |bounds: &[f64]| measure(got, near.outputs[0], format).map(|own| ldexp(bounds[0], -own.unit));
        WorstOutput {
            index: 0,
            got,
            judged: OutputJudgement {
                verdict: Verdict::Pass,
                grade: Some(if infinite || bounds.tight.is_some() { Grade::Tight } else { Grade::Textbook }),
                ulps: (!infinite).then_some(0.0),
                bound_ulps: if infinite { 0.0 } else { own(&bounds.textbook).unwrap_or(0.0) },
                ratio: 0.0,
            },
        }
    });
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

/// The error of an output; none where not even the ulp of the exact value is certain, or where either is not finite.
#[inline]
fn measure(got: f64, near: Near, format: Format) -> Option<Measured> {
    let (value, rest) = two_sum(near.high, near.low);
    let radius = near.radius * SAFE + SLACK;
    let (size, outward) = (value.abs(), if value < 0.0 { -rest } else { rest });
    let reach = outward.abs() + radius;
    let least_normal = format.least_normal();
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
                return None;
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
    Some(Measured { ulps: far * scale, doubt, unit })
}
