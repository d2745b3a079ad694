"""A copy of the project with small conversations, in which scripts are run as a user runs them."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.data import iemocap, meld
from tests.small import result_of, small_corpus

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--hidden-width", "8", "--heads", "2", "--head-width", "4", "--epochs", "2", "--learning-rate", "0.01"]


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the project, with data in it."""
    project = tmp_path_factory.mktemp("project")
    for name in ("common", "IEMOCAP", "MELD"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.pkl"))
    iemocap.write(small_corpus("IEMOCAP", sizes=(18, 2, 5)), project / "data" / "iemocap")
    meld.write(small_corpus("MELD", sizes=(12, 3, 5)), project / "data" / "meld")
    return project


def call(folder, *words, status=0):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture
def in_process(monkeypatch, capsys):
    """Run a script in this process, which saves starting another; returns what it printed, and its status."""

    def in_process(folder, script, *words):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, words)])
        monkeypatch.setattr(sys, "path", [*sys.path])
        return result_of(lambda: runpy.run_path(str(script), run_name="__main__"), capsys)

    return in_process


@pytest.fixture
def inside(project, in_process):
    """The same with the small conversations."""
    return lambda folder, script, *words: in_process(folder, script, "--data-dir", project / "data", *words)


@pytest.fixture
def ran(inside):
    """What a script prints that ends well."""

    def ran(*words):
        printed, status = inside(*words)
        assert not status, printed.err
        return printed.out

    return ran


@pytest.fixture
def refused(inside):
    """The one line that a wrong call ends in, with status 2."""

    def refused(*words):
        printed, status = inside(*words)
        assert status == 2
        assert re.fullmatch(r"(train|inference)\.py: error: [^\n]+\n", printed.err), printed.err
        return printed.err

    return refused


@pytest.fixture(scope="session")
def run(project):
    """A finished run of MELD in the default folder, made from inside the script's folder."""
    done = call(project / "MELD", "train.py", *SMALL, "--empty-history", "strict", "--batch-size", 4)
    (run,) = (project / "MELD" / "runs").iterdir()
    assert str(run.name) in done.stdout
    assert "seed 2 (3/3)" in done.stderr
    return run
