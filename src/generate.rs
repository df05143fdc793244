//! Generators: where the cases come from.
//!
//! A [`Family`] is a named kind of adversarial logits. [`row`] makes its rows, each from a random stream of its own, and
//! [`case`] adds what an op takes, from a stream named by the op besides: so all kernels see the same cases, all ops the same
//! rows, and a row does not change with what else is selected. Everything draws from one source (`draw.rs`), which is a ChaCha
//! stream in a campaign and the fuzzer's bytes in a fuzz target: one description serves both, and a property test too.
//!
//! To add a family, write one function and one line of the registry in `families.rs`; a test then asks for the regime that it
//! reaches.

use crate::case::{Case, Value};
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::fenv::Standard;
use crate::op::Op;
use draw::Draw;
use std::sync::Arc;

#[cfg(feature = "arbitrary")]
mod arbitrary;
mod batch;
pub(crate) mod draw;
mod extras;
mod families;
pub mod file;
pub(crate) mod mutate;
mod several;
mod solve;
mod source;
#[cfg(feature = "proptest")]
mod strategy;
#[cfg(test)]
mod tests;

pub(crate) use batch::batch;
pub use families::Family;
pub use source::{Row, Source};
#[cfg(feature = "proptest")]
pub use strategy::{CaseStrategy, strategy};

/// Version of the generators: cases of two versions are not comparable.
pub const VERSION: u32 = 4;

/// The logits of row `index`: exact dtype values, at most `max_len` of them. Each row draws from a ChaCha stream of its own,
/// named by (seed, dtype, family, index).
pub fn row(family: Family, dtype: Dtype, seed: u64, index: u64, max_len: usize) -> Vec<f64> {
    let _standard = Standard::enter();
    family.make(&mut Draw::stream(seed, dtype, family.name(), None, index), dtype, index, max_len)
}

/// The case of `op` with these logits: adds what the op takes (target and smoothing, cotangent, tangent, distribution, scale) from a
/// stream named by (seed, dtype, family, index, op). `family` is the name of a [`Family`], or another name where the logits come from
/// elsewhere. `target` is the class to use where one was given with the logits.
///
/// `None` where the op has no case for the row: losses and their gradients of 0 logits.
///
/// # Errors
/// A number that is no value of the dtype, or a target that is no class of the row: no generated row has one.
pub fn case(
    op: Op,
    dtype: Dtype,
    family: &str,
    seed: u64,
    index: u64,
    logits: Arc<[f64]>,
    target: Option<usize>,
) -> Result<Option<Case>> {
    made(op, dtype, family, seed, index, logits, target, None)
}

/// As [`case`], for an op that is a mean over rows: the logits are so many rows of one length, one after the other. What is left over is left
/// out; any other op takes them as [`case`] does.
///
/// # Errors
/// Those of [`case`].
pub fn case_of_rows(
    op: Op,
    dtype: Dtype,
    family: &str,
    seed: u64,
    index: u64,
    logits: Arc<[f64]>,
    rows: usize,
) -> Result<Option<Case>> {
    made(op, dtype, family, seed, index, logits, None, Some(rows))
}

/// See [`case`]; the number of rows is drawn where it is not given.
#[allow(clippy::too_many_arguments)] // What names a case.
fn made(
    op: Op,
    dtype: Dtype,
    family: &str,
    seed: u64,
    index: u64,
    logits: Arc<[f64]>,
    target: Option<usize>,
    rows: Option<usize>,
) -> Result<Option<Case>> {
    let _standard = Standard::enter();
    let mut draw = Draw::stream(seed, dtype, family, Some(op), index);
    let (logits, rows) = extras::in_domain(&mut draw, op, dtype, family, logits, target, rows);
    let others = extras::others(&mut draw, op, dtype, family, &logits, rows, target);
    let made = others.map(|others: Vec<Value>| Case::new(op, dtype, logits, others)).transpose();
    made.map_err(|error| Error::harness(format!("row {index} of {family} gives no case of {op} in {dtype}: {error}")))
}

/// A case of any family that is not slow, picked by the draw as everything else; `op` and `dtype` are picked where they are
/// not given. At most `max_len` logits; cross-entropy has one at least.
#[cfg_attr(not(any(feature = "proptest", feature = "arbitrary")), allow(dead_code))]
pub(crate) fn any_case(draw: &mut Draw, op: Option<Op>, dtype: Option<Dtype>, max_len: usize) -> Case {
    let _standard = Standard::enter();
    let op = op.unwrap_or_else(|| draw.choose(Op::ALL));
    let dtype = dtype.unwrap_or_else(|| draw.choose(&Dtype::ALL));
    let (family, mut logits) = any_row(draw, dtype, max_len);
    if op.needs_logit() && logits.is_empty() {
        logits.push(0.0);
    }
    let (logits, rows) = extras::in_domain(draw, op, dtype, family.name(), logits.into(), None, None);
    let others = extras::others(draw, op, dtype, family.name(), &logits, rows, None).unwrap_or_default();
    match Case::new(op, dtype, logits, others) {
        Ok(case) => case,
        Err(error) => unreachable!("a generated case is valid: {error}"),
    }
}

/// A row of any family that is not slow, and the family.
#[cfg_attr(not(any(feature = "proptest", feature = "arbitrary")), allow(dead_code))]
fn any_row(draw: &mut Draw, dtype: Dtype, max_len: usize) -> (Family, Vec<f64>) {
    // Enough for every length and position that an index goes through, several times over.
    const INDICES: u64 = 1 << 14;
    let quick: Vec<Family> = Family::all().iter().copied().filter(|family| !family.is_slow()).collect();
    let family = draw.choose(&quick);
    let index = draw.below(INDICES);
    (family, family.make(draw, dtype, index, max_len))
}
