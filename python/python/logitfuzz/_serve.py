"""A worker: a process that serves one Python function over the worker protocol (docs/worker-protocol.md), a matrix at a time.

Standard output is the protocol's alone: what a function prints goes to standard error. A file that cannot be imported is served all the
same, and every row is answered with the reason.
"""

import argparse
import importlib
import importlib.util
import json
import os
import struct
import sys

from ._cases import DTYPES, IGNORED, OPS, known
from ._check import name_of
from ._errors import UsageError
from ._kernel import Function, _words

#: Bytes of a number by its format.
_WIDTHS = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8}
#: The class of a row that is ignored, in a frame.
_NO_CLASS = (1 << 64) - 1


def load(where):
    """The module of this name, or the file."""
    if where.endswith(".py") or os.sep in where:
        directory = os.path.dirname(os.path.abspath(where))
        if directory not in sys.path:
            sys.path.insert(0, directory)
        name = "logitfuzz_file_" + "".join(c if c.isalnum() else "_" for c in os.path.basename(where))
        spec = importlib.util.spec_from_file_location(name, where)
        if spec is None or spec.loader is None:
            raise UsageError(f"{where} is no file of Python")
        module = importlib.util.module_from_spec(spec)
        # Before it runs: dataclasses and pickles look there.
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    return importlib.import_module(where)


def arrays_of(module, arrays):
    """Which arrays a file works on, where nobody says: those of the library that it has imported."""
    if arrays != "auto":
        return arrays
    if "torch" in vars(module):
        return "torch"
    if "jax" in vars(module) or "jnp" in vars(module):
        return "jax"
    return "numpy"


#: Names of functions that are taken for the answer of a file, after that of the op.
_USUAL = ("solution", "kernel", "forward", "run")
#: The class that benchmarks of written kernels ask for.
_MODEL = "ModelNew"


def entry_of(module, entry, op):
    """The function of a file that is to be judged: the one that is named, a class of modules that is called once without arguments, the
    function of the op's name, or the only one that the file defines."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__
    ]
    if entry is None:
        names = [name for name in (_MODEL, op, *_USUAL) if name in own]
        functions = [name for name in own if not isinstance(getattr(module, name), type)]
        if not names and len(functions) != 1:
            raise UsageError(f"the file has {len(functions)} functions ({', '.join(functions) or 'none'}) and none is called {op}; name one with --entry")
        entry = (names or functions)[0]
    found = module
    for part in entry.split("."):
        if not hasattr(found, part):
            raise UsageError(f"there is no {entry}; the file has: {', '.join(own) or 'nothing'}")
        found = getattr(found, part)
    return found() if isinstance(found, type) else found


def main(arguments):
    """``logitfuzz worker``. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="logitfuzz worker",
        description="Serves a function of a Python file as a kernel, for --kernel 'exec:logitfuzz worker FILE.py --op OP'.",
    )
    parser.add_argument("where", nargs="?", metavar="FILE.py", help="the file, or the name of a module")
    parser.add_argument("--entry", metavar="NAME", help="the function, or a class that is called without arguments")
    parser.add_argument("--op", help="what it computes")
    parser.add_argument("--dtype", action="append", help="a dtype that it takes; can be repeated (f32)")
    parser.add_argument("--arrays", choices=("auto", "numpy", "torch", "jax"), default="auto", help="what it is called with")
    parser.add_argument("--rows", action="store_true", help="it takes one row, not a matrix")
    parser.add_argument("--claims", default="", help="what it declares of itself, as run --claims takes it")
    parser.add_argument("--request", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.request:
        request = json.loads(options.request)
    else:
        if not options.where or not options.op:
            print("logitfuzz: worker: a file and --op are due (see --help)", file=sys.stderr)
            return 2
        request = {
            "where": options.where, "entry": options.entry, "op": options.op, "dtypes": options.dtype or ["f32"], "arrays": options.arrays,
            "batched": not options.rows, "in_batches": True, "claims": options.claims, "name": options.entry, "path": [],
        }  # fmt: skip
    try:
        known(request["op"], OPS, "op")
        for dtype in request["dtypes"]:
            known(dtype, DTYPES, "dtype")
    except UsageError as error:
        print(f"logitfuzz: {error}", file=sys.stderr)
        return 2
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    source = os.fdopen(os.dup(0), "rb")
    # What the function reads is no batch.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    serve(request, source, wire)
    # Threads of the function, and what it wants done at the end, are waited for by nobody.
    sys.stderr.flush()
    os._exit(0)


def serve(request, source, wire):
    """The whole conversation."""
    sys.path.extend(path for path in request.get("path", []) if path not in sys.path)
    function, refusal = None, None
    name = request.get("name")
    try:
        module = load(request["where"])
        call = entry_of(module, request.get("entry"), request["op"])
        name = name or name_of(call)
        arrays = arrays_of(module, request.get("arrays", "auto"))
        function = Function(call, request["op"], arrays, request.get("device"), request.get("batched", True))
    except (Exception, SystemExit) as error:
        refusal = _words(error)
        if request.get("must_load"):
            print(refusal, file=sys.stderr, flush=True)
            os._exit(1)
    shared = {"claims": request.get("claims", ""), "min_len": request.get("min_len", 1)}
    if function is not None and not function.takes_label_smoothing:
        shared["label_smoothing"] = False
    in_batches = request.get("in_batches", False) and request.get("batched", True) and not OPS[request["op"]]["takes_rows"]
    if in_batches:
        shared["batched"] = True
    functions = [{"op": request["op"], "dtype": dtype, **shared} for dtype in request["dtypes"]]
    kernel = {"name": name or "kernel", "deterministic": request.get("deterministic", True), "functions": functions}
    if request.get("version"):
        kernel["version"] = request["version"]
    wire.write(json.dumps({"logitfuzz_worker": 2 if in_batches else 1, "frames": "binary", "kernels": [kernel]}).encode() + b"\n")
    wire.flush()
    while True:
        asked = _read(source, request["op"], request["dtypes"], in_batches)
        if asked is None:
            return
        # The dtype of each answer that is due.
        dtypes = [call[0] for call in asked for _ in range(call[1] if in_batches else 1)]
        if refusal is not None:
            answers = [(1, refusal)] * len(dtypes)
        else:
            try:
                answers = function.answer([], asked) if in_batches else function.run(asked)
            except SystemExit as error:
                # It asked to end, so it does.
                sys.stderr.flush()
                os._exit(error.code if isinstance(error.code, int) else 1)
        _write(wire, answers, dtypes)


def _exactly(source, size):
    data = source.read(size)
    if len(data) < size:
        raise EOFError(f"standard input ended after {len(data)} of {size} bytes")
    return data


def _read(source, op, dtypes, in_batches):
    """What is asked next, as :meth:`Function.run` takes rows or :meth:`Function.run_batch` batches; None at the end."""
    head = source.read(8)
    if not head:
        return None
    data = _exactly(source, struct.unpack("<Q", head + _exactly(source, 8 - len(head)))[0])
    has_other = any(extent == "row" for _, extent in OPS[op]["others"])
    takes_rows = OPS[op]["takes_rows"]
    (count,) = struct.unpack_from("<I", data)
    at, rows = 4, []
    for _ in range(count):
        if in_batches:
            batch, at = _read_batch(data, at, op, dtypes)
            rows.append(batch)
            continue
        number, n, target, smoothing = struct.unpack_from("<IIQd", data, at)
        at += 24
        dtype, classes = dtypes[number], None
        if takes_rows:
            # The place of the target says how many rows there are; all bits are set in the class of one that is ignored.
            words = struct.unpack_from(f"<{target}Q", data, at)
            classes = [IGNORED if word == _NO_CLASS else word for word in words]
            at, target = at + 8 * target, 0
        width = n * _WIDTHS[DTYPES[dtype][0]]
        logits = data[at : at + width]
        at += width
        other = None
        if has_other:
            other = data[at : at + width]
            at += width
        rows.append((dtype, n, logits, target, smoothing, other, classes))
    return rows


def _read_batch(data, at, op, dtypes):
    """A batch, as :meth:`Function.run_batch` takes it, and where the next one begins."""
    number, n, rows, _, stride, other_stride, _, smoothing = struct.unpack_from("<IIIIQQQd", data, at)
    at += 48
    dtype, extents = dtypes[number], [extent for _, extent in OPS[op]["others"]]
    targets = []
    if "index" in extents:
        targets = list(struct.unpack_from(f"<{rows}Q", data, at))
        at += 8 * rows
    memories = [None, None]
    for which, step in enumerate((stride, other_stride) if "row" in extents else (stride,)):
        size = ((rows - 1) * step + n) * _WIDTHS[DTYPES[dtype][0]]
        memories[which] = data[at : at + size]
        at += size
    return (dtype, rows, n, memories[0], stride, targets, smoothing, memories[1], other_stride), at


def _write(wire, answers, dtypes):
    parts = [struct.pack("<I", len(answers))]
    for (code, answer), dtype in zip(answers, dtypes):
        body = answer if code == 0 else answer.encode()
        count = len(body) // _WIDTHS[DTYPES[dtype][1]] if code == 0 else len(body)
        parts += [struct.pack("<II", code, count), body]
    message = b"".join(parts)
    wire.write(struct.pack("<Q", len(message)) + message)
    wire.flush()
