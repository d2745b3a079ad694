"""A small sweep, run once, alone and undisturbed: what all others must equal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from common.__main__ import main
from common.data import meld
from common.data.synthetic import synthetic_corpus
from tests.small import result_of

ROOT = Path(__file__).resolve().parents[2]
RUNS = ["MELD/full/seed_1", "MELD/own-modality-gate/seed_1", "MELD/full/seed_2", "MELD/own-modality-gate/seed_2"]
EPOCHS = 5  # of the runs of the small sweep


def command(*words):
    return [sys.executable, "-m", "common", "experiments", *map(str, words)]


@pytest.fixture
def experiments(capsys):
    """What `python -m common experiments` prints with these words; called in this process, and ends well."""

    def experiments(*words):
        printed, status = result_of(lambda: main(["experiments", *map(str, words)]), capsys)
        assert not status, printed.err
        return printed.out

    return experiments


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
def made_once(tmp_path_factory):
    """The folder that all of the processes that run tests share, in which one of them has written what they need."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "small_sweep"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            widths = {"text": 40, "event": 30, "audio": 20, "visual": 25}
            corpus = synthetic_corpus("MELD", sizes=(36, 4, 6), turns=(2, 4), widths=widths)
            meld.write(corpus, folder / "data" / meld.FOLDER)
            words = command("run", "--output", folder / "sweep", *options(folder / "data"), "--jobs", 1)
            subprocess.run(words, cwd=ROOT, check=True, env=os.environ | {"OMP_NUM_THREADS": "2"})
    return folder


def options(data):
    return ["--datasets", "MELD", "--tables", 3, 6, "--seeds", 1, 2, "--epochs", EPOCHS, "--data-dir", data]


@pytest.fixture(scope="session")
def small(made_once):
    """Options of a small sweep, four runs of a second or two."""
    return options(made_once / "data")


@pytest.fixture(scope="session")
def quiet(made_once):
    """The folder of that sweep, run one after the other."""
    return made_once / "sweep"
