"""A Corpus of what a Store holds, and what lies in its folder beside it: recipe.yaml, missing.csv, scaling.npz."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.data.corpus import SENTIMENTS, Corpus
from common.data.mapped import blocks
from common.data.own import corpus_of_table
from common.errors import InputError
from common.features.audio.scaling import Scaling
from common.features.extract import Part
from common.features.extractor import Utterance
from common.features.sources.source import Missing, Source
from common.features.store import Store
from common.files import atomic
from common.settings import FEATURES

MISSING = "missing.csv"
NOT_DONE = "could not be done; run the same command again"


def fill(
    parts: Mapping[str, Sequence[Part]],
    utterances: Mapping[str, Sequence[Utterance]],
    store: Store,
    folder: Path,
    widths: Mapping[str, int],
    scaling: Scaling | None,
) -> tuple[dict[str, np.ndarray], list[Missing]]:
    """The features that `store` holds for `parts` of `utterances`, by kind float32 (U, width), and what is missing.

    They lie in files in `folder`, so that memory does not grow with them. Utterances without features have zeros, audio
    after `scaling`. Raises InputError for features of another width.
    """
    arrays: dict[str, np.ndarray] = {}
    missing: list[Missing] = []
    for kind, width in widths.items():
        array = _zeros(folder / f"{kind}.f4", (len(utterances[kind]), width))
        for part in parts.get(kind, ()):
            for row, found in _found(part, utterances[kind], store):
                if isinstance(found, np.ndarray):
                    if len(found) != width:
                        raise InputError(f"{kind}: found features of width {len(found)}; expected {width} as of others")
                    array[row] = scaling.apply(found) if kind == "audio" and scaling else found
                elif kind != "event":  # as for text
                    at = utterances[kind][row]
                    missing.append(Missing(at.dialogue, at.number, kind, found or NOT_DONE))
        arrays[kind] = array
    return arrays, missing


def _zeros(path, shape):
    """An array in the file `path`, written out: where the disk is full, a file with holes would end the process."""
    with open(path, "wb") as file:
        for part in blocks(*shape):
            file.write(bytes(4 * shape[1] * (part.stop - part.start)))
    return np.memmap(path, np.float32, "r+", shape=shape)


def widths_of(
    parts: Mapping[str, Sequence[Part]], utterances: Mapping[str, Sequence[Utterance]], store: Store
) -> dict[str, int]:
    """Of each kind of features its width; kinds that no utterance has are left out."""
    widths: dict[str, int] = {}
    for kind in (kind for kind in FEATURES if kind in parts):
        found = (result for part in parts[kind] for _, result in _found(part, utterances[kind], store))
        first = next((result for result in found if isinstance(result, np.ndarray)), None)
        if first is not None:
            widths[kind] = len(first)
    return widths


def audio_scaling(parts: Sequence[Part], utterances: Sequence[Utterance], store: Store, train: np.ndarray) -> Scaling:
    """The standardisation of audio features by the rows `train`. Raises InputError where none of them has any."""
    inside = set(train.tolist())
    parts = [Part(part.extractor, np.array([row for row in part.rows if row in inside], np.int64)) for part in parts]
    found = (result for part in parts for _, result in _found(part, utterances, store))
    return Scaling.of(result for result in found if isinstance(result, np.ndarray))


def _found(part, utterances, store):
    names = [part.extractor.key_of(utterances[row]) for row in part.rows]
    yield from zip(part.rows.tolist(), store.get(part.extractor.key(), names), strict=True)


def corpus_of(name: str, source: Source, features: dict[str, np.ndarray], sources: dict[str, str]) -> Corpus:
    """The Corpus of `source` with `features` by kind (U, width); text alone serves as event features, too."""
    if "text" in features:
        features.setdefault("event", features["text"])
    more = {"sentiment": source.table.sentiment.map(SENTIMENTS.index)} if "sentiment" in source.table else {}
    return corpus_of_table(name, source.table, features, source.classes, sources=sources, **more)


def write_missing(folder: Path, missing: Sequence[Missing]) -> None:
    """Write which utterances lack what, and why, as missing.csv in `folder`."""
    with atomic(folder / MISSING) as file:
        pd.DataFrame(missing, columns=Missing._fields).to_csv(file, index=False)
