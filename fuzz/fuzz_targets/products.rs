//! The products with the Jacobians of softmax and log-softmax: see `logitfuzz::fuzz` for the variables that choose the kernels and dtypes.
#![cfg_attr(fuzzing, no_main)]

use logitfuzz::{Op, fuzz::Target};

logitfuzz::fuzz_target!(Target::builtin(&[Op::SOFTMAX_VJP, Op::SOFTMAX_JVP, Op::LOG_SOFTMAX_VJP, Op::LOG_SOFTMAX_JVP]));
