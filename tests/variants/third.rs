//! A third lot of variants, written after the dictionary had learnt what kernels convert and store on the way, of other ops, types and
//! orders than the kernels that had shown the need.

use super::{Variant, of};
use half::{bf16, f16};
use logitfuzz::op::Op;

fn top(z: &[f64]) -> f64 {
    z.iter().fold(f64::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m })
}

fn top_f32(z: &[f32]) -> f32 {
    z.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m })
}

/// Backwards, and multiplied by a reciprocal.
fn softmax(z: &[f32]) -> Vec<f32> {
    let m = top_f32(z);
    let s: f32 = z.iter().rev().map(|&x| (x - m).exp()).sum();
    z.iter().map(|&x| (x - m).exp() * (1.0 / s)).collect()
}

pub fn variants() -> Vec<Variant> {
    let mut all = converted();
    all.extend(losses());
    all
}

fn converted() -> Vec<Variant> {
    vec![
        of("third: logits converted to f16, in f32", "C40", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let z: Vec<f32> = z.iter().map(|&x| f16::from_f32(x).to_f32()).collect();
            out.copy_from_slice(&softmax(&z));
        }),
        of("third: logits converted to f32, in f64", "C40", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let z: Vec<f64> = z.iter().map(|&x| f64::from(x as f32)).collect();
            let m = top(&z);
            let s: f64 = z.iter().rev().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(&z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("third: logits converted to bf16, log-softmax", "C40", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let z: Vec<f32> = z.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
            let m = top_f32(&z);
            let s: f32 = z.iter().rev().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(&z).for_each(|(l, &x)| *l = (x - m) - s.ln());
        }),
        of("third: the maximum as f16, log-softmax", "C40", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = f16::from_f32(top_f32(z)).to_f32();
            let s: f32 = z.iter().rev().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = (x - m) - s.ln());
        }),
        of("third: the maximum as f32, in f64", "C40", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top(z);
            if m.is_infinite() {
                out[0] = m;
                return;
            }
            let m = f64::from(m as f32);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out[0] = m + s.ln();
        }),
        of("third: products with log2(e), then the difference", "C31", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let c = std::f64::consts::LOG2_E;
            let m = top(z);
            let weight = |x: f64| (x * c - m * c).exp2();
            let s: f64 = z.iter().rev().map(|&x| weight(x)).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = weight(x) / s);
        }),
    ]
}

fn losses() -> Vec<Variant> {
    vec![
        of("third: the logarithm of a bf16 probability", "C12", Op::LOG_SOFTMAX, |z: &[bf16], out: &mut [bf16]| {
            let z: Vec<f32> = z.iter().map(|x| x.to_f32()).collect();
            let p = softmax(&z);
            out.iter_mut().zip(p).for_each(|(l, p)| *l = bf16::from_f32(bf16::from_f32(p).to_f32().ln()));
        }),
        of(
            "third: the logarithm of an f16 probability, in f32",
            "C12",
            Op::LOG_SOFTMAX,
            |z: &[f32], out: &mut [f32]| {
                out.iter_mut().zip(softmax(z)).for_each(|(l, p)| *l = f16::from_f32(p).to_f32().ln());
            },
        ),
        of("third: the gradient smooths by (1 - e) / n", "C20", Op::CROSS_ENTROPY_GRAD, {
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let n = z.len() as f32;
                let spread = if e == 0.0 { 0.0 } else { (1.0 - e) / n };
                for (j, p) in softmax(z).into_iter().enumerate() {
                    out[j] = p - if j == t { 1.0 - e + spread } else { spread };
                }
            }
        }),
        of("third: the gradient smooths by e", "C20", Op::CROSS_ENTROPY_GRAD, {
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                for (j, p) in softmax(z).into_iter().enumerate() {
                    out[j] = p - if j == t { 1.0 - e + e } else { e };
                }
            }
        }),
        of("third: products are stored in f16", "C40", Op::LOG_SOFTMAX_VJP, {
            |z: &[f32], g: &[f32], out: &mut [f32]| {
                let half = |x: f32| f16::from_f32(x).to_f32();
                let total = half(g.iter().rev().sum());
                for (j, p) in softmax(z).into_iter().enumerate() {
                    out[j] = g[j] - half(half(p) * total);
                }
            }
        }),
        of("third: weights below 1e-4 are 0", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top_f32(z);
            let weight = |x: f32| {
                let w = (x - m).exp();
                if w < 1e-4 { 0.0 } else { w }
            };
            let s: f32 = z.iter().rev().map(|&x| weight(x)).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = weight(x) / s);
        }),
    ]
}
