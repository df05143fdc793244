#!/bin/bash -eu
# Builds the fuzz targets for ClusterFuzzLite and OSS-Fuzz, which run it in their image with
#   SANITIZER   address, memory, thread, coverage, or none (default address)
#   OUT         where the programs, their seeds and dictionaries go
# It needs cargo-fuzz, and m4 for GMP; scripts/clusterfuzzlite.sh runs it without their image.

command -v m4 >/dev/null || apt-get install -y m4

# GMP and MPFR read CFLAGS: with a sanitizer's flags the oracle itself would be instrumented, and slow. CXXFLAGS stays, for libFuzzer.
unset CFLAGS

case "${SANITIZER:-address}" in
    # The image's own cargo turns this into a build for coverage.
    coverage) flags=(-O) ;;
    address | memory | thread | none) flags=(-O --sanitizer "${SANITIZER:-address}") ;;
    *) echo "build.sh: SANITIZER=$SANITIZER: Rust has address, memory, thread and none; coverage works, too" >&2; exit 1 ;;
esac
cargo fuzz build "${flags[@]}"

for source in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    cp "fuzz/target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    rm -f "$OUT/${target}_seed_corpus.zip"
    python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" fuzz/seeds/"$target"/*
    cp fuzz/thresholds.dict "$OUT/$target.dict"
done
