//! The sum of the weights and the division by it (C14, C22, C33, C37).

use super::super::Defect;
use super::super::recipe::{Normalizer, Recipe, Row};
use super::super::stable::Shifted;
use super::LANES;
use crate::dtype::Dtype;
use crate::kernel::Real;

pub(in super::super) struct HalfSum;

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

pub(in super::super) struct PaddedWithZero;

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

pub(in super::super) struct PaddingSummed;

impl Recipe for PaddingSummed {
    const NAME: &'static str = "defect/padding-summed";
    const SUMMARY: &'static str = "the sum counts the missing logits of the last block of 8 as 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C33",
        story: "the maximum is right, and each padded lane adds exp(-max) to the sum",
        families: &["ordinary", "all_negative", "tiny_n"],
    });
    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let Normalizer { max, sum, .. } = Shifted::normalizer(row);
        let padded = row.logits.len().next_multiple_of(LANES) - row.logits.len();
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
    });
    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        let weight = Self::weight(row, z, normalizer.max);
        A::from_f64(row.dtype.round(weight.to_f64())) / normalizer.sum
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
    });
    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::weight(row, z, normalizer.max) / (normalizer.sum + A::from_f64(1e-6))
    }
}
