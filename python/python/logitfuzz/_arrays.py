"""Arrays of any library as NumPy arrays in host memory, and the other way round.

A *kind* is the format of numbers by its short name: ``f16``, ``bf16``, ``f32``, ``f64``, ``i64`` and so on. NumPy has no bf16 of its own. Where
ml_dtypes is installed its ``bfloat16`` is used; else bf16 is an array of uint16 that holds the bits.

Nothing here writes into an array that it is given.
"""

import sys

import numpy as np

from . import _core
from ._errors import UsageError

try:
    from ml_dtypes import bfloat16 as _bfloat16
except ImportError:
    _bfloat16 = None

_KINDS = {"float16": "f16", "float32": "f32", "float64": "f64", "bfloat16": "bf16"}
_KINDS.update({f"{sign}int{bits}": f"{sign or 'i'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)})

#: The NumPy dtype of each kind, little-endian; of bf16 that of its bits.
STORED = {"f16": np.dtype("<f2"), "bf16": np.dtype("<u2"), "f32": np.dtype("<f4"), "f64": np.dtype("<f8")}
STORED.update({f"{sign}{bits}": np.dtype(f"<{sign}{bits // 8}") for sign in "iu" for bits in (8, 16, 32, 64)})

#: DLPack's devices whose memory this process reads: the processor's, and host memory that CUDA or ROCm pinned.
_HOST_DEVICES = (1, 3, 11)


class BFloat16Array(np.ndarray):
    """A NumPy array of bf16 that other libraries can take over DLPack, as ``torch.from_dlpack`` does. Its dtype is that of ml_dtypes, or
    uint16 with the bits where ml_dtypes is not installed.
    """

    def __dlpack__(self, **options):
        return _core.as_bfloat16(self.view(np.ndarray).view(np.uint16).__dlpack__(**options))


def array_of(data, kind, shape):
    """A NumPy array over the bytes of a bytearray, of the kind and the shape."""
    array = np.frombuffer(data, STORED[kind]).reshape(shape)
    if kind != "bf16":
        return array
    if _bfloat16 is not None:
        array = array.view(_bfloat16)
    return array.view(BFloat16Array)


class Host:
    """Numbers in host memory: their kind, and a NumPy array of it (of bf16 the bits as uint16). ``is_literal`` says that they were
    written as Python numbers, which have no format of their own."""

    __slots__ = ("array", "is_literal", "kind")

    def __init__(self, kind, array, is_literal=False):
        self.kind = kind
        self.array = array
        self.is_literal = is_literal

    @property
    def shape(self):
        return self.array.shape


def to_host(value, what):
    """The numbers of anything that has ``__dlpack__`` or ``__array__``, of a DLPack capsule, or of lists of numbers.

    ``what`` names it in errors: ``the outputs``. Raises UsageError, in one line.
    """
    try:
        if isinstance(value, np.ndarray):
            return _of_numpy(value, what)
        if type(value).__name__ == "PyCapsule":
            return _of_capsule(value)
        if hasattr(value, "__dlpack__"):
            return _of_dlpack(value, what)
        if isinstance(value, (list, tuple, float, int)):
            return Host("f64", np.asarray(value, np.float64), is_literal=True)
        return _of_numpy(np.asarray(value), what)
    except UsageError as error:
        text = str(error)
        raise UsageError(text if text.startswith(what) else f"{what}: {text}") from None
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"{what} cannot be read as an array: {type(error).__name__}: {reason}") from None


def _of_numpy(array, what):
    if isinstance(array, np.ma.MaskedArray):
        raise UsageError(f"{what}: a masked array; write -inf, or what the mask stands for, and pass a plain one")
    kind = _KINDS.get(array.dtype.name)
    if kind is None:
        raise UsageError(f"{what}: dtype {array.dtype} is none that is read; float16, bfloat16, float32, float64 and integers are")
    if kind == "bf16":
        array = np.ascontiguousarray(array).view(np.ndarray).view(np.uint16)
    return Host(kind, np.ascontiguousarray(array, STORED[kind]).reshape(array.shape).view(np.ndarray))


def _of_capsule(capsule):
    kind, shape, data = _core.read_dlpack(capsule)
    return Host(kind, np.frombuffer(data, STORED[kind]).reshape(shape))


def _of_dlpack(value, what):
    # A tensor that is differentiated refuses to be read.
    for step in ("detach", "resolve_conj", "resolve_neg"):
        if hasattr(value, step):
            value = getattr(value, step)()
    if value.__dlpack_device__()[0] not in _HOST_DEVICES:
        value = _on_host(value, what)
        if isinstance(value, np.ndarray):
            return _of_numpy(value, what)
    return _of_capsule(_capsule(value))


def _capsule(value):
    """The capsule of a tensor: of a newer version where there is one, which can say that it is read-only."""
    try:
        return value.__dlpack__(max_version=(1, 0))
    except TypeError:
        return value.__dlpack__()


def _on_host(value, what):
    """A copy of a device's tensor that lies in memory of the host."""
    for copy in ("cpu", "get"):
        if hasattr(value, copy):
            return getattr(value, copy)()
    if hasattr(value, "__array__"):
        return np.asarray(value)
    try:
        return _Capsule(value.__dlpack__(dl_device=(1, 0), copy=True))
    except TypeError:
        raise UsageError(f"{what}: on a device, and it has no way to the host (cpu(), get(), __array__); copy it first") from None


class _Capsule:
    """A tensor of which nothing is left but its capsule."""

    def __init__(self, capsule):
        self._capsule = capsule

    def __dlpack__(self):
        return self._capsule


def widened(host):
    """The numbers as float64, which holds each exactly (integers beyond 2^53 aside)."""
    if host.kind == "bf16":
        return (host.array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return host.array.astype(np.float64)


def _rounded(values, kind):
    """float64 numbers as the kind, rounded to nearest, ties to even; of bf16 the bits."""
    if kind != "bf16":
        with np.errstate(all="ignore"):
            return values.astype(STORED[kind])
    # By way of f32, rounded to odd, so that the second rounding sees what the first one left out.
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
        back = single.astype(np.float64)
    bits = single.view(np.uint32).astype(np.uint64)
    is_even = (bits & 1) == 0
    away = np.isfinite(values) & (np.abs(back) > np.abs(values)) & is_even
    toward = np.isfinite(values) & (np.abs(back) < np.abs(values)) & is_even
    bits = np.where(toward, bits + 1, np.where(away, bits - 1, bits))
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def rounded_number(x, kind):
    """A Python number rounded to the kind, as a float."""
    return float(widened(Host(kind, _rounded(np.array([x], np.float64), kind)))[0])


def in_format(host, kind, what, rounds=False):
    """The numbers as bytes of the kind, little-endian, in the order of rows.

    A number of another format is taken if it is a value of the kind. Else that is an error: a result that was computed in f64 must be
    rounded to f32 by the kernel, not by its harness. Python numbers are rounded where ``rounds`` says so.
    """
    if host.kind == kind:
        return host.array.tobytes()
    if kind == "bf16" and host.kind == "u16" and _bfloat16 is None:
        return host.array.tobytes()
    wide = widened(host)
    converted = _rounded(wide, kind)
    if not (rounds and host.is_literal):
        back = widened(Host(kind, converted))
        lost = np.flatnonzero(~((back == wide) | ((back != back) & (wide != wide))))
        if lost.size:
            where = np.unravel_index(lost[0], host.shape)
            place = f" at {tuple(int(i) for i in where)}" if where else ""
            raise UsageError(f"{what}: {host.kind} where {kind} is due, and {float(wide.reshape(-1)[lost[0]])!r}{place} is no {kind} value")
    return np.ascontiguousarray(converted).tobytes()


def imported(library):
    """A library that the user has, by name; UsageError where it is missing."""
    try:
        __import__(library)
    except ImportError:
        raise UsageError(f"{library} is not installed; install it, or ask for NumPy arrays") from None
    return sys.modules[library]


def to_library(array, arrays, device=None):
    """A NumPy array as an array of the library: ``"numpy"``, ``"torch"``, ``"jax"``, or what a function makes of it. The numbers may lie in the
    same memory."""
    if callable(arrays):
        return arrays(array)
    if arrays == "numpy":
        return array
    if arrays == "torch":
        torch = imported("torch")
        if array.dtype.itemsize == 2 and isinstance(array, BFloat16Array):
            tensor = torch.from_numpy(array.view(np.ndarray).view(np.int16)).view(torch.bfloat16)
        else:
            tensor = torch.from_numpy(array)
        return tensor if device is None else tensor.to(device)
    if arrays == "jax":
        jax = imported("jax")
        if array.dtype == np.float64 and not jax.config.jax_enable_x64:
            raise UsageError("JAX has f64 switched off: jax.config.update('jax_enable_x64', True) before you ask for f64")
        if array.dtype == np.int64 and not jax.config.jax_enable_x64:
            array = array.astype(np.int32)
        if isinstance(array, BFloat16Array):
            array = array.view(np.ndarray).view(jax.numpy.bfloat16)
        return jax.numpy.asarray(array)
    raise UsageError(f"arrays={arrays!r} is none that is known; write 'numpy', 'torch', 'jax', or a function of a NumPy array")
