#![cfg_attr(fuzzing, no_main)]

logitfuzz::fuzz_kernel!("my_softmax", logitfuzz::Op::SOFTMAX, |z: &[f32], out: &mut [f32]| {
    my_crate::softmax(z, out)
});
