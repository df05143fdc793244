//! The maximum and what is subtracted (C08 to C11, C22): a wrong one cancels in ordinary rows, and shows only beyond the range of exp.

use super::super::parameter::{self, CUTS, LENGTHS, Parameter};
use super::super::recipe::{Normalizer, Recipe, Row};
use super::super::stable::Shifted;
use super::super::{Defect, Examples};
use crate::kernel::Real;

pub(in super::super) struct MaxStartsAtZero;

impl Recipe for MaxStartsAtZero {
    const NAME: &'static str = "defect/max-starts-at-zero";
    const SUMMARY: &'static str = "the maximum is searched from 0 instead of minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C08",
        story: "where all logits are far below 0 every weight underflows, and the row is 0 / 0",
        families: &["all_negative"],
        report: Some("https://github.com/FluxML/NNlib.jl/pull/43"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::near("the start", 0.0, STARTS).along(parameter::equal).also(&["defect/max-clipped"]));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-150, -151]", Some("softmax f32 [1, -2, 3]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.iter().fold(row.value(), |max, &z| max.larger(z))
    }

    fn running_maximum<A: Real>(row: &Row<A>, max: A, z: A) -> A {
        max.larger(row.value()).larger(z)
    }
}

pub(in super::super) struct MaxSkipsTail;

impl Recipe for MaxSkipsTail {
    const NAME: &'static str = "defect/max-skips-tail";
    const SUMMARY: &'static str = "the maximum is taken over whole blocks of 8 and forgets what is left over";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C09",
        story: "a logit in the tail that towers over the rest overflows; a smaller one only costs accuracy",
        families: &["spike"],
        report: Some("https://github.com/ggml-org/ggml/pull/1534"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(
        Examples::new("softmax f32 [0*16, 120, 0, 0]", Some("softmax f32 [1, -2, 3]"))
            .of_length(9, "a tail needs a block of 8 before it"),
    );

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let (n, block) = (row.logits.len(), row.length());
        let seen = if n < block { n } else { n / block * block };
        row.logits[..seen].iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z))
    }
}

pub(in super::super) struct FiniteMaskSentinel;

impl Recipe for FiniteMaskSentinel {
    const NAME: &'static str = "defect/finite-mask-sentinel";
    const SUMMARY: &'static str = "minus infinity is written as -1e4 where the search for the maximum starts";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C10",
        story: "logits below the sentinel are real, and every weight of such a row underflows",
        families: &["all_negative", "offset", "extreme"],
        report: Some("https://github.com/flashinfer-ai/flashinfer/issues/4267"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::near("the start", -1e4, SENTINELS).along(parameter::equal));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("softmax f32 [-2e4, -2e4]", Some("softmax f32 [-200, -201]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.iter().fold(row.value(), |max, &z| max.larger(z))
    }
}

pub(in super::super) struct MaxClipped;

impl Recipe for MaxClipped {
    const NAME: &'static str = "defect/max-clipped";
    const SUMMARY: &'static str = "the maximum is clipped from below at -64";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C22",
        story: "rows far below the clip underflow as a whole; rows near it only lose accuracy, so small tests pass",
        families: &["all_negative"],
        report: Some("https://github.com/PaddlePaddle/Paddle/pull/21165"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-170, -171]", Some("softmax f32 [-10, -11]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        A::from_f64(-64.0).larger(Shifted::maximum(row))
    }
}

pub(in super::super) struct MaxStartsAtLeastNormal;

impl Recipe for MaxStartsAtLeastNormal {
    const NAME: &'static str = "defect/max-starts-at-least-normal";
    const SUMMARY: &'static str = "the maximum is searched from the least positive normal number";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C08",
        story: "FLT_MIN was taken for the lowest number: rows far below 0 underflow as a whole",
        families: &["all_negative"],
        report: Some("https://github.com/mit-han-lab/tinyengine/issues/107"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-150, -151]", Some("softmax f32 [1, -2, 3]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        A::from_f64(row.dtype.format().least_normal()).larger(Shifted::maximum(row))
    }
}

pub(in super::super) struct MaxOfPadded;

impl Recipe for MaxOfPadded {
    const NAME: &'static str = "defect/max-of-padded";
    const SUMMARY: &'static str =
        "the maximum is taken over whole blocks of 8, of which the missing logits are read as 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C08",
        story: "the sum leaves the padding out, the maximum does not: tails far below 0 underflow as a whole",
        families: &["all_negative"],
        report: Some("https://github.com/m0at/rvllm/pull/1"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-150, -151]", Some("softmax f32 [-150*8]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let max = Shifted::maximum(row);
        if row.logits.len().is_multiple_of(row.length()) { max } else { max.larger(A::ZERO) }
    }
}

pub(in super::super) struct MaxSkipsFirst;

impl Recipe for MaxSkipsFirst {
    const NAME: &'static str = "defect/max-skips-first";
    const SUMMARY: &'static str = "the maximum is searched from the second logit on";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C09",
        story: "a first logit that towers over the rest overflows; a smaller one only costs accuracy",
        families: &["spike"],
        report: Some("https://github.com/pytorch/pytorch/pull/3244"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::one_of("the first logit seen, counted from 0,", 1.0, &[1.0, 2.0, 3.0, 4.0, 8.0]));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [120, 0]", Some("softmax f32 [0, 120]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let first = row.length().min(row.logits.len().saturating_sub(1));
        row.logits[first..].iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z))
    }
}

pub(in super::super) struct FirstAsMax;

impl Recipe for FirstAsMax {
    const NAME: &'static str = "defect/first-as-max";
    const SUMMARY: &'static str = "the first logit is subtracted instead of the maximum";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C09",
        story: "right until a later logit is so far above the first one that exp overflows",
        families: &["spike", "staircase"],
        report: Some("https://github.com/ROCm/AMDMIGraphX/pull/1290"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, 120]", Some("softmax f32 [3, -2, 1]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.logits.first().copied().unwrap_or(A::NEG_INFINITY)
    }
}

pub(in super::super) struct MaxOfHalfVectors;

impl Recipe for MaxOfHalfVectors {
    const NAME: &'static str = "defect/max-of-half-vectors";
    const SUMMARY: &'static str = "of every 8 logits the maximum sees the first 4";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C09",
        story: "the maximum of the second half of each vector is stored over, and a spike there overflows",
        families: &["spike"],
        report: Some("https://github.com/pytorch/pytorch/pull/156379"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the vector", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(
        Examples::new("softmax f32 [0*4, 120, 0*3]", Some("softmax f32 [0, 120, 0, 0, 0, 0, 0]"))
            .of_length(8, "half of a vector of 8 is not seen"),
    );

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let length = row.length();
        let half = |chunk: &'_ [A]| if chunk.len() == length { chunk.len().div_ceil(2) } else { chunk.len() };
        let seen = row.logits.chunks(length).flat_map(|chunk| &chunk[..half(chunk)]);
        seen.fold(A::NEG_INFINITY, |max, &z| max.larger(z))
    }
}

pub(in super::super) struct Unshifted;

impl Recipe for Unshifted {
    const NAME: &'static str = "defect/unshifted";
    const SUMMARY: &'static str = "no maximum is subtracted";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C11",
        story: "exp overflows (above 88.7 in f32, 709.8 in f64), and far below 0 all weights underflow",
        families: &["spike", "all_negative"],
        report: Some("https://github.com/uTensor/uTensor/issues/175"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::near("the number subtracted", 0.0, CONSTANTS).along(parameter::equal));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [120, 0]", Some("softmax f32 [0, -2, -3]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        row.value()
    }

    fn running_maximum<A: Real>(row: &Row<A>, _: A, _: A) -> A {
        row.value()
    }
}

pub(in super::super) struct FiniteMaskValue;

impl Recipe for FiniteMaskValue {
    const NAME: &'static str = "defect/finite-mask-value";
    const SUMMARY: &'static str = "a masked class is read as -1e9";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C10",
        story: "classes below the mask are real, and the masked one takes their place",
        families: &["masked", "fully_masked"],
        report: Some("https://github.com/ohdearquant/lattice/issues/361"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(
        &Parameter::near("the value of a masked class", -1e9, SENTINELS)
            .along(parameter::beside_a_mask)
            .also(&["defect/masked-as-lowest"]),
    );
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [-inf, -1e10]", Some("softmax f32 [-inf, 1]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let masked: Vec<A> = row.logits.iter().map(|&z| unmasked(row, z)).collect();
        Shifted::maximum(&Row { logits: &masked, ..*row })
    }

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        Shifted::weight(row, unmasked(row, z), max)
    }
}

pub(in super::super) struct ShiftedClipped;

impl Recipe for ShiftedClipped {
    const NAME: &'static str = "defect/shifted-clipped";
    const SUMMARY: &'static str =
        "what is left of a logit after the maximum was subtracted is clipped from below at -64";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C22",
        story: "meant to keep log from 0: masked classes get a weight, and all classes beyond the clip the same",
        families: &["masked", "confident_wrong", "dominant"],
        report: Some("https://github.com/PaddlePaddle/Paddle/issues/4366"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::near("the clip", -64.0, CUTS).along(parameter::from_zero).also(&["defect/exp-clamped"]));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, -64.5]", Some("softmax f32 [0, -64]")));

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        Self::exp(row, row.value().larger(z - max))
    }
}

pub(in super::super) struct MinimumAsMax;

impl Recipe for MinimumAsMax {
    const NAME: &'static str = "defect/minimum-as-max";
    const SUMMARY: &'static str = "the least logit is subtracted instead of the maximum";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C09",
        story: "a comparison the wrong way round: right until a logit is so far above the least one that exp overflows",
        families: &["spike", "masked"],
        report: Some("https://github.com/shogun-toolbox/shogun/issues/2889"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, 120]", Some("softmax f32 [2, 2]")));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        -row.logits.iter().fold(A::NEG_INFINITY, |max, &z| max.larger(-z))
    }
}

pub(in super::super) struct TailUnshifted;

impl Recipe for TailUnshifted {
    const NAME: &'static str = "defect/tail-unshifted";
    const SUMMARY: &'static str = "the sum takes the last block of 8 as exp(z) instead of exp(z - max)";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C11",
        story: "the branch for the block that may be partial lacks the subtraction: all is scaled by exp(max) or part of it",
        families: &["ordinary", "spike", "tiny_n"],
        report: Some("https://github.com/tenstorrent/tt-metal/issues/51278"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [1, -2, 3]", Some("softmax f32 [0, -2, -3]")));

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let max = Self::maximum(row);
        let last = row.logits.len().saturating_sub(1) / row.length() * row.length();
        let weight = |(i, &z): (usize, &A)| Self::weight(row, z, if i < last { max } else { A::ZERO });
        let weights: Vec<A> = row.logits.iter().enumerate().map(weight).collect();
        let sum = Self::sum(row, &weights);
        Normalizer { max, sum, log_sum: Self::log(row, sum) }
    }
}

/// A logit with minus infinity written as a number.
fn unmasked<A: Real>(row: &Row<A>, z: A) -> A {
    if z == A::NEG_INFINITY { row.value() } else { z }
}

/// Where a search starts that should start from minus infinity.
const STARTS: &[f64] = &[
    -999.0, -900.0, -700.0, -512.0, -500.0, -300.0, -256.0, -200.0, -150.0, -128.0, -100.0, -88.0, -64.0, -50.0, -42.0,
    -30.0, -20.0, -10.0, -5.0, -1.0, 0.0, 1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1e3,
];

/// What is subtracted in place of the maximum.
const CONSTANTS: &[f64] = &[
    -1e3, -300.0, -100.0, -50.0, -20.0, -10.0, -5.0, -1.0, 0.0, 1.0, 2.0, 5.0, 8.0, 10.0, 20.0, 50.0, 80.0, 100.0,
    300.0, 1e3,
];

/// Numbers that stand for minus infinity.
const SENTINELS: &[f64] = &[
    -1e38, -1e37, -1e36, -1e35, -1e30, -1e20, -1e18, -1e15, -1e12, -1e10, -1e9, -1e8, -1e7, -1e6, -1e5, -65504.0, -6e4,
    -5e4, -3e4, -1e4, -9e3, -5e3, -3e3, -2e3, -1e3,
];
