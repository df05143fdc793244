"""Serves Python functions to logitfuzz as kernels, over the worker protocol (docs/worker-protocol.md).

One file that needs numpy and nothing else: put it beside your own. A kernel, `my_kernels.py`:

    import numpy as np
    from logitfuzz_worker import kernel, serve

    @kernel("softmax", dtypes=["f32", "f64"])
    def softmax(z):
        e = np.exp(z - z.max())
        return e / e.sum()

    serve()

and how it is run:

    logitfuzz run --kernel 'exec:python3 my_kernels.py'

What a function takes and returns depends on its op. Arrays have one dimension and the dtype of the case; nothing is widened.
In f16:f32 and bf16:f32 the arguments are of the half dtype, and f32 is returned.

    op                                              arguments                       returns
    softmax, log_softmax                            logits                          n values
    logcumsumexp                                    logits                          n values
    log1mexp, sigmoid, softplus, log_sigmoid        elements                        n values
    sigmoid_vjp, log_sigmoid_vjp                    elements, cotangent             n values
    bce_with_logits, bce_with_logits_grad           elements, label                 n values
    logaddexp, logsubexp                            elements, other logits          n values
    logsumexp, entropy                              logits                          1 value
    cross_entropy                                   logits, target, smoothing       1 value
    cross_entropy_grad                              logits, target, smoothing       n values
    attention                                       logits, values                  1 value
    kl_divergence                                   logits, target logits           1 value
    kl_divergence_grad                              logits, target logits           n values
    softmax_vjp, log_softmax_vjp                    logits, cotangent               n values
    softmax_jvp, log_softmax_jvp                    logits, tangent                 n values
    scaled_softmax                                  logits, scale                   n values
    soft_cross_entropy                              logits, distribution            1 value
    soft_cross_entropy_grad                         logits, distribution            n values
    mean_cross_entropy                              rows of logits, targets         1 value
    mean_cross_entropy_grad                         rows of logits, targets         rows of n values

Rows of logits are an array of two dimensions, and `targets` one of int64 with a class for each row, or IGNORED, which is -100, for a row
that is ignored and may hold anything.

With `batched=True` a function computes many rows in one call: every array has two dimensions, rows x n, a target is an array of one
int for each row, a smoothing or a scale is one float for all of them. It returns rows x n values, or one for each row. The arrays are
views with a stride: what lies between their rows is NaN, or huge, and belongs to no row.

`target` is an int counted from 0, `smoothing` the label smoothing as a float, `scale` a float of any sign. Anything that
numpy.asarray takes may be returned. Where its dtype is another one, it is converted if every value is kept, and is an error of the
row if not: a result
that was computed in f64 must be rounded to f32 by the function that is tested, not by its harness. An exception is an error of
its row as well; the other rows go on.

A function is called in the floating-point environment that its users get: the standard one, or with flush-to-zero where a module
sets that when it is imported. One that leaves the environment changed is told so. (Linux and macOS, on x86-64 and on Arm.)

Importing this module turns standard output over to the protocol: what is printed from then on, by C code too, appears on
standard error. So import it before modules that print when they are imported.
"""

import ctypes
import json
import os
import pathlib
import platform
import struct
import sys
import traceback

import numpy as np

__all__ = ["IGNORED", "kernel", "serve"]

# The version that has batches; a worker without them says the one before, which older harnesses know.
PROTOCOL, WITHOUT_BATCHES = 2, 1

# The class of a row that is ignored, as a kernel is given it.
IGNORED = -100

# Python and C code both print to descriptor 1. The protocol keeps a copy of it; 1 becomes another name for standard error.
_wire = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
# Not sys.stdout on the new descriptor 1: what is left in its buffer is lost in a crash, and is what one wants to see then.
sys.stdout = sys.stderr

TARGET_OPS = ("cross_entropy", "cross_entropy_grad")
# The name of the second row in JSON frames, for the ops that take one. Masses sum to 1 exactly.
OTHER_ROWS = {
    "softmax_vjp": "cotangent", "softmax_jvp": "tangent", "log_softmax_vjp": "cotangent", "log_softmax_jvp": "tangent",
    "sigmoid_vjp": "cotangent", "log_sigmoid_vjp": "cotangent", "bce_with_logits": "label", "bce_with_logits_grad": "label",
    "soft_cross_entropy": "distribution", "soft_cross_entropy_grad": "distribution",
    "logaddexp": "other_logits", "logsubexp": "other_logits", "attention": "values",
    "kl_divergence": "target_logits", "kl_divergence_grad": "target_logits",
}  # fmt: skip
SCALAR_OPS = ("logsumexp", "cross_entropy", "soft_cross_entropy", "entropy", "attention", "kl_divergence", "mean_cross_entropy")
# Ops that take several rows, and a class for each.
ROW_OPS = ("mean_cross_entropy", "mean_cross_entropy_grad")
OPS = (
    "logsumexp", "softmax", "log_softmax", *TARGET_OPS, *OTHER_ROWS, "log1mexp", "sigmoid", "softplus", "log_sigmoid", "scaled_softmax",
    "entropy", "logcumsumexp", *ROW_OPS,
)  # fmt: skip
# The name of the single number, for the ops that take one.
NUMBERS = {"scaled_softmax": "scale", **dict.fromkeys(TARGET_OPS, "label_smoothing")}

# Little-endian, as binary frames have them. bf16 joins them where ml_dtypes is installed.
DTYPES = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4"), "f64": np.dtype("<f8")}
try:
    import ml_dtypes
except ImportError:
    pass
else:
    DTYPES["bf16"] = np.dtype(ml_dtypes.bfloat16)
# What is read, and what is written where that is another format.
PRECISIONS = {**{name: (name, name) for name in ("f16", "bf16", "f32", "f64")}, "f16:f32": ("f16", "f32"), "bf16:f32": ("bf16", "f32")}

# The codes of an answer's rows in binary frames.
OUTPUTS, ERROR, INPUT_CHANGED, FENV_CHANGED = 0, 1, 4, 5

_kernels = {}


class _Environment:
    """The floating-point environment of this thread, read and set by libm: each of its registers without the flags that
    arithmetic raises. It is the one that functions are called in; between calls it is the standard one."""

    # Of fenv_t: where its registers lie. On x86-64 the x87 control word and MXCSR, on Arm FPCR.
    LAYOUTS = {
        ("linux", "x86_64"): "<H26xI",
        ("darwin", "x86_64"): "<H2xI",
        ("linux", "aarch64"): "<I",
        ("darwin", "arm64"): "<8xQ",
    }
    # By the number of registers: the bits that are not flags, and those that a program starts with.
    MASKS = {2: (0x0F3F, 0xFFC0), 1: (0x7FFFFFF,)}
    STANDARD = {2: (0x033F, 0x1F80), 1: (0,)}

    def __init__(self):
        """Raises OSError where libm or the layout of its structure is not to be had."""
        layout = self.LAYOUTS.get((sys.platform, platform.machine()))
        if not layout:
            raise OSError("fenv_t has another layout here")
        # numpy has loaded libm. The buffer is larger than any fenv_t.
        libm, buffer = ctypes.CDLL(None), ctypes.create_string_buffer(64)
        try:
            get, put = libm.fegetenv, libm.fesetenv
        except AttributeError as error:
            raise OSError(str(error)) from None
        self._get, self._put, self._buffer, self._registers = get, put, buffer, struct.Struct(layout)
        self._pointer = ctypes.c_void_p(ctypes.addressof(buffer))
        many = len(self._registers.unpack_from(buffer))
        self._masks, self.standard = self.MASKS[many], self.STANDARD[many]
        # What the registers may hold after a call, flags included, as far as it was seen: looking there is quick.
        self._unchanged = set()
        self.of_kernels = self.current()
        self.set(self.standard)
        if self.current() != self.standard:
            self.set(self.of_kernels)
            raise OSError("fesetenv does not set what it is given")
        # What a module sets when it is imported is what its users get; but only flushing is something that they may expect.
        self.flushes = self.of_kernels != self.standard
        self.changed_by_import = None
        if self.flushes:
            self.changed_by_import = self._difference(self.of_kernels, self.standard, flushing=False)

    def current(self):
        return self._without_flags(self._read())

    def _read(self):
        self._get(self._pointer)
        return self._registers.unpack_from(self._buffer)

    def _without_flags(self, registers):
        return tuple(register & mask for register, mask in zip(registers, self._masks))

    def set(self, state):
        self._get(self._pointer)
        # What of the structure is no register of ours stays as it is; packing alone would write zeros there.
        ours = self._registers.pack(*self._masks)
        for place, (is_ours, byte) in enumerate(zip(ours, self._registers.pack(*state))):
            if is_ours:
                self._buffer[place] = byte
        self._put(self._pointer)

    def enter(self):
        """The environment of functions begins."""
        if self.flushes:
            self.set(self.of_kernels)

    def leave(self):
        """It ends. Returns what is different from its beginning, in words, or None."""
        registers = self._read()
        if registers not in self._unchanged:
            now = self._without_flags(registers)
            if now != self.of_kernels:
                self.set(self.standard)
                return self._difference(now, self.of_kernels)
            self._unchanged.add(registers)
        if self.flushes:
            self.set(self.standard)
        return None

    def _difference(self, now, before, flushing=True):
        """What is different, in words; with flushing=False, besides flushing subnormal numbers. None if nothing is."""
        is_arm = len(now) == 1
        a, b = now[-1], before[-1]
        flush, denormals, rounding = (1 << 24, 1 << 24, 22) if is_arm else (1 << 15, 1 << 6, 13)
        modes = ("to nearest", "upward", "downward", "toward zero") if is_arm else ("to nearest", "downward", "upward", "toward zero")
        words = []
        if flushing and (a ^ b) & (flush | denormals):
            names = [name for name, bit in (("flush-to-zero", flush), ("denormals-are-zero", denormals)) if (a ^ b) & bit]
            words.append(f"{' and '.join(names)} {'are' if names[1:] else 'is'} {'on' if a & (flush | denormals) else 'off'}")
        if (a ^ b) >> rounding & 3:
            words.append(f"the rounding mode is {modes[a >> rounding & 3]}")
        rest = ~(flush | denormals | 3 << rounding)
        if (a ^ b) & rest:
            words.append(f"the control register is {a:#x}")
        if now[:-1] != before[:-1]:
            words.append(f"the x87 control word is {now[0] | 0x40:#x}")
        return ", ".join(words) or None


class _NoEnvironment:
    """Where the environment cannot be read: nothing is checked."""

    flushes, changed_by_import = False, None

    def enter(self):
        pass

    def leave(self):
        return None


_environment = _NoEnvironment()


class _Function:
    """One op in one dtype: a line of the hello."""

    def __init__(self, call, op, dtype, stated, batched):
        self.call, self.op, self.batched = call, op, batched
        # Of what it is given, and of what it returns.
        self.dtype, self.written = (DTYPES[name] for name in PRECISIONS[dtype])
        self.declared = {"op": op, "dtype": dtype, **({"batched": True} if batched else {}), **stated}

    def outputs(self, logits, target, number, other):
        """Runs the kernel on one row. Returns [(OUTPUTS, array)] or [(another code, text)]."""
        # A kernel gets aligned memory of its own, which it can write to: what it does to it is found out afterwards.
        arrays = [np.array(array) for array in (logits, other) if array is not None]
        code, result = self._called(arrays, arrays, (logits, other), target, number, (len(logits),))
        return [(code, result if code != OUTPUTS else result.reshape(-1))]

    def outputs_of_batch(self, n, logits, targets, number, other):
        """Runs the kernel on a batch of rows of n logits; an array has a row and what lies behind it in each of its rows. Returns
        (OUTPUTS, array) or (another code, text) for each row."""
        given = [array for array in (logits, other) if array is not None]
        arrays = [np.array(array) for array in given]
        code, result = self._called(arrays, [array[:, :n] for array in arrays], given, targets, number, (len(logits), n))
        return [(code, row) for row in result.reshape(len(logits), -1)] if code == OUTPUTS else [(code, result)] * len(logits)

    def _called(self, arrays, views, given, target, number, shape):
        """Calls the kernel on views of arrays, which must be as given afterwards. Returns (OUTPUTS, array) or (another code, text)."""
        try:
            if self.op in ROW_OPS:
                arrays[0] = arrays[0].reshape(len(target), arrays[0].size // max(len(target), 1))
            extra = ((target,) if self.op in TARGET_OPS + ROW_OPS else ()) + ((number,) if self.op in NUMBERS else ())
            _environment.enter()
            try:
                result = self.call(*views, *extra)
            finally:
                changed = _environment.leave()
            result = _exactly(result, self.written, self.op, arrays[0].shape if self.op in ROW_OPS else shape)
        except Exception as error:
            return ERROR, _in_words(error)
        for name, array, before in zip(("logits", OTHER_ROWS.get(self.op, "").replace("_", " ")), arrays, given):
            if array.tobytes() != before.tobytes():
                return INPUT_CHANGED, f"the kernel changed its {name}"
        if _environment.changed_by_import:
            return FENV_CHANGED, f"after the modules were imported {_environment.changed_by_import}"
        if changed:
            return FENV_CHANGED, f"after the call {changed}"
        return OUTPUTS, result


def kernel(op, *, dtypes=("f32", "f64"), name=None, version=None, claims="", min_len=None, max_len=None, deterministic=True,
           label_smoothing=True, batched=False):
    """Declares a function to be a kernel's implementation of `op`; use it as a decorator.

    dtypes: those it implements, of f16, bf16, f32, f64, f16:f32, bf16:f32 (given a half dtype, it returns f32). bf16 needs the package
        ml_dtypes.
    name: what reports call the kernel. Functions with one name are one kernel. Default: the name of the program's file.
    version: the version of the library under test, for reports.
    claims: what the kernel declares of itself, as `logitfuzz run --claims` takes it, such as "exp=2,sum=pairwise".
    min_len, max_len: the least and the largest number of logits it takes (for losses and their gradients, min_len is 1 by itself).
    deterministic: whether equal inputs give equal bits. It goes for the whole kernel, as version does.
    label_smoothing: whether it takes a label smoothing above 0; where not, it is always given 0.
    batched: whether it computes many rows in one call (see the module). A function returns what it computes, so it cannot claim in_place.

    Raises ValueError for an unknown op or dtype, for an op declared twice, and where version or deterministic
    contradict what the kernel said before; ImportError for bf16 without ml_dtypes.
    """
    if op not in OPS:
        raise ValueError(f"unknown op {op!r}; the ops are: {', '.join(OPS)}")
    if batched and op in ROW_OPS:
        raise ValueError(f"{op} takes several rows as it is; leave batched out")
    if batched and "in_place" in claims.split(","):
        raise ValueError("a Python function returns its outputs; it cannot claim in_place")
    name = name or pathlib.Path(sys.argv[0]).stem or "python"
    stated = {key: value for key, value in (("claims", claims), ("min_len", min_len), ("max_len", max_len)) if value}
    if not label_smoothing:
        stated["label_smoothing"] = False
    about = {"name": name, **({"version": str(version)} if version else {}), "deterministic": deterministic}
    dtypes = [dtypes] if isinstance(dtypes, str) else list(dtypes)

    def declare(call):
        known, functions = _kernels.setdefault(name, (about, []))
        if known != about:
            raise ValueError(f"kernel {name!r} was declared before with another version, or another deterministic")
        for dtype in dtypes:
            if dtype not in PRECISIONS:
                raise ValueError(f"unknown dtype {dtype!r}; the dtypes are: {', '.join(PRECISIONS)}")
            if PRECISIONS[dtype][0] not in DTYPES:
                raise ImportError("bf16 needs the package ml_dtypes: pip install ml_dtypes")
            if any(f.declared["op"] == op and f.declared["dtype"] == dtype for f in functions):
                raise ValueError(f"kernel {name!r} declares {op} in {dtype} twice")
            functions.append(_Function(call, op, dtype, stated, batched))
        return call

    return declare


def serve(frames="binary"):
    """Answers logitfuzz until it closes standard input, then returns. Call it once, as the last line of the program.

    frames: "binary", or "json" for messages that people can read and write.
    numpy's floating-point warnings are off from here on: overflow is the subject, not an accident.
    """
    if frames not in ("binary", "json"):
        raise ValueError(f"frames is {frames!r}; it is \"binary\" or \"json\"")
    if not _kernels:
        sys.exit("logitfuzz_worker: no kernel is declared; put @kernel(...) on a function before serve()")
    read, write = (_read_binary, _write_binary) if frames == "binary" else (_read_json, _write_json)
    np.seterr(all="ignore")
    # A kernel that reads standard input must not eat a batch.
    source = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    global _environment
    try:
        _environment = _Environment()
    except OSError:
        pass
    functions = [function for _, declared in _kernels.values() for function in declared]
    surroundings = {"environment": "flush_to_zero"} if _environment.flushes and not _environment.changed_by_import else {}
    kernels = [
        {**about, **surroundings, "functions": [function.declared for function in declared]}
        for about, declared in _kernels.values()
    ]
    version = PROTOCOL if any(function.batched for function in functions) else WITHOUT_BATCHES
    hello = {"logitfuzz_worker": version, "frames": frames, "kernels": kernels}
    try:
        _send(json.dumps(hello).encode() + b"\n")
        while (calls := read(source, functions)) is not None:
            answers = [f.outputs_of_batch(*asked) if f.batched else f.outputs(*asked) for f, *asked in calls]
            _send(write([answer for of_call in answers for answer in of_call]))
    except BrokenPipeError:
        # logitfuzz is gone. Python would fail again when it flushes the pipe at exit.
        os._exit(0)


def _send(message):
    _wire.write(message)
    _wire.flush()


def _in_words(error):
    """An exception in one text: its type, its message and the line that raised it."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    where = traceback.extract_tb(error.__traceback__)[-1]
    if where.filename != __file__:
        text += f" ({os.path.basename(where.filename)}, line {where.lineno}, in {where.name}: {where.line})"
    # A message may hold what is no Unicode text; the protocol does not.
    return text.encode(errors="replace").decode()


def _exactly(result, dtype, op, shape):
    """What a kernel returned, as an array of the dtype and of the shape that the op has for logits of this shape."""
    result = np.asarray(result)
    shapes = [shape] if op not in SCALAR_OPS else [(), (1,)] if op in ROW_OPS else [shape[:-1], (*shape[:-1], 1)]
    if result.shape not in shapes:
        logits = " rows of ".join(map(str, shape))
        raise ValueError(f"{op} of {logits} logits returned shape {result.shape}, not {' or '.join(map(str, shapes))}")
    if result.dtype == dtype:
        return result
    # Kind V is that of ml_dtypes; it is also that of structures, which do not convert.
    if result.dtype.kind not in "fiuV":
        raise TypeError(f"{op} returned {result.dtype} where {dtype.name} is due")
    converted = result.astype(dtype)
    back = converted.astype(result.dtype)
    lost = np.flatnonzero(~((back == result) | ((back != back) & (result != result))))
    if lost.size:
        value = result.reshape(-1)[lost[0]]
        raise TypeError(f"{op} returned {result.dtype} where {dtype.name} is due, and {value!r} at {lost[0]} is no {dtype.name}")
    return converted


def _read_exactly(source, size):
    data = source.read(size)
    if len(data) < size:
        raise EOFError(f"standard input ended after {len(data)} of {size} bytes")
    return data


def _read_binary(source, functions):
    """The calls of the next binary request; None at the end. Each is (function, logits, target or targets, smoothing or scale, other row),
    and of batches (function, n, logits, targets, smoothing or scale, other rows)."""
    head = source.read(8)
    if not head:
        return None
    data = _read_exactly(source, struct.unpack("<Q", head + _read_exactly(source, 8 - len(head)))[0])
    (count,) = struct.unpack_from("<I", data)
    at, rows = 4, []
    for _ in range(count):
        function = functions[struct.unpack_from("<I", data, at)[0]]
        if function.batched:
            batch, at = _read_binary_batch(function, data, at)
            rows.append(batch)
            continue
        _, n, target, number = struct.unpack_from("<IIQd", data, at)
        at += 24
        if function.op in ROW_OPS:
            target, at = _targets(np.frombuffer(data, "<u8", target, at).astype(np.int64)), at + 8 * target
        arrays = [None, None]
        for which in range(2 if function.op in OTHER_ROWS else 1):
            arrays[which] = np.frombuffer(data, function.dtype, n, at)
            at += arrays[which].nbytes
        rows.append((function, arrays[0], target, number, arrays[1]))
    return rows


def _read_binary_batch(function, data, at):
    """A batch as _read_binary returns it, and where the next call begins."""
    _, n, rows, _, stride, other_stride, _, number = struct.unpack_from("<IIIIQQQd", data, at)
    at += 48
    targets = None
    if function.op in TARGET_OPS:
        targets = np.frombuffer(data, "<u8", rows, at).astype(np.int64)
        at += 8 * rows
    arrays = [None, None]
    for which, stride in enumerate((stride, other_stride)[: 2 if function.op in OTHER_ROWS else 1]):
        values = np.frombuffer(data, function.dtype, (rows - 1) * stride + n, at)
        at += values.nbytes
        # The last row has nothing behind it; as the others have, it gets what lies behind the first.
        arrays[which] = np.resize(values, rows * stride).reshape(rows, stride).copy()
        arrays[which][-1, n:] = values[n:stride] if rows > 1 else np.nan
    return (function, n, arrays[0], targets, number, arrays[1]), at


def _write_binary(answers):
    parts = [struct.pack("<I", len(answers))]
    for code, answer in answers:
        body = answer.tobytes() if code == OUTPUTS else answer.encode()
        parts += [struct.pack("<II", code, len(answer) if code == OUTPUTS else len(body)), body]
    message = b"".join(parts)
    return struct.pack("<Q", len(message)) + message


def _read_json(source, functions):
    """As _read_binary, from one line of JSON."""
    line = source.readline()
    if not line:
        return None
    rows = []
    for row in json.loads(line)["rows"]:
        function = functions[row["function"]]
        if function.batched:
            rows.append(_read_json_batch(function, row))
            continue
        logits = _array(row["logits"], function.dtype)
        other = _array(row[OTHER_ROWS[function.op]], function.dtype) if function.op in OTHER_ROWS else None
        number = float.fromhex(row[NUMBERS[function.op]]) if function.op in NUMBERS else 0.0
        target = row.get("target", 0)
        if function.op in ROW_OPS:
            target = _targets(np.array([-1 if c is None else c for c in row["targets"]], np.int64))
        rows.append((function, logits, target, number, other))
    return rows


def _targets(classes):
    """The classes of rows, of which those that are ignored came as -1."""
    classes[classes == -1] = IGNORED
    return classes


def _read_json_batch(function, call):
    """A batch as _read_binary returns it; nothing lies between its rows."""
    matrix = lambda rows: np.stack([_array(row, function.dtype) for row in rows])
    logits = matrix(call["logits"])
    other = matrix(call[OTHER_ROWS[function.op]]) if function.op in OTHER_ROWS else None
    targets = np.array(call["target"], np.int64) if function.op in TARGET_OPS else None
    number = float.fromhex(call[NUMBERS[function.op]]) if function.op in NUMBERS else 0.0
    return function, logits.shape[1], logits, targets, number, other


def _array(values, dtype):
    return np.array([float.fromhex(value) for value in values], np.float64).astype(dtype)


def _write_json(answers):
    rows = [
        {"outputs": [float(y).hex() for y in answer]} if code == OUTPUTS else {"error": answer, "code": code}
        for code, answer in answers
    ]
    return json.dumps({"rows": rows}).encode() + b"\n"
