"""PyTorch's softmax family on the CPU as a worker of logitfuzz: `--kernel 'exec:python3 adapters/python/pytorch_kernels.py'`.

Two kernels, for PyTorch has two implementations of softmax and log_softmax: `pytorch` runs along the last dimension, which is
contiguous, and `pytorch-columns` down the columns of a matrix, as over the channels of an image. Gradients are PyTorch's own:
backward for cotangents and the cross entropy, forward mode for tangents.
"""

import os

# The libraries below read it when they are imported. A GPU has other kernels; these are the CPU's.
os.environ.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

from logitfuzz_worker import IGNORED, kernel, serve

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.nn import functional

torch.set_num_threads(1)

OPS = {"softmax": torch.softmax, "log_softmax": torch.log_softmax, "logsumexp": torch.logsumexp}
ELEMENTS = {"sigmoid": torch.sigmoid, "softplus": functional.softplus, "log_sigmoid": functional.logsigmoid}


def tensor(array):
    """A tensor of the same memory. numpy has bf16 from another package, which PyTorch does not know; it knows the bits."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def values(result, like):
    """The numpy array of a tensor; `like` has its dtype."""
    result = result.detach()
    return result.view(torch.uint16).numpy().view(like.dtype) if result.dtype == torch.bfloat16 else result.numpy()


def row(call):
    """`call` along the only dimension."""
    return lambda z: call(z, -1)


def column(call):
    """`call` down the columns of a matrix, of which there are two: down a single one, PyTorch does as along a row."""
    return lambda z: call(torch.stack((z, z), 1), 0)[..., 0]


def forward(f):
    return lambda z: values(f(tensor(z)), z)


def vjp(f):
    def product(z, cotangent):
        logits = tensor(z).requires_grad_()
        (result,) = torch.autograd.grad(f(logits), logits, tensor(cotangent))
        return values(result, z)

    return product


def jvp(f):
    def product(z, tangent):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(tensor(z), tensor(tangent))
            return values(forward_ad.unpack_dual(f(dual)).tangent, z)

    return product


def loss(logits, target, smoothing):
    return functional.cross_entropy(logits, torch.tensor(target), label_smoothing=smoothing)


def column_loss(logits, target, smoothing):
    """The same of one sample with two positions, all of whose logits are equal."""
    both = torch.stack((logits, logits), 1)[None]
    return functional.cross_entropy(both, torch.full((1, 2), target), label_smoothing=smoothing, reduction="none")[0, 0]


def declare(name, along, cross_entropy):
    about = {"dtypes": ("f16", "bf16", "f32", "f64"), "name": name, "version": torch.__version__}
    for op, call in OPS.items():
        kernel(op, **about)(forward(along(call)))
    for op in ("softmax", "log_softmax"):
        kernel(f"{op}_vjp", **about)(vjp(along(OPS[op])))
        kernel(f"{op}_jvp", **about)(jvp(along(OPS[op])))

    @kernel("cross_entropy", **about)
    def forward_loss(z, target, smoothing):
        return values(cross_entropy(tensor(z), target, smoothing), z)

    @kernel("cross_entropy_grad", **about)
    def gradient(z, target, smoothing):
        logits = tensor(z).requires_grad_()
        (result,) = torch.autograd.grad(cross_entropy(logits, target, smoothing), logits)
        return values(result, z)


declare("pytorch", row, loss)
for op, call in ELEMENTS.items():
    kernel(op, dtypes=("f16", "bf16", "f32", "f64"), name="pytorch", version=torch.__version__)(forward(call))
for op in ("sigmoid", "log_sigmoid"):
    kernel(f"{op}_vjp", dtypes=("f16", "bf16", "f32", "f64"), name="pytorch", version=torch.__version__)(vjp(ELEMENTS[op]))


def binary_loss(logits, label):
    return functional.binary_cross_entropy_with_logits(logits, label, reduction="none")


def soft_loss(logits, distribution):
    return functional.cross_entropy(logits, distribution)


def of_two(f):
    return lambda z, other: values(f(tensor(z), tensor(other)), z)


def gradient_of_two(f):
    def gradient(z, other):
        logits = tensor(z).requires_grad_()
        (result,) = torch.autograd.grad(f(logits, tensor(other)).sum(), logits)
        return values(result, z)

    return gradient


def divergence(logits, target_logits):
    """Both as logarithms of probabilities, as distillation losses have them."""
    own, target = (functional.log_softmax(row, -1) for row in (logits, target_logits))
    return functional.kl_div(own, target, reduction="sum", log_target=True)


for op, f in (("bce_with_logits", binary_loss), ("soft_cross_entropy", soft_loss), ("kl_divergence", divergence)):
    about = {"dtypes": ("f16", "bf16", "f32", "f64"), "name": "pytorch", "version": torch.__version__}
    kernel(op, **about)(of_two(f))
    kernel(f"{op}_grad", **about)(gradient_of_two(f))


@kernel("entropy", dtypes=("f16", "bf16", "f32", "f64"), name="pytorch", version=torch.__version__, min_len=1)
def entropy(z):
    # It looks at its arguments, and refuses a row with NaN or +inf, unless it is told not to.
    return values(torch.distributions.Categorical(logits=tensor(z), validate_args=False).entropy(), z)


@kernel("attention", dtypes=("f16", "bf16", "f32", "f64"), name="pytorch", version=torch.__version__, min_len=1)
def attention(z, v):
    """One query of 1 and keys of one number each: the scores are the logits."""
    keys, channel = tensor(z).reshape(1, 1, -1, 1), tensor(v).reshape(1, 1, -1, 1)
    query = torch.ones((1, 1, 1, 1), dtype=keys.dtype)
    return values(functional.scaled_dot_product_attention(query, keys, channel, scale=1.0).reshape(1), z)


def mean_loss(logits, targets):
    return functional.cross_entropy(logits, torch.from_numpy(targets), ignore_index=IGNORED)


about = {"dtypes": ("f16", "bf16", "f32", "f64"), "name": "pytorch", "version": torch.__version__}


@kernel("mean_cross_entropy", **about, min_len=1)
def forward_mean(z, targets):
    return values(mean_loss(tensor(z), targets), z)


@kernel("mean_cross_entropy_grad", **about, min_len=1)
def gradient_of_mean(z, targets):
    logits = tensor(z).requires_grad_()
    (result,) = torch.autograd.grad(mean_loss(logits, targets), logits)
    return values(result, z)


kernel("logcumsumexp", **about)(forward(row(torch.logcumsumexp)))
declare("pytorch-columns", column, column_loss)
serve()
