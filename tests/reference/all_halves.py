#!/usr/bin/env python3
"""Every value of the half dtypes through every elementwise op of one input: the oracle's digits and roundings against Arb's.

    venv/bin/python tests/reference/all_halves.py target/release/logitfuzz [OP ...]

The command is asked by `logitfuzz eval --format json`; the truth is that of make_table.py, which shares nothing with the crate. It prints
a line for each op and dtype, and ends with 1 where anything differs.
"""

import json
import math
import subprocess
import sys

import make_table as table

# Elements that the command is asked about at once: their words fit its arguments.
AT_A_TIME = 4096
SHOWN = 5


def values(f):
    """Every value of a half format: both zeros, all finite numbers of either sign, the infinities, one NaN."""
    below = [f.number(place) for place in range(-f.infinite_place, 0)]
    return [*below, -0.0, 0.0, *(f.number(place) for place in range(1, f.infinite_place + 1)), math.nan]


def asked(command, op, f, elements):
    """What the oracle says of each element, as `digits:rounded`."""
    words = [table.hex_float(x) for x in elements]
    arguments = [command, "eval", "--op", op, "--dtype", f.title, "--kernel", "*", "--format", "json", "--", *words]
    told = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return [f"{output['exact']}:{output['rounded']}" for output in json.loads(told.stdout)["outputs"]]


def agrees(told, due):
    """Whether they are the same; of what is beyond printing only the sign and the rounding are compared."""
    digits, rounded = told.split(":")
    wanted, wanted_rounded = due.split(":")
    if wanted in ("tiny+", "tiny-"):
        is_negative = digits.startswith("-") or digits.startswith("(-")
        return rounded == wanted_rounded and digits != "0" and is_negative == (wanted == "tiny-")
    return told == due


def main():
    command, *ops = sys.argv[1:]
    differing = 0
    for op in ops or [op for op in table.ELEMENTWISE if op not in table.BESIDE]:
        for f in [*table.FORMATS[:2], *table.MIXED]:
            elements, wrong = values(f), []
            for start in range(0, len(elements), AT_A_TIME):
                some = elements[start : start + AT_A_TIME]
                table.EXPONENTIALS.clear()
                due = [table.describe(value, f.output) for value in table.truth(op, some)]
                told = asked(command, op, f, some)
                assert len(told) == len(due), (op, f.title, len(told), len(due))
                wrong += [(x, a, b) for x, a, b in zip(some, told, due) if not agrees(a, b)]
            print(f"{op} {f.title}: {len(elements) - len(wrong)} of {len(elements)} agree", flush=True)
            for x, a, b in wrong[:SHOWN]:
                print(f"  at {table.hex_float(x)}: the oracle says {a}, Arb {b}")
            differing += len(wrong)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
