//! The values of one argument in memory: how its rows lie, what it is filled with, where it stands among fences and guards, and what a
//! call changed there.

use super::region::Region;
use crate::case::Case;
use crate::dtype::Dtype;
use crate::kernel::batch::{Batch, extent};
use crate::protocol::frame;
use std::ffi::c_void;
use std::ops::Range;

/// Bytes of fence on either side of the values.
const FENCE: usize = 256;
/// Bytes of a line of memory, to which a buffer between fences is aligned but for some values.
const LINE: usize = 64;
/// How many values of a case choose its placement.
const HASHED: usize = 16;

/// How rows lie in memory: so many, each of so many values, and so many values from one to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    pub(super) rows: usize,
    pub(super) len: usize,
    pub(super) stride: usize,
}

impl Lines {
    /// Those of the logits of a batch and of its outputs. A mean is a case with several rows, which lie so many values apart.
    pub(super) fn of(batch: &Batch, apart: usize) -> (Self, Self) {
        let layout = batch.layout();
        let Some(targets) = batch.case().targets() else {
            let of = |len, stride| Self { rows: batch.rows(), len, stride };
            return (of(batch.len(), layout.logits_stride), of(batch.outputs(), layout.out_stride));
        };
        let len = batch.case().row_len();
        let logits = Self { rows: targets.len(), len, stride: len + apart };
        (logits, if batch.op().is_scalar() { Self { rows: 1, len: 1, stride: 1 } } else { logits })
    }

    /// How many values they take, with what lies between.
    pub(super) fn extent(self) -> usize {
        extent(self.rows, self.len, self.stride)
    }

    /// Whether a value belongs to no row.
    pub(super) fn is_between(self, index: usize) -> bool {
        index % self.stride.max(1) >= self.len
    }

    /// The place of a value of a row among those of all rows.
    pub(super) fn place_of(self, index: usize) -> usize {
        index / self.stride.max(1) * self.len + index % self.stride.max(1)
    }

    /// The memory of values of all rows, with this between them.
    pub(super) fn spread(self, values: &[f64], padding: f64) -> Vec<f64> {
        let mut memory = vec![padding; self.extent()];
        for (row, values) in values.chunks(self.len.max(1)).enumerate() {
            memory[row * self.stride..][..self.len].copy_from_slice(values);
        }
        memory
    }

    /// The values of all rows, without what is between them.
    pub(super) fn gather(self, memory: &[f64]) -> Vec<f64> {
        (0..self.rows).flat_map(|row| memory[row * self.stride..][..self.len].iter().copied()).collect()
    }
}

/// What a call finds beside its values, and in its output.
#[derive(Clone, Copy)]
pub(super) struct Surroundings {
    /// What fences are made of.
    pub(super) fence: u8,
    /// The word that the output is filled with, in the low bytes.
    pub(super) fill: fn(Dtype) -> u64,
    /// How many values lie between two rows of a mean.
    pub(super) apart: usize,
    /// Whether a function of batches is given no rows.
    pub(super) is_empty: bool,
}

impl Surroundings {
    /// In every dtype the fence is a number next to 0, and an output that is left unwritten is NaN.
    pub(super) const USUAL: Self = Self { fence: 0xa5, fill: uncommon_nan, apart: 0, is_empty: false };
    /// In every dtype the fence is a number far above ordinary logits, and the output holds a number. The rows of a mean have padding,
    /// which is made of what fences are made of: a function that takes the stride for the length reads that.
    pub(super) const CHANGED: Self = Self { fence: 0x4b, fill: uncommon_number, apart: 3, is_empty: false };
}

/// A number that kernels seldom write.
fn uncommon_number(dtype: Dtype) -> u64 {
    match dtype.output() {
        Dtype::F16 => 0xba5b,
        Dtype::Bf16 => 0xbf5b,
        Dtype::F64 => 0xbfea_5a5a_5a5a_5a5b,
        _ => 0xbf5a_5a5b,
    }
}

/// A quiet NaN with a payload that arithmetic does not make and kernels do not write, in the low bytes.
fn uncommon_nan(dtype: Dtype) -> u64 {
    match dtype.output() {
        Dtype::F16 => 0x7e5a,
        Dtype::Bf16 => 0x7fda,
        Dtype::F64 => 0x7ffa_5a5a_5a5a_5a5a,
        _ => 0x7fda_5a5a,
    }
}

/// Where a buffer lies in its region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// Between fences, at an address that is aligned to the type and to no more.
    Fenced,
    /// Its end is the end of the memory, where the rear guard begins.
    AtTheEnd,
    /// Its start is the start of the memory, where the front guard ends.
    AtTheStart,
}

impl Placement {
    /// That of a case: half of them lie between fences, a quarter at either guard. It depends on the case alone, so a case that is
    /// run again is placed alike.
    pub(super) fn of(case: &Case) -> Self {
        /// An odd constant without a pattern: 2^64 over the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_right(32);
        let start = mix(case.op().place() as u64, case.dtype() as u64);
        // The last values and their number tell enough rows apart; NaN is one value, for its bits do not pass everywhere alike.
        let values = case.logits().iter().chain(case.other_row().unwrap_or(&[])).rev().take(HASHED);
        let hash = values.fold(start, |hash, &x| mix(hash, if x.is_nan() { u64::MAX } else { x.to_bits() }));
        match mix(mix(hash, case.logits().len() as u64), 0) % 4 {
            0 => Self::AtTheEnd,
            1 => Self::AtTheStart,
            _ => Self::Fenced,
        }
    }
}

/// Where a buffer lies, and what lies beside it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) placement: Placement,
    pub(super) step: usize,
    pub(super) fence: u8,
}

/// The values of one argument during a call, and what was written there before it.
pub(super) struct Buffer<'a> {
    dtype: Dtype,
    region: &'a mut Region,
    /// What the values were, as bytes.
    before: Vec<u8>,
    /// Where they lie in the region.
    place: Range<usize>,
    /// What must not have changed afterwards, before and after the values, and the byte it is made of.
    fences: [Range<usize>; 2],
    pub(super) fence: u8,
}

impl<'a> Buffer<'a> {
    pub(super) fn of(region: &'a mut Region, dtype: Dtype, values: &[f64], at: Place) -> Self {
        Self::new(region, dtype, native_words(dtype, values), at)
    }

    pub(super) fn filled(region: &'a mut Region, dtype: Dtype, len: usize, fill: u64, at: Place) -> Self {
        let word = native(fill.to_le_bytes(), dtype.bytes());
        Self::new(region, dtype, word[..dtype.bytes()].repeat(len), at)
    }

    fn new(region: &'a mut Region, dtype: Dtype, before: Vec<u8>, at: Place) -> Self {
        let Place { placement, step, fence: byte } = at;
        let len = before.len();
        region.make_room(len + 2 * FENCE + 2 * LINE);
        let placement = if region.is_guarded() { placement } else { Placement::Fenced };
        let bytes = region.bytes_mut();
        let (address, end) = (bytes.as_ptr().addr(), bytes.len());
        let start = match placement {
            Placement::AtTheStart => 0,
            Placement::AtTheEnd => end - len,
            // As near to the rear guard as a fence allows.
            Placement::Fenced => {
                let latest = address + end - FENCE - len - LINE;
                latest - latest % LINE + step * dtype.bytes() - address
            }
        };
        let place = start..start + len;
        let fences = [start.saturating_sub(FENCE)..start, place.end..end.min(place.end + FENCE + 2 * LINE)];
        bytes[place.clone()].copy_from_slice(&before);
        for fence in fences.clone() {
            bytes[fence].fill(byte);
        }
        Self { dtype, region, before, place, fences, fence: byte }
    }

    pub(super) fn pointer(&mut self) -> *mut c_void {
        self.region.bytes_mut()[self.place.start..].as_mut_ptr().cast()
    }

    fn bytes(&self) -> &[u8] {
        &self.region.bytes()[self.place.clone()]
    }

    pub(super) fn values(&self) -> Vec<f64> {
        if cfg!(target_endian = "little") {
            return frame::read_values(self.dtype, self.bytes());
        }
        let mut words = self.bytes().to_vec();
        in_other_order(&mut words, self.dtype.bytes());
        frame::read_values(self.dtype, &words)
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.before.len() / self.dtype.bytes()
    }

    /// The first value that is not, bit for bit, what was passed.
    pub(super) fn differs(&self) -> Option<usize> {
        if self.before == self.bytes() {
            return None;
        }
        self.before.iter().zip(self.bytes()).position(|(a, b)| a != b).map(|byte| byte / self.dtype.bytes())
    }

    /// The first of the values at some places that is not, bit for bit, what was there.
    pub(super) fn differs_where(&self, is_asked: impl Fn(usize) -> bool) -> Option<usize> {
        let width = self.dtype.bytes();
        let mut values = self.bytes().chunks_exact(width).zip(self.before.chunks_exact(width)).enumerate();
        values.find(|(index, (after, before))| is_asked(*index) && after != before).map(|(index, _)| index)
    }

    /// The outputs that hold what they were filled with.
    pub(super) fn unwritten(&self) -> Vec<usize> {
        let width = self.dtype.bytes();
        let values = self.bytes().chunks_exact(width).zip(self.before.chunks_exact(width)).enumerate();
        values.filter(|(_, (after, before))| after == before).map(|(index, _)| index).collect()
    }

    /// Where the fence was written to, counted in values.
    pub(super) fn broken_fence(&self) -> Option<String> {
        let [before, after] = self.fences.clone().map(|fence| &self.region.bytes()[fence]);
        let is_broken = |byte: &u8| *byte != self.fence;
        let width = self.dtype.bytes();
        if let Some(place) = after.iter().position(is_broken) {
            return Some(format!("index {}", self.place.len() / width + place / width));
        }
        let place = before.iter().rposition(is_broken)?;
        Some(format!("index -{}", (before.len() - place).div_ceil(width)))
    }

    /// The index of a value that would lie at an address.
    pub(super) fn index_of(&self, address: usize) -> isize {
        let start = self.region.bytes().as_ptr().addr() + self.place.start;
        (address.wrapping_sub(start) as isize).div_euclid(self.dtype.bytes() as isize)
    }
}

/// The words of values in this machine's order of bytes.
fn native_words(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    let mut words = Vec::new();
    frame::write_values(dtype, values, &mut words);
    in_other_order(&mut words, dtype.bytes());
    words
}

/// A word in this machine's order of bytes, in the first bytes.
fn native(mut word: [u8; 8], width: usize) -> [u8; 8] {
    in_other_order(&mut word[..width], width);
    word
}

/// Turns little-endian words into this machine's, and back: nothing to do on most.
fn in_other_order(words: &mut [u8], width: usize) {
    if cfg!(target_endian = "big") {
        words.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
}
