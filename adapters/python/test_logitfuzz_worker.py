"""Tests of logitfuzz_worker.py: small workers as processes, and a harness that speaks the protocol to them.

`python3 -m unittest discover adapters/python` runs them; they need numpy. bf16 is tested where ml_dtypes is installed, and the ready
scripts for the libraries where all of these are installed, as `make adapters-python` does.
"""

import importlib.util
import json
import os
import pathlib
import platform
import struct
import subprocess
import sys
import textwrap
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
DTYPES = {"f16": np.float16, "f32": np.float32, "f64": np.float64}
if HAS_BF16 := importlib.util.find_spec("ml_dtypes") is not None:
    import ml_dtypes

    DTYPES["bf16"] = ml_dtypes.bfloat16
OTHER_ROWS = {
    "softmax_vjp": "cotangent", "softmax_jvp": "tangent", "log_softmax_vjp": "cotangent", "log_softmax_jvp": "tangent",
    "soft_cross_entropy": "distribution", "soft_cross_entropy_grad": "distribution",
    "sigmoid_vjp": "cotangent", "log_sigmoid_vjp": "cotangent", "bce_with_logits": "label", "bce_with_logits_grad": "label",
    "logaddexp": "other_logits", "logsubexp": "other_logits", "attention": "values",
    "kl_divergence": "target_logits", "kl_divergence_grad": "target_logits",
}  # fmt: skip
LIBRARIES = ("scipy", "torch", "jax", "optax", "onnxruntime", "onnx")
SCRIPTS = ("scipy", "pytorch", "jax", "optax", "onnxruntime")


def hexes(values):
    return [float(x).hex() for x in values]


class Worker:
    """A worker process and the protocol, as the harness sees it."""

    def __init__(self, *command):
        # As most machines have it: with this variable, nothing that is printed waits in a buffer.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=HERE, env=environment, **pipes)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"no hello; standard error: {self.close()[1]}")
        self.hello = json.loads(line)
        self.functions = [{**f, "kernel": k["name"]} for k in self.hello["kernels"] for f in k["functions"]]

    def close(self):
        """Ends standard input. Returns the exit status and what was written to standard error."""
        rest, errors = self.process.communicate(timeout=60)
        if rest:
            raise AssertionError(f"written after the last answer: {rest!r}")
        return self.process.returncode, errors.decode()

    def ask(self, rows):
        """Sends one batch of (function, logits, target, smoothing, direction). Returns (code, outputs or text) for each."""
        rows = [(number, logits, *rest, *(0, 0.0, None)[len(rest) :]) for number, logits, *rest in rows]
        self.process.stdin.write(self.json_batch(rows) if self.hello["frames"] == "json" else self.binary_batch(rows))
        self.process.stdin.flush()
        return self.json_answers(rows) if self.hello["frames"] == "json" else self.binary_answers(rows)

    def dtype(self, number):
        return np.dtype(DTYPES[self.functions[number]["dtype"].split(":")[0]])

    def written(self, number):
        return np.dtype(DTYPES[self.functions[number]["dtype"].split(":")[-1]])

    def binary_batch(self, rows):
        message = struct.pack("<I", len(rows))
        for number, logits, target, smoothing, direction in rows:
            if self.functions[number]["op"].startswith("mean"):
                # All bits set where a row is ignored.
                classes = [2**64 - 1 if c is None else c for c in target]
                message += struct.pack(f"<IIQd{len(classes)}Q", number, len(logits), len(classes), 0.0, *classes)
            else:
                message += struct.pack("<IIQd", number, len(logits), target, smoothing)
            message += np.array(logits, self.dtype(number)).tobytes()
            if self.functions[number]["op"] in OTHER_ROWS:
                message += np.array(direction, self.dtype(number)).tobytes()
        return struct.pack("<Q", len(message)) + message

    def binary_answers(self, rows):
        (size,) = struct.unpack("<Q", self.process.stdout.read(8))
        message = self.process.stdout.read(size)
        (count,) = struct.unpack_from("<I", message)
        assert count == len(rows), (count, len(rows))
        at, answers = 4, []
        for number, *_ in rows:
            code, many = struct.unpack_from("<II", message, at)
            size = many * (1 if code else self.written(number).itemsize)
            body = message[at + 8 : at + 8 + size]
            answers.append((code, body.decode() if code else np.frombuffer(body, self.written(number))))
            at += 8 + size
        assert at == len(message), (at, len(message))
        return answers

    def json_batch(self, rows):
        batch = []
        for number, logits, target, smoothing, direction in rows:
            op = self.functions[number]["op"]
            row = {"function": number, "op": op, "dtype": self.functions[number]["dtype"], "logits": hexes(logits)}
            if op.startswith("mean"):
                row["targets"] = target
            if op.startswith("cross_entropy"):
                row.update(target=target, label_smoothing=float(smoothing).hex())
            if op == "scaled_softmax":
                row["scale"] = float(smoothing).hex()
            if op in OTHER_ROWS:
                row[OTHER_ROWS[op]] = hexes(direction)
            batch.append(row)
        return json.dumps({"rows": batch}).encode() + b"\n"

    def json_answers(self, rows):
        answers = json.loads(self.process.stdout.readline())["rows"]
        assert len(answers) == len(rows), answers
        read = lambda number, row: (0, np.array([float.fromhex(y) for y in row["outputs"]]).astype(self.written(number)))
        return [(1, row["error"]) if "error" in row else read(number, row) for (number, *_), row in zip(rows, answers)]


def worker(body, frames="binary"):
    """A worker whose program is `body` between the import and serve()."""
    program = f"from logitfuzz_worker import kernel, serve\nimport numpy as np\n{textwrap.dedent(body)}\nserve(frames={frames!r})\n"
    return Worker(sys.executable, "-c", program)


# Every op in every dtype that plain numpy has, in the dtype of the case, returning all that it was given.
ECHO = """
for dtypes in (["f16", "f32", "f64"],):
    kernel("softmax", dtypes=dtypes, name="echo")(lambda z: z)
    kernel("logsumexp", dtypes=dtypes, name="echo")(lambda z: z[:1])
    kernel("entropy", dtypes=dtypes, name="echo")(lambda z: z[1:2])
    kernel("logcumsumexp", dtypes=dtypes, name="echo")(lambda z: z[::-1])
    kernel("cross_entropy", dtypes=dtypes, name="echo")(lambda z, t, e: z.dtype.type(100 * t + e))
    kernel("cross_entropy_grad", dtypes=dtypes, name="echo")(lambda z, t, e: z + z.dtype.type(100 * t + e))
    kernel("softmax_vjp", dtypes=dtypes, name="echo")(lambda z, g: g)
    kernel("log_softmax_jvp", dtypes=dtypes, name="echo")(lambda z, v: v)
    kernel("scaled_softmax", dtypes=dtypes, name="echo")(lambda z, s: np.full(len(z), s, z.dtype))
    kernel("soft_cross_entropy", dtypes=dtypes, name="echo")(lambda z, q: q[:1])
    kernel("soft_cross_entropy_grad", dtypes=dtypes, name="echo")(lambda z, q: q)
    kernel("bce_with_logits", dtypes=dtypes, name="echo")(lambda z, t: t)
    kernel("logaddexp", dtypes=dtypes, name="echo")(lambda z, y: y)
    kernel("attention", dtypes=dtypes, name="echo")(lambda z, v: v[2:3])
    kernel("kl_divergence", dtypes=dtypes, name="echo")(lambda z, t: t[1:2])
    kernel("kl_divergence_grad", dtypes=dtypes, name="echo")(lambda z, t: t)
"""


class TheProtocol(unittest.TestCase):
    def test_every_kind_of_op_comes_through_in_both_forms(self):
        z, g = [1.5, -np.inf, np.nan, -0.0, 6e-8], [2.0, -3.0, 0.25, np.inf, 1.0]
        for frames in ("binary", "json"):
            with self.subTest(frames=frames):
                w = worker(ECHO, frames)
                self.assertEqual((w.hello["logitfuzz_worker"], w.hello["frames"]), (1, frames))
                ops = [f["op"] for f in w.functions]
                self.assertEqual(len(ops), 48)
                answers = w.ask([(i, z, 3, 0.125, g) for i in range(48)])
                for i, (code, got) in enumerate(answers):
                    dtype = DTYPES[w.functions[i]["dtype"]]
                    logits, direction = np.array(z, dtype), np.array(g, dtype)
                    expected = {
                        "softmax": logits,
                        "logsumexp": logits[:1],
                        "entropy": logits[1:2],
                        "logcumsumexp": logits[::-1],
                        "cross_entropy": np.array([300.125], dtype),
                        "cross_entropy_grad": logits + dtype(300.125),
                        "softmax_vjp": direction,
                        "log_softmax_jvp": direction,
                        "scaled_softmax": np.full(len(logits), 0.125, dtype),
                        "soft_cross_entropy": direction[:1],
                        "soft_cross_entropy_grad": direction,
                        "bce_with_logits": direction,
                        "logaddexp": direction,
                        "attention": direction[2:3],
                        "kl_divergence": direction[1:2],
                        "kl_divergence_grad": direction,
                    }[ops[i]]
                    self.assertEqual(code, 0, got)
                    np.testing.assert_array_equal(got, expected)
                    self.assertEqual(np.signbit(got).tolist(), np.signbit(expected).tolist())
                self.assertEqual(w.close(), (0, ""))

    def test_rows_of_logits_and_their_targets(self):
        body = '''
            from logitfuzz_worker import IGNORED
            kernel("mean_cross_entropy", dtypes=["f32"])(lambda z, t: np.float32(100 * len(z) + z.shape[1] + (t == IGNORED).sum() / 8))
            kernel("mean_cross_entropy_grad", dtypes=["f32"])(lambda z, t: z * (t != IGNORED)[:, None] + np.maximum(t, 0).astype("f4")[:, None])
        '''
        for frames in ("binary", "json"):
            w = worker(body, frames)
            z = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
            answers = w.ask([(0, z, [1, None, 0]), (1, z, [1, None, 0]), (0, z, [2, 1]), (0, [], [None]), (0, [], []), (1, [], [])])
            self.assertEqual([code for code, _ in answers], [0] * 6, answers)
            expected = [[302.125], [2.0, 3.0, 0.0, 0.0, 5.0, 6.0], [203.0], [100.125], [0.0], []]
            self.assertEqual([got.tolist() for _, got in answers], expected)
            self.assertEqual(w.close(), (0, ""))

    def test_batches_of_many_of_one_and_of_no_rows(self):
        for frames in ("binary", "json"):
            w = worker(ECHO, frames)
            for rows in ([], [(1, [])], [(1, [float(i)] * (i % 7)) for i in range(300)]):
                answers = w.ask(rows)
                self.assertEqual([got.tolist() for _, got in answers], [z for _, z in rows])
            self.assertEqual(w.close(), (0, ""))

    def test_the_hello_says_what_was_declared(self):
        w = worker("""
            @kernel("softmax", dtypes="f64", name="a", version="1.2", claims="exp=2", min_len=1, max_len=9, deterministic=False,
                    label_smoothing=False)
            def f(z): return z
            @kernel("logsumexp", name="b")
            def g(z): return z[0]
            @kernel("log_softmax", dtypes=["f32"], name="a", version="1.2", deterministic=False)
            def h(z): return z
        """)
        a, b = w.hello["kernels"]
        first = {"op": "softmax", "dtype": "f64", "claims": "exp=2", "min_len": 1, "max_len": 9, "label_smoothing": False}
        second = {"op": "log_softmax", "dtype": "f32"}
        self.assertEqual(a, {"name": "a", "version": "1.2", "deterministic": False, "functions": [first, second]})
        functions = [{"op": "logsumexp", "dtype": "f32"}, {"op": "logsumexp", "dtype": "f64"}]
        self.assertEqual(b, {"name": "b", "deterministic": True, "functions": functions})
        # Numbers follow the hello, not the order of declaration: 1 is the log_softmax that was declared last.
        self.assertEqual(w.ask([(1, [4.0, 5.0])])[0][1].tolist(), [4.0, 5.0])
        w.close()

    def test_a_kernel_is_named_after_its_program(self):
        program = HERE / "test_logitfuzz_worker.py"
        run = f"import sys; sys.argv = [{str(program)!r}]\nfrom logitfuzz_worker import kernel, serve\n"
        w = Worker(sys.executable, "-c", run + "kernel('softmax')(lambda z: z)\nserve()")
        self.assertEqual(w.hello["kernels"][0]["name"], "test_logitfuzz_worker")
        w.close()

    def test_printing_in_any_way_and_reading_input_leave_the_protocol_alone(self):
        w = worker("""
            import ctypes, os, subprocess, sys
            print("while it is loaded")
            @kernel("softmax", dtypes=["f32"])
            def f(z):
                print("by print")
                os.write(1, b"by descriptor\\n")
                libc = ctypes.CDLL(None)
                libc.puts(b"by C"); libc.fflush(None)
                subprocess.run(["echo", "by a child"])
                return z + len(sys.stdin.read()) + len(subprocess.run(["cat"], capture_output=True).stdout)
        """)
        for _ in range(2):
            (answer,) = w.ask([(0, [1.0, 2.0])])
            self.assertEqual(answer[1].tolist(), [1.0, 2.0])
        status, errors = w.close()
        self.assertEqual(status, 0)
        for how in ("while it is loaded", "by print", "by descriptor", "by C", "by a child"):
            self.assertIn(how, errors)

    def test_what_was_printed_before_a_crash_is_there(self):
        w = worker("""
            import os
            @kernel("softmax", dtypes=["f32"])
            def f(z):
                print("the last words")
                os._exit(3)
        """)
        w.process.stdin.write(w.binary_batch([(0, [1.0], 0, 0.0, None)]))
        status, errors = w.close()
        self.assertEqual((status, errors), (3, "the last words\n"))

    def test_overflow_does_not_reach_standard_error(self):
        w = worker("""
            @kernel("softmax", dtypes=["f16"])
            def f(z): return np.exp(z) / np.exp(z).sum() + np.log(z - z)
        """)
        self.assertTrue(np.isnan(w.ask([(0, [1e4, 1e4])])[0][1]).all())
        self.assertEqual(w.close(), (0, ""))

    def test_half_a_batch_is_an_error_and_no_batch_is_the_end(self):
        w = worker(ECHO)
        w.process.stdin.write(struct.pack("<Q", 100) + b"half")
        status, errors = w.close()
        self.assertEqual(status, 1)
        self.assertIn("EOFError: standard input ended after 4 of 100 bytes", errors)

    def test_a_harness_that_is_gone_is_the_end(self):
        w = worker(ECHO)
        w.process.stdout.close()
        w.process.stdin.write(w.binary_batch([(0, [1.0], 0, 0.0, None)]))
        w.process.stdin.close()
        self.assertEqual((w.process.wait(timeout=60), w.process.stderr.read()), (0, b""))
        w.process.stderr.close()

    def test_f32_may_be_returned_where_f16_is_given(self):
        for frames in ("binary", "json"):
            w = worker("kernel('softmax_vjp', dtypes=['f16:f32'])(lambda z, g: z.astype('f4') * g.astype('f4') / np.float32(3))", frames)
            ((code, got),) = w.ask([(0, [1.0, 0.5], 0, 0.0, [1.0, 0.25])])
            self.assertEqual((code, got.tolist()), (0, [float(np.float32(1 / 3)), float(np.float32(1 / 24))]))
            w.close()

    @unittest.skipUnless(HAS_BF16, "ml_dtypes is not installed")
    def test_bf16_comes_through_in_both_forms(self):
        for frames in ("binary", "json"):
            w = worker("kernel('softmax_vjp', dtypes=['bf16'])(lambda z, g: z * g)", frames)
            ((code, got),) = w.ask([(0, [1.0, -np.inf, 3.140625], 0, 0.0, [2.0, 1.0, 0.5])])
            self.assertEqual((code, got.astype(float).tolist()), (0, [2.0, -np.inf, 1.5703125]))
            w.close()


# Sets bits of MXCSR by way of libm's fenv_t.
MXCSR = """
import ctypes
def set_mxcsr(bits):
    environment = ctypes.create_string_buffer(64)
    libm = ctypes.CDLL(None)
    libm.fegetenv(environment)
    ctypes.c_uint32.from_buffer(environment, 28).value |= bits
    libm.fesetenv(environment)
"""
FLUSH, UPWARD = 0x8040, 0x4000


@unittest.skipUnless((sys.platform, platform.machine()) == ("linux", "x86_64"), "the tests know this layout of fenv_t")
class Batches(unittest.TestCase):
    """Functions of batches get their rows at a stride, and what lies between them."""

    BODY = """
    seen = lambda z, y: y if z.base is not None and z.strides[1] == z.itemsize else 1 / 0
    kernel("softmax", dtypes=["f32"], name="echo", batched=True)(lambda z: seen(z, z * 2))
    kernel("cross_entropy", dtypes=["f64"], name="echo", batched=True)(lambda z, t, e: z[np.arange(len(z)), t] + e)
    kernel("softmax_vjp", dtypes=["f16"], name="echo", batched=True)(lambda z, g: z + g)
    kernel("scaled_softmax", dtypes=["f32"], name="echo", batched=True)(lambda z, s: np.full(z.shape, s, z.dtype))
    kernel("logsumexp", dtypes=["f32"], name="echo", batched=True)(lambda z: z.base.ravel()[2:2 + len(z)])
    kernel("log_softmax", dtypes=["f32"], name="echo", batched=True)(lambda z: z.fill(0) or z)
    kernel("logsumexp", dtypes=["f64"], name="echo")(lambda z: z[:1])
    kernel("entropy", dtypes=["f32"], name="echo", batched=True)(lambda z: z)
    """

    @staticmethod
    def call(number, dtype, rows, strides=(3, 4), targets=None, scalar=0.0, other=None, fill=7.0):
        """A batch in a binary request."""
        message = struct.pack("<IIIIQQQd", number, len(rows[0]), len(rows), 0, *strides, 5, scalar)
        message += b"".join(struct.pack("<Q", target) for target in targets or ())
        for array, stride in ((rows, strides[0]), (other, strides[1])):
            for place, row in enumerate(array or ()):
                between = [] if place + 1 == len(array) else [fill] * (stride - len(row))
                message += np.array([*row, *between], dtype).tobytes()
        return message

    def ask(self, w, number, rows, **more):
        message = struct.pack("<I", 1) + self.call(number, w.dtype(number), rows, **more)
        w.process.stdin.write(struct.pack("<Q", len(message)) + message)
        w.process.stdin.flush()
        return w.binary_answers([(number,)] * len(rows))

    def test_every_shape_of_arguments(self):
        w = worker(self.BODY)
        self.assertEqual(w.hello["logitfuzz_worker"], 2)
        self.assertEqual([f.get("batched", False) for f in w.functions], [True] * 6 + [False, True])
        rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
        values = lambda answers: [list(values) if code == 0 else values for code, values in answers]
        self.assertEqual(values(self.ask(w, 0, rows)), [[2.0, 4.0], [6.0, 8.0], [10.0, 12.0]])
        self.assertEqual(values(self.ask(w, 0, rows[:1])), [[2.0, 4.0]])
        self.assertEqual(values(self.ask(w, 1, rows, targets=[1, 0, 1], scalar=0.5)), [[2.5], [3.5], [6.5]])
        self.assertEqual(values(self.ask(w, 2, rows, other=rows)), [[2.0, 4.0], [6.0, 8.0], [10.0, 12.0]])
        self.assertEqual(values(self.ask(w, 3, rows, scalar=-0.25)), [[-0.25, -0.25]] * 3)
        # Between the first row and the second, and then the second.
        self.assertEqual(values(self.ask(w, 4, rows)), [[7.0], [3.0], [4.0]])
        self.assertEqual([code for code, _ in self.ask(w, 5, rows)], [4, 4, 4])
        self.assertEqual(values(w.ask([(6, [9.0])])), [[9.0]])
        (code, text), *rest = self.ask(w, 7, rows)
        self.assertEqual((code, len(rest)), (1, 2))
        self.assertIn("entropy of 3 rows of 2 logits returned shape (3, 2), not (3,) or (3, 1)", text)
        self.assertEqual(w.close(), (0, ""))

    def test_json(self):
        w = worker("kernel('cross_entropy', dtypes='f32', batched=True)(lambda z, t, e: z[np.arange(len(z)), t] + e)", "json")
        call = {"function": 0, "op": "cross_entropy", "dtype": "f32", "logits": [hexes([1, 2]), hexes([3, 4])], "target": [1, 0]}
        w.process.stdin.write(json.dumps({"rows": [{**call, "label_smoothing": "0x1p-1"}]}).encode() + b"\n")
        w.process.stdin.flush()
        self.assertEqual([list(values) for _, values in w.json_answers([(0,), (0,)])], [[2.5], [3.5]])
        self.assertEqual(w.close(), (0, ""))

    def test_what_returns_its_outputs_is_not_in_place(self):
        with self.assertRaisesRegex(AssertionError, "cannot claim in_place"):
            worker("kernel('softmax', batched=True, claims='in_place')(lambda z: z)")


class TheEnvironment(unittest.TestCase):
    def test_a_call_that_leaves_it_changed_is_found_out_and_reaches_no_other_row(self):
        for bits, words in ((FLUSH, "flush-to-zero and denormals-are-zero are on"), (UPWARD, "the rounding mode is upward")):
            w = worker(MXCSR + f"""
@kernel("softmax", dtypes=["f32"])
def f(z):
    if z[0] == 1: set_mxcsr({bits})
    return z * np.float32(0.5)
@kernel("log_softmax", dtypes=["f32"])
def g(z):
    set_mxcsr({bits})
    raise ValueError("an exception counts more")
""")
            small = 2.0**-140
            first, changed, raised, last = w.ask([(0, [small]), (0, [1.0]), (1, [1.0]), (0, [small])])
            self.assertEqual((first[1].tolist(), last[1].tolist()), ([small / 2], [small / 2]))
            self.assertEqual(changed, (5, f"after the call {words}"))
            self.assertEqual(raised[0], 1)
            self.assertNotIn("environment", w.hello["kernels"][0])
            self.assertEqual(w.close(), (0, ""))

    def test_what_a_module_sets_when_it_is_imported_is_what_functions_are_called_in(self):
        body = MXCSR + f"""
set_mxcsr({FLUSH})
kernel("softmax", dtypes=["f32"])(lambda z: z * np.float32(0.5))
kernel("log_softmax", dtypes=["f64"])(lambda z: z.astype(np.float32) if z[0] else z)
"""
        w = worker(body)
        self.assertEqual(w.hello["kernels"][0]["environment"], "flush_to_zero")
        # The function flushes; what the worker converts afterwards is kept.
        answers = w.ask([(0, [2.0**-140]), (1, [2.0**-100])])
        self.assertEqual([(code, got.tolist()) for code, got in answers], [(0, [0.0]), (0, [2.0**-100])])
        self.assertEqual(w.close(), (0, ""))

    def test_an_import_that_changes_how_everything_is_rounded_is_told_of_every_row(self):
        w = worker(MXCSR + f"set_mxcsr({UPWARD})\nkernel('softmax', dtypes=['f32'])(lambda z: z)")
        (answer,) = w.ask([(0, [1.0])])
        self.assertEqual(answer, (5, "after the modules were imported the rounding mode is upward"))
        w.close()


class WhatGoesWrong(unittest.TestCase):
    def errors(self, body, rows, frames="binary"):
        w = worker(body, frames)
        answers = w.ask(rows)
        self.assertEqual(w.close()[0], 0)
        return answers

    def test_an_exception_is_an_error_of_its_row_alone(self):
        body = """
            @kernel("softmax", dtypes=["f32"], name="mine")
            def f(z):
                if z[0] == 1: raise ValueError("one \\udcff\\nclass")
                return z
        """
        for frames in ("binary", "json"):
            first, second, third = self.errors(body, [(0, [0.0]), (0, [1.0]), (0, [2.0])], frames)
            self.assertEqual((first[1].tolist(), third[1].tolist()), ([0.0], [2.0]))
            self.assertEqual((second[0], second[1]), (1, "ValueError: one ?\nclass (<string>, line 6, in f: )"))

    def test_a_result_of_another_dtype_must_keep_every_value(self):
        body = """
            kernel("softmax", dtypes=["f32"], name="exact")(lambda z: z.astype(np.float64))
            kernel("softmax", dtypes=["f32"], name="list")(lambda z: [1, float("nan"), float("-inf")])
            kernel("softmax", dtypes=["f32"], name="wide")(lambda z: np.array([0.5, 0.1, np.nan]))
            kernel("softmax", dtypes=["f32"], name="too large")(lambda z: np.array([1e300, 0, 0]))
            kernel("softmax", dtypes=["f32"], name="too small")(lambda z: np.array([0, 0, 1e-300]))
            kernel("softmax", dtypes=["f32"], name="complex")(lambda z: z + 0j)
            kernel("softmax", dtypes=["f32"], name="text")(lambda z: ["a", "b", "c"])
            kernel("softmax", dtypes=["f32"], name="none")(lambda z: None)
        """
        exact, numbers, *wrong = self.errors(body, [(i, [1.0, 2.0, 3.0]) for i in range(8)])
        self.assertEqual(exact[1].tolist(), [1.0, 2.0, 3.0])
        np.testing.assert_array_equal(numbers[1], [1, np.nan, -np.inf])
        self.assertEqual({code for code, _ in wrong}, {1})
        due = "TypeError: softmax returned float64 where float32 is due, and np.float64"
        self.assertEqual(wrong[0][1], f"{due}(0.1) at 1 is no float32")
        self.assertEqual(wrong[1][1], f"{due}(1e+300) at 0 is no float32")
        self.assertEqual(wrong[2][1], f"{due}(1e-300) at 2 is no float32")
        self.assertEqual(wrong[3][1], "TypeError: softmax returned complex64 where float32 is due")
        self.assertEqual(wrong[4][1], "TypeError: softmax returned <U1 where float32 is due")
        self.assertEqual(wrong[5][1], "ValueError: softmax of 3 logits returned shape (), not (3,)")

    def test_a_result_of_another_shape_is_an_error(self):
        body = """
            kernel("softmax", dtypes=["f32"])(lambda z: z[None])
            kernel("log_softmax", dtypes=["f32"])(lambda z: z[1:])
            kernel("logsumexp", dtypes=["f32"])(lambda z: z)
        """
        texts = [text for _, text in self.errors(body, [(i, [1.0, 2.0]) for i in range(3)])]
        self.assertEqual(texts[0], "ValueError: softmax of 2 logits returned shape (1, 2), not (2,)")
        self.assertEqual(texts[1], "ValueError: log_softmax of 2 logits returned shape (1,), not (2,)")
        self.assertEqual(texts[2], "ValueError: logsumexp of 2 logits returned shape (2,), not () or (1,)")

    def test_a_kernel_that_writes_to_its_input_is_found_out(self):
        body = """
            @kernel("softmax", dtypes=["f32"])
            def f(z):
                z -= 1
                return z
            @kernel("softmax_vjp", dtypes=["f32"])
            def g(z, g):
                g[0] = 7
                return z
        """
        logits, cotangent = self.errors(body, [(0, [1.0, 2.0]), (1, [1.0, 2.0], 0, 0.0, [3.0, 4.0])])
        self.assertEqual(logits, (4, "the kernel changed its logits"))
        self.assertEqual(cotangent, (4, "the kernel changed its cotangent"))

    def test_a_wrong_declaration_ends_before_the_hello(self):
        for body, text in (
            ("", "no kernel is declared"),
            ("kernel('softmin')", "unknown op 'softmin'; the ops are: logsumexp, softmax"),
            ("kernel('softmax', dtypes=['f8'])(abs)", "unknown dtype 'f8'; the dtypes are: f16, bf16, f32, f64"),
            ("kernel('softmax')(abs); kernel('softmax')(abs)", "declares softmax in f32 twice"),
            ("kernel('softmax', name='a', version='1')(abs); kernel('logsumexp', name='a')(abs)", "with another version"),
            ("import logitfuzz_worker as w; w.DTYPES.pop('bf16', 0); kernel('softmax', dtypes=['bf16'])(abs)", "pip install ml_dtypes"),
        ):
            with self.subTest(body=body), self.assertRaises(AssertionError) as raised:
                worker(body)
            self.assertIn(text, str(raised.exception))


@unittest.skipUnless(all(map(importlib.util.find_spec, LIBRARIES)) and HAS_BF16, "the libraries are not installed")
class TheReadyScripts(unittest.TestCase):
    """Every function that a script serves, on ordinary rows: what is wrong here is wrong in the script, not in the library."""

    def test_every_function_is_right_on_ordinary_rows(self):
        served = {}
        for script in SCRIPTS:
            w = Worker(sys.executable, f"{script}_kernels.py")
            for number, function in enumerate(w.functions):
                with self.subTest(script=script, **function):
                    self.check(w, number, function)
                served.setdefault(function["kernel"], set()).add((function["op"], function["dtype"]))
            self.assertEqual(w.close()[0], 0)
        counts = {name: len(functions) for name, functions in served.items()}
        functions = {"scipy": 15, "pytorch": 100, "pytorch-columns": 36, "jax": 48, "jax-jit": 48, "onnxruntime": 12}
        self.assertEqual(counts, {**functions, "optax": 24, "optax-soft-labels": 8})

    def check(self, w, number, function):
        op, dtype = function["op"], DTYPES[function["dtype"]]
        # The masses of a distribution, which are labels as well.
        is_share = op.startswith(("soft_cross_entropy", "bce"))
        direction = [0.5, 0.25, 0.0, 0.25] if is_share else [2.0, -1.0, 0.5, 3.0]
        z = [-0.5, -2.0, -3.0, -1.25] if op == "log1mexp" else [0.5, -2.0, 3.0, 1.25]
        # A function without label smoothing is only ever given 0.
        smoothings = (0.0, 0.25) if function.get("label_smoothing", True) else (0.0,)
        if op.startswith("mean"):
            return self.check_mean(w, number, op, dtype)
        rows = [(number, z, 1, smoothing, direction) for smoothing in smoothings]
        if "cross_entropy" not in op and not function.get("min_len"):
            rows.append((number, [], 0, 0.0, []))
        for (_, logits, target, smoothing, _), (code, got) in zip(rows, w.ask(rows)):
            self.assertEqual(code, 0, got)
            if logits:
                self.close_to(got, dtype, truth(op, z, target, smoothing, direction))
            else:
                # Of no logit: what one output is, and of others none.
                self.assertEqual(got.tolist(), {"logsumexp": [-np.inf], "kl_divergence": [0.0]}.get(op, []))
        # Another target, for a script that takes the wrong one.
        if op.startswith("cross_entropy"):
            other = (z, 2, smoothings[-1], None)
            self.close_to(w.ask([(number, *other)])[0][1], dtype, truth(op, *other))

    def check_mean(self, w, number, op, dtype):
        """Two rows of four, and one that is ignored."""
        z, other = [0.5, -2.0, 3.0, 1.25], [1.0, 0.0, -1.0, 2.0]
        ((code, got),) = w.ask([(number, z + [7.0] * 4 + other, [1, None, 3])])
        self.assertEqual(code, 0, got)
        of = op.removeprefix("mean_")
        first, second = (np.array(truth(of, row, target, 0.0, None)) for row, target in ((z, 1), (other, 3)))
        if op == "mean_cross_entropy":
            self.close_to(got, dtype, (first + second) / 2)
        else:
            self.close_to(got, dtype, np.concatenate([first / 2, np.zeros(4), second / 2]))

    def close_to(self, got, dtype, true):
        """Within four units of the dtype, absolute and relative: what a good kernel may be off for four ordinary logits."""
        few = 4 * float(ml_dtypes.finfo(dtype).eps)
        np.testing.assert_allclose(got.astype(float), true, rtol=few, atol=few)


def truth(op, z, target, smoothing, direction):
    """The value of an op in f64, from its definition; for ordinary logits only."""
    z = np.array(z)
    lse = np.log(np.exp(z).sum())
    p, q = np.exp(z - lse), (1 - smoothing) * (np.arange(len(z)) == target) + smoothing / len(z)
    g, s = None if direction is None else np.array(direction), 1 / (1 + np.exp(-z))
    t = None if g is None else np.exp(g) / np.exp(g).sum()
    return {
        "logsumexp": lambda: np.array([lse]),
        "softmax": lambda: p,
        "log_softmax": lambda: z - lse,
        "cross_entropy": lambda: np.array([-(q * (z - lse)).sum()]),
        "cross_entropy_grad": lambda: p - q,
        "softmax_vjp": lambda: p * (g - (p * g).sum()),
        "softmax_jvp": lambda: p * (g - (p * g).sum()),
        "log_softmax_vjp": lambda: g - p * g.sum(),
        "log_softmax_jvp": lambda: g - (p * g).sum(),
        "entropy": lambda: np.array([-(p * (z - lse)).sum()]),
        "attention": lambda: np.array([(p * g).sum()]),
        "kl_divergence": lambda: np.array([(t * (np.log(t) - z + lse)).sum()]),
        "kl_divergence_grad": lambda: p - t,
        "logcumsumexp": lambda: np.log(np.cumsum(np.exp(z))),
        "soft_cross_entropy": lambda: np.array([-(g * (z - lse)).sum()]),
        "soft_cross_entropy_grad": lambda: p - g,
        "log1mexp": lambda: np.log1p(-np.exp(z)),
        "sigmoid": lambda: s,
        "softplus": lambda: np.logaddexp(z, 0),
        "log_sigmoid": lambda: -np.logaddexp(-z, 0),
        "sigmoid_vjp": lambda: g * s * (1 - s),
        "log_sigmoid_vjp": lambda: g * (1 - s),
        "bce_with_logits": lambda: np.logaddexp(z, 0) - z * g,
        "bce_with_logits_grad": lambda: s - g,
    }[op]()


if __name__ == "__main__":
    unittest.main()
