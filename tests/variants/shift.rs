//! Variants of what is subtracted, of infinities and of state that is carried: C01 to C13.

use super::{Variant, of};
use half::f16;
use logitfuzz::op::Op;

const NONE: f32 = f32::NEG_INFINITY;
const NONE_64: f64 = f64::NEG_INFINITY;

/// The larger one; NaN if either is.
fn above(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

fn above_64(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

fn top(z: &[f32]) -> f32 {
    let mut m = NONE;
    for &x in z {
        m = above(m, x);
    }
    m
}

fn top_64(z: &[f64]) -> f64 {
    let mut m = NONE_64;
    for &x in z {
        m = above_64(m, x);
    }
    m
}

/// By halves.
fn halves(w: &[f32]) -> f32 {
    match w.len() {
        0 => 0.0,
        1 => w[0],
        n => halves(&w[..n / 2]) + halves(&w[n / 2..]),
    }
}

/// The textbook with `m` for the maximum, summed by halves.
fn shifted_by(m: f32, z: &[f32], out: &mut [f32]) {
    for (p, &x) in out.iter_mut().zip(z) {
        *p = (x - m).exp();
    }
    let s = halves(out);
    out.iter_mut().for_each(|p| *p /= s);
}

fn shifted_by_64(m: f64, z: &[f64], out: &mut [f64]) {
    let mut s = 0.0;
    for (p, &x) in out.iter_mut().zip(z) {
        *p = (x - m).exp();
        s += *p;
    }
    out.iter_mut().for_each(|p| *p /= s);
}

fn lse_by(m: f32, z: &[f32]) -> f32 {
    let s: f32 = z.iter().map(|&x| (x - m).exp()).sum();
    if m.is_infinite() { m } else { m + s.ln() }
}

pub fn variants() -> Vec<Variant> {
    let mut all = infinities();
    all.extend(carried());
    all.extend(maxima());
    all.extend(unshifted());
    all
}

fn infinities() -> Vec<Variant> {
    vec![
        of("lse in f64 inside without a guard", "C01", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            let s: f64 = z.iter().map(|&x| (f64::from(x) - f64::from(m)).exp()).sum();
            out[0] = (f64::from(m) + s.ln()) as f32;
        }),
        of("lse that guards masked rows alone", "C01", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            if m == NONE_64 {
                out[0] = m;
                return;
            }
            let mut lanes = [0.0f64; 3];
            for (i, &x) in z.iter().enumerate() {
                lanes[i % 3] += (x - m).exp();
            }
            out[0] = m + (lanes[0] + lanes[1] + lanes[2]).ln();
        }),
        of("online lse without the guard of the end", "C01", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let (mut m, mut s) = (NONE, 0.0f32);
            for &x in z {
                let next = above(m, x);
                if next != NONE {
                    s = s * (m - next).exp() + (x - next).exp();
                }
                m = next;
            }
            out[0] = m + s.ln();
        }),
        of("an infinite maximum is +inf", "C02", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            out[0] = if m.is_infinite() { f32::INFINITY } else { lse_by(m, z) };
        }),
        of("lse of no class is 0", "C02", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out[0] = if m == NONE_64 {
                0.0
            } else if m.is_infinite() {
                m
            } else {
                m + s.ln()
            };
        }),
        of("masked rows of 20 and more are NaN, shorter ones 0", "C03", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            if m == NONE && z.len() < 20 {
                out.fill(0.0);
            } else {
                shifted_by(m, z, out);
            }
        }),
        of("a sum of 0 is replaced by uniform, f64 inside", "C04", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = f64::from(top(z));
            if m == NONE_64 {
                out.fill(1.0 / z.len() as f32);
                return;
            }
            let s: f64 = z.iter().map(|&x| (f64::from(x) - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = ((f64::from(x) - m).exp() / s) as f32);
        }),
        of("masked logits are read as the lowest f64", "C04", Op::LOG_SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let z: Vec<f64> = z.iter().map(|&x| if x < f64::MIN { f64::MIN } else { x }).collect();
            let m = top_64(&z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut()
                .zip(&z)
                .for_each(|(l, &x)| *l = if x == f64::MIN && m > x { NONE_64 } else { x - m - s.ln() });
        }),
        of("a row without a class is its first one", "C04", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = top(z);
            if m == NONE && !z.is_empty() {
                out.fill(0.0);
                out[0] = 1.0;
            } else {
                shifted_by(m, z, out);
            }
        }),
        of("NaN is dropped by fmax", "C13", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = z.iter().fold(NONE_64, |m, &x| m.max(x));
            let s = z.iter().rev().map(|&x| (x - m).exp()).sum::<f64>();
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of("NaN is skipped in blocks", "C13", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = z.iter().fold(NONE, |m, &x| m.max(x));
            let weight = |x: f32| if x.is_nan() { 0.0 } else { (x - m).exp() };
            let s: f32 = z.chunks(10).map(|block| block.iter().map(|&x| weight(x)).sum::<f32>()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = weight(x) / s);
        }),
        of("the argument of exp is held below 0 by fmin", "C13", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = top_64(z);
            let mut s = 0.0;
            for (p, &x) in out.iter_mut().zip(z) {
                *p = (x - m).min(0.0).exp();
                s += *p;
            }
            out.iter_mut().for_each(|p| *p /= s);
        }),
    ]
}

/// Blocks of `size` with a running maximum and a running sum, which a step brings up to date from the old state and the sum of a block.
fn blocked(z: &[f32], size: usize, step: impl Fn(f32, f32, f32, f32) -> f32) -> (f32, f32) {
    let (mut m, mut s) = (NONE, 0.0f32);
    for block in z.chunks(size) {
        let next = above(m, top(block));
        let here: f32 = if next == NONE { 0.0 } else { block.iter().map(|&x| (x - next).exp()).sum() };
        s = step(s, m, next, here);
        m = next;
    }
    (m, s)
}

fn carried() -> Vec<Variant> {
    vec![
        of("blocks of 6 without a guard", "C05", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let (mut m, mut s) = (NONE, 0.0f32);
            for block in z.chunks(6) {
                let next = above(m, top(block));
                s *= (m - next).exp();
                s += block.iter().map(|&x| (x - next).exp()).sum::<f32>();
                m = next;
            }
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("online in f64 without a guard", "C05", Op::LOG_SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let (mut m, mut s) = (NONE_64, 0.0f64);
            for &x in z {
                let next = above_64(m, x);
                s = (m - next).exp().mul_add(s, (x - next).exp());
                m = next;
            }
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = (x - m) - s.ln());
        }),
        of("16 lanes, of which idle ones are merged", "C05", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let mut lanes = [(NONE, 0.0f32); 16];
            for (i, &x) in z.iter().enumerate() {
                let (m, s) = lanes[i % 16];
                let next = above(m, x);
                if next != NONE {
                    lanes[i % 16] = (next, s * (m - next).exp() + (x - next).exp());
                }
            }
            for step in [8, 4, 2, 1] {
                for i in 0..step {
                    let ((a, s), (b, t)) = (lanes[i], lanes[i + step]);
                    let m = above(a, b);
                    lanes[i] = (m, s * (a - m).exp() + t * (b - m).exp());
                }
            }
            let (m, s) = lanes[0];
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("blocks of 12 that do not rescale", "C07", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let (m, s) = blocked(z, 12, |s, _, _, here| s + here);
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("three parts that keep their own maxima", "C07", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let (mut m, mut s) = (NONE, 0.0f32);
            for part in z.chunks(z.len().div_ceil(3).max(1)) {
                let own = top(part);
                if own != NONE {
                    s += part.iter().map(|&x| (x - own).exp()).sum::<f32>();
                }
                m = above(m, own);
            }
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of("rescaled from a rise of 2.5 on", "C07", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let (mut m, mut s) = (NONE, 0.0f32);
            for &x in z {
                let next = above(m, x);
                if next == NONE {
                    continue;
                }
                let factor = if next - m < 2.5 { 1.0 } else { (m - next).exp() };
                s = s * factor + (x - next).exp();
                m = next;
            }
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("rescaled the wrong way, f64", "C07", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let (mut m, mut s) = (NONE_64, 0.0f64);
            for &x in z {
                let next = above_64(m, x);
                if next != NONE_64 {
                    s = if m == NONE_64 { 1.0 } else { s * (next - m).exp() + (x - next).exp() };
                }
                m = next;
            }
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        of("a masked state is stored as -5", "C07", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let (mut m, mut s) = (NONE, 0.0f32);
            for &x in z {
                let next = above(m, x);
                let next = if next == NONE { -5.0 } else { next };
                s = s * (m - next).exp() + (x - next).exp();
                m = next;
            }
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("the latest logit is the state", "C07", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let (mut m, mut s) = (NONE_64, 0.0f64);
            for &x in z {
                if x != NONE_64 {
                    s = if m == NONE_64 { 1.0 } else { s * (m - x).exp() + 1.0 };
                    m = x;
                }
            }
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
    ]
}

fn maxima() -> Vec<Variant> {
    vec![
        of("the maximum starts at -37.5", "C08", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            shifted_by(above(-37.5, top(z)), z, out);
        }),
        of("the maximum starts at 7", "C08", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            out[0] = lse_by(above(7.0, top(z)), z);
        }),
        of("online from 0, in base 2", "C08", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let exp = |x: f32| (f64::from(x) * std::f64::consts::LOG2_E).exp2() as f32;
            let (mut m, mut s) = (0.0f32, 0.0f32);
            for &x in z {
                let next = above(m, x);
                s = s * exp(m - next) + exp(x - next);
                m = next;
            }
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = exp(x - m) / s);
        }),
        of("the maximum starts at FLT_MIN, in f64", "C08", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            shifted_by_64(above_64(f64::from(f32::MIN_POSITIVE), top_64(z)), z, out);
        }),
        of("the maximum of a row padded to 16 with 0", "C08", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let mut padded = z.to_vec();
            while !padded.len().is_multiple_of(16) {
                padded.push(0.0);
            }
            out[0] = lse_by(top(&padded), z);
        }),
        of("clipped from below at -50", "C22 C08", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            shifted_by_64(above_64(-50.0, top_64(z)), z, out);
        }),
        of("the maximum skips a tail of 6", "C09", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let whole = if z.len() < 6 { z.len() } else { z.len() - z.len() % 6 };
            out[0] = lse_by(top(&z[..whole]), z);
        }),
        of("the maximum of the first half", "C09", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            shifted_by(top(&z[..z.len().div_ceil(2)]), z, out);
        }),
        of("the maximum of every second logit", "C09", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let seen: Vec<f64> = z.iter().copied().step_by(2).collect();
            shifted_by_64(top_64(&seen), z, out);
        }),
        of("the last logit for the maximum", "C09", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            shifted_by_64(z.last().copied().unwrap_or(NONE_64), z, out);
        }),
        of("the maximum of all but the last", "C09", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let seen = if z.len() > 1 { z.len() - 1 } else { z.len() };
            shifted_by(top(&z[..seen]), z, out);
        }),
        of("the minimum for the maximum", "C09", Op::LOG_SOFTMAX, |z: &[f64], out: &mut [f64]| {
            let m = z.iter().fold(f64::INFINITY, |m, &x| if x < m || x.is_nan() { x } else { m });
            let s = z.chunks(4).map(|part| part.iter().map(|&x| (x - m).exp()).sum::<f64>()).sum::<f64>();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = (x - m) - s.ln());
        }),
        of("the search starts at -7e3", "C10", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            shifted_by(above(-7e3, top(z)), z, out);
        }),
        of("masked classes are -2.5e4", "C10", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let z: Vec<f32> = z.iter().map(|&x| if x == NONE { -2.5e4 } else { x }).collect();
            shifted_by(top(&z), &z, out);
        }),
        of("masked classes are -1.7e8, f64 inside", "C10", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let z: Vec<f64> = z.iter().map(|&x| if x == NONE { -1.7e8 } else { f64::from(x) }).collect();
            let m = top_64(&z);
            let s: f64 = z.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(&z).for_each(|(p, &x)| *p = ((x - m).exp() / s) as f32);
        }),
        of("blocks of 10 from -5.5e3 on", "C10", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let (mut m, mut s) = (-5.5e3f64, 0.0f64);
            for block in z.chunks(10) {
                let next = above_64(m, top_64(block));
                s = s * (m - next).exp() + block.iter().map(|&x| (x - next).exp()).sum::<f64>();
                m = next;
            }
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
    ]
}

fn unshifted() -> Vec<Variant> {
    vec![
        of("unshifted, f64 inside", "C11", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let s: f64 = z.iter().map(|&x| f64::from(x).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (f64::from(x).exp() / s) as f32);
        }),
        of("unshifted, by halves", "C11", Op::LOGSUMEXP, |z: &[f32], out: &mut [f32]| {
            let w: Vec<f32> = z.iter().map(|x| x.exp()).collect();
            out[0] = halves(&w).ln();
        }),
        of("the mean is subtracted", "C11", Op::SOFTMAX, |z: &[f64], out: &mut [f64]| {
            shifted_by_64(z.iter().sum::<f64>() / z.len() as f64, z, out);
        }),
        of("20 is subtracted", "C11", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| shifted_by(20.0, z, out)),
        of("the largest magnitude is subtracted", "C11", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let magnitudes: Vec<f32> = z.iter().map(|x| x.abs()).collect();
            shifted_by(top(&magnitudes), z, out);
        }),
        of("unshifted f16 in f32", "C11", Op::SOFTMAX, |z: &[f16], out: &mut [f16]| {
            let w: Vec<f32> = z.iter().map(|x| x.to_f32().exp()).collect();
            let s: f32 = w.iter().rev().sum();
            out.iter_mut().zip(&w).for_each(|(p, w)| *p = f16::from_f32(w / s));
        }),
        of("unshifted loss", "C11", Op::CROSS_ENTROPY, |z: &[f32], t: usize, e: f32, out: &mut [f32]| {
            let log_s = z.iter().map(|x| x.exp()).sum::<f32>().ln();
            let mut loss = if e == 1.0 { 0.0 } else { (1.0 - e) * (log_s - z[t]) };
            if e != 0.0 {
                loss += e * z.iter().map(|&x| log_s - x).sum::<f32>() / z.len() as f32;
            }
            out[0] = loss;
        }),
        of("unshifted backward pass", "C11", Op::SOFTMAX_VJP, |z: &[f64], g: &[f64], out: &mut [f64]| {
            let s: f64 = z.iter().map(|x| x.exp()).sum();
            let p: Vec<f64> = z.iter().map(|x| x.exp() / s).collect();
            let mean: f64 = p.iter().zip(g).map(|(p, g)| p * g).sum();
            for j in 0..z.len() {
                out[j] = p[j] * (g[j] - mean);
            }
        }),
        of("log of a probability, f64 inside", "C12", Op::LOG_SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = f64::from(top(z));
            let s: f64 = z.iter().map(|&x| (f64::from(x) - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(l, &x)| *l = ((f64::from(x) - m).exp() / s).ln() as f32);
        }),
        of("log of an online probability", "C12", Op::CROSS_ENTROPY, |z: &[f64], t: usize, e: f64, out: &mut [f64]| {
            let (mut m, mut s) = (NONE_64, 0.0f64);
            for &x in z {
                let next = above_64(m, x);
                if next != NONE_64 {
                    s = s * (m - next).exp() + (x - next).exp();
                }
                m = next;
            }
            let log_p = |x: f64| ((x - m).exp() / s).ln();
            let mut loss = if e == 1.0 { 0.0 } else { -(1.0 - e) * log_p(z[t]) };
            if e != 0.0 {
                loss -= e / z.len() as f64 * z.iter().map(|&x| log_p(x)).sum::<f64>();
            }
            out[0] = loss;
        }),
        of("log of an f16 probability in f32", "C12", Op::LOG_SOFTMAX, |z: &[f16], out: &mut [f16]| {
            let z: Vec<f32> = z.iter().map(|x| x.to_f32()).collect();
            let m = top(&z);
            let s: f32 = z.iter().map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(&z).for_each(|(l, &x)| *l = f16::from_f32(((x - m).exp() * (1.0 / s)).ln()));
        }),
    ]
}
