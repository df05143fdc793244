"""The plugin for pytest.

    @pytest.mark.logitfuzz("cross_entropy", dtypes=["f16", "bf16:f32"])
    def test_loss(case):
        lf.assert_accurate(case, my_loss(*case.args))

The test runs on rows of every family, one test a row: ``test_loss[f16-wide-0]``. A failure is shown in the words of the judge, with the line that
runs it again. With ``--logitfuzz-baseline FILE`` a failure that the file knows is expected (``xfail``), and only a new or a worse one fails;
``--logitfuzz-accept`` writes the file.

The failing case of a test under hypothesis's ``given`` is made smaller by our reducer.
"""

import json
import os
import shlex
import sys

import pytest

from . import _core
from ._cases import DTYPES, OPS, VERDICTS, Case, chosen_families, known, whole
from ._errors import Error, Unstable, UsageError

#: Rows of each family and dtype, unless the marker or the option says otherwise.
_DEFAULT_CASES = 2
#: The longest row, unless the marker says otherwise.
_MAX_LEN = 4096
_SCHEMA = "logitfuzz.pytest-baseline/1"
_PROPERTY = "logitfuzz"


def pytest_addoption(parser):
    group = parser.getgroup("logitfuzz", "logitfuzz: adversarial rows for kernels of the softmax family")
    group.addoption("--logitfuzz-cases", type=int, default=None, metavar="N", help=f"rows of each family and dtype ({_DEFAULT_CASES})")
    group.addoption("--logitfuzz-seed", type=int, default=0, metavar="N", help="the seed of all rows (0)")
    group.addoption("--logitfuzz-baseline", default=None, metavar="FILE", help="failures that are known and expected")
    group.addoption("--logitfuzz-accept", action="store_true", help="write the failures of this run into the baseline")


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "logitfuzz(op, dtypes=['f32'], families=None, cases=None, max_len=4096, min_len=1): runs the test on rows of every family, as the fixture `case`",
    )
    config.pluginmanager.register(_Baseline(config), "logitfuzz-baseline")


def pytest_report_header(config):
    options = config.option
    words = f"logitfuzz: seed {options.logitfuzz_seed}, generators {_core.GENERATORS}"
    if options.logitfuzz_cases is not None:
        words += f", {options.logitfuzz_cases} cases for each family and dtype"
    if options.logitfuzz_baseline:
        words += f", baseline {options.logitfuzz_baseline}"
    return words


def pytest_itemcollected(item):
    """Lets our reducer make the failing cases of tests under hypothesis small, where the strategies are used at all."""
    handle = getattr(getattr(item, "obj", None), "hypothesis", None)
    strategies = sys.modules.get(f"{__package__}.strategies")
    # `inner_test` is there for runners to replace.
    if strategies is not None and hasattr(handle, "inner_test"):
        handle.inner_test = strategies.reduced(handle.inner_test)


class _Place:
    """Which row a test is given."""

    def __init__(self, op, dtype, family, index, seed, max_len):
        self.made = (op, dtype, family, seed, index, max_len)

    def case(self):
        _, _, family, seed, index, _ = self.made
        return Case(_core.row(*self.made), family, index, seed)


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("logitfuzz")
    if marker is None:
        return
    where = metafunc.definition.nodeid
    try:
        if "case" not in metafunc.fixturenames:
            raise UsageError("a test that is marked logitfuzz takes the fixture `case`")
        places, names = _places(metafunc.config, *marker.args, **marker.kwargs)
    except (Error, TypeError) as error:
        raise pytest.UsageError(f"{where}: {error}") from None
    metafunc.parametrize("case", places, ids=names, indirect=True)


def _places(config, op, dtypes=("f32",), families=None, cases=None, max_len=_MAX_LEN, min_len=1):
    known(op, OPS, "op")
    dtypes = [dtypes] if isinstance(dtypes, str) else list(dtypes)
    asked = config.option.logitfuzz_cases
    count = whole(asked if asked is not None else cases if cases is not None else _DEFAULT_CASES, 1, "--logitfuzz-cases")
    seed = whole(config.option.logitfuzz_seed, 0, "--logitfuzz-seed")
    places, names = [], []
    for dtype in dtypes:
        known(dtype, DTYPES, "dtype")
        for family in chosen_families(families):
            for index in range(count):
                place = _Place(op, dtype, family, index, seed, max_len)
                core = _core.row(*place.made)
                if core is not None and core.n >= min_len:
                    places.append(place)
                    names.append(f"{dtype}-{family}-{index}")
    return places, names


@pytest.fixture
def case(request):
    """The row of a test that is marked ``logitfuzz``: a :class:`logitfuzz.Case`."""
    place = getattr(request, "param", None)
    if not isinstance(place, _Place):
        raise pytest.UsageError(f"{request.node.nodeid}: the fixture `case` is for tests that are marked @pytest.mark.logitfuzz(op)")
    return place.case()


def _replay(item):
    options = item.config.option
    words = ["pytest", item.nodeid, f"--logitfuzz-seed={options.logitfuzz_seed}"]
    if options.logitfuzz_cases is not None:
        words.append(f"--logitfuzz-cases={options.logitfuzz_cases}")
    return shlex.join(words)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    callspec = getattr(item, "callspec", None)
    place = callspec.params.get("case") if callspec else None
    is_ours = isinstance(place, _Place)
    error = call.excinfo.value if call.excinfo else None
    if call.when != "call":
        return
    if isinstance(error, Unstable) and report.failed:
        where = next((entry for entry in reversed(call.excinfo.traceback) if str(entry.path) == str(item.path)), None)
        line = f"{os.path.basename(str(item.path))}:{where.lineno + 1}: " if where else ""
        report.longrepr = f"{line}{error}" + (f"\n  again: {_replay(item)}" if is_ours else "")
    elif is_ours and report.failed:
        report.sections.append(("logitfuzz", f"case: {place.case()}\nagain: {_replay(item)}"))
    if is_ours:
        verdict = "pass" if report.passed else error.verdict if isinstance(error, Unstable) else "panic" if report.failed else None
        if verdict is not None:
            report.user_properties.append((_PROPERTY, verdict))
            item.config.pluginmanager.get_plugin("logitfuzz-baseline").judge(report, item.nodeid, verdict)


class _Baseline:
    """The failures that are known. Every process of a run in parallel reads them; the first one alone writes."""

    def __init__(self, config):
        self.path = config.option.logitfuzz_baseline
        self.accepts = config.option.logitfuzz_accept or os.environ.get("LOGITFUZZ_ACCEPT") == "1"
        self.seed = config.option.logitfuzz_seed
        self.is_first = not hasattr(config, "workerinput")
        self.known, self.seen, self.better = {}, {}, []
        if config.option.logitfuzz_accept and not self.path:
            raise pytest.UsageError("--logitfuzz-accept writes the file that --logitfuzz-baseline names; name one")
        if self.path and not (self.accepts and not os.path.exists(self.path)):
            self.known = self._read()

    def _read(self):
        try:
            with open(self.path, encoding="utf-8") as file:
                data = json.load(file)
            known = data["known"]
            if data["schema"] != _SCHEMA or not all(verdict in VERDICTS for verdict in known.values()):
                raise ValueError(f"it is none of {_SCHEMA}")
        except FileNotFoundError:
            raise pytest.UsageError(f"{self.path}: there is no such file; make it with --logitfuzz-accept") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise pytest.UsageError(f"{self.path}: no baseline can be read: {error}; make it again with --logitfuzz-accept") from None
        if not self.accepts and (data.get("seed"), data.get("generators")) != (self.seed, _core.GENERATORS):
            raise pytest.UsageError(
                f"{self.path} is of seed {data.get('seed')} and generators {data.get('generators')}, this run of {self.seed} and "
                f"{_core.GENERATORS}; make it again with --logitfuzz-accept"
            )
        return known

    def judge(self, report, nodeid, verdict):
        """Turns a failure that is known, or accepted, into an expected one."""
        if not self.path or verdict == "pass":
            return
        order = list(VERDICTS).index
        known = self.known.get(nodeid)
        if self.accepts or (known is not None and order(verdict) <= order(known)):
            report.outcome = "skipped"
            report.wasxfail = f"{'accepted' if self.accepts else 'known'}: {verdict}"

    def pytest_runtest_logreport(self, report):
        if not self.is_first or report.when != "call":
            return
        for name, verdict in report.user_properties:
            if name == _PROPERTY:
                self.seen[report.nodeid] = verdict
                if verdict == "pass" and report.nodeid in self.known:
                    self.better.append(report.nodeid)

    def pytest_sessionfinish(self):
        if not (self.is_first and self.path and self.accepts):
            return
        known = {nodeid: verdict for nodeid, verdict in self.known.items() if nodeid not in self.seen}
        known.update((nodeid, verdict) for nodeid, verdict in self.seen.items() if VERDICTS[verdict][1])
        data = {"schema": _SCHEMA, "seed": self.seed, "generators": _core.GENERATORS, "known": dict(sorted(known.items()))}
        part = f"{self.path}.{os.getpid()}.part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
            file.write("\n")
        os.replace(part, self.path)

    def pytest_terminal_summary(self, terminalreporter):
        if self.better and not self.accepts:
            terminalreporter.write_line(f"logitfuzz: {len(self.better)} failures that {self.path} knows pass now; accept that with --logitfuzz-accept")
        if self.path and self.accepts:
            terminalreporter.write_line(f"logitfuzz: {self.path} is written")
