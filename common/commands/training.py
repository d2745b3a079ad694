"""What `train.py` does: trains a network per seed into the folder of a run, and prints their test scores."""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch

from common.commands.conversations import corpus_of, own_corpus_of, settings_for_own_corpus
from common.commands.options import given_options, short_path
from common.commands.parser import option_name
from common.data.corpus import Corpus
from common.environment import allow_tf32, choose_device, device_name, keep_memory, versions
from common.errors import InputError
from common.reporting.paper import paper_scores
from common.reporting.tables import summary_table
from common.settings import TrainingSettings, build
from common.training.folder import CURVES, HISTORY, RESULTS, RunFolder, settings_to_resume
from common.training.run import train_run


def train_seeds(dataset: str, folder: Path, hyperparameters: dict, arguments: argparse.Namespace) -> None:
    """Train as the command line of train.py says. `folder`: that of the script with `hyperparameters`."""
    device, given = choose_device(arguments.device), given_options(arguments, TrainingSettings)
    if arguments.resume:
        settings, begun_on = _resumed(arguments, given, device)
    else:
        settings = build(TrainingSettings, hyperparameters | given, "train.py")
    own_corpus = own_corpus_of(arguments)
    name = own_corpus.name if own_corpus else dataset
    if arguments.resume:
        output = arguments.resume
        if begun_on != name:
            raise InputError(f"--resume {output}: a run on {begun_on}, not on {name}; use its script and --data-dir")
    else:
        output = arguments.output or _new_run(folder / "runs")
        RunFolder(output, arguments.overwrite)  # better refused before the data are read
        if own_corpus:
            settings, notes = settings_for_own_corpus(settings, given, own_corpus)
            print("".join(f"{note}\n" for note in notes), end="")
    allow_tf32(settings.precision)
    corpus, origin = corpus_of(dataset, arguments, settings.labels, own_corpus)
    print(f"{corpus.describe()}\nfrom {origin}; on {device_name(device)}; into {short_path(output)}", flush=True)
    keep_memory()  # not before: reading the feature files takes more memory than anything after it
    tested, failures = train_run(
        corpus,
        settings,
        device,
        output,
        synthetic=arguments.synthetic,
        initial_weights=arguments.initial_weights,
        overwrite=arguments.overwrite,
        resume=arguments.resume is not None,
    )
    if tested:
        _report(tested, corpus, output)
    if failures:
        raise InputError("; ".join(failures))


def _report(tested: dict[int, dict], corpus: Corpus, output: Path) -> None:
    """Draw the curves of the run and print the test scores of each seed."""
    from common.reporting.figures import curves_figure, save_figure  # matplotlib: only now, when training is over

    history, results = (pd.read_csv(output / file) for file in (HISTORY, RESULTS))
    save_figure(curves_figure(history, results, corpus.name), output / CURVES)
    paper, reason = paper_scores(corpus, "test")
    named = {f"seed {seed}": scores for seed, scores in tested.items()}
    print(f"\nTest split, selected weights, in percent\n{summary_table(named, corpus.classes, paper)}")
    print(f"{f'No comparison with the paper: {reason}.' if reason else ''}\nEverything is in {short_path(output)}.")


def _resumed(arguments: argparse.Namespace, given: dict, device: torch.device) -> tuple[TrainingSettings, str | None]:
    """Settings and dataset of the run to resume; fills in the arguments that belong to it."""
    extra = [option_name(name) for name in given]
    extra += [option_name(name) for name in ("output", "initial_weights", "overwrite") if getattr(arguments, name)]
    if extra:
        raise InputError(f"--resume: takes the settings of the run; drop {', '.join(extra)}, or train without --resume")
    settings, content = settings_to_resume(arguments.resume)
    arguments.synthetic, arguments.initial_weights = bool(content.get("synthetic")), content.get("initial_weights")
    for what, begun, here in (
        ("on", content.get("device"), device_name(device)),
        ("with PyTorch", (content.get("versions") or {}).get("torch"), versions()["torch"]),
    ):
        if begun != here:
            print(f"Note: begun {what} {begun}, resumed {what} {here}; the last digits may differ.")
    return settings, content.get("dataset")


def _new_run(runs):
    """A folder in `runs` named after the time, which does not exist yet."""
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    paths = [runs / name, *(runs / f"{name}_{k}" for k in range(2, 1000))]
    return next(path for path in paths if not path.exists())
