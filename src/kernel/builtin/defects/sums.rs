//! The sum of the weights and the division by it (C14, C22, C29, C33, C37).

use super::super::arithmetic::{NARROW, SHAPES, narrow_sum, shaped_sum};
use super::super::parameter::{EPSILONS, LENGTHS, Parameter};
use super::super::recipe::{Normalizer, Recipe, Row};
use super::super::stable::Shifted;
use super::super::{Defect, Examples};
use crate::dtype::Dtype;
use crate::kernel::{Claims, Real};
use crate::op::Op;

/// The types that something may be rounded to.
pub(in super::super) const TYPES: &[&str] = &["of the row", "f16", "bf16", "f32"];

/// Which of [`TYPES`].
pub(in super::super) fn narrow_type<A: Real>(row: &Row<A>) -> Dtype {
    [row.dtype, Dtype::F16, Dtype::Bf16, Dtype::F32][row.parameter as usize % TYPES.len()]
}

/// A number, rounded to one of [`TYPES`].
pub(in super::super) fn narrowed<A: Real>(row: &Row<A>, x: A) -> A {
    A::from_f64(narrow_type(row).round(x.to_f64()))
}

pub(in super::super) struct HalfSum;

impl Recipe for HalfSum {
    const NAME: &'static str = "defect/half-sum";
    const SUMMARY: &'static str = "every addition is rounded to f16 or bf16 in those, to bf16 in f32, to f32 in f64";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C14",
        story: "the sum stops growing once a term is below half an ulp of it",
        families: &["ordinary", "ties", "long"],
        report: Some("https://github.com/sonos/tract/pull/2586"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the sum", NARROW));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax bf16 [0*300]", Some("softmax f16 [0, 0]")));

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        narrow_sum(row.parameter as usize, row.dtype, terms)
    }
}

pub(in super::super) struct NarrowThroughout;

impl Recipe for NarrowThroughout {
    const NAME: &'static str = "defect/narrow-throughout";
    const SUMMARY: &'static str = "every operation is rounded to the half dtype that the logits come in";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C40",
        story: "differences, weights and their sum are rounded to the few digits of the dtype, one after the other",
        families: &["ordinary", "ties", "long"],
        report: Some("https://github.com/ml-explore/mlx/pull/953"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the sums", SHAPES));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax bf16 [0*300]", Some("softmax f16 [0, 0]")));
    const IN_STORAGE_DTYPE: bool = true;

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        shaped_sum(row.parameter as usize, terms, &|x| x)
    }

    fn supports(_: Op, dtype: Dtype) -> bool {
        dtype.bytes() == 2
    }
}

pub(in super::super) struct NarrowResult;

impl Recipe for NarrowResult {
    const NAME: &'static str = "defect/narrow-result";
    const SUMMARY: &'static str = "the result is rounded to the half dtype of the logits before it is written in f32";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C40",
        story: "log-probabilities of bf16 logits have the 8 bits of bf16, whatever type they are handed on in",
        families: &["ordinary", "wide", "sorted"],
        report: Some("https://github.com/genlm/genlm-backend/pull/66"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("log_softmax bf16:f32 [0, 1]", Some("log_softmax bf16:f32 [0, -inf]")));

    fn supports(_: Op, dtype: Dtype) -> bool {
        dtype.is_mixed()
    }

    fn written<A: Real>(row: &Row<A>, output: A) -> A {
        A::from_f64(row.dtype.input().round(output.to_f64()))
    }
}

pub(in super::super) struct PaddedWithZero;

impl Recipe for PaddedWithZero {
    const NAME: &'static str = "defect/padded-with-zero";
    const SUMMARY: &'static str = "the row is padded to a multiple of 8 with 0 instead of minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C33",
        story: "the padding takes part in the softmax; it shows unless the logits are far above 0",
        families: &["ordinary", "all_negative", "tiny_n"],
        report: Some("https://github.com/tenstorrent/tt-metal/pull/20008"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("softmax f32 [-5, -5, -5]", Some("softmax f32 [1, 2, 3, 4, 5, 6, 7, 8]")));

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let mut padded = row.logits.to_vec();
        padded.resize(padded.len().next_multiple_of(row.length()), A::ZERO);
        Shifted::normalizer(&Row { logits: &padded, ..*row })
    }
}

pub(in super::super) struct PaddingSummed;

impl Recipe for PaddingSummed {
    const NAME: &'static str = "defect/padding-summed";
    const SUMMARY: &'static str = "the sum counts the missing logits of the last block of 8 as 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C33",
        story: "the maximum is right, and each padded lane adds exp(-max) to the sum",
        families: &["ordinary", "all_negative", "tiny_n"],
        report: Some("https://github.com/tensorflow/tensorflow/pull/104247"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("softmax f32 [-5, -5, -5]", Some("softmax f32 [1, 2, 3, 4, 5, 6, 7, 8]")));

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let Normalizer { max, sum, .. } = Shifted::normalizer(row);
        let padded = row.logits.len().next_multiple_of(row.length()) - row.logits.len();
        let sum = (0..padded).fold(sum, |sum, _| sum + Self::weight(row, A::ZERO, max));
        Normalizer { max, sum, log_sum: Self::log(row, sum) }
    }
}

pub(in super::super) struct RoundedNumerator;

impl Recipe for RoundedNumerator {
    const NAME: &'static str = "defect/rounded-numerator";
    const SUMMARY: &'static str =
        "the weight is rounded to the dtype before it is divided by the sum, whose terms were not";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C37",
        story: "numerator and denominator are rounded differently: half an ulp more in f16 and bf16",
        families: &["ordinary"],
        report: Some("https://github.com/Dao-AILab/flash-attention/pull/2713"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the type", TYPES));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f16 [0, -1, -2]", Some("softmax f32 [0, -1, -2]")));

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        let weight = Self::weight(row, z, normalizer.max);
        narrowed(row, weight) / normalizer.sum
    }
}

pub(in super::super) struct EpsilonInDenominator;

impl Recipe for EpsilonInDenominator {
    const NAME: &'static str = "defect/epsilon-in-denominator";
    const SUMMARY: &'static str = "1e-6 is added to the sum of the weights before the division";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C22",
        story: "a sum that is at least 1 needs no protection from 0: all probabilities are too small",
        families: &["ordinary", "ties"],
        report: Some("https://github.com/OpenNMT/CTranslate2/pull/1468"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::near("the epsilon", 1e-6, EPSILONS));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [1, 2, 3]", Some("logsumexp f32 [1, 2, 3]")));

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::weight(row, z, normalizer.max) / (normalizer.sum + row.value())
    }
}

pub(in super::super) struct HalfSumBackward;

impl Recipe for HalfSumBackward {
    const NAME: &'static str = "defect/half-sum-backward";
    const SUMMARY: &'static str = "the backward pass of log-softmax adds up the cotangent in a narrow type";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C14",
        story: "the forward pass has an accumulator of f32, the backward pass was forgotten",
        families: &["ordinary", "long"],
        report: Some("https://github.com/ROCm/MIOpen/pull/3427"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the sum", NARROW));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("log_softmax_vjp f16 [0, 0] cotangent=[2048, 1]", Some("softmax f16 [0*4096]")));

    fn log_softmax_vjp<A: Real>(row: &Row<A>) -> Vec<A> {
        let total = narrow_sum(row.parameter as usize, row.dtype, row.direction);
        Self::softmax(row).iter().zip(row.direction).map(|(&p, &g)| g - p * total).collect()
    }
}

pub(in super::super) struct HalfTotal;

impl Recipe for HalfTotal {
    const NAME: &'static str = "defect/half-total";
    const SUMMARY: &'static str =
        "the backward pass of log-softmax adds up the cotangent in f32, and stores the total in the half dtype";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C14",
        story: "a total beyond 65,504 is infinite in f16, times a probability of 0 it is NaN, though every gradient is small",
        families: &["ordinary", "ties"],
        report: Some("https://github.com/jax-ml/jax/issues/40409"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "log_softmax_vjp f16 [18, 0] cotangent=[32768, 32768]",
        Some("log_softmax_vjp f16 [1, -2, 3] cotangent=[1, 2, 4]"),
    ));

    fn supports(_: Op, dtype: Dtype) -> bool {
        dtype.input() == Dtype::F16
    }

    fn log_softmax_vjp<A: Real>(row: &Row<A>) -> Vec<A> {
        let total = A::from_f64(row.dtype.round(Self::sum(row, row.direction).to_f64()));
        Self::softmax(row).iter().zip(row.direction).map(|(&p, &g)| g - p * total).collect()
    }
}

pub(in super::super) struct StaleTail;

impl Recipe for StaleTail {
    const NAME: &'static str = "defect/stale-tail";
    const SUMMARY: &'static str =
        "the last block of 8 is summed whole, with what the block before left in the missing lanes";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C33",
        story: "the buffer of a block is not cleared: a tail counts some logits twice, whole blocks and short rows do not",
        families: &["ordinary", "long"],
        report: Some("https://github.com/hw-native-sys/simpler/pull/72"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the block", 8.0, LENGTHS));
    const EXAMPLES: Option<Examples> = Some(
        Examples::new("softmax f32 [0*9]", Some("softmax f32 [0*8]"))
            .of_length(9, "a tail needs a block of 8 before it"),
    );

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let max = Self::maximum(row);
        let mut buffer = vec![A::NEG_INFINITY; row.length()];
        let mut weights = Vec::new();
        for block in row.logits.chunks(row.length()) {
            buffer[..block.len()].copy_from_slice(block);
            weights.extend(buffer.iter().map(|&z| Self::weight(row, z, max)));
        }
        let sum = Self::sum(row, &weights);
        Normalizer { max, sum, log_sum: Self::log(row, sum) }
    }
}

pub(in super::super) struct ApproximateReciprocal;

impl Recipe for ApproximateReciprocal {
    const NAME: &'static str = "defect/approximate-reciprocal";
    const SUMMARY: &'static str = "the division is a product with a reciprocal of 12 bits, which is not refined";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "the estimate that a processor gives in one instruction, always a little too small, is taken for the quotient",
        families: &["ordinary", "ties"],
        report: Some("https://github.com/tenstorrent/tt-metal/issues/52045"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of(
        "the number of bits",
        12.0,
        &[7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 18.0, 20.0, 22.0],
    ));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, 0, 0]", Some("softmax f32 [0, 0]")));

    /// What is right but for the estimate: a product with a rounded reciprocal rounds once more than a quotient.
    fn claims(op: Op, dtype: Dtype) -> Claims {
        Claims { exp: 3.0, ..Shifted::claims(op, dtype) }
    }

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        let kept = !0 << (f64::MANTISSA_DIGITS - row.length().min(53) as u32);
        let estimate = f64::from_bits((A::ONE / normalizer.sum).to_f64().to_bits() & kept);
        Self::weight(row, z, normalizer.max) * A::from_f64(estimate)
    }
}
