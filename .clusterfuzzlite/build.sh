#!/bin/bash -eu
# Builds the fuzz targets for ClusterFuzzLite and OSS-Fuzz, which run it in their image with
#   SANITIZER   address, coverage, or none (default address)
#   OUT         where the programs, their seeds and dictionaries go
# It needs cargo-fuzz, and m4 for GMP; scripts/clusterfuzzlite.sh runs it without their image.

case "${SANITIZER:-address}" in
    # The image's own cargo turns this into a build for coverage.
    coverage) flags=(-O) ;;
    address | none) flags=(-O --sanitizer "${SANITIZER:-address}") ;;
    # Memory and thread would take GMP, which is built without them, for a culprit.
    *) echo "build.sh: SANITIZER=$SANITIZER: only address, coverage and none are supported" >&2; exit 1 ;;
esac

command -v m4 >/dev/null || apt-get install -y m4

# GMP and MPFR read CFLAGS: with a sanitizer's flags the oracle itself would be instrumented, and slow. CXXFLAGS stays, for libFuzzer.
unset CFLAGS

cargo fuzz build "${flags[@]}"

for source in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    cp "${CARGO_TARGET_DIR:-fuzz/target}/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    rm -f "$OUT/${target}_seed_corpus.zip"
    python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" fuzz/seeds/"$target"/*
    cp fuzz/thresholds.dict "$OUT/$target.dict"
done
