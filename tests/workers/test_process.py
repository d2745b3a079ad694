"""Processes that work for this one: what one of them meets concerns its task only, and they end with this one."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from common.experiments import workers
from common.workers import spread
from common.workers.process import Killed, WorkerProcess
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


def test_stopping_ends_the_processes(tmp_path):
    runs = [light.run_called(str(tmp_path / name)) for name in "ab"]
    ends = spread._here(light.wait_for_of_run, [(run,) for run in [*runs, light.run_called("good")]], 3, 1)
    assert next(ends) == spread.Ended(2)  # the one that does not wait
    pids = [pid_in(run.name) for run in runs]
    ends.close()
    assert not any(map(alive, pids))


def test_a_process_that_begins_while_all_are_stopped_is_ended_too(monkeypatch):
    created, worked, stopped = [], [], threading.Event()

    class Slow:
        """The second one to begin has begun only after all were stopped."""

        def __init__(self, threads):
            created.append(self)
            self.number, self.ended = len(created), threading.Event()
            if self.number == 2:
                assert stopped.wait(20)

        def do(self, *task):
            worked.extend([self] * (self.number == 2))
            while len(created) < 2:
                time.sleep(0.001)

        def kill(self):
            stopped.set()
            self.ended.set()

    monkeypatch.setattr(spread, "WorkerProcess", Slow)
    ends = spread._here(print, [("a",), ("b",), ("c",)], 2, 1)
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
