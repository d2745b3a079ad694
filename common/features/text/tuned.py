"""Text features of a tuned encoder; with folds, those of an utterance come from one that has not seen its label.

An encoder that was tuned on an utterance gives it features that betray its label, as no later utterance's do; a
network that is trained on them trusts them too much. With K folds K more encoders are tuned, each without a part of the
training split, and this part's features come from it. Each encoder has a space of its own, so these are turned into
that of the encoder of all, see `alignment`; the map is fitted on training utterances that both have seen.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import InputError
from common.features.extract import Part
from common.features.models import resolve
from common.features.sources.source import Source
from common.features.text import classifier
from common.features.text.alignment import Alignment, agreement
from common.features.text.encoder import FirstToken, without_text
from common.features.text.tune import TuneSettings, tune

ANCHORS = 8192  # training utterances that an alignment is fitted on, at most
ENCODER = "encoder"  # the tuned encoder's folder in a dataset's


@dataclass(frozen=True)
class Tuning:
    """How the text encoder is tuned; `folds`: how many times more, each without a part of the training split."""

    settings: TuneSettings
    folds: int = 0


def tuned_parts(
    source: Source,
    base: FirstToken,
    tuning: Tuning,
    output: Path,
    work: Path,
    say: Callable[[str], None],
) -> tuple[FirstToken, list[Part]]:
    """Tune the encoder of `base` on the labels of `source`; returns the extractor of new utterances, and which
    extractors make the features of the dataset's.

    The encoder comes to lie in `output`/encoder, those of folds in `work`. Raises InputError where there are too few
    dialogues or labels.
    """
    table = source.table
    sentences, labels = table.sentence.tolist(), pd.Index(source.classes).get_indexer(table.label).astype(np.int64)
    train, valid = (np.flatnonzero(table.split == split) for split in ("train", "valid"))
    folder = work / "encoders" / _key(base, source, tuning.settings)
    device = base.device

    def tuned(name, rows):
        where = tune(
            base.model, sentences, labels, rows, valid, source.classes, tuning.settings, folder / name, device, name
        )
        return replace(base, model=resolve(where))

    full = tuned("encoder", train)
    _put(folder / "encoder", output / ENCODER)
    full = replace(full, model=resolve(output / ENCODER))
    for split, rows in (("valid", valid), ("test", np.flatnonzero(table.split == "test"))):
        if (labels[rows] >= 0).any():
            scores = classifier.evaluate_encoder(output / ENCODER, sentences, labels, rows, device)
            what = f"accuracy {scores['accuracy']:.2f}, weighted F1 {scores['wf1']:.2f}"
            say(f"The encoder by itself, {split}: {what} ({scores['utterances']} utterances)")
    everything = np.arange(len(table))
    if not tuning.folds:
        return full, [Part(full, everything)]
    fold = deal(table.dialogue.to_numpy()[train], tuning.folds, tuning.settings.seed)
    anchors = _anchors(sentences, train, tuning.settings.seed)
    checks = [row for row in valid if not without_text(sentences[row])]
    ours, ours_checked = (full.of_sentences([sentences[row] for row in rows]) for rows in (anchors, checks))
    parts = [Part(full, np.setdiff1d(everything, train))]
    for k in range(tuning.folds):
        name = f"fold_{k + 1}_of_{tuning.folds}"
        theirs = tuned(name, train[fold != k])
        found = theirs.of_sentences([sentences[row] for row in anchors])
        seen = ~np.isin(anchors, train[fold == k])
        alignment = Alignment.fit(found[seen], ours[seen])
        path = folder / f"{name}.safetensors"
        aligned = replace(theirs, alignment=str(path), alignment_key=alignment.save(path))
        parts.append(Part(aligned, train[fold == k]))
        checked = theirs.of_sentences([sentences[row] for row in checks])
        head = classifier.read_head(output / ENCODER)
        before, after = (agreement(rows, ours_checked, head) for rows in (checked, alignment.apply(checked)))
        say(
            f"{name}: aligned on {seen.sum():,} training utterances; on validation the cosine to the encoder of all "
            f"goes from {before['cosine']:.2f} to {after['cosine']:.2f}, equal classes from "
            f"{100 * before['same_class']:.0f} to {100 * after['same_class']:.0f} %"
        )
    return full, parts


def _anchors(sentences, train, seed):
    """Rows of `train`, at most ANCHORS of those with text."""
    rows = np.array([row for row in train if not without_text(sentences[row])], np.int64)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:ANCHORS])


def deal(dialogues: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Of each utterance the fold of its dialogue, int64 (U,). `dialogues`: the dialogue of each utterance, (U,).

    Dialogues are dealt out by size, the largest first, each into the fold that has the fewest utterances; equal ones
    in an order that `seed` decides. Raises InputError where there are fewer dialogues than folds.
    """
    names, position, sizes = np.unique(dialogues, return_inverse=True, return_counts=True)
    if not 2 <= folds <= len(names):
        raise InputError(
            f"--folds {folds}: the training split has {len(names)} dialogues; expected 2 to {len(names)} folds",
            ["folds"],
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, fold = np.zeros(folds, np.int64), np.empty(len(names), np.int64)
    for name in order:
        fold[name] = filled.argmin()
        filled[fold[name]] += sizes[name]
    return fold[position]


def _key(base, source, settings):
    """A short name of all that tuned encoders depend on, but for which rows they see."""
    table = source.table
    content = [base.model.identity(), asdict(settings), source.classes, base.identity()["precision"]]
    rows = table[["dialogue", "split", "sentence", "label"]].to_csv(index=False)
    return hashlib.sha256((json.dumps(content, sort_keys=True) + rows).encode()).hexdigest()[:16]


def _put(folder, place):
    """Have `place` hold what `folder` does, sharing the files where the file system can."""

    def copy(source, target):
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    part = place.with_name(f".{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(folder, part, copy_function=copy, ignore=shutil.ignore_patterns(".*"))
    shutil.rmtree(place, ignore_errors=True)
    os.replace(part, place)
