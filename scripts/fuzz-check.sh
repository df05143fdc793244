#!/bin/sh
# Does the fuzzer find what it is for? From an empty corpus, with a fixed seed and a bounded number of executions:
#   every unstable kernel and every planted defect must be found, and the message must name it;
#   the correct kernels must survive as many executions on every target;
#   libFuzzer must see our counters, without which it is led by nothing but coverage.
# The clock decides nothing. It builds with stable Rust and needs no cargo-fuzz.
#
#   scripts/fuzz-check.sh
set -eu
cd "$(dirname "$0")/.."

# Executions: the defect that is hardest to find has needed 3,500, depending on the build; most need fewer than a hundred.
RUNS=${FUZZ_CHECK_RUNS:-20000}
SEED=1
# Long enough for 300 logits of the half dtypes: one defect shows only past 255.
LENGTH=640

bin=$(sh scripts/fuzz-build.sh fuzz)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() { echo "FAIL: $*" >&2; failed=$((failed + 1)); }

# run TARGET KERNELS: libFuzzer's exit code, its output in $work/log.
run() {
    rm -rf "$work/corpus" "$work/log" && mkdir "$work/corpus"
    code=0
    RUST_BACKTRACE=0 LOGITFUZZ_KERNELS=$2 "$bin/$1" -runs=$RUNS -seed=$SEED -max_len=$LENGTH -print_final_stats=1 \
        -artifact_prefix="$work/" "$work/corpus" >"$work/log" 2>&1 || code=$?
}
executions() { sed -n 's/^stat::number_of_executed_units: *//p' "$work/log"; }

found=0
while read -r kernel target; do
    run "$target" "$kernel"
    # 77 is libFuzzer's exit code for a crash.
    if [ "$code" -ne 77 ]; then
        complain "$kernel is not found by the target $target in $RUNS executions (exit code $code)"
        tail -5 "$work/log" >&2
    elif ! grep -q "replay: logitfuzz replay --kernel $kernel " "$work/log"; then
        complain "$kernel on $target: the message does not say how to replay it"
        head -40 "$work/log" >&2
    else
        found=$((found + 1))
        printf '%-36s %-14s %8s executions   %s\n' "$kernel" "$target" "$(executions)" "$(sed -n "s|^$kernel \(.*\)|\1|p" "$work/log" | head -1)"
    fi
done <<TABLE
naive softmax
unfused log_softmax
division_free log_softmax
defect/lse-unguarded-infinity logsumexp
defect/lse-wrong-infinity logsumexp
defect/masked-by-length softmax
defect/masked-uniform softmax
defect/unguarded-online softmax
defect/masked-state-zero softmax
defect/wrong-rescale softmax
defect/max-starts-at-zero logsumexp
defect/max-skips-tail softmax
defect/finite-mask-sentinel softmax
defect/nan-dropping-max logsumexp
defect/half-sum softmax
defect/subtract-lse log_softmax
defect/low-precision-store cross_entropy
defect/gradient-through-division products
defect/zero-times-log-zero cross_entropy
defect/smoothing-of-masked cross_entropy
defect/epsilon-in-log cross_entropy
defect/max-clipped softmax
defect/exp-clamped softmax
defect/base2-lse logsumexp
defect/padded-with-zero softmax
defect/empty-panics softmax
defect/narrow-index softmax
TABLE

clean=0
for target in softmax log_softmax logsumexp cross_entropy products; do
    run "$target" shifted,log1p
    grep -q '^INFO: [1-9][0-9]* Extra Counters' "$work/log" || complain "$target: libFuzzer sees no extra counters"
    if [ "$code" -ne 0 ]; then
        complain "$target: a correct kernel fails"
        head -40 "$work/log" >&2
    elif [ "$(executions)" -lt "$RUNS" ]; then
        complain "$target: only $(executions) executions"
    else
        clean=$((clean + 1))
        printf '%-36s %-14s %8s executions   pass\n' shifted,log1p "$target" "$(executions)"
    fi
done

# What cannot be fuzzed is refused in one line, and is no crash.
code=0
LOGITFUZZ_KERNELS=nonesuch "$bin/softmax" -runs=1 -artifact_prefix="$work/" >"$work/log" 2>&1 || code=$?
[ "$code" -eq 2 ] && grep -q '^error: LOGITFUZZ_KERNELS: unknown kernel `nonesuch`' "$work/log" ||
    complain "an unknown kernel is not refused (exit code $code)"

echo "$found of 27 unstable kernels found, $clean of 5 targets clean, seed $SEED, at most $RUNS executions each"
[ "$failed" -eq 0 ] && [ "$found" -eq 27 ] && [ "$clean" -eq 5 ]
