//! The byte form of a case: a fixed layout that outlives the generators, made for fuzzers.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | op, modulo 9, in the order of [`Op::ALL`] |
//! | 1 | dtype, modulo 4, in the order of [`Dtype::ALL`] |
//! | 2..6 | target, little-endian, modulo n |
//! | 6.. | label smoothing, one word of the dtype (only for the ops that take it) |
//! | then | the logits, one little-endian word each; for the products each is followed by its cotangent or tangent |
//!
//! The length is what is left, so cutting or inserting words keeps a case meaningful. [`Case::decode`] is total: any bytes are
//! a case, and never more than [`MAX_DECODED_LOGITS`] logits of it. [`Case::encode`] is canonical: encoding what was decoded
//! is a fixed point, and decoding what was encoded gives the case back.

use super::{Case, Extra};
use crate::dtype::Dtype;
use crate::op::{Op, Takes};

/// The most logits that [`Case::decode`] reads; bytes beyond them are ignored.
pub const MAX_DECODED_LOGITS: usize = 1 << 17;

const HEADER: usize = 6;

impl Case {
    /// Reads a case from any bytes; missing bytes of the header count as zeros.
    ///
    /// A smoothing outside [0, 1] (or NaN) becomes 0; a cotangent or tangent that is not finite, or so large that an exact
    /// result could overflow, becomes the nearest value that is not (0 for NaN); cross-entropy without a logit gets one, 0.
    pub fn decode(bytes: &[u8]) -> Case {
        let byte = |index: usize| bytes.get(index).copied().unwrap_or(0);
        let op = Op::ALL[usize::from(byte(0)) % Op::ALL.len()];
        let dtype = Dtype::ALL[usize::from(byte(1)) % Dtype::ALL.len()];
        let target = u32::from_le_bytes([byte(2), byte(3), byte(4), byte(5)]);
        let width = dtype.bytes();
        let mut words = bytes.get(HEADER..).unwrap_or(&[]).chunks_exact(width).map(|chunk| {
            let mut word = [0; 8];
            word[..width].copy_from_slice(chunk);
            dtype.from_bits(u64::from_le_bytes(word))
        });
        let smoothing = if op.takes() == Takes::Target { words.next().unwrap_or(0.0) } else { 0.0 };
        let (logits, extra) = match op.takes() {
            Takes::Logits => (words.take(MAX_DECODED_LOGITS).collect(), Extra::None),
            Takes::Target => {
                let mut logits: Vec<f64> = words.take(MAX_DECODED_LOGITS).collect();
                if logits.is_empty() {
                    logits.push(0.0);
                }
                let label_smoothing = if (0.0..=1.0).contains(&smoothing) { smoothing.abs() } else { 0.0 };
                let class = target as usize % logits.len();
                (logits, Extra::Target { class, label_smoothing })
            }
            Takes::Cotangent | Takes::Tangent => {
                let flat: Vec<f64> = words.take(2 * MAX_DECODED_LOGITS).collect();
                let n = flat.len() / 2;
                let limit = largest_direction(dtype, n);
                let bounded = |g: f64| if g.is_nan() { 0.0 } else { g.clamp(-limit, limit) };
                let (logits, direction): (Vec<f64>, Vec<f64>) =
                    flat.chunks_exact(2).map(|pair| (pair[0], bounded(pair[1]))).unzip();
                (logits, Extra::Direction(direction.into()))
            }
        };
        Case { op, dtype, logits: logits.into(), extra }
    }

    /// The first two bytes of a case of this op and dtype.
    pub(crate) fn header(op: Op, dtype: Dtype) -> [u8; 2] {
        let position = |found: Option<usize>| found.unwrap_or(0) as u8;
        [
            position(Op::ALL.iter().position(|&known| known == op)),
            position(Dtype::ALL.iter().position(|&known| known == dtype)),
        ]
    }

    /// The most logits that a case of this op and dtype has in `size` bytes.
    #[cfg(feature = "arbitrary")]
    pub(crate) fn logits_in(op: Op, dtype: Dtype, size: usize) -> usize {
        let smoothing = usize::from(op.takes() == Takes::Target);
        let words = (size.saturating_sub(HEADER) / dtype.bytes()).saturating_sub(smoothing);
        (words / if op.takes_direction() { 2 } else { 1 }).min(MAX_DECODED_LOGITS)
    }

    /// The bytes of the case: the canonical ones, which [`Case::decode`] reads back to the same case as long as there are no
    /// more than [`MAX_DECODED_LOGITS`] logits and the cotangent or tangent is within the bound that decoding keeps.
    pub fn encode(&self) -> Vec<u8> {
        let width = self.dtype.bytes();
        let mut bytes = Self::header(self.op, self.dtype).to_vec();
        let (class, smoothing) = self.target().unwrap_or((0, 0.0));
        bytes.extend((class as u32).to_le_bytes());
        let mut push = |x: f64| bytes.extend(&self.dtype.to_bits(x).to_le_bytes()[..width]);
        if self.op.takes() == Takes::Target {
            push(smoothing);
        }
        for (index, &z) in self.logits.iter().enumerate() {
            push(z);
            if let Some(direction) = self.direction() {
                push(direction[index]);
            }
        }
        bytes
    }
}

/// The largest cotangent or tangent value that generators use for `n` logits: `n` of them add up to a quarter of the largest
/// finite number at most, so no exact result and no sum of them overflows by itself.
pub(crate) fn largest_direction(dtype: Dtype, n: usize) -> f64 {
    let format = dtype.format();
    let logits_exponent = (usize::BITS - n.leading_zeros()) as i32;
    crate::dtype::ldexp(1.0, format.emax - 2 - logits_exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Total, bounded, valid, and canonical on any bytes.
        #[test]
        fn any_bytes_are_a_case(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let case = Case::decode(&bytes);
            prop_assert!(case.logits().len() <= MAX_DECODED_LOGITS);
            let valid = Case::new(case.op(), case.dtype(), case.logits().to_vec(), case.extra().clone());
            prop_assert!(valid.is_ok(), "{:?}", valid);
            let canonical = case.encode();
            let again = Case::decode(&canonical);
            prop_assert_eq!(again.to_string(), case.to_string());
            prop_assert_eq!(again.encode(), canonical);
        }
    }

    #[test]
    fn every_op_and_dtype_round_trips() {
        for op in Op::ALL {
            for dtype in Dtype::ALL {
                let logits = vec![
                    1.0,
                    -0.0,
                    f64::NEG_INFINITY,
                    f64::INFINITY,
                    f64::NAN,
                    dtype.format().largest(),
                    dtype.format().least(),
                ];
                let n = logits.len();
                let extra = match op.takes() {
                    Takes::Logits => Extra::None,
                    Takes::Target => Extra::Target { class: 3, label_smoothing: dtype.format().least() },
                    _ => Extra::Direction(vec![-largest_direction(dtype, n); n].into()),
                };
                let case = Case::new(op, dtype, logits, extra).unwrap();
                assert_eq!(Case::decode(&case.encode()).to_string(), case.to_string());
            }
        }
    }

    #[test]
    fn a_large_input_is_cut_at_the_cap() {
        let bytes = vec![0u8; 6 + 2 * (MAX_DECODED_LOGITS + 5)];
        assert_eq!(Case::decode(&bytes).logits().len(), MAX_DECODED_LOGITS);
    }
}
