"""Features of training utterances from encoders that have not seen their labels.

An encoder that was tuned on an utterance knows its label: its features of training utterances are far surer than those
of others, and a network that is trained on them learns to trust them too much. So the dialogues of the training split
are dealt into folds, and an encoder is tuned without each. Its features of that fold are brought into the space of the
encoder that was tuned on all of training, which makes those of validation, test and all later conversations.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from common.errors import InputError
from common.features.extract import Part
from common.features.models import Model, resolve
from common.features.text.alignment import Alignment, agreement
from common.features.text.classifier import read_head
from common.features.text.encoder import FirstToken, without_text
from common.features.text.tune import TuneSettings, tune
from common.files import sha256

ANCHORS = 8192


@dataclass(frozen=True)
class Utterances:
    """All utterances of a dataset: `sentences`, `labels` (positions in `classes`, -1 where unknown), names of their
    `dialogues`, and `splits` (train, valid, test), each (U,).
    """

    sentences: Sequence[str]
    labels: np.ndarray
    dialogues: np.ndarray
    splits: np.ndarray
    classes: list[str]

    def rows(self, split: str) -> np.ndarray:
        """The rows of a split."""
        return np.flatnonzero(self.splits == split)


def deal(utterances: Utterances, folds: int, seed: int) -> np.ndarray:
    """For each utterance the fold of its dialogue, from 0; -1 outside training, (U,).

    The longest dialogue that is left goes to the fold with the fewest utterances; equals in an order that `seed`
    draws. Raises InputError unless there are at least 2 folds, and a dialogue for each.
    """
    train = utterances.rows("train")
    names, which, sizes = np.unique(utterances.dialogues[train], return_inverse=True, return_counts=True)
    if not 2 <= folds <= len(names):
        raise InputError(
            f"{folds} folds: expected at least 2, and at most the {len(names)} training dialogues", ["folds"]
        )
    drawn = np.random.default_rng(seed).permutation(len(names))
    fold_of, filled = np.empty(len(names), np.int64), np.zeros(folds, np.int64)
    for dialogue in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        fold_of[dialogue] = filled.argmin()
        filled[fold_of[dialogue]] += sizes[dialogue]
    found = np.full(len(utterances.sentences), -1)
    found[train] = fold_of[which]
    return found


def encoders(
    model: Model,
    utterances: Utterances,
    settings: TuneSettings,
    folds: int,
    folder: Path,
    device: str,
    title: str,
    layer: int = -1,
) -> list[Part]:
    """Tune `model` on all of training, and without each of so many `folds` (0: none); see `tune`.

    Returns what makes the features of whom: first the encoder of all of training, in `folder`/full, which also serves
    all later conversations, then those of the folds, in `folder`/fold-1-of-K and so on, aligned to it on training
    utterances that both have seen. Each tuning resumes, and is not done again. Raises InputError as `tune`.
    """
    fold = deal(utterances, folds, settings.seed) if folds else np.full(len(utterances.sentences), -1)
    train, valid = utterances.rows("train"), utterances.rows("valid")

    def tuned(rows, name, words):
        where = (utterances.sentences, utterances.labels, rows, valid, utterances.classes, settings, folder / name)
        return FirstToken(resolve(tune(model, *where, device, f"{title}, {words}")), layer, device)

    full = tuned(train, "full", "all of training" if folds else "encoder")
    parts = [Part(full, np.flatnonzero(fold < 0))]
    anchors = _anchors(utterances, settings.seed)
    for number in range(folds):
        seen = train[fold[train] != number]
        other = tuned(seen, f"fold-{number + 1}-of-{folds}", f"without fold {number + 1} of {folds}")
        both = [utterances.sentences[row] for row in anchors if fold[row] != number]
        parts.append(Part(_aligned(other, full, both, folder), np.flatnonzero(fold == number)))
    return parts


def agreements(parts: Sequence[Part], sentences: Sequence[str]) -> list[dict[str, float]]:
    """How much the features of each fold's encoder are like those of the first part's, for `sentences` with text.

    See `agreement`; also `cosine_before` and `same_class_before`, without the alignment.
    """
    extractors = [cast(FirstToken, part.extractor) for part in parts]
    full = extractors[0]
    ours, head = full.of_sentences(sentences), read_head(Path(full.model.source)) if full.layer == -1 else None
    found = []
    for extractor in extractors[1:]:
        before = replace(extractor, alignment=None, alignment_key=None).of_sentences(sentences)
        after = Alignment.load(str(extractor.alignment)).apply(before)
        known = {f"{name}_before": value for name, value in agreement(before, ours, head).items()}
        found.append(agreement(after, ours, head) | known)
    return found


def _anchors(utterances, seed):
    """Rows of training that alignments are fitted on: at most ANCHORS of those with text."""
    rows = [row for row in utterances.rows("train") if not without_text(utterances.sentences[row])]
    return np.sort(np.random.default_rng(seed).permutation(rows)[:ANCHORS])


def _aligned(theirs, ours, anchors, folder):
    """`theirs`, through a map into the space of `ours` that is fitted on the sentences `anchors`, once."""
    about = json.dumps([theirs.identity(), ours.identity(), anchors])
    path = folder / f"alignment-{hashlib.sha256(about.encode()).hexdigest()[:24]}.safetensors"
    if not path.exists():
        Alignment.fit(theirs.of_sentences(anchors), ours.of_sentences(anchors)).save(path)
    return replace(theirs, alignment=str(path.resolve()), alignment_key=sha256(path))
