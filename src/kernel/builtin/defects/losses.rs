//! Logarithms, losses and gradients (C12, C15 to C20, C22, C30, C37, C40).

use super::super::arithmetic::{SHAPES, shaped_sum};
use super::super::parameter::{CUTS, EPSILONS, Parameter};
use super::super::recipe::{Normalizer, Recipe, Row, each, loss_of_log_probabilities};
use super::super::stable::{Log1p, Shifted};
use super::super::{Defect, Examples};
use super::sums::{TYPES, narrowed};
use crate::dtype::Dtype;
use crate::kernel::{Claims, Real};
use crate::op::Op;

pub(in super::super) struct SubtractLse;

impl Recipe for SubtractLse {
    const NAME: &'static str = "defect/subtract-lse";
    const SUMMARY: &'static str = "log-softmax and the loss subtract max + log S at once";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C15",
        story: "log S is absorbed by a large maximum: the loss of [1e8, 1e8] is 0 instead of log 2",
        families: &["offset", "extreme"],
        report: Some("https://github.com/ml-explore/mlx/pull/4169"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("log_softmax f32 [1e8, 1e8]", Some("log_softmax f32 [0, 0]")));

    fn log_probability<A: Real>(_: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        z - (normalizer.max + normalizer.log_sum)
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

pub(in super::super) struct LogOfOnePlus;

/// It is the textbook, and claims to be `log1p`.
impl Recipe for LogOfOnePlus {
    const NAME: &'static str = "defect/log-of-one-plus";
    const SUMMARY: &'static str = "log S as the logarithm of a sum that holds the 1 of the maximum";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C16",
        story: "where one class dominates, the rest is absorbed by its 1, and the log-sum-exp of [0, -40] is 0",
        families: &["dominant", "cancellation"],
        report: Some("https://github.com/scipy/scipy/issues/18295"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the sums", SHAPES));
    const EXAMPLES: Option<Examples> = Some(Examples::new("logsumexp f32 [0, -40]", Some("logsumexp f32 [0, 0]")));

    fn sum<A: Real>(row: &Row<A>, terms: &[A]) -> A {
        match row.beside {
            None => shaped_sum(row.parameter as usize, terms, &|x| x),
            Some(_) => row.in_order_or_beside(terms),
        }
    }

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Log1p::claims(op, dtype)
    }
}

pub(in super::super) struct LowPrecisionStore;

impl Recipe for LowPrecisionStore {
    const NAME: &'static str = "defect/low-precision-store";
    const SUMMARY: &'static str = "the backward pass reads probabilities that were stored in bf16";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C17",
        story: "p - 1 of a confident row is lost: 0.999 and 1 are the same number in bf16",
        families: &["ordinary", "dominant"],
        report: Some("https://github.com/linkedin/Liger-Kernel/pull/1329"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::of_words("the type", &["bf16", "f16", "f32", "of the row"]));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("cross_entropy_grad f32 [7, 0] target=0", Some("softmax f32 [7, 0]")));

    fn saved<A: Real>(row: &Row<A>, probabilities: Vec<A>) -> Vec<A> {
        let dtype = [Dtype::Bf16, Dtype::F16, Dtype::F32, row.dtype][row.parameter as usize % 4];
        probabilities.iter().map(|p| A::from_f64(dtype.round(p.to_f64()))).collect()
    }
}

pub(in super::super) struct GradientThroughDivision;

impl Recipe for GradientThroughDivision {
    const NAME: &'static str = "defect/gradient-through-division";
    const SUMMARY: &'static str = "the log-softmax product divides by the probability before it multiplies by it";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C18",
        story: "a probability of 0 gives 0 * inf, and a masked class a NaN gradient",
        families: &["masked", "dominant"],
        report: Some("https://github.com/clab/dynet/issues/218"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "log_softmax_vjp f32 [0, -inf] cotangent=[1, 2]",
        Some("log_softmax_vjp f32 [0, 0] cotangent=[1, 2]"),
    ));

    fn log_softmax_vjp<A: Real>(row: &Row<A>) -> Vec<A> {
        let probabilities = Self::saved(row, Self::softmax(row));
        let total = Self::sum(row, row.direction);
        probabilities.iter().zip(row.direction).map(|(&p, &g)| p * (g / p - total)).collect()
    }
}

pub(in super::super) struct ZeroTimesLogZero;

impl Recipe for ZeroTimesLogZero {
    const NAME: &'static str = "defect/zero-times-log-zero";
    const SUMMARY: &'static str = "the loss adds q * distance over all classes, also where q is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C19",
        story: "a masked class that has no mass adds 0 * inf, and the loss is NaN",
        families: &["masked"],
        report: Some("https://github.com/google-deepmind/optax/pull/898"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("cross_entropy f32 [0, -inf] target=0", Some("cross_entropy f32 [1, -2, 3] target=1")));

    fn smoothed<A: Real>(row: &Row<A>, values: &[A]) -> A {
        let terms = values.iter().enumerate().map(|(class, &value)| Self::target_mass(row, class) * value);
        Self::sum(row, &terms.collect::<Vec<A>>())
    }
}

pub(in super::super) struct DivergenceTimesLogZero;

impl Recipe for DivergenceTimesLogZero {
    const NAME: &'static str = "defect/divergence-times-log-zero";
    const SUMMARY: &'static str = "the KL divergence multiplies what the target masks by its probability of 0, too";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C19",
        story: "a class that both rows mask, as a suppressed token, adds 0 * (-inf - -inf), and the divergence is NaN",
        families: &["masked"],
        report: Some("https://github.com/p-e-w/heretic/pull/348"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "kl_divergence f32 [1, 2, -inf] target_logits=[2, 1, -inf]",
        Some("kl_divergence f32 [1, 2, 3] target_logits=[2, 1, 0]"),
    ));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::KL_DIVERGENCE
    }

    fn kl_divergence<A: Real>(row: &Row<A>) -> A {
        let target = Row { logits: row.target_logits, ..*row };
        let (probabilities, logarithms) = (Self::softmax(&target), Self::log_softmax(&target));
        let own = Self::log_softmax(row);
        Self::sum(row, &each(&probabilities, &|i, p| p * (logarithms[i] - own[i])))
    }
}

pub(in super::super) struct SmoothingOfMasked;

impl Recipe for SmoothingOfMasked {
    const NAME: &'static str = "defect/smoothing-of-masked";
    const SUMMARY: &'static str = "the smoothing term is added also where the smoothing is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C20",
        story: "0 * inf of a masked class makes a loss NaN that was never smoothed",
        families: &["masked"],
        report: Some("https://github.com/facebookresearch/pytext/pull/1698"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("cross_entropy f32 [0, -inf] target=0", Some("cross_entropy f32 [1, -2, 3] target=1")));

    fn smoothed<A: Real>(row: &Row<A>, values: &[A]) -> A {
        let smoothing = row.label_smoothing;
        (A::ONE - smoothing) * values[row.target] + smoothing * (Self::sum(row, values) / row.count())
    }
}

pub(in super::super) struct EpsilonInLog;

impl Recipe for EpsilonInLog {
    const NAME: &'static str = "defect/epsilon-in-log";
    const SUMMARY: &'static str = "log-softmax and the loss are log(p + 1e-8)";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C22",
        story: "the loss of a confident wrong row never exceeds 18.4",
        families: &["confident_wrong", "dominant"],
        report: Some("https://github.com/apache/mxnet/pull/4594"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::near("the epsilon", 1e-8, EPSILONS));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("cross_entropy f32 [30, 0] target=1", Some("cross_entropy f32 [0, 0] target=1")));

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::log(row, Self::probability(row, z, normalizer) + row.value())
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

pub(in super::super) struct Base2Lse;

impl Recipe for Base2Lse {
    const NAME: &'static str = "defect/base2-lse";
    const SUMMARY: &'static str = "log-sum-exp adds the base-2 logarithm of S";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C30",
        story: "a kernel that works in base 2 stores its log-sum-exp without going back to nats",
        families: &["ordinary", "ties"],
        report: Some("https://github.com/lightseekorg/tokenspeed/pull/571"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("logsumexp f32 [1, 2, 3]", Some("softmax f32 [1, 2, 3]")));

    fn logsumexp<A: Real>(row: &Row<A>) -> A {
        let Normalizer { max, log_sum, .. } = Self::normalizer(row);
        if max.is_infinite() { max } else { max + log_sum * A::from_f64(std::f64::consts::LOG2_E) }
    }
}

pub(in super::super) struct LogOfSoftmax;

impl Recipe for LogOfSoftmax {
    const NAME: &'static str = "defect/log-of-softmax";
    const SUMMARY: &'static str = "log-softmax and the loss are the logarithm of a probability";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C12",
        story: "a probability that underflows to 0 makes an infinite loss of one that is only large",
        families: &["confident_wrong"],
        report: Some("https://github.com/deeplearning4j/deeplearning4j/issues/785"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("log_softmax f32 [0, -200]", Some("log_softmax f32 [0]")));

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        Self::log(row, Self::probability(row, z, normalizer))
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

pub(in super::super) struct ProbabilityClipped;

impl Recipe for ProbabilityClipped {
    const NAME: &'static str = "defect/probability-clipped";
    const SUMMARY: &'static str =
        "log-softmax and the loss are the logarithm of a probability clipped to [1e-7, 1 - 1e-7]";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C22",
        story: "the loss of a confident wrong row never exceeds 16.1, and that of a right one is never 0",
        families: &["confident_wrong"],
        report: Some("https://github.com/keras-team/keras/issues/17634"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::near("the clip", 1e-7, EPSILONS));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("cross_entropy f32 [30, 0] target=1", Some("softmax f32 [30, 0]")));

    fn log_probability<A: Real>(row: &Row<A>, z: A, normalizer: &Normalizer<A>) -> A {
        let (least, p) = (row.value(), Self::probability(row, z, normalizer));
        let most = A::ONE - least;
        Self::log(
            row,
            if p < least {
                least
            } else if p > most {
                most
            } else {
                p
            },
        )
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        loss_of_log_probabilities::<Self, A>(row)
    }
}

pub(in super::super) struct SmoothingIgnored;

impl Recipe for SmoothingIgnored {
    const NAME: &'static str = "defect/smoothing-ignored";
    const SUMMARY: &'static str = "the cross-entropy and its gradient leave the label smoothing out";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C20",
        story: "an argument that is taken and never passed on: the loss is that of hard targets",
        families: &["ordinary"],
        report: Some("https://github.com/linkedin/Liger-Kernel/issues/243"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "cross_entropy_grad f32 [1, 2] target=0 label_smoothing=0.125",
        Some("cross_entropy_grad f32 [1, 2] target=0"),
    ));

    fn smoothed<A: Real>(row: &Row<A>, values: &[A]) -> A {
        values[row.target]
    }

    fn target_mass<A: Real>(row: &Row<A>, class: usize) -> A {
        if class == row.target { A::ONE } else { A::ZERO }
    }
}

pub(in super::super) struct GradientThroughLse;

impl Recipe for GradientThroughLse {
    const NAME: &'static str = "defect/gradient-through-lse";
    const SUMMARY: &'static str = "the gradient of the cross-entropy takes probabilities as exp(z - LSE)";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C18",
        story: "the rounding error of a large LSE is exponentiated, and becomes a relative error of every probability",
        families: &["offset"],
        report: Some("https://github.com/stan-dev/math/issues/1679"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("cross_entropy_grad f32 [1e8, 1e8] target=0", Some("softmax f32 [1e8, 1e8]")));

    fn cross_entropy_grad<A: Real>(row: &Row<A>) -> Vec<A> {
        let lse = Self::logsumexp(row);
        let gradient = |(class, &z): (usize, &A)| Self::gradient(row, class, Self::exp(row, z - lse));
        row.logits.iter().enumerate().map(gradient).collect()
    }
}

pub(in super::super) struct LossFromLse;

impl Recipe for LossFromLse {
    const NAME: &'static str = "defect/loss-from-lse";
    const SUMMARY: &'static str = "the loss is the log-sum-exp less the logit of the target";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C15",
        story: "log S is added to a large maximum and rounds away before the target is subtracted: a loss of 0",
        families: &["offset", "extreme"],
        report: Some("https://github.com/ml-explore/mlx/pull/4188"),
    });
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("cross_entropy f32 [1e8, 1e8] target=0", Some("log_softmax f32 [1e8, 1e8]")));

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        Self::logsumexp(row) - Self::expected(row, row.logits)
    }
}

pub(in super::super) struct NarrowMean;

impl Recipe for NarrowMean {
    const NAME: &'static str = "defect/narrow-mean";
    const SUMMARY: &'static str = "the smoothed part of the loss is added up in the dtype itself";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C40",
        story: "the mean over the classes is moderate, their sum overflows f16, and the loss is infinite",
        families: &["wide", "extreme"],
        report: Some("https://github.com/huggingface/transformers/issues/10674"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the type", TYPES));
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "cross_entropy f16 [0, -3e4, -3e4, -3e4] target=0 label_smoothing=0.125",
        Some("cross_entropy f32 [0, -3e4, -3e4, -3e4] target=0 label_smoothing=0.125"),
    ));

    fn smoothed<A: Real>(row: &Row<A>, values: &[A]) -> A {
        let narrow = |x: A| narrowed(row, x);
        let smoothing = row.label_smoothing;
        let at_target = if smoothing == A::ONE { A::ZERO } else { (A::ONE - smoothing) * values[row.target] };
        if smoothing == A::ZERO {
            return at_target;
        }
        let sum = values.iter().fold(A::ZERO, |sum, &value| narrow(sum + value));
        at_target + smoothing * (sum / row.count())
    }
}

pub(in super::super) struct LogitsOverwritten;

impl Recipe for LogitsOverwritten {
    const NAME: &'static str = "defect/logits-overwritten";
    const SUMMARY: &'static str = "the backward pass reads logits over which the forward pass wrote its weights";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C37",
        story: "the conversion to the accumulator makes a copy of half dtypes only: elsewhere the input itself is overwritten",
        families: &["ordinary"],
        report: Some("https://github.com/NVIDIA/Megatron-LM/pull/1594"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "cross_entropy_grad f32 [1, -2, 3] target=1",
        Some("cross_entropy_grad bf16 [1, -2, 3] target=1"),
    ));

    fn cross_entropy_grad<A: Real>(row: &Row<A>) -> Vec<A> {
        let max = Self::maximum(row);
        let mut logits = row.logits.to_vec();
        if A::DTYPE == row.dtype {
            logits.iter_mut().for_each(|z| *z = Self::weight(row, *z, max));
        }
        Shifted::cross_entropy_grad(&Row { logits: &logits, ..*row })
    }
}

pub(in super::super) struct CotangentIgnored;

impl Recipe for CotangentIgnored {
    const NAME: &'static str = "defect/cotangent-ignored";
    const SUMMARY: &'static str = "the log-softmax product takes the sum of the cotangent for 1";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C37",
        story: "right for one loss that is differentiated by itself, wrong with any weight or reduction after it",
        families: &["ordinary"],
        report: Some("https://github.com/k2-fsa/k2/issues/341"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "log_softmax_vjp f32 [0, 0] cotangent=[1, 2]",
        Some("log_softmax_vjp f32 [0, 0] cotangent=[3, -2]"),
    ));

    fn log_softmax_vjp<A: Real>(row: &Row<A>) -> Vec<A> {
        Self::softmax(row).iter().zip(row.direction).map(|(&p, &g)| g - p).collect()
    }
}

pub(in super::super) struct SmoothingOverOthers;

impl Recipe for SmoothingOverOthers {
    const NAME: &'static str = "defect/smoothing-over-others";
    const SUMMARY: &'static str =
        "the gradient spreads the label smoothing over the other n - 1 classes, the loss over all n";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C20",
        story: "both ways to smooth are in use: one in the forward and the other in the backward pass are two losses",
        families: &["ordinary"],
        report: Some("https://github.com/ml-explore/mlx/pull/166"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "cross_entropy_grad f32 [1, 2] target=0 label_smoothing=0.125",
        Some("cross_entropy_grad f32 [1, 2] target=0"),
    ));

    fn target_mass<A: Real>(row: &Row<A>, class: usize) -> A {
        let smoothing = row.label_smoothing;
        if class == row.target { A::ONE - smoothing } else { smoothing / (row.count() - A::ONE) }
    }
}

pub(in super::super) struct SoftLabelsTimesLogZero;

impl Recipe for SoftLabelsTimesLogZero {
    const NAME: &'static str = "defect/soft-labels-times-log-zero";
    const SUMMARY: &'static str =
        "the loss of soft labels multiplies every log-probability by its mass, also where that is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C19",
        story: "a padded class of -inf has no mass of the teacher and log-probability -inf: 0 * -inf, and the loss is NaN",
        families: &["masked"],
        report: Some("https://github.com/OpenBMB/ModelCenter/issues/14"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "soft_cross_entropy f32 [0, -inf] distribution=[1, 0]",
        Some("soft_cross_entropy f32 [1, -2, 3] distribution=[0.25, 0.5, 0.25]"),
    ));

    fn expected_of_each<A: Real>(row: &Row<A>, values: &[A]) -> A {
        Self::sum(row, &each(row.distribution, &|i, q| q * values[i]))
    }

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        if row.distribution.is_empty() {
            Shifted::cross_entropy(row)
        } else {
            loss_of_log_probabilities::<Self, A>(row)
        }
    }
}

pub(in super::super) struct LogProbabilityClipped;

impl Recipe for LogProbabilityClipped {
    const NAME: &'static str = "defect/log-probability-clipped";
    const SUMMARY: &'static str = "the loss of soft labels clips log-probabilities from below at -10";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C22",
        story: "distillation clamps the student's log-probabilities: however far off a class of the teacher is, its loss is 10 at most",
        families: &["confident_wrong", "dominant"],
        report: Some("https://github.com/ByteDance-Seed/VeOmni/pull/771"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::near("the least log-probability", -10.0, CUTS));
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "soft_cross_entropy f32 [30, 0] distribution=[0, 1]",
        Some("soft_cross_entropy f32 [1, 0] distribution=[0.5, 0.5]"),
    ));

    fn cross_entropy<A: Real>(row: &Row<A>) -> A {
        if row.distribution.is_empty() {
            return Shifted::cross_entropy(row);
        }
        let clipped = |_: usize, l: A| if l < row.value() { row.value() } else { l };
        -Self::expected(row, &each(&Self::log_softmax(row), &clipped))
    }
}

pub(in super::super) struct EntropyTimesLogZero;

impl Recipe for EntropyTimesLogZero {
    const NAME: &'static str = "defect/entropy-times-log-zero";
    const SUMMARY: &'static str =
        "the entropy multiplies every log-probability by its probability, also where that is 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C19",
        story: "a masked token has probability 0 and log-probability -inf: 0 * -inf, and the entropy of the whole row is NaN",
        families: &["masked"],
        report: Some("https://github.com/huggingface/trl/issues/7221"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("entropy f32 [0, -inf]", Some("entropy f32 [1, -2, 3]")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::ENTROPY
    }

    fn entropy<A: Real>(row: &Row<A>) -> A {
        if row.logits.is_empty() {
            return A::ZERO;
        }
        let logarithms = Self::log_softmax(row);
        -Self::sum(row, &each(&logarithms, &|_, l| Self::exp(row, l) * l))
    }
}

pub(in super::super) struct EntropyFromLogits;

impl Recipe for EntropyFromLogits {
    const NAME: &'static str = "defect/entropy-from-logits";
    const SUMMARY: &'static str = "the entropy is the log-sum-exp less the mean of the logits";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C15",
        story: "two numbers of the size of the logits are subtracted: what they have in common is lost, and the entropy with it",
        families: &["offset"],
        report: Some("https://github.com/ByteDance-Seed/VeOmni/pull/720"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("entropy f32 [1e6, 1e6]", Some("entropy f32 [0, 0]")));

    fn supports(op: Op, _: Dtype) -> bool {
        op == Op::ENTROPY
    }

    fn entropy<A: Real>(row: &Row<A>) -> A {
        if row.logits.is_empty() {
            return A::ZERO;
        }
        let probabilities = Self::softmax(row);
        let term = |i: usize, p: A| if p == A::ZERO { A::ZERO } else { p * row.logits[i] };
        Self::logsumexp(row) - Self::sum(row, &each(&probabilities, &term))
    }
}
