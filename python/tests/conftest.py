"""What the tests of the Python package share. They run against the installed wheel, never the source tree (`make test-python`)."""

import os
import pathlib
import subprocess
import sys

import pytest

import logitfuzz

pytest_plugins = ["pytester"]
HERE = pathlib.Path(__file__).parent
# The package of the source tree has no compiled module, so importing it would fail; a copy beside it would go unnoticed.
assert HERE.parent not in pathlib.Path(logitfuzz.__file__).parents, logitfuzz.__file__


@pytest.fixture
def run():
    """Runs the installed command: `run("list", "ops")`; a subprocess.CompletedProcess with text."""

    def run(*words, timeout=120, **options):
        command = [sys.executable, "-m", "logitfuzz", *map(str, words)]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, **options)

    return run
