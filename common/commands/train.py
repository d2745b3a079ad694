"""What `train.py` of a dataset does."""

import argparse
import time
from pathlib import Path

from common.commands.options import add_common_options, add_options, given_options, short_path
from common.commands.parser import OneLineParser, option_name, run_command
from common.errors import InputError
from common.settings import TrainingSettings, build


def train(dataset: str, folder: str | Path, hyperparameters: dict) -> None:
    """Train ECERC on `dataset` as the command line says. `folder`: that of the script; runs go to its `runs/`.

    `hyperparameters`: the values at the top of the script, names of TrainingSettings; each becomes an option.
    """
    description = f"Train ECERC on {dataset}: one network per seed, selected on validation, then tested."
    parser = OneLineParser(description=description, allow_abbrev=False)
    _add_arguments(parser, dataset, hyperparameters)
    run_command(parser, lambda arguments: _run(dataset, Path(folder), hyperparameters, arguments), "train.py")


def _add_arguments(parser: argparse.ArgumentParser, dataset: str, hyperparameters: dict) -> None:
    add_common_options(parser, f"{dataset.lower()}/")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the run (default: runs/<time>)")
    parser.add_argument(
        "--initial-weights",
        type=Path,
        metavar="FILE",
        help="checkpoint that every seed starts from (default: random weights)",
    )
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on with a run that was stopped, with the settings it has"
    )
    add_options(parser, TrainingSettings, hyperparameters)


def _run(dataset, folder, hyperparameters, arguments):
    build(TrainingSettings, hyperparameters, "train.py")  # what the user edited is checked first
    import pandas as pd

    from common.commands.conversations import corpus_of, fitted, own_corpus
    from common.environment import allow_tf32, choose_device, device_name, keep_memory
    from common.reporting.figures import curves_figure, save_figure
    from common.reporting.paper import paper_scores
    from common.reporting.tables import summary_table
    from common.training.folder import CURVES, HISTORY, RESULTS, RunFolder
    from common.training.run import train_run

    device, given = choose_device(arguments.device), given_options(arguments, TrainingSettings)
    if arguments.resume:
        settings, begun_on = _resumed(arguments, given, device)
    else:
        settings = build(TrainingSettings, hyperparameters | given, "train.py")
    own = own_corpus(arguments)
    name = own.name if own else dataset
    if arguments.resume:
        output = arguments.resume
        if begun_on != name:
            raise InputError(f"--resume {output}: a run on {begun_on}, not on {name}; use its script and --data-dir")
    else:
        output = arguments.output or _new_run(folder / "runs")
        RunFolder(output, arguments.overwrite)  # better refused before the data are read
        if own:
            settings, notes = fitted(settings, given, own)
            print("".join(f"{note}\n" for note in notes), end="")
    allow_tf32(settings.precision)
    corpus, origin = corpus_of(dataset, arguments, settings.labels, own)
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
        history, results = (pd.read_csv(Path(output) / file) for file in (HISTORY, RESULTS))
        save_figure(curves_figure(history, results, corpus.name), Path(output) / CURVES)
        paper, reason = paper_scores(corpus, "test")
        named = {f"seed {seed}": found for seed, found in tested.items()}
        print(f"\nTest split, selected weights, in percent\n{summary_table(named, corpus.classes, paper)}")
        print(f"{f'No comparison with the paper: {reason}.' if reason else ''}\nEverything is in {short_path(output)}.")
    if failures:
        raise InputError("; ".join(failures))


def _resumed(arguments, given, device):
    """Settings and dataset of the run to go on with; fills in the arguments that belong to it."""
    extra = [option_name(name) for name in given]
    extra += [option_name(name) for name in ("output", "initial_weights", "overwrite") if getattr(arguments, name)]
    if extra:
        raise InputError(f"--resume: goes on with what the run has; drop {', '.join(extra)}, or train anew")
    from common.environment import device_name, versions
    from common.training.folder import settings_to_resume

    settings, content = settings_to_resume(arguments.resume)
    arguments.synthetic, arguments.initial_weights = bool(content.get("synthetic")), content.get("initial_weights")
    for what, begun, here in (
        ("on", content.get("device"), device_name(device)),
        ("with PyTorch", (content.get("versions") or {}).get("torch"), versions()["torch"]),
    ):
        if begun != here:
            print(f"Note: begun {what} {begun}, goes on {what} {here}; the last digits may differ.")
    return settings, content.get("dataset")


def _new_run(runs):
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    taken = [runs / name, *(runs / f"{name}_{k}" for k in range(2, 1000))]
    return next(path for path in taken if not path.exists())
