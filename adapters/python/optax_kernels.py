"""Optax's cross entropy and its gradient on the CPU as a worker of logitfuzz: `--kernel 'exec:python3 adapters/python/optax_kernels.py'`.

Two kernels: `optax` takes softmax_cross_entropy_with_integer_labels where there is no label smoothing, as one does, and
smooth_labels where there is; `optax-soft-labels` always takes a one-hot row through smooth_labels. Both are compiled by jax.jit
as a whole, and the gradient is jax.grad's. jax_kernels.py says what is to know of compiling.
"""

from jax_on_cpu import declare
from logitfuzz_worker import serve

import jax
import optax


def integer_labels(z, target):
    return optax.losses.softmax_cross_entropy_with_integer_labels(z, target)


def soft_labels(z, target, smoothing):
    labels = optax.losses.smooth_labels(jax.nn.one_hot(target, z.size, dtype=z.dtype), smoothing)
    return optax.losses.softmax_cross_entropy(z, labels)


def declare_both(op, prepare):
    hard, soft = jax.jit(prepare(integer_labels)), jax.jit(prepare(soft_labels))
    version = f"{optax.__version__} with jax {jax.__version__}"

    def either(z, target, smoothing):
        return soft(z, target, smoothing) if smoothing else hard(z, target)

    declare(op, "optax", version, either)
    declare(op, "optax-soft-labels", version, soft)


def declare_of_two(op, loss):
    version = f"{optax.__version__} with jax {jax.__version__}"
    declare(op, "optax", version, jax.jit(loss))
    declare(f"{op}_grad", "optax", version, jax.jit(jax.grad(lambda z, other: loss(z, other).sum())))


declare_of_two("bce_with_logits", optax.losses.sigmoid_binary_cross_entropy)
declare_of_two("soft_cross_entropy", optax.losses.softmax_cross_entropy)
declare_both("cross_entropy", lambda loss: loss)
declare_both("cross_entropy_grad", jax.grad)
serve()
