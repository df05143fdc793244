//! What kernels do besides that no planted defect does: hypotheses for the diagnosis alone. They are of the classes that the planted ones
//! are of, but have no public report, so no fuzzer has to find them and no list names them.

use super::super::Defect;
use super::super::arithmetic::{EXPS, coarse_exp};
use super::super::parameter::{self, CUTS, EPSILONS, LENGTHS, Parameter};
use super::super::recipe::{Normalizer, Recipe, Row, loss_of_log_probabilities};
use super::super::stable::Shifted;
use crate::kernel::Real;

/// A defect of a class that is not planted.
pub(super) const fn unlisted(class: &'static str, story: &'static str) -> Option<Defect> {
    Some(Defect { class, story, families: &[], report: None })
}

/// The maximum of some of the logits.
pub(in super::super) struct MaxOfSome;

impl Recipe for MaxOfSome {
    const NAME: &'static str = "hypothesis/max-of-some";
    const SUMMARY: &'static str = "the maximum is taken over a part of the row";
    const MECHANISM: Option<Defect> =
        unlisted("C09", "a logit that is not looked at and towers over the rest overflows");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words(
        "the part:",
        &[
            "all but the last logit",
            "the last logit alone",
            "the one in the middle alone",
            "the first half",
            "the second half",
            "every second one from the first on",
            "every second one from the second on",
            "every third one from the first on",
            "every fourth one from the first on",
            "every eighth one from the first on",
            "all but the first two",
            "all but the last two",
            "the first half, rounded down",
            "the first and the last one",
            "the first four",
            "the first eight",
            "the first 16",
            "the first 32",
            "the first 64",
            "the first 128",
            "the second one alone",
        ],
    ));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let n = row.logits.len();
        let every = |first: usize, step: usize| (first..n).step_by(step).collect::<Vec<usize>>();
        let seen: Vec<usize> = match row.parameter as usize {
            0 => (0..n.saturating_sub(1)).collect(),
            1 => (n.saturating_sub(1)..n).collect(),
            2 => vec![n / 2],
            3 => (0..n.div_ceil(2)).collect(),
            4 => (n / 2..n).collect(),
            5 => every(0, 2),
            6 => every(1, 2),
            7 => every(0, 3),
            8 => every(0, 4),
            9 => every(0, 8),
            10 => (2..n).collect(),
            11 => (0..n.saturating_sub(2)).collect(),
            12 => (0..n / 2).collect(),
            13 => vec![0, n.saturating_sub(1)],
            place @ 14..=19 => (0..n.min(4 << (place - 14))).collect(),
            _ => vec![1],
        };
        // Where nothing would be looked at, it is the first.
        let seen = seen.into_iter().filter_map(|i| row.logits.get(i)).chain(row.logits.first().filter(|_| n == 1));
        seen.fold(A::NEG_INFINITY, |max, &z| max.larger(z))
    }
}

/// Something else than the maximum.
pub(in super::super) struct OtherShift;

impl Recipe for OtherShift {
    const NAME: &'static str = "hypothesis/other-shift";
    const SUMMARY: &'static str = "something else than the maximum is subtracted before exp";
    const MECHANISM: Option<Defect> =
        unlisted("C11", "right until a logit is out of the range of exp from what is subtracted");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words(
        "what is subtracted:",
        &["the mean", "the largest magnitude", "the middle of the range", "half of the maximum"],
    ));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let max = Shifted::maximum(row);
        let half = A::from_f64(0.5);
        let least = || -row.logits.iter().fold(A::NEG_INFINITY, |max, &z| max.larger(-z));
        match row.parameter as usize {
            0 => Shifted::sum(row, row.logits) / row.count(),
            1 => row.logits.iter().fold(A::NEG_INFINITY, |max, &z| max.larger(z.abs())),
            2 => (max + least()) * half,
            _ => max * half,
        }
    }
}

/// A fast exp.
pub(in super::super) struct CoarseExp;

impl Recipe for CoarseExp {
    const NAME: &'static str = "hypothesis/coarse-exp";
    const SUMMARY: &'static str = "exp is an approximation of few digits";
    const MECHANISM: Option<Defect> = unlisted("C29", "every weight has the few digits of the approximation");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the way:", EXPS));

    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        coarse_exp(row.parameter as usize, x)
    }
}

/// An epsilon in the sum itself.
pub(in super::super) struct EpsilonInSum;

impl Recipe for EpsilonInSum {
    const NAME: &'static str = "hypothesis/epsilon-in-sum";
    const SUMMARY: &'static str = "a small number is added to the sum of the weights";
    const MECHANISM: Option<Defect> = unlisted("C22", "a sum that is at least 1 needs no protection from 0");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::near("the epsilon", 1e-6, EPSILONS));

    fn normalizer<A: Real>(row: &Row<A>) -> Normalizer<A> {
        let Normalizer { max, sum, .. } = Shifted::normalizer(row);
        let sum = sum + row.value();
        Normalizer { max, sum, log_sum: sum.ln() }
    }
}

/// Probabilities that are kept from 0, and not from 1.
pub(in super::super) struct ProbabilityFloored;

impl Recipe for ProbabilityFloored {
    const NAME: &'static str = "hypothesis/probability-floored";
    const SUMMARY: &'static str = "log-softmax and the loss are the logarithm of a probability that is kept from 0";
    const MECHANISM: Option<Defect> =
        unlisted("C22", "the loss of a confident wrong row never exceeds the logarithm of the least");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::near("the least", 1e-7, EPSILONS));

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        let p = Self::probability(row, z, normalizer);
        if p < row.value() { row.value().ln() } else { p.ln() }
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

/// Distances that are clipped wherever they are used.
pub(in super::super) struct DistanceClipped;

impl Recipe for DistanceClipped {
    const NAME: &'static str = "hypothesis/distance-clipped";
    const SUMMARY: &'static str =
        "what is left of a logit after the maximum was subtracted is clipped from below, wherever it is used";
    const MECHANISM: Option<Defect> =
        unlisted("C22", "classes beyond the clip are all alike, masked ones too, and no loss exceeds it by much");
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::near("the clip", -64.0, CUTS).along(parameter::from_zero).also(&["defect/exp-clamped"]));

    fn weight<A: Real>(row: &Row<A>, z: A, max: A) -> A {
        Self::exp(row, row.value().larger(z - max))
    }

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        row.value().larger(z - normalizer.max) - normalizer.log_sum
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

/// Powers of 2.
pub(in super::super) struct MixedBases;

impl Recipe for MixedBases {
    const NAME: &'static str = "hypothesis/mixed-bases";
    const SUMMARY: &'static str = "a power or a logarithm to base 2 stands where one to base e is due";
    const MECHANISM: Option<Defect> = unlisted("C30", "the factor log 2 or its inverse was left out");
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::of_words("the place:", &["exp", "the logarithm", "both", "the factor on the wrong side"]));

    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        match row.parameter as usize {
            1 => x.exp(),
            3 => (x * A::from_f64(std::f64::consts::LN_2)).exp2(),
            _ => x.exp2(),
        }
    }

    fn log<A: Real>(row: &Row<A>, x: A) -> A {
        match row.parameter as usize {
            1 | 2 => A::from_f64(x.to_f64().log2()),
            _ => x.ln(),
        }
    }
}

/// Smoothing that is spread in another way.
pub(in super::super) struct SmoothedOtherwise;

impl Recipe for SmoothedOtherwise {
    const NAME: &'static str = "hypothesis/smoothed-otherwise";
    const SUMMARY: &'static str = "the label smoothing is not spread as e / n over all n classes";
    const MECHANISM: Option<Defect> = unlisted("C20", "the target distribution is another one");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words(
        "the way:",
        &[
            "over the n - 1 others",
            "over the n - 1 others, all else at the target",
            "over n - 1, the target included",
            "as (1 - e) / n",
            "as e, not divided by n",
        ],
    ));

    fn smoothed<A: Real>(row: &Row<A>, values: &[A]) -> A {
        let (smoothing, others) = (row.label_smoothing, row.count() - A::ONE);
        let mut expected = if smoothing == A::ONE { A::ZERO } else { (A::ONE - smoothing) * values[row.target] };
        if let Some(spread) = wrong_spread(row).filter(|_| smoothing != A::ZERO) {
            return expected + spread * Shifted::sum(row, values);
        }
        if smoothing != A::ZERO && row.logits.len() > 1 {
            let is_counted = |i: usize| row.parameter as usize == 2 || i != row.target;
            let counted: Vec<A> = (0..values.len()).filter(|&i| is_counted(i)).map(|i| values[i]).collect();
            expected += smoothing * (Shifted::sum(row, &counted) / others);
        }
        expected
    }

    fn target_mass<A: Real>(row: &Row<A>, class: usize) -> A {
        let (smoothing, others) = (row.label_smoothing, row.count() - A::ONE);
        if let Some(spread) = wrong_spread(row).filter(|_| smoothing != A::ZERO) {
            return if class == row.target { (A::ONE - smoothing) + spread } else { spread };
        }
        match (row.parameter as usize, class == row.target) {
            (2, true) => (A::ONE - smoothing) + smoothing / others,
            (_, true) => A::ONE - smoothing,
            (_, false) => smoothing / others,
        }
    }
}

/// What each class has of the label smoothing in the ways of [`SmoothedOtherwise`] that give every class the same, and the wrong share.
fn wrong_spread<A: Real>(row: &Row<A>) -> Option<A> {
    match row.parameter as usize {
        3 => Some((A::ONE - row.label_smoothing) / row.count()),
        4 => Some(row.label_smoothing),
        _ => None,
    }
}

/// A row without a class that is answered with one.
pub(in super::super) struct MaskedOneHot;

impl Recipe for MaskedOneHot {
    const NAME: &'static str = "hypothesis/masked-one-hot";
    const SUMMARY: &'static str = "a row without a class has all its mass on one class";
    const MECHANISM: Option<Defect> = unlisted("C04", "a row without a class becomes a plausible distribution");
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::of_words("the class:", &["the first", "the last", "the target"]));

    fn softmax<A: Real>(row: &Row<A>) -> Vec<A> {
        let mut outputs = Shifted::softmax(row);
        if Shifted::maximum(row) == A::NEG_INFINITY {
            let place = [0, row.logits.len().saturating_sub(1), row.target][row.parameter as usize % 3];
            outputs.iter_mut().enumerate().for_each(|(i, p)| *p = if i == place { A::ONE } else { A::ZERO });
        }
        outputs
    }
}

/// The maximum of the second halves of vectors.
pub(in super::super) struct MaxOfUpperHalves;

impl Recipe for MaxOfUpperHalves {
    const NAME: &'static str = "hypothesis/halved-vectors";
    const SUMMARY: &'static str = "of every vector the maximum sees the second half";
    const MECHANISM: Option<Defect> =
        unlisted("C09", "the maximum of the first half of each vector is stored over, and a spike there overflows");
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the vector", 8.0, LENGTHS));

    fn maximum<A: Real>(row: &Row<A>) -> A {
        let length = row.length();
        let seen = row.logits.chunks(length).flat_map(|chunk| match chunk.len() == length {
            true => &chunk[chunk.len() / 2..],
            false => chunk,
        });
        seen.fold(A::NEG_INFINITY, |max, &z| max.larger(z))
    }
}
