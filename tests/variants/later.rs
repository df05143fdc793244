//! A second lot of variants, written after the dictionary had been made more general by what the first lot had shown, and before anything
//! was asked about them: what they measure was not looked at while the dictionary was written.

use super::{Variant, of};
use half::{bf16, f16};
use logitfuzz::op::Op;

fn top(z: &[f64]) -> f64 {
    let mut m = f64::NEG_INFINITY;
    for &x in z {
        if x > m || x.is_nan() {
            m = x;
        }
    }
    m
}

fn wide(z: &[f32]) -> Vec<f64> {
    z.iter().map(|&x| f64::from(x)).collect()
}

/// The textbook in f64, stored in f32.
fn stored(m: f64, z: &[f64], out: &mut [f32]) {
    let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
    out.iter_mut().zip(z).for_each(|(p, &x)| *p = ((x - m).exp() / s) as f32);
}

pub fn variants() -> Vec<Variant> {
    let mut all = maxima();
    all.extend(rest());
    all
}

fn maxima() -> Vec<Variant> {
    vec![
        of("later: the maximum starts at -77, f64", "C08", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let mut m = -77.0f64;
            for &x in z {
                if x > m || x.is_nan() {
                    m = x;
                }
            }
            let s: f64 = z.iter().rev().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("later: the maximum starts at -12, f64 inside", "C08 C22", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let z = wide(z);
            let m = top(&z);
            stored(if m < -12.0 { -12.0 } else { m }, &z, out);
        }),
        of("later: the state starts at -3.3e3", "C10", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let (mut m, mut s) = (-3.3e3f32, 0.0f32);
            for &x in z {
                let next = if x > m || x.is_nan() { x } else { m };
                s = s * (m - next).exp() + (x - next).exp();
                m = next;
            }
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = (x - m) - s.ln());
        }),
        of("later: masked classes are -4.4e4 in f16", "C10", Op::SOFTMAX, |z: &[f16], out: &mut [f16]| {
            let z: Vec<f32> = z.iter().map(|&x| if x == f16::NEG_INFINITY { -4.4e4 } else { x.to_f32() }).collect();
            let m = z.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m });
            let s: f32 = z.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(&z).for_each(|(p, &x)| *p = f16::from_f32((x - m).exp() / s));
        }),
        of("later: the maximum of every third logit", "C09", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let mut m = f64::NEG_INFINITY;
            for x in z.iter().step_by(3) {
                if *x > m || x.is_nan() {
                    m = *x;
                }
            }
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of("later: the maximum of whole blocks of 14", "C09", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let seen = if z.len() >= 14 { z.len() / 14 * 14 } else { z.len() };
            let m = top(&z[..seen]);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("later: the median is subtracted", "C11", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let mut sorted = z.to_vec();
            sorted.sort_by(f64::total_cmp);
            let m = sorted.get(z.len() / 2).copied().unwrap_or(0.0);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("later: unshifted log-softmax, f64 inside", "C11 C12", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let s: f64 = wide(z).iter().map(|x| x.exp()).sum();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = (f64::from(x) - s.ln()) as f32);
        }),
        of(
            "later: unshifted gradient",
            "C11",
            Op::CROSS_ENTROPY_GRAD,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let s: f32 = z.iter().map(|x| x.exp()).sum();
                let n = z.len() as f32;
                for j in 0..z.len() {
                    out[j] = z[j].exp() / s - if j == t { (1.0 - e) + e / n } else { e / n };
                }
            },
        ),
        of("later: blocks of 20 without rescaling", "C07", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let (mut m, mut s) = (f64::NEG_INFINITY, 0.0);
            for block in z.chunks(20) {
                let b = top(block);
                m = if b > m || b.is_nan() { b } else { m };
                if m != f64::NEG_INFINITY {
                    s += block.iter().map(|&x| (x - m).exp()).sum::<f64>();
                }
            }
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of("later: blocks of 4 without a guard, f16", "C05", Op::SOFTMAX, |z: &[f16], out: &mut [f16]| {
            let z: Vec<f32> = z.iter().map(|x| x.to_f32()).collect();
            let (mut m, mut s) = (f32::NEG_INFINITY, 0.0f32);
            for block in z.chunks(4) {
                let next = block.iter().fold(m, |m, &x| if x > m || x.is_nan() { x } else { m });
                s = s * (m - next).exp() + block.iter().map(|&x| (x - next).exp()).sum::<f32>();
                m = next;
            }
            out.iter_mut().zip(&z).for_each(|(p, &x)| *p = f16::from_f32((x - m).exp() / s));
        }),
    ]
}

fn rest() -> Vec<Variant> {
    vec![
        of("later: a bf16 sum in 8 lanes", "C14", Op::LOG_SOFTMAX, |z: &[bf16], out: &mut [bf16]| {
            let z: Vec<f32> = z.iter().map(|x| x.to_f32()).collect();
            let m = z.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m });
            let mut lanes = [bf16::ZERO; 8];
            for (i, &x) in z.iter().enumerate() {
                lanes[i % 8] = bf16::from_f32(lanes[i % 8].to_f32() + (x - m).exp());
            }
            for half in [4, 2, 1] {
                for i in 0..half {
                    lanes[i] += lanes[i + half];
                }
            }
            let log_s = lanes[0].to_f32().ln();
            out.iter_mut().zip(&z).for_each(|(l, &x)| *l = bf16::from_f32((x - m) - log_s));
        }),
        of("later: log-softmax from an f32 log-sum-exp", "C15", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(&wide(z)) as f32;
            let s: f64 = wide(z).iter().map(|&x| (x - f64::from(m)).exp()).sum();
            let lse = m + s.ln() as f32;
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = x - lse);
        }),
        of(
            "later: probabilities in f16, f64 around",
            "C17",
            Op::SOFTMAX_VJP,
            |z: &[f64], g: &[f64], out: &mut [f64]| {
                let m = top(z);
                let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
                let p: Vec<f64> = z.iter().map(|&x| f16::from_f64((x - m).exp() / s).to_f64()).collect();
                let mean: f64 = p.iter().zip(g).map(|(p, g)| p * g).sum();
                for j in 0..z.len() {
                    out[j] = p[j] * (g[j] - mean);
                }
            },
        ),
        of("later: 2e-9 in the denominator, f64", "C22", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top(z);
            let s: f64 = z.iter().rev().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / (s + 2e-9));
        }),
        of("later: log of max(p, 5e-8)", "C22", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let z = wide(z);
            let m = top(&z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            for (l, &x) in out.iter_mut().zip(&z) {
                let p = (x - m).exp() / s;
                *l = (if p < 5e-8 { 5e-8f64 } else { p }).ln() as f32;
            }
        }),
        of(
            "later: distances are clipped at 35, loss",
            "C22",
            Op::CROSS_ENTROPY,
            |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
                let m = top(z);
                let held = |x: f64| if x - m < -35.0 { -35.0 } else { x - m };
                let log_s = z.iter().map(|&x| held(x).exp()).sum::<f64>().ln();
                let mut loss = if e == 1.0 { 0.0 } else { (1.0 - e) * (log_s - held(z[t])) };
                if e != 0.0 {
                    loss += e * (z.iter().map(|&x| log_s - held(x)).sum::<f64>() / z.len() as f64);
                }
                out[0] = loss;
            },
        ),
        of("later: exp is 0 below -33, f64", "C29", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top(z);
            let exp = |x: f64| if x < -33.0 { 0.0 } else { x.exp() };
            let s: f64 = z.iter().map(|&x| exp(x - m)).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = exp(x - m) / s);
        }),
        of("later: exp of degree 3, f64", "C29", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let exp = |x: f64| {
                if x < -745.0 {
                    return 0.0;
                }
                let k = (x / std::f64::consts::LN_2).round();
                let r = x - k * std::f64::consts::LN_2;
                (1.0 + r + r * r / 2.0 + r * r * r / 6.0) * k.exp2()
            };
            let m = top(z);
            let s: f64 = z.iter().map(|&x| exp(x - m)).sum();
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of("later: exp of degree 5 with other coefficients", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let exp = |x: f32| {
                if x < -87.0 {
                    return 0.0;
                }
                let y = x * std::f32::consts::LOG2_E;
                let f = y - y.floor();
                let p = 0.999_9f32 + f * (0.696_3 + f * (0.224_6 + f * 0.079_2));
                p * y.floor().exp2()
            };
            let m = top(&wide(z)) as f32;
            let s: f32 = z.iter().map(|&x| exp(x - m)).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = exp(x - m) / s);
        }),
        of("later: log2(e) is 1.4426", "C29", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top(z);
            let s: f64 = z.iter().rev().map(|&x| ((x - m) * 1.4426).exp2()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = ((x - m) * 1.4426).exp2() / s);
        }),
        of(
            "later: powers of 2 in the loss",
            "C30",
            Op::CROSS_ENTROPY,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let m = top(&wide(z)) as f32;
                let log_s = z.iter().map(|&x| (x - m).exp2()).sum::<f32>().ln();
                let mut loss = if e == 1.0 { 0.0 } else { (1.0 - e) * (log_s + (m - z[t])) };
                if e != 0.0 {
                    loss += e * (z.iter().map(|&x| log_s + (m - x)).sum::<f32>() / z.len() as f32);
                }
                out[0] = loss;
            },
        ),
        of("later: padded to 32 with 0, f64 inside", "C33", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let mut padded = wide(z);
            padded.resize(z.len().next_multiple_of(32), 0.0);
            let m = top(&padded);
            let s: f64 = padded.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(&padded).for_each(|(p, &x)| *p = ((x - m).exp() / s) as f32);
        }),
        of(
            "later: the gradient keeps bf16 probabilities",
            "C17",
            Op::CROSS_ENTROPY_GRAD,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let z = wide(z);
                let (m, n) = (top(&z), z.len() as f32);
                let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
                for j in 0..z.len() {
                    let p = bf16::from_f64((z[j] - m).exp() / s).to_f32();
                    out[j] = p - if j == t { (1.0 - e) + e / n } else { e / n };
                }
            },
        ),
        of("later: every second output is late", "", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top(z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            for j in 0..z.len() {
                out[j] = (z[j / 2 * 2] - m).exp() / s;
            }
        }),
        of("later: sigmoids", "", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = 1.0 / (1.0 + (-x).exp()));
        }),
        of("later: a hard maximum", "", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(&wide(z)) as f32;
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = if x == m { 1.0 } else { 0.0 });
        }),
        of("later: twice the temperature", "", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(&wide(z)) as f32;
            let s: f32 = z.iter().map(|&x| ((x - m) / 2.0).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = ((x - m) / 2.0).exp() / s);
        }),
    ]
}
