//! A scale or temperature at the wrong place (C32). Planted in kernels of scaled softmax, and shown nowhere else.

use super::super::recipe::{Recipe, Row, each};
use super::super::stable::Shifted;
use super::super::{Defect, Examples};
use crate::dtype::Dtype;
use crate::kernel::Real;
use crate::op::Op;

/// The lanes of a vector that a row is padded to.
const LANES: usize = 8;

pub(in super::super) struct MaximumBeforeScale;

impl Recipe for MaximumBeforeScale {
    const NAME: &'static str = "defect/maximum-before-scale";
    const SUMMARY: &'static str = "scaled softmax takes the maximum of the logits, and multiplies it as them";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C32",
        story: "the maximum is taken before the scale, which a scale above 0 allows: below, it is the least product, and exp overflows",
        families: &["spike", "staircase"],
        report: Some("https://github.com/ROCm/aiter/pull/3247"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("scaled_softmax f32 [0, -100] scale=-1", Some("scaled_softmax f32 [1, 2, 3] scale=0.125")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::SCALED_SOFTMAX
    }

    fn scaled_softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        let max = Self::maximum(row) * row.scale;
        let weights = each(row.logits, &|_, z| Self::exp(row, z * row.scale - max));
        let sum = Self::sum(row, &weights);
        each(&weights, &|_, w| w / sum)
    }
}

pub(in super::super) struct ScaledPadding;

impl Recipe for ScaledPadding {
    const NAME: &'static str = "defect/scaled-padding";
    const SUMMARY: &'static str = "scaled softmax multiplies the -inf that a row is padded with, too";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C32",
        story: "lanes beyond the row are -inf, and times a scale of 0 or less they are NaN or +inf: the whole row is NaN",
        families: &["ordinary", "dominant"],
        report: Some("https://github.com/Dao-AILab/flash-attention/issues/1461"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("scaled_softmax f32 [1, 2, 3] scale=-1", Some("scaled_softmax f32 [1, 2, 3] scale=0.125")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::SCALED_SOFTMAX
    }

    fn scaled_softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        let n = row.logits.len();
        let mut padded = row.logits.to_vec();
        padded.resize(n.next_multiple_of(LANES), A::NEG_INFINITY);
        let mut outputs = Shifted::scaled_softmax(&Row { logits: &padded, ..*row });
        outputs.truncate(n);
        outputs
    }
}

pub(in super::super) struct RootOfScale;

impl Recipe for RootOfScale {
    const NAME: &'static str = "defect/root-of-scale";
    const SUMMARY: &'static str = "scaled softmax multiplies twice by the square root of the scale";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C32",
        story: "queries and keys are each multiplied by the square root of the scale, which a negative scale does not have",
        families: &["ordinary"],
        report: Some("https://github.com/pytorch/pytorch/pull/105202"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("scaled_softmax f32 [1, 2] scale=-1", Some("scaled_softmax f32 [1, 2] scale=0.25")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::SCALED_SOFTMAX
    }

    fn scaled_softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        let root = A::from_f64(row.scale.to_f64().sqrt());
        let products = each(row.logits, &|_, z| (z * root) * root);
        Self::softmax(&Row { logits: &products, ..*row })
    }
}

pub(in super::super) struct ScaledTwice;

impl Recipe for ScaledTwice {
    const NAME: &'static str = "defect/scaled-twice";
    const SUMMARY: &'static str = "scaled softmax applies the scale twice";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C32",
        story: "the logits are divided by the temperature for every backend, and once more in one of them: right only at 1",
        families: &["ordinary"],
        report: Some("https://github.com/RL-Align/RL-Kernel/pull/86"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("scaled_softmax f32 [1, 2] scale=0.5", Some("scaled_softmax f32 [1, 2] scale=1")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::SCALED_SOFTMAX
    }

    fn scaled_softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        let products = each(row.logits, &|_, z| z * row.scale);
        Shifted::scaled_softmax(&Row { logits: &products, ..*row })
    }
}
