//! Tests of plain numbers: each function within its proven error, each output of a row within its radius.

use super::functions::{LEAST_WEIGHT, REACH, exp_of_minus};
use super::tier::prefixes;
use super::*;
use crate::generate::{self, Family};
use crate::magnitude::Magnitude;
use crate::number::Float;
use crate::oracle::question::{self, Question};
use crate::oracle::row::PreparedRow;
use crate::oracle::tier::exactly::Exactly;
use crate::oracle::{DoubleCase, Due};
use crate::special::RowClass;
use crate::{Dtype, Op};
use proptest::prelude::*;
use std::collections::BTreeMap;

const BITS: u32 = 160;

/// The relative error of a number, in units of `U`.
fn error(near: f64, exact: &Float) -> f64 {
    (Float::with_val(BITS, near - exact) / exact).abs().to_f64() / U
}

fn exp_error(high: f64, low: f64) -> f64 {
    let exact = (-(Float::with_val(BITS, high) + low)).exp();
    error(exp_of_minus(high, low), &exact)
}

/// A `d` of every size, spread evenly or by its exponent, as a sum of two.
fn differences() -> impl Strategy<Value = (f64, f64)> {
    let high = prop_oneof![0.0..=REACH, 0.0..1.0f64, (-60.0..9.45f64).prop_map(f64::exp2)];
    (high, -1.0..1.0f64).prop_map(|(high, place)| {
        let low = place * high * U;
        let (high, low) = two_sum(high, low);
        (high.min(REACH), if high > REACH { 0.0 } else { low })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200_000))]

    #[test]
    fn exp_is_within_its_error((high, low) in differences()) {
        prop_assert!(exp_error(high, low) < EXP_ERROR / U, "{high:e} {low:e}: {}", exp_error(high, low));
    }

    #[test]
    fn the_logarithm_is_within_its_error(s in prop_oneof![-0.99..3.0f64, (-1000.0..60.0f64).prop_map(f64::exp2), (-1000.0..-1.0f64).prop_map(|e| -e.exp2())], place in -1.0..1.0f64) {
        let (high, low) = two_sum(s, place * s * U);
        let exact = (Float::with_val(1200, high) + low).ln_1p();
        prop_assert!(error(ln_1p(high, low), &Float::with_val(BITS, exact)) < LN_1P_ERROR / U, "{high:e} {low:e}");
    }
}

/// The ends of every reduction interval, where the reduced argument is largest, and the ends of the range.
#[test]
fn exp_holds_where_the_reduced_argument_is_largest() {
    let mut worst = 0.0f64;
    for k in 0..=1009 {
        let end = (f64::from(k) + 0.5) * std::f64::consts::LN_2;
        for step in -2i64..=2 {
            let high = f64::from_bits((end.to_bits() as i64 + step) as u64).min(REACH);
            worst = worst.max(exp_error(high, 0.0)).max(exp_error(high, high * U * 0.9));
        }
    }
    for high in [0.0, f64::from_bits(1), 1e-300, U, 2.0 * U, 699.999, REACH] {
        worst = worst.max(exp_error(high, 0.0));
    }
    assert!(worst > 0.5 * EXP_ERROR / U && worst < EXP_ERROR / U, "{worst}");
    assert_eq!((exp_of_minus(0.0, 0.0), weight(3.0, f64::NEG_INFINITY), weight(0.0, -1e9)), (1.0, 0.0, LEAST_WEIGHT));
}

/// Every f32 argument whose exponential may matter, a stride of them in turn: the numbers between are as the ones tried.
#[test]
fn exp_holds_on_arguments_of_f32() {
    let mut worst = 0.0f64;
    for bits in (0..(REACH as f32).to_bits()).step_by(2_999) {
        worst = worst.max(exp_error(f64::from(f32::from_bits(bits)), 0.0));
    }
    assert!(worst > 0.5 * EXP_ERROR / U && worst < EXP_ERROR / U, "{worst}");
}

/// The rests of a sum are rounded themselves where they lie far apart.
#[test]
fn a_sum_is_within_the_radius_of_its_rests() {
    let terms = [1.0, 0.5f64.powi(60), 0.5f64.powi(120), -3.0, 0.5f64.powi(70)];
    let mut sum = Sum::default();
    terms.iter().for_each(|&term| sum.add(0, term));
    let near = sum.near(terms.len());
    let exact = terms.iter().fold(Float::with_val(600, 0), |sum, term| sum + *term);
    let error = (exact - near.high - near.low).abs();
    assert!(error > 0 && error < near.radius && near.radius < 1e-30, "{error} {near:?}");
}

/// A row that rises by one step at every logit: the factors of its prefixes err alike, and what they err adds up to far more than a logarithm
/// errs by. The sum is a geometric one.
#[test]
fn prefixes_that_rise_at_every_logit_are_within_their_radius() {
    const STEP: f64 = 1.0 / 131_072.0;
    let row: Vec<f64> = (0..200_000).map(|i| f64::from(i) * STEP).collect();
    let ratio = Float::with_val(BITS, Float::with_val(BITS, -STEP).exp_ref());
    let rest = Float::with_val(BITS, 1 - &ratio);
    let mut is_idle = true;
    for (j, prefix) in prefixes(&row).into_iter().enumerate().step_by(499).skip(1) {
        let power = Float::with_val(BITS, (Float::with_val(BITS, -STEP) * (j as u32 + 1)).exp());
        let exact = (Float::with_val(BITS, &ratio - &power) / &rest).ln_1p();
        let error = Float::with_val(BITS, prefix.log_total.high - &exact).abs().to_f64();
        assert!(error <= prefix.log_total.radius, "{j}: {error:e} {:?}", prefix.log_total);
        is_idle &= error <= prefix.log_total.high * LN_1P_ERROR;
    }
    assert!(!is_idle);
}

/// A number without a radius is exact, so what underflow takes from a product, or from a sum of products, needs one.
#[test]
fn what_underflows_has_a_radius() {
    let least = "0x1p-149";
    for (text, exact) in [
        (format!("softmax_vjp f32 [0, -600] cotangent=[0, {least}]"), 0),
        (format!("softmax_vjp f32 [0, -690] cotangent=[{least}, 0]"), 0),
        (format!("log_softmax_vjp f32 [0, -690] cotangent=[0, {least}]"), 0),
        (format!("softmax_jvp f32 [0, -690] tangent=[1, {least}]"), 0),
        (format!("softmax_vjp f32 [0, -690] cotangent=[{least}, {least}]"), 2),
    ] {
        let case = Case::parse(&text).unwrap();
        let near = NearCase::of(&case, RowClass::of_case(&case)).unwrap();
        let found = near.outputs.iter().filter(|output| output.radius == 0.0).count();
        assert_eq!(found, exact, "{text}: {:?}", near.outputs);
    }
}

/// Holds a number, which is the output times `2^shift`, against the exact output, from an interval of many bits, which must lie within its radius. False where it is no finite one.
fn check(case: &Case, question: &dyn Question, j: usize, output: Near, shift: i32, slack: f64) -> bool {
    if !output.high.is_finite() {
        let is_due = match question.exactly(j) {
            Exactly::Infinite(sign) => output.high == f64::INFINITY.copysign(sign),
            _ => output.high.is_nan() && question.due(j) == Due::nan(),
        };
        assert!(is_due, "{case} {j}: {output:?}");
        return false;
    }
    if let Some(exact) = question.exactly(j).to_rational().filter(|_| output.radius == 0.0) {
        assert_eq!((Float::with_val(2400, output.high) + output.low) >> shift, exact, "{case} {j}");
        return false;
    }
    if output.radius == f64::INFINITY {
        return false;
    }
    let centre = Float::with_val(600, output.high) + output.low;
    let reach = if output.radius == 0.0 { 0.0 } else { output.radius * (1.0 + 1e-9) + slack };
    let exact = question.interval(j, 2);
    // The interval may itself be the wider one, far below a power of two.
    let (low, high) = (exact.low << shift, exact.high << shift);
    let reach = Float::with_val(600, &high - &low) + reach;
    let (below, above) = (Float::with_val(600, &centre - &reach), centre + reach);
    assert!(low >= below && high <= above, "{case} {j}: {output:?} {low:?} {high:?}");
    true
}

/// Every output lies in the ball, in plain numbers and in double-doubles; and balls are narrow where nothing cancels.
#[test]
fn every_output_is_enclosed() {
    let (mut counts, mut narrow): (BTreeMap<Op, u64>, u64) = Default::default();
    let (mut doubled, mut narrower) = (0u64, 0u64);
    let (mut wide, mut wide_narrow) = (0u64, 0u64);
    for &family in Family::all().iter().filter(|family| !family.is_slow()) {
        for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::Bf16F32, Dtype::F64] {
            for index in 0..12 {
                let logits: Arc<[f64]> = generate::row(family, dtype, 23, index, 150).into();
                for &op in Op::ALL {
                    let made = generate::case(op, dtype, family.name(), 23, index, logits.clone(), None).unwrap();
                    let Some(case) = made else { continue };
                    let Some(near) = NearCase::of(&case, RowClass::of_case(&case)) else { continue };
                    let row = (!op.is_elementwise()).then(|| Arc::new(PreparedRow::of(&case)));
                    let question = question::of(&case, row.clone());
                    let doubles = (!NearCase::is_wide(&case)).then(|| DoubleCase::new(&case));
                    // In f64 they are double-doubles, whose radii need none.
                    let slack = if dtype == Dtype::F64 { 0.0 } else { SLACK };
                    let is_wide = u64::from(doubles.is_none());
                    for (j, &output) in near.outputs.iter().enumerate() {
                        if check(&case, question.as_ref(), j, output, near.shift(j), slack) {
                            *counts.entry(op).or_default() += 1;
                            narrow += u64::from(output.radius <= output.bound() * 1e-14);
                            let is_narrow = output.radius <= output.bound() * 1e-26 || output.bound() < 1e-240;
                            (wide, wide_narrow) = (wide + is_wide, wide_narrow + if is_narrow { is_wide } else { 0 });
                        }
                        let Some(doubles) = &doubles else { continue };
                        let output = doubles.output(j);
                        if check(&case, question.as_ref(), j, output, 0, slack) {
                            doubled += 1;
                            narrower += u64::from(output.radius <= output.bound() * 1e-26);
                        }
                    }
                    if row.is_none() || op.mean_of().is_some() {
                        continue;
                    }
                    // What bounds are made of is an upper bound.
                    let size = |x: f64| Float::with_val(64, x);
                    let as_float = |x: Magnitude| size(x.shifted(-x.exponent()).to_f64()) << x.exponent();
                    let slack = if is_wide == 1 { 0.0 } else { SLACK };
                    let (logits, scale) = (case.signed_logits(), case.scale().unwrap_or(1.0).abs());
                    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let exponent = |z: f64| (Float::with_val(2200, z) - largest) * scale;
                    let exact: Vec<Float> =
                        logits.iter().map(|&z| Float::with_val(400, exponent(z).exp_ref())).collect();
                    for (weight, exact) in near.weights().into_iter().zip(&exact) {
                        let bound = if weight.is_zero() { size(0.0) } else { as_float(weight) } * (1.0 + 1e-12) + slack;
                        assert!(bound >= *exact, "{case}: {weight:?} {exact:?}");
                    }
                    let deviations = near.deviations();
                    if deviations.is_empty() {
                        continue;
                    }
                    let total = exact.iter().fold(Float::new(400), |sum, weight| sum + weight);
                    let seen = case.seen();
                    let sum = exact
                        .iter()
                        .zip(seen.iter())
                        .fold(Float::new(400), |sum, (weight, &g)| sum + weight.clone() * g);
                    let mean = sum / total;
                    // What cancels in the mean itself.
                    let largest = seen.iter().fold(0.0f64, |largest, g| largest.max(g.abs()));
                    let lost = size(largest) >> 390;
                    for (&g, deviation) in seen.iter().zip(deviations) {
                        let exact = (Float::with_val(400, g) - &mean).abs();
                        let bound =
                            if deviation.is_zero() { size(0.0) } else { as_float(deviation) } * (1.0 + 1e-12) + slack;
                        assert!(bound + &lost >= exact, "{case}: {deviation:?} {exact:?}");
                    }
                }
            }
        }
    }
    let all: u64 = counts.values().sum();
    assert_eq!(counts.len(), Op::ALL.len());
    assert!(counts.values().all(|&count| count > 300) && narrow * 10 > all * 8, "{narrow} of {counts:?}");
    assert!(narrower * 10 > doubled * 8, "{narrower} of {doubled}");
    assert!(wide > 20_000 && wide_narrow * 100 > wide * 98, "{wide_narrow} of {wide}");
}
