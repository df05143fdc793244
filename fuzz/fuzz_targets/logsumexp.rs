//! Log-sum-exp: see `logitfuzz::fuzz` for the variables that choose the kernels and dtypes.
#![cfg_attr(fuzzing, no_main)]

use logitfuzz::{Op, fuzz::Target};

logitfuzz::fuzz_target!(Target::builtin(&[Op::LOGSUMEXP, Op::ENTROPY, Op::LOGCUMSUMEXP]));
