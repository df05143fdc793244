//! Cross-entropy and its gradient: see `logitfuzz::fuzz` for the variables that choose the kernels and dtypes.
#![cfg_attr(fuzzing, no_main)]

use logitfuzz::{Op, fuzz::Target};

logitfuzz::fuzz_target!(Target::builtin(&[Op::CROSS_ENTROPY, Op::CROSS_ENTROPY_GRAD]));
