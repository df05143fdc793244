//! Planted defects: the textbook with one step written as somebody once wrote it. What is overridden is the defect.
//!
//! Each is named after what it does, carries its class in the catalogue of defects seen in real kernels (C01 to C40), and
//! names the families of inputs that must expose it. They claim what the textbook does, which is what their authors believed.

use super::Defect;
use super::recipe::{Normalizer, Recipe, Row, loss_of_log_probabilities};
use super::stable::Shifted;
use crate::dtype::Dtype;
use crate::kernel::Real;

/// The lanes of a vector register that lane defects are written for: eight f32 in 256 bits.
const LANES: usize = 8;

pub(super) struct LseUnguardedInfinity;

impl Recipe for LseUnguardedInfinity {
    const NAME: &'static str = "defect/lse-unguarded-infinity";
    const SUMMARY: &'static str = "log-sum-exp adds log S to an infinite maximum";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C01",
        story: "the log-sum-exp of a fully masked row, or of a row with +inf, is NaN: inf - inf was formed",
        families: &["fully_masked", "pos_inf"],
    });

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        max + log_sum
    }
}

pub(super) struct LseWrongInfinity;

impl Recipe for LseWrongInfinity {
    const NAME: &'static str = "defect/lse-wrong-infinity";
    const SUMMARY: &'static str = "log-sum-exp answers minus infinity whenever the maximum is infinite";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C02",
        story: "the guard was written for masked rows and also catches +inf",
        families: &["pos_inf"],
    });

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        if max.is_infinite() { A::NEG_INFINITY } else { max + log_sum }
    }
}

pub(super) struct MaskedByLength;

impl Recipe for MaskedByLength {
    const NAME: &'static str = "defect/masked-by-length";
    const SUMMARY: &'static str = "a fully masked row is all 0 up to 127 classes and NaN above";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C03",
        story: "only the kernel for short rows has the guard: either answer is accepted, both of them are not",
        families: &["fully_masked"],
    });

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        let short = row.logits.len() < 128;
        if short && normalizer.max == A::NEG_INFINITY { A::ZERO } else { Shifted::probability(row, z, normalizer) }
    }
}

pub(super) struct MaskedUniform;

impl Recipe for MaskedUniform {
    const NAME: &'static str = "defect/masked-uniform";
    const SUMMARY: &'static str = "every class of a fully masked row gets the weight 1";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C04",
        story: "z - max of -inf - -inf was patched to 0: a row without a class becomes a plausible uniform distribution",
        families: &["fully_masked"],
    });

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        if max == A::NEG_INFINITY { A::ONE } else { Self::exp(row, z - max) }
    }
}

pub(super) struct UnguardedOnline;

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

pub(super) struct MaskedStateZero;

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

pub(super) struct WrongRescale;

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

pub(super) struct MaxStartsAtZero;

impl Recipe for MaxStartsAtZero {
    const NAME: &'static str = "defect/max-starts-at-zero";
    const SUMMARY: &'static str = "the maximum is searched from 0 instead of minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C08",
        story: "where all logits are far below 0 every weight underflows, and the row is 0 / 0",
        families: &["all_negative"],
    });

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.iter().fold(A::ZERO, |max, &z| max.larger(z))
    }
}

pub(super) struct MaxSkipsTail;

impl Recipe for MaxSkipsTail {
    const NAME: &'static str = "defect/max-skips-tail";
    const SUMMARY: &'static str = "the maximum is taken over whole blocks of 8 and forgets what is left over";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C09",
        story: "a logit in the tail that towers over the rest overflows; a smaller one only costs accuracy",
        families: &["spike"],
    });

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let seen = if row.logits.len() < LANES { row.logits.len() } else { row.logits.len() / LANES * LANES };
        row.logits[..seen].iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z))
    }
}

pub(super) struct FiniteMaskSentinel;

impl Recipe for FiniteMaskSentinel {
    const NAME: &'static str = "defect/finite-mask-sentinel";
    const SUMMARY: &'static str = "minus infinity is written as -1e4 where the search for the maximum starts";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C10",
        story: "logits below the sentinel are real, and every weight of such a row underflows",
        families: &["all_negative", "offset", "extreme"],
    });

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.iter().fold(A::from_f64(-1e4), |max, &z| max.larger(z))
    }
}

pub(super) struct NanDroppingMax;

impl Recipe for NanDroppingMax {
    const NAME: &'static str = "defect/nan-dropping-max";
    const SUMMARY: &'static str = "the maximum is kept by a comparison that is false for NaN";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C13",
        story: "NaN beside an infinity never reaches the log-sum-exp, whose guard answers with the infinity",
        families: &["nan"],
    });

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.iter().fold(A::NEG_INFINITY, |max, &z| if z > max { z } else { max })
    }
}

pub(super) struct HalfSum;

impl Recipe for HalfSum {
    const NAME: &'static str = "defect/half-sum";
    const SUMMARY: &'static str = "every addition is rounded to f16 or bf16 in those, to bf16 in f32, to f32 in f64";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C14",
        story: "the sum stops growing once a term is below half an ulp of it",
        families: &["ordinary", "ties", "long"],
    });

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        let narrow = match row.dtype {
            Dtype::F16 => Dtype::F16,
            Dtype::Bf16 | Dtype::F32 => Dtype::Bf16,
            Dtype::F64 => Dtype::F32,
        };
        terms.iter().fold(A::ZERO, |sum, &term| A::from_f64(narrow.round((sum + term).to_f64())))
    }
}

pub(super) struct SubtractLse;

impl Recipe for SubtractLse {
    const NAME: &'static str = "defect/subtract-lse";
    const SUMMARY: &'static str = "log-softmax and the loss subtract max + log S at once";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C15",
        story: "log S is absorbed by a large maximum: the loss of [1e8, 1e8] is 0 instead of log 2",
        families: &["offset", "extreme"],
    });

    fn log_probability<A: Real>(_: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        z - (normalizer.max + normalizer.log_sum)
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

pub(super) struct LowPrecisionStore;

impl Recipe for LowPrecisionStore {
    const NAME: &'static str = "defect/low-precision-store";
    const SUMMARY: &'static str = "the backward pass reads probabilities that were stored in bf16";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C17",
        story: "p - 1 of a confident row is lost: 0.999 and 1 are the same number in bf16",
        families: &["ordinary", "dominant"],
    });

    fn saved<A: Real>(_: &Row<A>, probabilities: Vec<A>) -> Vec<A> {
        probabilities.iter().map(|p| A::from_f64(Dtype::Bf16.round(p.to_f64()))).collect()
    }
}

pub(super) struct GradientThroughDivision;

impl Recipe for GradientThroughDivision {
    const NAME: &'static str = "defect/gradient-through-division";
    const SUMMARY: &'static str = "the log-softmax product divides by the probability before it multiplies by it";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C18",
        story: "a probability of 0 gives 0 * inf, and a masked class a NaN gradient",
        families: &["masked", "dominant"],
    });

    fn log_softmax_vjp<A: Real>(row: &Row<A>) -> Vec<A> {
        let probabilities = Self::saved(row, Self::softmax(row));
        let total = Self::sum(row, row.direction);
        probabilities.iter().zip(row.direction).map(|(&p, &g)| p * (g / p - total)).collect()
    }
}

pub(super) struct ZeroTimesLogZero;

impl Recipe for ZeroTimesLogZero {
    const NAME: &'static str = "defect/zero-times-log-zero";
    const SUMMARY: &'static str = "the loss adds q * distance over all classes, also where q is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C19",
        story: "a masked class that has no mass adds 0 * inf, and the loss is NaN",
        families: &["masked"],
    });

    fn expected<A: Real>(row: &Row<A>, values: &[A]) -> A {
        let terms = values.iter().enumerate().map(|(class, &value)| Self::target_mass(row, class) * value);
        Self::sum(row, &terms.collect::<Vec<A>>())
    }
}

pub(super) struct SmoothingOfMasked;

impl Recipe for SmoothingOfMasked {
    const NAME: &'static str = "defect/smoothing-of-masked";
    const SUMMARY: &'static str = "the smoothing term is added also where the smoothing is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C20",
        story: "0 * inf of a masked class makes a loss NaN that was never smoothed",
        families: &["masked"],
    });

    fn expected<A: Real>(row: &Row<A>, values: &[A]) -> A {
        let smoothing = row.label_smoothing;
        (A::ONE - smoothing) * values[row.target] + smoothing * (Self::sum(row, values) / row.count())
    }
}

pub(super) struct EpsilonInLog;

impl Recipe for EpsilonInLog {
    const NAME: &'static str = "defect/epsilon-in-log";
    const SUMMARY: &'static str = "log-softmax and the loss are log(p + 1e-8)";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C22",
        story: "the loss of a confident wrong row never exceeds 18.4",
        families: &["confident_wrong", "dominant"],
    });

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::log(row, Self::probability(row, z, normalizer) + A::from_f64(1e-8))
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

pub(super) struct MaxClipped;

impl Recipe for MaxClipped {
    const NAME: &'static str = "defect/max-clipped";
    const SUMMARY: &'static str = "the maximum is clipped from below at -64";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C22",
        story: "rows far below the clip underflow as a whole; rows near it only lose accuracy, so small tests pass",
        families: &["all_negative"],
    });

    fn maximum<A: Real>(row: &Row<A>) -> A {
        A::from_f64(-64.0).larger(Shifted::maximum(row))
    }
}

pub(super) struct ExpClamped;

impl Recipe for ExpClamped {
    const NAME: &'static str = "defect/exp-clamped";
    const SUMMARY: &'static str = "the argument of exp is clamped at the log of the least normal number of the dtype";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "a vectorised exp that never reaches 0: masked classes keep a weight",
        families: &["masked", "dominant", "confident_wrong"],
    });

    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        let least = A::from_f64(row.dtype.format().least_normal().ln());
        if x < least { least.exp() } else { x.exp() }
    }
}

pub(super) struct Base2Lse;

impl Recipe for Base2Lse {
    const NAME: &'static str = "defect/base2-lse";
    const SUMMARY: &'static str = "log-sum-exp adds the base-2 logarithm of S";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C30",
        story: "a kernel that works in base 2 stores its log-sum-exp without going back to nats",
        families: &["ordinary", "ties"],
    });

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        if max.is_infinite() { max } else { max + log_sum * A::from_f64(std::f64::consts::LOG2_E) }
    }
}

pub(super) struct PaddedWithZero;

impl Recipe for PaddedWithZero {
    const NAME: &'static str = "defect/padded-with-zero";
    const SUMMARY: &'static str = "the row is padded to a multiple of 8 with 0 instead of minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C33",
        story: "the padding takes part in the softmax; it shows unless the logits are far above 0",
        families: &["ordinary", "all_negative", "tiny_n"],
    });

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let mut padded = row.logits.to_vec();
        padded.resize(padded.len().next_multiple_of(LANES), A::ZERO);
        Shifted::normalizer(&Row { logits: &padded, ..*row })
    }
}

pub(super) struct EmptyPanics;

impl Recipe for EmptyPanics {
    const NAME: &'static str = "defect/empty-panics";
    const SUMMARY: &'static str = "the maximum starts from the first logit";
    const DEFECT: Option<Defect> =
        Some(Defect { class: "C35", story: "a row without a logit has no first one", families: &["tiny_n"] });

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.iter().fold(row.logits[0], |max, &z| max.larger(z))
    }
}

pub(super) struct NarrowIndex;

impl Recipe for NarrowIndex {
    const NAME: &'static str = "defect/narrow-index";
    const SUMMARY: &'static str = "sums count their terms in 8 bits";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C36",
        story: "a row of 256 classes and more is added up only in part",
        families: &["long", "very_long"],
    });

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        Shifted::sum(row, &terms[..usize::from(terms.len() as u8)])
    }
}
