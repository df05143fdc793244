"""Strategies for hypothesis: cases of an op, which shrink to few logits and short numbers.

    from hypothesis import given
    import logitfuzz as lf

    @given(lf.strategies.cases("softmax", "f32"))
    def test_softmax(case):
        lf.assert_accurate(case, my_softmax(case.logits))

Half of the cases are rows of the families, or a part of one; the others are lists of numbers that hypothesis draws one by one, special ones
among them. Hypothesis shrinks what it has drawn: a failing row of a family is first cut to the part that fails, then its numbers are rounded to
few digits. What fails then is made smaller by the reducer of logitfuzz (:func:`reduced`), which knows what is simple in a row of logits: under
pytest by itself, elsewhere where it stands below ``given``.
"""

import functools
import math
import time
import unittest

import numpy as np

from . import _core
from ._arrays import Host, _rounded, imported, rounded_number, widened
from ._cases import DTYPES, IGNORED, OPS, Case, chosen_families, known, whole
from ._errors import UsageError

__all__ = ["cases", "reduced"]

#: The width of the floats that hypothesis draws for each format; those of bf16 are rounded.
_WIDTHS = {"f16": 16, "bf16": 32, "f32": 32, "f64": 64}
#: Rows that the draws of a family begin from: enough for every length and position that an index goes through.
_INDICES = 1 << 12
#: Calls of a failing test that its reduction may take, and seconds after which what is smallest by then is taken.
_CALLS, _SECONDS = 2000, 20.0


def cases(op, dtype="f32", *, families=None, max_len=64, min_len=1):
    """A strategy for cases of an op.

    Args:
        op: the op's name.
        dtype: the dtype's name.
        families: names; all but the slow ones where it is left out.
        max_len, min_len: the most and the fewest logits of a case.

    Returns:
        A hypothesis strategy of :class:`logitfuzz.Case`.

    Raises UsageError, also where hypothesis is not installed.
    """
    imported("hypothesis")
    import hypothesis.strategies as st

    known(op, OPS, "op")
    known(dtype, DTYPES, "dtype")
    names = chosen_families(families)
    least, most = whole(min_len, 0, "min_len"), whole(max_len, 1, "max_len")
    if OPS[op]["needs_logit"]:
        least = max(least, 1)
    if least > most:
        raise UsageError(f"min_len={least} is above max_len={most}")
    kind = DTYPES[dtype][0]

    @st.composite
    def explicit(draw):
        numbers = st.floats(width=_WIDTHS[kind])
        return _explicit(draw, st, op, dtype, kind, draw(st.lists(numbers, min_size=least, max_size=most)))

    @st.composite
    def of_family(draw):
        family = draw(st.sampled_from(names))
        core = _core.row(op, dtype, family, draw(st.integers(0, 7)), draw(st.integers(0, _INDICES - 1)), most)
        if core is None or core.n < max(least, 1):
            return _explicit(draw, st, op, dtype, kind, [0.0] * least)
        # The last `kept` of the first `end` logits, with numbers of few digits: each draw by itself becomes simpler as it becomes smaller, so
        # a failing row loses its tail first, then its head. Half of the draws go past the row, and leave it as it is.
        n, fewest = core.n, max(least, 1)
        if OPS[op]["takes_rows"]:
            case = Case(core, family)
            return _some_rows(case, kind, draw(st.integers(0, len(case.target) - 1)), draw(st.sampled_from([1, 2, 4, 17])))
        end = min(draw(st.integers(fewest, 2 * n)), n)
        kept = min(draw(st.integers(fewest, 2 * n)), end)
        digits = draw(st.sampled_from([1, 2, 4, 17]))
        return _part(Case(core, family), kind, end - kept, kept, digits)

    def with_least(case):
        case._least = least
        return case

    return st.one_of(explicit(), of_family()).map(with_least)


def reduced(test):
    """A test under ``hypothesis.given`` whose failing case is made as small as the reducer of logitfuzz makes it.

        @given(lf.strategies.cases("softmax", "f32"))
        @lf.strategies.reduced
        def test_softmax(case): ...

    Where the test raises, it is run on smaller cases, with its other arguments as they are. One that raises an exception of the same type
    (and, of :class:`logitfuzz.Unstable`, with the same verdict) takes the place of the case; the exception of the smallest one is raised, and hypothesis
    prints ``smallest failing case`` beside its own example. The plugin for pytest does this for every test under ``given``.

    The first argument that is a :class:`logitfuzz.Case` is made smaller. A test without one is left as it is.

    Raises UsageError where hypothesis is not installed.
    """
    if getattr(test, "_is_reduced", False):
        return test
    from_hypothesis = imported("hypothesis.errors").HypothesisException
    # For each op, dtype and kind of failure the smallest case, so that what hypothesis tries afterwards costs two calls more.
    smallest = {}

    @functools.wraps(test)
    def run(*args, **kwargs):
        __tracebackhide__ = True
        try:
            return test(*args, **kwargs)
        except Exception as failure:
            place = _place_of_case(args, kwargs)
            if place is None or isinstance(failure, (from_hypothesis, unittest.SkipTest)):
                raise
            kind = _kind(failure)

        def at(case):
            __tracebackhide__ = True
            if isinstance(place, str):
                return test(*args, **{**kwargs, place: case})
            return test(*args[:place], case, *args[place + 1 :], **kwargs)

        def fails(case):
            if len(case.logits) < least or time.monotonic() > end:
                return False
            try:
                at(case)
            except Exception as failure:
                return _kind(failure) == kind
            return False

        case = kwargs[place] if isinstance(place, str) else args[place]
        # A kernel need not take a row without logits.
        least = getattr(case, "_least", 1)
        end = time.monotonic() + _SECONDS
        key = (case.op, case.dtype, kind)
        # With other arguments, or after a change of what is tested, the one that is known may pass.
        if key not in smallest or not fails(smallest[key]):
            smallest[key] = case.shrink(fails, _CALLS)
        imported("hypothesis").note(f"smallest failing case: {smallest[key]!r}")
        at(smallest[key])
        # The smallest one passes now: what fails now and then is for hypothesis to say.
        return at(case)

    run._is_reduced = True
    return run


def _place_of_case(args, kwargs):
    """Where the first case stands among the arguments: a number, a name, or None."""
    is_case = lambda value: isinstance(value, Case)
    return next((place for place, value in [*enumerate(args), *kwargs.items()] if is_case(value)), None)


def _kind(failure):
    return type(failure), getattr(failure, "verdict", None)


def _values(numbers, kind):
    """Numbers rounded to the format, as an array of it."""
    return Host(kind, _rounded(np.array(numbers, np.float64), kind))


def _explicit(draw, st, op, dtype, kind, logits):
    """A case of these logits; what else the op takes is drawn. A mean has them in rows of one length, and what is left over is left out."""
    classes = None
    if OPS[op]["takes_rows"]:
        rows = draw(st.integers(1, 4))
        n = len(logits) // rows
        logits = logits[: rows * n]
        classes = [IGNORED if n == 0 or draw(st.booleans()) else draw(st.integers(0, n - 1)) for _ in range(rows)]
    n = len(logits)
    data = {"logits": _values(logits, kind).array.tobytes()}
    for name, extent in OPS[op]["others"]:
        if extent == "indices":
            continue
        if extent == "index":
            data["target"] = draw(st.integers(0, n - 1))
        elif extent == "number":
            low, high = (0.0, 1.0) if name == "label_smoothing" else (-100.0, 100.0)
            data["number"] = rounded_number(draw(st.floats(low, high)), kind)
        elif name == "distribution":
            # All mass on one class, or half of it on each of two: the sum is 1 exactly.
            masses = [0.0] * n
            for _ in range(2):
                masses[draw(st.integers(0, n - 1))] += 0.5
            data["other"] = _values(masses, kind).array.tobytes()
        else:
            low, high = (0.0, 1.0) if name == "label" else (None, None)
            is_any = name in ("values", "target_logits", "other_logits")
            largest = 60000.0 if kind == "f16" else 1e30
            numbers = st.floats(width=_WIDTHS[kind]) if is_any else st.floats(-largest if low is None else low, largest if high is None else high)
            data["other"] = _values(draw(st.lists(numbers, min_size=n, max_size=n)), kind).array.tobytes()
    return Case(_core.Case(op, dtype, data["logits"], data.get("target"), data.get("number"), data.get("other"), classes))


def _some_rows(case, kind, left_out, digits):
    """A case of a mean without so many of its first rows, with numbers of so many significant decimal digits."""
    logits, target = case.inputs["logits"][left_out:], case.inputs["target"][left_out:]
    bits = np.ascontiguousarray(logits.view(np.ndarray))
    data = _in_digits(widened(Host(kind, bits.view(np.uint16) if kind == "bf16" else bits)).reshape(-1), digits)
    return Case(_core.Case(case.op, case.dtype, _values(data, kind).array.tobytes(), None, None, None, target.tolist()), case.family)


def _in_digits(wide, digits):
    """The numbers with so many significant decimal digits; 17 leave them as they are."""
    return np.array([float(f"{x:.{digits - 1}e}") if math.isfinite(x) else x for x in wide]) if digits < 17 else wide


def _part(case, kind, first, length, digits):
    """A part of a case's row, with numbers of so many significant decimal digits."""
    inputs = {}
    for name, value in case.inputs.items():
        if isinstance(value, np.ndarray):
            if name == "distribution":
                # A part of it does not sum to 1.
                masses = [0.0] * length
                masses[0] = 1.0
                inputs["other"] = _values(masses, kind).array.tobytes()
                continue
            bits = value.view(np.ndarray)
            wide = _in_digits(widened(Host(kind, bits.view(np.uint16) if kind == "bf16" else bits))[first : first + length], digits)
            if name == "label":
                wide = np.clip(wide, 0.0, 1.0)
            inputs["logits" if name == "logits" else "other"] = _finite(wide, kind, name).array.tobytes()
        elif name == "target":
            inputs["target"] = min(max(value - first, 0), length - 1)
        else:
            inputs["number"] = value
    return Case(_core.Case(case.op, case.dtype, inputs["logits"], inputs.get("target"), inputs.get("number"), inputs.get("other")), case.family)


def _finite(wide, kind, name):
    """The numbers in the format; a direction that rounding made infinite becomes 0."""
    host = _values(wide, kind)
    if name in ("cotangent", "tangent"):
        host = _values(np.where(np.isfinite(widened(host)), wide, 0.0), kind)
    return host
