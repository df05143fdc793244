//! `log(sum exp(z_i))` of every prefix: output `j` is the log-sum-exp of `z_0` to `z_j`.
//!
//! Two kernels are common. One keeps a running maximum and a running sum of weights relative to it, and multiplies the sum whenever the
//! maximum rises: its outputs err as a log-sum-exp does, and the tight bound is that of this kernel with `log1p`. The other is a scan with
//! `logaddexp`, from the first logit to the last or in a tree: it rounds an output at every step, so the errors of what came before are in
//! all that follows, by the size of the outputs. The textbook may have either, and the larger counts.

use super::definition::{Cancels, Definition, RowDefinition, Shift, Sum};
use super::inputs::Inputs;
use super::signature::{Input, Outputs};
use super::terms::{OverflowTerms, RowTerms};
use super::tier::RowTier;
use crate::magnitude::Size;

pub(super) struct LogCumSumExp;

impl Definition for LogCumSumExp {
    const NAME: &'static str = "logcumsumexp";
    const CODE: u8 = 26;
    const FORMULA: &'static str = "log(sum of exp(z_i) for i <= j)";
    const INPUTS: &'static [Input] = &[Input::LOGITS];
    const OUTPUTS: Outputs = Outputs::PerPrefix;
    const RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
}

impl RowDefinition for LogCumSumExp {
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

    fn output<T: RowTier>(t: &T, j: usize) -> T::Number {
        t.beside(t.prefix_max(j), t.prefix_log_total(j), 1.0)
    }

    /// The rounding of the output itself, and the error of the logarithm of the prefix's sum, or of what a scan carries to it: see
    /// `judge::prefix`, which derives both.
    fn error<S: Size>(t: &RowTerms<S>, j: usize, size: S) -> S {
        t.own_rounding(size) + t.prefix_error(j)
    }

    fn overflows(_: &OverflowTerms, _: &dyn Fn(f64) -> bool) -> bool {
        false
    }

    /// Never asked: of every prefix of any row one value is due.
    fn undetermined(_: &Inputs, _: usize) -> (f64, f64) {
        Self::RANGE
    }
}
