"""Runs of a sweep on workers, and how far they are."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from common.experiments.sweep import PART, Data, Run, in_one_line, seconds_left, seconds_taken, train_one
from common.progress import Progress
from common.workers.spread import Ended, crew, gpus, was_killed

GIB = 6  # of memory that a run on a CPU may come to take, see docs/sweeps.md
ON_GPU = 6  # runs at a time on one GPU, which they fill better than fewer


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

    `backend`: "processes", `jobs` of them here, or one for each GPU, with `jobs` runs at a time in all of them
    together; "dask", the workers of the `scheduler` at an address. When this ends, or its process does, so do the
    processes here. Raises InputError where the backend cannot be had.
    """
    calls = [(run, output, data, device, turn) for turn, run in enumerate(pending)]
    threads = max((run.settings.threads for run in pending), default=1)
    processes = gpus(device) or None
    with (
        crew(backend, jobs, threads, scheduler, processes) as workers,
        closing(workers.run(train_one, calls)) as ends,
    ):
        return _problems(_lines(ends, pending), pending, finished, output, workers.jobs)


def _problems(lines, pending, finished, output, jobs):
    """What went wrong, a line each; shows how far all is. `lines`: what each run ends with."""
    problems = []
    with _display(pending, finished, output, jobs) as bar:
        for problem in lines:
            if problem:
                problems.append(problem)
                bar.write(problem)
            bar.update()
    return problems


def _lines(ends: Iterable[Ended], runs: Sequence[Run]) -> Iterator[str | None]:
    """What went wrong with each of `runs`, or None, as they end."""
    for position, problem, error in ends:
        yield _in_words(runs[position], error) if error else problem


def _in_words(run, error):
    how = was_killed(error)
    if how is not None:
        advice = "perhaps for want of memory; run this again, with fewer at a time: --jobs"
        return f"{run.name}: its process was killed{how}, {advice}"
    return str(error) if type(error) is RuntimeError else in_one_line(run, error)


@contextmanager
def _display(pending, finished, output, jobs):
    """The progress of all runs, with what is under way and what time may be left."""
    ended = threading.Event()
    bar = Progress("sweep", len(pending) + len(finished), "run", done=len(finished))

    def watch():
        while not ended.wait(1 if bar.on_terminal else 30):
            done = [run for run in pending if (output / run.name).exists()]
            left = seconds_left([*finished, *done], [run for run in pending if run not in done], output, jobs)
            bar.update(f"{in_words(left)} left; {_under_way(output)}", steps=0)

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
