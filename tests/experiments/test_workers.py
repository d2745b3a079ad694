import math
import os
import re
import signal
import subprocess
import sys
import threading
import time

import distributed
import pytest

from common.experiments import workers
from common.workers import spread
from tests.experiments.conftest import ROOT, outcome
from tests.workers import light


@pytest.fixture
def cluster(monkeypatch):
    """A Dask cluster of two worker processes on this machine; its address."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_dask_with_a_worker_killed_in_the_middle(quiet, small, cluster, experiments, tmp_path):
    """The sweep finishes, and comes to the same as the quiet one."""
    sweep, killed = tmp_path / "sweep", []

    def kill():
        while not killed:
            for part in sweep.glob("*/*/.seed_*/history.csv"):
                pid = int(re.match(r"\.seed_\d+\.(\d+)\.", part.parent.name).group(1))
                os.kill(pid, signal.SIGKILL)
                killed.append(part.parent)
                return
            time.sleep(0.01)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    printed = experiments("run", "--output", sweep, *small, "--backend", "dask", "--scheduler", cluster)
    assert killed
    assert "All 4 runs are finished" in printed
    assert not list(sweep.glob("*/*/.seed_*"))
    assert outcome(sweep) == outcome(quiet)


def test_what_a_run_meets_on_dask_costs_that_run_only():
    runs = [light.run_called(name) for name in ("good", "mistake", "memory", "refused")]
    with distributed.Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
        assert {
            end
            for end in workers._lines(spread._on_dask(light.end_as_named, [(run,) for run in runs], client), runs)
            if end
        } == {
            "mistake: ValueError: a mistake of ours",
            "memory: not enough memory; run this again, with fewer at a time: --jobs",
            "refused: for a reason",
        }


@pytest.mark.parametrize(("gib", "threads", "jobs"), [(64, 1, 8), (64, 3, 2), (20, 1, 3), (2, 1, 1), (math.inf, 9, 1)])
def test_no_more_at_a_time_than_cores_and_memory_allow(monkeypatch, gib, threads, jobs):
    monkeypatch.setattr(spread.joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(spread, "memory", lambda: gib)
    assert spread.default_jobs("cpu", threads, workers.GIB) == jobs


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--backend", "dask"], "--backend dask and --scheduler ADDRESS go together"),
        (["--scheduler", "tcp://127.0.0.1:1"], "--backend dask and --scheduler ADDRESS go together"),
        (["--jobs", "0"], "--jobs: found 0; expected a whole number from 1"),
        (["--tables", "9"], "--tables: invalid choice: '9'"),
        (["--datasets", "MELD", "--tables", "2"], "--tables 2: not of MELD"),
    ],
)
def test_wrong_options_are_named_in_one_line(refused, words, expected, tmp_path):
    line = refused("run", "--output", tmp_path / "sweep", "--synthetic", *words)
    assert expected in line
    assert "\n" not in line


def test_a_scheduler_that_is_not_there_and_dask_that_is_not_installed(refused, small, tmp_path, monkeypatch):
    words = ["run", "--output", tmp_path / "sweep", *small, "--backend", "dask", "--scheduler", "nonsense://1"]
    assert "nonsense://1: no Dask scheduler answers at this address" in refused(*words)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "the package distributed is missing; pip install distributed" in refused(*words)


def test_a_scheduler_that_does_not_find_the_project(refused, small, tmp_path):
    """It could not read the runs, and all would wait."""
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    scheduler = subprocess.Popen(
        [*words, "--no-dashboard"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        address = next(line.split()[-1] for line in scheduler.stderr if "Scheduler at:" in line)
        words = ["run", "--output", tmp_path / "sweep", *small, "--backend", "dask", "--scheduler", address]
        line = refused(*words)
        assert f"{address}: the scheduler does not find common; start it with PYTHONPATH" in line
        assert line.endswith("; see --scheduler")
    finally:
        scheduler.terminate()
        scheduler.communicate(timeout=60)
