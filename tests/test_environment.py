import importlib.metadata
import platform
import subprocess
import sys

import pytest
import torch

from common import environment
from common.environment import allow_tf32, choose_device, describe, device_name, matrix_library
from common.errors import InputError


def test_the_printed_lines_are_those_of_this_machine():
    printed = subprocess.run(
        [sys.executable, "-m", "common", "environment"], capture_output=True, text=True, check=True
    ).stdout
    lines = dict(line.split(": ", 1) for line in printed.splitlines())
    assert lines == {name: str(value) for name, value in describe().items()}
    assert lines["python"] == platform.python_version()
    assert lines["torch"] == importlib.metadata.version("torch")
    assert {"system", "cpu", "memory", "gpu", "driver", "cuda", "numpy", "pandas"} <= set(lines)


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "cuda:x", "cpu:0", ""):
        with pytest.raises(InputError, match="expected auto, cpu, cuda, cuda:N or mps"):
            choose_device(name)
    with pytest.raises(InputError, match="device cuda:99: this machine has") as error:
        choose_device("cuda:99")
    assert error.value.change == ["device"]


def test_tf32_only_where_asked_for():
    for precision, expected in (("tf32", "high"), ("float32", "highest"), ("bfloat16", "highest")):
        allow_tf32(precision)
        assert torch.get_float32_matmul_precision() == expected


INTEL = "vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512f\n"
ZEN_5 = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 avx512f\n"
ZEN_3 = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2\n"


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """A function that makes this machine's processor another one, and forgets what was asked before."""

    def become(cpuinfo, chosen=None):
        matrix_library.cache_clear()
        path = tmp_path / "cpuinfo"
        path.write_text(cpuinfo)
        monkeypatch.setattr(environment, "CPUINFO", str(path))
        monkeypatch.setenv("ECERC_MATRIX_LIBRARY", chosen or "")

    yield become
    matrix_library.cache_clear()


@pytest.mark.parametrize(
    ("cpuinfo", "expected"), [(INTEL, "pytorch"), (ZEN_5, "onednn"), (ZEN_3, "pytorch"), ("", "pytorch")]
)
def test_the_processor_alone_chooses_the_matrix_library(processor, cpuinfo, expected):
    processor(cpuinfo)
    assert matrix_library() == expected
    for other in ("onednn", "pytorch"):
        processor(cpuinfo, other)
        assert matrix_library() == other
    processor(cpuinfo, "mkl")
    with pytest.raises(InputError, match="ECERC_MATRIX_LIBRARY: found 'mkl'; expected onednn or pytorch"):
        matrix_library()


def test_a_run_says_what_multiplied(processor):
    processor(ZEN_5)
    assert device_name(torch.device("cpu")).endswith("threads, products by oneDNN")
    processor(ZEN_5, "pytorch")
    default = "MKL" if torch.backends.mkl.is_available() else "PyTorch's default"
    assert device_name(torch.device("cpu")).endswith(f"products by {default}")


def test_memory_is_kept_where_the_c_library_can():
    """Pages that a freed tensor had are used again: taking as much once more needs few new ones."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library is not glibc")
    code = """
import resource, torch
{}
for k in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.zeros((1 + (3 * i + k) % 7) * 2**20) for i in range(8)]
    del tensors
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    without, kept = (
        int(subprocess.run([sys.executable, "-c", code.format(first)], capture_output=True, check=True).stdout)
        for first in ("", "from common.environment import keep_memory; keep_memory()")
    )
    assert kept < without / 2
