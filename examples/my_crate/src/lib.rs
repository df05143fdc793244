//! A small library with two softmaxes, one as everybody writes it first and one that is stable.

/// Softmax of `z` into `out`, which has the same length: `exp(z_j) / sum exp(z_i)`, as the formula says.
///
/// From `z_j = 89` on `exp` is infinite in f32 and the result NaN; below -87 it has lost its digits, and below -103 it is 0. The
/// fuzz target finds that.
pub fn softmax(z: &[f32], out: &mut [f32]) {
    let sum: f32 = z.iter().map(|z| z.exp()).sum();
    for (out, z) in out.iter_mut().zip(z) {
        *out = z.exp() / sum;
    }
}

/// Softmax of `z` into `out`, which has the same length, with the largest logit moved to 0 first. Nothing overflows.
pub fn stable_softmax(z: &[f32], out: &mut [f32]) {
    // Not `f32::max`, which drops NaN: a logit that is NaN must not vanish.
    let max = z.iter().fold(f32::NEG_INFINITY, |max, &z| if z > max || z.is_nan() { z } else { max });
    let mut sum = 0.0;
    for (out, z) in out.iter_mut().zip(z) {
        *out = (z - max).exp();
        sum += *out;
    }
    out.iter_mut().for_each(|out| *out /= sum);
}
