//! Infinities, NaN and rows without a class (C01 to C04, C13): guards that are missing, too narrow, or answer the wrong thing.

use super::super::parameter::{LENGTHS, Parameter};
use super::super::recipe::{Normalizer, Recipe, Row};
use super::super::stable::Shifted;
use super::super::{Defect, Examples};
use crate::kernel::Real;

pub(in super::super) struct LseUnguardedInfinity;

impl Recipe for LseUnguardedInfinity {
    const NAME: &'static str = "defect/lse-unguarded-infinity";
    const SUMMARY: &'static str = "log-sum-exp adds log S to an infinite maximum";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C01",
        story: "the log-sum-exp of a fully masked row, or of a row with +inf, is NaN: inf - inf was formed",
        families: &["fully_masked", "pos_inf"],
        report: Some("https://github.com/stan-dev/posterior/issues/399"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("logsumexp f32 [-inf, -inf]", Some("logsumexp f32 [1, -2, 3]")));

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        max + log_sum
    }
}

pub(in super::super) struct LseWrongInfinity;

impl Recipe for LseWrongInfinity {
    const NAME: &'static str = "defect/lse-wrong-infinity";
    const SUMMARY: &'static str = "log-sum-exp answers minus infinity whenever the maximum is infinite";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C02",
        story: "the guard was written for masked rows and also catches +inf",
        families: &["pos_inf"],
        report: Some("https://github.com/hmmlearn/hmmlearn/issues/363"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words(
        "the answer",
        &[
            "minus infinity",
            "+inf",
            "0",
            "NaN",
            "the lowest number",
            "the largest number",
            "0 where the maximum is minus infinity",
            "the lowest number where it is minus infinity",
            "+inf where it is minus infinity",
            "0 where it is +inf",
            "the largest number where it is +inf",
        ],
    ));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("logsumexp f32 [inf, 0]", Some("logsumexp f32 [-inf, -inf]")));

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        let largest = row.dtype.format().largest();
        let answers = [f64::NEG_INFINITY, f64::INFINITY, 0.0, f64::NAN, -largest, largest];
        let (answer, is_meant) = match row.parameter as usize {
            place @ 0..=5 => (answers[place], true),
            place @ 6..=8 => ([0.0, -largest, f64::INFINITY][place - 6], max == A::NEG_INFINITY),
            9 => (0.0, max != A::NEG_INFINITY),
            _ => (largest, max != A::NEG_INFINITY),
        };
        match max.is_infinite() {
            true if is_meant => A::from_f64(answer),
            true => max,
            false => max + log_sum,
        }
    }
}

pub(in super::super) struct MaskedByLength;

impl Recipe for MaskedByLength {
    const NAME: &'static str = "defect/masked-by-length";
    const SUMMARY: &'static str = "a fully masked row is all 0 up to 127 classes and NaN above";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C03",
        story: "only the kernel for short rows has the guard: either answer is accepted, both of them are not",
        families: &["fully_masked"],
        report: Some("https://github.com/ml-explore/mlx/issues/1467"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the first length of NaN", 128.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-inf*127]", Some("softmax f32 [-inf*128]")));

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        let short = row.logits.len() < row.length();
        if short && normalizer.max == A::NEG_INFINITY { A::ZERO } else { Shifted::probability(row, z, normalizer) }
    }
}

pub(in super::super) struct MaskedUniform;

impl Recipe for MaskedUniform {
    const NAME: &'static str = "defect/masked-uniform";
    const SUMMARY: &'static str = "every class of a fully masked row gets the weight 1";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C04",
        story: "z - max of -inf - -inf was patched to 0: a row without a class becomes a plausible uniform distribution",
        families: &["fully_masked"],
        report: Some("https://github.com/tenstorrent/tt-metal/issues/56056"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-inf, -inf]", Some("softmax f32 [-inf, 1]")));

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        if max == A::NEG_INFINITY { A::ONE } else { Self::exp(row, z - max) }
    }
}

pub(in super::super) struct NanDroppingMax;

impl Recipe for NanDroppingMax {
    const NAME: &'static str = "defect/nan-dropping-max";
    const SUMMARY: &'static str = "the maximum is kept by a comparison that is false for NaN";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C13",
        story: "NaN beside an infinity never reaches the log-sum-exp, whose guard answers with the infinity",
        families: &["nan"],
        report: Some("https://github.com/intel/torch-xpu-ops/pull/5022"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("logsumexp f32 [nan, -inf]", Some("logsumexp f32 [nan, 0]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.iter().fold(A::NEG_INFINITY, |max, &z| Self::running_maximum(row, max, z))
    }

    fn running_maximum<A: Real>(_: &Row<A>, max: A, z: A) -> A {
        if z > max { z } else { max }
    }
}

pub(in super::super) struct LseGuardsOnlyMinus;

impl Recipe for LseGuardsOnlyMinus {
    const NAME: &'static str = "defect/lse-guards-only-minus";
    const SUMMARY: &'static str = "log-sum-exp answers an infinite maximum itself only where it is minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C01",
        story: "the guard was written for masked rows: +inf still forms inf - inf",
        families: &["pos_inf"],
        report: Some("https://github.com/tensorflow/tensorflow/pull/115123"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("logsumexp f32 [inf, 0]", Some("logsumexp f32 [-inf, -inf]")));

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        if max == A::NEG_INFINITY { max } else { max + log_sum }
    }
}

pub(in super::super) struct LseGuardsOnlyPlus;

impl Recipe for LseGuardsOnlyPlus {
    const NAME: &'static str = "defect/lse-guards-only-plus";
    const SUMMARY: &'static str = "log-sum-exp answers an infinite maximum itself only where it is +inf";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C01",
        story: "the guard was written for overflow: a fully masked row still forms inf - inf",
        families: &["fully_masked"],
        report: Some("https://github.com/microsoft/onnxruntime/issues/28461"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("logsumexp f32 [-inf, -inf]", Some("logsumexp f32 [inf, 0]")));

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        if -max == A::NEG_INFINITY { max } else { max + log_sum }
    }
}

pub(in super::super) struct MaskedAsserts;

impl Recipe for MaskedAsserts {
    const NAME: &'static str = "defect/masked-asserts";
    const SUMMARY: &'static str = "the sum of the weights is asserted to be positive";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C03",
        story: "a row without a class stops the program instead of being answered",
        families: &["fully_masked"],
        report: Some("https://github.com/ggml-org/llama.cpp/issues/9222"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-inf, -inf]", Some("softmax f32 [-inf, 1]")));

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let normalizer = Shifted::normalizer(row);
        assert!(
            normalizer.sum > A::ZERO || normalizer.max != A::NEG_INFINITY,
            "the sum of the weights is not positive"
        );
        normalizer
    }
}

pub(in super::super) struct ZeroSumUniform;

impl Recipe for ZeroSumUniform {
    const NAME: &'static str = "defect/zero-sum-uniform";
    const SUMMARY: &'static str = "a sum of 0 is answered with 1 / n";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C04",
        story: "a guard against 0 / 0 turns a row without a class into a plausible distribution",
        families: &["fully_masked"],
        report: Some("https://github.com/microsoft/onnxruntime/pull/4129"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-inf, -inf]", Some("softmax f32 [-inf, 1]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let max = Shifted::maximum(row);
        if max == A::NEG_INFINITY { A::ZERO } else { max }
    }

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        if normalizer.sum == A::ZERO { A::ONE / row.count() } else { Shifted::probability(row, z, normalizer) }
    }
}

pub(in super::super) struct NanAsMasked;

impl Recipe for NanAsMasked {
    const NAME: &'static str = "defect/nan-as-masked";
    const SUMMARY: &'static str = "NaN is dropped by the maximum, and its weight is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C13",
        story: "a row with NaN gets a plausible distribution over the other classes",
        families: &["nan"],
        report: Some("https://github.com/ohdearquant/lattice/issues/740"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [nan, 0]", Some("softmax f32 [1, -2, 3]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        NanDroppingMax::maximum(row)
    }

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        if z.is_nan() { A::ZERO } else { Shifted::weight(row, z, max) }
    }
}

pub(in super::super) struct LseGuardsSingle;

impl Recipe for LseGuardsSingle {
    const NAME: &'static str = "defect/lse-guards-single";
    const SUMMARY: &'static str =
        "log-sum-exp has a short cut for one logit, and no guard for an infinite maximum of more";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C01",
        story: "the short cut hides what is missing: one masked class is answered, two of them form inf - inf",
        families: &["fully_masked", "pos_inf"],
        report: Some("https://github.com/HenrikBengtsson/matrixStats/issues/84"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("logsumexp f32 [-inf, -inf]", Some("logsumexp f32 [-inf]")));

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        match *row.logits {
            [only] => only,
            _ => LseUnguardedInfinity::logsumexp(row),
        }
    }
}

pub(in super::super) struct MaskedAsLowest;

impl Recipe for MaskedAsLowest {
    const NAME: &'static str = "defect/masked-as-lowest";
    const SUMMARY: &'static str = "minus infinity is read as the lowest number of the dtype";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C04",
        story: "z - max is 0 in a row without a class, where no guard against minus infinity takes effect any more",
        families: &["fully_masked"],
        report: Some("https://github.com/NVIDIA/TensorRT-LLM/issues/17477"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-inf, -inf]", Some("softmax f32 [-inf, 1]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        Shifted::maximum(row).larger(lowest(row))
    }

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        Shifted::weight(row, z.larger(lowest(row)), max)
    }
}

/// The lowest number of the dtype.
fn lowest<A: Real>(row: &Row<A>) -> A {
    A::from_f64(-row.dtype.format().largest())
}

pub(in super::super) struct NanClamped;

impl Recipe for NanClamped {
    const NAME: &'static str = "defect/nan-clamped";
    const SUMMARY: &'static str = "the argument of exp is clamped to 0 from above, by a minimum that drops NaN";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C13",
        story: "z - max is NaN for every class of a row with NaN, and each of them gets the weight 1",
        families: &["nan"],
        report: Some("https://github.com/tenstorrent/tt-metal/issues/51470"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [nan, 0]", Some("softmax f32 [1, -2, 3]")));

    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        if x < A::ZERO { x.exp() } else { A::ONE }
    }
}

pub(in super::super) struct NanUnnormalised;

impl Recipe for NanUnnormalised {
    const NAME: &'static str = "defect/nan-unnormalised";
    const SUMMARY: &'static str =
        "NaN is dropped by the maximum, and weights are divided only by a sum that is above 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C13",
        story: "a sum of NaN is not above 0: NaN stays in its own slot, beside weights that add up to anything",
        families: &["nan"],
        report: Some("https://github.com/ohdearquant/lattice/pull/375"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [nan, 0]", Some("softmax f32 [1, -2, 3]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        NanDroppingMax::maximum(row)
    }

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        let weight = Self::weight(row, z, normalizer.max);
        if normalizer.sum > A::ZERO { weight / normalizer.sum } else { weight }
    }
}
