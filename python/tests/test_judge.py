"""judge() and assert_accurate(): verdicts, figures, shapes, and one clear line for what does not fit."""

import threading

import numpy as np
import pytest

import logitfuzz as lf
from kernels import softmax


def test_the_figures_of_a_known_row():
    z = np.array([1000, 0], np.float32)
    judged = lf.judge("softmax", z, np.array([1, 0], np.float32))
    assert judged.passed and bool(judged) and judged.verdict == "pass"
    assert judged.ulps.tolist() == [0, 0] and [round(bound, 2) for bound in judged.bounds.tolist()] == [7.0, 2.5]
    judged = lf.judge("softmax", z, np.array([np.nan, 0], np.float32))
    assert (judged.verdict, judged.passed, judged.verdicts) == ("nan", False, ["nan"])
    assert np.isnan(judged.ulps[0]) and np.isinf(judged.ratios[0])
    worst = judged.worst(1)[0]
    assert (worst.row, worst.index, worst.verdict, worst.got, worst.exact) == (0, 0, "nan", "nan", "1.00000000000000000000000000000e0")
    with pytest.raises(lf.Unstable, match=r"softmax f32: nan") as caught:
        judged.assert_accurate()
    assert isinstance(caught.value, AssertionError) and caught.value.verdict == "nan"
    assert lf.Case.parse(caught.value.case).logits.tolist() == [1000, 0]


def test_an_error_of_known_size():
    z = np.zeros((3, 2), np.float32)
    y = np.full((3, 2), 0.5, np.float32)
    y[1, 1] = np.nextafter(np.float32(0.5), np.float32(1))
    judged = lf.judge("softmax", z, y)
    assert judged.ulps.tolist() == [[0, 0], [0, 1], [0, 0]] and judged.passed
    y[1, 1] = 0.75
    judged = lf.judge("softmax", z, y)
    assert judged.verdicts == ["pass", "inaccurate", "pass"]
    assert judged.worst(1)[0].row == 1 and judged.worst(1)[0].index == 1 and judged.max_ratio > 1e5


@pytest.mark.parametrize("op", list(lf.OPS))
@pytest.mark.parametrize("dtype", list(lf.DTYPES))
def test_every_op_and_dtype_takes_its_own_inputs(op, dtype):
    """What a batch holds is what judge() takes; zeros are judged, and the same way by both."""
    batch = next(iter(lf.rows(op, dtype, shape=(2, 5), cases=1, families=["ordinary", "offset"])))
    kind = np.float16 if lf.DTYPES[dtype][1] == "f16" else np.float64 if dtype == "f64" else np.float32
    zeros = np.zeros(batch.output_shape, kind)
    inputs = dict(batch.inputs)
    judged = lf.judge(op, inputs.pop("logits"), zeros, dtype=dtype, **inputs)
    # A mean is one case of all rows.
    assert len(judged.verdicts) == len(batch) == (1 if lf.OPS[op]["takes_rows"] else 2)
    assert judged.ulps.shape == batch.output_shape and batch.shape == (2, 5)
    if judged.passed:
        lf.assert_accurate(batch, zeros)
    else:
        with pytest.raises(lf.Unstable):
            lf.assert_accurate(batch, zeros)


def test_claims_forgive_and_strict_does_not():
    z = np.array([20, 0], np.float32)
    lost = lf.judge("cross_entropy_grad", z, np.array([0, 2.0611537e-9], np.float32), target=0)
    assert lost.passed
    assert not lf.judge("cross_entropy_grad", z, np.array([0, 2.0611537e-9], np.float32), target=0, strict=True).passed
    coarse = np.array([0.5 + 1e-5, 0.5 - 1e-5], np.float32)
    assert not lf.judge("softmax", z * 0, coarse).passed
    assert lf.judge("softmax", z * 0, coarse, claims="exp=1000").passed
    with pytest.raises(lf.UsageError, match="claim"):
        lf.judge("softmax", z, z, claims="exq=1")


def test_python_numbers_need_a_dtype_and_are_rounded():
    assert lf.judge("softmax", [0.1, 0.1], [0.5, 0.5], dtype="f16").passed
    with pytest.raises(lf.UsageError, match="dtype='f32'"):
        lf.judge("softmax", [0.1, 0.1], [0.5, 0.5])
    assert lf.judge("softmax", np.zeros(2, np.float32), [0.5, 0.5]).dtype == "f32"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("softmin", [1.0], [1.0]), "unknown op 'softmin'"),
        (("softmax", np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32)), r"shape \(2, 2, 2\)"),
        (("softmax", np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32)), r"shape \(2, 2\); \(2, 3\) is due"),
        (("logsumexp", np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)), r"shape \(2, 3\); \(2,\) is due"),
        (("softmax", np.zeros(2, np.float32), np.zeros(2, np.float64)), "f32 is read and f64 written"),
        (("softmax", np.zeros(2, complex), np.zeros(2, complex)), "complex128 is none that is read"),
        (("softmax", np.array(["a"]), np.zeros(1, np.float32)), "none that is read"),
        (("softmax", np.ma.masked_array(np.zeros(2, np.float32), [0, 1]), np.zeros(2, np.float32)), "masked array"),
        (("softmax", object(), np.zeros(2, np.float32)), "the logits"),
        (("cross_entropy", np.zeros(2, np.float32), np.float32(0)), "takes logits, a target"),
    ],
)
def test_what_does_not_fit_is_one_line(arguments, words):
    with pytest.raises(lf.UsageError, match=words) as caught:
        lf.judge(*arguments)
    assert "\n" not in str(caught.value) and isinstance(caught.value, ValueError)


def test_other_inputs_that_do_not_fit():
    z = np.zeros((2, 3), np.float32)
    for others, words in [
        ({"target": [0, 3]}, "none of 3"),
        ({"target": [0]}, r"\(2,\)"),
        ({"target": [0, 1], "cotangent": z}, "takes no cotangent"),
        ({"target": np.zeros(2, np.float32)}, "whole numbers"),
        ({"target": [0, 1], "label_smoothing": 2.0}, r"\[0, 1\]"),
        ({"target": [0, 1], "label_smoothing": "much"}, "one number"),
    ]:
        with pytest.raises(lf.UsageError, match=words):
            lf.judge("cross_entropy", z, np.zeros(2, np.float32), **others)


def test_means_over_rows():
    z = np.array([[0, 0], [np.nan, np.inf], [3, 3]], np.float32)
    target = np.array([1, lf.IGNORED, 0])
    loss = np.float32(np.log(2))
    assert lf.judge("mean_cross_entropy", z, loss, target=target).passed
    assert lf.judge("mean_cross_entropy", z, np.float32(2 * loss / 3), target=target).verdict == "inaccurate"
    grad = np.array([[0.25, -0.25], [0, 0], [-0.25, 0.25]], np.float32)
    assert lf.judge("mean_cross_entropy_grad", z, grad, target=target).passed
    grad[1, 1] = np.nan
    judged = lf.judge("mean_cross_entropy_grad", z, grad, target=target)
    worst = judged.worst(1)[0]
    assert (judged.verdict, worst.row, worst.index, worst.exact) == ("nan", 1, 1, "0") and "<table>" in judged._repr_html_()
    case = lf.Case.parse("mean_cross_entropy f32 [0, 0, nan, inf, 3, 3] targets=[1, ignored, 0]")
    assert case.logits.tobytes() == z.tobytes() and case.target.tolist() == target.tolist() and case.output_shape == ()
    lf.assert_accurate(case, loss)
    for arguments, words in [
        ({"target": [1, -1, 0]}, "none of 2; they are counted from 0; a row that is ignored has -100"),
        ({"target": [1, 0]}, r"one class a row is due, \(3,\)"),
        ({}, "targets"),
    ]:
        with pytest.raises(lf.UsageError, match=words) as caught:
            lf.judge("mean_cross_entropy", z, loss, **arguments)
        assert "\n" not in str(caught.value)
    with pytest.raises(lf.UsageError, match=r"takes a matrix \(rows, n\)"):
        lf.judge("mean_cross_entropy", z[0], loss, target=[0])


def test_an_f64_result_of_f32_logits_must_be_rounded_by_the_kernel():
    batch = next(iter(lf.rows("softmax", "f32", shape=(4, 9), cases=1, families="ordinary")))
    wide = softmax(batch.logits.astype(np.float64))
    with pytest.raises(lf.UsageError, match="is no f32 value"):
        lf.assert_accurate(batch, wide)
    lf.assert_accurate(batch, wide.astype(np.float32))


def test_a_batch_is_judged_as_it_was_made():
    batch = next(iter(lf.rows("softmax", "f32", shape=(4, 9), cases=1, families="ordinary")))
    right = softmax(batch.logits)
    batch.logits[:] = 0
    lf.assert_accurate(batch, right)


def test_the_worst_row_is_told_and_can_be_replayed():
    batch = next(iter(lf.rows("softmax", "f32", shape=(6, 9), cases=1, families="ordinary", seed=3)))
    wrong = softmax(batch.logits)
    wrong[4, 2] = np.nan
    with pytest.raises(lf.Unstable) as caught:
        lf.assert_accurate(batch, wrong)
    text = str(caught.value)
    assert "(ordinary, row 4, seed 3)" in text and "1 of 6 rows fail; the worst is row 4" in text and "output 2: got nan" in text
    assert lf.Case.parse(caught.value.case) == batch[4]
    assert lf.replay(softmax, caught.value.case).passed
    with pytest.raises(lf.UsageError, match="takes a batch"):
        lf.assert_accurate(batch.logits, wrong)


def test_empty_rows_and_matrices():
    assert lf.judge("softmax", np.zeros((3, 0), np.float32), np.zeros((3, 0), np.float32)).passed
    assert lf.judge("softmax", np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)).verdicts == []
    assert lf.judge("logsumexp", np.zeros((1, 0), np.float32), np.array([-np.inf], np.float32)).passed


def test_two_threads_judge_at_once_and_alike():
    batches = list(lf.rows("log_softmax", "f64", shape=(16, 300), cases=2))
    wanted = [lf.judge("log_softmax", batch.logits, batch.logits).ulps.tobytes() for batch in batches]
    found = {}

    def work(place):
        found[place] = [lf.judge("log_softmax", batch.logits, batch.logits).ulps.tobytes() for batch in batches]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert found == {0: wanted, 1: wanted}


def test_the_oracle_works_without_the_interpreters_lock():
    """A thread of Python goes on while another one's outputs are judged."""
    z = np.random.default_rng(0).normal(size=(200, 4000))
    done, steps = threading.Event(), 0

    def work():
        lf.judge("log_softmax", z, z)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.wait(0.001):
        steps += 1
    thread.join()
    assert steps >= 5, steps


def test_the_notebook_view():
    z = np.array([[1000, 0, 3], [0, 1, 2]], np.float32)
    y = softmax(z)
    y[0, 0] = np.nan
    y[1, 0] += 0.1
    html = lf.judge("softmax", z, y)._repr_html_()
    assert html.count("<tr>") == 1 + 6 and ">nan<" in html and "<svg" in html and "#d33a2c" in html
    assert "http" not in html and "<script" not in html
    assert "pass" in lf.judge("softmax", z, softmax(z))._repr_html_()
