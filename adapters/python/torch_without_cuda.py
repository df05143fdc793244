"""Makes the PyTorch wheel of PyPI importable without the CUDA libraries it was linked with.

PyPI has no CPU-only wheel of PyTorch for Linux on x86-64. Its wheel names a dozen packages of CUDA libraries, several gigabytes, and the
dynamic loader wants them all before anything runs, though a computation on the CPU calls none of them. The CUDA runtime alone is
needed in earnest (PyTorch registers its GPU kernels with it when it is loaded); it is small, and requirements.txt has it.

For each other library this writes a stand-in next to PyTorch's own: a shared object of that name whose functions all abort.
What computes on the CPU (libtorch_cpu.so) is not touched. Run it with the Python of the virtual environment, after
`pip install --no-deps -r requirements.txt`. It needs cc, nm and readelf. It does nothing where torch already loads.
"""

import importlib.util
import pathlib
import re
import subprocess
import sys

# The libraries that get a stand-in, and the names of their functions.
LIBRARIES = re.compile(r"lib(cublas|cublasLt|cudnn|cufft|cufile|cupti|cusolver|cusparse|cusparseLt|nccl|nvrtc|nvshmem_host)\.so\.\d+$")
FUNCTIONS = re.compile(r"(cublas|cudnn|cufft|cuFile|cupti|cusolver|cusparse|nccl|nvrtc|nvshmem)\w+$")


def output_of(*command):
    """The lines that a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def main():
    if subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0:
        return
    package = importlib.util.find_spec("torch")
    if package is None:
        sys.exit("torch_without_cuda: torch is not installed here; run pip install --no-deps -r requirements.txt first")
    folder = pathlib.Path(package.origin).parent / "lib"
    wheels = [str(path) for path in folder.glob("lib*.so")]
    needed = {line.split("[")[1].rstrip("]") for line in output_of("readelf", "-d", *wheels) if "(NEEDED)" in line}
    undefined = {line.split()[-1].split("@")[0] for line in output_of("nm", "-D", "--undefined-only", *wheels) if line.strip()}
    names = sorted(filter(FUNCTIONS.match, undefined))
    source = "void abort(void);\n" + "".join(f"void {name}(void) {{ abort(); }}\n" for name in names)
    for library in sorted(filter(LIBRARIES.match, needed)):
        command = ["cc", "-shared", "-fPIC", "-fno-builtin", f"-Wl,-soname,{library}", "-x", "c", "-", "-o", str(folder / library)]
        subprocess.run(command, input=source, check=True, text=True)
    subprocess.run([sys.executable, "-c", "import torch"], check=True)


if __name__ == "__main__":
    main()
