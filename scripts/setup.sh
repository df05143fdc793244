#!/bin/sh
# Installs what the build needs and is not here: a C compiler, make, m4 (GMP and MPFR are built from source), and a Rust
# toolchain if rustup has none. It does nothing, and asks for nothing, where nothing is missing.
#
#   scripts/setup.sh          for `make run` and `make test`
#   scripts/setup.sh check    also rustfmt and clippy, for `make check`
set -eu

PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

# Rust first: it is the one thing that a package manager should not be asked for.
if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: cargo is not here; install rustup (https://rustup.rs), then try again" >&2
    exit 1
fi
# A fresh rustup may have no toolchain yet; then its cargo is only a door that leads nowhere.
if ! cargo --version >/dev/null 2>&1; then
    rustup default stable
fi
if [ "${1:-}" = check ]; then
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    # A test builds the light configuration for it where it can be had.
    rustup target add wasm32-unknown-unknown >/dev/null 2>&1 || true
fi

# Debian and Ubuntu call the packages as the tools, but for the compiler, which needs the headers of the C library besides.
packages=
command -v cc >/dev/null 2>&1 || packages="$packages gcc libc6-dev"
command -v make >/dev/null 2>&1 || packages="$packages make"
command -v m4 >/dev/null 2>&1 || packages="$packages m4"
# libFuzzer is C++.
if [ "${1:-}" = check ]; then
    command -v c++ >/dev/null 2>&1 || packages="$packages g++"
fi
# Tests run a worker in it.
if [ "${1:-}" = check ]; then
    command -v python3 >/dev/null 2>&1 || packages="$packages python3"
    # The Python package is tested in a virtual environment; Debian has what makes one in a package of its own.
    python3 -c 'import ensurepip' >/dev/null 2>&1 || packages="$packages python3-venv"
fi
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: missing:$packages; install them with your package manager, then try again" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=env
elif command -v sudo >/dev/null 2>&1; then
    as_root="sudo env"
else
    echo "setup: run this as root, then try again:" >&2
    echo "  apt-get update && apt-get install -y$packages" >&2
    exit 1
fi
echo "setup: installing$packages" >&2
# The lists of packages may be missing or old: fetch them only if the first try fails.
# shellcheck disable=SC2086 # the words are meant to be split
$as_root DEBIAN_FRONTEND=noninteractive apt-get install -y $packages </dev/null ||
    { $as_root apt-get update </dev/null && $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y $packages </dev/null; }
