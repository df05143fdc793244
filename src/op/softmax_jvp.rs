//! `p_j (v_j - sum p_i v_i)` for a tangent `v`: the Jacobian of softmax is symmetric, so this is the product with a cotangent again.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::softmax_vjp::SoftmaxVjp;
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct SoftmaxJvp;

impl Definition for SoftmaxJvp {
    const NAME: &'static str = "softmax_jvp";
    const CODE: u8 = 6;
    const FORMULA: &'static str = "p_j (v_j - sum p_i v_i)";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::TANGENT];
    const OUTPUTS: Outputs = SoftmaxVjp::OUTPUTS;
    const RANGE: (f64, f64) = SoftmaxVjp::RANGE;
}

impl RowDefinition for SoftmaxJvp {
    const SHIFT: Shift = SoftmaxVjp::SHIFT;
    const IS_MONOTONE: bool = SoftmaxVjp::IS_MONOTONE;
    const IS_EQUIVARIANT: bool = SoftmaxVjp::IS_EQUIVARIANT;
    const SUM: Option<Sum> = SoftmaxVjp::SUM;
    const HAS_LOG_TOTAL: bool = SoftmaxVjp::HAS_LOG_TOTAL;
    const HAS_TIGHT: bool = SoftmaxVjp::HAS_TIGHT;
    const IS_LOG_PROBABILITY: bool = SoftmaxVjp::IS_LOG_PROBABILITY;
    const IS_DERIVATIVE: bool = SoftmaxVjp::IS_DERIVATIVE;
    const LIMIT_ONLY: bool = SoftmaxVjp::LIMIT_ONLY;
    const USES_DEVIATIONS: bool = SoftmaxVjp::USES_DEVIATIONS;
    const CANCELS: Cancels = SoftmaxVjp::CANCELS;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        SoftmaxVjp::output(t, j)
    }

    fn error<S: Size>(t: &RowTerms<S>, j: usize, size: S) -> S {
        SoftmaxVjp::error(t, j, size)
    }

    fn overflows(t: &OverflowTerms, overflows: &dyn Fn(f64) -> bool) -> bool {
        SoftmaxVjp::overflows(t, overflows)
    }

    fn undetermined(inputs: &Inputs, j: usize) -> (f64, f64) {
        SoftmaxVjp::undetermined(inputs, j)
    }
}
