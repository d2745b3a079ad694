import importlib.metadata
import platform
import subprocess
import sys

import pytest
import torch

from common.environment import choose_device, describe
from common.errors import InputError


def test_the_printed_lines_are_those_of_this_machine():
    printed = subprocess.run(
        [sys.executable, "-m", "common.environment"], capture_output=True, text=True, check=True
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
    with pytest.raises(InputError, match="--device cuda:99: this machine has"):
        choose_device("cuda:99")
