#!/bin/bash
# Runs .clusterfuzzlite/build.sh here, without its image, and then each program that it produced, on its seeds and for some executions.
#
#   scripts/clusterfuzzlite.sh [none|address]      default none
#
# AddressSanitizer needs a nightly compiler, as the image has. Where rustup has none, RUSTC_BOOTSTRAP makes the stable compiler take
# the flag: it has the same runtime.
set -euo pipefail
cd "$(dirname "$0")/.."
export SANITIZER=${1:-none}
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
OUT=$(mktemp -d)
export OUT
trap 'rm -rf "$OUT"' EXIT
fail() { echo "clusterfuzzlite.sh: $*" >&2; exit 1; }

# What it does not support it refuses, in one line, before it builds anything.
if SANITIZER=nonesuch bash .clusterfuzzlite/build.sh 2>"$OUT/log"; then fail "build.sh takes any SANITIZER"; fi
[ "$(grep -c 'SANITIZER=nonesuch' "$OUT/log")" -eq 1 ] && [ "$(wc -l <"$OUT/log")" -eq 1 ] || fail "$(cat "$OUT/log")"
case $SANITIZER in
    none | address) ;;
    coverage) fail "a build for coverage is the image's cargo's work; there is none here" ;;
    *) exec bash .clusterfuzzlite/build.sh ;;
esac

command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
# A folder of its own: these programs must not take the place of those that other scripts build.
export CARGO_TARGET_DIR="$PWD/target/clusterfuzzlite/$SANITIZER"
if [ "$SANITIZER" = address ]; then
    # The flags that the image sets; they must not reach GMP.
    export CFLAGS="-fsanitize=address"
    if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
        export RUSTUP_TOOLCHAIN=nightly
    else
        export RUSTC_BOOTSTRAP=1
        echo "no nightly toolchain: RUSTC_BOOTSTRAP=1 with $(rustc --version)"
    fi
fi
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
    # What was asked for is in the program.
    [ "$SANITIZER" = none ] || grep -q __asan_init "$OUT/$target" || fail "$target has no AddressSanitizer"
    echo "$target: $inputs seeds, $(tail -1 "$OUT/log")"
    ran=$((ran + 1))
done
[ "$ran" -eq 6 ] || fail "$ran targets were run, not 6"
libraries=$(find "$CARGO_TARGET_DIR" -name 'lib*.a' -path '*gmp-mpfr-sys*')
[ -n "$libraries" ] || fail "there is no GMP to look into"
# shellcheck disable=SC2086 # one word for each library
if grep -l __asan_ $libraries; then fail "the sanitizer reached GMP or MPFR"; fi
