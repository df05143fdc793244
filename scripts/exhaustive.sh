#!/bin/sh
# Certificates of the correct built-in kernels that are kept in reports/exhaustive, and their table: every element, and every gap of two
# logits, in the half dtypes; with `floats` as the argument also every f32 element, which takes minutes for each kernel.
# Usage: sh scripts/exhaustive.sh [floats]
set -eu
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
logitfuzz=${CARGO_TARGET_DIR:-target}/release/logitfuzz
kept=reports/exhaustive
work=target/exhaustive
# A journal from before would be gone on from, and say what other kernels did.
rm -rf "$work"
mkdir -p "$kept" "$work"

# One certificate: dtype, op, domain, kernel. A kernel without the op (4) has none; one that fails anywhere ends the script.
certify() {
    name="$2-$1-$3-$4"
    status=0
    "$logitfuzz" exhaust --kernel "$4" --op "$2" --dtype "$1" --domain "$3" --out "$work/$name" \
        > "$work/$name.txt" 2> "$work/$name.errors" || status=$?
    case $status in
        0) cp "$work/$name/certificate.json" "$kept/$name.json" ;;
        4) return 0 ;;
        *) cat "$work/$name.txt" "$work/$name.errors" >&2; exit "$status" ;;
    esac
}

kernels=$("$logitfuzz" list kernels | awk '$1 !~ /^(defect\/|naive$|unfused$)/ { print $1 }')
# Those of floats stay unless they are asked for.
rm -f "$kept"/*-f16-*.json "$kept"/*-bf16-*.json
for kernel in $kernels; do
    for dtype in f16 bf16; do
        for op in softmax log_softmax logsumexp cross_entropy cross_entropy_grad; do
            certify "$dtype" "$op" gaps "$kernel"
        done
        certify "$dtype" log1mexp elements "$kernel"
    done
    if [ "${1:-}" = floats ]; then
        certify f32 log1mexp elements "$kernel"
    fi
done

# The value of a member of the certificate in a file.
member() { sed -n "s/^  \"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$1"; }
# A member of the object `worst_error` or `worst_ratio` in it.
worst() { sed -n "/^  \"$2\"/,/^  }/s/^    \"$3\": \"\{0,1\}\([^\"]*[^\",]\)\"\{0,1\},\{0,1\}$/\1/p" "$1"; }
{
    echo '# Certificates'
    echo
    echo 'Each says that a built-in kernel was run on every input of a domain, and passes on all of them. `make exhaustive` makes those of'
    echo 'the half dtypes again, `make exhaustive FLOATS=floats` all. Domains and fields are described by `logitfuzz exhaust --help`.'
    echo
    echo '| kernel | op | dtype | domain | inputs | largest error (ulp) | where | largest error / bound |'
    echo '|---|---|---|---|---:|---:|---|---:|'
    for file in "$kept"/*.json; do
        printf '| [%s](%s) | %s | %s | %s | %s | %.4f | `%s` | %.4f |\n' "$(member "$file" kernel)" "${file##*/}" \
            "$(member "$file" op)" "$(member "$file" dtype)" "$(member "$file" domain)" "$(member "$file" inputs)" \
            "$(worst "$file" worst_error value)" "$(worst "$file" worst_error decimal)" "$(worst "$file" worst_ratio value)"
    done
} > "$work/README.md"
mv "$work/README.md" "$kept/README.md"
