"""Makes a dataset of your own conversations, from a CSV file and feature arrays.

The CSV file has a row per utterance and the columns dialogue, utterance (its number in the dialogue), speaker, label
(empty where it is not known), split (train, valid or test) and, if you like, sentence. Each feature array, a .npy file
(utterances, width), has a row per row of the CSV file, in the same order. A dialogue lies in one split. Utterances
without a label are history for the others, and are predicted. Text features are the emotion-related ones, event
features the semantic ones; text alone serves as both. Any modality may be missing.

--meld reads MELD's own CSV files instead; each feature array then has the rows of train, dev and test one after the
other, or there are three of them, in this order.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from common.settings import FEATURES, SPLITS
from common.terminal import columns, show, table

if TYPE_CHECKING:
    from common.data.corpus import Corpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files to read, and where to write."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--utterances", type=Path, metavar="FILE.csv", help="a row per utterance")
    source.add_argument("--meld", type=Path, metavar="DIR", help="folder of train_, dev_ and test_sent_emo.csv")
    for name in FEATURES:
        parser.add_argument(
            f"--{name}", type=Path, nargs="+", metavar="FILE.npy", help=f"{name} features, a row per utterance"
        )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for --data-dir of the scripts"
    )
    parser.add_argument("--name", help="of the dataset (default: that of the folder)")


def run(arguments: argparse.Namespace) -> None:
    """Build the dataset and say what it holds."""
    from common.data.own import build_corpus, build_meld, refuse_existing, write_own
    from common.files import folder_for

    features = {name: getattr(arguments, name) for name in FEATURES if getattr(arguments, name)}
    name = arguments.name or arguments.output.resolve().name
    refuse_existing(arguments.output)
    with folder_for(arguments.output):
        if arguments.meld:
            corpus, notes = build_meld(name, arguments.meld, features, arguments.output)
        else:
            corpus, notes = build_corpus(name, arguments.utterances, features, arguments.output)
        path = write_own(corpus, arguments.output)
    show("\n".join([*notes, f"{corpus.describe()}; {len(corpus.speakers)} speakers", *counts(corpus)]))
    show(f"Wrote {path}; give --data-dir {arguments.output} to the scripts.")


def counts(corpus: "Corpus") -> list[str]:
    """Utterances of each class and split, as lines, and which classes train lacks."""
    import numpy as np

    names = [*corpus.classes, "(no label)"]  # the last one for -1
    found = [np.bincount(corpus.label[corpus.rows(split)] % len(names), minlength=len(names)) for split in SPLITS]
    counts = {name: [int(column[c]) for column in found] for c, name in enumerate(names)}
    rows = [[name, *(str(count) for count in row)] for name, row in counts.items()]
    lines = table(["label", *SPLITS], rows, columns()).split("\n")
    absent = [name for name, row in counts.items() if found[0].any() and not row[0] and name in corpus.classes]
    if absent:
        lines.append(f"Note: no utterance of train is labelled {', '.join(absent)}; no network can learn that.")
    return lines
