"""The machine and the packages that results are obtained with."""

import ctypes
import math
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib import metadata

import torch

from common.errors import InputError

PACKAGES = ("torch", "numpy", "scikit-learn", "pandas", "tqdm", "PyYAML", "matplotlib", "scipy", "joblib")
MATRIX_LIBRARY = "ECERC_MATRIX_LIBRARY"
CPUINFO = "/proc/cpuinfo"  # on Linux


def choose_device(name: str = "auto") -> torch.device:
    """The torch.device for 'auto' (CUDA where there is one, else CPU), 'cpu', 'cuda', 'cuda:N' or 'mps'.

    Raises InputError for another name, and for a device that this machine lacks.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?|mps", name):
        raise InputError(f"device: found {name!r}; expected auto, cpu, cuda, cuda:N or mps", ["device"])
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {name}: this machine has {torch.cuda.device_count()} CUDA devices; try auto", ["device"]
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"device {name}: PyTorch has no MPS on this machine; try auto", ["device"])
    return device


def device_name(device: torch.device) -> str:
    """What the device is, in words."""
    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {_processor()}, {torch.get_num_threads()} threads, products by {products_by()}"


def products_by() -> str:
    """What multiplies float32 matrices on this CPU, in words."""
    default = "MKL" if torch.backends.mkl.is_available() else "PyTorch's default"
    return "oneDNN" if matrix_library() == "onednn" else default


def allow_tf32(precision: str) -> None:
    """Let float32 matrix products use TF32 on NVIDIA GPUs where `precision` is "tf32", and only there."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


@cache
def matrix_library() -> str:
    """What multiplies float32 matrices on this CPU: "onednn", or "pytorch" for PyTorch's own choice, such as MKL.

    oneDNN is the faster one on AMD processors with AVX-512, whose wide units MKL leaves idle, and the slower one on
    Intel's (docs/speed.md). The rule looks at nothing else, so that a machine always gives the same numbers; the
    environment variable ECERC_MATRIX_LIBRARY takes its place. Raises InputError where that holds anything else.
    """
    chosen = os.environ.get(MATRIX_LIBRARY) or ("onednn" if _is_amd_with_avx512() else "pytorch")
    if chosen not in ("onednn", "pytorch"):
        raise InputError(f"{MATRIX_LIBRARY}: found {chosen!r}; expected onednn or pytorch, or unset it")
    if chosen == "onednn" and not torch.backends.mkldnn.is_available():
        return "pytorch"
    return chosen


def keep_memory() -> None:
    """Have the C library keep memory that tensors free, where it is glibc, instead of returning it to the system.

    Otherwise each step asks the system for the same pages again, and waits for them to be zeroed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_threshold, 2**25)


def memory() -> float:
    """Memory of this machine in GiB; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return math.inf


def versions(more: Iterable[str] = ()) -> dict[str, str]:
    """Python and package versions, by name, of PACKAGES and `more`."""
    version_of = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            version_of[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            version_of[package] = "not installed"
    return version_of


def describe() -> dict[str, str]:
    """System, processor, memory, GPUs, driver, CUDA, and `versions()`, by name."""
    kernel = re.match(r"[\d.]*\d", platform.release())
    about = {
        "system": f"{platform.system()} {kernel.group() if kernel else platform.release()} {platform.machine()}",
        "cpu": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory():.0f} GiB",
        "gpu": "; ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) or "none",
        "driver": _driver(),
        "cuda": torch.version.cuda or "none (PyTorch built for CPU)",
    }
    return about | versions()


def _processor():
    try:
        with open(CPUINFO, encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _is_amd_with_avx512():
    try:
        with open(CPUINFO, encoding="utf-8") as file:
            about = file.read(8192)
    except OSError:
        return False
    return "AuthenticAMD" in about and "avx512f" in about


def _driver():
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return "none"
