"""Runs of a sweep on workers: processes of this machine, or a Dask cluster."""

import importlib.util
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import joblib
import torch

from common.environment import choose_device, memory
from common.errors import InputError
from common.experiments.process import Killed, WorkerProcess
from common.experiments.sweep import PART, Data, Run, in_one_line, seconds_left, seconds_taken, train_one
from common.progress import Progress

GIB = 6  # of memory that a run on a CPU may come to take, see docs/sweeps.md


def default_jobs(device: str, threads: int) -> int:
    """How many runs of so many `threads` go at a time on this machine: as many as there are cores and memory for, or
    GPUs.
    """
    kind = choose_device(device).type
    on_cpu = min(joblib.cpu_count() // threads, memory() // GIB)
    return max(1, int({"cpu": on_cpu, "cuda": torch.cuda.device_count()}.get(kind, 1)))


def train_all(
    pending: Sequence[Run],
    finished: Sequence[Run],
    output: Path,
    data: Data,
    *,
    device: str,
    backend: str,
    jobs: int,
    scheduler: str | None,
) -> list[str]:
    """Train all `pending` runs; returns a line for each that could not be done, whatever the reason.

    `backend`: "processes", `jobs` of them here; "dask", the workers of the `scheduler` at an address. When this ends,
    or its process does, so do the processes here. Raises InputError where the backend cannot be had.
    """
    tasks = [(run, output, data, device, turn) for turn, run in enumerate(pending)]
    if backend == "dask":
        with _cluster(scheduler) as client:
            return _problems(_on_dask(tasks, client), pending, finished, output, sum(client.nthreads().values()))
    return _problems(_here(tasks, jobs), pending, finished, output, jobs)


def _problems(ends, pending, finished, output, jobs):
    """What went wrong, a line each; shows how far all is. `ends`: what each run ends with."""
    problems = []
    with closing(ends), _display(pending, finished, output, jobs) as bar:
        for problem in ends:
            if problem:
                problems.append(problem)
                bar.write(problem)
            bar.update()
    return problems


def _here(tasks: Sequence[tuple], jobs: int) -> Iterator[str | None]:
    """What each task ends with, `jobs` at a time, each in a process that takes one after the other.

    A process that was killed, or ran into something that nobody foresaw, is replaced by a new one; the others go on.
    """
    waiting, ended = queue.SimpleQueue[tuple | None](), queue.SimpleQueue[str | None]()
    threads, crew = max((run.settings.threads for run, *_ in tasks), default=1), min(jobs, len(tasks))
    workers = [_Worker(waiting, ended, threads) for _ in range(crew)]
    for task in (*tasks, *(None for _ in workers)):
        waiting.put(task)
    try:
        for worker in workers:
            worker.start()
        for _ in tasks:
            yield ended.get()
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()


class _Worker(threading.Thread):
    """Has a process do what is `waiting`, until there is None, and puts what each task ends with into `ended`."""

    def __init__(self, waiting, ended, threads):
        super().__init__(daemon=True)
        self._waiting, self._ended, self._threads = waiting, ended, threads
        self._process, self._stopped = None, False

    def run(self):
        while (task := self._waiting.get()) and not self._stopped:
            self._process = self._process or WorkerProcess(self._threads)
            if self._stopped:  # while it began
                self._process.kill()
                return
            try:
                self._ended.put(self._process.do(train_one, *task))
            except Exception as error:
                self._ended.put(_in_words(task[0], error))
                self._process.kill()
                self._process = None

    def stop(self):
        """End the process, whatever it does."""
        self._stopped, process = True, self._process
        if process:
            process.kill()


def _in_words(run, error):
    if isinstance(error, Killed) or type(error).__name__ == "KilledWorker":  # the latter is Dask's
        how = f" ({error})" if isinstance(error, Killed) else ""
        advice = "perhaps for want of memory; run this again, with fewer at a time: --jobs"
        return f"{run.name}: its process was killed{how}, {advice}"
    return str(error) if type(error) is RuntimeError else in_one_line(run, error)


def _on_dask(tasks, client):
    """What each task ends with on the workers of a Dask cluster."""
    from distributed import as_completed

    runs = {client.submit(train_one, *task, pure=False): task[0] for task in tasks}
    for future in as_completed(list(runs)):
        error = future.exception()
        if isinstance(error, ModuleNotFoundError):
            raise InputError(f"workers do not find {error.name}; start them with PYTHONPATH set to this repository")
        yield _in_words(runs[future], error) if error else future.result()


@contextmanager
def _cluster(scheduler):
    """The client of a Dask cluster that can do the work."""
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "backend dask: the package distributed is missing; pip install distributed", ["backend"]
        ) from None
    try:
        client = Client(scheduler, timeout=20)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(f"{scheduler}: no Dask scheduler answers at this address ({error})", ["scheduler"]) from None
    with client:
        if not client.run_on_scheduler(importlib.util.find_spec, "common"):  # it would never hand out a run
            raise InputError(
                f"{scheduler}: the scheduler does not find common; start it with PYTHONPATH set to this repository",
                ["scheduler"],
            )
        if not client.nthreads():
            raise InputError(
                f"{scheduler}: the scheduler has no workers; start some: dask worker {scheduler}", ["scheduler"]
            )
        yield client


@contextmanager
def _display(pending, finished, output, jobs):
    """The progress of all runs, with what is under way and what time may be left."""
    ended, layout = threading.Event(), "{desc} {n_fmt}/{total_fmt} |{bar:12}| {elapsed}{postfix}"
    bar = Progress("sweep", len(pending) + len(finished), "run", done=len(finished), layout=layout)

    def watch():
        while not ended.wait(1 if bar.on_terminal else 30):
            done = [run for run in pending if (output / run.name).exists()]
            left = seconds_left([*finished, *done], [run for run in pending if run not in done], output, jobs)
            bar.update(f"{_under_way(output)}; {in_words(left)} left", steps=0)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield bar
    finally:
        ended.set()
        watcher.join()
        bar.update("", steps=0)
        bar.close()


def _under_way(output):
    parts = sorted(output.glob(f"*/*/.seed_*{PART}"))
    return ", ".join(
        f"{part.parent.parent.name}/{part.parent.name}/{part.name[1:].split('.')[0]} epoch {seconds_taken(part)[0]}"
        for part in parts
    )


def in_words(seconds: float | None) -> str:
    """An estimate of time: h:mm:ss."""
    return "an unknown time" if seconds is None else f"about {timedelta(seconds=round(seconds))}"
