#!/bin/sh
# Replays the seeds, and the regressions if there are any, on the default kernels: every target as an ordinary program.
set -eu
cd "$(dirname "$0")/.."
cargo build --locked --quiet --manifest-path fuzz/Cargo.toml --bins
for source in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    set -- "fuzz/seeds/$target"
    [ ! -d "fuzz/regressions/$target" ] || set -- "$@" "fuzz/regressions/$target"
    printf '%-14s' "$target"
    "fuzz/target/debug/$target" "$@"
done
