#!/bin/bash
# What the counters and the mutator are worth: the worst ratio and the worst error in the corpus after the same number of executions
# from an empty corpus, with both, with each alone, with neither. The table of fuzz/README.md is its output.
#
#   scripts/fuzz-guidance.sh [EXECUTIONS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-100000}

bin=$(sh scripts/fuzz-build.sh fuzz)
cargo build --locked --quiet --manifest-path fuzz/Cargo.toml --bins
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "| kernel, target | guidance | seed | inputs | worst ratio | worst error (ulp) | executions a second of processor time |"
echo "|---|---|---|---|---|---|---|"
for what in "shifted logsumexp" "online softmax"; do
    kernel=${what% *} target=${what#* }
    for guidance in counters,mutator counters mutator none; do
        for seed in 1 2 3; do
            rm -rf "$work/corpus" && mkdir "$work/corpus"
            export LOGITFUZZ_KERNELS=$kernel LOGITFUZZ_DTYPES=f32
            # Rows of 16 logits at most; the header has 6 bytes.
            TIMEFORMAT=%U
            { time LOGITFUZZ_GUIDANCE=$guidance "$bin/$target" -runs="$runs" -seed=$seed -max_len=70 -len_control=0 \
                -artifact_prefix="$work/" "$work/corpus" >"$work/log" 2>&1; } 2>"$work/seconds"
            speed=$(awk -v runs="$runs" '{ printf "%d", runs / $1 / 1000 }' "$work/seconds")
            "fuzz/target/debug/$target" "$work/corpus" |
                sed -n "s/^[0-9]* of \([0-9]*\) inputs.*worst ratio \([^,]*\), worst error \([^ ]*\) ulp/| $kernel, $target | $guidance | $seed | \1 | \2 | \3 | $speed,000 |/p"
        done
    done
done
