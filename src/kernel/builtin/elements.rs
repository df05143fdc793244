//! Kernels of the elementwise ops: correct ones, and planted defects. Each maps every element by itself, so a kernel is a function of
//! a number for each op that it implements.

use super::parameter::Parameter;
use super::recipe::Changes;
use super::recipe::{read, stored};
use super::{Defect, Examples};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::kernel::{Claims, Outcome, Real};
use crate::op::Op;
use half::{bf16, f16};

/// What a function is given, in the type that the kernel computes in.
#[derive(Clone, Copy)]
pub(super) struct Given<A> {
    /// The logit.
    pub logit: A,
    /// Its value of the other row that the op takes; 0 where it takes none.
    pub other: A,
    /// The value of the kernel's [`Elements::PARAMETER`]; 0 where it has none.
    pub parameter: f64,
}

/// A kernel of elementwise ops: its name, what it says of itself, its functions. What is not overridden is right.
pub(super) trait Elements {
    /// The name in the registry.
    const NAME: &'static str;
    /// What the kernel does, in one line.
    const SUMMARY: &'static str;
    /// The defect that is planted in it.
    const DEFECT: Option<Defect> = None;
    /// Whether it is a correct kernel, which must pass on every input.
    const TRUSTED: bool = false;
    /// The number in it that other kernels have otherwise; none where there is none.
    const PARAMETER: Option<&'static Parameter> = None;
    /// Whether every operation is rounded to the half dtype that is written, which is then what it is offered for.
    const IN_HALF: bool = false;
    /// The ops that it is offered for: those in which it does something of its own.
    const OPS: &'static [Op];
    /// Inputs on which the planted defect shows and does not show; every defect has them.
    const EXAMPLES: Option<Examples> = None;

    /// `log(1 - exp(x))`: through expm1 where `exp(x)` is near 1, through log1p where it is small (Maechler, "Accurately computing
    /// log(1 - exp(-|a|))", 2012).
    fn log1mexp<A: Real>(Given { logit: x, .. }: Given<A>) -> A {
        if x > A::from_f64(-std::f64::consts::LN_2) { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }
    }

    /// `1 / (1 + exp(-z))`, with the exponential that is at most 1 on either side of 0.
    fn sigmoid<A: Real>(Given { logit: z, .. }: Given<A>) -> A {
        if z < A::ZERO {
            let weight = z.exp();
            weight / (A::ONE + weight)
        } else {
            A::ONE / (A::ONE + (-z).exp())
        }
    }

    /// `log(1 + exp(z))` as `max(z, 0) + log1p(exp(-|z|))`.
    fn softplus<A: Real>(Given { logit: z, .. }: Given<A>) -> A {
        z.larger(A::ZERO) + log1p_of(z)
    }

    /// `-log(1 + exp(-z))` as `min(z, 0) - log1p(exp(-|z|))`.
    fn log_sigmoid<A: Real>(Given { logit: z, .. }: Given<A>) -> A {
        -((-z).larger(A::ZERO) + log1p_of(z))
    }

    /// `g p (1 - p)` as `g w / (1 + w)^2`, with `w = exp(-|z|)`: the sigmoid and its rest have one derivative.
    fn sigmoid_vjp<A: Real>(Given { logit: z, other: g, .. }: Given<A>) -> A {
        let weight = (-z.abs()).exp();
        let total = A::ONE + weight;
        g * (weight / (total * total))
    }

    /// `g sigmoid(-z)`.
    fn log_sigmoid_vjp<A: Real>(given: Given<A>) -> A {
        given.other * Self::sigmoid(Given { logit: -given.logit, ..given })
    }

    /// `z (1 - t) + log1p(exp(-z))`, and below 0 `-z t + log1p(exp(z))`: a term whose factor is 0 is absent, also where z is infinite.
    fn bce_with_logits<A: Real>(Given { logit: z, other: label, .. }: Given<A>) -> A {
        let share = if z > A::ZERO { A::ONE - label } else { label };
        if share == A::ZERO { log1p_of(z) } else { z.abs() * share + log1p_of(z) }
    }

    /// `sigmoid(z) - t`.
    fn bce_with_logits_grad<A: Real>(given: Given<A>) -> A {
        Self::sigmoid(given) - given.other
    }

    /// `log(exp(x) + exp(y))` as `max(x, y) + log1p(exp(-|x - y|))`; an infinite maximum is the result, as its difference from itself is
    /// none.
    fn logaddexp<A: Real>(Given { logit: x, other: y, .. }: Given<A>) -> A {
        let larger = x.larger(y);
        if larger.is_infinite() { larger } else { larger + log1p_of(x - y) }
    }

    /// `log(exp(x) - exp(y))` as `x + log(1 - exp(y - x))`; nothing is taken from x where y is -inf.
    fn logsubexp<A: Real>(given: Given<A>) -> A {
        let Given { logit: x, other: y, .. } = given;
        if y == A::NEG_INFINITY { x } else { x + Self::log1mexp(Given { logit: y - x, ..given }) }
    }
}

/// `log1p(exp(-|z|))`.
fn log1p_of<A: Real>(z: A) -> A {
    (-z.abs()).exp().ln_1p()
}

/// The function of a kernel for an op; none where it does not implement the op.
fn function<E: Elements, A: Real>(op: Op) -> Option<fn(Given<A>) -> A> {
    match op {
        _ if !E::OPS.contains(&op) => None,
        Op::LOG1MEXP => Some(E::log1mexp),
        Op::SIGMOID => Some(E::sigmoid),
        Op::SOFTPLUS => Some(E::softplus),
        Op::LOG_SIGMOID => Some(E::log_sigmoid),
        Op::SIGMOID_VJP => Some(E::sigmoid_vjp),
        Op::LOG_SIGMOID_VJP => Some(E::log_sigmoid_vjp),
        Op::BCE_WITH_LOGITS => Some(E::bce_with_logits),
        Op::BCE_WITH_LOGITS_GRAD => Some(E::bce_with_logits_grad),
        Op::LOGADDEXP => Some(E::logaddexp),
        Op::LOGSUBEXP => Some(E::logsubexp),
        _ => None,
    }
}

/// Whether the kernel is offered for an op in a dtype.
pub(super) fn supports<E: Elements>(op: Op, dtype: Dtype) -> bool {
    function::<E, f64>(op).is_some() && (!E::IN_HALF || dtype.bytes() == 2)
}

/// What such a kernel declares: nothing but a good libm.
pub(super) fn claims(_: Op, _: Dtype) -> Claims {
    Claims::default()
}

/// Runs a case: in the type that is said, or in f64, or in f32 with one rounding to a half dtype.
pub(super) fn run<E: Elements>(case: &Case, changes: &Changes) -> Outcome {
    let parameter = changes.value.or(E::PARAMETER.map(|parameter| parameter.default)).unwrap_or(0.0);
    let usual = if E::IN_HALF { case.dtype().input() } else { case.dtype().accumulator() };
    Outcome::Outputs(match changes.inside.unwrap_or(usual).output() {
        Dtype::F16 => run_in::<E, f16>(case, parameter),
        Dtype::Bf16 => run_in::<E, bf16>(case, parameter),
        Dtype::F64 => run_in::<E, f64>(case, parameter),
        _ => run_in::<E, f32>(case, parameter),
    })
}

fn run_in<E: Elements, A: Real>(case: &Case, parameter: f64) -> Vec<f64> {
    // It is never run on an op that it does not support.
    let Some(function) = function::<E, A>(case.op()) else { return Vec::new() };
    let other = read::<A>(case.other_row().unwrap_or(&[]));
    let value = |(j, logit)| Given { logit, other: other.get(j).copied().unwrap_or(A::ZERO), parameter };
    let given = read::<A>(case.logits()).into_iter().enumerate().map(value);
    let outputs: Vec<A> = given.map(function).collect();
    stored(&outputs, case.dtype())
}

/// The branch that is accurate, for each element.
pub(super) struct Branched;

impl Elements for Branched {
    const NAME: &'static str = "branched";
    const SUMMARY: &'static str = "elementwise ops, with the branch that is accurate at each element";
    const TRUSTED: bool = true;
    const OPS: &'static [Op] = &[
        Op::LOG1MEXP,
        Op::SIGMOID,
        Op::SOFTPLUS,
        Op::LOG_SIGMOID,
        Op::SIGMOID_VJP,
        Op::LOG_SIGMOID_VJP,
        Op::BCE_WITH_LOGITS,
        Op::BCE_WITH_LOGITS_GRAD,
        Op::LOGADDEXP,
        Op::LOGSUBEXP,
    ];
}

/// The sigmoid as most libraries write it. Where the exponential overflows, so that the result is 0, the textbook is no better.
pub(super) struct OneBranch;

impl Elements for OneBranch {
    const NAME: &'static str = "one_branch";
    const SUMMARY: &'static str =
        "sigmoid as 1 / (1 + exp(-z)) on either side of 0, and its gradients as products with p and 1 - p";
    const TRUSTED: bool = true;
    const OPS: &'static [Op] = &[Op::SIGMOID, Op::SIGMOID_VJP, Op::LOG_SIGMOID_VJP, Op::BCE_WITH_LOGITS_GRAD];

    fn sigmoid<A: Real>(Given { logit: z, .. }: Given<A>) -> A {
        A::ONE / (A::ONE + (-z).exp())
    }

    fn sigmoid_vjp<A: Real>(given: Given<A>) -> A {
        let p = Self::sigmoid(given);
        given.other * (A::ONE - p) * p
    }
}

/// `log(1 - exp(x))` as it is written.
pub(super) struct Log1mExpNaive;

impl Elements for Log1mExpNaive {
    const NAME: &'static str = "defect/log1mexp-naive";
    const SUMMARY: &'static str = "log(1 - exp(x)) as it is written";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C28",
        story: "1 - exp(x) cancels near 0, and is 1 where exp(x) is small: the result is -inf at -1e-9 and 0 at -40 in f32",
        families: &["ordinary", "wide"],
        report: Some("https://github.com/pytorch/pytorch/issues/39242"),
    });
    const OPS: &'static [Op] = &[Op::LOG1MEXP];
    const EXAMPLES: Option<Examples> = Some(Examples::new("log1mexp f32 [-1e-9, -40]", None));

    fn log1mexp<A: Real>(Given { logit: x, .. }: Given<A>) -> A {
        (A::ONE - x.exp()).ln()
    }
}

/// Only the branch for small exponentials.
pub(super) struct Log1mExpOneBranch;

impl Elements for Log1mExpOneBranch {
    const NAME: &'static str = "defect/log1mexp-one-branch";
    const SUMMARY: &'static str = "log(1 - exp(x)) as log1p(-exp(x)) everywhere";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C28",
        story: "near 0, exp(x) is rounded before it meets the 1 inside of log1p: all digits are lost, and the result is -inf at -1e-9 in f32",
        families: &["ordinary", "wide"],
        report: Some("https://github.com/pytorch/pytorch/issues/39242"),
    });
    const OPS: &'static [Op] = &[Op::LOG1MEXP];
    const EXAMPLES: Option<Examples> = Some(Examples::new("log1mexp f32 [-1e-9]", Some("log1mexp f32 [-1, -2, -40]")));

    fn log1mexp<A: Real>(Given { logit: x, .. }: Given<A>) -> A {
        (-x.exp()).ln_1p()
    }
}

/// The sigmoid through the exponential that grows.
pub(super) struct SigmoidOverflows;

impl Elements for SigmoidOverflows {
    const NAME: &'static str = "defect/sigmoid-overflows";
    const SUMMARY: &'static str = "sigmoid as exp(z) / (1 + exp(z)) on either side of 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C24",
        story: "exp(z) overflows for large z, and the sigmoid of 89 is inf / inf in f32, NaN instead of 1",
        families: &["ordinary", "thresholds", "wide"],
        report: Some("https://github.com/NervanaSystems/ngraph/pull/3118"),
    });
    const OPS: &'static [Op] = &[Op::SIGMOID];
    const EXAMPLES: Option<Examples> = Some(Examples::new("sigmoid f32 [89]", Some("sigmoid f32 [-1, -2, -3]")));

    fn sigmoid<A: Real>(Given { logit: z, .. }: Given<A>) -> A {
        let weight = z.exp();
        weight / (A::ONE + weight)
    }
}

/// `log(1 + exp(z))` as it is written.
pub(super) struct SoftplusNaive;

impl Elements for SoftplusNaive {
    const NAME: &'static str = "defect/softplus-naive";
    const SUMMARY: &'static str = "softplus as log(1 + exp(z)), as it is written";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C27",
        story: "exp(z) overflows for large z, and the softplus of 89 is inf in f32; for z far below 0 the 1 swallows exp(z), and the result is 0",
        families: &["ordinary", "thresholds", "wide"],
        report: Some("https://github.com/rushter/MLAlgorithms/pull/30"),
    });
    const OPS: &'static [Op] = &[Op::SOFTPLUS];
    const EXAMPLES: Option<Examples> = Some(Examples::new("softplus f32 [89, -20]", Some("softplus f32 [0]")));

    fn softplus<A: Real>(Given { logit: z, .. }: Given<A>) -> A {
        (A::ONE + z.exp()).ln()
    }
}

/// Thresholds of softplus that libraries have, and numbers between.
const THRESHOLDS: &[f64] = &[
    3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 20.0, 22.0, 25.0, 28.0,
    30.0, 33.0,
];

/// Softplus that is its argument from a threshold on.
pub(super) struct SoftplusThreshold;

impl Elements for SoftplusThreshold {
    const NAME: &'static str = "defect/softplus-threshold";
    const SUMMARY: &'static str = "softplus returns z above 20, in every dtype";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C28",
        story: "log1p(exp(-z)) is left out above 20, where it is lost in f32 but not in f64: 1.4e-9 at 20.4, which is 388,000 ulps",
        families: &["ordinary", "thresholds"],
        report: Some("https://github.com/apache/tvm/issues/20184"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the threshold", 20.0, THRESHOLDS));
    const OPS: &'static [Op] = &[Op::SOFTPLUS];
    const EXAMPLES: Option<Examples> = Some(Examples::new("softplus f64 [20.5]", Some("softplus f64 [1, -2, 3]")));

    fn softplus<A: Real>(Given { logit: z, parameter, .. }: Given<A>) -> A {
        if z > A::from_f64(parameter) { z } else { z.larger(A::ZERO) + log1p_of(z) }
    }
}

/// Softplus without its rest beyond a boundary on either side of 0.
pub(super) struct SoftplusCut;

impl Elements for SoftplusCut {
    const NAME: &'static str = "defect/softplus-cut";
    const SUMMARY: &'static str = "softplus is max(z, 0) where |z| is above 5";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C28",
        story: "the boundary of an approximation is meant for large z, and cuts on both sides: below -5 the result is 0, where it is exp(z)",
        families: &["ordinary", "thresholds", "wide"],
        report: Some("https://github.com/tenstorrent/tt-metal/issues/51866"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the boundary", 5.0, THRESHOLDS));
    const OPS: &'static [Op] = &[Op::SOFTPLUS];
    const EXAMPLES: Option<Examples> = Some(Examples::new("softplus bf16 [-6]", Some("softplus bf16 [1, -2, 3]")));

    fn softplus<A: Real>(Given { logit: z, parameter, .. }: Given<A>) -> A {
        let cut = z.larger(A::ZERO);
        if z.abs() > A::from_f64(parameter) { cut } else { cut + log1p_of(z) }
    }
}

/// How a sigmoid is written.
const SIGMOIDS: &[&str] = &["in one branch", "in two branches"];

/// Every operation in the half dtype.
pub(super) struct NarrowElements;

impl Elements for NarrowElements {
    const NAME: &'static str = "defect/narrow-elements";
    const SUMMARY: &'static str =
        "every operation of an elementwise op is rounded to the half dtype that the elements come in";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C40",
        story: "exp(12) is infinite in f16, so the sigmoid of -12 is 0; and 1 + small has the few digits of the dtype",
        families: &["ordinary", "thresholds"],
        report: Some("https://github.com/microsoft/onnxruntime/pull/14727"),
    });
    const IN_HALF: bool = true;
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::of_words("the sigmoid", SIGMOIDS));
    const OPS: &'static [Op] = &[Op::SIGMOID, Op::SOFTPLUS, Op::LOG_SIGMOID, Op::LOG1MEXP];
    const EXAMPLES: Option<Examples> = Some(Examples::new("sigmoid f16 [-12]", Some("sigmoid f16 [0]")));

    fn sigmoid<A: Real>(given: Given<A>) -> A {
        if given.parameter == 0.0 { OneBranch::sigmoid(given) } else { Branched::sigmoid(given) }
    }
}

/// The logarithm of the sigmoid, in two steps.
pub(super) struct LogOfSigmoid;

impl Elements for LogOfSigmoid {
    const NAME: &'static str = "defect/log-of-sigmoid";
    const SUMMARY: &'static str = "log_sigmoid as the logarithm of 1 / (1 + exp(-z))";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C27",
        story: "exp(-z) overflows for z far below 0, and the log-sigmoid of -300 is log 0, -inf, in f32; above 17 it is log 1, which is 0",
        families: &["ordinary", "thresholds", "wide"],
        report: Some("https://github.com/pytorch/pytorch/issues/1835"),
    });
    const OPS: &'static [Op] = &[Op::LOG_SIGMOID];
    const EXAMPLES: Option<Examples> = Some(Examples::new("log_sigmoid f32 [-300]", Some("log_sigmoid f32 [0]")));

    fn log_sigmoid<A: Real>(Given { logit: z, .. }: Given<A>) -> A {
        (A::ONE / (A::ONE + (-z).exp())).ln()
    }
}

/// The derivative of the sigmoid through the exponential that grows.
pub(super) struct SigmoidDerivativeOverflows;

impl Elements for SigmoidDerivativeOverflows {
    const NAME: &'static str = "defect/sigmoid-derivative-overflows";
    const SUMMARY: &'static str = "the gradient of sigmoid as g exp(-z) / (1 + exp(-z))^2 on either side of 0";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C26",
        story: "exp(-z) overflows far below 0, and the gradient at -89 is inf / inf in f32, NaN; its square overflows half as far, and the gradient is 0",
        families: &["ordinary", "thresholds", "wide"],
        report: Some("https://github.com/jeshraghian/snntorch/pull/433"),
    });
    const OPS: &'static [Op] = &[Op::SIGMOID_VJP];
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "sigmoid_vjp f32 [-100] cotangent=[1]",
        Some("sigmoid_vjp f32 [1, 2, 3] cotangent=[1, -2, 4]"),
    ));

    fn sigmoid_vjp<A: Real>(Given { logit: z, other: g, .. }: Given<A>) -> A {
        let weight = (-z).exp();
        let total = A::ONE + weight;
        g * (weight / (total * total))
    }
}

/// The binary cross-entropy from the sigmoid.
pub(super) struct BceOfSigmoid;

impl Elements for BceOfSigmoid {
    const NAME: &'static str = "defect/bce-of-sigmoid";
    const SUMMARY: &'static str = "binary cross-entropy as -t log p - (1 - t) log(1 - p), with p the sigmoid";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C23",
        story: "the sigmoid of 20 is 1 in f32: log(1 - p) is log 0, and the loss is infinite where it is 20, or 0 times that, NaN",
        families: &["ordinary", "thresholds", "wide"],
        report: Some("https://github.com/huggingface/candle/issues/2561"),
    });
    // As candle has it, it is NaN far below 0, too, where exp(-z) overflows and p is 0.
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::of_words("the sigmoid:", &["with a branch for either sign", "1 / (1 + exp(-z))"]));
    const OPS: &'static [Op] = &[Op::BCE_WITH_LOGITS];
    const EXAMPLES: Option<Examples> = Some(Examples::new("bce_with_logits f32 [20, 20] label=[1, 0]", None));

    fn bce_with_logits<A: Real>(given: Given<A>) -> A {
        let label = given.other;
        let p = match given.parameter as usize {
            0 => Self::sigmoid(given),
            _ => A::ONE / (A::ONE + (-given.logit).exp()),
        };
        -(label * p.ln() + (A::ONE - label) * (A::ONE - p).ln())
    }
}

/// The binary cross-entropy with the shift of the other side.
pub(super) struct BceClampSign;

impl Elements for BceClampSign {
    const NAME: &'static str = "defect/bce-clamp-sign";
    const SUMMARY: &'static str =
        "binary cross-entropy shifted by max(z, 0), where max(-z, 0) is what keeps exp(-z) small";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C23",
        story: "a minus sign is missing in the clamp, so exp(-z) overflows far below 0: the loss of -100 is inf in f32 where it is 0",
        families: &["ordinary", "thresholds", "wide"],
        report: Some("https://github.com/pytorch/pytorch/pull/2221"),
    });
    const OPS: &'static [Op] = &[Op::BCE_WITH_LOGITS];
    const EXAMPLES: Option<Examples> = Some(Examples::new("bce_with_logits f32 [-100] label=[0]", None));

    fn bce_with_logits<A: Real>(Given { logit: z, other: label, .. }: Given<A>) -> A {
        let shift = z.larger(A::ZERO);
        (z - z * label) + shift + ((-shift).exp() + (-z - shift).exp()).ln()
    }
}

/// The logarithm of a sum with no guard of the infinities.
pub(super) struct LogAddExpUnguarded;

impl Elements for LogAddExpUnguarded {
    const NAME: &'static str = "defect/logaddexp-unguarded";
    const SUMMARY: &'static str = "logaddexp as max(x, y) + log1p(exp(-|x - y|)), with no guard of equal infinities";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C01",
        story: "of two equal infinities inf - inf is formed, and the result is NaN",
        families: &["fully_masked", "pos_inf"],
        report: Some("https://github.com/cupy/cupy/issues/5716"),
    });
    const OPS: &'static [Op] = &[Op::LOGADDEXP];
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "logaddexp f32 [-inf] other_logits=[-inf]",
        Some("logaddexp f32 [1, -2, -inf] other_logits=[3, -inf, 5]"),
    ));

    fn logaddexp<A: Real>(Given { logit: x, other: y, .. }: Given<A>) -> A {
        x.larger(y) + log1p_of(x - y)
    }
}

/// The logarithm of a difference with only the branch for small exponentials.
pub(super) struct LogSubExpOneBranch;

impl Elements for LogSubExpOneBranch {
    const NAME: &'static str = "defect/logsubexp-one-branch";
    const SUMMARY: &'static str = "logsubexp as x + log1p(-exp(y - x)) everywhere";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C28",
        story: "where y is near x, exp(y - x) is rounded before it meets the 1 inside of log1p, and digits are lost: in f32 the result is -inf at \
                y - x = -1e-9",
        families: &["ordinary", "wide"],
        report: Some("https://github.com/cjdoris/LogarithmicNumbers.jl/issues/9"),
    });
    const OPS: &'static [Op] = &[Op::LOGSUBEXP];
    const EXAMPLES: Option<Examples> = Some(Examples::new(
        "logsubexp f32 [0] other_logits=[-1e-9]",
        Some("logsubexp f32 [1, 2, 3] other_logits=[-1, -2, -inf]"),
    ));

    fn log1mexp<A: Real>(Given { logit: x, .. }: Given<A>) -> A {
        (-x.exp()).ln_1p()
    }
}

/// The sigmoid as what it differs from 1/2 by, and 1/2.
pub(super) struct SigmoidFromHalf;

impl Elements for SigmoidFromHalf {
    const NAME: &'static str = "defect/sigmoid-from-half";
    const SUMMARY: &'static str = "sigmoid as 1/2 + tanh(z / 2) / 2";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C25",
        story: "the sum with 1/2 cancels far below 0: all digits of the tail are lost, and the sigmoid of -18 is 0 in f32 where it is 1.5e-8",
        families: &["ordinary", "thresholds", "wide"],
        report: Some("https://github.com/sonos/tract/pull/2620"),
    });
    const OPS: &'static [Op] = &[Op::SIGMOID];
    const EXAMPLES: Option<Examples> = Some(Examples::new("sigmoid f32 [-18]", None));

    fn sigmoid<A: Real>(Given { logit: z, .. }: Given<A>) -> A {
        let half = A::from_f64(0.5);
        // tanh(|z| / 2), good but for a few roundings.
        let rest = (-z.abs()).exp_m1();
        let tanh = -rest / (A::ONE + A::ONE + rest);
        half + half * (if z < A::ZERO { -tanh } else { tanh })
    }
}
