//! The inputs of a case as plain numbers, for what a definition computes of them.

use crate::dtype::Format;

/// One element of an elementwise op.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Element {
    /// The logit.
    pub logit: f64,
    /// Its value of the other row that the op takes; 0 where it takes none.
    pub other: f64,
}

impl Element {
    /// Whether there is no NaN and no infinity in it.
    pub fn is_finite(self) -> bool {
        self.logit.is_finite() && self.other.is_finite()
    }
}

/// The inputs of a case, where all is read as plain numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// The row.
    pub logits: &'a [f64],
    /// What the probabilities are multiplied by: the cotangent, the tangent or the values; empty where there is none.
    pub direction: &'a [f64],
    /// The target distribution, where it is given class by class; empty where it is not.
    pub distribution: &'a [f64],
    /// The logits of the distribution that is aimed at; empty where there is none.
    pub target_logits: &'a [f64],
    /// The true class; 0 where there is none.
    pub target: usize,
    /// The label smoothing; 0 where there is none.
    pub smoothing: f64,
    /// What the logits are multiplied by; 1 where there is none.
    pub scale: f64,
    /// The format of the outputs.
    pub format: Format,
}
