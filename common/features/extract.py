"""Features of all utterances into a Store: what is not there yet, spread over workers, kept as it comes."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from common.errors import InputError, is_want_of_memory
from common.features.extractor import Extractor, Utterance
from common.features.store import Store
from common.progress import Progress
from common.workers.spread import crew, was_killed

GIB = 3  # of memory that a process may come to take with a large encoder


@dataclass(frozen=True)
class Part:
    """Utterances, positions `rows` (n,), whose features `extractor` makes."""

    extractor: Extractor
    rows: np.ndarray


@dataclass(frozen=True)
class Workers:
    """Where the work is done; see `spread.crew`. `jobs` 0: in this process."""

    backend: str = "processes"
    jobs: int = 0
    threads: int = 1
    scheduler: str | None = None


def extract(part: Part, utterances: Sequence[Utterance], store: Store, workers: Workers) -> list[str]:
    """Put into `store` what it lacks of the features of `part`; returns a line for each task that could not be done.

    Equal utterances, such as many that say "Okay.", are done once. A task is some `chunk` utterances; where its process
    is killed, each of them is tried by itself, so that one broken clip costs itself only. Raises InputError for what
    is wrong with all of them, such as a missing model.
    """
    extractor, key = part.extractor, part.extractor.key()
    named: dict[str, Utterance] = {}
    for row in part.rows:
        named.setdefault(extractor.key_of(utterances[row]), utterances[row])
    done = store.known(key, list(named))
    pending = [(name, utterance) for name, utterance in named.items() if name not in done]
    pending.sort(key=lambda pair: len(pair[1].sentence))  # batches of like lengths; files keep their order
    tasks = [pending[i : i + extractor.chunk] for i in range(0, len(pending), extractor.chunk)]
    bar = Progress(extractor.kind, len(named), "utterance", done=len(done))
    problems: list[str] = []
    try:
        again = _round(tasks, extractor, store, workers, bar, problems)
        if again:
            _round([[pair] for task in again for pair in task], extractor, store, workers, bar, problems)
    finally:
        bar.close()
    return problems


def _round(tasks, extractor, store, workers, bar, problems):
    """Do `tasks`; returns those whose process was killed and that hold several utterances."""
    key, again = extractor.key(), []
    for task, results, error in _ended(tasks, extractor, workers):
        if error is None:
            store.put(key, [(name, result) for (name, _), result in zip(task, results, strict=True)])
            bar.update(steps=len(task))
        elif isinstance(error, InputError):
            raise error
        elif was_killed(error) is not None and len(task) > 1:
            again.append(task)
        else:
            problems += [_in_words(utterance, error) for _, utterance in task]
    return again


def _ended(tasks, extractor, workers):
    """Each task as it ends, with its results, or the error."""
    calls = [(extractor, [utterance for _, utterance in task]) for task in tasks]
    if not workers.jobs and workers.backend == "processes":
        for task, call in zip(tasks, calls, strict=True):
            yield task, _apply(*call), None
    elif tasks:
        with (
            crew(workers.backend, workers.jobs, workers.threads, workers.scheduler) as there,
            closing(there.run(_apply, calls)) as ends,
        ):
            for position, results, error in ends:
                yield tasks[position], results, error


def _apply(extractor, utterances):
    return extractor(utterances)


def _in_words(utterance, error):
    where = f"dialogue {utterance.dialogue!r}, utterance {utterance.number}"
    how = was_killed(error)
    if how is not None:
        return f"{where}: the process that worked on it was killed{how}"
    reason = "not enough memory" if is_want_of_memory(error) else f"{type(error).__name__}: {error}"
    return f"{where}: {' '.join(reason.split())[:300]}"
