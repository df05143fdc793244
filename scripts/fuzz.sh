#!/bin/sh
# Fuzzes every target for a while, each with its own corpus (fuzz/corpus, which it keeps) and the seeds. Installs cargo-fuzz if it is
# missing. It stops at the first failure, with the finding and the input that shows it in fuzz/artifacts.
#
#   FUZZ_SECONDS=60 scripts/fuzz.sh [TARGET...]
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
command -v cargo-fuzz >/dev/null 2>&1 || cargo install cargo-fuzz --locked
# shellcheck disable=SC2046 # one word for each target
[ $# -gt 0 ] || set -- $(ls fuzz/fuzz_targets | sed 's/\.rs$//')
for target in "$@"; do
    mkdir -p "fuzz/corpus/$target"
    # Without a sanitizer (hardly any of the code is unsafe): stable will do, and it is much faster.
    cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-60}" -dict=fuzz/thresholds.dict
done
