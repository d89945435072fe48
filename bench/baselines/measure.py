"""An honest stage for a timing: the right interpreter, the BLAS core of this processor, and what was measured on.

Import this before numpy and torch, and call `prepare_process` before importing either: OpenBLAS chooses its
kernels and its threads when it is loaded.
"""

import ctypes
import importlib.util
import os
import sys
import time

DEBIAN_PYTHON = "/usr/bin/python3"
AS_FAST = {"SkylakeX": ("skylakex", "cooperlake", "sapphirerapids"), "Haswell": ("haswell", "zen")}  # OpenBLAS's cores
PACKAGES = "apt-get install python3-torch python3-numpy libopenblas0-pthread"


def prepare_process(threads):
    """Starts this script again where torch is missing here, or where OpenBLAS would choose the wrong kernels."""
    python = sys.executable
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("numpy") is None:
        if os.path.realpath(python) == os.path.realpath(DEBIAN_PYTHON) or not os.path.exists(DEBIAN_PYTHON):
            sys.exit(f"error: {python} has no torch and numpy; install them with: {PACKAGES}")
        python = DEBIAN_PYTHON
    wanted = {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    core = fitting_core()
    # An environment may name a core for whatever machine: what is slower than the fitting one does not stand.
    if core and os.environ.get("OPENBLAS_CORETYPE", "").lower() not in AS_FAST[core]:
        wanted["OPENBLAS_CORETYPE"] = core
    if python != sys.executable or any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(python, [python, *sys.argv], {**os.environ, **wanted})


def fitting_core():
    """OpenBLAS does not know every recent processor by name and then falls back to its slowest core; the
    instruction set says what really fits. Nothing where neither AVX-512 nor AVX2 is there."""
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            flags = next((line for line in cpuinfo if line.startswith("flags")), "").split()
    except OSError:
        return None
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= set(flags):
        return "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= set(flags) else None


def blas_core():
    """The name of the core that the loaded OpenBLAS runs, or the name of the library where it is another."""
    with open("/proc/self/maps") as maps:
        libraries = sorted({line.split()[-1] for line in maps if "blas" in line or "mkl_" in line})
    for library in libraries:
        name = getattr(ctypes.CDLL(library), "openblas_get_corename", None)
        if name is not None:
            name.restype = ctypes.c_char_p
            return name().decode()
    return os.path.basename(os.path.realpath(libraries[0])) if libraries else "unknown"


def refuse_slow_core():
    core = blas_core()
    if core == "Prescott":
        sys.exit("error: OpenBLAS runs its Prescott core (SSE3), several times slower than this processor: the run is "
                 "invalid")
    if core.startswith("libblas"):
        sys.exit(f"error: torch runs on the reference BLAS ({core}): the run is invalid; "
                 "apt-get install libopenblas0-pthread")
    return core


def library_of(torch, device):
    """What computes dense products, for the record; refuses a core that is too slow."""
    if device == "cpu":
        return refuse_slow_core()
    if not torch.cuda.is_available():
        sys.exit("error: --device cuda: this PyTorch sees no GPU; use --device cpu")
    return f"CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}"


def sgemm_gflops(torch, device, size=2048, repeats=5):
    """The best rate of a float32 product of two square matrices, 2 size^3 operations, in GFLOP/s."""
    left, right, result = (torch.ones(size, size, dtype=torch.float32, device=device) for _ in range(3))
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(left, right, out=result)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def peak_memory_bytes(torch, device):
    """On a GPU what PyTorch's allocator held at most; else VmHWM, the most memory this process ever had resident."""
    if device == "cuda":
        return torch.cuda.max_memory_reserved()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
