"""The plugin for pytest and the strategies for hypothesis, from the installed wheel."""

import json

import numpy as np
import pytest

import kernels
import logitfuzz as lf

TESTS = """
import numpy as np
import pytest
import logitfuzz as lf

def softmax(z):
    {shift}
    e = np.exp(z)
    return e / e.sum()

@pytest.mark.logitfuzz("softmax", dtypes=["f32", "f64"], families=["ordinary", "wide", "nan"])
def test_softmax(case):
    with np.errstate(all="ignore"):
        lf.assert_accurate(case, softmax(case.logits))
"""
RIGHT, WRONG = "z = z - z.max()", "z = z + 0"


@pytest.fixture
def session(pytester):
    def session(shift, *words):
        pytester.makepyfile(test_mine=TESTS.format(shift=shift))
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *words)

    return session


def test_rows_become_tests_and_seeds_are_told(session):
    result = session(RIGHT, "-v", "--logitfuzz-seed=7", "--logitfuzz-cases=2")
    result.assert_outcomes(passed=12)
    result.stdout.fnmatch_lines(["logitfuzz: seed 7, generators *, 2 cases for each family and dtype", "*test_softmax?f32-ordinary-0? PASSED*", "*?f64-nan-1?*"])


def test_a_failure_is_told_in_words_and_again(session):
    result = session(WRONG, "--logitfuzz-cases=1", "--logitfuzz-seed=3")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["test_mine.py:*: softmax f32: nan (ordinary, row 0, seed 3): NaN where there is a value", "  output *: got nan*", "  case: softmax f32 *", "  again: pytest 'test_mine.py::test_softmax?f32-ordinary-0?' --logitfuzz-seed=3 --logitfuzz-cases=1"]
    )
    assert "def test_softmax" not in result.stdout.str()
    again = session(WRONG, "test_mine.py::test_softmax[f32-ordinary-0]", "--logitfuzz-seed=3")
    again.assert_outcomes(failed=1)


def test_known_failures_are_expected(session, pytester):
    baseline = "--logitfuzz-baseline=known.json"
    assert session(WRONG, baseline).ret == 4
    first = session(WRONG, baseline, "--logitfuzz-accept")
    assert first.ret == 0
    known = json.loads((pytester.path / "known.json").read_text())["known"]
    assert known and set(known.values()) <= set(lf.VERDICTS)
    result = session(WRONG, baseline)
    outcomes = result.parseoutcomes()
    assert result.ret == 0 and outcomes["xfailed"] == len(known) and "failed" not in outcomes
    # Worse than it was, or new.
    file = pytester.path / "known.json"
    data = json.loads(file.read_text())
    gone = sorted(data["known"])[0]
    del data["known"][gone]
    file.write_text(json.dumps(data))
    assert session(WRONG, baseline).parseoutcomes()["failed"] == 1
    better = session(RIGHT, baseline)
    assert better.ret == 0
    better.stdout.fnmatch_lines(["logitfuzz: * failures that known.json knows pass now*"])
    assert session(RIGHT, baseline, "--logitfuzz-seed=1").ret == 4
    file.write_text("{}")
    assert session(RIGHT, baseline).ret == 4


def test_in_parallel_it_is_the_same(session, pytester):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    baseline = "--logitfuzz-baseline=known.json"
    assert session(WRONG, baseline, "--logitfuzz-accept", "-n2").ret == 0
    parallel = (pytester.path / "known.json").read_text()
    (pytester.path / "known.json").unlink()
    assert session(WRONG, baseline, "--logitfuzz-accept").ret == 0
    assert (pytester.path / "known.json").read_text() == parallel
    assert session(WRONG, baseline, "-n2").ret == 0


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ('@pytest.mark.logitfuzz("softmin")\ndef test(case): pass', "unknown op"),
        ('@pytest.mark.logitfuzz("softmax", dtypes="f8")\ndef test(case): pass', "unknown dtype"),
        ('@pytest.mark.logitfuzz("softmax", family="nan")\ndef test(case): pass', "family"),
        ('@pytest.mark.logitfuzz("softmax")\ndef test(): pass', "takes the fixture `case`"),
        ("def test(case): pass", "is for tests that are marked"),
    ],
)
def test_wrong_markers_are_one_line(pytester, marker, words):
    pytester.makepyfile("import pytest\n" + marker)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret != 0 and words in result.stdout.str() + result.stderr.str()


def test_a_finding_of_check_is_shown_in_words(pytester):
    pytester.makepyfile(
        "import numpy as np\nimport logitfuzz as lf\ndef test():\n    lf.check(lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True), 'softmax', 'f32', cases=20).assert_stable()\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_a_finding*.py:4: * distinct failures in * cases"])


hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")
SETTINGS = {"deadline": None, "database": None, "derandomize": True, "suppress_health_check": list(hypothesis.HealthCheck)}


@pytest.mark.parametrize("op", list(lf.OPS))
@pytest.mark.parametrize("dtype", ["f32", "bf16:f32", "f16"])
def test_strategies_make_cases_of_every_op(op, dtype):
    seen = []

    @hypothesis.settings(max_examples=30, **SETTINGS)
    @hypothesis.given(lf.strategies.cases(op, dtype, max_len=12))
    def test(case):
        assert (case.op, case.dtype) == (op, dtype) and 1 <= len(case.logits) <= 12
        seen.append(str(case))

    test()
    assert len(set(seen)) > 15


def smallest(op, dtype, fails):
    found = []

    @hypothesis.settings(max_examples=300, **SETTINGS)
    @hypothesis.given(lf.strategies.cases(op, dtype))
    def test(case):
        if fails(case):
            found.append(case)
            raise AssertionError

    with pytest.raises(AssertionError):
        test()
    return found[-1]


def test_a_failing_example_is_small():
    def overflows(case):
        with np.errstate(all="ignore"):
            out = kernels.unshifted(case.logits)
        return not lf.judge("softmax", case.logits, out, dtype="f32").passed

    case = smallest("softmax", "f32", overflows)
    by_reducer = case.shrink(overflows)
    assert len(case.logits) == len(by_reducer.logits) == 1, case
    assert len(str(case.logits[0])) <= 6, case


@pytest.mark.parametrize(
    "wrong",
    [
        kernels.unshifted,
        lambda z: kernels.softmax(np.maximum(z - z[:1], -64)),
        lambda z: np.exp(z - z[:1]) / np.exp(z - z[:1]).sum(),
        lambda z: np.exp(z - max(z.max(), np.float32(-1e4))) / np.exp(z - max(z.max(), np.float32(-1e4))).sum(),
    ],
    ids=["unshifted", "clipped", "first", "sentinel"],
)
def test_a_failing_example_is_as_small_as_the_reducer_makes_it(wrong):
    """The exception is that of a case that the reducer finds nothing smaller than."""
    tried = []

    @hypothesis.settings(max_examples=300, **SETTINGS)
    @hypothesis.given(lf.strategies.cases("softmax", "f32"))
    @lf.strategies.reduced
    def test(case):
        tried.append(case)
        with np.errstate(all="ignore"):
            lf.assert_accurate(case, wrong(case.logits))

    with pytest.raises(lf.Unstable) as failure:
        test()
    case = lf.Case.parse(failure.value.case)

    def fails(smaller):
        if len(smaller.logits) == 0:
            return False
        with np.errstate(all="ignore"):
            judged = lf.judge("softmax", smaller.logits, wrong(smaller.logits), dtype="f32")
        return judged.verdict == failure.value.verdict

    assert fails(case) and case.shrink(fails) == case, case
    assert all(len(other.logits) > 0 for other in tried)


def test_the_plugin_reduces_failing_examples(pytester):
    pytester.makepyfile(
        """
        import pytest, logitfuzz as lf
        from hypothesis import given, settings, assume, strategies as st
        class TestIt:
            @pytest.mark.parametrize("least", [88.8, 100.0])
            @settings(deadline=None, database=None, derandomize=True)
            @given(st.booleans(), lf.strategies.cases("softmax", "f32"))
            def test_numbers(self, least, flag, case):
                assume(flag)
                assert not (case.logits > least).any()
        @settings(max_examples=5)
        @given(st.integers())
        def test_without_a_case(number):
            assert number < 0
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-s")
    words = result.stdout.str()
    assert "smallest failing case: Case.parse('softmax f32 [0x1.64p+6]')" in words, words
    assert "smallest failing case: Case.parse('softmax f32 [0x1.94p+6]')" in words, words
    result.assert_outcomes(failed=3)


def test_strategies_refuse():
    with pytest.raises(lf.UsageError, match="above max_len"):
        lf.strategies.cases("softmax", min_len=5, max_len=4)
    with pytest.raises(lf.UsageError, match="unknown op"):
        lf.strategies.cases("softmin")
