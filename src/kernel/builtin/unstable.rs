//! Kernels as they are often written first, and where they break. They claim nothing: they are measured against the textbook.

use super::Defect;
use super::recipe::{Normalizer, Recipe, Row, loss_of_log_probabilities};
use crate::dtype::Dtype;
use crate::kernel::{Claims, Real};
use crate::op::Op;

/// The formulas as they stand in a book on statistics, in the dtype itself.
pub(super) struct Naive;

impl Recipe for Naive {
    const NAME: &'static str = "naive";
    const SUMMARY: &'static str = "straight formulas without a maximum, every operation rounded to the dtype itself";
    const MECHANISM: Option<Defect> = Some(Defect {
        class: "C11",
        story: "exp overflows above 11.1 in f16 and 88.7 in f32 and bf16, and all weights underflow far below 0",
        families: &["ordinary", "offset"],
        report: None,
    });
    const IN_STORAGE_DTYPE: bool = true;

    fn claims(_: Op, _: Dtype) -> Claims {
        Claims::default()
    }

    /// No maximum is subtracted: `z - 0` and `0 + log S` are exact.
    fn maximum<A: Real>(_: &Row<A>) -> A {
        A::ZERO
    }

    fn running_maximum<A: Real>(_: &Row<A>, _: A, _: A) -> A {
        A::ZERO
    }

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::log(row, Self::probability(row, z, normalizer))
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

/// A stable softmax, and the logarithm of what comes out of it.
pub(super) struct Unfused;

impl Recipe for Unfused {
    const NAME: &'static str = "unfused";
    const SUMMARY: &'static str = "a stable softmax, then its logarithm; the loss from probabilities";
    const MECHANISM: Option<Defect> = Some(Defect {
        class: "C12",
        story: "a probability that underflows to 0 makes an infinite loss of one that is only large",
        families: &["dominant"],
        report: None,
    });

    fn claims(_: Op, _: Dtype) -> Claims {
        Claims::default()
    }

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::log(row, Self::probability(row, z, normalizer))
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

/// One subtraction of the log-sum-exp instead of a division: its rounding error, of the size of the logits, is exponentiated.
pub(super) struct DivisionFree;

impl Recipe for DivisionFree {
    const NAME: &'static str = "division_free";
    const SUMMARY: &'static str = "everything from the log-sum-exp: exp(z - LSE), z - LSE, LSE - z_t";

    fn claims(_: Op, _: Dtype) -> Claims {
        Claims::default()
    }

    fn probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::exp(row, Self::log_probability(row, z, normalizer))
    }

    fn log_probability<A: Real>(_: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        z - (normalizer.max + normalizer.log_sum)
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}
