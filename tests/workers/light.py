"""Tasks for worker processes, and a run to hand them, without anything that takes long to import."""

import os
import signal
import time
from types import SimpleNamespace


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


def wait_for(path):
    """Say which process this is, and wait."""
    with open(path, "w") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(60)


def wait_for_of_run(run):
    """The same with a run that is called like a path."""
    return None if run.name == "good" else wait_for(run.name)
