//! The gradient of the mean cross-entropy with respect to the logits: `(p - onehot(target)) / count` in the rows that are not ignored, of
//! which there are `count`, and exactly 0 in the others.

use super::Op;
use super::cross_entropy_grad::CrossEntropyGrad;
use super::definition::{Definition, MeanDefinition};
use super::signature::{Input, Outputs};

pub(super) struct MeanCrossEntropyGrad;

impl Definition for MeanCrossEntropyGrad {
    const NAME: &'static str = "mean_cross_entropy_grad";
    const CODE: u8 = 29;
    const FORMULA: &'static str = "(p_j - [j = t]) / count, p = softmax(row); 0 in ignored rows";
    const INPUTS: &'static [Input] = &[Input::LOGITS, Input::TARGETS];
    const OUTPUTS: Outputs = Outputs::PerLogit;
    const RANGE: (f64, f64) = (-1.0, 1.0);
}

impl MeanDefinition for MeanCrossEntropyGrad {
    type Of = CrossEntropyGrad;
    const OF: Op = Op::CROSS_ENTROPY_GRAD;
}
