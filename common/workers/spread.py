"""Tasks spread over workers: processes of this machine, or a Dask cluster."""

import importlib.util
import queue
import threading
from collections import Counter
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


def gpus(device: str) -> int:
    """How many NVIDIA GPUs tasks on `device` (see `choose_device`) go to; 0 where it is something else."""
    chosen = choose_device(device)
    if chosen.type != "cuda":
        return 0
    return torch.cuda.device_count() if chosen.index is None else 1


def default_jobs(device: str, threads: int, gib: float, per_gpu: int = 1) -> int:
    """How many tasks of so many `threads` go at a time on this machine: as many as there are cores for, and memory if
    each takes `gib` GiB of it, or `per_gpu` on each GPU.
    """
    on_cpu = min(joblib.cpu_count() // threads, memory() // gib)
    return max(1, int({"cpu": on_cpu, "cuda": per_gpu * gpus(device)}.get(choose_device(device).type, 1)))


@contextmanager
def crew(backend: str, jobs: int, threads: int, scheduler: str | None, processes: int | None = None) -> Iterator[Crew]:
    """Workers for tasks of so many `threads`. `backend`: "processes", `jobs` tasks at a time here; "dask", the workers
    of the `scheduler` at an address. When this ends, or its process does, so do the processes here.

    `processes`: how many of them share the jobs here, as evenly as it goes, which are threads of theirs; None: each
    job has its own. A GPU works on tasks of one process at a time, but on those of several threads side by side.
    Raises InputError where the backend cannot be had.
    """
    if backend == "dask":
        with _cluster(scheduler) as client:
            yield Crew(sum(client.nthreads().values()), lambda task, calls: _on_dask(task, calls, client))
    else:
        yield Crew(jobs, lambda task, calls: _here(task, calls, jobs, threads, processes or jobs))


def was_killed(error: Exception) -> str | None:
    """In brackets how a process ended before its task did, where that is the `error`; else None."""
    if isinstance(error, Killed):
        return f" ({error})"
    return "" if type(error).__name__ == "KilledWorker" else None  # Dask's


def _here(
    task: Callable, calls: Sequence[tuple], jobs: int, threads: int, processes: int
) -> Generator[Ended, None, None]:
    """`jobs` at a time in so many `processes`.

    A process that was killed, or ran into something that nobody foresaw, is replaced by a new one; the others go on.
    """
    waiting, ended = queue.SimpleQueue[tuple | None](), queue.SimpleQueue[Ended]()
    jobs = min(jobs, len(calls))
    shared = [_Shared(threads, len(range(k, jobs, processes)), k) for k in range(min(jobs, processes))]
    workers = [_Worker(waiting, ended, shared[k % processes], k // processes) for k in range(jobs)]
    for item in (*((i, task, call) for i, call in enumerate(calls)), *(None for _ in workers)):
        waiting.put(item)
    try:
        for worker in workers:
            worker.start()
        for _ in calls:
            yield ended.get()
    finally:
        for process in shared:
            process.stop()
        for worker in workers:
            worker.join()


class _Worker(threading.Thread):
    """Has a place of a process do what is `waiting`, until there is None, and puts what each came to into `ended`."""

    def __init__(self, waiting, ended, process, place):
        super().__init__(daemon=True)
        self._waiting, self._ended, self._process, self._place = waiting, ended, process, place

    def run(self):
        while (item := self._waiting.get()) and not self._process.stopped:
            position, task, call = item
            try:
                self._ended.put(Ended(position, self._process.do(self._place, task, *call)))
            except Exception as error:
                self._ended.put(Ended(position, error=error))


class _Shared:
    """The process number `number`, which begins when one of its `places` is needed.

    When a task has raised something, or was killed with the process, those that follow get a new one; what else is
    under way in the old one goes on there, and with the last of it the old one ends.
    """

    def __init__(self, threads, places, number):
        self._what, self._lock, self.stopped = (threads, places, number), threading.Lock(), False
        self._process, self._under_way = None, Counter()  # the latter: of each process that has not ended

    def do(self, place, task, *call):
        process = self._begin()
        try:
            return process.do(task, *call, place=place)
        except Exception:
            with self._lock:
                if self._process is process:
                    self._process = None
            raise
        finally:
            self._end(process)

    def _begin(self):
        with self._lock:
            if self._process is None:
                self._process = WorkerProcess(*self._what)
                self._under_way[self._process] = 0
            self._under_way[self._process] += 1
            if self.stopped:  # while it began
                self._process.kill()
                raise Killed("stopped")
            return self._process

    def _end(self, process):
        with self._lock:
            self._under_way[process] -= 1
            if process is not self._process and not self._under_way[process]:
                process.kill()
                del self._under_way[process]

    def stop(self):
        """End it, whatever it does."""
        self.stopped = True
        for process in list(self._under_way):
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
