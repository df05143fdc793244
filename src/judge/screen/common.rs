//! The common case in arrays: outputs that pass, whose error is one number of the grid. Loops without branches, which the compiler turns
//! into vector instructions of whatever the machine has; IEEE operations only, so with the same results everywhere. What is left open
//! here, [`Screening::tell`](super::Screening) is asked about: it decides the same, and more.

use super::{beyond, distance, is_told_in_ulps, unknown};
use crate::dtype::{Format, two_sum};
use crate::judge::error::{GRID_REACH, on_grid};
use crate::judge::{UNITS_PER_ULP, to_integer};
use crate::magnitude::Size;
use crate::oracle::{Near, NearCase};

/// Outputs that are judged at once.
pub(super) const CHUNK: usize = 64;

/// How the errors of the outputs of a case are told, whatever a kernel answers.
#[derive(Debug)]
pub(crate) struct Scales {
    high: Vec<f64>,
    low: Vec<f64>,
    /// The reciprocal of the ulp of the exact value; NaN where that is not certain.
    scale: Vec<f64>,
    /// See [`unknown`].
    doubt: Vec<f64>,
}

impl Scales {
    /// Those of outputs in a format.
    pub fn of(case: &NearCase, format: Format) -> Self {
        let outputs = &case.outputs;
        let [mut high, mut low, mut scale, mut doubt] = [(); 4].map(|()| vec![0.0; outputs.len()]);
        let parts = high.iter_mut().zip(&mut low).zip(scale.iter_mut().zip(&mut doubt));
        for (j, (&near, ((high, low), (scale, doubt)))) in outputs.iter().zip(parts).enumerate() {
            (*high, *low) = (near.high, near.low);
            // What is multiplied by something is judged by itself.
            (*scale, *doubt) = if case.shift(j) == 0 { scale_and_doubt(near, format) } else { (f64::NAN, f64::NAN) };
        }
        Self { high, low, scale, doubt }
    }

    /// The reciprocal of the ulp of output `j`.
    pub fn scale(&self, j: usize) -> f64 {
        self.scale[j]
    }
}

/// See [`Scales`]. A value must be clear of the powers of two, or far below the least normal number.
#[inline]
fn scale_and_doubt(near: Near, format: Format) -> (f64, f64) {
    const EXPONENT: u64 = 0x7ff << 52;
    let (value, rest) = two_sum(near.high, near.low);
    let (size, reach) = (value.abs(), rest.abs() + near.reach(format));
    let least_normal = format.least_normal();
    let floor = f64::from_bits(size.max(least_normal).to_bits() & EXPONENT);
    let is_below = size + reach < least_normal;
    let is_inside = size - floor > reach && floor - (size - floor) > reach;
    // 2^(precision - 1) / floor, which of an f64 may be beyond the range.
    let bits = ((2 * 1023 + u64::from(format.precision) - 1) << 52).wrapping_sub(floor.to_bits());
    let is_certain = (is_below | is_inside) & (size + reach < beyond(format)) & (bits < EXPONENT);
    let scale = if is_certain { f64::from_bits(bits) } else { f64::NAN };
    (scale, unknown(near, format, scale))
}

/// What is said of the outputs of a chunk.
pub(super) struct Chunk {
    /// The error in ulps, without its sign; NaN where it is left open.
    pub ulp: [f64; CHUNK],
    /// Its ratio to the bound.
    pub ratio: [f64; CHUNK],
    /// The signed errors of those that are told, in units of the sum.
    pub signed_sum: i64,
    /// How many are told, and how many of these are within the tight bound.
    pub told: u64,
    pub tight: u64,
}

impl Scales {
    /// Judges up to [`CHUNK`] outputs from the one at `start` on.
    pub(super) fn judge<S: Size>(&self, start: usize, outputs: &[f64], textbook: &[S], tight: Option<&[S]>) -> Chunk {
        let range = start..start + outputs.len();
        let (high, low) = (&self.high[range.clone()], &self.low[range.clone()]);
        let (scale, doubt) = (&self.scale[range.clone()], &self.doubt[range.clone()]);
        let textbook = &textbook[range.clone()];
        let mut chunk = Chunk { ulp: [f64::NAN; CHUNK], ratio: [0.0; CHUNK], signed_sum: 0, told: 0, tight: 0 };
        let (mut signed, mut told) = ([0.0; CHUNK], [0.0; CHUNK]);
        for i in 0..outputs.len().min(CHUNK) {
            let (ulps, doubt) = distance(outputs[i], high[i], low[i], scale[i], doubt[i]);
            let (least, most) = (on_grid(ulps.abs() - doubt), on_grid(ulps.abs() + doubt));
            let bound = textbook[i].times(scale[i]);
            let ratio = if least == 0.0 { 0.0 } else { least / bound };
            // What may be flushed to zero has no finite bound, and is forgiven more than an error.
            let is_told = (least == most)
                & (most < GRID_REACH)
                & (ratio <= 1.0)
                & is_told_in_ulps(bound, least)
                & (bound < f64::INFINITY);
            chunk.ulp[i] = if is_told { least } else { f64::NAN };
            chunk.ratio[i] = ratio;
            signed[i] = if is_told { to_integer(least.copysign(ulps) * UNITS_PER_ULP) } else { 0.0 };
            told[i] = if is_told { 1.0 } else { 0.0 };
        }
        // A chunk's sum is exact.
        (chunk.signed_sum, chunk.told) = (signed.iter().sum::<f64>() as i64, told.iter().sum::<f64>() as u64);
        if let Some(tight) = tight {
            let tight = &tight[range];
            let within = (0..outputs.len().min(CHUNK)).map(|i| u64::from(chunk.ulp[i] <= tight[i].times(scale[i])));
            chunk.tight = within.sum();
        }
        chunk
    }
}
