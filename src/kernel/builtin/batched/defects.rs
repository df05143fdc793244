//! Planted defects of batches: each passes on every single row, and fails beside other rows, at other strides or in place.

use super::{BLOCK, BatchRecipe, Memory, RowsRecipe, maximum, outputs_of, sum_of, textbook, weight};
use crate::case::{Case, Draft};
use crate::dtype::Dtype;
use crate::kernel::builtin::Defect;
use crate::kernel::{Batch, Claims, Real};
use crate::op::Op;

/// A defect of a class. Every family shows it: it is the batch that matters.
const fn defect(class: &'static str, story: &'static str) -> Option<Defect> {
    Some(Defect { class, story, families: &["ordinary"], report: None })
}

/// The same, with a public thread that shows the mechanism.
const fn reported(class: &'static str, story: &'static str, report: &'static str) -> Option<Defect> {
    Some(Defect { class, story, families: &["ordinary"], report: Some(report) })
}

/// Two rows share a register for their maximum.
pub(in super::super) struct MaximumOfPair;

impl BatchRecipe for MaximumOfPair {
    const NAME: &'static str = "defect/batch-max-of-pair";
    const SUMMARY: &'static str = "the maximum is that of a pair of rows";
    const DEFECT: Option<Defect> =
        defect("C41", "all weights of a row underflow beside a row with a far larger maximum");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        for row in 0..memory.rows {
            let z = memory.row(row);
            let other = row ^ 1;
            let shared = if other < memory.rows { maximum(&memory.row(other)) } else { A::NEG_INFINITY };
            let max = maximum(&z).larger(shared);
            let outputs = outputs_of(memory.op, &z, max, sum_of(&z, max));
            memory.put_row(row, &outputs);
        }
    }

    /// In place the second of a pair would find outputs in the first.
    fn claims(_: Op, _: Dtype) -> Claims {
        Claims::default()
    }
}

/// `max(logits)` without an axis.
pub(in super::super) struct MaximumOfAll;

impl BatchRecipe for MaximumOfAll {
    const NAME: &'static str = "defect/batch-max-of-all";
    const SUMMARY: &'static str = "one maximum is subtracted from all rows: the axis was forgotten";
    const DEFECT: Option<Defect> = defect("C41", "rows far below the largest of the batch underflow as a whole");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        let rows: Vec<Vec<A>> = (0..memory.rows).map(|row| memory.row(row)).collect();
        let max = rows.iter().fold(A::NEG_INFINITY, |max, z| max.larger(maximum(z)));
        for (row, z) in rows.iter().enumerate() {
            let outputs = outputs_of(memory.op, z, max, sum_of(z, max));
            memory.put_row(row, &outputs);
        }
    }
}

/// A correction for special rows is added to the whole block, times 0.
pub(in super::super) struct NanSpreads;

impl BatchRecipe for NanSpreads {
    const NAME: &'static str = "defect/batch-nan-spreads";
    const SUMMARY: &'static str =
        "a NaN in a row becomes NaN in every row of its block of 32: it is multiplied by 0 and added";
    const DEFECT: Option<Defect> =
        defect("C41", "one NaN row, as of a sequence that is all padding, ruins its neighbours");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        let rows: Vec<Vec<A>> = (0..memory.rows).map(|row| memory.row(row)).collect();
        for (number, block) in rows.chunks(BLOCK).enumerate() {
            let poison = block.iter().fold(A::ZERO, |poison, z| {
                let max = maximum(z);
                // Nothing but NaN is not equal to itself.
                if max.is_nan() { max } else { poison }
            });
            for (lane, z) in block.iter().enumerate() {
                let outputs: Vec<A> = textbook(memory.op, z).into_iter().map(|y| y + poison).collect();
                memory.put_row(number * BLOCK + lane, &outputs);
            }
        }
    }
}

/// The running sum of an online softmax is not set back at the end of a row.
pub(in super::super) struct StateCarried;

impl BatchRecipe for StateCarried {
    const NAME: &'static str = "defect/batch-state-carried";
    const SUMMARY: &'static str = "the sum of a row begins with that of the row before, rescaled";
    const DEFECT: Option<Defect> = defect("C41", "every row but the first has a sum that is too large");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        let (mut last_max, mut last_sum) = (A::NEG_INFINITY, A::ZERO);
        for row in 0..memory.rows {
            let z = memory.row(row);
            let max = maximum(&z);
            let before = if last_sum > A::ZERO && last_max < max { last_sum * weight(last_max, max) } else { A::ZERO };
            let sum = before + sum_of(&z, max);
            let outputs = outputs_of(memory.op, &z, max, sum);
            memory.put_row(row, &outputs);
            (last_max, last_sum) = (max, sum);
        }
    }
}

/// `return` where `continue` was meant.
pub(in super::super) struct MaskedEnds;

impl BatchRecipe for MaskedEnds {
    const NAME: &'static str = "defect/batch-masked-ends";
    const SUMMARY: &'static str = "a row that is masked throughout ends the whole call, and not its own turn";
    const DEFECT: Option<Defect> = defect("C41", "rows behind a fully masked one are never written");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        for row in 0..memory.rows {
            let z = memory.row(row);
            let outputs = textbook(memory.op, &z);
            memory.put_row(row, &outputs);
            if maximum(&z) == A::NEG_INFINITY {
                return;
            }
        }
    }
}

/// The loop over logits runs to the end of the last vector.
pub(in super::super) struct PaddingRead;

impl BatchRecipe for PaddingRead {
    const NAME: &'static str = "defect/batch-padding-read";
    const SUMMARY: &'static str = "whole vectors of 4 are read, and what lies behind a row is taken for its logits";
    const DEFECT: Option<Defect> = defect("C33", "the maximum and the sum are those of the row and its padding");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        const VECTOR: usize = 4;
        for row in 0..memory.rows {
            let z = memory.row(row);
            // The last row has nothing behind it, and there the loop is masked.
            let end = memory.n.next_multiple_of(VECTOR).min(memory.layout.logits_stride);
            let end = if row + 1 < memory.rows { end } else { memory.n };
            let read: Vec<A> = (0..end).map(|j| memory.z(row, j)).collect();
            let max = maximum(&read);
            let outputs = outputs_of(memory.op, &z, max, sum_of(&read, max));
            memory.put_row(row, &outputs);
        }
    }
}

/// Rows are taken to be contiguous.
pub(in super::super) struct StrideIsLength;

impl BatchRecipe for StrideIsLength {
    const NAME: &'static str = "defect/batch-stride-is-n";
    const SUMMARY: &'static str = "a row is looked for at its number times n, whatever the stride";
    const DEFECT: Option<Defect> = reported(
        "C42",
        "padding, and parts of other rows, are taken for the row",
        "https://github.com/ml-explore/mlx/issues/657",
    );

    fn compute<A: Real>(memory: &mut Memory<A>) {
        for row in 0..memory.rows {
            let z: Vec<A> = (0..memory.n).map(|j| memory.at(row * memory.n + j)).collect();
            let outputs = textbook(memory.op, &z);
            memory.put_row(row, &outputs);
        }
    }
}

/// One stride for two arrays.
pub(in super::super) struct OutputStride;

impl BatchRecipe for OutputStride {
    const NAME: &'static str = "defect/batch-out-stride";
    const SUMMARY: &'static str = "outputs are written at the stride of the logits, where that stays within them";
    const DEFECT: Option<Defect> = reported(
        "C42",
        "rows are written at the places of others, or between them",
        "https://github.com/pytorch/pytorch/issues/75923",
    );

    fn compute<A: Real>(memory: &mut Memory<A>) {
        let stride = if memory.op.is_scalar() { memory.layout.out_stride } else { memory.layout.logits_stride };
        let stride = stride.min(memory.layout.out_stride);
        for row in 0..memory.rows {
            let z = memory.row(row);
            for (j, y) in textbook(memory.op, &z).into_iter().enumerate() {
                memory.put_at(row * stride + j, y);
            }
        }
    }
}

/// The grid has a block for each 32 rows, rounded down.
pub(in super::super) struct TailSkipped;

impl BatchRecipe for TailSkipped {
    const NAME: &'static str = "defect/batch-tail-skipped";
    const SUMMARY: &'static str = "rows behind the last whole block of 32 are left out, once there is a whole block";
    const DEFECT: Option<Defect> = defect("C42", "the last rows are never written");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        let rows = if memory.rows < BLOCK { memory.rows } else { memory.rows / BLOCK * BLOCK };
        for row in 0..rows {
            let z = memory.row(row);
            let outputs = textbook(memory.op, &z);
            memory.put_row(row, &outputs);
        }
    }
}

/// Column-major and row-major.
pub(in super::super) struct AxesConfused;

impl BatchRecipe for AxesConfused {
    const NAME: &'static str = "defect/batch-axes-confused";
    const SUMMARY: &'static str = "logit j of row i is looked for at j times the number of rows, plus i";
    const DEFECT: Option<Defect> = reported(
        "C42",
        "columns are taken for rows, as of an array that was transposed",
        "https://github.com/tracel-ai/burn/issues/4815",
    );

    fn compute<A: Real>(memory: &mut Memory<A>) {
        for row in 0..memory.rows {
            // Where rows are padded the author takes the other branch.
            let is_compact = memory.layout.logits_stride == memory.n;
            let z: Vec<A> = match is_compact {
                true => (0..memory.n).map(|j| memory.at(j * memory.rows + row)).collect(),
                false => memory.row(row),
            };
            let outputs = textbook(memory.op, &z);
            memory.put_row(row, &outputs);
        }
    }

    /// In place, what is read later would have been overwritten.
    fn claims(_: Op, _: Dtype) -> Claims {
        Claims { batch_invariant: true, ..Claims::default() }
    }
}

/// Every row, but its number is kept in a narrow type.
fn narrow<A: Real>(memory: &mut Memory<A>, wraps: usize) {
    for row in 0..memory.rows {
        let z = memory.row(row % wraps);
        let outputs = textbook(memory.op, &z);
        memory.put_row(row, &outputs);
    }
}

/// A row number of 8 bits.
pub(in super::super) struct ByteIndex;

impl BatchRecipe for ByteIndex {
    const NAME: &'static str = "defect/batch-byte-index";
    const SUMMARY: &'static str = "the number of the row that is read is kept in 8 bits";
    const DEFECT: Option<Defect> = defect("C36", "row 256 is answered with the result of row 0");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        narrow(memory, 1 << 8);
    }

    fn claims(_: Op, _: Dtype) -> Claims {
        Claims { batch_invariant: true, ..Claims::default() }
    }
}

/// A row number of 16 bits.
pub(in super::super) struct ShortIndex;

impl BatchRecipe for ShortIndex {
    const NAME: &'static str = "defect/batch-short-index";
    const SUMMARY: &'static str = "the number of the row that is read is kept in 16 bits";
    const DEFECT: Option<Defect> = reported(
        "C36",
        "row 65,536 is answered with the result of row 0",
        "https://github.com/hpcaitech/FastFold/pull/80",
    );

    fn compute<A: Real>(memory: &mut Memory<A>) {
        narrow(memory, 1 << 16);
    }

    fn claims(_: Op, _: Dtype) -> Claims {
        Claims { batch_invariant: true, ..Claims::default() }
    }
}

/// Weights are written to the outputs, and the logits are read again afterwards.
pub(in super::super) struct InPlaceTwice;

impl BatchRecipe for InPlaceTwice {
    const NAME: &'static str = "defect/batch-in-place";
    const SUMMARY: &'static str = "it claims to work in place, and reads logits again that it has overwritten";
    const DEFECT: Option<Defect> = defect("C37", "in place, the exponential of an exponential is divided by the sum");

    fn compute<A: Real>(memory: &mut Memory<A>) {
        for row in 0..memory.rows {
            let max = maximum(&memory.row(row));
            let mut sum = A::ZERO;
            for j in 0..memory.n {
                let w = weight(memory.z(row, j), max);
                sum += w;
                if !memory.op.is_scalar() {
                    memory.put(row, j, w);
                }
            }
            let z = memory.row(row);
            let outputs = outputs_of(memory.op, &z, max, sum);
            memory.put_row(row, &outputs);
        }
    }
}

/// Another kernel is launched for many rows.
pub(in super::super) struct SumByRows;

impl BatchRecipe for SumByRows {
    const NAME: &'static str = "defect/batch-sum-by-rows";
    const SUMMARY: &'static str =
        "the order of additions depends on how many rows there are, and it claims that no bit does";
    const DEFECT: Option<Defect> = reported(
        "C43",
        "a request is answered otherwise when others are served beside it",
        "https://github.com/pytorch/pytorch/pull/197311",
    );

    fn compute<A: Real>(memory: &mut Memory<A>) {
        for row in 0..memory.rows {
            let z = memory.row(row);
            let max = maximum(&z);
            let sum = match memory.rows {
                1 => sum_of(&z, max),
                _ => z.iter().rev().fold(A::ZERO, |sum, &z| sum + weight(z, max)),
            };
            let outputs = outputs_of(memory.op, &z, max, sum);
            memory.put_row(row, &outputs);
        }
    }
}

/// What the op takes besides has no stride.
pub(in super::super) struct FirstOthers;

impl RowsRecipe for FirstOthers {
    const NAME: &'static str = "defect/batch-first-others";
    const SUMMARY: &'static str = "every row is given the target, cotangent, labels or values of the first one";
    const DEFECT: Option<Defect> =
        defect("C41", "losses and gradients of all rows but the first are of another target");

    fn supports(op: Op) -> bool {
        op.takes_class() || op.other_row().is_some()
    }

    fn case(batch: &Batch, row: usize) -> Case {
        let (own, mut first) = (&batch.cases()[row], Draft::of(&batch.cases()[0]));
        first.logits = own.logits().to_vec();
        first.into_case().unwrap_or_else(|_| own.clone())
    }
}

/// Threads of a block read one variable.
pub(in super::super) struct LastOfBlock;

impl RowsRecipe for LastOfBlock {
    const NAME: &'static str = "defect/batch-first-logit-of-block";
    const SUMMARY: &'static str =
        "the first logit of every row is that of the last row of its block of 32: a variable is shared";
    const DEFECT: Option<Defect> = defect("C41", "one logit of a row comes from another row");

    fn case(batch: &Batch, row: usize) -> Case {
        let last = (row / BLOCK * BLOCK + BLOCK - 1).min(batch.rows() - 1);
        let own = &batch.cases()[row];
        let mut draft = Draft::of(own);
        if let (Some(first), Some(&other)) = (draft.logits.first_mut(), batch.cases()[last].logits().first()) {
            *first = other;
        }
        draft.into_case().unwrap_or_else(|_| own.clone())
    }
}
