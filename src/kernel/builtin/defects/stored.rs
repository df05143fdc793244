//! What kernels round on the way that no planted defect does: hypotheses for the diagnosis alone, as in [`unlisted`](super::unlisted).

use super::super::Defect;
use super::super::parameter::Parameter;
use super::super::recipe::Normalizer;
use super::super::recipe::{Recipe, Row, each, loss_of_log_probabilities};
use super::super::stable::Shifted;
use super::sums::{TYPES, narrowed};
use super::unlisted::unlisted;
use crate::dtype::Dtype;
use crate::kernel::Real;
use crate::op::Op;

/// Logits in a type that does not have them all.
pub(in super::super) struct LogitsNarrowed;

impl Recipe for LogitsNarrowed {
    const NAME: &'static str = "hypothesis/logits-narrowed";
    const SUMMARY: &'static str = "the logits are converted to a narrower type first";
    const MECHANISM: Option<Defect> =
        unlisted("C40", "logits lose digits, and beyond the range of that type they are infinite");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the type", TYPES));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let narrow = each(row.logits, &|_, z| narrowed(row, z));
        Shifted::maximum(&Row { logits: &narrow, ..*row })
    }

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        Shifted::weight(row, narrowed(row, z), max)
    }

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Shifted::log_probability(row, narrowed(row, z), normalizer)
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        let narrow = each(row.logits, &|_, z| narrowed(row, z));
        Shifted::cross_entropy(&Row { logits: &narrow, ..*row })
    }
}

/// A maximum in a type that does not have it.
pub(in super::super) struct MaximumNarrowed;

impl Recipe for MaximumNarrowed {
    const NAME: &'static str = "hypothesis/maximum-narrowed";
    const SUMMARY: &'static str = "the maximum is rounded to a narrower type before it is subtracted";
    const MECHANISM: Option<Defect> = unlisted(
        "C40",
        "what is left of a large maximum is itself large: exp overflows, or all weights underflow, though a maximum is subtracted",
    );
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the type", TYPES));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        narrowed(row, Shifted::maximum(row))
    }
}

/// A scale before the subtraction.
pub(in super::super) struct ScaledFirst;

impl Recipe for ScaledFirst {
    const NAME: &'static str = "hypothesis/scaled-first";
    const SUMMARY: &'static str = "logits and maximum are multiplied by log2(e), rounded, and only then subtracted";
    const MECHANISM: Option<Defect> = unlisted(
        "C31",
        "each product is rounded in units of its own size, so a common offset costs digits, and near the largest number the products overflow",
    );

    fn weight<A: Real>(_: &Row<A>, z: A, max: A) -> A {
        let log2_e = A::from_f64(std::f64::consts::LOG2_E);
        (z * log2_e - max * log2_e).exp2()
    }
}

/// A probability that was written before its logarithm is taken.
pub(in super::super) struct LogOfStored;

impl Recipe for LogOfStored {
    const NAME: &'static str = "hypothesis/log-of-stored";
    const SUMMARY: &'static str =
        "log-softmax and the loss are the logarithm of a probability that was stored in a narrow type";
    const MECHANISM: Option<Defect> =
        unlisted("C12", "a stored probability near 1 has lost 1 - p, and one below the least number of the type is 0");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the type", TYPES));

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        narrowed(row, Self::probability(row, z, normalizer)).ln()
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

/// Products that were written before they are used.
pub(in super::super) struct ProductsStored;

impl Recipe for ProductsStored {
    const NAME: &'static str = "hypothesis/products-stored";
    const SUMMARY: &'static str =
        "probabilities, the sum of the cotangent and their products are each stored in a narrow type";
    const MECHANISM: Option<Defect> =
        unlisted("C40", "each loses its digits, and beyond the range of the type it is infinite");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the type", TYPES));

    // In the other products it is the stored probability alone that shows, and that is a planted defect.
    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::LOG_SOFTMAX_VJP
    }

    fn log_softmax_vjp<A: Real>(row: &Row<A>) -> Vec<A> {
        let total = narrowed(row, Self::sum(row, row.direction));
        each(&Self::softmax(row), &|i, p| row.direction[i] - narrowed(row, narrowed(row, p) * total))
    }
}
