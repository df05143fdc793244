//! The products with the Jacobians of softmax and log-softmax: see `logitfuzz::fuzz` for the variables that choose the kernels and dtypes.
#![cfg_attr(fuzzing, no_main)]

use logitfuzz::{Op, fuzz::Target};

logitfuzz::fuzz_target!(Target::builtin(&[Op::SoftmaxVjp, Op::SoftmaxJvp, Op::LogSoftmaxVjp, Op::LogSoftmaxJvp]));
