#!/bin/sh
# Tests the Python package from its wheel, in a virtual environment of its own: never from the source tree.
#
#   scripts/test-python.sh            with NumPy, pytest, pytest-xdist and hypothesis, a quick build of the wheel
#   scripts/test-python.sh clients    with PyTorch, JAX, ml_dtypes and Triton besides, which are gigabytes: the tests of real libraries
#
# PYTHON names another interpreter than python3; WHEEL a wheel that is there already.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
clients=
venv=target/python-test-venv
if [ "${1:-}" = clients ]; then
    clients=yes
    venv=target/python-clients-venv
fi
wheel=${WHEEL:-$(OUT=target/wheels/quick sh scripts/wheel.sh quick)}
# Fresh each time, so that nothing of an older wheel is left; the clients' gigabytes stay.
[ -n "$clients" ] || rm -rf "$venv"
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
pip="$venv/bin/pip install --quiet --disable-pip-version-check"
$pip -r python/tests/requirements.txt
if [ -n "$clients" ]; then
    # One by one: where a library cannot be had, its tests are skipped and say so.
    for library in ml_dtypes torch jax triton; do
        $pip "$library" || echo "test-python: $library cannot be installed; its tests are skipped" >&2
    done
fi
$pip --force-reinstall --no-deps "$wheel"
tests=$root/python/tests
[ -z "$clients" ] || tests=$root/python/tests/test_clients.py
# The module with which people write workers is a file that stands alone.
(cd adapters/python && "$root/$venv/bin/python" -B -m unittest -q test_logitfuzz_worker)
# From elsewhere, so that no folder of the tree is in the way.
cd "$venv"
PYTHONDONTWRITEBYTECODE=1 bin/python -m pytest -q -rs -p no:cacheprovider --rootdir "$root/python/tests" "$tests"
