"""Judging outputs that are there: how far each is from the truth, how far it may be, and the verdict."""

import math

import numpy as np

from . import _core, _html
from ._arrays import in_format, to_host
from ._cases import DTYPES, OPS, VERDICTS, Batch, Case, given, known, output_shape_of, shape_of
from ._errors import Unstable, UsageError

_NAMES = list(VERDICTS)


def outputs_of(outputs, shape, dtype, what="the outputs"):
    """The outputs as bytes of the dtype's output format; their shape must be this one. Where one output a row is due, (rows, 1) is taken, too."""
    host = to_host(outputs, what)
    is_scalar_row = len(shape) < 2 and host.shape == (*shape, 1)
    if host.shape != shape and not is_scalar_row:
        raise UsageError(f"{what}: shape {host.shape}; {shape} is due")
    return in_format(host, DTYPES[dtype][1], what, rounds=True)


def short(x):
    """A number in three digits."""
    return "inf" if math.isinf(x) else "nan" if math.isnan(x) else f"{x:.3g}"


class Output:
    """One output beside its truth.

    Attributes:
        row, index: its place: the row of the matrix, and the number of the output within the row; 0 and 0 for a mean over rows.
        verdict: ``"pass"``, or what is wrong.
        got, exact: what was returned, and the exact value in up to 30 digits, as texts.
        ulps: the signed error in units in the last place of the exact value; NaN where there is no finite error.
        bound: the error, in ulps, that the textbook algorithm can make on this input.
        ratio: error over bound; above 1 fails.
    """

    def __init__(self, row, index, verdict, got, exact, ulps, bound, ratio):
        self.row = row
        self.index = index
        self.verdict = verdict
        self.got = got
        self.exact = exact
        self.ulps = ulps
        self.bound = bound
        self.ratio = ratio

    def __repr__(self):
        return (
            f"<Output {self.row}, {self.index}: {self.verdict}, got {self.got}, exact {self.exact}, error {short(abs(self.ulps))} ulp, "
            f"bound {short(self.bound)} ulp>"
        )


class Judgement:
    """What is said of the outputs of one row or of a matrix. In a notebook it shows itself as a table and a plot.

    Attributes:
        op, dtype: their names.
        verdict: the worst verdict of all rows: ``"pass"``, or a failure such as ``"nan"`` or ``"inaccurate"`` (``logitfuzz.VERDICTS`` has all).
        passed: whether no row fails.
        verdicts: for each row its verdict; for a mean over rows one.
        ulps: the signed error of every output, in units in the last place of the exact value, float64, in the shape of the outputs; NaN where
            there is no finite error.
        bounds: the error in ulps that the textbook algorithm can make there.
        ratios: error over bound; above 1 fails.
        max_ulp, max_ratio: the largest finite error, and the largest ratio.
    """

    def __init__(self, op, dtype, cores, shape, data, claims, strict):
        rows, arrays = _core.judge(cores, data, claims, strict, True)
        self.op = op
        self.dtype = dtype
        self.verdicts = [row["verdict"] for row in rows]
        self.verdict = max(self.verdicts, key=_NAMES.index, default="pass")
        self.passed = not any(VERDICTS[verdict][1] for verdict in self.verdicts)
        self._of_outputs = np.frombuffer(arrays[0], np.uint8).reshape(shape)
        self.ulps, self.bounds, self.ratios = (np.frombuffer(array, "<f8").reshape(shape) for array in arrays[1:])
        self.max_ulp = max((row["max_ulp"] for row in rows), default=0.0)
        self.max_ratio = max((row["max_ratio"] for row in rows), default=0.0)
        self._cores = cores
        self._rows = rows
        self._data = data
        self._claims = claims

    def worst(self, count=8):
        """The worst outputs, at most so many, as a list of :class:`Output`: failures first, then the largest ratios."""
        order = np.lexsort((-self.ratios.reshape(-1), -self._of_outputs.reshape(-1).astype(int)))[:count]
        found = []
        for place in order:
            place = int(place)
            per_case = self._cores[0].outputs
            row, index = divmod(place, per_case) if per_case else (0, place)
            exact = _core.exact(self._cores[row], index, self._claims)[0]
            if OPS[self.op]["takes_rows"] and per_case > 1:
                # The one case has all rows of the matrix.
                row, index = divmod(place, shape_of(self._cores[0])[1])
            got = _number(self._data, place, DTYPES[self.dtype][1])
            found.append(
                Output(
                    row,
                    index,
                    _NAMES[self._of_outputs.reshape(-1)[place]],
                    got,
                    exact,
                    float(self.ulps.reshape(-1)[place]),
                    float(self.bounds.reshape(-1)[place]),
                    float(self.ratios.reshape(-1)[place]),
                )
            )
        return found

    def assert_accurate(self):
        """Raises :class:`logitfuzz.Unstable` if a row fails."""
        if not self.passed:
            raise _failure(self.op, self.dtype, self._cores, self._rows, self._claims, None)

    def __bool__(self):
        return self.passed

    def __str__(self):
        if self.passed:
            return f"{self.op} {self.dtype}: {self.verdict}, largest error {short(self.max_ulp)} ulp, largest ratio {short(self.max_ratio)}"
        return str(_failure(self.op, self.dtype, self._cores, self._rows, self._claims, None))

    def __repr__(self):
        return (
            f"<Judgement {self.op} {self.dtype}: {self.verdict}, {len(self.verdicts)} rows, largest error {short(self.max_ulp)} ulp, "
            f"largest ratio {short(self.max_ratio)}>"
        )

    def _repr_html_(self):
        return _html.judgement(self)


def _number(data, place, kind):
    """One number of bytes, as text."""
    width = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8}[kind]
    word = data[place * width : (place + 1) * width]
    if kind == "bf16":
        return short_value(np.frombuffer(b"\0\0" + word, "<f4")[0])
    return short_value(np.frombuffer(word, {"f16": "<f2", "f32": "<f4", "f64": "<f8"}[kind])[0])


def short_value(x):
    """The shortest decimal of a NumPy number."""
    text = str(x)
    return text.removesuffix(".0") if hasattr(text, "removesuffix") else text


def dtype_of(logits, outputs, dtype):
    """The dtype that is meant: the one that is named, else the formats of the two arrays."""
    if dtype is not None:
        return known(dtype, DTYPES, "dtype")
    read, written = to_host(logits, "the logits"), to_host(outputs, "the outputs")
    if read.is_literal and written.is_literal:
        raise UsageError("Python numbers have no dtype; say it: dtype='f32'")
    read_kind = written.kind if read.is_literal else read.kind
    written_kind = read.kind if written.is_literal else written.kind
    for name, formats in DTYPES.items():
        if formats == (read_kind, written_kind):
            return name
    raise UsageError(f"{read_kind} is read and {written_kind} written, which is no dtype; the dtypes are {', '.join(DTYPES)}; round the outputs, or say dtype=")


def judge(
    op,
    logits,
    outputs,
    *,
    dtype=None,
    target=None,
    label_smoothing=None,
    cotangent=None,
    tangent=None,
    label=None,
    distribution=None,
    other_logits=None,
    target_logits=None,
    values=None,
    scale=None,
    claims="",
    strict=False,
):
    """Judges outputs of an op against the exact values. No kernel is run.

    Args:
        op: the op's name.
        logits: one row (n,) or a matrix (rows, n): anything with ``__dlpack__`` or ``__array__``, or lists of numbers.
        outputs: what came out: as the logits, or one number a row where the op has one output.
        dtype: the dtype's name; left out, it is that of the arrays.
        target, label_smoothing, ...: what else the op takes. For a mean over rows the target has a class for each, -100 (:data:`logitfuzz.IGNORED`)
            where a row is ignored.
        claims: what the kernel declares of itself, as ``--claims`` takes it: ``"exp=8,sum=pairwise"``.
        strict: whether a digit that a careful kernel keeps may not be lost.

    Returns:
        :class:`Judgement`.

    >>> import numpy as np
    >>> import logitfuzz as lf
    >>> z = np.array([1000, 0], np.float32)
    >>> lf.judge("softmax", z, np.array([1, 0], np.float32)).verdict
    'pass'
    >>> lf.judge("softmax", z, np.array([np.nan, 0], np.float32)).verdict
    'nan'

    Raises UsageError: shapes, dtypes or values that do not fit, in one line.
    """
    known(op, OPS, "op")
    dtype = dtype_of(logits, outputs, dtype)
    others = {
        "target": target, "label_smoothing": label_smoothing, "cotangent": cotangent, "tangent": tangent, "label": label,
        "distribution": distribution, "other_logits": other_logits, "target_logits": target_logits, "values": values, "scale": scale,
    }  # fmt: skip
    cores, is_one = given(op, dtype, logits, others)
    if OPS[op]["takes_rows"]:
        shape = output_shape_of(op, shape_of(cores[0]))
    else:
        n = cores[0].n if cores else to_host(logits, "the logits").shape[1]
        scalar = OPS[op]["is_scalar"]
        shape = (() if scalar else (n,)) if is_one else ((len(cores),) if scalar else (len(cores), n))
    data = outputs_of(outputs, shape, dtype)
    return Judgement(op, dtype, cores, shape, data, claims, strict)


def assert_accurate(inputs, outputs, *, claims="", strict=False):
    """Judges what a kernel returned for a batch of :func:`logitfuzz.rows`, or for a case, and raises if a row fails.

    Args:
        inputs: a :class:`Batch` or a :class:`Case`. It is judged as it was made, whatever the kernel did to its arrays.
        outputs: what the kernel returned: shape (rows, n) for a batch and (n,) for a case, or (rows,) and () where the op has one output a
            row; in the dtype's output format, on any device.
        claims, strict: as in :func:`judge`.

    >>> import numpy as np
    >>> import logitfuzz as lf
    >>> for batch in lf.rows("softmax", "f32", shape=(4, 10), cases=1, families="ordinary"):
    ...     e = np.exp(batch.logits - batch.logits.max(1, keepdims=True))
    ...     lf.assert_accurate(batch, e / e.sum(1, keepdims=True))

    Raises:
        Unstable: an AssertionError with the worst row, the truth, and how to see it again.
        UsageError: outputs of another shape or dtype.
    """
    if not isinstance(inputs, (Batch, Case)):
        raise UsageError(f"assert_accurate takes a batch of rows() or a case, not {type(inputs).__name__}; for arrays there is judge()")
    shape = inputs.output_shape
    data = outputs_of(outputs, shape, inputs.dtype)
    rows, _ = _core.judge(inputs._cores, data, claims, strict, False)
    if any(VERDICTS[row["verdict"]][1] for row in rows):
        raise _failure(inputs.op, inputs.dtype, inputs._cores, rows, claims, inputs)


def _failure(op, dtype, cores, rows, claims, inputs):
    """The exception for rows of which one fails at least: it tells of the worst."""
    failing = [row for row in range(len(rows)) if VERDICTS[rows[row]["verdict"]][1]]
    # Of equal ones the shortest says most.
    worst = max(failing, key=lambda row: (_NAMES.index(rows[row]["verdict"]), rows[row]["max_ratio"], -cores[row].n, -row))
    row, core = rows[worst], cores[worst]
    case = str(core)
    origin = ""
    if isinstance(inputs, Case) and inputs.family:
        origin = f" ({inputs.family}, row {inputs.index}, seed {inputs.seed})"
    elif isinstance(inputs, Batch):
        family, index = inputs.origins[worst]
        origin = f" ({family}, row {index}, seed {inputs.seed})"
    lines = [f"{op} {dtype}: {row['verdict']}{origin}: {VERDICTS[row['verdict']][0]}"]
    if len(rows) > 1:
        lines.append(f"  {len(failing)} of {len(rows)} rows fail; the worst is row {worst}")
    if "index" in row:
        exact, _, rounded = _core.exact(core, row["index"], claims)
        lines.append(f"  output {row['index']}: got {row['got_decimal']} ({row['got_hex']}), exact {exact} ({rounded})")
        if row["ulps"] is None:
            lines.append(f"  no finite error, bound {short(row['bound'])} ulp")
        else:
            lines.append(f"  error {short(abs(row['ulps']))} ulp, bound {short(row['bound'])} ulp, ratio {short(row['ratio'])}")
    if row["relation"]:
        lines.append(f"  broken: {row['relation']}")
    shown = case if len(case) <= 2000 else f"{case[:2000]}... ({core.n} logits)"
    lines.append(f"  case: {shown}")
    if len(case) <= 2000:
        lines.append(f"  replay: logitfuzz.replay(KERNEL, {case!r})")
    return Unstable("\n".join(lines), row["verdict"], case)
