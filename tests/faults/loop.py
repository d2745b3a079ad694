"""Trainings of many seeds side by side, again and again, with as many writings of history.csv as there can be."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from common.training import history
from common.training.run import train_run
from tests.faults.kills import SETTINGS, outcome
from tests.small import small_corpus

EPOCHS = 8


def train_again_and_again(times: int, folder: Path, seeds: int = 12) -> dict[str, int]:
    """Train so many `seeds` with four threads, `times` times, and compare with a plain training, one after another.

    Returns how many trainings, and rows of results, predictions and history, were compared. Raises AssertionError.
    """
    every = tuple(range(seeds))
    corpus, settings = small_corpus("MELD", sizes=(8, 4, 4)), replace(SETTINGS, seeds=every, epochs=EPOCHS)
    before = torch.get_num_threads(), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads meet more often than they do by themselves
    counts = dict.fromkeys(("trainings", "results.csv", "predictions.csv", "history.csv"), 0)

    def train(name, threads):
        torch.set_num_threads(threads)
        tested, problems = train_run(
            corpus, settings, torch.device("cpu"), folder / name, overwrite=True, progress=False
        )
        assert (tuple(tested), problems) == (every, [])
        return outcome(folder / name, every, every)

    try:
        plain = train("plain", 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(history, "EVERY", 0)
            for _ in range(times):
                found = train("side by side", 4)
                assert found == plain
                counts["trainings"] += 1
                for name in list(counts)[1:]:
                    counts[name] += len(found[name])
    finally:
        torch.set_num_threads(before[0])
        sys.setswitchinterval(before[1])
    return counts
