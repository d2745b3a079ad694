"""A short run of the fuzzer on each reader; longer ones by hand, see docs/safety.md."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SECONDS = 3


@pytest.mark.parametrize("target", ["features", "checkpoint"])
def test_no_input_found_in_some_seconds_breaks_an_invariant(tmp_path, target):
    if find_spec("atheris") is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs atheris, and it is not there")
        pytest.skip("needs atheris, which exists for Python 3.11 to 3.13 on Linux")
    here = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.fuzz", target, str(tmp_path), f"-max_total_time={SECONDS}"]
    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"], cwd=here, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    runs = int(done.stderr.rpartition("Done ")[2].split()[0])
    assert runs > 50
    print(f"{target}: {runs} executions")
