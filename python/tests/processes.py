"""Processes for the tests of Ctrl-C: how they are started, and which there are."""

import pathlib
import signal
import subprocess


def started(command, **options):
    """A process that Ctrl-C stops, though these tests may run where it is ignored, as behind `&` in a script."""
    return subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)


def commands():
    """The command lines of all processes, one after the other."""
    found = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            # It has ended since.
            pass
    return "\n".join(found)
