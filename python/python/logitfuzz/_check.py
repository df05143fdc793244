"""Checks of a Python function: a campaign of all families, with findings that are shrunk and explained."""

import inspect
import json
import os
import sys

from . import _core, _html
from ._arrays import imported
from ._cases import DEFAULT_MAX_LEN, DTYPES, OPS, VERDICTS, Case, chosen_families, known, whole
from ._errors import HarnessError, Unstable, UsageError
from ._judge import Judgement
from ._kernel import Function

#: In the environment of a worker, so that a file which is imported there starts no check of its own.
_IN_WORKER = "LOGITFUZZ_WORKER"


class Finding:
    """A failing input, as small as the reducer makes it, with what is known of it.

    Attributes:
        verdict, family: what is wrong, and the family that showed it first.
        case: the :class:`logitfuzz.Case`.
        text: all of it in words, with the line that replays it.
        data: the same as a dict, as in results.json.
    """

    def __init__(self, text, case, data):
        self.text = text
        self.case = Case.parse(case)
        self.data = data
        self.verdict = data["verdict"]
        self.family = data["family"]

    def __str__(self):
        return self.text

    def __repr__(self):
        return f"<Finding {self.verdict}: {str(self.case)[:200]}>"


class Check:
    """What a check found. In a notebook it shows itself as a table.

    Attributes:
        passed: whether nothing fails; with a baseline, whether nothing is worse than it says.
        findings: a list of :class:`Finding`, one for each distinct failure.
        results: everything that was measured, as results.json has it: ``results["cells"]`` has counts and extremes for each family.
        gate: with a baseline, what the comparison says, in words; else None.
    """

    def __init__(self, results, findings, gate):
        self.results = json.loads(results)
        self.findings = [Finding(text, case, data) for (text, case), data in zip(findings, self.results["findings"])]
        self.gate = gate[1] if gate else None
        self.passed = gate[0] if gate else not self._failing()

    def _failing(self):
        return [
            cell for cell in self.results["cells"] if any(VERDICTS[verdict][1] and count for verdict, count in cell["verdicts"].items())
        ]

    @property
    def verdict(self):
        """The worst verdict of all cases."""
        seen = [verdict for cell in self.results["cells"] for verdict, count in cell["verdicts"].items() if count]
        return max(seen, key=list(VERDICTS).index, default="pass")

    @property
    def cases(self):
        """Cases that were judged."""
        return sum(cell["cases"] for cell in self.results["cells"])

    @property
    def outputs(self):
        """Outputs that were judged."""
        return sum(cell["outputs"] for cell in self.results["cells"])

    def assert_stable(self):
        """Raises :class:`logitfuzz.Unstable` with all findings if something fails (with a baseline, if something is worse)."""
        if not self.passed:
            case = str(self.findings[0].case) if self.findings else ""
            raise Unstable(str(self), self.verdict, case)

    def __bool__(self):
        return self.passed

    def __str__(self):
        if self.gate is not None and self.passed:
            return self.gate
        if self.passed:
            return f"no failure in {self.cases} cases, {self.outputs} outputs"
        words = [f"{len(self.findings)} distinct failures in {self.cases} cases"]
        if self.gate is not None:
            words.insert(0, self.gate)
        return "\n\n".join(words + [finding.text for finding in self.findings])

    def __repr__(self):
        state = "pass" if self.passed else f"{len(self.findings)} findings, worst {self.verdict}"
        return f"<Check: {state}, {self.cases} cases>"

    def _repr_html_(self):
        return _html.check(self)


def name_of(kernel):
    """What reports call a function: its name, of characters that a name may have."""
    name = getattr(kernel, "__name__", None) or type(kernel).__name__
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in name).strip("-")
    return name[:100] or "kernel"


def check(
    kernel,
    op,
    dtypes="f32",
    *,
    cases=100,
    seed=0,
    families=None,
    shape=None,
    max_len=DEFAULT_MAX_LEN,
    min_len=1,
    claims="",
    strict=False,
    arrays="numpy",
    device=None,
    batched=True,
    deterministic=True,
    isolate=False,
    timeout=2.0,
    memory=4096,
    jobs=0,
    name=None,
    version=None,
    baseline=None,
    accept=None,
):
    """Fuzzes a function that computes an op.

    The function is called with all inputs in the order of the op: ``kernel(logits)``, ``kernel(logits, target, label_smoothing)``,
    ``kernel(logits, cotangent)``. Arrays are matrices (rows, n) of the dtype's input format, classes int64 of shape (rows,), a label smoothing or a
    scale one float. It returns (rows, n), or (rows,) where the op has one output a row, in the output format. It is called on this thread;
    the oracle works on others meanwhile, without the interpreter's lock.

    Args:
        kernel: the function.
        op: the op's name.
        dtypes: the name of a dtype, or several.
        cases: for each family and dtype.
        seed: of all random streams; with the same seed ``logitfuzz run`` has the same rows.
        families: names; all but the slow ones where it is left out.
        shape: n, or (rows, n): every row has n logits, as in :func:`logitfuzz.rows`; how many rows a call has is drawn.
        max_len: the longest row, without ``shape``.
        min_len: the shortest row that the function takes.
        claims: what it declares of itself, as ``--claims`` takes it: ``"exp=8,sum=pairwise"``.
        strict: whether a digit that a careful kernel keeps may not be lost.
        arrays: ``"numpy"``, ``"torch"``, ``"jax"``, or a function that makes the arguments of NumPy arrays.
        device: where tensors of torch go.
        batched: False for a function of one row (n,), for which a class is an int. A function of matrices is given each case beside rows that
            are drawn to do harm, as views of wider arrays; what fails there and passes alone is ``contaminated``.
        deterministic: whether equal inputs give equal bits.
        isolate: whether it runs in a worker process, where a crash, a hang or an exit is a verdict. It must be a function of a module or of a
            file, by name.
        timeout, memory: of that process, seconds for a batch (a row alone has twice as much) and MiB.
        jobs: threads of the oracle; 0 for one a core.
        name, version: for reports.
        baseline: a file, as ``logitfuzz accept`` writes it: then only what is worse fails.
        accept: whether to write the baseline; left out, the environment variable LOGITFUZZ_ACCEPT=1 says so.

    Returns:
        :class:`Check`.

    >>> import numpy as np
    >>> import logitfuzz as lf
    >>> def softmax(z):
    ...     e = np.exp(z)
    ...     return e / e.sum(-1, keepdims=True)
    >>> found = lf.check(softmax, "softmax", "f32", cases=20)
    >>> found.passed, found.findings[0].verdict in lf.VERDICTS
    (False, True)

    Raises UsageError, HarnessError, NothingSelected; what the function raises that is no Exception, such as KeyboardInterrupt.
    """
    if os.environ.get(_IN_WORKER):
        raise UsageError("check() was called while a worker imports this file; put the call under `if __name__ == '__main__':`")
    known(op, OPS, "op")
    names = [dtypes] if isinstance(dtypes, str) else list(dtypes)
    for dtype in names:
        known(dtype, DTYPES, "dtype")
    if not names:
        raise UsageError("no dtype is asked for; write one, as 'f32'")
    if "in_place" in [claim.strip() for claim in claims.split(",")]:
        raise UsageError("a function returns what it computes, so it cannot claim in_place")
    function = Function(kernel, op, arrays, device, batched)
    ready(arrays, names)
    n = None
    if shape is not None:
        if OPS[op]["takes_rows"]:
            raise UsageError(f"the rows of {op} are drawn; leave shape out, or give a shape to rows() and call the function yourself")
        n = shape if not isinstance(shape, (tuple, list)) else shape[-1]
        n = whole(n, 1, "n")
    kernel_name = name or name_of(kernel)
    if accept is None:
        accept = os.environ.get("LOGITFUZZ_ACCEPT") == "1"
    request = {
        "name": kernel_name,
        "op": op,
        "dtypes": names,
        "families": chosen_families(families),
        "cases": whole(cases, 1, "cases"),
        "seed": whole(seed, 0, "seed"),
        "max_len": whole(max_len, 1, "max_len"),
        "n": n,
        "claims": claims,
        "strict": strict,
        "min_len": whole(min_len, 0, "min_len"),
        "max_len_of_kernel": None,
        "label_smoothing": function.takes_label_smoothing,
        "batched": batched and not OPS[op]["takes_rows"],
        "deterministic": deterministic,
        "version": version,
        "jobs": whole(jobs, 0, "jobs"),
        "findings": True,
        "baseline": None if baseline is None else os.fspath(baseline),
        "accept": accept,
        "worker": None,
        "timeout_ms": max(1, int(timeout * 1000)),
        "memory_mib": whole(memory, 1, "memory"),
    }
    if isolate:
        request["worker"] = worker_words(
            *reference(kernel),
            op,
            names,
            arrays=arrays,
            device=device,
            batched=batched,
            in_batches=True,
            name=kernel_name,
            claims=claims,
            min_len=min_len,
            deterministic=deterministic,
            version=version,
            must_load=True,
        )
    return Check(*_core.campaign(request, function.answer))


def ready(arrays, dtypes):
    """Refuses a library that is missing, or that does not have one of the dtypes as it is set up."""
    if arrays == "torch":
        imported("torch")
    elif arrays == "jax":
        jax = imported("jax")
        if "f64" in dtypes and not jax.config.jax_enable_x64:
            raise UsageError("JAX has f64 switched off: jax.config.update('jax_enable_x64', True) before you ask for f64")
    elif arrays != "numpy" and not callable(arrays):
        raise UsageError(f"arrays={arrays!r} is none that is known; write 'numpy', 'torch', 'jax', or a function of a NumPy array")


def replay(kernel, case, *, arrays="numpy", device=None, batched=True, claims="", strict=False):
    """Runs a function on one case, and judges what it returns.

    Args:
        kernel: the function, called as :func:`check` does, with one row.
        case: a :class:`Case`, or its text as findings print it; or the text of a batch, of which the row is judged that is named there.
        arrays, device, batched, claims, strict: as in :func:`check`.

    Returns:
        :class:`Judgement`.

    >>> import numpy as np
    >>> import logitfuzz as lf
    >>> lf.replay(lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True), "softmax f32 [1000, 0]").verdict
    'nan'

    Raises UsageError for a text that is no case; Unstable where the function raises or changes its input.
    """
    batch = None
    if isinstance(case, str) and case.lstrip().startswith("batch "):
        batch, core, judged = _core.parse_batch(case)
        case = Case(core)
        if not batched:
            raise UsageError("the function takes one row (batched=False), and this is a batch")
    elif isinstance(case, str):
        case = Case.parse(case)
    function = Function(kernel, case.op, arrays, device, batched)
    ready(arrays, [case.dtype])
    core = case._core
    code, answer = function.run_batch(batch)[judged] if batch else function.run(
        [
            (
                core.dtype, core.n, bytes(core.logits()), core.target or 0, 0.0 if core.number is None else core.number,
                None if core.other() is None else bytes(core.other()), core.classes,
            )
        ]  # fmt: skip
    )[0]
    if code != 0:
        verdict = "input_changed" if code == 4 else "panic"
        raise Unstable(f"{case.op} {case.dtype}: {verdict}: {answer}\n  case: {case}", verdict, str(case))
    return Judgement(case.op, case.dtype, [core], case.output_shape, answer, claims, strict)


def reference(kernel):
    """Where another process finds a function: (module or file, name)."""
    module = getattr(kernel, "__module__", None)
    name = getattr(kernel, "__qualname__", getattr(kernel, "__name__", None))
    if not module or not name or "<" in name:
        raise UsageError("isolate=True needs a function that a module or a file has by name, at its top; a lambda, a closure or an object has none")
    holder = sys.modules.get(module)
    found = holder
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not kernel and getattr(found, "__wrapped__", None) is not kernel:
        raise UsageError(f"isolate=True: {module} has no {name} that is this function; give it a name at the top of a module")
    if module == "__main__" or not _is_importable(module):
        file = getattr(holder, "__file__", None) or _file_of(kernel)
        if not file or not os.path.exists(file):
            raise UsageError(f"isolate=True: {name} is of no file, as in a notebook; put it into one")
        return os.path.abspath(file), name
    return module, name


def _is_importable(module):
    import importlib.util

    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _file_of(kernel):
    try:
        return inspect.getsourcefile(kernel)
    except TypeError:
        return None


def worker_words(where, entry, op, dtypes, **options):
    """The words that start a worker for a function: this interpreter, with the paths that this process imports from."""
    if callable(options.get("arrays")):
        raise UsageError("isolate=True needs arrays= by name: 'numpy', 'torch' or 'jax'")
    if not sys.executable:
        raise HarnessError("this Python does not know its own program (sys.executable), so it starts no worker")
    request = {"where": where, "entry": entry, "op": op, "dtypes": dtypes, "path": [path for path in sys.path if path], **options}
    return [sys.executable, "-m", "logitfuzz", "worker", "--request", json.dumps(request)]

