//! The exponential function and its range reduction (C29, C31, C39).

use super::super::parameter::{self, CUTS, LENGTHS, Parameter};
use super::super::recipe::{Recipe, Row};
use super::super::stable::{Base2, Shifted};
use super::super::{Defect, Examples};
use crate::dtype::Dtype;
use crate::kernel::{Claims, Real};
use crate::op::Op;

pub(in super::super) struct ExpClamped;

impl Recipe for ExpClamped {
    const NAME: &'static str = "defect/exp-clamped";
    const SUMMARY: &'static str = "the argument of exp is clamped at the log of the least normal number of the dtype";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "a vectorised exp that never reaches 0: masked classes keep a weight",
        families: &["masked", "dominant", "confident_wrong"],
        report: Some("https://github.com/vllm-project/vllm/pull/53069"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::of_words("the type", &["of the row", "f16", "f32", "f64"]));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, -inf]", Some("softmax f32 [1, -2, 3]")));

    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        let dtype = [row.dtype, Dtype::F16, Dtype::F32, Dtype::F64][row.parameter as usize % 4];
        let least = A::from_f64(dtype.format().least_normal().ln());
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
        report: Some("https://github.com/torch/nn/issues/804"),
    });
    const PARAMETER: Option<&'static Parameter> =
        Some(&Parameter::near("the cut", -80.0, CUTS).along(parameter::from_zero));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, -85]", Some("softmax f32 [1, -2, 3]")));

    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        if x < row.value() { A::ZERO } else { x.exp() }
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
        report: Some("https://github.com/llvm/llvm-project/pull/212696"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, -90]", Some("softmax f32 [1, -2, 3]")));

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
        report: Some("https://github.com/openvinotoolkit/openvino/pull/37857"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, -0.5]", Some("softmax f32 [0, 0]")));

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
        report: None,
    });
    #[expect(clippy::approx_constant, reason = "the short constant is the defect")]
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::near(
        "the constant",
        1.4427,
        &[1.3, 1.4, 1.44, 1.442, 1.4426, 1.44269, 1.4427, 1.443, 1.45, 1.5],
    ));
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, -10]", Some("softmax f32 [0, 0]")));

    fn claims(op: Op, dtype: Dtype) -> Claims {
        unreduced_claims(op, dtype)
    }

    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        (x * row.value()).exp2()
    }
}

pub(in super::super) struct ShortLn2;

impl Recipe for ShortLn2 {
    const NAME: &'static str = "defect/short-ln2";
    const SUMMARY: &'static str = "log is a logarithm to base 2 times ln(2), which is written as 0.693147";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "six digits look like enough in f32, where they cost some ulps; in f64 ten digits of the log are wrong",
        families: &["ordinary", "ties"],
        report: Some("https://github.com/intel/llvm/pull/5211"),
    });
    #[expect(clippy::approx_constant, reason = "the short constant is the defect")]
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::near(
        "the constant",
        0.693147,
        &[0.5, 0.6, 0.69, 0.693, 0.6931, 0.69314, 0.693147, 0.69315, 0.7, 0.8],
    ));
    const EXAMPLES: Option<Examples> = Some(Examples::new("logsumexp f64 [0, 0]", Some("softmax f64 [0, 0]")));

    fn claims(op: Op, dtype: Dtype) -> Claims {
        base2_log_claims(op, dtype)
    }

    fn log<A: Real>(row: &Row<A>, x: A) -> A {
        A::from_f64(x.to_f64().log2()) * row.value()
    }
}

pub(in super::super) struct FusedScale;

impl Recipe for FusedScale {
    const NAME: &'static str = "defect/fused-scale";
    const SUMMARY: &'static str =
        "the weight is 2^fma(z, log2(e), -m) with m the rounded product of the maximum and log2(e)";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C31",
        story: "only one of two products is rounded: the weight of the maximum is not 1, and may be anything for large logits",
        families: &["offset"],
        report: Some("https://github.com/pytorch/pytorch/issues/100775"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("log_softmax f32 [1e5, 0]", Some("logsumexp f32 [0, 0]")));

    fn claims(op: Op, dtype: Dtype) -> Claims {
        unreduced_claims(op, dtype)
    }

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
        report: Some("https://github.com/vllm-project/vllm/pull/40428"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, -inf]", Some("softmax f32 [0, 0]")));

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Base2::claims(op, dtype)
    }

    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        Base2::reduced(x)
    }
}

pub(in super::super) struct ShiftUnclamped;

impl Recipe for ShiftUnclamped {
    const NAME: &'static str = "defect/shift-unclamped";
    const SUMMARY: &'static str = "2^k is made by shifting k + 127 to where an f32 has its exponent, whatever k is";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C39",
        story: "past the exponents of f32 the shift reaches the sign: a weight that should vanish is huge and negative",
        families: &["thresholds", "confident_wrong"],
        report: Some("https://github.com/tenstorrent/tt-metal/pull/55802"),
    });
    const EXAMPLES: Option<Examples> = Some(Examples::new("softmax f32 [0, -100]", Some("softmax f32 [0, -inf]")));

    fn claims(op: Op, dtype: Dtype) -> Claims {
        Base2::claims(op, dtype)
    }

    fn exp<A: Real>(_: &Row<A>, x: A) -> A {
        if x == A::NEG_INFINITY {
            return A::ZERO;
        }
        let (k, power) = Base2::parts(x);
        let bits = (k.to_f64() as i32).wrapping_add(127) << (f32::MANTISSA_DIGITS - 1);
        power * A::from_f64(f64::from(f32::from_bits(bits as u32)))
    }
}

pub(in super::super) struct ExpOfWholePowers;

impl Recipe for ExpOfWholePowers {
    const NAME: &'static str = "defect/exp-of-whole-powers";
    const SUMMARY: &'static str = "rows of a vector's length and more are given the power of 2 that is nearest to exp";
    const DEFECT: Option<Defect> = Some(Defect {
        class: "C29",
        story: "the vector code loses the fraction of x log2(e), the code for short rows keeps it",
        families: &["ordinary"],
        report: Some("https://github.com/Maratyszcza/NNPACK/issues/174"),
    });
    const PARAMETER: Option<&'static Parameter> = Some(&Parameter::one_of("the shortest vector", 4.0, LENGTHS));
    const EXAMPLES: Option<Examples> =
        Some(Examples::new("softmax f32 [0, -1, -2, -3]", Some("softmax f32 [0, -1, -2]")));

    fn exp<A: Real>(row: &Row<A>, x: A) -> A {
        if row.logits.len() < row.length() {
            return x.exp();
        }
        A::from_f64((x.to_f64() * std::f64::consts::LOG2_E).round().exp2())
    }
}

/// What a correct kernel claims whose exp is 2^(x log2(e)), without a reduction. The product and its constant err by a
/// relative u each, which `2^y` turns into `2 |x| u`; no weight is above 0 past |x| = 104 in f32 and 746 in f64.
pub(in super::super) fn unreduced_claims(op: Op, dtype: Dtype) -> Claims {
    let farthest = if dtype.accumulator() == Dtype::F64 { 746.0 } else { 104.0 };
    Claims { exp: 2.0 + 2.0 * farthest, elementwise_monotone: false, ..Shifted::claims(op, dtype) }
}

/// What a correct kernel claims whose log is a logarithm to base 2 times ln(2): a relative 2u for the logarithm, and u each for
/// the constant and the product.
pub(in super::super) fn base2_log_claims(op: Op, dtype: Dtype) -> Claims {
    Claims { log: 4.0, ..Shifted::claims(op, dtype) }
}
