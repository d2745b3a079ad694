"""Measures speed and memory, beside the authors' way of doing things and the bound that the arithmetic sets.

It writes random files of the released sizes to a temporary folder, and takes some minutes.
"""

import argparse
from pathlib import Path

from common.settings import DATASET_NAMES

PARTS = ("start", "load", "products", "epoch", "length", "growth", "run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, how, and where to write it."""
    both = ", ".join(DATASET_NAMES)
    parser.add_argument(
        "--dataset", nargs="+", choices=DATASET_NAMES, default=list(DATASET_NAMES), metavar="NAME", help=both
    )
    parts = f"what to measure: {', '.join(PARTS)} (default: all)"
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=parts)
    parser.add_argument("--repetitions", type=int, default=5, help="of each measurement (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads for epochs and evaluation (default: 1)")
    parser.add_argument("--epochs", type=int, default=3, help="of each seed in the runs compared (default: 3)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--data-dir", type=Path, help="folder of the generated files, kept (default: a temporary one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to this file")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write them as a table to this file")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print each part when it is done."""
    from benchmarks.__main__ import measure_all

    measure_all(arguments)
