"""Random conversations of the released shapes: widths, dialogue lengths and parties as in IEMOCAP and MELD.

`python -m benchmarks.conversations DIR` writes them as feature pickles of the released sizes, with all the layers
of text features that the released files hold and nobody reads.
"""

import pickle
import sys
from pathlib import Path

import numpy as np

from common.data import DATASETS, iemocap, meld
from common.data.corpus import SPLITS, Corpus
from common.data.synthetic import WIDTHS, synthetic_corpus

# How many dialogues of the real datasets have 1, 2, 3, ... utterances, per split.
_MELD = {
    "train": [70, 60, 54, 48, 67, 61, 74, 67, 50, 57, 55, 54, 36, 41, 43, 51, 30, 28, 27, 20, 20, 13, 7, 5],
    "valid": [6, 4, 7, 4, 9, 8, 4, 7, 5, 8, 13, 8, 6, 5, 3, 2, 4, 0, 4, 3, 1, 2, 1],
    "test": [12, 17, 17, 17, 25, 21, 11, 16, 22, 17, 11, 17, 12, 11, 9, 7, 13, 4, 7, 4, 2, 3, 4, *[0] * 9, 1],
}
# fmt: off
# ruff: noqa: E501
LENGTHS = {
    "IEMOCAP": {
        "train": [8, 18, 20, 26, 26, 26, 26, 26, 26, 26, 27, 27, 28, 29, 30, 30, 31, 32, 33, 34, 34, 34, 35, 35, 35, 36, 37,
                  37, 37, 38, 38, 39, 39, 40, 40, 41, 42, 42, 42, 43, 43, 44, 44, 44, 44, 44, 45, 45, 46, 46, 46, 47, 47, 47,
                  47, 47, 47, 49, 50, 50, 51, 51, 51, 51, 52, 52, 53, 53, 53, 53, 53, 53, 53, 54, 54, 54, 54, 56, 56, 57, 57,
                  58, 59, 59, 60, 60, 60, 60, 61, 61, 61, 62, 62, 62, 63, 66, 66, 69, 69, 69, 72, 74, 74, 77, 79, 83, 87, 94],
        "valid": [18, 24, 32, 43, 44, 50, 58, 63, 63, 64, 78, 110],
        "test": [23, 28, 28, 29, 34, 37, 40, 42, 43, 43, 43, 44, 44, 44, 49, 52, 52, 53, 54, 58, 58, 59, 59, 59, 64, 68, 75,
                 83, 83, 84, 91],
    },
    "MELD": {split: np.repeat(np.arange(1, len(count) + 1), count).tolist() for split, count in _MELD.items()},
}
# fmt: on
PARTIES = {"IEMOCAP": {2: 151}, "MELD": {2: 643, 3: 367, 4: 171, 1: 123, 5: 79, 6: 33, 7: 12, 8: 3, 9: 1}}
CHANGES = {"IEMOCAP": 0.68, "MELD": 0.8}  # how often another party has the next turn
LAYERS = {iemocap.EMOTION: (3, 4, 5), iemocap.EVENT: (2, 3, 4, 5, 7, 8, 9), meld.FILE: (4, 5, 6, 8, 9, 10)}


def released_shape(dataset: str, seed: int = 0) -> Corpus:
    """A Corpus with the numbers of dialogues, their lengths and the widths of the real one; contents are random."""
    rng = np.random.default_rng(seed)
    lengths = np.concatenate([rng.permutation(LENGTHS[dataset][split]) for split in SPLITS])
    sizes = [len(LENGTHS[dataset][split]) for split in SPLITS]
    total, classes = int(lengths.sum()), DATASETS[dataset].CLASSES
    kinds, counts = zip(*PARTIES[dataset].items(), strict=True)
    parties = rng.choice(kinds, size=len(lengths), p=np.array(counts) / sum(counts))
    corpus = synthetic_corpus(dataset, sizes=sizes, turns=(1, 1), widths=dict.fromkeys(WIDTHS[dataset], 1))
    features = {name: rng.standard_normal((total, width), np.float32) for name, width in WIDTHS[dataset].items()}
    label = rng.integers(len(classes), size=total)
    speaker = np.concatenate([_turns(rng, n, k, CHANGES[dataset]) for n, k in zip(lengths, parties, strict=True)])
    values = {
        "features": features,
        "label": label,
        "speaker": speaker,
        "offset": np.concatenate([[0], np.cumsum(lengths)]),
    }
    values |= {"sentences": [], "speakers": [str(k) for k in range(max(kinds))]}
    values |= {"sentiment": meld.SENTIMENT_OF[label] if dataset == meld.NAME else None}
    return Corpus(**vars(corpus) | values)


def _turns(rng, turns, parties, changes):
    speaker = [0]
    for _ in range(turns - 1):
        other = parties > 1 and rng.random() < changes
        speaker.append((speaker[-1] + int(rng.integers(1, parties))) % parties if other else speaker[-1])
    return np.array(speaker)


def write(dataset: str, folder: str | Path, seed: int = 0) -> None:
    """Write `released_shape` as files of the released size."""
    module, folder = DATASETS[dataset], Path(folder) / DATASETS[dataset].FOLDER
    module.write(released_shape(dataset, seed), folder)
    for name in set(LAYERS) & set(module.FILES):
        with open(folder / name, "rb") as file:
            content = list(pickle.load(file))
        read = content[6 if name == iemocap.EVENT else 2 if name == iemocap.EMOTION else 3]
        for field in LAYERS[name]:
            content[field] = {i: [np.asarray(u, np.float32) + field for u in turns] for i, turns in read.items()}
            if dataset == iemocap.NAME:
                content[field] = {i: [u.tolist() for u in turns] for i, turns in content[field].items()}
        with open(folder / name, "wb") as file:
            pickle.dump(tuple(content), file, protocol=4)  # arrays byte for byte, as Python 2 wrote them
        print(f"wrote {folder / name} ({(folder / name).stat().st_size / 1e6:.0f} MB)")


if __name__ == "__main__":
    for name in DATASETS:
        write(name, sys.argv[1])
