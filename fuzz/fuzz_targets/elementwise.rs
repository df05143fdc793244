//! The elementwise ops, whichever there are: see `logitfuzz::fuzz` for the variables that choose the kernels and dtypes.
#![cfg_attr(fuzzing, no_main)]

use logitfuzz::{Op, fuzz::Target};

logitfuzz::fuzz_target!({
    let ops: Vec<Op> = Op::ALL.iter().copied().filter(|op| op.is_elementwise()).collect();
    Target::builtin(&ops)
});
