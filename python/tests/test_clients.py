"""Real libraries: PyTorch eager and compiled, JAX, and a Triton kernel that is interpreted. Each is skipped, and says so, where it is missing;
`make test-python-clients` brings them."""

import os

import numpy as np
import pytest

import logitfuzz as lf

# Before Triton is imported.
os.environ.setdefault("TRITON_INTERPRET", "1")
SHAPES = {"cases": 8, "max_len": 300}


def library(name):
    return pytest.importorskip(name, reason=f"{name} is not installed", exc_type=ImportError)


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16", "f16"])
def test_pytorch_eager(dtype):
    torch = library("torch")

    def softmax(z):
        return torch.softmax(z, -1)

    assert lf.check(softmax, "softmax", dtype, arrays="torch", **SHAPES).passed
    for batch in lf.rows("softmax", dtype, shape=(16, 100), cases=2):
        lf.assert_accurate(batch, softmax(torch.from_dlpack(batch.logits)))


def test_pytorch_writes_f32_where_bf16_is_read():
    torch = library("torch")
    for batch in lf.rows("softmax", "bf16:f32", shape=(16, 100), cases=2):
        z = torch.from_dlpack(batch.logits)
        assert z.dtype == torch.bfloat16
        lf.assert_accurate(batch, torch.softmax(z.float(), -1))
        with pytest.raises(lf.Unstable):
            lf.assert_accurate(batch, torch.softmax(z, -1))


def test_pytorch_losses_and_gradients():
    torch = library("torch")
    functional = torch.nn.functional

    def loss(z, target, label_smoothing):
        return functional.cross_entropy(z, target, label_smoothing=label_smoothing, reduction="none")

    found = lf.check(loss, "cross_entropy", "f32", arrays="torch", families=["ordinary", "offset", "wide"], **SHAPES)
    assert "panic" not in {finding.verdict for finding in found.findings} and found.cases > 20

    def vjp(z, cotangent):
        z = z.clone().requires_grad_()
        return torch.autograd.grad(torch.softmax(z, -1), z, cotangent)[0]

    assert lf.check(vjp, "softmax_vjp", "f32", arrays="torch", families=["ordinary", "offset"], **SHAPES).passed
    z = torch.zeros(2, 3, requires_grad=True)
    assert lf.judge("softmax", z, torch.softmax(z, -1)).passed


def test_pytorch_on_a_gpu():
    torch = library("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch has no CUDA device here")
    assert lf.check(lambda z: torch.softmax(z, -1), "softmax", ["f32", "bf16"], arrays="torch", device="cuda", **SHAPES).passed
    for batch in lf.rows("softmax", "bf16:f32", shape=(64, 4096), cases=1):
        lf.assert_accurate(batch, torch.softmax(torch.from_dlpack(batch.logits).cuda().float(), -1))


def test_pytorch_compiled():
    torch = library("torch")

    def softmax(z):
        return torch.softmax(z, -1)

    try:
        compiled = torch.compile(softmax, dynamic=True)
        compiled(torch.zeros(2, 3))
    except Exception as error:
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}: {str(error).splitlines()[0][:150]}")
    assert lf.check(compiled, "softmax", "f32", arrays="torch", shape=(16, 65), cases=6).passed
    for batch in lf.rows("softmax", "f32", shape=(16, 65), cases=2):
        lf.assert_accurate(batch, compiled(torch.from_dlpack(batch.logits)))


def test_pytorch_in_a_worker():
    library("torch")
    found = lf.check(torch_softmax, "softmax", "f32", arrays="torch", isolate=True, timeout=60, families=["ordinary", "wide"], cases=4, max_len=100)
    assert found.passed, str(found)


def torch_softmax(z):
    import torch

    return torch.softmax(z, -1)


@pytest.mark.parametrize("dtype", ["f32", "bf16:f32", "f16:f32"])
def test_jax(dtype):
    jax = library("jax")

    @jax.jit
    def softmax(z):
        return jax.nn.softmax(z.astype(jax.numpy.float32), -1)

    # Flushing subnormal numbers is what XLA does on the CPU.
    options = {"claims": "flush_to_zero", "shape": (16, 33)}
    found = lf.check(softmax, "softmax", dtype, arrays="jax", cases=4, **options)
    assert found.passed, str(found)
    for batch in lf.rows("softmax", dtype, shape=(16, 33), cases=2):
        lf.assert_accurate(batch, softmax(jax.numpy.asarray(batch.logits.view(np.ndarray)) if dtype == "f32" else jax.numpy.from_dlpack(batch.logits)), claims="flush_to_zero")


def test_jax_without_f64_says_so():
    jax = library("jax")
    if jax.config.jax_enable_x64:
        pytest.skip("JAX has f64 switched on here")
    with pytest.raises(lf.UsageError, match="jax_enable_x64"):
        lf.check(jax.nn.softmax, "softmax", "f64", arrays="jax")


def test_a_triton_kernel_interpreted():
    torch = library("torch")
    triton = library("triton")
    from triton_softmax import softmax

    try:
        softmax(torch.zeros(2, 3))
    except Exception as error:
        pytest.skip(f"Triton's interpreter does not work here: {type(error).__name__}: {str(error).splitlines()[0][:150]}")
    assert triton.__version__
    found = lf.check(softmax, "softmax", "f32", arrays="torch", shape=(8, 50), cases=4)
    assert found.passed, str(found)
    for batch in lf.rows("softmax", "f32", shape=(8, 50), cases=1):
        lf.assert_accurate(batch, softmax(torch.from_dlpack(batch.logits)))


@pytest.mark.parametrize("kind", ["nn_module", "compiled_jax"])
def test_judge_of_files_for_libraries(kind, run, tmp_path):
    import json

    library("torch" if kind == "nn_module" else "jax")
    file = tmp_path / "answer.py"
    if kind == "nn_module":
        file.write_text(
            "import torch\nimport torch.nn as nn\nclass ModelNew(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
            "    def forward(self, x):\n        return torch.softmax(x, dim=1)\n"
        )
        words = []
    else:
        file.write_text("import jax\nimport jax.numpy as jnp\n@jax.jit\ndef softmax(z):\n    return jnp.exp(z - z.max(-1, keepdims=True)) / jnp.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True)\n")
        words = ["--claims", "flush_to_zero"]
    result = run("judge", file, "--op", "softmax", "--seed", 1, "--format", "json", "--timeout-ms", 60000, "--cases", 6, *words, timeout=300)
    found = json.loads(result.stdout)
    assert (found["verdict"], found["score"]) == ("pass", 1.0), found
