//! The exponential function and its range reduction (C29, C31, C39).

use super::super::Defect;
use super::super::recipe::{Recipe, Row};
use super::super::stable::Base2;
use crate::kernel::Real;

pub(in super::super) struct ExpClamped;

impl Recipe for ExpClamped {
    const NAME: &'static str = "defect/exp-clamped";
    const SUMMARY: &'static str = "the argument of exp is clamped at the log of the least normal number of the dtype";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "a vectorised exp that never reaches 0: masked classes keep a weight",
        families: &["masked", "dominant", "confident_wrong"],
    });

    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        let least = A::from_f64(row.dtype.format().least_normal().ln());
        if x < least { least.exp() } else { x.exp() }
    }
}

pub(in super::super) struct ExpCut;

impl Recipe for ExpCut {
    const NAME: &'static str = "defect/exp-cut";
    const SUMMARY: &'static str = "exp is 0 below -80";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "a fast exp that gives up early: probabilities that f32 still holds are 0",
        families: &["thresholds"],
    });
    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        if x < A::from_f64(-80.0) { A::ZERO } else { x.exp() }
    }
}

pub(in super::super) struct ExpFlushed;

impl Recipe for ExpFlushed {
    const NAME: &'static str = "defect/exp-flushed";
    const SUMMARY: &'static str = "exp is 0 where its result is subnormal";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "subnormal weights are flushed by a kernel that does not say so",
        families: &["thresholds"],
    });
    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        let weight = x.exp();
        if weight < A::from_f64(A::DTYPE.format().least_normal()) { A::ZERO } else { weight }
    }
}

pub(in super::super) struct ExpOfDegree2;

impl Recipe for ExpOfDegree2 {
    const NAME: &'static str = "defect/exp-of-degree-2";
    const SUMMARY: &'static str = "exp is 2^k times a polynomial of degree 2";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "good to three digits, which is enough for pictures",
        families: &["ordinary"],
    });
    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        let y = x.to_f64() * std::f64::consts::LOG2_E;
        let fraction = y - y.floor();
        if y == f64::NEG_INFINITY {
            return A::ZERO;
        }
        A::from_f64((1.0 + fraction * (0.6565 + 0.3435 * fraction)) * y.floor().exp2())
    }
}

pub(in super::super) struct ShortLog2e;

impl Recipe for ShortLog2e {
    const NAME: &'static str = "defect/short-log2e";
    const SUMMARY: &'static str = "exp is a power of 2 with log2(e) written as 1.4427";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "five digits of the constant leave five digits of the weights, fewer far below the maximum",
        families: &["ordinary"],
    });
    #[expect(clippy::approx_constant, reason = "the short constant is the defect")]
    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        (x * A::from_f64(1.4427)).exp2()
    }
}

/// Reported in <https://github.com/pytorch/pytorch/issues/100775>.
pub(in super::super) struct FusedScale;

impl Recipe for FusedScale {
    const NAME: &'static str = "defect/fused-scale";
    const SUMMARY: &'static str =
        "the weight is 2^fma(z, log2(e), -m) with m the rounded product of the maximum and log2(e)";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C31",
        story: "only one of two products is rounded: the weight of the maximum is not 1, and may be anything for large logits",
        families: &["offset"],
    });
    fn weight<A: Real>(_: &Row<A>, z: A, max: A) -> A {
        let log2_e = A::from_f64(std::f64::consts::LOG2_E);
        let rounded = max * log2_e;
        A::from_f64(z.to_f64().mul_add(log2_e.to_f64(), -rounded.to_f64())).exp2()
    }
}

pub(in super::super) struct ReductionUnclamped;

impl Recipe for ReductionUnclamped {
    const NAME: &'static str = "defect/reduction-unclamped";
    const SUMMARY: &'static str = "exp is reduced to 2^k 2^f without a test for arguments that it cannot reduce";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C39",
        story: "far below the maximum k log 2 is rounded, what is left is anything, and 0 * inf is NaN",
        families: &["extreme", "masked"],
    });
    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        Base2::reduced(x)
    }
}
