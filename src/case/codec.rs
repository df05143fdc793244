//! The byte form of a case: a fixed layout that outlives the generators, made for fuzzers.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | op: its code ([`Op::code`]); a byte that is no code counts modulo 9 |
//! | 1 | dtype: its place in [`Dtype::ALL`]; a byte that is no place counts modulo 4 |
//! | 2..6 | target, little-endian, modulo n; of an op that takes several rows their number |
//! | then | the class of each of several rows in 4 bytes, little-endian, modulo n; all bits set where it is ignored |
//! | then | each single number that the op takes (a label smoothing, a scale), one word of the dtype |
//! | then | the logits, one little-endian word each; each is followed by its value of every other row that the op takes (a cotangent, a tangent, labels, a distribution) |
//!
//! The length is what is left, so cutting or inserting words keeps a case meaningful. [`Case::decode`] is total: any bytes are
//! a case, and never more than [`MAX_DECODED_LOGITS`] logits of it. [`Case::encode`] is canonical: encoding what was decoded
//! is a fixed point, and decoding what was encoded gives the case back.

use super::{Case, Value, distribution, rows};
use crate::dtype::Dtype;
use crate::op::Op;
use crate::op::signature::{Extent, Role};

/// The most logits that [`Case::decode`] reads; bytes beyond them are ignored.
pub const MAX_DECODED_LOGITS: usize = 1 << 17;

const HEADER: usize = 6;

/// The bytes of the class of one of several rows, and the class of one that is ignored.
const CLASS: usize = 4;
const IGNORED: u32 = u32::MAX;

/// The codes that every byte had a meaning by, before a tenth op joined. A byte that is no op's code still has that meaning: an op
/// that joins takes one byte of a corpus, and no more.
const FIRST_CODES: u8 = 9;

/// The op of a byte.
fn op_of(byte: u8) -> Op {
    let by_code = |code: u8| Op::ALL.iter().copied().find(|op| op.code() == code);
    by_code(byte).or_else(|| by_code(byte % FIRST_CODES)).unwrap_or(Op::ALL[0])
}

/// The dtype of a byte. Before those of two formats joined, every byte counted modulo 4.
fn dtype_of(byte: u8) -> Dtype {
    let place = usize::from(byte);
    Dtype::ALL.get(place).copied().unwrap_or(Dtype::ALL[place % Dtype::PLAIN.len()])
}

impl Case {
    /// Reads a case from any bytes; missing bytes of the header count as zeros.
    ///
    /// A smoothing outside [0, 1] (or NaN) becomes 0; so does a label that is NaN, and another one its size, 1 at most; a scale that is
    /// not finite becomes 1; a cotangent or tangent that is not finite, or so large that an exact result could overflow, becomes the
    /// nearest value that is not (0 for NaN); masses become a distribution (`case/distribution.rs`); cross-entropy without a logit gets
    /// one, 0.
    pub fn decode(bytes: &[u8]) -> Case {
        let byte = |index: usize| bytes.get(index).copied().unwrap_or(0);
        let op = op_of(byte(0));
        let dtype = dtype_of(byte(1));
        let target = u32::from_le_bytes([byte(2), byte(3), byte(4), byte(5)]);
        let width = dtype.bytes();
        let mut rest = bytes.get(HEADER..).unwrap_or(&[]);
        let mut classes = Vec::new();
        if op.mean_of().is_some() {
            classes = Self::decode_classes(target, width, &mut rest);
        }
        let mut words = rest.chunks_exact(width).map(|chunk| {
            let mut word = [0; 8];
            word[..width].copy_from_slice(chunk);
            dtype.from_bits(u64::from_le_bytes(word))
        });
        let numbers = op.others().iter().filter(|input| input.role.extent() == Extent::Number);
        let mut numbers: Vec<f64> = numbers.map(|_| words.next().unwrap_or(0.0)).collect();
        numbers.reverse();
        let rows = op.rows();
        let flat: Vec<f64> = words.take(rows * MAX_DECODED_LOGITS).collect();
        let mut columns: Vec<Vec<f64>> =
            (0..rows).map(|row| flat.chunks_exact(rows).map(|words| words[row]).collect()).collect();
        if op.needs_logit() && columns[0].is_empty() {
            columns.iter_mut().for_each(|column| column.push(0.0));
        }
        if op.mean_of().is_some() {
            rows::settle(&mut classes, &mut columns[0]);
        }
        let n = columns[0].len();
        let mut columns = columns.into_iter();
        let logits = columns.next().unwrap_or_default();
        let limit = widest_direction(dtype, n);
        let others = op.others().iter().map(|input| match input.role {
            Role::Class => Value::Index(target as usize % n),
            Role::Smoothing => {
                let smoothing = numbers.pop().unwrap_or(0.0);
                Value::Number(if (0.0..=1.0).contains(&smoothing) { smoothing.abs() } else { 0.0 })
            }
            Role::Scale => Value::Number(numbers.pop().filter(|x| x.is_finite()).unwrap_or(1.0)),
            Role::Direction => {
                let bounded = |g: f64| if g.is_nan() { 0.0 } else { g.clamp(-limit, limit) };
                Value::from(columns.next().unwrap_or_default().into_iter().map(bounded).collect::<Vec<f64>>())
            }
            Role::Label => {
                let bounded = |x: f64| if x.is_nan() { 0.0 } else { x.clamp(-1.0, 1.0).abs() };
                let label = |x: f64| if (0.0..=1.0).contains(&x) { x } else { bounded(x) };
                Value::from(columns.next().unwrap_or_default().into_iter().map(label).collect::<Vec<f64>>())
            }
            Role::Distribution => {
                let mut masses = columns.next().unwrap_or_default();
                distribution::settle(dtype, &mut masses);
                Value::from(masses)
            }
            Role::Logits | Role::Values => Value::from(columns.next().unwrap_or_default()),
            Role::Classes => Value::from(std::mem::take(&mut classes)),
        });
        let others = others.collect();
        Case::assembled(op, dtype, logits.into(), others)
    }

    /// The classes of so many rows, which are taken off the bytes. More rows than there are bytes for count modulo what there may be of
    /// one logit.
    fn decode_classes(count: u32, width: usize, rest: &mut &[u8]) -> Vec<Option<usize>> {
        let most = rest.len() / CLASS;
        let fits = |rows: &usize| *rows <= most.min(MAX_DECODED_LOGITS);
        let rows = Some(count as usize).filter(fits);
        let rows = rows.unwrap_or_else(|| count as usize % (rest.len() / (CLASS + width) + 1)).min(MAX_DECODED_LOGITS);
        let (words, after) = rest.split_at(rows * CLASS);
        *rest = after;
        let class = |&word: &[u8; CLASS]| Some(u32::from_le_bytes(word)).filter(|class| *class != IGNORED);
        words.as_chunks().0.iter().map(|word| class(word).map(|class| class as usize)).collect()
    }

    /// The first two bytes of a case of this op and dtype.
    pub(crate) fn header(op: Op, dtype: Dtype) -> [u8; 2] {
        let place = Dtype::ALL.iter().position(|&known| known == dtype).unwrap_or(0);
        [op.code(), place as u8]
    }

    /// The most logits that a case of this op and dtype has in `size` bytes.
    #[cfg(feature = "arbitrary")]
    pub(crate) fn logits_in(op: Op, dtype: Dtype, size: usize) -> usize {
        let numbers = op.others().iter().filter(|input| input.role.extent() == Extent::Number).count();
        // There are no more rows than logits.
        let of_each = if op.mean_of().is_some() { CLASS } else { 0 };
        let words = (size.saturating_sub(HEADER) / (dtype.bytes() + of_each)).saturating_sub(numbers);
        (words / op.rows()).min(MAX_DECODED_LOGITS)
    }

    /// The bytes of the case: the canonical ones, which [`Case::decode`] reads back to the same case as long as there are no
    /// more than [`MAX_DECODED_LOGITS`] logits and the cotangent or tangent is within the bound that decoding keeps.
    pub fn encode(&self) -> Vec<u8> {
        let width = self.dtype.bytes();
        let mut bytes = Self::header(self.op, self.dtype).to_vec();
        let (class, _) = self.target().unwrap_or((0, 0.0));
        let classes = self.targets();
        bytes.extend((classes.map_or(class, <[_]>::len) as u32).to_le_bytes());
        for class in classes.unwrap_or(&[]) {
            bytes.extend(class.map_or(IGNORED, |class| class as u32).to_le_bytes());
        }
        let mut push = |x: f64| bytes.extend(&self.dtype.to_bits(x).to_le_bytes()[..width]);
        for value in &self.others {
            if let Value::Number(x) = value {
                push(*x);
            }
        }
        for (index, &z) in self.logits.iter().enumerate() {
            push(z);
            for value in &self.others {
                if let Value::Row(values) = value {
                    push(values[index]);
                }
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

/// The largest that a cotangent or tangent value may have at all: where the accumulator has a larger range than the dtype, any finite
/// number, for the sums that leave the range of the dtype are what is asked about then.
pub(crate) fn widest_direction(dtype: Dtype, n: usize) -> f64 {
    let (format, accumulator) = (dtype.format(), dtype.accumulator().format());
    if accumulator.emax > format.emax { format.largest() } else { largest_direction(dtype, n) }
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
            let valid = Case::new(case.op(), case.dtype(), case.logits().to_vec(), case.others.clone());
            prop_assert!(valid.is_ok(), "{:?}", valid);
            let canonical = case.encode();
            let again = Case::decode(&canonical);
            prop_assert_eq!(again.to_string(), case.to_string());
            prop_assert_eq!(again.encode(), canonical);
        }
    }

    #[test]
    fn every_op_and_dtype_round_trips() {
        for &op in Op::ALL {
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
                let others: Vec<Value> = op
                    .others()
                    .iter()
                    .map(|input| match input.role {
                        Role::Class => Value::Index(3),
                        Role::Classes => vec![Some(3)].into(),
                        Role::Smoothing | Role::Scale => Value::Number(dtype.format().least()),
                        Role::Label => vec![dtype.format().least(); n].into(),
                        Role::Direction | Role::Logits => vec![-widest_direction(dtype, n); n].into(),
                        Role::Distribution => vec![0.25, 0.0, 0.25, 0.5, 0.0, 0.0, 0.0].into(),
                        Role::Values => vec![f64::NAN, 1.0, f64::INFINITY, -0.0, 0.5, f64::NEG_INFINITY, 2.0].into(),
                    })
                    .collect();
                let case = Case::new(op, dtype, logits, others).unwrap();
                assert_eq!(Case::decode(&case.encode()).to_string(), case.to_string());
            }
        }
    }

    #[test]
    fn a_large_input_is_cut_at_the_cap() {
        let bytes = vec![0u8; 6 + 2 * (MAX_DECODED_LOGITS + 5)];
        assert_eq!(Case::decode(&bytes).logits().len(), MAX_DECODED_LOGITS);
    }

    /// What a byte meant before a tenth op joined, it means still, but for the byte of that op.
    #[test]
    fn a_byte_keeps_its_meaning() {
        for byte in 0..=u8::MAX {
            let former = Op::ALL[usize::from(byte % FIRST_CODES)];
            let own = Op::ALL.iter().copied().find(|op| op.code() == byte);
            assert_eq!(op_of(byte), own.unwrap_or(former), "{byte}");
        }
        for byte in 0..=u8::MAX {
            let former = Dtype::PLAIN[usize::from(byte) % 4];
            let own = [(4, Dtype::F16F32), (5, Dtype::Bf16F32)].into_iter().find(|(own, _)| *own == byte);
            assert_eq!(dtype_of(byte), own.map_or(former, |(_, dtype)| dtype), "{byte}");
        }
    }
}
