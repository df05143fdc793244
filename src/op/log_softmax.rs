//! `log p_j`, as `-(d_j + log S)`: never as `z - logsumexp`, which loses the remainder whatever the precision.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct LogSoftmax;

impl Definition for LogSoftmax {
    const NAME: &'static str = "log_softmax";
    const CODE: u8 = 2;
    const FORMULA: &'static str = "log p_j";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, 0.0);
}

impl RowDefinition for LogSoftmax {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = true;
    const IS_EQUIVARIANT: bool = false;
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = true;
    const HAS_TIGHT: bool = true;
    const IS_LOG_PROBABILITY: bool = true;
    const IS_DERIVATIVE: bool = false;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        -t.beside(t.gap(j), t.log_total(), 1.0)
    }

    fn error<S: Size>(t: &RowTerms<S>, j: usize, size: S) -> S {
        t.own_rounding(size) + S::of(t.rho[j]) + t.log_error
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
