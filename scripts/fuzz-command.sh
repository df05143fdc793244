#!/bin/sh
# What the fuzz targets and the command `logitfuzz` hand to each other: an artifact goes straight to `logitfuzz replay` and
# `logitfuzz shrink`, and a C library and a worker can be fuzzed, which needs the command in PATH.
#
#   scripts/fuzz-command.sh [FOLDER]      the folder with the command; default: where `make test` builds it
set -eu
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
    # As the tests build it: where they have run, nothing is built.
    cargo test --locked --quiet --no-run --test command
    set -- "${CARGO_TARGET_DIR:-target}/debug"
fi
bin=$(sh scripts/fuzz-build.sh fuzz)
PATH="$(cd "$1" && pwd):$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
fail() { echo "FAIL: $*" >&2; cat "$work/log" >&2; exit 1; }
# expect CODE TEXT WHAT COMMAND...: the exit code of the command, and a text that its output has.
expect() {
    wanted=$1 text=$2 what=$3 code=0
    shift 3
    "$@" >"$work/log" 2>&1 || code=$?
    [ "$code" -eq "$wanted" ] || fail "$what: exit code $code, not $wanted"
    grep -qF -e "$text" "$work/log" || fail "$what: no \`$text\`"
    passed=$((passed + 1))
}
# fuzz TARGET KERNEL: some executions from an empty corpus; what fails is in $work/crash-*. libFuzzer exits 77 on a failure.
fuzz() {
    rm -f "$work"/crash-*
    RUST_BACKTRACE=0 LOGITFUZZ_KERNELS=$2 "$bin/$1" -runs=2000 -seed=1 -max_len=256 -print_final_stats=1 -artifact_prefix="$work/"
}

# An artifact, straight from the fuzzer, as three programs read it.
expect 77 'replay: logitfuzz replay --kernel naive ' 'naive' fuzz softmax naive
expect 1 'softmax ' 'replay of an artifact' logitfuzz replay --kernel naive "$work"/crash-*
expect 0 'softmax ' 'shrinking of an artifact' logitfuzz shrink --kernel naive "$work"/crash-*
expect 0 'shifted: pass on ' 'an artifact on a correct kernel' logitfuzz replay --kernel shifted "$work"/crash-*

# A C library: a correct one survives, and one that writes past its output for 9 logits is caught in its own process.
for which in CORRECT OUT_OF_BOUNDS; do
    "${CC:-cc}" -O1 -shared -fPIC "-D$which" -o "$work/lib$which.so" tests/foreign/kernels.c -lm
done
expect 0 'stat::number_of_executed_units: 2000' 'a correct C kernel' fuzz softmax "c:$work/libCORRECT.so"
expect 77 'c:libOUT_OF_BOUNDS softmax f32: out_of_bounds' 'a C kernel that writes out of bounds' fuzz softmax "c:$work/libOUT_OF_BOUNDS.so"
expect 1 'out_of_bounds' 'replay on a C kernel' logitfuzz replay --kernel "c:$work/libOUT_OF_BOUNDS.so" "$work"/crash-*
expect 77 'mine softmax f32: out_of_bounds' 'a C function with a name of its own' \
    fuzz softmax "mine=c:$work/libOUT_OF_BOUNDS.so:softmax_f32"
expect 1 'out_of_bounds' 'replay of that' logitfuzz replay --kernel "mine=c:$work/libOUT_OF_BOUNDS.so:softmax_f32" "$work"/crash-*
expect 77 'replay: logitfuzz replay --kernel mine=naive ' 'a built-in kernel with a name of its own' fuzz softmax mine=naive
expect 3 'through the command `logitfuzz`, from PATH' 'a C kernel without the command' \
    env PATH="$work" LOGITFUZZ_KERNELS="c:$work/libCORRECT.so" "$bin/softmax" -runs=1

# A worker, here in sh: it takes each log-sum-exp for 1.5, and does not say that it has any other op.
cat >"$work/worker.sh" <<'WORKER'
echo '{"logitfuzz_worker":1,"kernels":[{"name":"always","functions":[{"op":"logsumexp","dtype":"f64"}]}]}'
while read -r _; do echo '{"rows":[{"outputs":[1.5]}]}'; done
WORKER
expect 77 'always logsumexp f64: ' 'a worker' fuzz logsumexp "exec:sh $work/worker.sh"
expect 1 'on logsumexp f64 ' 'replay on a worker' logitfuzz replay --kernel "exec:sh $work/worker.sh" "$work"/crash-*
expect 4 'nothing to fuzz: no kernel computes softmax' 'a worker without the op' fuzz softmax "exec:sh $work/worker.sh"
echo "$passed checks of artifacts, C kernels and workers passed"
