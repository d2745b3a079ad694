"""Writes synthetic conversations with planted evidence and causes, as feature files that the scripts read."""

import argparse
from pathlib import Path

from common.commands.parser import option_name
from common.errors import InputError
from common.settings import DATASET_NAMES, FEATURES
from common.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to write, and what."""
    parser.add_argument("folder", help="data folder to write to; the scripts read it with --data-dir", metavar="DIR")
    parser.add_argument(
        "--dataset",
        choices=DATASET_NAMES,
        nargs="+",
        default=list(DATASET_NAMES),
        metavar="NAME",
        help=f"layouts to write: {', '.join(DATASET_NAMES)} (default: both)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random numbers (default: 0)")
    parser.add_argument(
        "--dialogues",
        type=int,
        nargs=3,
        metavar=("TRAIN", "VALID", "TEST"),
        help="how many dialogues (default: 108 12 31 for IEMOCAP, 480 60 120 for MELD)",
    )
    parser.add_argument(
        "--turns",
        type=int,
        nargs=2,
        metavar=("LEAST", "MOST"),
        help="turns of a dialogue (default: 6 20 for IEMOCAP, 4 12 for MELD)",
    )
    for name in FEATURES:
        parser.add_argument(
            f"--{name}-width", type=int, metavar="WIDTH", help=f"width of the {name} features (default: as released)"
        )


def run(arguments: argparse.Namespace) -> None:
    """Write the feature files of each dataset."""
    _check(arguments)
    from common.data import DATASETS
    from common.data.synthetic import WIDTHS, synthetic_corpus

    for dataset in arguments.dataset:
        widths = {name: getattr(arguments, f"{name}_width") or WIDTHS[dataset].get(name, 0) for name in FEATURES}
        corpus = synthetic_corpus(
            dataset, seed=arguments.seed, sizes=arguments.dialogues, turns=arguments.turns, widths=widths
        )
        module = DATASETS[dataset]
        module.write(corpus, Path(arguments.folder) / module.FOLDER)
        show(f"wrote {', '.join(module.FILES)} to {Path(arguments.folder) / module.FOLDER}; {corpus.describe()}")


def _check(arguments):
    for name, value in vars(arguments).items():
        if name in ("folder", "dataset") or value is None:
            continue
        least = 0 if name == "seed" else 1
        if min(value if isinstance(value, list) else [value]) < least:
            raise InputError(f"{option_name(name)}: found {value}; expected whole numbers from {least}")
    if arguments.turns and arguments.turns[0] > arguments.turns[1]:
        raise InputError(f"--turns: found {arguments.turns}; expected the smaller number first")
