#!/bin/sh
# The example of a user's own kernel, as a user would run it: the fuzzer must find a failure of my_crate::softmax within a counted
# number of executions, and nothing in my_crate::stable_softmax; and the input that it finds must fail again without the fuzzer.
#
#   scripts/fuzz-example.sh
set -eu
cd "$(dirname "$0")/.."
# The same folder as the project's own targets: all that they share is built once.
export CARGO_TARGET_DIR="$PWD/fuzz/target"
example=examples/my_crate/fuzz
bin=$(sh scripts/fuzz-build.sh "$example")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() { RUST_BACKTRACE=0 "$bin/$1" -runs=10000 -seed=1 -max_len=256 -artifact_prefix="$work/" >"$work/log" 2>&1; }
fail() { echo "FAIL: $*" >&2; cat "$work/log" >&2; exit 1; }

run my_stable_softmax || fail "my_crate::stable_softmax is said to fail"
if run my_softmax; then fail "no failure of my_crate::softmax is found"; fi
sed -n '/^my_softmax softmax f32: /,/^  replay:/p' "$work/log" | grep . || fail "the message is no finding"

cargo build --locked --quiet --manifest-path "$example/Cargo.toml" --bins
if "$CARGO_TARGET_DIR/debug/my_softmax" "$work"/crash-* >"$work/log"; then fail "the artifact does not fail without the fuzzer"; fi
"$CARGO_TARGET_DIR/debug/my_stable_softmax" "$work"/crash-* >>"$work/log" || fail "my_crate::stable_softmax fails on the artifact"
