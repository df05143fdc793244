//! The only source of randomness that a generator sees: a ChaCha stream, or the bytes of a fuzzer.
//!
//! The sampling is a few lines of our own, so that rows stay the same whatever the version of a random-number crate, and it
//! uses only operations that IEEE 754 rounds correctly, so that rows are the same on every machine.

use crate::dtype::{Dtype, ldexp};
use crate::op::Op;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of draws. When the bytes of a fuzzer run out it goes on with zeros, for which every method returns its plainest
/// answer (0, false, the first choice, the middle of a distribution).
pub(crate) struct Draw {
    source: Randomness,
}

enum Randomness {
    Stream(Box<ChaCha8Rng>),
    #[cfg(feature = "arbitrary")]
    Bytes {
        bytes: Vec<u8>,
        used: usize,
    },
}

impl Draw {
    /// The stream of row `index` of a family in a dtype, or, with an op, of what that op takes besides the row.
    pub fn stream(seed: u64, dtype: Dtype, family: &str, op: Option<Op>, index: u64) -> Self {
        let mut rng = ChaCha8Rng::from_seed(key(seed, dtype, family, op));
        rng.set_stream(index);
        Self { source: Randomness::Stream(Box::new(rng)) }
    }

    /// A stream named by one number. No row draws from it: the other words of its key are zero.
    #[cfg_attr(not(feature = "proptest"), allow(dead_code))]
    pub fn from_seed(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self { source: Randomness::Stream(Box::new(ChaCha8Rng::from_seed(key))) }
    }

    /// Draws from bytes, each draw taking as few of them as it can.
    #[cfg(feature = "arbitrary")]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { source: Randomness::Bytes { bytes: bytes.to_vec(), used: 0 } }
    }

    /// How many bytes were drawn from those given to [`Draw::from_bytes`].
    #[cfg(feature = "arbitrary")]
    pub fn bytes_used(&self) -> usize {
        match &self.source {
            Randomness::Stream(_) => 0,
            Randomness::Bytes { bytes, used } => (*used).min(bytes.len()),
        }
    }

    /// A uniform integer of `count` whole bytes, 1 to 8.
    #[inline]
    fn word(&mut self, count: usize) -> u64 {
        match &mut self.source {
            Randomness::Stream(rng) => rng.next_u64() >> (64 - 8 * count),
            #[cfg(feature = "arbitrary")]
            Randomness::Bytes { bytes, used } => next_bytes(bytes, used, count),
        }
    }

    /// An integer in `0..n`; 0 for `n = 0`. Uniform from a stream (but for 2^-64 n), nearly so from bytes.
    pub fn below(&mut self, n: u64) -> u64 {
        let count = match self.source {
            Randomness::Stream(_) => 8,
            #[cfg(feature = "arbitrary")]
            Randomness::Bytes { .. } => (64 - n.saturating_sub(1).leading_zeros() as usize).div_ceil(8).max(1),
        };
        ((u128::from(self.word(count)) * u128::from(n)) >> (8 * count)) as u64
    }

    /// An index in `0..n`; 0 for `n = 0`.
    pub fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    /// An integer in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).unsigned_abs() + 1) as i64
    }

    /// True once in `one_in` times.
    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) + 1 == one_in
    }

    /// One of the choices, all alike.
    ///
    /// # Panics
    /// Without a choice.
    pub fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// 1 or -1.
    pub fn sign(&mut self) -> f64 {
        if self.chance(2) { -1.0 } else { 1.0 }
    }

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        ldexp((self.word(7) >> 3) as f64, -53)
    }

    /// A number in [low, high].
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A positive number whose exponent is uniform in `low..=high` and whose significand is uniform in [1, 2).
    pub fn log_uniform(&mut self, low: i32, high: i32) -> f64 {
        let exponent = self.between(i64::from(low), i64::from(high)) as i32;
        ldexp(1.0 + self.uniform(), exponent)
    }

    /// A number of a bell-shaped distribution with mean 0 and variance 1, within 5.9 of 0: the number of ones among 32 bits,
    /// smoothed by 32 more. It is the normal distribution to the eye, and needs no logarithm.
    pub fn normal(&mut self) -> f64 {
        let word = self.word(8);
        // The mask centres the answer to zero bytes.
        let ones = ((word >> 32) as u32 ^ 0x5555_5555).count_ones();
        let smooth = ldexp(f64::from(word as u32 as i32), -32);
        // 32 bits have variance 8, the smoothing 1/12.
        (f64::from(ones) - 16.0 + smooth) / (8.0f64 + 1.0 / 12.0).sqrt()
    }

    /// Puts the values in a random order.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let other = self.index(last + 1);
            values.swap(last, other);
        }
    }
}

/// The next `count` bytes, at most 8, as an integer; zeros past the last.
#[cfg(feature = "arbitrary")]
#[inline(never)]
fn next_bytes(bytes: &[u8], used: &mut usize, count: usize) -> u64 {
    let mut word = [0; 8];
    for (slot, &byte) in word.iter_mut().zip(bytes.iter().skip(*used).take(count)) {
        *slot = byte;
    }
    *used += count;
    u64::from_le_bytes(word)
}

/// The ChaCha key of a stream: four words that name it.
pub(super) fn key(seed: u64, dtype: Dtype, family: &str, op: Option<Op>) -> [u8; 32] {
    let words = [seed, fnv1a(dtype.name()), fnv1a(family), op.map_or(0, |op| fnv1a(op.name()))];
    let mut key = [0; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip(words) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    key
}

/// The 64-bit hash of Fowler, Noll and Vo, variant 1a, with its published offset and prime.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // Test vectors of draft-eastlake-fnv.
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn distributions_have_their_moments_and_ranges() {
        let mut draw = Draw::from_seed(1);
        let count = 100_000;
        let (mut sum, mut squares, mut uniform) = (0.0, 0.0, 0.0);
        let mut hits = [0; 7];
        for _ in 0..count {
            let x = draw.normal();
            assert!(x.abs() < 5.9);
            sum += x;
            squares += x * x;
            let x = draw.uniform();
            assert!((0.0..1.0).contains(&x));
            uniform += x;
            hits[draw.index(7)] += 1;
            let x = draw.log_uniform(-3, 2);
            assert!((0.125..8.0).contains(&x));
            assert!((-2..=3).contains(&draw.between(-2, 3)));
        }
        let count = f64::from(count);
        // Five standard errors.
        assert!((sum / count).abs() < 0.016 && (squares / count - 1.0).abs() < 0.025, "{sum} {squares}");
        assert!((uniform / count - 0.5).abs() < 0.005);
        assert!(hits.iter().all(|&hit| (hit as f64 - count / 7.0).abs() < 600.0), "{hits:?}");
        assert_eq!(draw.below(0), 0);
        let mut order: Vec<usize> = (0..50).collect();
        draw.shuffle(&mut order);
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..50));
    }

    #[cfg(feature = "arbitrary")]
    #[test]
    fn bytes_that_run_out_are_zeros() {
        let mut draw = Draw::from_bytes(&[255, 255]);
        assert_eq!(draw.below(256), 255);
        assert_eq!(draw.below(10), 9);
        assert_eq!(draw.bytes_used(), 2);
        assert_eq!((draw.below(10), draw.uniform(), draw.normal(), draw.sign()), (0, 0.0, 0.0, 1.0));
        assert!(!draw.chance(2) && draw.choose(&[7, 8]) == 7);
        assert_eq!(draw.bytes_used(), 2);
    }
}
