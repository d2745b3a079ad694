"""Processes that work for this one: what one of them meets concerns its task only, and they end with this one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from common.experiments import workers
from common.workers import spread
from common.workers.process import Killed, WorkerProcess, process_number
from tests.experiments.conftest import ROOT
from tests.workers import light

STARTER = """
import sys, threading, time
from common.workers.process import WorkerProcess
from tests.workers.light import wait_for

def main():
    for path in sys.argv[1:]:
        threading.Thread(target=WorkerProcess(1).do, args=(wait_for, path), daemon=True).start()
    time.sleep(60)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_a_task_meets_costs_that_task_only(jobs):
    runs = [light.run_called(name) for name in ("good", "killed", "mistake", "memory", "left", "refused", "good too")]
    with spread.crew("processes", jobs, 1, None) as crew:
        ends = list(workers._lines(crew.run(light.end_as_named, [(run,) for run in runs]), runs))
    assert len(ends) == len(runs)
    advice = "perhaps for want of memory; run this again, with fewer at a time: --jobs"
    assert {end for end in ends if end} == {
        f"killed: its process was killed (SIGKILL), {advice}",
        f"left: its process was killed (exit status 3), {advice}",
        "mistake: ValueError: a mistake of ours",
        "memory: not enough memory; run this again, with fewer at a time: --jobs",
        "refused: for a reason",
    }


@pytest.mark.parametrize(("jobs", "processes"), [(5, 2), (6, 3), (2, 4)])
def test_jobs_are_shared_out_evenly_among_processes(tmp_path, jobs, processes):
    """All of them are under way at the same time, each process with its share, and processes are numbered."""
    runs = [light.run_called(str(number)) for number in range(jobs)]
    with spread.crew("processes", jobs, 1, None, processes) as crew:
        ends = [end.result for end in crew.run(light.end_together, [(run, tmp_path, jobs) for run in runs])]
    shares = Counter(ends)
    assert sorted(number for _, number in shares) == list(range(min(jobs, processes)))
    assert len({pid for pid, _ in shares}) == min(jobs, processes)
    assert max(shares.values()) - min(shares.values()) <= 1
    assert process_number() is None


def test_a_process_that_is_killed_costs_what_was_under_way_in_it(tmp_path):
    """Its three tasks; the others are done by a new one."""
    runs = [light.run_called(name) for name in ("killed", "a", "b", "late", "later")]
    calls = [(light.end_together, (runs[0], tmp_path, 3))]
    calls += [(light.wait_for, (tmp_path / f"{name}.begun",)) for name in "ab"]
    calls += [(light.end_as_named, (run,)) for run in runs[3:]]
    with spread.crew("processes", 3, 1, None, 1) as crew:
        ends = sorted(crew.run(light.call, calls), key=lambda end: end.position)
    assert [str(end.error) for end in ends] == ["SIGKILL"] * 3 + ["None"] * 2


def test_after_a_mistake_others_go_on_in_the_old_process_and_new_ones_begin_in_another(tmp_path):
    runs = [light.run_called(name) for name in ("long", "mistake", "late", "last")]
    with spread.crew("processes", 2, 1, None, 1) as crew:
        running = crew.run(light.end_as_process, [(run, tmp_path) for run in runs])
        ends = {runs[end.position].name: end for end in running}
        assert type(ends["mistake"].error) is ValueError
        old, new = ends["long"].result, ends["late"].result
        assert old[0] != new[0]
        assert old[1] == new[1] == 0
        assert ends["last"].result == new
        deadline = time.monotonic() + 20
        while alive(old[0]):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_thread_that_ends_ends_its_process():
    """Else the one that waits for its answer would wait for ever."""
    process = WorkerProcess(1, 2)
    with pytest.raises(Killed, match="exit status 1"):
        process.do(light.leave_thread, "at the second place", place=1)


@pytest.mark.parametrize("processes", [3, 1])
def test_stopping_ends_the_processes(tmp_path, processes):
    runs = [light.run_called(str(tmp_path / name)) for name in "ab"]
    calls = [(run,) for run in [*runs, light.run_called("good")]]
    ends = spread._here(light.wait_for_of_run, calls, 3, 1, processes)
    assert next(ends) == spread.Ended(2)  # the one that does not wait
    pids = [pid_in(run.name) for run in runs]
    ends.close()
    assert not any(map(alive, pids))


def test_a_process_that_begins_while_all_are_stopped_is_ended_too(monkeypatch):
    created, worked, stopped = [], [], threading.Event()

    class Slow:
        """The second one to begin has begun only after all were stopped."""

        def __init__(self, threads, places, number):
            created.append(self)
            self.number, self.ended = len(created), threading.Event()
            if self.number == 2:
                assert stopped.wait(20)

        def do(self, *task, place):
            worked.extend([self] * (self.number == 2))
            while len(created) < 2:
                time.sleep(0.001)

        def kill(self):
            stopped.set()
            self.ended.set()

    monkeypatch.setattr(spread, "WorkerProcess", Slow)
    ends = spread._here(print, [("a",), ("b",), ("c",)], 2, 1, 2)
    next(ends)
    ends.close()
    assert [process.ended.is_set() for process in created] == [True, True]
    assert not worked


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_the_one_that_started_them(tmp_path, number):
    (tmp_path / "starter.py").write_text(STARTER)
    words = [sys.executable, tmp_path / "starter.py", tmp_path / "a", tmp_path / "b"]
    starter = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)})
    pids = [pid_in(tmp_path / name) for name in "ab"]
    assert all(map(alive, pids))
    starter.send_signal(number)
    starter.wait()
    deadline = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_watches_before_it_imports_anything_large():
    code = "import sys, common.workers.process; print({'torch', 'numpy', 'pandas', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_process_that_has_ended_does_nothing_more():
    process = WorkerProcess(1)
    process.kill()
    with pytest.raises(Killed, match="SIGKILL"):
        process.do(print)


def pid_in(path):
    """The number that a task has written into a file."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return int(open(path).read())
        except (OSError, ValueError):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
