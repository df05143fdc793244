//! `v_j - sum p_i v_i` for a tangent `v`.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::dtype::two_difference;
use crate::magnitude::Size;

pub(super) struct LogSoftmaxJvp;

impl Definition for LogSoftmaxJvp {
    const NAME: &'static str = "log_softmax_jvp";
    const CODE: u8 = 8;
    const FORMULA: &'static str = "v_j - sum p_i v_i";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::TANGENT];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for LogSoftmaxJvp {
    const SHIFT: Shift = Shift::Invariant;
    const IS_MONOTONE: bool = false;
    const IS_EQUIVARIANT: bool = false;
    const SUM: Option<Sum> = None;
    const HAS_LOG_TOTAL: bool = false;
    const HAS_TIGHT: bool = false;
    const IS_LOG_PROBABILITY: bool = false;
    const IS_DERIVATIVE: bool = true;
    const LIMIT_ONLY: bool = false;
    const USES_DEVIATIONS: bool = false;
    const CANCELS: Cancels = Cancels::Mean;

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        t.deviation(j)
    }

    fn error<S: Size>(t: &RowTerms<S>, _: usize, size: S) -> S {
        t.mean_error() + t.own_rounding(size) + t.eta + t.flushed
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    /// `v_j - c`, where `c` is some mean of the tangent over the infinite logits: rounding is monotone, so a rounded difference lies
    /// between the rounded ends.
    fn undetermined(inputs: &Inputs, j: usize) -> (f64, f64) {
        let Inputs { logits, direction: tangent, format, .. } = *inputs;
        if logits[j] == f64::INFINITY {
            return Self::RANGE;
        }
        let over_top = || tangent.iter().zip(logits).filter(|(_, z)| **z == f64::INFINITY).map(|(&v, _)| v);
        let (least, largest) = (over_top().fold(f64::INFINITY, f64::min), over_top().fold(f64::NEG_INFINITY, f64::max));
        let rounded = |other: f64| {
            let (high, low) = two_difference(tangent[j], other);
            format.round(high, low)
        };
        (rounded(largest), rounded(least))
    }
}
