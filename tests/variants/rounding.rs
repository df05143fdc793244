//! Variants of sums, logarithms, losses and gradients, exponentials and lengths: C14 to C40.

use super::{Variant, of, tight};
use half::{bf16, f16};
use logitfuzz::op::Op;

const NONE: f32 = f32::NEG_INFINITY;
const NONE_64: f64 = f64::NEG_INFINITY;

fn top(z: &[f32]) -> f32 {
    z.iter().fold(NONE, |m, &x| if x > m || x.is_nan() { x } else { m })
}

fn top_64(z: &[f64]) -> f64 {
    z.iter().fold(NONE_64, |m, &x| if x > m || x.is_nan() { x } else { m })
}

/// The textbook with another exp.
fn with_exp(exp: impl Fn(f32) -> f32, z: &[f32], out: &mut [f32]) {
    let m = top(z);
    let mut s = 0.0;
    for (p, &x) in out.iter_mut().zip(z) {
        *p = exp(x - m);
        s += *p;
    }
    out.iter_mut().for_each(|p| *p /= s);
}

fn softmax_64(z: &[f64]) -> Vec<f64> {
    let m = top_64(z);
    let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
    z.iter().map(|&x| (x - m).exp() / s).collect()
}

fn softmax(z: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; z.len()];
    with_exp(f32::exp, z, &mut out);
    out
}

/// The loss of log-probabilities.
fn loss_64(log_p: impl Fn(f64) -> f64, z: &[f64], t: usize, e: f64) -> f64 {
    let mut loss = if e == 1.0 { 0.0 } else { -(1.0 - e) * log_p(z[t]) };
    if e != 0.0 {
        loss -= e * (z.iter().map(|&x| log_p(x)).sum::<f64>() / z.len() as f64);
    }
    loss
}

pub fn variants() -> Vec<Variant> {
    let mut all = sums();
    all.extend(losses());
    all.extend(clipped());
    all.extend(exponentials());
    all.extend(lengths());
    all
}

fn sums() -> Vec<Variant> {
    vec![
        of("four lanes of f16", "C14", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let mut lanes = [f16::ZERO; 4];
            for (i, &x) in z.iter().enumerate() {
                lanes[i % 4] = f16::from_f32(lanes[i % 4].to_f32() + (x - m).exp());
            }
            let s: f32 = (lanes[0] + lanes[2] + (lanes[1] + lanes[3])).to_f32();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("blocks of 16 in bf16", "C14", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let mut s = 0.0f32;
            for block in z.chunks(16) {
                let mut part = bf16::ZERO;
                for &x in block {
                    part = bf16::from_f32(part.to_f32() + (x - m).exp());
                }
                s += part.to_f32();
            }
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of("an f32 sum in f64", "C14", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let mut s = 0.0f32;
            for &x in z {
                s = (f64::from(s) + (x - m).exp()) as f32;
            }
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / f64::from(s));
        }),
        of("an f16 sum of f16", "C14", Op::SOFTMAX, |z: &[f16], out: &mut [f16]| {
            let z: Vec<f32> = z.iter().map(|x| x.to_f32()).collect();
            let m = top(&z);
            let mut s = f16::ZERO;
            for &x in &z {
                s = f16::from_f32(s.to_f32() + (x - m).exp());
            }
            out.iter_mut().zip(&z).for_each(|(p, &x)| *p = f16::from_f32((x - m).exp() / s.to_f32()));
        }),
        of("the cotangent is summed in bf16", "C14", Op::LOG_SOFTMAX_VJP, |z: &[f32], g: &[f32], out: &mut [f32]| {
            let mut total = bf16::ZERO;
            for &g in g {
                total = bf16::from_f32(total.to_f32() + g);
            }
            let p = softmax(z);
            for j in 0..z.len() {
                out[j] = g[j] - p[j] * total.to_f32();
            }
        }),
        of("the weight is rounded to f16 over an f64 sum", "C37", Op::SOFTMAX, |z: &[f16], out: &mut [f16]| {
            let z: Vec<f64> = z.iter().map(|x| x.to_f64()).collect();
            let m = top_64(&z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            for (p, &x) in out.iter_mut().zip(&z) {
                let w = f16::from_f32((x - m).exp() as f32);
                *p = f16::from_f32((w.to_f64() / s) as f32);
            }
        }),
        of("weights in bf16 over an f32 sum", "C37", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let s: f32 = z.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = bf16::from_f32((x - m).exp()).to_f32() / s);
        }),
        of(
            "the backward pass reads weights",
            "C37",
            Op::CROSS_ENTROPY_GRAD,
            |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
                let m = top_64(z);
                let z: Vec<f64> = z.iter().map(|&x| (x - m).exp()).collect();
                let (p, n) = (softmax_64(&z), z.len() as f64);
                for j in 0..z.len() {
                    out[j] = p[j] - (if j == t { 1.0 - e + e / n } else { e / n });
                }
            },
        ),
        of("the cotangent sums to 1", "C37", Op::LOG_SOFTMAX_VJP, |z: &[f64], g: &[f64], out: &mut [f64]| {
            let p = softmax_64(z);
            out.iter_mut().zip(p).zip(g).for_each(|((o, p), g)| *o = g - p);
        }),
        of("all in f16, the sum by halves", "C40", Op::SOFTMAX, |z: &[f16], out: &mut [f16]| {
            fn halves(w: &[f16]) -> f16 {
                match w.len() {
                    0 => f16::ZERO,
                    1 => w[0],
                    n => halves(&w[..n / 2]) + halves(&w[n / 2..]),
                }
            }
            let m = z.iter().fold(f16::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m });
            let w: Vec<f16> = z.iter().map(|&x| f16::from_f32((x - m).to_f32().exp())).collect();
            let s = halves(&w);
            out.iter_mut().zip(w).for_each(|(p, w)| *p = w / s);
        }),
        of("all in bf16", "C40", Op::LOG_SOFTMAX, |z: &[bf16], out: &mut [bf16]| {
            let m = z.iter().fold(bf16::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m });
            let mut s = bf16::ZERO;
            for &x in z {
                s += bf16::from_f32((x - m).to_f32().exp());
            }
            let log_s = bf16::from_f32(s.to_f32().ln());
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = (x - m) - log_s);
        }),
    ]
}

fn losses() -> Vec<Variant> {
    vec![
        of("the log-sum-exp is subtracted, base 2", "C15", Op::LOG_SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z.iter().rev().map(|&x| (x - m).exp()).sum();
            let lse = m + s.log2() * std::f64::consts::LN_2;
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = x - lse);
        }),
        of(
            "the loss from an online log-sum-exp",
            "C15",
            Op::CROSS_ENTROPY,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let (mut m, mut s) = (NONE, 0.0f32);
                for &x in z {
                    let next = if x > m || x.is_nan() { x } else { m };
                    if next != NONE {
                        s = s * (m - next).exp() + (x - next).exp();
                    }
                    m = next;
                }
                let lse = if m.is_infinite() { m } else { m + s.ln() };
                let mut picked = if e == 1.0 { 0.0 } else { (1.0 - e) * z[t] };
                if e != 0.0 {
                    picked += e * (z.iter().sum::<f32>() / z.len() as f32);
                }
                out[0] = lse - picked;
            },
        ),
        tight("no log1p in f64", "C16", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z.chunks(4).map(|part| part.iter().map(|&x| (x - m).exp()).sum::<f64>()).sum();
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of(
            "probabilities are kept in f16",
            "C17",
            Op::CROSS_ENTROPY_GRAD,
            |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
                let n = z.len() as f32;
                for (j, p) in softmax(z).into_iter().enumerate() {
                    let q = if j == t { (1.0 - e) + e / n } else { e / n };
                    out[j] = f16::from_f32(p).to_f32() - q;
                }
            },
        ),
        of("probabilities are kept in bf16", "C17", Op::SOFTMAX_VJP, |z: &[f32], g: &[f32], out: &mut [f32]| {
            let p: Vec<f32> = softmax(z).iter().map(|&p| bf16::from_f32(p).to_f32()).collect();
            let mean = p.iter().zip(g).fold(0.0f32, |mean, (p, g)| p.mul_add(*g, mean));
            for j in 0..z.len() {
                out[j] = p[j] * (g[j] - mean);
            }
        }),
        of("divided by the probability, f64", "C18", Op::LOG_SOFTMAX_VJP, |z: &[f64], g: &[f64], out: &mut [f64]| {
            let (p, total) = (softmax_64(z), g.iter().sum::<f64>());
            for j in 0..z.len() {
                out[j] = (g[j] / p[j] - total) * p[j];
            }
        }),
        of(
            "the gradient through the log-sum-exp, f64",
            "C18",
            Op::CROSS_ENTROPY_GRAD,
            |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
                let (m, n) = (top_64(z), z.len() as f64);
                let lse = m + z.iter().map(|&x| (x - m).exp()).sum::<f64>().ln();
                for j in 0..z.len() {
                    out[j] = (z[j] - lse).exp() - if j == t { 1.0 - e + e / n } else { e / n };
                }
            },
        ),
        of("0 times the distance, f64", "C19", Op::CROSS_ENTROPY, |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
            let (m, n) = (top_64(z), z.len() as f64);
            let log_s = z.iter().map(|&x| (x - m).exp()).sum::<f64>().ln();
            let mut loss = 0.0;
            for (j, &x) in z.iter().enumerate() {
                let q = if j == t { 1.0 - e + e / n } else { e / n };
                loss += q * (log_s - (x - m));
            }
            out[0] = loss;
        }),
        of("the smoothing is not read", "C20", Op::CROSS_ENTROPY, |z: &[f64], t: usize, _: f64, out: &mut [f64]| {
            let m = top_64(z);
            out[0] = z.iter().rev().map(|&x| (x - m).exp()).sum::<f64>().ln() + (m - z[t]);
        }),
        of(
            "smoothing over the others, f64",
            "C20",
            Op::CROSS_ENTROPY_GRAD,
            |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
                for (j, p) in softmax_64(z).into_iter().enumerate() {
                    out[j] = p - if j == t { 1.0 - e } else { e / (z.len() as f64 - 1.0) };
                }
            },
        ),
        of(
            "the loss smooths over the others",
            "C20",
            Op::CROSS_ENTROPY,
            |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
                let m = top_64(z);
                let log_s = z.iter().map(|&x| (x - m).exp()).sum::<f64>().ln();
                let mut loss = if e == 1.0 { 0.0 } else { (1.0 - e) * (log_s + (m - z[t])) };
                if e != 0.0 && z.len() > 1 {
                    let others = (0..z.len()).filter(|&j| j != t).map(|j| log_s + (m - z[j])).sum::<f64>();
                    loss += e * (others / (z.len() - 1) as f64);
                }
                out[0] = loss;
            },
        ),
        of("lse in base 2", "C30", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z.iter().rev().map(|&x| (x - m).exp()).sum();
            out[0] = if m.is_infinite() { m } else { m + s.log2() };
        }),
        of("softmax of powers of 2", "C30", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| with_exp(f32::exp2, z, out)),
        of("blocks of 5 rescaled in base 2", "C30", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let (mut m, mut s) = (NONE, 0.0f32);
            for block in z.chunks(5) {
                let b = top(block);
                let next = if b > m || b.is_nan() { b } else { m };
                if next != NONE {
                    s = s * (m - next).exp2() + block.iter().map(|&x| (x - next).exp()).sum::<f32>();
                }
                m = next;
            }
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("log-softmax with a base-2 logarithm", "C30", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let log_s = z.iter().map(|&x| (x - m).exp()).sum::<f32>().log2();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = (x - m) - log_s);
        }),
    ]
}

fn clipped() -> Vec<Variant> {
    vec![
        of("3e-6 in the denominator", "C22", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let s: f32 = z.chunks(4).map(|part| part.iter().map(|&x| (x - m).exp()).sum::<f32>()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / (s + 3e-6));
        }),
        of("4e-5 in the logarithm of the sum", "C22", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out[0] = if m.is_infinite() { m } else { m + (s + 4e-5).ln() };
        }),
        of("log(p + 7e-10)", "C22", Op::CROSS_ENTROPY, |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out[0] = loss_64(|x| ((x - m).exp() / s + 7e-10).ln(), z, t, e);
        }),
        of("log(p + 7e-10), f64 inside", "C22", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = f64::from(top(z));
            let s: f64 = z.iter().map(|&x| (f64::from(x) - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = ((f64::from(x) - m).exp() / s + 7e-10).ln() as f32);
        }),
        of(
            "probabilities in [2.5e-4, 1 - 2.5e-4]",
            "C22",
            Op::CROSS_ENTROPY,
            |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
                let m = top_64(z);
                let s: f64 = z.iter().rev().map(|&x| (x - m).exp()).sum();
                out[0] = loss_64(|x| ((x - m).exp() / s).clamp(2.5e-4, 1.0 - 2.5e-4).ln(), z, t, e);
            },
        ),
        of("probabilities of 1e-11 at least", "C22", Op::LOG_SOFTMAX, |z: &[f64], out: &mut [f64]| {
            for (l, p) in out.iter_mut().zip(softmax_64(z)) {
                *l = if p < 1e-11 { 1e-11f64.ln() } else { p.ln() };
            }
        }),
        of("distances are clipped at 23.5", "C22", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            with_exp(|x| if x < -23.5 { (-23.5f32).exp() } else { x.exp() }, z, out);
        }),
        of("distances are clipped at 23.5, f64", "C22", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z.iter().map(|&x| if x - m < -23.5 { (-23.5f64).exp() } else { (x - m).exp() }).sum();
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
    ]
}

fn exponentials() -> Vec<Variant> {
    vec![
        of("log(1 - e^x), f64", "C28", Op::LOG1MEXP, |x: &[f64], out: &mut [f64]| {
            out.iter_mut().zip(x).for_each(|(y, &x)| *y = (1.0 - x.exp2().powf(std::f64::consts::LOG2_E)).ln());
        }),
        of("log1p(-e^x) in f16", "C28", Op::LOG1MEXP, |x: &[f16], out: &mut [f16]| {
            out.iter_mut()
                .zip(x)
                .for_each(|(y, &x)| *y = f16::from_f32((-f16::from_f32(x.to_f32().exp()).to_f32()).ln_1p()));
        }),
        of("log(1 - e^x) in f32", "C28", Op::LOG1MEXP, |x: &[f32], out: &mut [f32]| {
            out.iter_mut().zip(x).for_each(|(y, &x)| *y = (1.0 - x.exp()).ln());
        }),
        of("exp is 0 below -65", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            with_exp(|x| if x < -65.0 { 0.0 } else { x.exp() }, z, out);
        }),
        of("exp is held at e^-50", "C29 C22", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let exp = |x: f64| if x < -50.0 { (-50.0f64).exp() } else { x.exp() };
            let s: f64 = z.iter().map(|&x| exp(x - m)).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = exp(x - m) / s);
        }),
        of("exp by a Taylor series of degree 4", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let exp = |x: f32| {
                if x < -103.0 {
                    return 0.0;
                }
                let k = (x * std::f32::consts::LOG2_E).round();
                let r = x - k * std::f32::consts::LN_2;
                (1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r / 24.0)))) * k.exp2()
            };
            with_exp(exp, z, out);
        }),
        of("exp as (1 + x / 1024)^1024", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let exp = |x: f32| {
                let mut y = (1.0 + x / 1024.0).max(0.0);
                for _ in 0..10 {
                    y *= y;
                }
                if x.is_nan() { x } else { y }
            };
            with_exp(exp, z, out);
        }),
        of("exp by Schraudolph", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let exp = |x: f32| match x {
                x if x.is_nan() => x,
                x if x < -87.0 => 0.0,
                x => f32::from_bits((12_102_203.0f32 * x + (127.0 * 8_388_608.0 - 366_393.0)) as u32),
            };
            with_exp(exp, z, out);
        }),
        of("log2(e) is 1.443", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            with_exp(|x| (x * 1.443).exp2(), z, out)
        }),
        of("ln(2) is 0.69314", "C29", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let s: f32 = z.iter().rev().map(|&x| (x - m).exp()).sum();
            out[0] = if m.is_infinite() { m } else { m + s.log2() * 0.69314 };
        }),
        of("2^f from a table of 32, interpolated", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let exp = |x: f32| {
                if x < -103.0 {
                    return 0.0;
                }
                let y = x * std::f32::consts::LOG2_E;
                let (k, at) = (y.floor(), (y - y.floor()) * 32.0);
                let (low, high) = ((at.floor() / 32.0).exp2(), ((at.floor() + 1.0) / 32.0).exp2());
                (low + (high - low) * (at - at.floor())) * k.exp2()
            };
            with_exp(exp, z, out);
        }),
        of("a reciprocal of 10 bits", "C29", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let s: f32 = z.iter().map(|&x| (x - m).exp()).sum();
            let r = f32::from_bits((1.0 / s).to_bits() & !0x3fff);
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() * r);
        }),
        of("a contracted scale, f64", "C31", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let scale = std::f64::consts::LOG2_E;
            let m = top_64(z) * scale;
            let s: f64 = z.iter().rev().map(|&x| x.mul_add(scale, -m).exp2()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = x.mul_add(scale, -m).exp2() / s);
        }),
        of("a reduction that is not clamped, f64", "C39", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let exp = |x: f64| {
                let k = (x * std::f64::consts::LOG2_E).round();
                let r = (x - k * 0.693_145_751_953_125) - k * 1.428_606_820_309_417_2e-6;
                r.exp() * k.exp2()
            };
            let m = top_64(z);
            let s: f64 = z.iter().map(|&x| exp(x - m)).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = exp(x - m) / s);
        }),
    ]
}

fn lengths() -> Vec<Variant> {
    vec![
        of("padded to 16 with 0", "C33", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let mut padded = z.to_vec();
            padded.resize(z.len().div_ceil(16) * 16, 0.0);
            let m = top(&padded);
            let s: f32 = padded.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("the sum counts 0 up to a multiple of 4", "C33", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let mut s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            s += ((4 - z.len() % 4) % 4) as f64 * (-m).exp();
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of("a buffer of 12 that is not cleared", "C33", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let (mut buffer, mut s) = ([NONE; 12], 0.0f32);
            for block in z.chunks(12) {
                buffer[..block.len()].copy_from_slice(block);
                s += buffer.iter().map(|&x| (x - m).exp()).sum::<f32>();
            }
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("the tail of 4 is not shifted", "C11", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let last = z.len().saturating_sub(1) / 4 * 4;
            let s: f32 = z.iter().enumerate().map(|(i, &x)| if i < last { (x - m).exp() } else { x.exp() }).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("lse of nothing is 0, f64", "C35", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out[0] = if z.is_empty() {
                0.0
            } else if m.is_infinite() {
                m
            } else {
                m + s.ln()
            };
        }),
        of("a count of 8 bits", "C36", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z[..z.len() & 0xff].iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
    ]
}
