#![cfg_attr(fuzzing, no_main)]

logitfuzz::fuzz_kernel!("my_stable_softmax", logitfuzz::Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
    my_crate::stable_softmax(z, out)
});
