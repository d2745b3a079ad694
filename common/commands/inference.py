"""The command line of `inference.py`; what it does is in `evaluation.py`."""

import argparse
from pathlib import Path

from common.commands.options import add_checkpoint_options, add_common_options, add_options
from common.commands.parser import OneLineParser, run_command
from common.settings import SPLITS, EvaluationSettings, build


def inference(dataset: str, folder: str | Path, hyperparameters: dict) -> None:
    """Evaluate checkpoints on `dataset` as the command line says. `folder`: that of the script.

    `hyperparameters`: the values at the top of the script, names of EvaluationSettings; each becomes an option.
    """
    description = f"Evaluate checkpoints of ECERC on {dataset}, each by itself, then mean and spread."
    parser = OneLineParser(description=description, allow_abbrev=False)
    _add_arguments(parser, dataset, hyperparameters)

    def run(arguments: argparse.Namespace) -> None:
        build(EvaluationSettings, hyperparameters, "inference.py")  # what the user edited is checked first
        from common.commands.evaluation import evaluate_checkpoints

        evaluate_checkpoints(dataset, Path(folder), hyperparameters, arguments)

    run_command(parser, run, "inference.py")


def _add_arguments(parser: argparse.ArgumentParser, dataset: str, hyperparameters: dict) -> None:
    add_common_options(parser, f"{dataset.lower()}/")
    files = "files to evaluate (default: ECERC_MODEL.pkl, _2 and _3 beside this script, else those of the newest run)"
    add_checkpoint_options(parser, "+", files)
    parser.add_argument("--split", choices=SPLITS, default="test", help="split to evaluate (default: test)")
    parser.add_argument(
        "--predictions", type=Path, metavar="FILE.csv", help="write a row per checkpoint and utterance to this file"
    )
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="use a temperature, fitted on the validation split and kept beside the checkpoint",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write a page about all this, DIR/report.html, to be opened in a browser, and its numbers, "
        "DIR/report.json",
    )
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="with --report: compare with another run, its folder or some of its checkpoints, on the same data, each "
        "with the settings that it was trained with (options given here count for both); --predictions has the rows of "
        "--checkpoints alone",
    )
    add_options(parser, EvaluationSettings, hyperparameters)
