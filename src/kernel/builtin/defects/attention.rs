//! What meets the values of attention (C17, C34). Planted in kernels of attention, and shown nowhere else.

use super::super::recipe::{Recipe, Row, each, largest};
use super::super::stable::Shifted;
use super::super::{Defect, Examples};
use crate::dtype::Dtype;
use crate::kernel::{Claims, Real, Special};
use crate::op::Op;

pub(in super::super) struct PoisonedMask;

/// Planted in a kernel that has the limits: a masked value is not to be seen, and what shares all weight has the mean if there is one.
impl Recipe for PoisonedMask {
    const NAME: &'static str = "defect/poisoned-mask";
    const SUMMARY: &'static str = "attention multiplies what is masked by a weight of 0, whatever it holds";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C34",
        story: "a masked value that is NaN or infinite, as memory that nobody wrote to, makes the output NaN: 0 * inf",
        families: &["masked"],
        report: Some("https://github.com/pytorch/pytorch/issues/101967"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "attention f32 [0, -inf] values=[1, nan]",
        Some("attention f32 [0, -inf] values=[1, 1e30]"),
    ));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::ATTENTION
    }

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { special: Special::Limit, ..Shifted::claims(op, dtype) }
    }

    fn attention<A: Real>(row: &Row<A>) -> A {
        let max = largest(row.logits);
        if max.is_infinite() && !row.logits.is_empty() {
            let mut shared = row.logits.iter().zip(row.direction).filter(|(z, _)| **z == max).map(|(_, &v)| v);
            let first = shared.next().unwrap_or(A::ZERO);
            return if shared.all(|v| v == first) { first } else { A::from_f64(f64::NAN) };
        }
        Self::mean(row, &Self::softmax(row))
    }
}

pub(in super::super) struct NarrowWeights;

impl Recipe for NarrowWeights {
    const NAME: &'static str = "defect/narrow-weights";
    const SUMMARY: &'static str =
        "attention rounds its probabilities to bf16 before they meet the values, and does not say so";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C17",
        story: "each probability keeps 8 bits, and where the values cancel the output keeps none",
        families: &["ordinary", "dominant"],
        report: Some("https://github.com/Dao-AILab/flash-attention/issues/703"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("attention f32 [0, 1] values=[1, 0]", Some("attention f32 [0, 0] values=[1, 2]")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::ATTENTION
    }

    fn attention<A: Real>(row: &Row<A>) -> A {
        let rounded = |_: usize, p: A| A::from_f64(Dtype::Bf16.round(p.to_f64()));
        Self::mean_of_seen(row, &each(&Self::softmax(row), &rounded))
    }
}
