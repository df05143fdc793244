//! Built-in kernels that compute batches: correct ones, and planted defects that no single row shows (`defects`).
//!
//! A kernel here is the textbook on arrays in memory ([`Memory`]): rows are found by their stride, and outputs are put where they belong.
//! What goes wrong in a batch is not in the formulas but in these addresses, and in what rows share; so a planted defect is another way
//! through the memory. `batch-rows` has every op, as it hands each row to the correct kernels of rows.

use super::{Builtin, Defect};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::kernel::batch::{Batch, Layout, extent};
use crate::kernel::{Claims, Fault, Kernel, Outcome, Real};
use crate::op::Op;

pub(super) mod defects;

/// Rows that a kernel computes as one block.
pub(super) const BLOCK: usize = 32;

/// A kernel of batches: what it says of itself, and its way through the memory.
pub(super) trait BatchRecipe {
    const NAME: &'static str;
    const SUMMARY: &'static str;
    const DEFECT: Option<Defect> = None;

    fn claims(_: Op, _: Dtype) -> Claims {
        Claims { in_place: true, batch_invariant: true, ..Claims::default() }
    }

    /// Computes all rows.
    fn compute<A: Real>(memory: &mut Memory<A>);
}

/// The arrays of a batch as a kernel sees them: the logits, and the outputs, which may be written over them.
pub(super) struct Memory<A> {
    op: Op,
    rows: usize,
    n: usize,
    layout: Layout,
    logits: Vec<A>,
    /// What was written; none where nothing was. Unused in place.
    out: Vec<Option<A>>,
    /// Whether something was read or written that belongs to no array.
    has_left: bool,
}

impl<A: Real> Memory<A> {
    fn new(batch: &Batch) -> Self {
        let layout = batch.layout();
        let out = if layout.in_place { 0 } else { extent(batch.rows(), batch.outputs(), layout.out_stride) };
        let (op, rows, n) = (batch.op(), batch.rows(), batch.len());
        Self { op, rows, n, layout, logits: batch.logits(), out: vec![None; out], has_left: false }
    }

    /// The logit at an address.
    fn at(&mut self, address: usize) -> A {
        self.has_left |= address >= self.logits.len();
        self.logits.get(address).copied().unwrap_or(A::ZERO)
    }

    /// Logit `j` of a row.
    fn z(&mut self, row: usize, j: usize) -> A {
        self.at(row * self.layout.logits_stride + j)
    }

    /// A row of logits.
    fn row(&mut self, row: usize) -> Vec<A> {
        (0..self.n).map(|j| self.z(row, j)).collect()
    }

    /// Writes at an address of the outputs.
    fn put_at(&mut self, address: usize, y: A) {
        let place = if self.layout.in_place {
            self.logits.get_mut(address).map(|place| *place = y)
        } else {
            self.out.get_mut(address).map(|place| *place = Some(y))
        };
        self.has_left |= place.is_none();
    }

    /// Writes output `j` of a row.
    fn put(&mut self, row: usize, j: usize, y: A) {
        self.put_at(row * self.layout.out_stride + j, y);
    }

    /// Writes a row of outputs.
    fn put_row(&mut self, row: usize, outputs: &[A]) {
        for (j, &y) in outputs.iter().enumerate() {
            self.put(row, j, y);
        }
    }

    /// What came of it, row by row.
    fn outcomes(&self, written: Dtype) -> Vec<Outcome> {
        let len = self.op.outputs(self.n);
        let of_row = |row: usize| {
            if self.has_left {
                return Outcome::Failed(Fault::OutOfBounds, "it reached outside its arrays".into());
            }
            let start = row * self.layout.out_stride;
            let mut values = Vec::with_capacity(len);
            for j in 0..len {
                let value = if self.layout.in_place { Some(self.logits[start + j]) } else { self.out[start + j] };
                let Some(value) = value else {
                    return Outcome::Failed(Fault::Unwritten, format!("output {j} of {len} was never written"));
                };
                values.push(written.round(value.to_f64()));
            }
            Outcome::Outputs(values)
        };
        (0..self.rows).map(of_row).collect()
    }
}

/// The ops of these kernels: those that take nothing but logits and are made of a maximum and a sum.
const OPS: [Op; 3] = [Op::LOGSUMEXP, Op::SOFTMAX, Op::LOG_SOFTMAX];

pub(super) fn supports(op: Op, _: Dtype) -> bool {
    OPS.contains(&op)
}

pub(super) fn compute<R: BatchRecipe>(batch: &Batch) -> Vec<Outcome> {
    fn typed<R: BatchRecipe, A: Real>(batch: &Batch) -> Vec<Outcome> {
        let mut memory = Memory::<A>::new(batch);
        R::compute(&mut memory);
        memory.outcomes(batch.dtype().output())
    }
    match batch.dtype().accumulator() {
        Dtype::F64 => typed::<R, f64>(batch),
        _ => typed::<R, f32>(batch),
    }
}

/// The maximum of a row, NaN if one of it is.
fn maximum<A: Real>(z: &[A]) -> A {
    z.iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z))
}

/// `exp(z - max)`, and nothing where the logit is -inf.
fn weight<A: Real>(z: A, max: A) -> A {
    (z - max).exp()
}

/// The sum of the weights, from the first to the last.
fn sum_of<A: Real>(z: &[A], max: A) -> A {
    z.iter().fold(A::ZERO, |sum, &z| sum + weight(z, max))
}

/// The outputs of a row of logits, of what was subtracted and of the sum of the weights.
fn outputs_of<A: Real>(op: Op, z: &[A], max: A, sum: A) -> Vec<A> {
    if op == Op::LOGSUMEXP {
        // An infinite maximum is the result; subtracted from itself it would be NaN.
        return vec![if max.is_infinite() { max } else { max + sum.ln() }];
    }
    if op == Op::SOFTMAX {
        return z.iter().map(|&z| weight(z, max) / sum).collect();
    }
    let log_sum = sum.ln();
    z.iter().map(|&z| (z - max) - log_sum).collect()
}

/// A row as the textbook computes it.
fn textbook<A: Real>(op: Op, z: &[A]) -> Vec<A> {
    let max = maximum(z);
    outputs_of(op, z, max, sum_of(z, max))
}

/// Blocks of rows, logit by logit: a maximum and a sum for each row of the block side by side.
pub(super) struct Blocks;

impl BatchRecipe for Blocks {
    const NAME: &'static str = "batch-blocks";
    const SUMMARY: &'static str =
        "the textbook on batches, 32 rows side by side, in place where asked: log-sum-exp, softmax, log-softmax";

    fn compute<A: Real>(memory: &mut Memory<A>) {
        for first in (0..memory.rows).step_by(BLOCK) {
            let rows = first..memory.rows.min(first + BLOCK);
            let mut max = [A::NEG_INFINITY; BLOCK];
            let mut sum = [A::ZERO; BLOCK];
            for j in 0..memory.n {
                for (max, row) in max.iter_mut().zip(rows.clone()) {
                    *max = max.larger(memory.z(row, j));
                }
            }
            for j in 0..memory.n {
                for ((sum, &max), row) in sum.iter_mut().zip(&max).zip(rows.clone()) {
                    *sum += weight(memory.z(row, j), max);
                }
            }
            for (lane, row) in rows.enumerate() {
                let z = memory.row(row);
                let outputs = outputs_of(memory.op, &z, max[lane], sum[lane]);
                memory.put_row(row, &outputs);
            }
        }
    }
}

/// A kernel of batches that hands rows to the correct kernels of rows, and so has every op.
pub(super) trait RowsRecipe {
    const NAME: &'static str;
    const SUMMARY: &'static str;
    const DEFECT: Option<Defect> = None;

    fn supports(_: Op) -> bool {
        true
    }

    /// The row that is computed in the place of one; that row itself, unless something is wrong.
    fn case(batch: &Batch, row: usize) -> Case {
        batch.cases()[row].clone()
    }
}

/// Each row by itself.
pub(super) struct Each;

impl RowsRecipe for Each {
    const NAME: &'static str = "batch-rows";
    const SUMMARY: &'static str = "the textbook on batches, row by row: every op";
}

/// The correct kernel of rows that has an op.
fn of_rows(op: Op, dtype: Dtype) -> Option<&'static Builtin> {
    // A mean takes several rows as it is.
    if op.mean_of().is_some() {
        return None;
    }
    ["shifted", "branched"].into_iter().filter_map(super::find).find(|kernel| kernel.computes(op, dtype))
}

pub(super) fn supports_rows<R: RowsRecipe>(op: Op, dtype: Dtype) -> bool {
    R::supports(op) && of_rows(op, dtype).is_some()
}

pub(super) fn claims_of_rows(op: Op, dtype: Dtype) -> Claims {
    let claims = of_rows(op, dtype).map_or_else(Claims::default, |kernel| kernel.claims(op, dtype));
    Claims { in_place: true, batch_invariant: true, ..claims }
}

pub(super) fn compute_rows<R: RowsRecipe>(batch: &Batch) -> Vec<Outcome> {
    let Some(kernel) = of_rows(batch.op(), batch.dtype()) else { return vec![Outcome::NotRun; batch.rows()] };
    (0..batch.rows()).map(|row| kernel.run(&R::case(batch, row))).collect()
}
