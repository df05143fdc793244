//! Infinities, NaN and rows without a class (C01 to C04, C13): guards that are missing, too narrow, or answer the wrong thing.

use super::super::Defect;
use super::super::recipe::{Normalizer, Recipe, Row};
use super::super::stable::Shifted;
use crate::kernel::Real;

pub(in super::super) struct LseUnguardedInfinity;

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

pub(in super::super) struct LseWrongInfinity;

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

/// Reported in <https://github.com/ml-explore/mlx/issues/1467>.
pub(in super::super) struct MaskedByLength;

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

/// Reported in <https://github.com/tenstorrent/tt-metal/issues/56056>.
pub(in super::super) struct MaskedUniform;

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

pub(in super::super) struct NanDroppingMax;

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

pub(in super::super) struct LseGuardsOnlyMinus;

impl Recipe for LseGuardsOnlyMinus {
    const NAME: &'static str = "defect/lse-guards-only-minus";
    const SUMMARY: &'static str = "log-sum-exp answers an infinite maximum itself only where it is minus infinity";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C01",
        story: "the guard was written for masked rows: +inf still forms inf - inf",
        families: &["pos_inf"],
    });
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
    });
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
    });
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
    });
    fn maximum<A: Real>(row: &Row<A>) -> A {
        let max = Shifted::maximum(row);
        if max == A::NEG_INFINITY { A::ZERO } else { max }
    }

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        if normalizer.sum == A::ZERO { A::ONE / row.count() } else { Shifted::probability(row, z, normalizer) }
    }
}

/// Reported in <https://github.com/ohdearquant/lattice/issues/740>.
pub(in super::super) struct NanAsMasked;

impl Recipe for NanAsMasked {
    const NAME: &'static str = "defect/nan-as-masked";
    const SUMMARY: &'static str = "NaN is dropped by the maximum, and its weight is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C13",
        story: "a row with NaN gets a plausible distribution over the other classes",
        families: &["nan"],
    });
    fn maximum<A: Real>(row: &Row<A>) -> A {
        NanDroppingMax::maximum(row)
    }

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        if z.is_nan() { A::ZERO } else { Shifted::weight(row, z, max) }
    }
}
