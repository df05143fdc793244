#!/bin/sh
# Builds the wheel of the Python package into target/wheels (or OUT), with maturin, which is installed into a virtual environment.
#
#   scripts/wheel.sh          optimised, as it is published
#   scripts/wheel.sh quick    as the tests of the main crate are built, so that what both need is not compiled once more
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

venv=${MATURIN_VENV:-target/maturin-venv}
out=${OUT:-target/wheels}
mkdir -p "$(dirname "$out")"
# A version that the wheel was seen to be right with.
maturin=1.16.0
if [ ! -x "$venv/bin/maturin" ]; then
    if ! python3 -m venv "$venv"; then
        echo "wheel: python3 has no venv; install it (Debian: apt-get install python3-venv), then try again" >&2
        exit 1
    fi
    "$venv/bin/pip" install --quiet --disable-pip-version-check "maturin==$maturin"
fi
# The texts of what is linked in go into the wheel beside our own.
python3 scripts/licences.py python/Cargo.toml "$(rustc -vV | sed -n 's/^host: //p')" >"$out-licences"
mv "$out-licences" python/licenses/THIRD-PARTY.txt
if [ "${1:-}" = quick ]; then profile=dev; else profile=release; fi
# One target directory for both crates: what they share is built once.
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
export CARGO_TARGET_DIR
rm -f "$out"/logitfuzz-*.whl
"$venv/bin/maturin" build --locked --profile "$profile" --manifest-path python/Cargo.toml --out "$out" >&2
ls "$out"/logitfuzz-*.whl
