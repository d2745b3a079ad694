"""How the benchmark measures, and what it measures in other processes."""

import itertools
import runpy
import subprocess
import sys

import pytest
import torch

from benchmarks import apart as program
from benchmarks import growth, measures, start
from benchmarks.growth import measure_growth
from benchmarks.measures import alternating, apart, clock_for, number, spread, timed
from benchmarks.start import measure_start
from common.data import meld
from tests.small import small_corpus


def test_spread():
    assert spread([3.0, 1.0, 2.0, 9.0]) == {"median": 2.5, "least": 1.0, "most": 9.0, "n": 4}


@pytest.mark.parametrize(
    ("value", "written"), [(0.04321, "0.0432"), (1.0, "1"), (9.999, "10"), (1234.5, "1234"), (123456, "123456")]
)
def test_numbers(value, written):
    assert number(value) == written


def test_what_is_compared_alternates():
    """Each begins as often, and times belong to the right one; the first pair warms up."""
    clock, order = itertools.count(), []
    pairs = alternating(lambda: order.append("a"), lambda: (order.append("b"), next(clock)), 4, lambda: next(clock))
    assert "".join(order) == "ab" + "ba" + "ab" + "ba" + "ab"
    assert pairs == [(1, 2)] * 4


def test_clocks():
    """One thread of a CPU is measured in its own time, all else on the wall."""
    cpu = torch.device("cpu")
    assert clock_for(cpu, 1) is measures.time.process_time
    assert clock_for(cpu, 2) is clock_for(torch.device("cuda"), 1) is measures.time.perf_counter


def test_longer_dialogues(monkeypatch):
    monkeypatch.setattr(growth, "TURNS", (3, 10**9))
    rows = measure_growth("MELD", 1, "cpu")
    assert rows["training step on a dialogue of 3 turns, s"] > 0
    assert 0.1 < rows["training step on a dialogue of 3 turns, peak GB"] < 3
    assert rows["training step on a dialogue of 1,000,000,000 turns, s"].startswith("not measured: needs ")
    assert len(rows) == 3


def test_a_measurement_that_fails_is_said(capfd, monkeypatch, tmp_path):
    """What the program itself does with a wrong word is seen here; that `apart` tells of it, with a short program."""
    monkeypatch.setattr(sys, "argv", ["apart", "nothing"])
    with pytest.raises(KeyError, match="nothing"):
        program.main()
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "apart.py").write_text("import sys\n{}[sys.argv[1]]\n")
    monkeypatch.setattr(measures, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match=r"benchmarks.apart nothing: failed with status 1"):
        apart("nothing")
    assert "KeyError: 'nothing'" in capfd.readouterr().err


@pytest.fixture
def in_process(monkeypatch, capsys):
    """Scripts that train or evaluate run in this process, which saves starting others; returns which, as they come."""
    called, run = [], subprocess.run

    def instead(command, cwd, **options):
        if command[1] == "-c" or "--help" in command:
            return run(command, cwd=cwd, **options)
        called.append(command[1])
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(cwd)
            patch.setattr(sys, "argv", command[1:])
            patch.setattr(sys, "path", [*sys.path])
            runpy.run_path(command[1], run_name="__main__")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(start.subprocess, "run", instead)
    return called


def test_start(tmp_path, in_process, monkeypatch):
    """One pair of starts, without one before it that warms up."""
    monkeypatch.setattr(start, "alternating", lambda a, b, n, clock: [(timed(a, clock), timed(b, clock))] * n)
    meld.write(small_corpus("MELD", sizes=(4, 2, 2), turns=(2, 3)), tmp_path / meld.FOLDER)
    rows = measure_start("MELD", tmp_path, 1, "cpu")
    assert in_process == ["train.py", "inference.py"]
    ratio, help_, torch_ = (row["median"] for row in list(rows.values())[2::-1])
    assert ratio == pytest.approx(help_ / torch_)
    assert ratio < 0.4  # it does not import it
    assert list(rows)[3] == "evaluation of 3 checkpoints from cache, start to table, s"
