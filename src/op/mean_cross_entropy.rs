//! The mean over rows of the cross-entropy, in nats, of the rows that are not ignored: what a training loop calls its loss.

use super::Op;
use super::cross_entropy::CrossEntropy;
use super::definition::{Definition, MeanDefinition};
use super::signature::{Input, Outputs};

pub(super) struct MeanCrossEntropy;

impl Definition for MeanCrossEntropy {
    const NAME: &'static str = "mean_cross_entropy";
    const CODE: u8 = 28;
    const FORMULA: &'static str = "mean of -log p_t over the rows that are not ignored, p = softmax(row)";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::TARGETS];
    const OUTPUTS: Outputs = Outputs::One;
    const RANGE: (f64, f64) = (0.0, f64::INFINITY);
}

/// The mean of irrational losses is irrational: `sum log S_i + sum d_i` is rational only if the product of the `S_i exp(d_i)`, a sum of
/// exponentials of rational numbers with positive coefficients, is one exponential with the coefficient 1, so only if every row has one
/// finite logit; the loss of each of these is 0 or infinite.
impl MeanDefinition for MeanCrossEntropy {
    type Of = CrossEntropy;
    const OF: Op = Op::CROSS_ENTROPY;
}
