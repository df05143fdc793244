//! Kernels that do what no class of defects is: whatever is said of them is wrong, but that it is not known.

use super::{Variant, of};
use logitfuzz::op::Op;

fn softmax(z: &[f32]) -> Vec<f32> {
    let m = z.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m });
    let s: f32 = z.iter().map(|&x| (x - m).exp()).sum();
    z.iter().map(|&x| (x - m).exp() / s).collect()
}

/// Something made of the right answer.
fn made(name: &'static str, change: impl Fn(&mut [f32]) + Send + Sync + 'static) -> Variant {
    of(name, "", Op::SOFTMAX, move |z: &[f32], out: &mut [f32]| {
        out.copy_from_slice(&softmax(z));
        change(out);
    })
}

pub fn variants() -> Vec<Variant> {
    vec![
        made("reversed", <[f32]>::reverse),
        made("rotated by one", |p| {
            if !p.is_empty() {
                p.rotate_left(1)
            }
        }),
        made("the last two are swapped", |p| {
            if let [.., a, b] = p {
                std::mem::swap(a, b);
            }
        }),
        made("one bit is flipped", |p| {
            let at = p.iter().fold(7u32, |h, x| h.wrapping_mul(0x9e37_79b1).wrapping_add(x.to_bits() >> 5)) as usize;
            if let Some(x) = p.get_mut(at % 13) {
                *x = f32::from_bits(x.to_bits() ^ 1 << (at / 13 % 12));
            }
        }),
        made("two digits", |p| p.iter_mut().for_each(|x| *x = (*x * 100.0).round() / 100.0)),
        made("neighbours are averaged", |p| {
            let before = p.to_vec();
            p.iter_mut().zip(before.windows(2)).for_each(|(x, pair)| *x = (pair[0] + pair[1]) / 2.0);
        }),
        made("a quarter", |p| p.fill(0.25)),
        made("zeros", |p| p.fill(0.0)),
        made("ones", |p| p.fill(1.0)),
        made("a length of five goes wrong", |p| {
            if p.len() == 5 {
                p[2] *= 1.5;
            }
        }),
        of("the one at 16 counts twice", "", Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
            let m = z.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m });
            let s: f32 = z.iter().chain(z.get(16)).map(|&x| (x - m).exp()).sum();
            out.iter_mut().zip(z).for_each(|(p, &x)| *p = (x - m).exp() / s);
        }),
        of("from 40 on none counts", "", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            let m = z.iter().fold(f64::NEG_INFINITY, |m, &x| if x > m || x.is_nan() { x } else { m });
            let s: f64 = z.iter().take(40).map(|&x| (x - m).exp()).sum();
            out[0] = if m.is_infinite() { m } else { m + s.ln() };
        }),
        made("a square root", |p| p.iter_mut().for_each(|x| *x = x.sqrt())),
        of("the logits themselves", "", Op::LOG_SOFTMAX, |z: &[f64], out: &mut [f64]| out.copy_from_slice(z)),
        of("the mean of the logits", "", Op::LOGSUMEXP, |z: &[f64], out: &mut [f64]| {
            out[0] = z.iter().sum::<f64>() / z.len() as f64;
        }),
        of("p (g - mean) with another sign", "", Op::SOFTMAX_VJP, |z: &[f32], g: &[f32], out: &mut [f32]| {
            let p = softmax(z);
            let mean: f32 = p.iter().zip(g).map(|(p, g)| p * g).sum();
            for j in 0..z.len() {
                out[j] = p[j] * (mean - g[j]);
            }
        }),
        of("half of the loss", "", Op::CROSS_ENTROPY, |z: &[f32], t: usize, _: f32, out: &mut [f32]| {
            out[0] = -0.5 * softmax(z)[t].ln();
        }),
    ]
}
