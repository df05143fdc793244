//! State that is carried from logit to logit or from lane to lane, and merged (C05, C06, C07): what online softmax gets wrong.

use super::super::arithmetic::in_order;
use super::super::parameter::{self, LENGTHS, Parameter};
use super::super::recipe::{Normalizer, Recipe, Row};
use super::super::stable::{Blocks, Pairwise, Shifted};
use super::super::{Defect, Examples};
use super::LANES;
use crate::dtype::Dtype;
use crate::kernel::{Claims, Online, Real, Summation};
use crate::op::Op;

pub(in super::super) struct UnguardedOnline;

impl Recipe for UnguardedOnline {
    const NAME: &'static str = "defect/unguarded-online";
    const SUMMARY: &'static str = "online softmax without a guard while the running maximum is minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C05",
        story: "a leading masked class makes the running sum NaN, and it stays NaN",
        families: &["masked"],
        report: Some("https://github.com/tinygrad/tinygrad/pull/17853"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("softmax f32 [-inf, 1, 2]", Some("softmax f32 [2, 1, -inf]")));
    const ONLINE: bool = true;

    fn only_masked<A: Real>(_: &Row<A>, _: A) -> bool {
        false
    }
}

pub(in super::super) struct MaskedStateZero;

impl Recipe for MaskedStateZero {
    const NAME: &'static str = "defect/masked-state-zero";
    const SUMMARY: &'static str = "online softmax that stores 0 for a running maximum of minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "the guard against NaN is written into the carried state: after a leading mask it is 0 at least",
        families: &["masked"],
        report: Some("https://github.com/Dao-AILab/flash-attention/issues/2082"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::near("the number stored", 0.0, STORED).along(parameter::after_a_mask));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("softmax f32 [-inf, -200, -201]", Some("softmax f32 [2, 1, -inf]")));
    const ONLINE: bool = true;

    fn running_maximum<A: Real>(row: &Row<A>, max: A, z: A) -> A {
        let max = max.larger(z);
        if max == A::NEG_INFINITY { row.value() } else { max }
    }
}

pub(in super::super) struct WrongRescale;

impl Recipe for WrongRescale {
    const NAME: &'static str = "defect/wrong-rescale";
    const SUMMARY: &'static str = "online softmax that rescales by exp(new - old) instead of exp(old - new)";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "the running sum grows where it should shrink, whenever the maximum rises",
        families: &["ordinary", "staircase", "sorted"],
        report: Some("https://github.com/deepseek-ai/FlashMLA/pull/177"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 1.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [1, 2, 3]", None));
    const ONLINE: bool = true;

    fn block<A: Real>(row: &Row<A>) -> usize {
        row.length()
    }

    fn rescale<A: Real>(row: &Row<A>, before: A, max: A) -> A {
        // The first logit has nothing to rescale; without this every row would be NaN.
        if before == A::NEG_INFINITY { A::ZERO } else { Self::exp(row, max - before) }
    }
}

pub(in super::super) struct BlockedUnguarded;

impl Recipe for BlockedUnguarded {
    const NAME: &'static str = "defect/blocked-unguarded";
    const SUMMARY: &'static str = "online softmax in blocks of 8 without a guard for a block that is masked";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C05",
        story: "a leading block without a class makes the running sum NaN; a shorter mask does not",
        families: &["masked"],
        report: Some("https://github.com/Dao-AILab/flash-attention/issues/1930"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(
        Examples::new("softmax f32 [-inf*8, 1]", Some("softmax f32 [-inf*7, 1]"))
            .of_length(9, "a block of 8 is masked before the first class"),
    );
    const ONLINE: bool = true;
    const BLOCK: usize = LANES;

    fn block<A: Real>(row: &Row<A>) -> usize {
        row.length()
    }

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Blocks::<LANES>::claims(op, dtype)
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        terms.chunks(row.length()).fold(A::ZERO, |sum, block| sum + in_order(block))
    }

    fn only_masked<A: Real>(_: &Row<A>, _: A) -> bool {
        false
    }
}

pub(in super::super) struct IdleLanes;

impl Recipe for IdleLanes {
    const NAME: &'static str = "defect/idle-lanes";
    const SUMMARY: &'static str =
        "eight lanes with a maximum and a sum each, merged without a guard for a lane that met nothing";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C05",
        story: "rows narrower than two lanes of the merge are NaN: exp(-inf - -inf) is formed where both lanes were idle",
        families: &["tiny_n", "ordinary"],
        report: Some("https://github.com/gabrieldemarmiesse/torch-mojo-backend/pull/319"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::one_of("the number of lanes", 8.0, &[2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [1, 2, 3]", None));

    fn claims(op: Op, dtype: Dtype) -> Claims {
        let sum = Summation::Lanes { lanes: LANES, scalar_tail: false };
        Claims { sum, ..merged_claims(op, dtype, LANES.ilog2()) }
    }

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        lane_sum(row, terms, row.length())
    }

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        merged_lanes(row, row.length(), |row, before, max| Self::exp(row, before - max))
    }
}

pub(in super::super) struct MergedWithoutRescale;

impl Recipe for MergedWithoutRescale {
    const NAME: &'static str = "defect/merged-without-rescale";
    const SUMMARY: &'static str = "two halves of the row are summed relative to their own maxima, and the sums added";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "the sum of the half with the lower maximum is counted too high",
        families: &["ordinary", "sorted"],
        report: Some("https://github.com/KarhouTam/cuda-kernels/issues/3"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the number of parts", 2.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [1, 2]", Some("softmax f32 [2, 2]")));

    fn claims(op: Op, dtype: Dtype) -> Claims {
        merged_claims(op, dtype, 1)
    }

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        merged_parts(row, row.length(), |_, _, _| A::ONE)
    }
}

pub(in super::super) struct EmptyPartsMerged;

impl Recipe for EmptyPartsMerged {
    const NAME: &'static str = "defect/empty-parts-merged";
    const SUMMARY: &'static str =
        "8 parts with a maximum and a sum each are merged without a guard for two that are empty";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C06",
        story: "where the first two parts are masked throughout, exp(-inf - -inf) is formed, and what is merged afterwards stays NaN",
        families: &["masked"],
        report: Some("https://github.com/flashinfer-ai/flashinfer/issues/4051"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the number of parts", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("softmax f32 [-inf, -inf, 1, 2]", Some("softmax f32 [-inf, 1, -inf, 2]")));

    fn claims(op: Op, dtype: Dtype) -> Claims {
        merged_claims(op, dtype, LANES as u32 - 1)
    }

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        merged_parts(row, row.length(), |row, before, max| Self::exp(row, before - max))
    }
}

pub(in super::super) struct RescaleSkipped;

impl Recipe for RescaleSkipped {
    const NAME: &'static str = "defect/rescale-skipped";
    const SUMMARY: &'static str = "online softmax that does not rescale the running sum";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "weights relative to an earlier, lower maximum stay too large",
        families: &["ordinary", "sorted", "staircase"],
        report: Some("https://github.com/paiml/aprender/issues/2753"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 1.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [1, 2]", Some("softmax f32 [2, 1]")));
    const ONLINE: bool = true;

    fn block<A: Real>(row: &Row<A>) -> usize {
        row.length()
    }

    fn rescale<A: Real>(_: &Row<A>, _: A, _: A) -> A {
        A::ONE
    }
}

pub(in super::super) struct RescaleBelowThreshold;

impl Recipe for RescaleBelowThreshold {
    const NAME: &'static str = "defect/rescale-below-threshold";
    const SUMMARY: &'static str = "online softmax that skips the rescaling where the maximum rises by less than 1";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "the skipped rescaling needs the old maximum kept; here the new one is subtracted all the same",
        families: &["ordinary", "sorted"],
        report: Some("https://github.com/meta-pytorch/MSLK/pull/242"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::near("the threshold", 1.0, THRESHOLDS).along(parameter::rising));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [1, 1.5]", Some("softmax f32 [2, 1]")));
    const ONLINE: bool = true;

    fn rescale<A: Real>(row: &Row<A>, before: A, max: A) -> A {
        if max - before < row.value() { A::ONE } else { Self::exp(row, before - max) }
    }
}

pub(in super::super) struct LastAsMax;

impl Recipe for LastAsMax {
    const NAME: &'static str = "defect/last-as-max";
    const SUMMARY: &'static str = "online softmax that shifts by the latest logit instead of the running maximum";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "right until a logit falls by more than exp can reach: then the rescaling overflows",
        families: &["staircase"],
        report: Some("https://github.com/tile-ai/tilelang/pull/1148"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [200, 0]", Some("softmax f32 [0, 0]")));
    const ONLINE: bool = true;

    fn running_maximum<A: Real>(_: &Row<A>, max: A, z: A) -> A {
        if z == A::NEG_INFINITY { max } else { z }
    }
}

pub(in super::super) struct RescaledInBase2;

impl Recipe for RescaledInBase2 {
    const NAME: &'static str = "defect/rescaled-in-base-2";
    const SUMMARY: &'static str = "online softmax whose running sum is rescaled by a power of 2";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C30",
        story: "one exp was replaced by exp2 without the factor log2(e): states are merged in the wrong base",
        families: &["ordinary", "sorted"],
        report: Some("https://github.com/sgl-project/sglang/issues/40903"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 1.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [1, 2]", Some("softmax f32 [2, 1]")));
    const ONLINE: bool = true;

    fn block<A: Real>(row: &Row<A>) -> usize {
        row.length()
    }

    fn rescale<A: Real>(_: &Row<A>, before: A, max: A) -> A {
        (before - max).exp2()
    }
}

/// What may stand in a state that has met no class.
const STORED: &[f64] =
    &[-1e9, -1e4, -1e3, -100.0, -50.0, -20.0, -10.0, -2.0, -1.0, 0.0, 1.0, 2.0, 10.0, 50.0, 100.0, 1e3];

/// Rises from which a running sum is rescaled.
const THRESHOLDS: &[f64] = &[0.01, 0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0, 16.0, 20.0, 50.0, 88.0];

/// What a correct kernel claims whose partial sums, each relative to a maximum of its own, are merged in so many levels. A weight
/// passes through an exp (2 u) and a product (u) at each level, and the differences of the maxima are rounded, by `u d_i` at
/// most in all: an error of `u sum p_i d_i` in the sum, which is below `u log n`, 12 u in a row of 65536. Not sequential, as one
/// class more moves the others to other parts.
pub(in super::super) fn merged_claims(op: Op, dtype: Dtype, levels: u32) -> Claims {
    let exp = 2.0 + 3.0 * f64::from(levels) + 12.0;
    Claims { exp, online: Online::Sum, sequential: false, ..Shifted::claims(op, dtype) }
}

/// The factor of a sum that was relative to one maximum, and is to be relative to another.
type Factor<A> = fn(&Row<A>, A, A) -> A;

/// Two states of a maximum and a sum as one.
fn merged<A: Real>(row: &Row<A>, factor: Factor<A>, (a, s): (A, A), (b, t): (A, A)) -> (A, A) {
    let max = a.larger(b);
    (max, s * factor(row, a, max) + t * factor(row, b, max))
}

/// The normalizer of lanes with a maximum and a sum each, merged by halves. A lane that meets nothing keeps (-inf, 0).
pub(in super::super) fn merged_lanes<A: Real>(row: &Row<A>, lanes: usize, factor: Factor<A>) -> Normalizer<A> {
    let lane = |lane: usize| {
        let logits: Vec<A> = row.logits.iter().copied().skip(lane).step_by(lanes).collect();
        state(&Row { logits: &logits, ..*row })
    };
    let mut states: Vec<(A, A)> = (0..lanes).map(lane).collect();
    while states.len() > 1 {
        let upper = states.split_off(states.len() / 2);
        states.iter_mut().zip(upper).for_each(|(lower, upper)| *lower = merged(row, factor, *lower, upper));
    }
    let (max, sum) = states[0];
    Normalizer { max, sum, log_sum: Shifted::log(row, sum) }
}

/// The sum of lanes, added by halves; what is left over goes into the lanes, too.
pub(in super::super) fn lane_sum<A: Real>(row: &Row<A>, terms: &[A], count: usize) -> A {
    let mut lanes = vec![A::ZERO; count];
    terms.iter().enumerate().for_each(|(i, &term)| lanes[i % count] += term);
    Pairwise::sum(row, &lanes[..terms.len().min(count)])
}

/// The normalizer of so many parts of a row, merged one after the other.
pub(in super::super) fn merged_parts<A: Real>(row: &Row<A>, parts: usize, factor: Factor<A>) -> Normalizer<A> {
    let size = row.logits.len().div_ceil(parts).max(1);
    let parts = row.logits.chunks(size).map(|part| state(&Row { logits: part, ..*row }));
    let whole = parts.reduce(|left, right| merged(row, factor, left, right));
    let (max, sum) = whole.unwrap_or_else(|| state(row));
    Normalizer { max, sum, log_sum: Shifted::log(row, sum) }
}

/// The maximum of some logits, and the sum of their weights: (-inf, 0) where there is no class among them.
fn state<A: Real>(row: &Row<A>) -> (A, A) {
    let Normalizer { max, sum, .. } = Shifted::normalizer(row);
    (max, if max == A::NEG_INFINITY { A::ZERO } else { sum })
}
