"""Runs that are threads of one process, as those that share a GPU are; here on a CPU."""

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from common.__main__ import main
from common.experiments import sweep as sweeping
from common.experiments import workers
from common.experiments.sweep import planned, train_one
from common.workers import spread
from tests.experiments.conftest import EPOCHS, outcome
from tests.experiments.test_sweep import data_of
from tests.small import result_of


def pids(sweep):
    """Of the processes that runs under way have named their folders after."""
    return {int(re.match(r"\.seed_\d+\.(\d+)\.", part.name).group(1)) for part in sweep.glob("*/*/.seed_*")}


@pytest.fixture
def one_process(monkeypatch):
    """All runs at a time are threads of one process."""
    monkeypatch.setattr(workers, "gpus", lambda device: 1)


def test_runs_that_share_a_process_come_to_the_same_to_the_last_digit(quiet, small, experiments, tmp_path, one_process):
    sweep, seen, ended = tmp_path / "sweep", [], threading.Event()

    def watch():
        while not ended.wait(0.01):
            seen.append((len(list(sweep.glob("*/*/.seed_*"))), pids(sweep)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    printed = experiments("run", "--output", sweep, *small, "--jobs", 3, "--device", "cpu")
    ended.set()
    watcher.join()
    assert "All 4 runs are finished" in printed
    assert max(number for number, _ in seen) == 3
    assert len(set().union(*(found for _, found in seen))) == 1
    assert outcome(sweep) == outcome(quiet)


def test_one_that_fails_leaves_the_others(quiet, small, tmp_path):
    """Whether it is refused or raises; the runs beside it, and those after it, are those of the quiet sweep."""
    runs, data = planned(["MELD"], ["3", "6"], [1], EPOCHS), data_of(small)
    refused = replace(runs[0], variant="refused")
    raising = replace(runs[0], variant="raising", settings=replace(runs[0].settings))
    object.__setattr__(raising.settings, "heads", "none")  # what nobody checks on the way
    foreign = replace(data, sha256={"MELD": {"meld": "0"}})
    calls = [(refused, tmp_path, foreign, "cpu", 0), (raising, tmp_path, data, "cpu", 1)]
    calls += [(run, tmp_path, data, "cpu", 2) for run in runs]
    with spread.crew("processes", 3, 1, None, 1) as crew:
        ends = sorted(crew.run(train_one, calls), key=lambda end: end.position)
    assert ends[0].result.startswith("MELD/refused/seed_1: ")
    assert "other MELD files" in ends[0].result
    assert type(ends[1].error) is RuntimeError
    assert str(ends[1].error).startswith("MELD/raising/seed_1: TypeError: ")
    assert [(end.result, end.error) for end in ends[2:]] == [(None, None)] * len(runs)
    expected = {name: content for name, content in outcome(quiet).items() if "seed_1" in name}
    assert outcome(tmp_path) == expected


def test_a_process_that_is_killed_costs_what_was_under_way(quiet, small, experiments, tmp_path, capsys, one_process):
    """The last run is done by a new process; the same command does the others."""
    sweep, killed = tmp_path / "sweep", []

    def kill():
        while len(list(sweep.glob("*/*/.seed_*"))) < 3:
            time.sleep(0.005)
        (pid,) = pids(sweep)
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    words = ["run", "--output", sweep, *small, "--jobs", 3, "--device", "cpu"]
    printed, status = result_of(lambda: main(["experiments", *map(str, words)]), capsys)
    assert (len(killed), status) == (1, 2)
    assert printed.err.count("\nMELD/") + printed.err.startswith("MELD/") == 3
    assert "3 of 4 runs could not be done" in printed.err
    assert len(list(sweep.glob("*/*/seed_*"))) == 1
    assert "4 runs, 1 finished" in experiments(*words)
    assert outcome(sweep) == outcome(quiet)


@pytest.mark.parametrize(
    ("device", "number", "expected"),
    [("cuda", 1, "cuda:1"), ("cuda", 5, "cuda:2"), ("cuda", None, "cuda:1"), ("cuda:2", 0, "cuda:2")],
)
def test_a_process_has_one_gpu(small, tmp_path, monkeypatch, device, number, expected):
    """That of its number; a worker of Dask, which has none, one after the other."""
    chosen = []

    def train(corpus, settings, device, output, **options):
        chosen.append(str(device))
        return {}, ["not trained"]

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3, 4))
    monkeypatch.setattr(sweeping, "process_number", lambda: number)
    monkeypatch.setattr(sweeping, "train_run", train)
    (run,) = planned(["MELD"], ["3"], [1], EPOCHS)
    assert train_one(run, tmp_path, data_of(small), device, 4).endswith("not trained")
    assert chosen == [expected]


@pytest.mark.parametrize(("free", "times"), [(3, 0), (1, 1)])
def test_a_gpu_gets_back_what_trainings_that_ended_hold_before_it_is_full(small, tmp_path, monkeypatch, free, times):
    collected, data, (run,) = [], data_of(small), planned(["MELD"], ["3"], [1], EPOCHS)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 4))
    monkeypatch.setattr(sweeping, "train_run", lambda *arguments, **options: ({}, ["not trained"]))
    monkeypatch.setattr(sweeping, "gc", SimpleNamespace(collect=lambda: collected.append(1)))
    assert train_one(run, tmp_path, data, "cuda", 0).endswith("not trained")
    assert len(collected) == times


@pytest.mark.parametrize(("device", "jobs"), [("cuda", 18), ("auto", 18), ("cuda:2", 6)])
def test_six_at_a_time_on_each_gpu(monkeypatch, device, jobs):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert spread.default_jobs(device, 1, workers.GIB, workers.ON_GPU) == jobs
    assert spread.default_jobs(device, 1, workers.GIB) == jobs // 6


def test_runs_of_another_precision_wait(monkeypatch):
    """It holds for a whole process, so that none computes with that of another."""
    precision, now, set_to = sweeping._Precision(), [], []
    monkeypatch.setattr(sweeping, "allow_tf32", set_to.append)

    def work(name):
        for _ in range(20):
            with precision.set_to(name):
                now.append(name)
                assert set_to[-1] == name
                time.sleep(0.001)
                assert set(now) == {name}
                now.remove(name)
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, ["float32", "tf32", "float32", "tf32", "bfloat16", "tf32"]))


def test_threads_that_need_the_same_corpus_load_it_once(small, tmp_path, monkeypatch):
    loaded, load = [], sweeping.load_corpus

    def slowly(*arguments, **options):
        loaded.append(arguments)
        time.sleep(0.05)
        return load(*arguments, **options)

    data, (run,) = data_of(small), planned(["MELD"], ["3"], [1], EPOCHS)
    sweeping._corpus.cache_clear()
    monkeypatch.setattr(sweeping, "load_corpus", slowly)
    monkeypatch.setattr(sweeping, "train_run", lambda *arguments, **options: ({}, ["not trained"]))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: train_one(run, tmp_path, data, "cpu", turn), range(4)))
    assert len(loaded) == 1
