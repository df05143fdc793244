"""`logitfuzz judge FILE.py`: right answers pass, wrong ones score below every right one, and nothing that a file does changes its own verdict."""

import json
import pathlib
import re
import subprocess
import sys
import time

import pytest

import logitfuzz as lf
import processes

ANSWERS = pathlib.Path(__file__).parent / "answers"
RIGHT, WRONG = (sorted((ANSWERS / kind).glob("*.py")) for kind in ("right", "wrong"))
#: What these earn nothing with: they compute nothing of the row.
EARN_NOTHING = {
    "zeros", "uniform", "constant", "not_a_number", "copy_of_input", "memorised_answer", "prints_the_verdict", "writes_the_result", "raises", "never_ends",
    "calls_exit", "exits_when_imported", "no_function", "wrong_shape", "aborts", "in_place", "input_zeroed",
}  # fmt: skip


def judged(run, file, *words):
    dtype = re.search(r"dtype: (\S+)", file.read_text().split("import")[0])
    dtype = dtype.group(1).strip('"') if dtype else "f32"
    result = run("judge", file, "--op", "softmax", "--dtype", dtype, "--format", "json", *words)
    lines = result.stdout.splitlines()
    assert len(lines) == 1, result.stdout + result.stderr
    found = json.loads(lines[0])
    assert result.returncode == (0 if found["verdict"] == "pass" else 1), result.stderr
    assert found["schema"] == "logitfuzz.judge/1" and 0 <= found["score"] <= 1
    return found


def test_there_are_enough():
    assert len(RIGHT) >= 8 and len(WRONG) >= 20


@pytest.mark.parametrize("file", RIGHT, ids=lambda file: file.stem)
def test_right_answers_pass(file, run):
    for seed in (1, 2):
        found = judged(run, file, "--seed", seed)
        assert (found["verdict"], found["score"], found["worst"], found["ended"]) == ("pass", 1.0, None, None)
        assert len(found["families"]) >= 20 and found["cases"] > 300
        assert all(count["passed"] == count["cases"] for count in found["families"].values())


@pytest.mark.parametrize("file", WRONG, ids=lambda file: file.stem)
def test_wrong_answers_fail_below_every_right_one(file, run):
    found = judged(run, file, "--seed", 1, "--timeout-ms", 1000)
    assert found["verdict"] == "fail" and found["score"] < 1.0
    assert found["worst"]["text"] and found["worst"]["verdict"] in lf.VERDICTS
    assert found["score"] <= (0.0 if file.stem in EARN_NOTHING else 0.99), found["score"]


def test_a_fresh_seed_is_drawn_and_told(run):
    file = ANSWERS / "wrong" / "unshifted.py"
    first, second = judged(run, file), judged(run, file)
    assert first["seed"] != second["seed"]
    again = judged(run, file, "--seed", first["seed"])
    assert again == first


def test_the_worst_is_explained(run):
    found = judged(run, ANSWERS / "wrong" / "unshifted.py", "--seed", 1)
    assert "subtract the maximum" in found["worst"]["explanation"] and lf.Case.parse(found["worst"]["case"])
    result = run("judge", ANSWERS / "wrong" / "unshifted.py", "--op", "softmax", "--seed", 1)
    assert result.returncode == 1 and "fail, score 0." in result.stdout and "subtract the maximum" in result.stdout


def test_what_fails_beside_other_rows_alone(run):
    worst = judged(run, ANSWERS / "wrong" / "shared_maximum.py", "--seed", 1)["worst"]
    assert worst["verdict"] == "contaminated" and "alone it passes" in worst["text"] and lf.Case.parse(worst["case"])


def test_another_op_and_entry(run, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "def other(z):\n    return z\n"
        "def lse(z):\n    m = z.max(-1)\n    safe = np.where(np.isinf(m), 0, m)\n"
        "    return np.where(np.isposinf(m) , m, safe + np.log(np.exp(z - safe[:, None]).sum(-1))).astype(z.dtype)\n"
    )
    result = run("judge", file, "--op", "logsumexp", "--entry", "lse", "--seed", 3, "--format", "json")
    assert json.loads(result.stdout)["verdict"] == "pass", result.stdout
    result = run("judge", file, "--op", "logsumexp", "--seed", 3, "--format", "json")
    assert result.returncode == 1 and "name one with --entry" in result.stdout


@pytest.mark.parametrize("op", ["cross_entropy", "softmax_vjp", "scaled_softmax", "log_sigmoid", "attention", "logsumexp", "mean_cross_entropy", "mean_cross_entropy_grad"])
@pytest.mark.parametrize("answer", ["np.zeros(shape, z.dtype)", "z if len(shape) == 2 else z[:, :1].sum(1) if len(shape) == 1 else z[:1, :1].sum()"])
def test_trivial_answers_of_other_ops_earn_nothing(op, answer, run, tmp_path):
    file = tmp_path / "mine.py"
    shape = "z.shape" if not lf.OPS[op]["is_scalar"] else "()" if lf.OPS[op]["takes_rows"] else "z.shape[:1]"
    file.write_text(f"import numpy as np\ndef {op}(z, *others):\n    shape = {shape}\n    return {answer}\n")
    result = run("judge", file, "--op", op, "--seed", 3, "--format", "json", "--cases", 8)
    found = json.loads(result.stdout)
    assert (found["verdict"], found["score"]) == ("fail", 0.0), found


def test_wrong_usage_is_one_line(run, tmp_path):
    for words, text in [
        (["nowhere.py", "--op", "softmax"], "there is no such file"),
        ([ANSWERS / "right" / "online.py", "--op", "softmin"], "unknown op"),
        ([ANSWERS / "right" / "online.py", "--op", "softmax", "--dtype", "f8"], "unknown dtype"),
        ([ANSWERS / "right" / "online.py", "--op", "softmax", "--cases", "0"], "--cases"),
        ([ANSWERS / "right" / "online.py", "--op", "softmax", "--family", "x"], "unknown family"),
    ]:
        result = run("judge", *words)
        assert result.returncode == 2 and text in result.stderr and result.stdout == "" and result.stderr.count("\n") == 1, result.stderr


def test_ctrl_c_ends_it_and_its_process(tmp_path):
    import signal

    file = ANSWERS / "wrong" / "never_ends.py"
    process = processes.started(
        [sys.executable, "-m", "logitfuzz", "judge", file, "--op", "softmax", "--timeout-ms", "60000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode != 0


def test_the_command_is_whole(run):
    """The command of the library, in the wheel: its own subcommands, exit codes, and kernels of C libraries."""
    assert run("list", "ops").stdout.count("\n") >= len(lf.OPS)
    assert run("eval", "--op", "softmax", "--", "1000", "0").returncode == 0
    failing = run("replay", "--kernel", "naive", "softmax f32 [1000, 0]")
    assert failing.returncode == 1 and "naive: nan on softmax f32 [1000, 0]" in failing.stdout
    wrong = run("run", "--kernel", "nobody")
    assert wrong.returncode == 2 and wrong.stderr.startswith("logitfuzz: unknown kernel") and wrong.stderr.count("\n") == 1
    assert "judge" in run("--help").stdout


def test_c_kernels_run_from_the_wheel(run, tmp_path):
    import shutil

    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    source, library = tmp_path / "mine.c", tmp_path / "libmine.so"
    source.write_text(
        "#include <math.h>\n#include <stddef.h>\nvoid logsumexp_f32(const float *z, size_t n, float *out) {\n"
        " float s = 0; for (size_t i = 0; i < n; i++) s += expf(z[i]); *out = logf(s); }\n"
    )
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
    result = run("replay", "--kernel", f"c:{library}", "logsumexp f32 [1000]")
    assert result.returncode == 1 and "inf on logsumexp f32 [1000]" in result.stdout, result.stdout + result.stderr
