//! Kernels of the elementwise ops: a correct one, and planted defects. Each maps every element by itself, so a kernel is a function of
//! a number for each op that it implements.

use super::recipe::{read, stored};
use super::{Defect, Examples};
use crate::case::Case;
use crate::dtype::Dtype;
use crate::kernel::{Claims, Outcome, Real};
use crate::op::Op;
use half::{bf16, f16};

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
    /// Inputs on which the planted defect shows and does not show; every defect has them.
    const EXAMPLES: Option<Examples> = None;

    /// `log(1 - exp(x))`: through expm1 where `exp(x)` is near 1, through log1p where it is small (Maechler, "Accurately computing
    /// log(1 - exp(-|a|))", 2012).
    fn log1mexp<A: Real>(x: A) -> A {
        if x > A::from_f64(-std::f64::consts::LN_2) { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }
    }
}

/// The function of a kernel for an op; none where it does not implement the op.
fn function<E: Elements, A: Real>(op: Op) -> Option<fn(A) -> A> {
    match op {
        Op::LOG1MEXP => Some(E::log1mexp),
        _ => None,
    }
}

/// Whether the kernel is offered for an op in a dtype.
pub(super) fn supports<E: Elements>(op: Op, _: Dtype) -> bool {
    function::<E, f64>(op).is_some()
}

/// What such a kernel declares: nothing but a good libm.
pub(super) fn claims(_: Op, _: Dtype) -> Claims {
    Claims::default()
}

/// Runs a case: in the type `inside`, or in f64, or in f32 with one rounding to a half dtype. There is no parameter.
pub(super) fn run<E: Elements>(case: &Case, inside: Option<Dtype>, _: f64) -> Outcome {
    Outcome::Outputs(match inside.unwrap_or(case.dtype().accumulator()).output() {
        Dtype::F16 => run_in::<E, f16>(case),
        Dtype::Bf16 => run_in::<E, bf16>(case),
        Dtype::F64 => run_in::<E, f64>(case),
        _ => run_in::<E, f32>(case),
    })
}

fn run_in<E: Elements, A: Real>(case: &Case) -> Vec<f64> {
    // It is never run on an op that it does not support.
    let Some(function) = function::<E, A>(case.op()) else { return Vec::new() };
    let outputs: Vec<A> = read::<A>(case.logits()).into_iter().map(function).collect();
    stored(&outputs, case.dtype())
}

/// The branch that is accurate, for each element.
pub(super) struct Branched;

impl Elements for Branched {
    const NAME: &'static str = "branched";
    const SUMMARY: &'static str = "elementwise ops, with the branch that is accurate at each element";
    const TRUSTED: bool = true;
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

    const EXAMPLES: Option<Examples> = Some(Examples::new("log1mexp f32 [-1e-9, -40]", None));

    fn log1mexp<A: Real>(x: A) -> A {
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

    const EXAMPLES: Option<Examples> = Some(Examples::new("log1mexp f32 [-1e-9]", Some("log1mexp f32 [-1, -2, -40]")));

    fn log1mexp<A: Real>(x: A) -> A {
        (-x.exp()).ln_1p()
    }
}
