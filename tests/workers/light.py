"""Tasks for worker processes, and a run to hand them, without anything that takes long to import."""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

from common.workers.process import process_number


def run_called(name):
    """What stands for a run of a sweep."""
    return SimpleNamespace(name=name, settings=SimpleNamespace(threads=1))


def end_as_named(run):
    """What `train_one` may end with."""
    if run.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if run.name == "left":
        os._exit(3)
    if run.name == "mistake":
        raise ValueError("a mistake\nof ours")
    if run.name == "memory":
        raise MemoryError
    return "refused: for a reason" if run.name == "refused" else None


def end_together(run, folder, count):
    """The same, once `count` runs are under way at the same time; returns which process this is and its number."""
    path = Path(folder)
    (path / f"{run.name}.begun").touch()
    while len(list(path.glob("*.begun"))) < count:
        time.sleep(0.005)
    end_as_named(run)
    return os.getpid(), process_number()


def end_as_process(run, folder):
    """The number of this process, and which it is; "mistake" raises, "long" waits until "late" has been worked on."""
    path = Path(folder)
    (path / run.name).touch()
    if run.name == "mistake":
        while not (path / "long").exists():
            time.sleep(0.005)
        raise ValueError("a mistake")
    if run.name == "long":
        while not (path / "late").exists():
            time.sleep(0.005)
    return os.getpid(), process_number()


def leave_thread(name):
    """End the thread that this runs in, in a way that no task should."""
    raise SystemExit(name)


def call(task, arguments):
    """What a task of these gives."""
    return task(*arguments)


def wait_for(path):
    """Say which process this is, and wait."""
    with open(path, "w") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(60)


def wait_for_of_run(run):
    """The same with a run that is called like a path."""
    return None if run.name == "good" else wait_for(run.name)
