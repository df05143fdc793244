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

# Executions: the defect that is hardest to find has needed 3,500, depending on the build and the seed; half of them need 40 at most.
RUNS=${FUZZ_CHECK_RUNS:-20000}
SEED=${FUZZ_CHECK_SEED:-1}
# Long enough for 300 logits of the half dtypes: some defects show only past 255.
LENGTH=640
# What there was to be found when this was written. A list that comes out shorter has lost something.
LEAST=105

bin=$(sh scripts/fuzz-build.sh fuzz)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() {
    echo "FAIL: $*" >&2
    head -40 "$work/log" >&2
    failed=$((failed + 1))
}

# run TARGET KERNELS: libFuzzer's exit code in $code, its output in $work/log, its executions in $executions.
run() {
    rm -rf "$work/corpus" && mkdir "$work/corpus"
    code=0
    RUST_BACKTRACE=0 LOGITFUZZ_KERNELS=$2 "$bin/$1" -runs="$RUNS" -seed="$SEED" -max_len=$LENGTH -print_final_stats=1 \
        -artifact_prefix="$work/" "$work/corpus" >"$work/log" 2>&1 || code=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
}
# passed TARGET KERNELS WHAT: one line of the table.
passed() { printf '%-36s %-14s %8s executions   %s\n' "$2" "$1" "$executions" "$3"; }

# Each unstable kernel, and each planted defect with the target that has a seed for it: a test (src/fuzz/tests.rs) keeps those
# seeds and the registry of kernels in step. The seeds themselves are not used here.
{
    echo naive softmax
    echo unfused log_softmax
    echo division_free log_softmax
    for seed in fuzz/seeds/*/defect-*; do
        echo "defect/${seed##*/defect-} $(basename "$(dirname "$seed")")"
    done
} >"$work/unstable"

found=0
while read -r kernel target; do
    run "$target" "$kernel"
    # 77 is libFuzzer's exit code for a crash.
    if [ "$code" -ne 77 ]; then
        complain "$kernel is not found by the target $target in $RUNS executions (exit code $code)"
    elif ! grep -q "replay: logitfuzz replay --kernel $kernel " "$work/log"; then
        complain "$kernel on $target: the message does not say how to replay it"
    else
        found=$((found + 1))
        passed "$target" "$kernel" "$(sed -n "s|^$kernel \(.*\)|\1|p" "$work/log" | head -1)"
    fi
done <"$work/unstable"
unstable=$(wc -l <"$work/unstable")

clean=0
targets=0
for source in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    # It runs no kernel, so it has no counters of ours.
    if [ "$target" = outside ]; then continue; fi
    targets=$((targets + 1))
    run "$target" shifted,log1p,branched
    if [ "$code" -ne 0 ]; then
        complain "$target: a correct kernel fails"
    elif ! grep -q '^INFO: [1-9][0-9]* Extra Counters' "$work/log"; then
        complain "$target: libFuzzer sees no extra counters"
    elif [ "$executions" -lt "$RUNS" ]; then
        complain "$target: only $executions executions"
    else
        clean=$((clean + 1))
        passed "$target" shifted,log1p,branched pass
    fi
done

# The readers of what comes from outside, on their seeds and what libFuzzer makes of them.
rm -rf "$work/corpus" && mkdir "$work/corpus"
code=0
"$bin/outside" -runs="$RUNS" -seed="$SEED" -max_len=20000 -artifact_prefix="$work/" "$work/corpus" fuzz/seeds/outside \
    >"$work/log" 2>&1 || code=$?
[ "$code" -eq 0 ] || complain "outside: a reader fails (exit code $code)"

# What cannot be fuzzed is refused in one line, and is no crash.
run softmax nonesuch
[ "$code" -eq 2 ] && grep -q '^error: LOGITFUZZ_KERNELS: unknown kernel `nonesuch`' "$work/log" ||
    complain "an unknown kernel is not refused (exit code $code)"

echo "$found of $unstable unstable kernels found, $clean of $targets targets clean, seed $SEED, at most $RUNS executions each"
[ "$failed" -eq 0 ] && [ "$found" -eq "$unstable" ] && [ "$found" -ge "$LEAST" ] && [ "$clean" -eq "$targets" ]
