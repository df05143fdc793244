"""The exceptions of the package. Each message is one line, but for :class:`Unstable`, which has the whole finding."""

__all__ = ["Error", "HarnessError", "NothingSelected", "Unstable", "UsageError"]


class Error(Exception):
    """Everything that this package raises."""


class UsageError(Error, ValueError):
    """Wrong usage: an unknown name, an array of another shape or dtype, a value out of range. What was wrong, where, what to do."""


class HarnessError(Error, RuntimeError):
    """The harness could not do its work: a worker that does not start, a file that cannot be written."""


class NothingSelected(Error, ValueError):
    """The selection matches nothing: no family, no case, an op that the dtype does not have."""


class Unstable(Error, AssertionError):
    """Outputs that are worse than the textbook algorithm on the same input, with the input and the truth. It is an AssertionError, so
    test runners show it as a failure.

    Attributes:
        verdict: the worst verdict, such as ``"nan"`` or ``"inaccurate"``.
        case: the text of the case that is shown, for :func:`logitfuzz.replay` and ``logitfuzz replay``.
    """

    def __init__(self, message, verdict="", case=""):
        super().__init__(message)
        self.verdict = verdict
        self.case = case
