"""Runs of a sweep on workers: processes of this machine, or a Dask cluster. joblib does the work."""

import importlib.util
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from common.environment import choose_device, memory
from common.errors import InputError
from common.experiments.sweep import PART, Data, Run, seconds_left, seconds_taken, train_one

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
    """Train all `pending` runs; returns a line for each that could not be done.

    `backend`: "loky", `jobs` processes here; "dask", the workers of the `scheduler` at an address. Raises InputError
    where the backend cannot be had, or workers die.
    """
    tasks = (joblib.delayed(train_one)(run, output, data, device, turn) for turn, run in enumerate(pending))
    problems = []
    threads = max((run.settings.threads for run in pending), default=1)
    with _workers(backend, scheduler, threads) as on_cluster:
        jobs = jobs if backend == "loky" else on_cluster
        parallel = joblib.Parallel(
            jobs, batch_size=1, pre_dispatch=jobs if backend == "loky" else "all", return_as="generator_unordered"
        )
        with _display(pending, finished, output, jobs) as bar:
            try:
                for problem in parallel(tasks):
                    if problem:
                        problems.append(problem)
                        bar.write(problem)
                    bar.update()
            except TerminatedWorkerError:
                raise InputError(
                    "a worker was killed, perhaps for want of memory; finished runs are kept: run this again, with "
                    "fewer at a time",
                    ["jobs"],
                ) from None
            except ModuleNotFoundError as error:
                raise InputError(
                    f"workers do not find {error.name}; start them with PYTHONPATH set to this repository"
                ) from None
    return problems


@contextmanager
def _workers(backend, scheduler, threads):
    """joblib set up for `backend`; gives how many runs go at a time on Dask."""
    if backend == "loky":
        with joblib.parallel_config("loky", inner_max_num_threads=threads):
            yield 0
        return
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
        count = sum(client.nthreads().values())
        if not count:
            raise InputError(
                f"{scheduler}: the scheduler has no workers; start some: dask worker {scheduler}", ["scheduler"]
            )
        with joblib.parallel_config("dask", wait_for_workers_timeout=60):
            yield count


@contextmanager
def _display(pending, finished, output, jobs):
    """A bar over all runs that says what is under way and what time may be left."""
    ended = threading.Event()
    bar = tqdm(
        total=len(pending) + len(finished),
        initial=len(finished),
        desc="runs",
        dynamic_ncols=True,
        bar_format="{desc} {n_fmt}/{total_fmt} |{bar:12}| {elapsed}{postfix}",
    )

    def watch():
        while not ended.wait(1 if not bar.disable and bar.fp.isatty() else 30):
            done = [run for run in pending if (output / run.name).exists()]
            left = seconds_left([*finished, *done], [run for run in pending if run not in done], output, jobs)
            bar.set_postfix_str(f"{_under_way(output)}; {in_words(left)} left", refresh=True)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield bar
    finally:
        ended.set()
        watcher.join()
        bar.set_postfix_str("")
        bar.close()


def _under_way(output):
    parts = sorted(output.glob(f"*/*/.*{PART}"))
    return ", ".join(
        f"{part.parent.parent.name}/{part.parent.name}/{part.name[1:].split('.')[0]} epoch {seconds_taken(part)[0]}"
        for part in parts
    )


def in_words(seconds: float | None) -> str:
    """An estimate of time: h:mm:ss."""
    return "an unknown time" if seconds is None else f"about {timedelta(seconds=round(seconds))}"
