"""What `train.py` does: trains a network per seed into the folder of a run, and prints their test scores."""

import argparse
import shlex
import sys
import time
from pathlib import Path

import pandas as pd
import torch

from common.commands.conversations import corpus_of, own_corpus_of, settings_for_own_corpus
from common.commands.options import given_options, short_path
from common.commands.parser import option_name, say
from common.data.corpus import Corpus
from common.environment import allow_tf32, choose_device, device_name, keep_memory, versions
from common.errors import InputError
from common.files import read_yaml
from common.reporting.paper import paper_scores
from common.reporting.tables import label_notes, summary_table
from common.settings import DATASET_NAMES, DEFAULT_DATA, TrainingSettings, build
from common.terminal import columns
from common.training.folder import (
    CURVES,
    HISTORY,
    INITIAL_WEIGHTS,
    RESULTS,
    SETTINGS,
    RunFolder,
    origin_of,
    settings_to_resume,
)
from common.training.run import train_run
from common.training.side_by_side import check_threads


def train_seeds(dataset: str, folder: Path, hyperparameters: dict, arguments: argparse.Namespace) -> None:
    """Train as the command line of train.py says. `folder`: that of the script with `hyperparameters`."""
    device, given = choose_device(arguments.device), given_options(arguments, TrainingSettings)
    if arguments.resume:
        settings, earlier = _resumed(arguments, given, device)
    else:
        values, earlier = _repeated(arguments, device) if arguments.settings else ({}, {})
        settings = build(TrainingSettings, hyperparameters | values | given, arguments.settings or "train.py")
    check_threads(device, settings.threads)
    own_corpus = own_corpus_of(arguments)
    _check_dataset(own_corpus.name if own_corpus else dataset, earlier, arguments)
    if arguments.resume:
        output = arguments.resume
    else:
        output = arguments.output or _new_run(folder / "runs")
        RunFolder(output, arguments.overwrite)  # better refused before the data are read
        if own_corpus:
            settings, notes = settings_for_own_corpus(settings, given, own_corpus)
            for note in notes:
                say(note)
    allow_tf32(settings.precision)
    corpus, origin = corpus_of(dataset, arguments, settings.labels, own_corpus)
    say(f"{corpus.describe()}\nfrom {origin}; on {device_name(device)}; into {short_path(output)}")
    if arguments.settings and (earlier.get("data") or {}).get("sha256") not in (None, corpus.sources):
        say(f"Note: not the data files that {arguments.settings} names; the numbers will differ.")
    keep_memory()  # not before: reading the feature files takes more memory than anything after it
    begun = time.time()
    try:
        tested, problems = train_run(
            corpus,
            settings,
            device,
            output,
            origin=origin_of(arguments.data_dir, arguments.synthetic),
            initial_weights=arguments.initial_weights,
            overwrite=arguments.overwrite,
            resume=arguments.resume is not None,
        )
    except BaseException as error:
        if arguments.resume or _is_newer(output / SETTINGS, begun):
            error.add_note(f"resume with: {_command(output, arguments.device)}")
        raise
    if tested:
        _report(tested, corpus, output)
    if problems:
        raise InputError("; ".join(problems))


def _is_newer(path, time):
    try:
        return path.stat().st_mtime >= time - 1  # file systems may count in seconds
    except OSError:
        return False


def _command(output, device):
    """The command line that resumes the run in `output`."""
    words = ["python", sys.argv[0], "--resume", short_path(output)]
    return shlex.join(words if device == "auto" else [*words, "--device", device])


def _report(tested: dict[int, dict], corpus: Corpus, output: Path) -> None:
    """Print the test scores of each seed, and draw the curves of the run."""
    paper, reason = paper_scores(corpus, "test")
    named = {f"seed {seed}": scores for seed, scores in tested.items()}
    label = corpus.label[corpus.rows("test")]
    if (label >= 0).any():
        say(f"\nTest split, selected weights, in percent\n{summary_table(named, corpus.classes, paper, columns())}")
    for note in label_notes(label, corpus.classes):
        say(f"Note: test split: {note}")
    say(f"{f'No comparison with the paper: {reason}.' if reason else ''}\nEverything is in {short_path(output)}.")
    if (output / HISTORY).is_file():
        from common.reporting.figures import curves_figure, save_figure  # matplotlib: only now, when training is over

        history, results = (pd.read_csv(output / file) for file in (HISTORY, RESULTS))
        save_figure(curves_figure(history, results, corpus.name), output / CURVES)


def _resumed(arguments: argparse.Namespace, given: dict, device: torch.device) -> tuple[TrainingSettings, dict]:
    """Settings of the run to resume, and what its settings.yaml says; fills in the arguments that belong to it."""
    extra = [option_name(name) for name in given]
    own = ("output", "settings", "initial_weights", "overwrite")
    extra += [option_name(name) for name in own if getattr(arguments, name)]
    if extra:
        raise InputError(f"--resume: takes the settings of the run; drop {', '.join(extra)}, or train without --resume")
    settings, content = settings_to_resume(arguments.resume)
    _remember_data(arguments, content)
    arguments.initial_weights = content.get("initial_weights")
    _note_other_machine(content, device, "resumed")
    return settings, content


def _repeated(arguments: argparse.Namespace, device: torch.device) -> tuple[dict, dict]:
    """Hyperparameters in the file of --settings, and all that it says; fills in the arguments that it has."""
    path = arguments.settings / SETTINGS if arguments.settings.is_dir() else arguments.settings
    content = read_yaml(path)
    values = content.get("hyperparameters")
    if not isinstance(values, dict):
        raise InputError(f"--settings {path}: no hyperparameters in it; expected the settings.yaml of a run")
    _remember_data(arguments, content)
    if content.get("initial_weights") and not arguments.initial_weights:
        kept = path.parent / INITIAL_WEIGHTS
        arguments.initial_weights = kept if kept.is_file() else Path(str(content["initial_weights"]))
    _note_other_machine(content, device, "repeated")
    return {str(name): value for name, value in values.items()}, content


def _remember_data(arguments, content):
    """Where the command line does not say which data, they are those of the run that `content` is of."""
    if arguments.data_dir == DEFAULT_DATA and not arguments.synthetic:
        arguments.synthetic = bool(content.get("synthetic"))
        if isinstance(content.get("data_dir"), str) and Path(content["data_dir"]).is_dir():
            arguments.data_dir = Path(content["data_dir"])


def _note_other_machine(content, device, done):
    for what, begun, here in (
        ("on", content.get("device"), device_name(device)),
        ("with PyTorch", (content.get("versions") or {}).get("torch"), versions()["torch"]),
    ):
        if begun not in (None, here):
            say(f"Note: begun {what} {begun}, {done} {what} {here}; the last digits may differ.")


def _check_dataset(name, earlier, arguments):
    """Raises InputError where the run that is resumed or repeated, if any, is on other data than `name`."""
    begun_on = earlier.get("dataset")
    if begun_on not in (None, name):
        which = f"--resume {arguments.resume}" if arguments.resume else f"--settings {arguments.settings}"
        if begun_on in DATASET_NAMES:
            raise InputError(f"{which}: a run on {begun_on}, not on {name}; use its script and --data-dir")
        where = f"whose data lay in {earlier.get('data_dir')}, not on {name}; say where they lie now"
        raise InputError(f"{which}: a run on {begun_on}, {where}", ["data_dir"])


def _new_run(runs):
    """A folder in `runs` named after the time, which does not exist yet."""
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    paths = [runs / name, *(runs / f"{name}_{k}" for k in range(2, 1000))]
    return next(path for path in paths if not path.exists())
