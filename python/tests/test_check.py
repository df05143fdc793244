"""check() and replay(): in this process and in a worker; what the function does is a verdict, and Ctrl-C stops both."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import kernels
import processes
import logitfuzz as lf

QUICK = {"cases": 12, "max_len": 500}


def test_a_right_function_passes():
    found = lf.check(kernels.softmax, "softmax", "f32", cases=40)
    assert found.passed and found.verdict == "pass" and found.findings == [] and found.cases > 800 and found.outputs > 10_000
    found.assert_stable()
    assert "no failure in" in str(found)


def test_a_wrong_function_is_found_shrunk_explained():
    found = lf.check(kernels.unshifted, "softmax", "f32", cases=40)
    assert not found.passed and found.verdict == "nan"
    like = [finding.data.get("answers_like", {}).get("kernel") for finding in found.findings]
    assert "defect/unshifted" in like
    smallest = min(found.findings, key=lambda finding: len(finding.case.logits))
    assert len(smallest.case.logits) <= 2
    with pytest.raises(lf.Unstable, match="subtract the maximum") as caught:
        found.assert_stable()
    assert not lf.replay(kernels.unshifted, found.findings[-1].case).passed
    assert "replay: logitfuzz.replay(KERNEL, " in str(caught.value)
    html = found._repr_html_()
    assert "defect/unshifted" in html and "<table>" in html


@pytest.mark.parametrize("op", list(lf.OPS))
def test_every_op_is_called_with_its_inputs(op):
    """Zeros fail somewhere in every op, and are never an error of the harness."""
    seen = []

    def zeros(*inputs):
        seen.append([getattr(value, "shape", value) for value in inputs])
        rows, n = inputs[0].shape
        of_all = () if lf.OPS[op]["takes_rows"] else rows
        return np.zeros(of_all if lf.OPS[op]["is_scalar"] else (rows, n), np.float32)

    found = lf.check(zeros, op, ["f32", "f16:f32"], **QUICK)
    assert not found.passed and "panic" not in {finding.verdict for finding in found.findings}
    extents = [extent for _, extent in lf.OPS[op]["others"]]
    for shapes in seen[:50]:
        rows, n = shapes[0]
        wanted = [(rows, n) if extent == "row" else (rows,) if extent in ("index", "indices") else float for extent in extents]
        assert [shape if want is not float else type(shape) for shape, want in zip(shapes[1:], wanted)] == wanted


@pytest.mark.parametrize("isolate", [False, True])
def test_means_over_rows(isolate):
    """Right ones pass, in this process and in a worker; ones that look at ignored rows are told what they do."""
    for op in ("mean_cross_entropy", "mean_cross_entropy_grad"):
        found = lf.check(getattr(kernels, op), op, ["f32", "f64"], cases=20, isolate=isolate)
        assert found.passed and found.cases > 500, str(found)
    found = lf.check(kernels.mean_over_all_rows, "mean_cross_entropy", "f32", cases=40, isolate=isolate)
    like = {finding.data.get("answers_like", {}).get("kernel") for finding in found.findings}
    assert "defect/mean-counts-ignored" in like, str(found)
    case = found.findings[0].case
    assert case.target.dtype == np.int64 and case.logits.shape[0] == len(case.target)
    assert not lf.replay(kernels.mean_over_all_rows, case).passed and lf.replay(kernels.mean_cross_entropy, str(case)).passed
    # The rows of a mean are the op's own, so a function "of one row" is called in the same way.
    assert lf.replay(kernels.mean_cross_entropy, case, batched=False).passed
    with pytest.raises(lf.UsageError, match="leave shape out"):
        lf.check(kernels.mean_cross_entropy, "mean_cross_entropy", shape=(4, 5))


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("name", ["shared_maximum", "nan_spreads"])
def test_what_fails_beside_other_rows_alone(name, isolate):
    """It is `contaminated`, with the smallest batch; by itself the row passes; the text of the batch is replayed."""
    kernel = getattr(kernels, name)
    found = lf.check(kernel, "softmax", "f32", cases=30, families=["ordinary", "spike"], isolate=isolate)
    assert {finding.verdict for finding in found.findings} == {"contaminated"}, str(found)
    finding = found.findings[0]
    assert 2 <= len(finding.data["batch"]["rows"]) <= 3 and lf.replay(kernel, finding.case).passed
    text = finding.text.split('logitfuzz.replay(KERNEL, "')[1].split('")')[0]
    assert text.startswith("batch ") and not lf.replay(kernel, text).passed and lf.replay(kernels.softmax, text).passed
    assert lf.check(kernels.softmax, "softmax", "f32", cases=30, families=["ordinary", "spike"], isolate=isolate).passed
    with pytest.raises(lf.UsageError, match="one row"):
        lf.replay(kernel, text, batched=False)


def test_rows_are_views_of_wider_arrays():
    """With padding that is no number; the answer is that for the rows, and what was given is looked at afterwards."""
    seen = []

    def flat(z):
        stride = z.strides[0] // z.itemsize
        wider = np.lib.stride_tricks.as_strided(z, (len(z), stride))
        seen.append((stride - z.shape[1], np.isnan(wider[:, z.shape[1] :]).all()))
        return kernels.softmax(z)

    assert lf.check(flat, "softmax", "f64", cases=20, families="ordinary", max_len=200).passed
    assert any(gap > 0 and is_nan for gap, is_nan in seen) and any(gap == 0 for gap, _ in seen)
    with pytest.raises(lf.UsageError, match="in_place"):
        lf.check(flat, "softmax", claims="exp=2, in_place")


def test_a_loss_with_classes_and_smoothing():
    found = lf.check(kernels.cross_entropy, "cross_entropy", ["f32", "f16"], cases=30)
    assert found.passed, str(found)
    # Without a third argument no smoothing is given.
    plain = lf.check(lambda z, target: kernels.cross_entropy(z, target, 0.0), "cross_entropy", "f32", cases=30)
    assert plain.passed
    by_name = []

    def named(z, target, *, label_smoothing):
        by_name.append(label_smoothing)
        return kernels.cross_entropy(z, target, label_smoothing)

    assert lf.check(named, "cross_entropy", "f32", cases=30).passed and any(by_name)


def test_rows_come_together_and_one_by_one():
    rows = []

    def matrix(z):
        rows.append(len(z))
        return kernels.softmax(z)

    assert lf.check(matrix, "softmax", "f32", shape=64, cases=20).passed and max(rows) > 8

    def row(z):
        assert z.ndim == 1
        return kernels.softmax(z)

    assert lf.check(row, "softmax", "f32", batched=False, **QUICK).passed


def test_bf16_without_a_numpy_dtype_of_its_own():
    def softmax(z):
        bits = z.view(np.ndarray).view(np.uint16)
        wide = (bits.astype(np.uint32) << 16).view(np.float32)
        return kernels.softmax(wide)

    assert lf.check(softmax, "softmax", "bf16:f32", **QUICK).passed


def test_what_a_function_does_is_a_verdict():
    found = lf.check(kernels.in_place, "softmax", "f32", **QUICK)
    assert {finding.verdict for finding in found.findings} == {"input_changed"}
    found = lf.check(kernels.raises, "softmax", "f32", **QUICK)
    assert [finding.verdict for finding in found.findings] == ["panic"]
    assert "ValueError: too large for me (kernels.py, line" in found.findings[0].text
    found = lf.check(lambda z: z[:, :1], "softmax", "f32", **QUICK)
    assert found.verdict == "panic" and "shape" in found.findings[-1].text
    found = lf.check(lambda z: kernels.softmax(z.astype(np.float64)), "softmax", "f32", **QUICK)
    assert "is no f32 value" in found.findings[0].text
    calls = iter(range(10**9))
    found = lf.check(lambda z: kernels.softmax(z) * np.float32(1 + (next(calls) % 2) * 1e-7), "softmax", "f32", **QUICK)
    assert "flaky" in {finding.verdict for finding in found.findings}


def test_a_function_that_mixes_rows_is_found():
    """Right for one row alone, wrong for rows together."""
    def shared_maximum(z):
        e = np.exp(z - z.max())
        return e / e.sum(-1, keepdims=True)

    assert not lf.check(shared_maximum, "softmax", "f32", shape=16, cases=20).passed


def test_the_same_seed_gives_the_same_findings():
    first, again = (lf.check(kernels.unshifted, "softmax", "f16", seed=5, **QUICK).results for _ in range(2))
    assert first == again
    assert first != lf.check(kernels.unshifted, "softmax", "f16", seed=6, **QUICK).results


def test_the_counts_are_those_of_the_command(run, tmp_path):
    """The same function as an `exec:` kernel of the command: the same cells."""
    import json

    file = tmp_path / "mine.py"
    file.write_text("import numpy as np\ndef softmax(z):\n    e = np.exp(z)\n    return e / e.sum(-1, keepdims=True)\n")
    kernel = f"mine=exec:{sys.executable} -m logitfuzz worker {file} --op softmax"
    words = ["--op", "softmax", "--dtype", "f32", "--cases", 12, "--seed", 4, "--max-len", 500, "--format", "json"]
    result = run("run", "--kernel", kernel, *words, "--out", tmp_path / "out", "--memory-limit", 4096)
    assert result.returncode == 0, result.stderr
    theirs = json.loads(result.stdout)["cells"]
    ours = lf.check(kernels.unshifted, "softmax", "f32", seed=4, name="mine", **QUICK).results["cells"]
    assert ours == theirs


def test_a_baseline_forgives_what_it_knows(tmp_path):
    path = tmp_path / "baseline.json"
    with pytest.raises(lf.UsageError, match="baseline.json"):
        lf.check(kernels.unshifted, "softmax", "f32", baseline=path, accept=False, **QUICK)
    lf.check(kernels.unshifted, "softmax", "f32", name="mine", baseline=path, accept=True, **QUICK)
    lf.check(kernels.unshifted, "softmax", "f32", name="mine", baseline=path, accept=False, **QUICK).assert_stable()
    worse = lf.check(lambda z: z * 0, "softmax", "f32", name="mine", baseline=path, accept=False, **QUICK)
    assert not worse.passed and "gate failed" in worse.gate
    with pytest.raises(lf.Unstable, match="gate failed"):
        worse.assert_stable()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"op": "softmin"}, "unknown op"),
        ({"dtypes": []}, "no dtype"),
        ({"dtypes": "f8"}, "unknown dtype"),
        ({"families": "x"}, "unknown family"),
        ({"claims": "exq"}, "claim"),
        ({"kernel": 3}, "a function is due"),
        ({"arrays": "tensorflow"}, "none that is known"),
        ({"cases": 0}, "cases is 0"),
        ({"kernel": lambda z: z, "isolate": True}, "a lambda, a closure"),
        ({"isolate": True, "arrays": lambda a: a}, "by name"),
        ({"isolate": True, "timeout": 1, "memory": 0}, "memory is 0"),
    ],
)
def test_what_cannot_be_asked_for(options, words):
    with pytest.raises(lf.UsageError, match=words) as caught:
        lf.check(**{"kernel": kernels.softmax, "op": "softmax", **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kernel", "verdict"), [(kernels.crashes, "crash"), (kernels.hangs, "hang"), (kernels.exits, "crash"), (kernels.raises, "panic"), (kernels.in_place, "input_changed")]
)
def test_what_ends_a_process_is_a_verdict_in_a_worker(kernel, verdict):
    found = lf.check(kernel, "softmax", "f32", isolate=True, timeout=0.3, cases=4, families=["wide"], max_len=3)
    assert verdict in {finding.verdict for finding in found.findings}, str(found)


def test_a_worker_has_the_same_results():
    here = lf.check(kernels.unshifted, "softmax", "f32", **QUICK)
    there = lf.check(kernels.unshifted, "softmax", "f32", isolate=True, timeout=20, **QUICK)
    assert here.results["cells"] == there.results["cells"]
    assert lf.check(kernels.prints, "softmax", "f32", isolate=True, timeout=20, **QUICK).passed


def test_an_exit_ends_the_check_in_this_process():
    with pytest.raises(SystemExit):
        lf.check(kernels.exits, "softmax", "f32", **QUICK)
    # Nothing of it is left.
    assert lf.check(kernels.softmax, "softmax", "f32", **QUICK).passed


SCRIPT = """
import time, sys
import numpy as np
import logitfuzz as lf
started = False
def softmax(z):
    global started
    if not started:
        started = True
        print("started", flush=True)
    time.sleep({nap})
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
if __name__ == "__main__":
    if {isolate}:
        print("started", flush=True)
    try:
        lf.check(softmax, "softmax", "f32", isolate={isolate}, timeout=100, cases=1000)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(7)
    print("done")
"""


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("nap", [0.01, 3600])
def test_ctrl_c_stops_the_check_and_its_worker(isolate, nap, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(isolate=isolate, nap=nap))
    process = processes.started([sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "started\n"
    time.sleep(1.0 if isolate else 0.3)
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    try:
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (7, "interrupted\n"), out
    assert time.monotonic() - before < 20
    assert str(script) not in processes.commands()


def test_a_check_from_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(lf.check(kernels.softmax, "softmax", "f32", **QUICK)))
    thread.start()
    thread.join()
    assert found[0].passed


def test_a_function_of_a_script_runs_in_a_worker(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        textwrap.dedent("""
        import numpy as np
        import logitfuzz as lf
        def softmax(z):
            e = np.exp(z - z.max(-1, keepdims=True))
            return e / e.sum(-1, keepdims=True)
        if __name__ == "__main__":
            print(lf.check(softmax, "softmax", "f32", isolate=True, timeout=20, cases=3).passed)
        """)
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert result.stdout == "True\n", result.stderr
    # Without the guard it says so, and does not start workers without end.
    script.write_text(script.read_text().replace('if __name__ == "__main__":', "if True:"))
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert result.returncode == 1 and "HarnessError" in result.stderr and "put the call under `if __name__" in result.stderr
