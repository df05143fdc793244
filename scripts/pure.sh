#!/bin/sh
# One campaign on MPFR's numbers and one on our own: the results must be equal in every byte but the line that says which it was.
# It builds the command twice, optimised, which takes minutes.
#
#   scripts/pure.sh [CASES]    cases for each (kernel, op, dtype, family); 5 by itself, over every kernel and planted defect
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
cases=${1:-5}
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --release --locked
cargo build --release --locked --no-default-features --features cli --target-dir "$target/pure"

# The results without their provenance.
results() {
    "$1" run --kernel '*' --kernel 'defect/*' --cases "$cases" --seed 1 --out "$2" >/dev/null
    grep -q "\"mpfr\":\"$3\"" "$2/results.json" || { echo "pure: $1 has other numbers than $3" >&2; exit 1; }
    sed 's/"mpfr":"[^"]*"/"mpfr":""/' "$2/results.json" >"$2.json"
}
results "$target/release/logitfuzz" "$work/mpfr" '[0-9.]*'
results "$target/pure/release/logitfuzz" "$work/pure" pure
cmp "$work/mpfr.json" "$work/pure.json"
echo "equal: $(wc -c <"$work/pure.json") bytes of results"
