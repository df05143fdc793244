//! `log(sum exp(z_i))`.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct LogSumExp;

impl Definition for LogSumExp {
    const NAME: &'static str = "logsumexp";
    const CODE: u8 = 0;
    const FORMULA: &'static str = "log(sum exp(z_i))";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::One;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for LogSumExp {
    const SHIFT: Shift = Shift::Follows;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = true;
    const HAS_TIGHT: bool = true;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = false;
    const LIMIT_ONLY: bool = true;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, _: usize) -> T::Number {
        t.beside(t.max(), t.log_total(), 1.0)
    }

    fn error<S: Size>(t: &RowTerms<S>, _: usize, size: S) -> S {
        t.own_rounding(size) + t.log_error
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
