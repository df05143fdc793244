"""SciPy's softmax family as a worker of logitfuzz: `--kernel 'exec:python3 adapters/python/scipy_kernels.py'`.

scipy.special has six of the ops, and computes in the dtype that it is given, sums too: so its half precision is f16 throughout.
"""

import os

# The libraries below read it when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"

from logitfuzz_worker import kernel, serve

import scipy
from scipy import special

ABOUT = {"name": "scipy", "version": scipy.__version__}

# numpy's f32 exp and log are its own; its source (loops_exponent_log.dispatch.c.src) gives their largest relative errors over
# all f32, 2.1264e-7 and 2.359e-7, which are 3.57 and 3.96 units of roundoff. The others are held to the default.
F32_CLAIMS = "exp=3.57,log=3.96"

# Without elements, these two raise a ValueError, as numpy's max does.
LEAST = {"softmax": 1, "log_softmax": 1}

for op, call in (("softmax", special.softmax), ("log_softmax", special.log_softmax), ("logsumexp", special.logsumexp)):
    kernel(op, dtypes=["f16", "f64"], min_len=LEAST.get(op), **ABOUT)(call)
    kernel(op, dtypes=["f32"], claims=F32_CLAIMS, min_len=LEAST.get(op), **ABOUT)(call)

# Elementwise, and in C and C++ throughout.
for op, call in (("sigmoid", special.expit), ("softplus", special.softplus), ("log_sigmoid", special.log_expit)):
    kernel(op, dtypes=["f32", "f64"], **ABOUT)(call)

serve()
