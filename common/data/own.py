"""Conversations of the user: a Corpus from a CSV file and feature arrays, kept in a folder.

`utterances` says what stands in the CSV file, a row per utterance. Each feature array, a .npy file (utterances, width),
has a row per row of the CSV file, in the same order.

In the folder, `corpus.npz` has everything but the features, and names their files, which `mapped` writes. Older
folders have the features in it, too.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.data import DATASETS, OWN, cache, meld
from common.data.corpus import FEATURES, SENTIMENTS, SPLITS, Corpus, from_dialogues
from common.data.feature_arrays import read_features
from common.data.mapped import blocks, files_of, is_mapped, map_arrays, not_finite, remember, state_of, write_arrays
from common.data.meld_csv import SPLITS as MELD_SPLITS
from common.data.meld_csv import read_meld
from common.data.utterances import checked, classes_of, read_utterances
from common.errors import InputError
from common.files import folder_for, locked, sha256
from common.settings import MODALITIES

FILE, LOCK = OWN, ".corpus.lock"
Features = dict[str, Sequence[Path]]  # name in FEATURES to .npy files


def build_corpus(
    name: str, utterances: Path, features: Features, scratch: Path | None = None
) -> tuple[Corpus, list[str]]:
    """The Corpus of a CSV file and feature arrays, see above, and what a reader should know, a list of lines.

    Dialogues stand in the order train, valid, test, and in that in the order of the CSV file. Classes are the labels,
    sorted. Text features alone are event features, too. `scratch`: a folder; then features are maps of files, the given
    ones or nameless ones there, and not in memory. Raises InputError for files that are missing or do not hold
    together, naming the line.
    """
    _check_choices(name, features)
    table, taken = read_utterances(utterances)
    table, notes = checked(table)
    corpus, events = _corpus(name, [utterances], [len(table)], table, features, classes_of(table), scratch)
    return corpus, taken + notes + events


def build_meld(name: str, folder: Path, features: Features, scratch: Path | None = None) -> tuple[Corpus, list[str]]:
    """The same of MELD's own CSV files in `folder`, see `meld_csv`, with MELD's order of classes and its sentiments.

    Of each kind of features there is one array with the rows of train, dev and test, or one array for each.
    """
    _check_choices(name, features)
    tables = read_meld(folder)
    table, notes = checked(pd.concat(tables))
    files = [folder / f"{split}_sent_emo.csv" for split in MELD_SPLITS]
    corpus, events = _corpus(name, files, [*map(len, tables)], table, features, meld.CLASSES, scratch)
    return corpus, notes + events


def check_name(name: str) -> None:
    """Raises InputError for the `name` of a released dataset, which would be taken for that."""
    if name in DATASETS:
        raise InputError(f"{name}: is the name of a released dataset; choose another", ["name"])


def _check_choices(name, features):
    check_name(name)
    if not set(features) & set(MODALITIES):
        expected = f"expected {', '.join(MODALITIES)}, or several of these; event features need text beside them"
        raise InputError(f"features: found {', '.join(features) or 'none'}; {expected}", FEATURES)
    if "event" in features and "text" not in features:
        raise InputError("features: found event without text; expected both, or text alone for both", ["text", "event"])


def _corpus(name, files, counts, table, features, classes, scratch):
    """The Corpus of a checked `table`, of which `counts` rows stand in each of `files`, and notes."""
    of, notes, order = " and ".join(path.name for path in files), [], _order_of(table)
    arrays = {key: read_features(paths, counts, of, order, scratch) for key, paths in features.items()}
    blank = [key for key, array in arrays.items() if len(array) > 1 and _all_alike(array)]
    if blank:
        notes.append(
            f"Note: the {' and '.join(blank)} features are the same in every row; no network learns from them."
        )
    if "text" in arrays and "event" not in arrays:
        arrays["event"] = arrays["text"]
        notes.append("No event features: the text features serve as both.")
    table = table if order is None else table.iloc[order]
    more: dict[str, Any] = {"sources": _sources([*files, *(path for paths in features.values() for path in paths)])}
    if "sentiment" in table:
        more["sentiment"] = table.sentiment.map(SENTIMENTS.index)
    return corpus_of_table(name, table, arrays, classes, **more), notes


def _all_alike(array):
    return all((array[part] == array[0]).all() for part in blocks(*array.shape))


def _order_of(table):
    """(U,) positions of the rows of `table` in a Corpus, one after the other; None where they stand so already."""
    dialogue = pd.factorize(table.dialogue)[0]
    order = np.lexsort([table.number, dialogue, table.split.map(SPLITS.index)])
    return None if (order == np.arange(len(order))).all() else order


def corpus_of_table(
    name: str, table: pd.DataFrame, features: dict[str, np.ndarray], classes: Sequence[str], **more: Any
) -> Corpus:
    """The Corpus of a checked `table`, see `utterances.checked`, and `features`, a row (U, width) for each of its rows.

    Its rows are those of the Corpus: dialogues in the order train, valid, test, and their utterances by number. `more`:
    further fields of Corpus; arrays (U,) are in the order of the table.
    """
    if _order_of(table) is not None:
        raise ValueError(f"{name}: the rows of the table do not stand dialogue after dialogue, train, valid, test")
    speakers = sorted(table.speaker.unique())
    dialogues = table.groupby("dialogue", sort=False)
    lengths, splits = dialogues.size(), dialogues.split.first()
    if "sentiment" in more:
        more["sentiment"] = np.array(more["sentiment"], np.int64)
    return from_dialogues(
        name,
        lengths=lengths.tolist(),
        ids=lengths.index.tolist(),
        split_sizes=[int((splits == split).sum()) for split in SPLITS],
        label=pd.Index(classes, dtype=object).get_indexer(table.label).astype(np.int64),
        speaker=pd.Index(speakers).get_indexer(table.speaker).astype(np.int64),
        classes=list(classes),
        speakers=speakers,
        numbers=table.number.to_numpy(),
        sentences=table.sentence.tolist() if "sentence" in table else [],
        features=features,
        **more,
    )


def _sources(paths):
    """SHA-256 of files, by name, or by path where two have one name."""
    names = Counter(path.name for path in set(paths))
    return {path.name if names[path.name] == 1 else str(path): sha256(path) for path in paths}


def read_own(folder: str | Path) -> Corpus | None:
    """The Corpus that `write_own` put into `folder`; None where there is none. Features are maps that only read.

    Utterances without a label have -1; modalities that are missing have width 0. Raises InputError for a damaged file.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    corpus = _read(path)
    if corpus is None or not _holds_together(corpus):
        raise InputError(f"{path}: damaged, or no file of python -m common build; build it again")
    return corpus


def _read(path):
    """The Corpus of `path` with its features; None for a damaged file."""
    corpus, state = cache.stored(path) or (None, None)
    if corpus is None or state is None:  # an older one, whose features are in it
        return corpus
    try:
        if not set(state["features"]) <= set(FEATURES):
            return None
        return replace(corpus, features=corpus.features | map_arrays(state["features"], path.parent, len(corpus.label)))
    except (TypeError, ValueError, AttributeError, LookupError):
        return None


def refuse_existing(folder: str | Path) -> None:
    """Raises InputError where `folder` holds conversations already."""
    path = Path(folder) / FILE
    if path.exists():
        message = f"{path}: exists already and is not overwritten; remove it or choose another folder"
        raise InputError(message, ["output"])


def write_own(corpus: Corpus, folder: str | Path, overwrite: bool = False) -> Path:
    """Write `corpus` into `folder`, which is made; returns the file that names the others. It comes last: what it
    replaces is there until then. Raises InputError where there is one already, unless that is to be overwritten, where
    another process writes into the folder, and for features that are not finite.
    """
    folder = Path(folder)
    path = folder / FILE
    busy = f"{folder}: another process writes conversations into it; wait, or choose another folder"
    with folder_for(folder), locked(folder / LOCK, busy):
        if not overwrite:
            refuse_existing(folder)
        old = _feature_files(path)
        entries = write_arrays(corpus.features, folder)
        new = files_of(entries)
        try:
            cache.save(replace(corpus, features={}), {"features": entries}, path)
        except BaseException:
            _remove(new - old, folder)
            raise
        remember(state_of(entries, folder), folder)
        _remove(old - new, folder)
    return path


def _feature_files(path):
    """Names of the feature files of the dataset in `path`; none where there is no such dataset."""
    try:
        _, state = cache.stored(path) or (None, None)
        return files_of(state["features"]) if state else set()
    except (TypeError, AttributeError, LookupError):
        return set()


def _remove(names, folder):
    for name in names:
        with suppress(OSError):  # in use, where the system does not remove such files
            (folder / name).unlink()


def _holds_together(corpus):
    """Whether sizes and positions fit each other, as those of a foreign file may not."""
    try:
        count, dialogues, used = corpus.offset[-1], len(corpus.ids), [i for s in SPLITS for i in corpus.splits[s]]
        others = [values for values in (corpus.numbers, corpus.sentiment) if values is not None]
        return bool(
            corpus.name not in DATASETS
            and corpus.offset[0] == 0
            and (corpus.lengths > 0).all()
            and len(corpus.offset) == dialogues + 1
            and used == list(range(dialogues))
            and all(f.dtype == np.float32 and f.shape == (count, f.shape[1]) for f in corpus.features.values())
            and all(is_mapped(values) or not_finite(values) is None for values in corpus.features.values())
            and all(a.dtype == np.int64 and a.shape == (count,) for a in (corpus.label, corpus.speaker, *others))
            and -1 <= corpus.label.min() <= corpus.label.max() < len(corpus.classes)
            and 0 <= corpus.speaker.min() <= corpus.speaker.max() < len(corpus.speakers)
            and (corpus.sentiment is None or 0 <= corpus.sentiment.min() <= corpus.sentiment.max() < len(SENTIMENTS))
            and len(corpus.sentences) in (0, count)
            and all(isinstance(name, str) for name in (*corpus.ids, *corpus.classes, *corpus.speakers))
        )
    except (TypeError, ValueError, AttributeError, LookupError):
        return False
