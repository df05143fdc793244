//! Variants of elementwise defects, C23 to C28, and of losses on soft labels, C19.

use super::{Variant, of};
use half::{bf16, f16};
use logitfuzz::op::Op;

/// A function of each element.
fn each<T: Copy>(function: impl Fn(T) -> T) -> impl Fn(&[T], &mut [T]) {
    move |z, out| out.iter_mut().zip(z).for_each(|(y, &z)| *y = function(z))
}

/// The same of two rows.
fn each_of_two<T: Copy>(function: impl Fn(T, T) -> T) -> impl Fn(&[T], &[T], &mut [T]) {
    move |z, other, out| out.iter_mut().zip(z.iter().zip(other)).for_each(|(y, (&z, &other))| *y = function(z, other))
}

fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

pub fn variants() -> Vec<Variant> {
    let larger = |z: f32| if z > 0.0 || z.is_nan() { z } else { 0.0 };
    vec![
        of("sigmoid with the larger exp, in f64", "C24", Op::SIGMOID, each(|z: f64| z.exp() / (z.exp() + 1.0))),
        of(
            "sigmoid f32 with the larger exp, computed in f64",
            "C24",
            Op::SIGMOID,
            each(|z: f32| {
                let w = f64::from(z).exp();
                (w / (1.0 + w)) as f32
            }),
        ),
        of("softplus as it is written, in f64", "C27", Op::SOFTPLUS, each(|z: f64| (1.0 + z.exp()).ln())),
        of(
            "softplus f32 as it is written, computed in f64",
            "C27",
            Op::SOFTPLUS,
            each(|z: f32| (1.0 + f64::from(z).exp()).ln() as f32),
        ),
        of("softplus with log2(1 + 2^x)", "C27", Op::SOFTPLUS, {
            use std::f32::consts::{LN_2, LOG2_E};
            each(|z: f32| (1.0 + (z * LOG2_E).exp2()).log2() * LN_2)
        }),
        of(
            "softplus f32 is z above 10",
            "C28",
            Op::SOFTPLUS,
            each(move |z: f32| if z > 10.0 { z } else { larger(z) + (-z.abs()).exp().ln_1p() }),
        ),
        of("softplus f64 is z from 30 on", "C28", Op::SOFTPLUS, each(|z: f64| if z >= 30.0 { z } else { softplus(z) })),
        of("softplus bf16 is 0 below -8", "C28", Op::SOFTPLUS, {
            each(|z: bf16| bf16::from_f32(if z.to_f32() < -8.0 { 0.0 } else { softplus(z.to_f64()) as f32 }))
        }),
        of("sigmoid in f16 throughout, in two branches", "C40", Op::SIGMOID, {
            let exp = |z: f16| f16::from_f32(z.to_f32().exp());
            each(
                move |z: f16| {
                    if z < f16::ZERO { exp(z) / (f16::ONE + exp(z)) } else { f16::ONE / (f16::ONE + exp(-z)) }
                },
            )
        }),
        of("log_sigmoid in bf16 throughout", "C40", Op::LOG_SIGMOID, {
            let exp = |z: bf16| bf16::from_f32(z.to_f32().exp());
            let log1p = |w: bf16| bf16::from_f32(w.to_f32().ln_1p());
            each(move |z: bf16| {
                let size = if z < bf16::ZERO { -z } else { z };
                let least = if z < bf16::ZERO || z.is_nan() { z } else { bf16::ZERO };
                least - log1p(exp(-size))
            })
        }),
        of(
            "log_sigmoid as the logarithm of a two-branch sigmoid",
            "C27",
            Op::LOG_SIGMOID,
            each(|z: f64| {
                let w = (-z.abs()).exp();
                (if z < 0.0 { w / (1.0 + w) } else { 1.0 / (1.0 + w) }).ln()
            }),
        ),
        of("log_sigmoid as -log(1 + exp(-z))", "C27", Op::LOG_SIGMOID, each(|z: f32| -(1.0 + (-z).exp()).ln())),
        of(
            "log1mexp f32 as it is written, computed in f64",
            "C28",
            Op::LOG1MEXP,
            each(|x: f32| (1.0 - f64::from(x).exp()).ln() as f32),
        ),
        of(
            "binary cross-entropy through the sigmoid, in f64",
            "C23",
            Op::BCE_WITH_LOGITS,
            each_of_two(|z: f64, t: f64| {
                let p = 1.0 / (1.0 + (-z).exp());
                -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())
            }),
        ),
        of(
            "sigmoid as (1 + tanh(z / 2)) / 2, in f64",
            "C25",
            Op::SIGMOID,
            each(|z: f64| 0.5 * (1.0 + (0.5 * z).tanh())),
        ),
        of(
            "the derivative of sigmoid as exp(-z) / (1 + exp(-z))^2, in f64",
            "C26",
            Op::SIGMOID_VJP,
            each_of_two(|z: f64, g: f64| {
                let w = (-z).exp();
                g * (w / ((1.0 + w) * (1.0 + w)))
            }),
        ),
        of("soft labels times log-probabilities, in f64", "C19", Op::SOFT_CROSS_ENTROPY, {
            |z: &[f64], q: &[f64], out: &mut [f64]| {
                let a = z.iter().fold(f64::NEG_INFINITY, |a, &z| if z > a || z.is_nan() { z } else { a });
                let log_sum = z.iter().map(|z| (z - a).exp()).sum::<f64>().ln();
                out[0] = -z.iter().zip(q).map(|(z, q)| q * ((z - a) - log_sum)).sum::<f64>();
            }
        }),
        of("log1mexp of expm1 alone, in f64", "C28", Op::LOG1MEXP, each(|x: f64| (-x.exp_m1()).ln())),
    ]
}
