"""The tuned text encoder of a dataset: which extractor makes whose features, and how good it is by itself."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from common.features.extract import Part
from common.features.models import resolve
from common.features.sources.source import Source
from common.features.text.classifier import evaluate_encoder, usable
from common.features.text.encoder import SAMPLE, FirstToken, loaded, without_text
from common.features.text.folds import Utterances, agreements, encoders
from common.features.text.tune import TuneSettings

ENCODER = "encoder"  # the tuned encoder's folder in a dataset's


@dataclass(frozen=True)
class Tuning:
    """How the text encoder is tuned; `folds`: how many times more, each without a part of the training split."""

    settings: TuneSettings
    folds: int = 0


def tuned_parts(
    source: Source, base: FirstToken, tuning: Tuning, output: Path, work: Path, say: Callable[[str], None]
) -> tuple[FirstToken, list[Part]]:
    """Tune the encoder of `base` on the labels of `source`, see `encoders`; returns the extractor of all later
    utterances, and which extractors make the features of these.

    The encoder comes to lie in `output`/encoder, all others in `work`. `say` is given how good it is by itself on
    validation and test, and how alike those of folds are to it. Raises InputError where there are too few dialogues or
    labels.
    """
    base.of_sentences([SAMPLE])  # what is wrong with model or layer is said before hours of tuning
    loaded.cache_clear()
    table = source.table
    labels = pd.Index(source.classes).get_indexer(table.label).astype(np.int64)
    utterances = Utterances(
        table.sentence.tolist(), labels, table.dialogue.to_numpy(), table.split.to_numpy(), source.classes
    )
    folder = work / "encoders" / _key(base, utterances, tuning.settings)
    parts = encoders(base.model, utterances, tuning.settings, tuning.folds, folder, base.device, "tuning", base.layer)
    _put(folder / "full", output / ENCODER)
    full = replace(base, model=resolve(output / ENCODER))
    for split in ("valid", "test"):
        rows = usable(utterances.rows(split), utterances.sentences, labels)
        if len(rows):
            scores = evaluate_encoder(output / ENCODER, utterances.sentences, labels, rows, base.device)
            say(f"The encoder by itself, {split}: accuracy {scores['accuracy']:.2f}, weighted F1 {scores['wf1']:.2f}")
    checks = [utterances.sentences[row] for row in utterances.rows("valid")]
    for fold, found in enumerate(agreements(parts, [s for s in checks if not without_text(s)]), 1):
        line = f"Fold {fold}: alignment takes the cosine to the encoder of all from {found['cosine_before']:.2f} to "
        same = f", equal classes from {found['same_class_before']:.0%} to {found['same_class']:.0%}"
        say(f"{line}{found['cosine']:.2f}{same if 'same_class' in found else ''} (validation).")
    return full, [Part(full, parts[0].rows), *parts[1:]]


def _key(base, utterances, settings):
    """A short name of all that tuned encoders depend on, but for which rows they see."""
    content = [base.model.identity(), asdict(settings), base.identity()["precision"], utterances.classes]
    content += [
        utterances.sentences,
        *(x.tolist() for x in (utterances.labels, utterances.dialogues, utterances.splits)),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


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
