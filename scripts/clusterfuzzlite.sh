#!/bin/bash
# Runs .clusterfuzzlite/build.sh here, without its image, and then each program that it produced, on its seeds and for some executions.
#
#   scripts/clusterfuzzlite.sh [none|address]      default none, which stable Rust can build; address needs nightly
set -euo pipefail
cd "$(dirname "$0")/.."
export SANITIZER=${1:-none}
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
[ "$SANITIZER" = none ] || export RUSTUP_TOOLCHAIN=nightly
OUT=$(mktemp -d)
export OUT
trap 'rm -rf "$OUT"' EXIT
# The flags that the image sets; they must not reach GMP.
[ "$SANITIZER" = none ] || export CFLAGS="-fsanitize=$SANITIZER"

bash .clusterfuzzlite/build.sh

ran=0
for source in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    mkdir "$OUT/seeds-$target"
    python3 -m zipfile -e "$OUT/${target}_seed_corpus.zip" "$OUT/seeds-$target"
    inputs=$(ls "$OUT/seeds-$target" | wc -l)
    "$OUT/$target" -runs=2000 -seed=1 -dict="$OUT/$target.dict" -artifact_prefix="$OUT/" "$OUT/seeds-$target" >"$OUT/log" 2>&1 || {
        cat "$OUT/log" >&2
        exit 1
    }
    echo "$target: $inputs seeds, $(tail -1 "$OUT/log")"
    ran=$((ran + 1))
done
[ "$ran" -eq 5 ] || { echo "$ran targets were run, not 5" >&2; exit 1; }
