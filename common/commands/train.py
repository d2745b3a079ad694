"""The command line of `train.py`; what it does is in `training.py`."""

import argparse
from pathlib import Path

from common.commands.options import add_common_options, add_options
from common.commands.parser import OneLineParser, run_command
from common.settings import TrainingSettings, build


def train(dataset: str, folder: str | Path, hyperparameters: dict) -> None:
    """Train ECERC on `dataset` as the command line says. `folder`: that of the script; runs go to its `runs/`.

    `hyperparameters`: the values at the top of the script, names of TrainingSettings; each becomes an option.
    """
    description = f"Train ECERC on {dataset}: one network per seed, selected on validation, then tested."
    parser = OneLineParser(description=description, allow_abbrev=False)
    _add_arguments(parser, dataset, hyperparameters)

    def run(arguments: argparse.Namespace) -> None:
        build(TrainingSettings, hyperparameters, "train.py")  # what the user edited is checked first
        from common.commands.training import train_seeds

        train_seeds(dataset, Path(folder), hyperparameters, arguments)

    run_command(parser, run, "train.py")


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
        "--settings",
        type=Path,
        metavar="FILE",
        help="settings.yaml of a run, or its folder, to repeat it: its hyperparameters, seeds, data and initial "
        "weights count over the top of the script, and options over them",
    )
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="resume a run that was stopped, with the settings it has"
    )
    add_options(parser, TrainingSettings, hyperparameters)
