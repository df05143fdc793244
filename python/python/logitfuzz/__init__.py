"""logitfuzz hunts numerical instability in kernels of the softmax family, and judges every output against a certified oracle.

>>> import numpy as np
>>> import logitfuzz as lf
>>> def softmax(z):
...     e = np.exp(z)
...     return e / e.sum(-1, keepdims=True)
>>> lf.check(softmax, "softmax", "f32", cases=20).passed
False

Three ways in:

* :func:`check` runs a function on adversarial rows of all families, and returns findings: shrunk, explained, with a line that replays them.
* :func:`rows` and :func:`assert_accurate` leave the loop to you: our rows, your call, our verdict.
* :func:`judge` takes any inputs and outputs, and says for each output how far it is from the truth and how far it may be.

Arrays are NumPy's, or anything with ``__dlpack__`` or ``__array__``: PyTorch, JAX, CuPy. bf16 is of ml_dtypes where that is installed, else uint16 with
the bits. A *ulp* is the spacing of the format's numbers at the exact value; the *bound* is the error that the textbook algorithm can make on that
very input; the *ratio* is error over bound, and above 1 fails.
"""

from importlib.metadata import PackageNotFoundError, version

from ._arrays import BFloat16Array
from ._cases import DTYPES, FAMILIES, IGNORED, OPS, VERDICTS, Batch, Case, rows
from ._check import Check, Finding, check, replay
from ._errors import Error, HarnessError, NothingSelected, Unstable, UsageError
from ._file import judge_file
from ._judge import Judgement, Output, assert_accurate, judge

try:
    __version__ = version("logitfuzz")
except PackageNotFoundError:
    __version__ = "0"

__all__ = [
    "DTYPES", "FAMILIES", "IGNORED", "OPS", "VERDICTS", "BFloat16Array", "Batch", "Case", "Check", "Error", "Finding", "HarnessError", "Judgement",
    "NothingSelected", "Output", "Unstable", "UsageError", "assert_accurate", "check", "judge", "judge_file", "replay", "rows", "strategies",
]  # fmt: skip


def __getattr__(name):
    # hypothesis is imported only by who asks for it.
    if name == "strategies":
        import importlib

        return importlib.import_module(".strategies", __name__)
    raise AttributeError(f"module 'logitfuzz' has no attribute {name!r}")
