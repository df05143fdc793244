"""The command ``logitfuzz``: that of the Rust library, in this process, and besides ``judge`` and ``worker``, which are Python's."""

import signal
import sys

from . import _core

_PYTHONS = """
In Python besides:
  judge    Judge a Python file that computes an op, in a process of its own
  worker   Serve a function of a Python file as a kernel"""


def main():
    """Runs the command on the arguments of the process, and ends the process with its exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["judge"]:
        from ._file import main as judge

        sys.exit(judge(arguments[1:]))
    if arguments[:1] == ["worker"]:
        from ._serve import main as worker

        sys.exit(worker(arguments[1:]))
    # Python's own handler would only remember Ctrl-C until the command ends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = _core.command(["logitfuzz", *arguments], [sys.executable, "-m", "logitfuzz"])
    if arguments in (["--help"], ["-h"]):
        print(_PYTHONS, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
