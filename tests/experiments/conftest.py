"""A small sweep, run once, alone and undisturbed: what all others must equal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.__main__ import main
from common.data import meld
from common.data.synthetic import synthetic_corpus
from tests.small import result_of

ROOT = Path(__file__).resolve().parents[2]
RUNS = ["MELD/full/seed_1", "MELD/own-modality-gate/seed_1", "MELD/full/seed_2", "MELD/own-modality-gate/seed_2"]


def command(*words):
    return [sys.executable, "-m", "common", "experiments", *map(str, words)]


def experiments(*words):
    """`python -m common experiments` with these words; its result, after checking its status."""
    done = subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def refused(capsys):
    """The line with which `python -m common experiments` refuses these words; called in this process."""

    def refused(*words):
        printed, status = result_of(lambda: main(["experiments", *map(str, words)]), capsys)
        assert (printed.err.count("\n"), status) == (1, 2)
        return printed.err.rstrip("\n")

    return refused


def outcome(sweep):
    """All results.csv and predictions.csv of a sweep, by name."""
    files = [*sweep.glob("*/*/*/results.csv"), *sweep.glob("*/*/*/predictions.csv")]
    return {str(path.relative_to(sweep)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Options of a small sweep, four runs of a second or two."""
    data = tmp_path_factory.mktemp("small")
    widths = {"text": 40, "event": 30, "audio": 20, "visual": 25}
    meld.write(synthetic_corpus("MELD", sizes=(64, 4, 6), turns=(3, 6), widths=widths), data / meld.FOLDER)
    return ["--datasets", "MELD", "--tables", 3, 6, "--seeds", 1, 2, "--epochs", 10, "--data-dir", data]


@pytest.fixture(scope="session")
def quiet(small, tmp_path_factory):
    """The folder of that sweep, run one after the other."""
    sweep = tmp_path_factory.mktemp("quiet") / "sweep"
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    subprocess.run(command("run", "--output", sweep, *small, "--jobs", 1), cwd=ROOT, check=True, env=environment)
    return sweep
