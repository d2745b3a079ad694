"""`pip install -e .` finds our packages, whatever examples and runs have made beside them."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_only_our_packages_are_found(tmp_path):
    find = pytest.importorskip("setuptools").find_namespace_packages
    include = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    ours = sorted(str(p.parent.relative_to(ROOT)) for p in ROOT.glob("common/**/__init__.py"))
    for folder in (*ours, "talks/data", "sweep-data/meld", "common-sweep/MELD", "common_runs", "data/iemocap", "build"):
        (tmp_path / folder).mkdir(parents=True)
    assert sorted(name.replace(".", "/") for name in find(tmp_path, include=include)) == ours
