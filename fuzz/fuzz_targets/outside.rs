//! Every reader of what comes from outside: results, baselines, rows, what a worker says. It runs no kernel.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    logitfuzz::fuzz::outside(bytes);
});

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    logitfuzz::fuzz::replay_outside(std::env::args_os().skip(1))
}
