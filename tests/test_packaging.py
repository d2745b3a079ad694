"""`pip install -e .` finds our packages, whatever examples and runs have made beside them."""

import subprocess
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


def test_the_top_holds_what_belongs_there():
    """Notes and results that were left there once came along with a commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    folders = {".ci", "IEMOCAP", "MELD", "benchmarks", "common", "docs", "tests"}
    files = {".gitignore", ".pre-commit-config.yaml", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "OS_info.txt"}
    files |= {"README.md", "pyproject.toml", "requirement.yml"}
    files |= {f"requirements{kind}.txt" for kind in ("", "-dev", "-features", "-opensmile")}
    assert {line.split("/")[0] for line in listed.splitlines()} == folders | files
