#!/bin/sh
# Runs every published kernel that an adapter serves and writes the comparison, reports/published/README.md. The workers must be
# built (`make adapters adapters-python`; `make published` does that, too).
#
#   scripts/published.sh LOGITFUZZ PYTHON CASES
set -eu

logitfuzz=$1
python=$2
cases=$3
cd "$(dirname "$0")/.."

set --
for manifest in adapters/*/Cargo.toml; do
    library=$(basename "$(dirname "$manifest")")
    set -- "$@" --kernel "exec:target/adapters/release/$library-worker"
done
for script in adapters/python/*_kernels.py; do
    case $script in
    # What people run. Without compiling, JAX takes a millisecond for a row, and computes the same but for softmax_vjp.
    */jax_kernels.py) script="$script jax-jit" ;;
    esac
    set -- "$@" --kernel "exec:$python $script"
done
# JAX compiles for every length that it has not seen, keeps all that it has compiled, and may take seconds for one.
export JAX_COMPILATION_CACHE_DIR="$PWD/target/jax-cache"
"$logitfuzz" run "$@" --cases "$cases" --timeout-ms 60000 --memory-limit 8192 --out target/published
if ! grep -q '"complete": *true' target/published/results.json; then
    echo "published: it was interrupted; reports/published/README.md stays as it was" >&2
    exit 1
fi

mkdir -p reports/published
{
    echo '# Published kernels'
    echo
    echo "Released versions of libraries, each called as its users call it, on the CPU. Measured on $(date -u +%Y-%m-%d) by"
    echo '`make published`, which anybody can repeat. What the words mean is in the [README](../../README.md#how-to-read-a-report).'
    echo
    echo 'A finding is what a library returns on an input that hardly anybody meets, or on one that everybody does: look at the input'
    echo 'before you judge. A library that computes in half precision on purpose is measured against one that keeps its sums in f32.'
    # Without its own heading.
    "$logitfuzz" report target/published | tail -n +2
} >reports/published/README.md.new
mv reports/published/README.md.new reports/published/README.md
echo "reports/published/README.md is written; target/published/index.html is the whole report"
