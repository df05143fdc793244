#!/bin/sh
# Certificates of built-in kernels that are kept in reports/exhaustive, and their tables: every element, and every gap of two logits, in the
# half dtypes, of the correct ones; every element of the planted defects of elementwise ops, with the intervals in which they fail. With
# `floats` as the argument also every f32 element, which takes minutes for each kernel.
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

# The elementwise ops of one input: those that exhaust has the domain for.
elementwise='log1mexp sigmoid softplus log_sigmoid'

# One certificate: dtype, op, domain, kernel. A kernel without the op (4) has none; a correct one that fails anywhere ends the script.
certify() {
    name="$2-$1-$3-${4#defect/}"
    status=0
    "$logitfuzz" exhaust --kernel "$4" --op "$2" --dtype "$1" --domain "$3" --out "$work/$name" \
        > "$work/$name.txt" 2> "$work/$name.errors" || status=$?
    case $status in
        0) ;;
        1) case $4 in defect/*) ;; *) cat "$work/$name.txt" >&2; exit 1 ;; esac ;;
        4) return 0 ;;
        *) cat "$work/$name.txt" "$work/$name.errors" >&2; exit "$status" ;;
    esac
    cp "$work/$name/certificate.json" "$kept/$name.json"
}

# Every element of a kernel.
certify_elements() {
    for op in $elementwise; do
        for dtype in f16 bf16; do certify "$dtype" "$op" elements "$1"; done
        if [ "$floats" = floats ]; then certify f32 "$op" elements "$1"; fi
    done
}

# Kernels of batches have none: a row alone says nothing of them.
kernels=$("$logitfuzz" list kernels | awk '$1 !~ /^(defect\/|batch-|naive$|unfused$)/ { print $1 }')
planted=$("$logitfuzz" list kernels | awk '$1 ~ /^defect\// && $1 !~ /^defect\/batch-/ { print $1 }')
floats=${1:-}
# Those of floats stay unless they are asked for.
rm -f "$kept"/*-f16-*.json "$kept"/*-bf16-*.json
for kernel in $kernels; do
    for dtype in f16 bf16; do
        for op in softmax log_softmax logsumexp cross_entropy cross_entropy_grad; do
            certify "$dtype" "$op" gaps "$kernel"
        done
    done
    certify_elements "$kernel"
done
for kernel in $planted; do certify_elements "$kernel"; done

# The value of a member of the certificate in a file.
member() { sed -n "s/^  \"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$1"; }
# A member of the object `worst_error` or `worst_ratio` in it.
worst() { sed -n "/^  \"$2\"/,/^  }/s/^    \"$3\": \"\{0,1\}\([^\"]*[^\",]\)\"\{0,1\},\{0,1\}$/\1/p" "$1"; }
# The verdicts of the certificate in a file: `pass 12, inf 3`.
verdicts() { sed -n '/^  "verdicts"/,/^  }/s/^    "\([a-z_]*\)": \([0-9]*\),\{0,1\}$/\1 \2/p' "$1" | paste -s -d , | sed 's/,/, /g'; }
{
    echo '# Certificates'
    echo
    echo 'Each says that a built-in kernel was run on every input of a domain, and what came of it. `make exhaustive` makes those of the half'
    echo 'dtypes again, `make exhaustive FLOATS=floats` all. Domains and fields are described by `logitfuzz exhaust --help`.'
    echo
    echo '## Correct kernels'
    echo
    echo 'They pass on every input.'
    echo
    echo '| kernel | op | dtype | domain | inputs | largest error (ulp) | where | largest error / bound |'
    echo '|---|---|---|---|---:|---:|---|---:|'
    for file in "$kept"/*.json; do
        case $(member "$file" kernel) in defect/*) continue ;; esac
        printf '| [%s](%s) | %s | %s | %s | %s | %.4f | `%s` | %.4f |\n' "$(member "$file" kernel)" "${file##*/}" \
            "$(member "$file" op)" "$(member "$file" dtype)" "$(member "$file" domain)" "$(member "$file" inputs)" \
            "$(worst "$file" worst_error value)" "$(worst "$file" worst_error decimal)" "$(worst "$file" worst_ratio value)"
    done
    echo
    echo '## Planted defects'
    echo
    echo 'In which dtypes they fail, and in how many intervals; the certificate has the first and the last input of each.'
    echo
    echo '| kernel | op | dtype | inputs | verdicts | intervals |'
    echo '|---|---|---|---:|---|---:|'
    for file in "$kept"/*.json; do
        case $(member "$file" kernel) in defect/*) ;; *) continue ;; esac
        printf '| [%s](%s) | %s | %s | %s | %s | %s |\n' "$(member "$file" kernel)" "${file##*/}" "$(member "$file" op)" \
            "$(member "$file" dtype)" "$(member "$file" inputs)" "$(verdicts "$file")" "$(member "$file" intervals)"
    done
} > "$work/README.md"
mv "$work/README.md" "$kept/README.md"
