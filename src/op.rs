//! The registry of ops: their names, what they take and what they return.
//!
//! Every list of ops in the command, the tests and the reports iterates [`Op::ALL`].

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// One op of the softmax family. `z` are the logits, `p = softmax(z)`, `n` their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// `log(sum exp(z_i))`: one output.
    LogSumExp,
    /// `p_j = exp(z_j) / sum exp(z_i)`: n outputs.
    Softmax,
    /// `log p_j`: n outputs.
    LogSoftmax,
    /// `-sum q_i log p_i` with `q = (1 - e) onehot(target) + e / n`: one output, in nats.
    CrossEntropy,
    /// The gradient of the cross-entropy with respect to the logits, `p_j - q_j`: n outputs.
    CrossEntropyGrad,
    /// `p_j (g_j - sum p_i g_i)` for a cotangent `g`: n outputs.
    SoftmaxVjp,
    /// `p_j (v_j - sum p_i v_i)` for a tangent `v`: n outputs (the Jacobian of softmax is symmetric).
    SoftmaxJvp,
    /// `g_j - p_j sum g_i` for a cotangent `g`: n outputs.
    LogSoftmaxVjp,
    /// `v_j - sum p_i v_i` for a tangent `v`: n outputs.
    LogSoftmaxJvp,
}

/// What an op takes besides the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Takes {
    /// Nothing.
    Logits,
    /// A target class and a label smoothing.
    Target,
    /// A cotangent, n values (a vector-Jacobian product).
    Cotangent,
    /// A tangent, n values (a Jacobian-vector product).
    Tangent,
}

impl Op {
    /// Every op, in the order of the reports.
    pub const ALL: [Op; 9] = [
        Op::LogSumExp,
        Op::Softmax,
        Op::LogSoftmax,
        Op::CrossEntropy,
        Op::CrossEntropyGrad,
        Op::SoftmaxVjp,
        Op::SoftmaxJvp,
        Op::LogSoftmaxVjp,
        Op::LogSoftmaxJvp,
    ];

    /// The name used everywhere: the command, files, symbols of C kernels.
    pub const fn name(self) -> &'static str {
        match self {
            Op::LogSumExp => "logsumexp",
            Op::Softmax => "softmax",
            Op::LogSoftmax => "log_softmax",
            Op::CrossEntropy => "cross_entropy",
            Op::CrossEntropyGrad => "cross_entropy_grad",
            Op::SoftmaxVjp => "softmax_vjp",
            Op::SoftmaxJvp => "softmax_jvp",
            Op::LogSoftmaxVjp => "log_softmax_vjp",
            Op::LogSoftmaxJvp => "log_softmax_jvp",
        }
    }

    /// The formula, for people.
    pub const fn formula(self) -> &'static str {
        match self {
            Op::LogSumExp => "log(sum exp(z_i))",
            Op::Softmax => "p_j = exp(z_j) / sum exp(z_i)",
            Op::LogSoftmax => "log p_j",
            Op::CrossEntropy => "-sum q_i log p_i, q = (1 - e) onehot(target) + e / n",
            Op::CrossEntropyGrad => "p_j - q_j",
            Op::SoftmaxVjp => "p_j (g_j - sum p_i g_i)",
            Op::SoftmaxJvp => "p_j (v_j - sum p_i v_i)",
            Op::LogSoftmaxVjp => "g_j - p_j sum g_i",
            Op::LogSoftmaxJvp => "v_j - sum p_i v_i",
        }
    }

    /// What the op takes besides the logits.
    pub const fn takes(self) -> Takes {
        match self {
            Op::LogSumExp | Op::Softmax | Op::LogSoftmax => Takes::Logits,
            Op::CrossEntropy | Op::CrossEntropyGrad => Takes::Target,
            Op::SoftmaxVjp | Op::LogSoftmaxVjp => Takes::Cotangent,
            Op::SoftmaxJvp | Op::LogSoftmaxJvp => Takes::Tangent,
        }
    }

    /// Whether the op takes a cotangent or a tangent, one value per logit.
    pub const fn takes_direction(self) -> bool {
        matches!(self.takes(), Takes::Cotangent | Takes::Tangent)
    }

    /// Whether the op has one output whatever the number of logits.
    pub const fn is_scalar(self) -> bool {
        matches!(self, Op::LogSumExp | Op::CrossEntropy)
    }

    /// The number of outputs for `n` logits.
    pub const fn outputs(self, n: usize) -> usize {
        if self.is_scalar() { 1 } else { n }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Op {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Op::ALL.into_iter().find(|op| op.name() == text).ok_or_else(|| {
            Error::usage(format!("unknown op `{text}`; the ops are: {}", Op::ALL.map(Op::name).join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_round_trip() {
        for op in Op::ALL {
            assert_eq!(op.name().parse::<Op>().unwrap(), op);
        }
        let error = "softmin".parse::<Op>().unwrap_err().to_string();
        assert!(error.contains("`softmin`") && error.contains("log_softmax_jvp"), "{error}");
    }
}
