"""Tasks spread over workers: processes of this machine, or a Dask cluster."""

import importlib.util
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, NamedTuple

import joblib
import torch

from common.environment import choose_device, memory
from common.errors import InputError
from common.workers.process import Killed, WorkerProcess


class Ended(NamedTuple):
    """What the task at a `position` came to: its `result`, or the `error` that it raised."""

    position: int
    result: Any = None
    error: Exception | None = None


class Crew(NamedTuple):
    """So many tasks at a time; `run(task, calls)` gives what `task(*call)` came to, one by one as they end."""

    jobs: int
    run: Callable[[Callable, Sequence[tuple]], Generator[Ended, None, None]]


def default_jobs(device: str, threads: int, gib: float) -> int:
    """How many tasks of so many `threads` go at a time on this machine: as many as there are cores for, and memory if
    each takes `gib` GiB of it, or GPUs.
    """
    kind = choose_device(device).type
    on_cpu = min(joblib.cpu_count() // threads, memory() // gib)
    return max(1, int({"cpu": on_cpu, "cuda": torch.cuda.device_count()}.get(kind, 1)))


@contextmanager
def crew(backend: str, jobs: int, threads: int, scheduler: str | None) -> Iterator[Crew]:
    """Workers for tasks of so many `threads`. `backend`: "processes", `jobs` of them here; "dask", the workers of the
    `scheduler` at an address. When this ends, or its process does, so do the processes here.

    Raises InputError where the backend cannot be had.
    """
    if backend == "dask":
        with _cluster(scheduler) as client:
            yield Crew(sum(client.nthreads().values()), lambda task, calls: _on_dask(task, calls, client))
    else:
        yield Crew(jobs, lambda task, calls: _here(task, calls, jobs, threads))


def was_killed(error: Exception) -> str | None:
    """In brackets how a process ended before its task did, where that is the `error`; else None."""
    if isinstance(error, Killed):
        return f" ({error})"
    return "" if type(error).__name__ == "KilledWorker" else None  # Dask's


def _here(task: Callable, calls: Sequence[tuple], jobs: int, threads: int) -> Generator[Ended, None, None]:
    """`jobs` at a time, each in a process that takes one after the other.

    A process that was killed, or ran into something that nobody foresaw, is replaced by a new one; the others go on.
    """
    waiting, ended = queue.SimpleQueue[tuple | None](), queue.SimpleQueue[Ended]()
    workers = [_Worker(waiting, ended, threads) for _ in range(min(jobs, len(calls)))]
    for item in (*((i, task, call) for i, call in enumerate(calls)), *(None for _ in workers)):
        waiting.put(item)
    try:
        for worker in workers:
            worker.start()
        for _ in calls:
            yield ended.get()
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()


class _Worker(threading.Thread):
    """Has a process do what is `waiting`, until there is None, and puts what each task came to into `ended`."""

    def __init__(self, waiting, ended, threads):
        super().__init__(daemon=True)
        self._waiting, self._ended, self._threads = waiting, ended, threads
        self._process, self._stopped = None, False

    def run(self):
        while (item := self._waiting.get()) and not self._stopped:
            position, task, call = item
            self._process = self._process or WorkerProcess(self._threads)
            if self._stopped:  # while it began
                self._process.kill()
                return
            try:
                self._ended.put(Ended(position, self._process.do(task, *call)))
            except Exception as error:
                self._ended.put(Ended(position, error=error))
                self._process.kill()
                self._process = None

    def stop(self):
        """End the process, whatever it does."""
        self._stopped, process = True, self._process
        if process:
            process.kill()


def _on_dask(task, calls, client):
    """On the workers of a Dask cluster."""
    from distributed import as_completed

    futures = {client.submit(task, *call, pure=False): i for i, call in enumerate(calls)}
    try:
        for future in as_completed(list(futures)):
            error = future.exception()
            if isinstance(error, ModuleNotFoundError):
                raise InputError(f"workers do not find {error.name}; start them with PYTHONPATH set to this repository")
            yield Ended(futures[future], error=error) if error else Ended(futures[future], future.result())
            future.release()
    except CancelledError:
        raise InputError(
            f"{client.scheduler.address}: the connection to the Dask scheduler was lost; start it again, and run the "
            "same command, which goes on with what is left",
            ["scheduler"],
        ) from None


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
