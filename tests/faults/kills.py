"""Trainings killed at random moments."""

import multiprocessing
import random
import shutil
import time
from pathlib import Path

import pandas as pd
import torch

from common.settings import TrainingSettings
from common.training.run import train_run
from tests.small import small_corpus

SMALL = {"hidden_width": 8, "heads": 2, "head_width": 4, "learning_rate": 1e-2, "evidence_dropout": 0.3}
SETTINGS = TrainingSettings(seeds=(5, 6, 7), epochs=12, patience=12, **SMALL)
IMPORTED = ("torch._dynamo", "common.reporting.figures", "matplotlib.backends.backend_svg")  # late


def train(folder, resume, threads):
    """Train into `folder`, or go on there: with one thread one seed after the other, else side by side."""
    torch.set_num_threads(threads)
    corpus = small_corpus("MELD", sizes=(8, 4, 4))
    train_run(corpus, SETTINGS, torch.device("cpu"), folder, overwrite=not resume, resume=resume, progress=False)


def outcome(folder, seeds=SETTINGS.seeds, every=SETTINGS.seeds):
    """All that a run's folder says of its finished `seeds`, of those that it has, but for times and file formats."""
    found = {}
    for name in ("results.csv", "predictions.csv", "history.csv"):
        rows = pd.read_csv(folder / name, dtype=str).drop(columns="seconds", errors="ignore")
        found[name] = rows[rows.seed.astype(int).isin(seeds)].values.tolist()
    for seed in seeds:
        index = every.index(seed)
        path = folder / ("ECERC_MODEL.pkl" if index == 0 else f"ECERC_MODEL_{index + 1}.pkl")
        found[seed] = {name: tensor.tolist() for name, tensor in torch.load(path, weights_only=True).items()}
    return found


def finished(folder):
    """The seeds that are finished in a run's folder."""
    path = folder / "results.csv"
    return tuple(pd.read_csv(path).seed) if path.exists() else ()


def kill_again_and_again(kills: int, folder: Path, choice: random.Random) -> dict[str, int]:
    """Kill trainings `kills` times, each at a random moment, and go on with them, comparing with an undisturbed one.

    After each kill, finished seeds must be what they should; so must all of a run that came to its end. Returns counts:
    `kills`, `runs` that ended, and `seeds` that were finished, or `begun`, at some kill. Raises AssertionError.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.kills", *IMPORTED])

    def start(where):
        resume = (where / "settings.yaml").exists()
        process = context.Process(target=train, args=(where, resume, choice.choice((1, 2))))
        process.start()
        return process

    start(folder / "warm up").join()  # the server imports all that a training needs, once
    begun, quiet = time.monotonic(), start(folder / "quiet")
    quiet.join()
    whole, expected = time.monotonic() - begun, outcome(folder / "quiet")
    victim, counts = folder / "victim", dict.fromkeys(("kills", "runs", "seeds", "begun"), 0)
    while counts["kills"] < kills or victim.exists():
        process = start(victim)
        process.join(choice.uniform(0, 1.2 * whole) if counts["kills"] < kills else None)
        if process.is_alive():
            process.kill()
            process.join()
            counts["kills"] += 1
            seeds = finished(victim)
            if seeds:
                assert outcome(victim, seeds) == outcome(folder / "quiet", seeds)
            counts["seeds"] += len(seeds)
            counts["begun"] += len(list(victim.glob("unfinished_*.pt")))
        else:
            assert process.exitcode == 0
            assert outcome(victim) == expected
            names = sorted(path.name for path in victim.iterdir())
            assert names == sorted(path.name for path in (folder / "quiet").iterdir())
            shutil.rmtree(victim)
            counts["runs"] += 1
    return counts
