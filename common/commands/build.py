"""Makes a dataset of your own conversations, from a CSV file and feature arrays.

The CSV file has a row per utterance and the columns dialogue, utterance (its number in the dialogue), speaker, label
(empty where it is not known), split (train, valid or test) and, if you like, sentence. Each feature array, a .npy file
(utterances, width), has a row per row of the CSV file, in the same order. A dialogue lies in one split; each utterance
of train and valid needs a label. Text and event features, the emotion-related and the semantic ones, belong together;
any modality may be missing.
"""

import argparse
from pathlib import Path

from common.settings import FEATURES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files to read, and where to write."""
    parser.add_argument("--utterances", type=Path, required=True, metavar="FILE.csv", help="a row per utterance")
    for name in FEATURES:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE.npy", help=f"{name} features, a row per utterance")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for --data-dir of the scripts"
    )
    parser.add_argument("--name", help="of the dataset (default: that of the folder)")


def run(arguments: argparse.Namespace) -> None:
    """Build the dataset and say what it holds."""
    from common.data.own import build_corpus, write_own

    features = {name: getattr(arguments, name) for name in FEATURES if getattr(arguments, name)}
    corpus = build_corpus(arguments.name or arguments.output.resolve().name, arguments.utterances, features)
    path = write_own(corpus, arguments.output)
    unknown = int((corpus.label < 0).sum())
    print(f"{corpus.describe()}; {len(corpus.speakers)} speakers; classes {', '.join(corpus.classes) or 'unknown'}")
    print(f"{unknown} utterances without label; wrote {path}; give --data-dir {arguments.output} to the scripts")
