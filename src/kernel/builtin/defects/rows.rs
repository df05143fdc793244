//! Means over rows of which some are ignored, and rows whose classes lie in shards (C21, C38).

use super::super::recipe::{Normalizer, Recipe, Row, Rows, each};
use super::super::stable::Shifted;
use super::super::{Defect, Examples};
use crate::dtype::Dtype;
use crate::kernel::Real;
use crate::op::Op;

/// Whether an op is the mean of cross-entropies, or its gradient.
fn is_mean(op: Op) -> bool {
    [Op::MEAN_CROSS_ENTROPY, Op::MEAN_CROSS_ENTROPY_GRAD].contains(&op)
}

pub(in super::super) struct MeanCountsIgnored;

impl Recipe for MeanCountsIgnored {
    const NAME: &'static str = "defect/mean-counts-ignored";
    const SUMMARY: &'static str =
        "the mean over rows is divided by the number of all rows, those that are ignored among them";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C21",
        story: "the losses are reduced by a mean that knows nothing of the classes: with half of the rows ignored, loss and gradient are half as large",
        families: &["ordinary", "pos_inf", "nan"],
        report: Some("https://github.com/open-mmlab/mmsegmentation/issues/546"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "mean_cross_entropy f32 [1, 2, 3, 4] targets=[0, ignored]",
        Some("mean_cross_entropy f32 [1, 2, 3, 4] targets=[0, 1]"),
    ));

    fn supports(op: Op, _: Dtype) -> bool {
        is_mean(op)
    }

    fn divisor<A: Real>(rows: &Rows<A>) -> A {
        A::from_f64(rows.targets.len() as f64)
    }
}

pub(in super::super) struct IgnoredTimesZero;

impl Recipe for IgnoredTimesZero {
    const NAME: &'static str = "defect/ignored-times-zero";
    const SUMMARY: &'static str = "an ignored row is computed like any other and multiplied by 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C21",
        story: "the row that is ignored is padding, which may hold NaN or -inf alone: 0 times its loss, or its gradient, is NaN",
        families: &["nan", "fully_masked", "pos_inf"],
        report: Some("https://github.com/pytorch/pytorch/issues/11551"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "mean_cross_entropy_grad f32 [1, 2, -inf, -inf] targets=[0, ignored]",
        Some("mean_cross_entropy_grad f32 [1, 2, 3, 4] targets=[0, 1]"),
    ));

    fn supports(op: Op, _: Dtype) -> bool {
        is_mean(op)
    }

    fn mean_cross_entropy<A: Real>(rows: &Rows<A>) -> A {
        let loss = |place: usize| weight(rows, place) * Self::cross_entropy(&rows.row(place));
        // Rows without a logit have no loss that could be computed.
        let many = if rows.row_len() == 0 { 0 } else { rows.targets.len() };
        let losses: Vec<A> = (0..many).map(loss).collect();
        losses.iter().fold(A::ZERO, |sum, &loss| sum + loss) / Self::divisor(rows)
    }

    fn mean_cross_entropy_grad<A: Real>(rows: &Rows<A>) -> Vec<A> {
        let divisor = if rows.count() == A::ZERO { A::ONE } else { Self::divisor(rows) };
        let gradient = |place: usize| {
            each(&Self::cross_entropy_grad(&rows.row(place)), &|_, g| weight(rows, place) * (g / divisor))
        };
        (0..rows.targets.len()).flat_map(gradient).collect()
    }
}

/// 1 of a row, and 0 of one that is ignored.
fn weight<A: Real>(rows: &Rows<A>, place: usize) -> A {
    if rows.targets[place].is_some() { A::ONE } else { A::ZERO }
}

pub(in super::super) struct MeanOfNothing;

impl Recipe for MeanOfNothing {
    const NAME: &'static str = "defect/mean-of-nothing";
    const SUMMARY: &'static str =
        "every gradient is divided by the number of rows that are not ignored, though there may be none";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C21",
        story: "a batch of padding alone: the gradients are 0 / 0, and one step poisons every weight, where others return zeros",
        families: &["ordinary", "ties"],
        report: Some("https://github.com/ROCm/aiter/pull/5165"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "mean_cross_entropy_grad f32 [1, 2] targets=[ignored]",
        Some("mean_cross_entropy_grad f32 [1, 2, 3, 4] targets=[0, ignored]"),
    ));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::MEAN_CROSS_ENTROPY_GRAD
    }

    fn mean_cross_entropy_grad<A: Real>(rows: &Rows<A>) -> Vec<A> {
        let divisor = Self::divisor(rows);
        let gradient = |row: Option<Row<A>>| match row {
            Some(row) => each(&Self::cross_entropy_grad(&row), &|_, g| g / divisor),
            None => vec![A::ZERO / divisor; rows.row_len()],
        };
        rows.kept().flat_map(gradient).collect()
    }
}

/// The ops that a model with its classes in shards computes: the loss and its gradient.
fn is_loss(op: Op) -> bool {
    [Op::CROSS_ENTROPY, Op::CROSS_ENTROPY_GRAD].contains(&op) || is_mean(op)
}

pub(in super::super) struct ShardsCountedTwice;

impl Recipe for ShardsCountedTwice {
    const NAME: &'static str = "defect/shards-counted-twice";
    const SUMMARY: &'static str =
        "the sum over the shards of the classes is taken of rows that each of two shards holds in full";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C38",
        story: "logits that were gathered already are added up over the shards once more: the loss has log 2 too much, and the probabilities are half",
        families: &["ordinary", "ties"],
        report: Some("https://github.com/NVIDIA/Megatron-LM/issues/7452"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("cross_entropy f32 [1, 2] target=0 label_smoothing=0", None));

    fn supports(op: Op, _: Dtype) -> bool {
        is_loss(op)
    }

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let Normalizer { max, sum, .. } = Shifted::normalizer(row);
        let sum = sum + sum;
        Normalizer { max, sum, log_sum: Self::log(row, sum) }
    }
}

pub(in super::super) struct TargetBeyondShard;

impl Recipe for TargetBeyondShard {
    const NAME: &'static str = "defect/target-beyond-shard";
    const SUMMARY: &'static str =
        "in the shard that has not the true class, the index that stands for none is that of a padded column";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C38",
        story: "the classes of two shards are padded to one length with -inf: of a class in the first shard the second adds its padding, and the loss is infinite",
        families: &["ordinary", "wide"],
        report: Some("https://github.com/apple/ml-cross-entropy/pull/59"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "cross_entropy f32 [1, 2, 3] target=0 label_smoothing=0",
        Some("cross_entropy f32 [1, 2, 3, 4] target=0 label_smoothing=0"),
    ));

    fn supports(op: Op, _: Dtype) -> bool {
        [Op::CROSS_ENTROPY, Op::MEAN_CROSS_ENTROPY].contains(&op)
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        let n = row.logits.len();
        let is_padded = n % 2 == 1 && n > 1;
        if is_padded && row.target < n.div_ceil(2) { -A::NEG_INFINITY } else { Shifted::cross_entropy(row) }
    }
}
