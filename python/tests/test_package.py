"""What the wheel holds: types, licences, examples that run, the worker's module."""

import doctest
import importlib
import importlib.metadata
import importlib.resources
import inspect
import pathlib
import re

import pytest

import logitfuzz as lf

MODULES = ["logitfuzz", "logitfuzz._cases", "logitfuzz._check", "logitfuzz._judge"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0 and result.attempted > 0


def test_the_examples_of_the_guide_run():
    """docs/python.md, where the source tree is beside the tests: blocks with prompts, as they are."""
    guide = pathlib.Path(__file__).parents[2] / "docs" / "python.md"
    if not guide.exists():
        pytest.skip("the guide is not here")
    result = doctest.testfile(str(guide), module_relative=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0 and result.attempted > 10


def test_licences_of_what_is_linked_in_are_in_the_wheel():
    files = importlib.metadata.files("logitfuzz")
    texts = {file.name: file.read_text() for file in files if "licenses" in file.parts}
    assert set(texts) == {"LICENSE-MIT", "LICENSE-APACHE", "README.md", "THIRD-PARTY.txt"}
    others = texts["THIRD-PARTY.txt"]
    for crate in ("num-bigint", "pyo3", "libloading", "quick-xml"):
        assert re.search(rf"^{crate} [0-9.]+ \(", others, re.M), crate
    # Each crate is followed by the text of a licence.
    assert all(len(part.strip()) > 60 for part in others.split("-" * 100)[1:])
    assert importlib.metadata.metadata("logitfuzz")["License-Expression"] == "MIT OR Apache-2.0"


def test_no_c_library_is_linked_in():
    """GMP and MPFR are under the LGPL; the list of what was compiled in names neither."""
    listed = [file.read_text() for file in importlib.metadata.files("logitfuzz") if "sboms" in file.parts]
    assert listed and all("num-bigint" in text and "gmp" not in text and '"rug"' not in text for text in listed)


def test_it_depends_on_numpy_alone():
    wanted = importlib.metadata.requires("logitfuzz")
    assert [re.match(r"[a-z_-]+", line).group() for line in wanted if "extra" not in line] == ["numpy"]


def test_types_are_stated_for_everything_public():
    package = importlib.resources.files("logitfuzz")
    assert (package / "py.typed").is_file()
    stub = (package / "__init__.pyi").read_text()
    for name in lf.__all__:
        assert re.search(rf"(class|def) {name}\b|^{name}: |import strategies as {name}", stub, re.M), name
    # The same parameters, in the same order.
    for name in ("rows", "assert_accurate", "judge", "check", "replay", "judge_file"):
        text = re.search(rf"^def {name}\((.*?)\) ->", stub, re.S | re.M).group(1)
        assert re.findall(r"(\w+): ", text) == list(inspect.signature(getattr(lf, name)).parameters), name
    core = (package / "_core.pyi").read_text()
    from logitfuzz import _core

    for name in dir(_core):
        if not name.startswith("__"):
            assert re.search(rf"(class|def) {name}\b|^{name}: ", core, re.M), name


def test_everything_public_is_documented():
    for name in lf.__all__:
        value = getattr(lf, name)
        if callable(value):
            assert inspect.getdoc(value), name
            if inspect.isclass(value):
                for part, member in vars(value).items():
                    if not part.startswith("_") and (callable(member) or isinstance(member, property)):
                        assert inspect.getdoc(member), f"{name}.{part}"


def test_the_worker_module_is_the_adapters():
    """`from logitfuzz.worker import kernel, serve`, in a process of its own, since it takes standard output for itself."""
    package = importlib.resources.files("logitfuzz")
    assert "def serve(" in (package / "worker.py").read_text()


def test_a_worker_of_the_package_serves(run, tmp_path):
    import sys

    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\nfrom logitfuzz.worker import kernel, serve\n@kernel('softmax', dtypes=['f32'])\ndef softmax(z):\n"
        "    e = np.exp(z)\n    return e / e.sum()\nserve()\n"
    )
    result = run("replay", "--kernel", f"exec:{sys.executable} {file}", "softmax f32 [1000, 0]")
    assert result.returncode == 1 and "nan on softmax f32 [1000, 0]" in result.stdout, result.stdout + result.stderr
