//! `p = softmax(scale z)` of the exact products: attention's softmax, and that of a temperature.
//!
//! Two kernels are common. One multiplies first, and the rounded products lose `u |scale z|`. The other subtracts the maximum first (for a
//! negative scale the least logit) and multiplies the differences: that is the tight bound. The textbook may be either.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct ScaledSoftmax;

impl Definition for ScaledSoftmax {
    const NAME: &'static str = "scaled_softmax";
    const CODE: u8 = 22;
    const FORMULA: &'static str = "p_j = exp(scale z_j) / sum exp(scale z_i)";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::SCALE];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (0.0, 1.0);
}

impl RowDefinition for ScaledSoftmax {
    /// `scale (z + c)` is another rounded product.
    const SHIFT: Shift = Shift::Rounded;
    const IS_MONOTONE: bool = true;
    const IS_EQUIVARIANT: bool = true;
    /// One rounding of a quotient, or two of a product with the reciprocal.
    const SUM: Option<Sum> = Some(Sum { value: 1.0, roundings: 2.0, stored: 1.0 });
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = true;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = false;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        t.probability(j)
    }

    /// As softmax, where `rho_j` is `e^x - 1` for the error `x` of the exponent (`judge::bound`), which need not be small. With weights
    /// that err by factors within `e^x_i` of 1, the sum errs by a factor between `1 / (1 + E_S)` and `1 + E_S`, for
    /// `sum p_i e^x_i sum p_i e^-x_i >= 1` (Cauchy and Schwarz). So `p_j` errs by `(1 + r)(1 + E_S) - 1` of itself, with the product of
    /// the two, which softmax leaves to the second order.
    fn error<S: Size>(t: &RowTerms<S>, j: usize, _: S) -> S {
        let own = t.rho[j] + t.exp_error + t.u;
        t.probability_error(j) + t.probability(j) * S::of(own) * S::of(t.total_error)
    }

    /// Whether the largest product overflows the accumulator: then the textbook subtracts infinities.
    fn overflows(t: &OverflowTerms, overflows: &dyn Fn(f64) -> bool) -> bool {
        let Inputs { logits, scale, .. } = t.inputs;
        let products = logits.iter().filter(|z| z.is_finite()).map(|z| scale * z);
        overflows(products.fold(f64::NEG_INFINITY, f64::max))
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
