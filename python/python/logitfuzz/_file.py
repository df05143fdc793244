"""``logitfuzz judge FILE.py``: judges a file that somebody, or a model, wrote, in a process of its own.

The verdict, the counts and the score are made here, from the outputs alone; nothing that the file writes or prints has a part in them.
"""

import argparse
import json
import os
import secrets
import sys

from . import _core
from ._cases import DTYPES, OPS, chosen_families, known
from ._check import worker_words
from ._errors import Error, UsageError

_EPILOG = """\
The file has a function of matrices, def softmax(logits): ..., named as the op, or a class ModelNew whose objects are called, as
torch.nn.Module. Where it imports torch or jax its arguments are of that library, else NumPy's. An array is rows x n in the dtype's input
format; it returns as much, or one number a row where the op has one.

The rows are drawn anew in each run; --seed N draws the same again.

The score is in [0, 1]: the share of passing cases, over the families. A case counts only where zeros, constants and copies of the input
would fail it. 1 is reached only by what passes everything.

Exit codes: 0 pass, 1 fail, 2 wrong usage, 3 could not run."""


def judge_file(file, op, *, entry=None, dtype="f32", arrays="auto", cases=16, seed=None, families=None, claims="", strict=False, timeout=10.0, memory=4096):
    """Judges a function of a file in a process of its own.

    Args:
        file: the path.
        op: what the function computes.
        entry: the name of the function, or of a class that is called without arguments; left out, it is found as ``logitfuzz judge --help`` says.
        dtype: the name of the dtype.
        arrays: ``"numpy"``, ``"torch"``, ``"jax"``, or ``"auto"`` for the library that the file imports.
        cases: for each family; each is a row of a matrix with rows of all families.
        seed: of all rows; drawn where it is left out, so that no answer can be known before.
        families, claims, strict: as in :func:`logitfuzz.check`.
        timeout: seconds for a matrix; a row alone has twice as much.
        memory: MiB that the process may use.

    Returns:
        A dict: ``verdict`` ("pass" or "fail"), ``score`` in [0, 1], ``cases``, ``families`` with counts and verdicts for each, ``worst`` (the worst finding
        with its words, or None), ``ended`` (why judging stopped early, or None), ``op``, ``dtype``, ``seed``, ``file``.

    Raises UsageError: no such file, an unknown op or dtype.
    """
    known(op, OPS, "op")
    known(dtype, DTYPES, "dtype")
    if not os.path.isfile(file):
        raise UsageError(f"{file}: there is no such file")
    words = worker_words(os.path.abspath(file), entry, op, [dtype], arrays=arrays, claims=claims, min_len=1, name="answer")
    asked = {
        "op": op,
        "dtype": dtype,
        "cases": cases,
        "seed": secrets.randbits(53) if seed is None else seed,
        "families": chosen_families(families),
        "claims": claims,
        "strict": strict,
        "worker": words,
        "timeout_ms": max(1, int(timeout * 1000)),
        "memory_mib": memory,
    }
    result = json.loads(_core.score(asked))
    return {"file": os.fspath(file), **result}


def in_words(result):
    """The result for people."""
    lines = [f"{result['file']}: {result['verdict']}, score {result['score']:.3f} ({result['op']} {result['dtype']}, seed {result['seed']})"]
    width = max((len(name) for name in result["families"]), default=0)
    for name, count in result["families"].items():
        failing = ", ".join(f"{verdict} {number}" for verdict, number in count["verdicts"].items() if verdict != "pass")
        lines.append(f"  {name:{width}}  {count['passed']:>4} of {count['cases']:<4} pass{'  ' + failing if failing else ''}")
    if result["ended"]:
        lines.append(f"ended early: {result['ended']}")
    if result["worst"]:
        lines += ["worst:", "  " + result["worst"]["text"].replace("\n", "\n  ")]
    return "\n".join(lines)


def main(arguments):
    """``logitfuzz judge``. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="logitfuzz judge",
        description="Judges a Python file that computes an op, in a process of its own.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE.py")
    parser.add_argument("--op", required=True, help="what it computes (logitfuzz list ops)")
    parser.add_argument("--entry", metavar="NAME", help="the function, or a class that is called without arguments")
    parser.add_argument("--dtype", default="f32", help="f16, bf16, f32, f64, f16:f32, bf16:f32 (f32)")
    parser.add_argument("--arrays", choices=("auto", "numpy", "torch", "jax"), default="auto", help="what it is called with")
    parser.add_argument("--cases", type=int, default=16, metavar="N", help="cases for each family (16)")
    parser.add_argument("--seed", type=int, metavar="N", help="of all rows; drawn where it is left out")
    parser.add_argument("--family", action="append", metavar="NAME", help="a family of inputs; can be repeated")
    parser.add_argument("--claims", default="", metavar="CLAIMS", help="what it declares of itself, as run --claims takes it")
    parser.add_argument("--strict", action="store_true", help="hold it to the tight bound")
    parser.add_argument("--timeout-ms", type=int, default=10_000, metavar="MS", help="for a matrix (10000)")
    parser.add_argument("--memory-limit", type=int, default=4096, metavar="MIB", help="of its process (4096)")
    parser.add_argument("--format", choices=("human", "json"), default="human", help="what is printed")
    options = parser.parse_args(arguments)
    try:
        if options.cases < 1 or options.timeout_ms < 1 or options.memory_limit < 1 or (options.seed or 0) < 0:
            raise UsageError("--cases, --timeout-ms and --memory-limit are 1 or more, --seed is 0 or more")
        result = judge_file(
            options.file,
            options.op,
            entry=options.entry,
            dtype=options.dtype,
            arrays=options.arrays,
            cases=options.cases,
            seed=options.seed,
            families=options.family,
            claims=options.claims,
            strict=options.strict,
            timeout=options.timeout_ms / 1000,
            memory=options.memory_limit,
        )
    except Error as error:
        print(f"logitfuzz: {error}", file=sys.stderr)
        return 3 if type(error).__name__ == "HarnessError" else 2
    print(json.dumps(result) if options.format == "json" else in_words(result))
    return 0 if result["verdict"] == "pass" else 1
