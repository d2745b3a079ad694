"""Corpus: all conversations of a dataset as flat arrays. No file formats here.

U utterances in all dialogues together, dialogue after dialogue.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from common.errors import InputError
from common.settings import FEATURES, SPLITS

SENTIMENTS = ["neutral", "positive", "negative"]


@dataclass(frozen=True)
class Corpus:
    """Conversations with their features, labels, speakers and splits.

    `features`: each of FEATURES to float32, (U, its width). `text` is the emotion-related text feature of the evidence,
    `event` the semantic one of the causes.
    `label`, `speaker`: int64, (U,), positions in `classes` and `speakers`; the label is -1 where it is not known.
    `offset`: int64, (dialogues + 1,); dialogue i holds the utterances offset[i] to offset[i + 1].
    `ids`: dialogue ids; `splits`: name of a split to the list of its dialogues (positions in `ids`).
    `sentiment`: int64, (U,), where the dataset has a second labelling; `sentences`: U strings, or empty.
    `numbers`: int64, (U,), the number of each utterance in its dialogue as the user gave it; None for released files,
    which give none: there it is the position. `utterances` has it in both cases.
    `sources`: what it was made of, name to SHA-256.
    """

    name: str
    features: dict[str, np.ndarray]
    label: np.ndarray
    speaker: np.ndarray
    offset: np.ndarray
    ids: list
    splits: dict[str, list[int]]
    classes: list[str]
    speakers: list[str]
    sentences: list[str] = field(default_factory=list)
    sentiment: np.ndarray | None = None
    numbers: np.ndarray | None = None
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def widths(self) -> dict[str, int]:
        """Feature name to width."""
        return {name: values.shape[1] for name, values in self.features.items()}

    @property
    def lengths(self) -> np.ndarray:
        """Utterances of each dialogue, (dialogues,)."""
        return np.diff(self.offset)

    @property
    def positions(self) -> np.ndarray:
        """Of each utterance its position in the dialogue, from 0, int64 (U,)."""
        return np.arange(self.offset[-1]) - np.repeat(self.offset[:-1], self.lengths)

    @property
    def utterances(self) -> np.ndarray:
        """Of each utterance its number in the dialogue, as it was given, int64 (U,)."""
        return self.positions if self.numbers is None else self.numbers

    def rows(self, split: str) -> np.ndarray:
        """Positions of the utterances of `split`, dialogue after dialogue in file order."""
        dialogues = np.array(self.splits[split], np.int64)
        lengths = self.lengths[dialogues]
        return np.arange(lengths.sum()) + np.repeat(self.offset[dialogues] - np.cumsum(lengths) + lengths, lengths)

    def per_dialogue(self, values: np.ndarray, as_list: bool = False) -> dict:
        """`values`, one per utterance (U, …), as a dictionary from dialogue id to a list with one entry each.

        `as_list`: entries as Python numbers, strings and lists in place of numpy's.
        """
        dialogues = np.split(values, self.offset[1:-1])
        return {i: d.tolist() if as_list else list(d) for i, d in zip(self.ids, dialogues, strict=True)}

    def with_sentiment(self) -> "Corpus":
        """The same conversations labelled by sentiment. Raises InputError where there is no such labelling."""
        if self.sentiment is None:
            raise InputError(f"{self.name} has no sentiment labels; use its emotion labels", ["labels"])
        return replace(self, label=self.sentiment, classes=SENTIMENTS)

    def with_classes(self, classes: list[str]) -> "Corpus":
        """The same conversations with labels as positions in `classes`. Raises InputError for labels that it lacks."""
        foreign = [name for name in self.classes if name not in classes]
        if foreign:
            found = f"the label {foreign[0]!r}, which the checkpoint does not know, but {', '.join(classes)}"
            mend = "name it as the checkpoint does, or leave it empty, and build again"
            raise InputError(f"{self.name}: has {found}; {mend}")
        position = np.array([classes.index(name) for name in self.classes] + [-1], np.int64)  # the last one for -1
        return replace(self, label=position[self.label], classes=list(classes))

    def describe(self) -> str:
        """One line: dialogues, utterances and widths."""
        parts = ", ".join(f"{len(self.splits[s])} {s}" for s in SPLITS)
        widths = ", ".join(f"{name} {width}" for name, width in self.widths.items())
        return f"{self.name}: {len(self.label):,} utterances in {len(self.ids)} dialogues ({parts}); features {widths}"


def from_dialogues(
    name: str,
    *,
    lengths: Sequence[int],
    ids: Iterable,
    split_sizes: Sequence[int],
    features: dict[str, np.ndarray],
    **arrays: Any,
) -> Corpus:
    """A Corpus whose dialogues stand in the order train, valid, test, `split_sizes` of each. Features that are not
    given have width 0.
    """
    ends = np.cumsum(split_sizes)
    splits = {s: list(range(end - n, end)) for s, n, end in zip(SPLITS, split_sizes, ends, strict=True)}
    offset = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    missing = np.zeros((sum(lengths), 0), np.float32)
    features = {name: features.get(name, missing) for name in FEATURES}
    return Corpus(name=name, features=features, offset=offset, ids=list(ids), splits=splits, **arrays)
