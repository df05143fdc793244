"""Cases and batches of cases: the inputs that kernels are given."""

import numpy as np

from . import _core
from ._arrays import array_of, in_format, rounded_number, to_host
from ._errors import NothingSelected, UsageError

#: Everything that is known of each op, by name.
OPS = {op["name"]: op for op in _core.ops()}
#: The formats that each dtype reads and writes.
DTYPES = {name: (read, written) for name, read, written in _core.dtypes()}
#: For each family its summary and whether it runs only when named.
FAMILIES = {name: (summary, slow) for name, summary, slow in _core.families()}
#: For each verdict, from best to worst, its meaning and whether it is a failure.
VERDICTS = {name: (meaning, failure) for name, meaning, failure in _core.verdicts()}

#: The class of a row that is ignored, as PyTorch has it unless it is told otherwise.
IGNORED = -100

#: The longest row of a family unless something else is asked for, as the command has it.
DEFAULT_MAX_LEN = 1 << 18


def known(name, among, what):
    """The name, if it is one of these; else a UsageError that lists them."""
    if not isinstance(name, str) or name not in among:
        raise UsageError(f"unknown {what} {name!r}; there are: {', '.join(among)}")
    return name


def chosen_families(families):
    """The names of the families that are asked for; without any, all that are not slow."""
    if families is None:
        return [name for name, (_, slow) in FAMILIES.items() if not slow]
    names = [families] if isinstance(families, str) else list(families)
    for name in names:
        known(name, FAMILIES, "family")
    if not names:
        raise NothingSelected("no family is selected; name one, or leave families out")
    return names


def whole(value, least, what):
    """The value as an int that is at least so much, or a UsageError."""
    try:
        number = value.__index__()
    except AttributeError:
        number = None
    if number is None or number < least or number >= 1 << 63:
        raise UsageError(f"{what} is {value!r}; write a whole number of {least} or more")
    return number


class _Inputs:
    """What cases and batches have in common: an attribute for each input of the op."""

    def _input(self, name):
        if name not in self.inputs:
            raise UsageError(f"{self.op} takes no {name}; it takes {', '.join(self.inputs)}")
        return self.inputs[name]

    @property
    def logits(self):
        """The logits: shape (n,) of a case, (rows, n) of a batch and of a case that takes several rows, in the dtype's input format."""
        return self._input("logits")

    @property
    def target(self):
        """The true class, counted from 0: an int of a case, int64 of shape (rows,) of a batch. cross_entropy and its gradient take it; their means
        take one for each of their rows, -100 (:data:`logitfuzz.IGNORED`) where a row is ignored."""
        return self._input("target")

    @property
    def label_smoothing(self):
        """The label smoothing in [0, 1], one float, of a batch for all rows. cross_entropy and its gradient take it."""
        return self._input("label_smoothing")

    @property
    def cotangent(self):
        """The direction of a vector-Jacobian product, as the logits."""
        return self._input("cotangent")

    @property
    def tangent(self):
        """The direction of a Jacobian-vector product, as the logits."""
        return self._input("tangent")

    @property
    def label(self):
        """Labels in [0, 1], as the logits."""
        return self._input("label")

    @property
    def distribution(self):
        """Masses that sum to 1 exactly, as the logits."""
        return self._input("distribution")

    @property
    def other_logits(self):
        """The second number of each pair, as the logits."""
        return self._input("other_logits")

    @property
    def target_logits(self):
        """The logits of the distribution that is aimed at, as the logits."""
        return self._input("target_logits")

    @property
    def values(self):
        """What the probabilities weigh, as the logits."""
        return self._input("values")

    @property
    def scale(self):
        """What the logits are multiplied by: one finite float, of a batch for all rows."""
        return self._input("scale")

    @property
    def args(self):
        """All inputs in the order of the op, as a kernel takes them: ``kernel(*case.args)``."""
        return tuple(self.inputs.values())


def shape_of(core):
    """The shape of a case's logits: (n,), or (rows, n) where the op takes several rows."""
    if core.classes is None:
        return (core.n,)
    rows = len(core.classes)
    return (rows, core.n // rows if rows else 0)


def output_shape_of(op, shape):
    """The shape of the outputs for logits of this shape of a case."""
    return () if OPS[op]["is_scalar"] else shape


def _inputs(op, dtype, cases, shape):
    """The inputs of the cases by name: arrays of this shape, numbers that all have in common."""
    kind = DTYPES[dtype][0]
    inputs = {"logits": array_of(bytearray().join(case.logits() for case in cases), kind, shape)}
    for name, extent in OPS[op]["others"]:
        if extent == "row":
            inputs[name] = array_of(bytearray().join(case.other() for case in cases), kind, shape)
        elif extent == "index":
            targets = [case.target for case in cases]
            inputs[name] = targets[0] if len(shape) == 1 else np.array(targets, np.int64)
        elif extent == "indices":
            # Kernels call it as they do where there is one class a row.
            inputs["target"] = np.array(cases[0].classes, np.int64)
        else:
            inputs[name] = cases[0].number if cases else 0.0
    return inputs


class Case(_Inputs):
    """One input of one op in one dtype.

    Attributes:
        op, dtype: their names.
        inputs: all inputs by name, in the order of the op: arrays of shape (n,), an int for a class, a float for a number; of a mean over
            rows the logits are (rows, n) and the classes int64 of shape (rows,).
        family, index, seed: what the row was made of; None where it was not.

    Its text (``str(case)``) is what findings print; :meth:`parse` reads it.
    """

    def __init__(self, core, family=None, index=None, seed=None):
        self._core = core
        self.op = core.op
        self.dtype = core.dtype
        self.family = family
        self.index = index
        self.seed = seed
        self._shape = shape_of(core)
        self.inputs = _inputs(self.op, self.dtype, [core], self._shape)

    @classmethod
    def parse(cls, text):
        """Reads a case.

        >>> import logitfuzz as lf
        >>> lf.Case.parse("softmax f32 [1000, 0]").logits
        array([1000.,    0.], dtype=float32)

        Raises UsageError.
        """
        return cls(_core.Case.parse(text))

    @property
    def _cores(self):
        return [self._core]

    @property
    def text(self):
        """The case as text: decimals or hex floats that are read back exactly."""
        return str(self._core)

    @property
    def output_shape(self):
        """The shape of the outputs that are due: that of the logits, or () where the op has one output."""
        return output_shape_of(self.op, self._shape)

    def shrink(self, fails, budget=2000):
        """The smallest case on which ``fails(case)`` is true that the reducer finds from this one, which is taken to fail.

        ``budget`` is about the number of calls. Returns a :class:`Case`.

        >>> import logitfuzz as lf
        >>> case = lf.Case.parse("softmax f32 [12.3, 1000, 0, -7, 4]")
        >>> str(case.shrink(lambda case: (case.logits > 88.8).any()))
        'softmax f32 [0x1.64p+6]'
        """
        return Case(_core.shrink(self._core, whole(budget, 1, "budget"), lambda core: bool(fails(Case(core)))))

    def __str__(self):
        return self.text

    def __repr__(self):
        text = self.text
        return f"Case.parse({text if len(text) < 400 else text[:400] + '...'!r})"

    def __eq__(self, other):
        return isinstance(other, Case) and self._core == other._core

    def __hash__(self):
        return hash(self._core)


class Batch(_Inputs):
    """Cases of one op in one dtype, with rows of one length: what a kernel that takes a matrix is given. A mean over rows is one case, whose
    rows are the matrix.

    Attributes:
        op, dtype: their names.
        inputs: all inputs by name, in the order of the op: arrays of shape (rows, n), int64 of shape (rows,) for classes, one float that all rows
            have in common for a number.
        origins: for each case, which but for a mean is a row, (family, index).
        seed: the seed of all rows.

    The arrays are NumPy's. In bf16 they are of ml_dtypes' bfloat16, or of uint16 with the bits where that is not installed;
    ``torch.from_dlpack`` takes them either way. ``batch[i]`` is row i as a :class:`Case`; a mean has the one ``batch[0]``.
    """

    def __init__(self, op, dtype, cores, origins, seed):
        self.op = op
        self.dtype = dtype
        self.origins = origins
        self.seed = seed
        self._cores = cores
        self._shape = shape_of(cores[0]) if OPS[op]["takes_rows"] else (len(cores), cores[0].n)
        self.inputs = _inputs(op, dtype, cores, self._shape)

    @property
    def shape(self):
        """(rows, n)."""
        return self._shape

    @property
    def output_shape(self):
        """The shape of the outputs that are due: (rows, n), or (rows,) where the op has one output a row, or () where it has one of all."""
        if OPS[self.op]["takes_rows"]:
            return output_shape_of(self.op, self._shape)
        return (len(self),) if OPS[self.op]["is_scalar"] else self.shape

    def __len__(self):
        return len(self._cores)

    def __getitem__(self, row):
        family, index = self.origins[row]
        return Case(self._cores[row], family, index, self.seed)

    def __iter__(self):
        return (self[row] for row in range(len(self)))

    def __repr__(self):
        return f"<Batch {self.op} {self.dtype} {self.shape[0]} x {self.shape[1]}>"


def rows(op, dtype="f32", *, shape=None, cases=20, seed=0, families=None, max_len=DEFAULT_MAX_LEN):
    """Adversarial inputs, in batches.

    Without ``shape`` these are the rows of ``logitfuzz run`` with the same seed, byte for byte; each batch has rows of one length, at most
    64. With ``shape=(rows, n)`` every batch has that shape, and rows of all families stand side by side: a family's row that is shorter is
    repeated, or followed by -inf as in padded batches. With an int, ``shape`` is n, with 64 rows. A mean over rows has one case a batch, whose
    rows are of one family; some of them are ignored, and hold anything.

    Args:
        op: the op's name, as in ``logitfuzz.OPS``.
        dtype: ``f16``, ``bf16``, ``f32``, ``f64``, or ``f16:f32`` and ``bf16:f32`` where f32 is written.
        cases: the rows of each family. With ``shape`` the last batch is filled up with more.
        seed: of all random streams.
        families: names; all but the slow ones where it is left out.
        max_len: the longest row, without ``shape``.

    Yields:
        :class:`Batch`.

    >>> import logitfuzz as lf
    >>> batch = next(iter(lf.rows("softmax", "bf16:f32", shape=(8, 100))))
    >>> batch.logits.shape
    (8, 100)

    Raises UsageError, NothingSelected.
    """
    known(op, OPS, "op")
    known(dtype, DTYPES, "dtype")
    names = chosen_families(families)
    cases = whole(cases, 1, "cases")
    seed = whole(seed, 0, "seed")
    if shape is None:
        return _ragged(op, dtype, names, cases, seed, whole(max_len, 1, "max_len"))
    if not isinstance(shape, (tuple, list)):
        shape = (64, shape)
    if len(shape) != 2:
        raise UsageError(f"shape is {shape!r}; write (rows, n)")
    return _shaped(op, dtype, names, cases, seed, whole(shape[0], 1, "rows"), whole(shape[1], 1, "n"))


#: The most rows of a batch whose shape nobody asked for.
_MOST_ROWS = 64


def _ragged(op, dtype, families, cases, seed, max_len):
    waiting = {}
    for index in range(cases):
        for family in families:
            core = _core.row(op, dtype, family, seed, index, max_len)
            if core is None:
                continue
            if OPS[op]["takes_rows"]:
                yield _batch(op, dtype, [(core, (family, index))], seed)
                continue
            # As text, which tells -0 from 0.
            key = (core.n, repr(core.number))
            group = waiting.setdefault(key, [])
            group.append((core, (family, index)))
            if len(group) == _MOST_ROWS:
                del waiting[key]
                yield _batch(op, dtype, group, seed)
    for group in waiting.values():
        yield _batch(op, dtype, group, seed)


def _shaped(op, dtype, families, cases, seed, rows, n):
    if OPS[op]["takes_rows"]:
        for index in range(cases):
            for family in families:
                core = _core.row(op, dtype, family, seed, index, n, n, None, rows)
                yield _batch(op, dtype, [(core, (family, index))], seed)
        return
    index, group = 0, []
    while index < cases or group:
        for family in families:
            number = group[0][0].number if group else None
            core = _core.row(op, dtype, family, seed, index, n, n, number)
            if core is None:
                continue
            group.append((core, (family, index)))
            if len(group) == rows:
                yield _batch(op, dtype, group, seed)
                group = []
                if index >= cases:
                    return
        index += 1


def _batch(op, dtype, group, seed):
    return Batch(op, dtype, [core for core, _ in group], [origin for _, origin in group], seed)


def given(op, dtype, logits, others):
    """Cases of the inputs that somebody has: core cases, one a row, or one of all rows where the op takes several; and whether it was one row.
    ``others`` are inputs by name.

    Raises UsageError.
    """
    host = to_host(logits, "the logits")
    if len(host.shape) not in (1, 2):
        raise UsageError(f"the logits have shape {host.shape}; one row (n,) or a matrix (rows, n) is read")
    is_one = len(host.shape) == 1
    if is_one and OPS[op]["takes_rows"]:
        raise UsageError(f"the logits have shape {host.shape}; {op} takes a matrix (rows, n)")
    count, n = (1, host.shape[0]) if is_one else host.shape
    kind = DTYPES[dtype][0]
    width = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8}[kind] * n
    data = in_format(host, kind, "the logits", rounds=True)
    target = number = other = None
    # The classes of several rows have the name that they have in frameworks.
    takes = {"target" if extent == "indices" else name: extent for name, extent in OPS[op]["others"]}
    for name, value in others.items():
        if value is None:
            continue
        if name not in takes:
            raise UsageError(f"{op} takes no {name}; it takes logits{''.join(', ' + name for name in takes)}")
        if takes[name] == "row":
            row = to_host(value, f"the {name}")
            if row.shape != host.shape:
                raise UsageError(f"the {name} has shape {row.shape} and the logits have {host.shape}")
            other = in_format(row, kind, f"the {name}", rounds=True)
        elif takes[name] in ("index", "indices"):
            classes = to_host(value, f"the {name}")
            if classes.kind[0] == "f" and not classes.is_literal:
                raise UsageError(f"the {name} is {classes.kind}; classes are whole numbers")
            if classes.array.size != count or classes.array.ndim > 1:
                raise UsageError(f"the {name} has shape {classes.shape}; one class a row is due, ({count},)")
            target = [int(c) for c in classes.array.reshape(-1)]
            may_be_ignored = takes[name] == "indices"
            if any(not 0 <= c < max(n, 1) and not (may_be_ignored and c == IGNORED) for c in target):
                also = f"; a row that is ignored has {IGNORED}" if may_be_ignored else ""
                raise UsageError(f"the {name} has a class that is none of {n}; they are counted from 0{also}")
        else:
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise UsageError(f"the {name} is {value!r}; one number is due") from None
            number = rounded_number(number, kind)
    if OPS[op]["takes_rows"]:
        return [_core.Case(op, dtype, data, None, None, None, target)], False
    cores = []
    for row in range(count):
        span = slice(row * width, (row + 1) * width)
        cores.append(
            _core.Case(op, dtype, data[span], None if target is None else target[row], number, None if other is None else other[span])
        )
    return cores, is_one
