"""JAX's softmax family on the CPU as a worker of logitfuzz: `--kernel 'exec:python3 adapters/python/jax_kernels.py'`.

Two kernels: `jax` calls the functions as they are, `jax-jit` compiles each as a whole with jax.jit, which fuses and rounds
otherwise. Products are JAX's own derivatives (jax.vjp, jax.jvp). JAX has no cross entropy; optax_kernels.py has.

JAX compiles anew for every op, dtype and length of a row: a tenth to half a second with jax.jit, twice that without; computing
it again takes about a millisecond, or 50 microseconds with jax.jit. So keep --max-len small, and name one of the two kernels
after the script to be served only that one: `jax_kernels.py jax-jit`. Compiled code is kept in ~/.cache/logitfuzz/jax, or where the variable JAX_COMPILATION_CACHE_DIR says, so that a
second run, and a worker that was started again, find it. Give a first run a long --timeout-ms.
"""

import sys

from jax_on_cpu import declare
from logitfuzz_worker import serve

import jax

OPS = {"softmax": jax.nn.softmax, "log_softmax": jax.nn.log_softmax, "logsumexp": jax.nn.logsumexp}


def vjp(f):
    return lambda z, cotangent: jax.vjp(f, z)[1](cotangent)[0]


def jvp(f):
    return lambda z, tangent: jax.jvp(f, (z,), (tangent,))[1]


ALL = {
    **OPS,
    **{f"{op}_vjp": vjp(OPS[op]) for op in ("softmax", "log_softmax")},
    **{f"{op}_jvp": jvp(OPS[op]) for op in ("softmax", "log_softmax")},
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "log_sigmoid": jax.nn.log_sigmoid,
    # It is log(1 - exp(-x)), for x of 0 and above.
    "log1mexp": lambda x: jax.nn.log1mexp(-x),
    "logcumsumexp": jax.lax.cumlogsumexp,
}

KERNELS = {"jax": lambda f: f, "jax-jit": jax.jit}

for name in sys.argv[1:] or KERNELS:
    if name not in KERNELS:
        sys.exit(f"jax_kernels.py: there is no kernel {name!r}; the kernels are: {', '.join(KERNELS)}")
    for op, f in ALL.items():
        declare(op, name, jax.__version__, KERNELS[name](f))
serve()
