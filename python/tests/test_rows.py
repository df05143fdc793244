"""rows(): the same rows as the command, byte for byte; shapes, batches, one number a batch."""

import json
import struct
import sys

import numpy as np
import pytest

import logitfuzz as lf

# A worker that keeps every row that it is given, and answers zeros.
RECORDER = """
import json, os, struct, sys
wire = os.fdopen(os.dup(1), "wb"); os.dup2(2, 1)
op, dtype, scalar, width, out, log = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), open(sys.argv[6], "a")
other = op in ("softmax_vjp", "scaled_x", "bce_with_logits", "kl_divergence")
hello = {"logitfuzz_worker": 1, "frames": "binary", "kernels": [{"name": "recorder", "functions": [{"op": op, "dtype": dtype}]}]}
wire.write(json.dumps(hello).encode() + b"\\n"); wire.flush()
while True:
    head = sys.stdin.buffer.read(8)
    if not head: break
    data = sys.stdin.buffer.read(struct.unpack("<Q", head)[0])
    (count,) = struct.unpack_from("<I", data); at = 4; parts = [struct.pack("<I", count)]
    for _ in range(count):
        _, n, target, number = struct.unpack_from("<IIQd", data, at); at += 24
        classes = []
        if op.startswith("mean"):
            classes = [-100 if word == 2**64 - 1 else word for word in struct.unpack_from(f"<{target}Q", data, at)]; at += 8 * target
        size = n * width * (2 if other else 1)
        print(json.dumps([n, target, number, data[at:at + size].hex(), classes]), file=log, flush=True); at += size
        due = 1 if scalar else n
        parts.append(struct.pack("<II", 0, due) + bytes(due * out))
    body = b"".join(parts); wire.write(struct.pack("<Q", len(body)) + body); wire.flush()
"""


@pytest.mark.parametrize(
    ("op", "dtype"), [("softmax", "f32"), ("cross_entropy", "f16"), ("softmax_vjp", "bf16:f32"), ("scaled_softmax", "f64"), ("bce_with_logits", "bf16"), ("logsumexp", "f64"), ("mean_cross_entropy", "f32")]
)
def test_the_rows_of_the_command(op, dtype, run, tmp_path):
    """Every row that `logitfuzz run` gives to a kernel, by its bytes, against those of rows()."""
    script, log = tmp_path / "recorder.py", tmp_path / "rows.txt"
    script.write_text(RECORDER)
    widths = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8}
    read, written = (widths[kind] for kind in lf.DTYPES[dtype])
    words = [sys.executable, script, op, dtype, int(lf.OPS[op]["is_scalar"]), read, written, log]
    kernel = "exec:" + " ".join(f"'{word}'" for word in words)
    families = ["ordinary", "spike", "nan", "tiny_n", "long"]
    selected = [word for family in families for word in ("--family", family)]
    result = run("run", "--kernel", kernel, "--op", op, "--dtype", dtype, "--seed", 11, "--cases", 6, *selected, "--out", tmp_path / "out", "--max-len", 3000)
    assert result.returncode == 0, result.stderr
    seen = {line.strip() for line in log.read_text().splitlines()}
    count = 0
    for batch in lf.rows(op, dtype, seed=11, cases=6, families=families, max_len=3000):
        for case in batch:
            core = case._core
            data = bytes(core.logits()) + (bytes(core.other()) if core.other() is not None else b"")
            classes = core.classes or []
            target = len(classes) if lf.OPS[op]["takes_rows"] else core.target or 0
            line = json.dumps([core.n, target, 0.0 if core.number is None else core.number, data.hex(), classes])
            assert line in seen, f"{case.family} {case.index} is none of the command's rows"
            count += 1
    # Losses have no case for a row without logits.
    assert count >= 28
    assert struct.calcsize("<IIQd") == 24


def test_the_same_again_and_another_seed():
    def texts(seed):
        return [str(case) for batch in lf.rows("softmax", "f16", cases=2, seed=seed) for case in batch]

    first = texts(0)
    assert first == texts(0) and first != texts(1) and len(first) == 2 * sum(not slow for _, slow in lf.FAMILIES.values())


def test_a_shape_is_kept_and_all_families_are_in_it():
    batches = list(lf.rows("cross_entropy", "bf16:f32", shape=(16, 33), cases=4))
    assert all(batch.shape == (16, 33) and batch.logits.shape == (16, 33) and batch.target.shape == (16,) for batch in batches)
    assert {family for batch in batches for family, _ in batch.origins} == {name for name, (_, slow) in lf.FAMILIES.items() if not slow}
    assert sum(map(len, batches)) >= 4 * 20
    for batch in batches:
        assert isinstance(batch.label_smoothing, float) and batch.target.dtype == np.int64
        assert {case.label_smoothing for case in batch} == {batch.label_smoothing}
    assert list(lf.rows("softmax", shape=5, cases=1, families="ordinary"))[0].shape == (64, 5)


def test_a_mean_has_its_rows_for_itself():
    for batch in lf.rows("mean_cross_entropy", "bf16:f32", shape=(16, 33), cases=2):
        assert batch.shape == (16, 33) == batch.logits.shape and batch.target.shape == (16,) and batch.output_shape == () and len(batch) == 1
        assert batch[0].target.tolist() == batch.target.tolist() and batch.target.dtype == np.int64
    every = list(lf.rows("mean_cross_entropy_grad", "f32", cases=10))
    assert all(batch.output_shape == batch.logits.shape == (len(batch.target), batch.shape[1]) for batch in every)
    ignored = [(batch.target == lf.IGNORED) for batch in every]
    assert any(rows.any() and not rows.all() for rows in ignored) and any(rows.all() for rows in ignored if len(rows))
    assert lf.Case.parse(str(every[3][0])) == every[3][0]


def test_a_shorter_row_is_repeated_or_padded():
    batch = next(iter(lf.rows("softmax", "f64", shape=(40, 200), cases=40, families="tiny_n")))
    short = list(lf.rows("softmax", "f64", cases=40, families="tiny_n", max_len=200))
    natural = {case.index: case.logits for part in short for case in part}
    for row, (_, index) in enumerate(batch.origins):
        n = len(natural[index])
        if n == 0:
            assert np.isneginf(batch.logits[row]).all()
            continue
        assert batch.logits[row, :n].tobytes() == natural[index].tobytes()
        rest = np.resize(natural[index], 200) if index % 2 == 0 else np.concatenate([natural[index], np.full(200 - n, -np.inf)])
        assert batch.logits[row].tobytes() == rest.tobytes(), index


def test_a_case_is_the_row_of_its_batch():
    batch = next(iter(lf.rows("softmax_vjp", "f32", shape=(5, 8), cases=1)))
    case = batch[3]
    assert case.logits.tobytes() == batch.logits[3].tobytes() and case.cotangent.tobytes() == batch.cotangent[3].tobytes()
    assert [len(argument) for argument in case.args] == [8, 8]
    with pytest.raises(lf.UsageError, match="takes no target"):
        _ = case.target
    assert lf.Case.parse(str(case)) == case and hash(lf.Case.parse(str(case))) == hash(case)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"op": "softmin"}, "unknown op"),
        ({"dtype": "f8"}, "unknown dtype"),
        ({"families": "ordinari"}, "unknown family"),
        ({"families": []}, "no family"),
        ({"cases": 0}, "cases is 0"),
        ({"cases": 1.5}, "cases is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"shape": (1, 2, 3)}, r"\(rows, n\)"),
        ({"shape": (0, 2)}, "rows is 0"),
        ({"shape": (2, -3)}, "n is -3"),
        ({"max_len": "x"}, "max_len"),
    ],
)
def test_what_cannot_be_asked_for(options, words):
    with pytest.raises((lf.UsageError, lf.NothingSelected), match=words):
        lf.rows(**{"op": "softmax", **options})
