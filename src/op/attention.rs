//! `sum p_i v_i`: one output of attention, of one query and one channel of the values, from its row of scores.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct Attention;

impl Definition for Attention {
    const NAME: &'static str = "attention";
    const CODE: u8 = 27;
    const FORMULA: &'static str = "sum p_i v_i";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::VALUES];
    const OUTPUTS: Outputs = Outputs::One;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for Attention {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = false;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = false;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, _: usize) -> T::Number {
        t.mean()
    }

    /// The error of the mean, whether the weights are divided first or the sum of the products last: the quotient rounds once either way,
    /// and the rounding of each product is in the mean's. What is claimed of weights in a narrower type is
    /// [`RowTerms::narrowing_error`].
    fn error<S: Size>(t: &RowTerms<S>, _: usize, size: S) -> S {
        t.mean_error() + t.narrowing_error(size) + t.own_rounding(size) + t.eta + t.flushed
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    /// Some mean of the values over the infinite logits, whose shares may sum to 1 but for a rounding of the coarsest dtype.
    fn undetermined(inputs: &Inputs, _: usize) -> (f64, f64) {
        const ROUNDING: f64 = 1.0 / 256.0;
        let over_top = || inputs.direction.iter().zip(inputs.logits).filter(|(_, z)| **z == f64::INFINITY).map(|(&v, _)| v);
        let (least, largest) = (over_top().fold(f64::INFINITY, f64::min), over_top().fold(f64::NEG_INFINITY, f64::max));
        (least - least.abs() * ROUNDING, largest + largest.abs() * ROUNDING)
    }
}
