"""Small datasets of features, and runs on them, as a user makes them."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from common.data.own import read_own
from common.features.choices import Choices
from common.features.extract import Workers
from common.features.extractor import Extractor
from common.features.make import make_dataset
from common.features.sources.arrange import arranged
from common.features.sources.source import Source
from common.settings import TrainingSettings
from common.training.folder import origin_of
from common.training.run import train_run

SAID = {
    "angry": ["Go away.", "I hate this.", "You broke it again!", "That is not fair."],
    "calm": ["It is on the table.", "The bus leaves at nine.", "Fine.", "I see."],
    "glad": ["What a lovely day!", "I am so happy.", "This is great, thank you.", "Wonderful news!"],
}
CLASSES = list(SAID)
SMALL = {"hidden_width": 8, "heads": 2, "head_width": 4, "epochs": 2, "learning_rate": 0.01, "batch_size": 4}


@dataclass(frozen=True)
class Sounds(Extractor):
    """Two numbers of a sound: how long the name of its file is, and the same to the power of two."""

    kind: ClassVar[str] = "audio"
    chunk: ClassVar[int] = 2

    def identity(self):
        return {"extractor": "sounds"}

    def of(self, utterance):
        return [str(utterance.audio)]

    def __call__(self, utterances):
        return [self.one(u.audio) for u in utterances]

    @staticmethod
    def one(path):
        if path is None:
            return "no file"
        return "silent" if path.stem == "silent" else np.array([len(path.stem), len(path.stem) ** 2], np.float32)


def source_of(rows, name="talk", classes=(), **columns):
    """A Source of rows (dialogue, speaker, sentence), all of split test; utterances are numbered from 0."""
    table = pd.DataFrame(rows, columns=["dialogue", "speaker", "sentence"]).assign(**columns)
    table["number"] = table.groupby("dialogue").cumcount()
    return Source(name, arranged(table), list(classes), [])


def labelled(dialogues=20, turns=5, audio=False):
    """A Source of so many dialogues in all splits, whose labels follow from what is said."""
    rng, rows = random.Random(1), []
    for d in range(dialogues):
        split = "train" if d < 0.6 * dialogues else "valid" if d < 0.8 * dialogues else "test"
        for number in range(rng.randint(1, 2 * turns)):
            label = rng.choice(CLASSES)
            row = {"dialogue": f"d{d}", "number": number, "speaker": rng.choice(["Ann", "Bo", "Cem"]), "split": split}
            row |= {"label": label, "sentence": rng.choice(SAID[label])}
            rows.append(row | ({"audio": f"/{'x' * rng.randint(1, 9)}.wav"} if audio else {}))
    return Source("mine", arranged(pd.DataFrame(rows)), CLASSES, [])


def dataset(folder: Path, choices: Choices, source=None, tuning=None) -> Path:
    """Make a dataset in `folder`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    how = {"device": "cpu", "workers": Workers(), "overwrite": False, "say": lambda line: None}
    make_dataset("mine", source or labelled(), choices, tuning, folder, **how)
    return folder


def run_on(data: Path, folder: Path, **settings) -> Path:
    """Train small networks of two seeds on the dataset in `data`; returns the `folder` of the run."""
    values = SMALL | {"modalities": "T", "seeds": (0, 1)} | settings
    how = {"origin": origin_of(data, False), "progress": False}
    train_run(read_own(data), TrainingSettings(**values), torch.device("cpu"), folder, **how)
    return folder
