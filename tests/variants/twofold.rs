//! Variants with two defects at once, of which neither alone explains what the kernel answers: each was curable by itself, and both are due.

use super::{Variant, of, tight};
use half::{bf16, f16};
use logitfuzz::op::Op;

fn top(z: &[f32]) -> f32 {
    z.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m })
}

/// The sum in bf16.
fn coarse(terms: impl Iterator<Item = f32>) -> f32 {
    terms.fold(bf16::ZERO, |s, x| bf16::from_f32(s.to_f32() + x)).to_f32()
}

/// The sum in f16.
fn half(terms: impl Iterator<Item = f32>) -> f32 {
    terms.fold(f16::ZERO, |s, x| f16::from_f32(s.to_f32() + x)).to_f32()
}

/// `e^x` by 256 multiplications.
fn powered(x: f32) -> f32 {
    let mut y = (1.0 + x / 256.0).max(0.0);
    for _ in 0..8 {
        y *= y;
    }
    y
}

pub fn variants() -> Vec<Variant> {
    let mut all = narrow();
    all.extend(approximate());
    all.extend(elsewhere());
    all
}

fn narrow() -> Vec<Variant> {
    vec![
        of("twofold: no maximum, sum in bf16", "C11+C14", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let s = coarse(z.iter().map(|x| x.exp()));
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = x.exp() / s);
        }),
        of("twofold: no maximum, sum in f16", "C11+C14", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            out[0] = half(z.iter().map(|x| x.exp())).ln();
        }),
        tight("twofold: no log1p, sum in bf16", "C14+C16", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            out[0] = if m.is_infinite() { m } else { m + coarse(z.iter().map(|x| (x - m).exp())).ln() };
        }),
        tight(
            "twofold: no log1p, sum in f16",
            "C14+C16",
            Op::CROSS_ENTROPY,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let m = top(z);
                let log_sum = half(z.iter().map(|x| (x - m).exp())).ln();
                let mut q = 0.0;
                if e != 1.0 {
                    q += (1.0 - e) * (m - z[t]);
                }
                if e != 0.0 {
                    q += e * (half(z.iter().map(|x| m - x)) / z.len() as f32);
                }
                out[0] = log_sum + q;
            },
        ),
        of("twofold: search from 0, sum in bf16", "C08+C14", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = z.iter().fold(0.0f32, |m, &x| if x > m || x.is_nan() { x } else { m });
            let s = coarse(z.iter().map(|x| (x - m).exp()));
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("twofold: search from -3e3, sum in f16", "C10+C14", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = z.iter().fold(-3e3f32, |m, &x| if x > m || x.is_nan() { x } else { m });
            let s = half(z.iter().map(|x| (x - m).exp()));
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("twofold: log of softmax, sum in f16", "C12+C14", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let s = half(z.iter().map(|x| (x - m).exp()));
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = ((x - m).exp() / s).ln());
        }),
        of("twofold: lse subtracted, sum in bf16", "C14+C15", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let lse = m + coarse(z.iter().map(|x| (x - m).exp())).ln();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = x - lse);
        }),
        of("twofold: NaN dropped, sum in bf16", "C13+C14", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = z.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x));
            let w = |x: f32| if x.is_nan() { 0.0 } else { (x - m).exp() };
            let s = coarse(z.iter().map(|&x| w(x)));
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = w(x) / s);
        }),
        of("twofold: first as maximum, sum in f16", "C09+C14", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = z.first().copied().unwrap_or(0.0);
            let s = half(z.iter().map(|x| (x - m).exp()));
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
    ]
}

fn approximate() -> Vec<Variant> {
    vec![
        of("twofold: a coarse exp and no maximum", "C11+C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let s: f32 = z.iter().map(|&x| powered(x)).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = powered(x) / s);
        }),
        of("twofold: a coarse exp, search from 0", "C08+C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = z.iter().fold(0.0f32, |m, &x| if x > m || x.is_nan() { x } else { m });
            let s: f32 = z.iter().map(|&x| powered(x - m)).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = powered(x - m) / s);
        }),
        of("twofold: a coarse exp, lse subtracted", "C15+C29", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let lse = m + z.iter().map(|&x| powered(x - m)).sum::<f32>().ln();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = x - lse);
        }),
    ]
}

/// Of other ops, types and orders; written after it was known how two are found at once.
fn elsewhere() -> Vec<Variant> {
    vec![
        of("twofold: f64, no maximum, sum in f32", "C11+C14", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let s = f64::from(z.iter().fold(0.0f32, |s, x| (f64::from(s) + x.exp()) as f32));
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = x.exp() / s);
        }),
        of(
            "twofold: vjp, search from 0, sums in f16",
            "C08+C14",
            Op::SOFTMAX_VJP,
            |z: &[f32], g: &[f32], out: &mut [f32]| {
                let m = z.iter().fold(0.0f32, |m, &x| if x > m || x.is_nan() { x } else { m });
                let s = half(z.iter().map(|x| (x - m).exp()));
                let p: Vec<f32> = z.iter().map(|&x| (x - m).exp() / s).collect();
                let mean = half(p.iter().zip(g).map(|(p, g)| p * g));
                (0..z.len()).for_each(|j| out[j] = p[j] * (g[j] - mean));
            },
        ),
        of(
            "twofold: log-softmax jvp, last as maximum, sums in bf16",
            "C09+C14",
            Op::LOG_SOFTMAX_JVP,
            |z: &[f32], v: &[f32], out: &mut [f32]| {
                let m = z.last().copied().unwrap_or(0.0);
                let s = coarse(z.iter().map(|x| (x - m).exp()));
                let mean = coarse(z.iter().zip(v).map(|(&x, v)| (x - m).exp() / s * v));
                (0..z.len()).for_each(|j| out[j] = v[j] - mean);
            },
        ),
        of("twofold: in 8 lanes of f16, log of softmax", "C12+C14", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let mut lanes = [f16::ZERO; 8];
            for (i, x) in z.iter().enumerate() {
                lanes[i % 8] = f16::from_f32(lanes[i % 8].to_f32() + (x - m).exp());
            }
            for width in [4, 2, 1] {
                (0..width).for_each(|i| lanes[i] = f16::from_f32(lanes[i].to_f32() + lanes[i + width].to_f32()));
            }
            let s = lanes[0].to_f32();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = ((x - m).exp() / s).ln());
        }),
        of(
            "twofold: gradient, epsilon in the denominator, sum in bf16",
            "C14+C22",
            Op::CROSS_ENTROPY_GRAD,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let m = top(z);
                let s = coarse(z.iter().map(|x| (x - m).exp()));
                let n = z.len() as f32;
                for (j, g) in out.iter_mut().enumerate() {
                    let q = if j == t { (1.0 - e) + e / n } else { e / n };
                    *g = (z[j] - m).exp() / (s + 1e-3) - q;
                }
            },
        ),
        of(
            "twofold: loss, smoothing over the others, sum in f16",
            "C14+C20",
            Op::CROSS_ENTROPY,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let m = top(z);
                let log_sum = half(z.iter().map(|x| (x - m).exp())).ln();
                let mut q = 0.0;
                if e != 1.0 {
                    q += (1.0 - e) * (m - z[t]);
                }
                if e != 0.0 && z.len() > 1 {
                    let others = half(z.iter().enumerate().filter(|(j, _)| *j != t).map(|(_, x)| m - x));
                    q += e * (others / (z.len() - 1) as f32);
                }
                out[0] = log_sum + q;
            },
        ),
        of(
            "twofold: an exp to base 2 by a short series, lse subtracted",
            "C15+C29",
            Op::CROSS_ENTROPY,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let m = top(z);
                let exp = |x: f32| {
                    let y = x * std::f32::consts::LOG2_E;
                    let r = (y - y.floor()) * std::f32::consts::LN_2;
                    if x < -200.0 { 0.0 } else { (1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0)))) * y.floor().exp2() }
                };
                let lse = m + z.iter().map(|&x| exp(x - m)).sum::<f32>().ln();
                let mut q = 0.0;
                if e != 1.0 {
                    q += (1.0 - e) * (lse - z[t]);
                }
                if e != 0.0 {
                    q += e * (z.iter().map(|x| lse - x).sum::<f32>() / z.len() as f32);
                }
                out[0] = q;
            },
        ),
        of(
            "twofold: scaled twice, sum in bf16",
            "C14+C32",
            Op::SCALED_SOFTMAX,
            |z: &[f32], scale: f32, out: &mut [f32]| {
                let z: Vec<f32> = z.iter().map(|x| x * scale * scale).collect();
                let m = top(&z);
                let s = coarse(z.iter().map(|x| (x - m).exp()));
                out.iter_mut().zip(&z).for_each(|(p, &x)| *p = (x - m).exp() / s);
            },
        ),
    ]
}
