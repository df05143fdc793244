//! Cross-entropy and its gradient, of a true class and of a distribution, and the KL divergence and its: see `logitfuzz::fuzz` for the
//! variables that choose the kernels and dtypes.
#![cfg_attr(fuzzing, no_main)]

use logitfuzz::{Op, fuzz::Target};

const OPS: [Op; 8] = [
    Op::CROSS_ENTROPY,
    Op::CROSS_ENTROPY_GRAD,
    Op::SOFT_CROSS_ENTROPY,
    Op::SOFT_CROSS_ENTROPY_GRAD,
    Op::KL_DIVERGENCE,
    Op::KL_DIVERGENCE_GRAD,
    Op::MEAN_CROSS_ENTROPY,
    Op::MEAN_CROSS_ENTROPY_GRAD,
];

logitfuzz::fuzz_target!(Target::builtin(&OPS));
