//! State that is carried from logit to logit or from lane to lane, and merged (C05, C07): what online softmax gets wrong.

use super::super::Defect;
use super::super::recipe::{Normalizer, Recipe, Row};
use super::super::stable::Shifted;
use super::LANES;
use crate::kernel::Real;

pub(in super::super) struct UnguardedOnline;

impl Recipe for UnguardedOnline {
    const NAME: &'static str = "defect/unguarded-online";
    const SUMMARY: &'static str = "online softmax without a guard while the running maximum is minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C05",
        story: "a leading masked class makes the running sum NaN, and it stays NaN",
        families: &["masked"],
    });
    const ONLINE: bool = true;

    fn only_masked<A: Real>(_: &Row<A>, _: A) -> bool {
        false
    }
}

/// Reported in <https://github.com/Dao-AILab/flash-attention/issues/2082>.
pub(in super::super) struct MaskedStateZero;

impl Recipe for MaskedStateZero {
    const NAME: &'static str = "defect/masked-state-zero";
    const SUMMARY: &'static str = "online softmax that stores 0 for a running maximum of minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "the guard against NaN is written into the carried state: after a leading mask it is 0 at least",
        families: &["masked"],
    });
    const ONLINE: bool = true;

    fn running_maximum<A: Real>(_: &Row<A>, max: A, z: A) -> A {
        let max = max.larger(z);
        if max == A::NEG_INFINITY { A::ZERO } else { max }
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
    });
    const ONLINE: bool = true;

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
    });
    const ONLINE: bool = true;
    const BLOCK: usize = LANES;

    fn only_masked<A: Real>(_: &Row<A>, _: A) -> bool {
        false
    }
}

/// Reported in <https://github.com/gabrieldemarmiesse/torch-mojo-backend/pull/319>.
pub(in super::super) struct IdleLanes;

impl Recipe for IdleLanes {
    const NAME: &'static str = "defect/idle-lanes";
    const SUMMARY: &'static str =
        "eight lanes with a maximum and a sum each, merged without a guard for a lane that met nothing";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C05",
        story: "rows narrower than two lanes of the merge are NaN: exp(-inf - -inf) is formed where both lanes were idle",
        families: &["tiny_n", "ordinary"],
    });
    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let lane = |lane: usize| {
            let logits: Vec<A> = row.logits.iter().copied().skip(lane).step_by(LANES).collect();
            let lane = Row { logits: &logits, ..*row };
            if logits.is_empty() { (A::NEG_INFINITY, A::ZERO) } else { state::<A>(&lane) }
        };
        let merge = |(a, s): (A, A), (b, t): (A, A)| {
            let max = a.larger(b);
            (max, s * Self::exp(row, a - max) + t * Self::exp(row, b - max))
        };
        let halves = (0..LANES / 2).map(|i| merge(lane(i), lane(i + LANES / 2)));
        let (max, sum) = halves.reduce(merge).unwrap_or((A::NEG_INFINITY, A::ZERO));
        Normalizer { max, sum, log_sum: Self::log(row, sum) }
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
    });
    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let (left, right) = row.logits.split_at(row.logits.len().div_ceil(2));
        let (a, s) = state(&Row { logits: left, ..*row });
        let (b, t) = if right.is_empty() { (a, A::ZERO) } else { state(&Row { logits: right, ..*row }) };
        let sum = s + t;
        Normalizer { max: a.larger(b), sum, log_sum: Self::log(row, sum) }
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
    });
    const ONLINE: bool = true;

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
    });
    const ONLINE: bool = true;

    fn rescale<A: Real>(row: &Row<A>, before: A, max: A) -> A {
        if max - before < A::ONE { A::ONE } else { Self::exp(row, before - max) }
    }
}

/// Reported in <https://github.com/tile-ai/tilelang/pull/1148>.
pub(in super::super) struct LastAsMax;

impl Recipe for LastAsMax {
    const NAME: &'static str = "defect/last-as-max";
    const SUMMARY: &'static str = "online softmax that shifts by the latest logit instead of the running maximum";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C07",
        story: "right until a logit falls by more than exp can reach: then the rescaling overflows",
        families: &["staircase"],
    });
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
    });
    const ONLINE: bool = true;

    fn rescale<A: Real>(_: &Row<A>, before: A, max: A) -> A {
        (before - max).exp2()
    }
}

/// The maximum of some logits, and the sum of their weights.
fn state<A: Real>(row: &Row<A>) -> (A, A) {
    let Normalizer { max, sum, .. } = Shifted::normalizer(row);
    (max, sum)
}
