//! `p_j = exp(z_j) / sum exp(z_i)`.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct Softmax;

impl Definition for Softmax {
    const NAME: &'static str = "softmax";
    const CODE: u8 = 1;
    const FORMULA: &'static str = "p_j = exp(z_j) / sum exp(z_i)";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (0.0, 1.0);
}

impl RowDefinition for Softmax {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = true;
    const IS_EQUIVARIANT: bool = true;
    /// One rounding of a quotient, or two of a product with the reciprocal.
    const SUM: Option<Sum> = Some(Sum { value: 1.0, roundings: 2.0, stored: 1.0 });
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = false;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = false;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        t.probability(j)
    }

    fn error<S: Size>(t: &RowTerms<S>, j: usize, _: S) -> S {
        t.probability_error(j)
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
