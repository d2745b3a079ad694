"""Downloads the authors' feature files (Google Drive) and checkpoints (Hugging Face hub) to where the scripts look.

With --raw text it downloads MELD's own CSV files instead, from the repository of their authors on GitHub to meld_raw/
in the data folder: what `python -m common features meld` and `python -m common build --meld` read.

Existing files stay as they are. After an interruption the same command resumes: unfinished feature files from where
they were, checkpoints from their beginning. HF_ENDPOINT in the environment names a mirror of the hub, ECERC_GITHUB one
of https://raw.githubusercontent.com, and HF_HUB_DOWNLOAD_TIMEOUT the seconds without a byte after which a connection to
the hub is tried again (default: 10; those to others: 30).
"""

import argparse
from pathlib import Path

from common.settings import DATASET_NAMES, DEFAULT_DATA


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to download, and where to."""
    parser.add_argument("datasets", choices=DATASET_NAMES, nargs="+", help="datasets to download")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help="folder for the feature files, below it iemocap/ and meld/ (default: data/ of the repository)",
    )
    parser.add_argument(
        "--checkpoint-dir",
        type=Path,
        default=DEFAULT_DATA.parent,
        metavar="DIR",
        help="folder for the checkpoints, below it IEMOCAP/ and MELD/ (default: the repository)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--raw", choices=("text",), help="download what features are made of: the CSV files of MELD")
    what.add_argument("--only", choices=("features", "checkpoints"), help="download only these (default: both)")


def run(arguments: argparse.Namespace) -> None:
    """Download as the command line says."""
    from common.release.obtain import KINDS, obtain
    from common.release.obtain_raw import obtain_texts

    kinds = [arguments.only] if arguments.only else KINDS
    try:
        if arguments.raw:
            obtain_texts(arguments.datasets, arguments.data_dir)
            return
        obtain(arguments.datasets, arguments.data_dir, arguments.checkpoint_dir, kinds=kinds)
    except KeyboardInterrupt as stop:
        stop.args = ("the same command resumes",)
        raise
