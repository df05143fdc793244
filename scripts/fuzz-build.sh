#!/bin/sh
# Builds the targets of a fuzz crate with libFuzzer and without a sanitizer, on stable Rust and without cargo-fuzz. The flags are those
# of `cargo fuzz build -s none` (cargo-fuzz 0.13), in its order: where both are used, nothing is built twice. Prints the folder of the
# programs.
#
#   scripts/fuzz-build.sh [FOLDER]      the folder of the fuzz crate; default fuzz
set -eu
folder=${1:-fuzz}
host=$(rustc -vV | sed -n 's/^host: //p')
stack_depth=
case $host in *-linux-*) stack_depth=-Cllvm-args=-sanitizer-coverage-stack-depth ;; esac
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
$stack_depth -Cdebug-assertions -Ccodegen-units=1"
# With --target build scripts and macros are not instrumented.
cargo build --locked --release --quiet --manifest-path "$folder/Cargo.toml" --target "$host" --bins >&2
echo "${CARGO_TARGET_DIR:-$folder/target}/$host/release"
