"""How the scripts for JAX set it up: one thread of the CPU, all four dtypes, compiled code kept. Import it before jax."""

import logitfuzz_worker  # first, so that nothing JAX prints reaches standard output

import os
import pathlib

# JAX reads them when it is imported.
os.environ.update(JAX_PLATFORMS="cpu", OMP_NUM_THREADS="1", NPROC="1")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "logitfuzz" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))

import jax

# f64 is not available otherwise.
jax.config.update("jax_enable_x64", True)
# Results are wanted at once, so a thread for each call only costs time.
jax.config.update("jax_cpu_enable_async_dispatch", False)
# Keep everything that was compiled, not only what took long or is large.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)



def declare(op, name, version, call):
    """Declares a function to be a kernel's `op` in all four dtypes.

    Subnormal numbers count as zero: XLA sets the CPU that way, and JAX says so among its sharp bits. f16 is computed in f32,
    where f16's subnormal numbers are none.
    """
    logitfuzz_worker.kernel(op, dtypes=["f16"], name=name, version=version)(call)
    logitfuzz_worker.kernel(op, dtypes=["bf16", "f32", "f64"], name=name, version=version, claims="flush_to_zero")(call)
