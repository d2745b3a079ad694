"""Conversations of the user: a Corpus from a CSV file and feature arrays, kept in one file, `corpus.npz`.

`utterances` says what stands in the CSV file, a row per utterance. Each feature array, a .npy file (utterances, width),
has a row per row of the CSV file, in the same order.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.data import DATASETS, OWN, cache, meld
from common.data.corpus import FEATURES, SENTIMENTS, SPLITS, Corpus, from_dialogues
from common.data.feature_arrays import read_features
from common.data.meld_csv import SPLITS as MELD_SPLITS
from common.data.meld_csv import read_meld
from common.data.utterances import checked, classes_of, read_utterances
from common.errors import InputError
from common.files import sha256
from common.settings import MODALITIES

FILE = OWN
Features = dict[str, Sequence[Path]]  # name in FEATURES to .npy files


def build_corpus(name: str, utterances: Path, features: Features) -> tuple[Corpus, list[str]]:
    """The Corpus of a CSV file and feature arrays, see above, and what a reader should know, a list of lines.

    Dialogues stand in the order train, valid, test, and in that in the order of the CSV file. Classes are the labels,
    sorted. Text features alone are event features, too. Raises InputError for files that are missing or do not hold
    together, naming the line.
    """
    _check_choices(name, features)
    table, taken = read_utterances(utterances)
    table, notes = checked(table)
    corpus, events = _corpus(name, [utterances], [len(table)], table, features, classes_of(table))
    return corpus, taken + notes + events


def build_meld(name: str, folder: Path, features: Features) -> tuple[Corpus, list[str]]:
    """The same of MELD's own CSV files in `folder`, see `meld_csv`, with MELD's order of classes and its sentiments.

    Of each kind of features there is one array with the rows of train, dev and test, or one array for each.
    """
    _check_choices(name, features)
    tables = read_meld(folder)
    table, notes = checked(pd.concat(tables))
    files = [folder / f"{split}_sent_emo.csv" for split in MELD_SPLITS]
    sentiment = table.sentiment.map(SENTIMENTS.index)
    corpus, events = _corpus(name, files, [*map(len, tables)], table, features, meld.CLASSES, sentiment=sentiment)
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


def _corpus(name, files, counts, table, features, classes, **more):
    """The Corpus of a checked `table`, of which `counts` rows stand in each of `files`, and notes."""
    of, notes = " and ".join(path.name for path in files), []
    arrays = {key: read_features(paths, counts, of) for key, paths in features.items()}
    blank = [key for key, array in arrays.items() if len(array) > 1 and (array == array[0]).all()]
    if blank:
        notes.append(
            f"Note: the {' and '.join(blank)} features are the same in every row; no network learns from them."
        )
    if "text" in arrays and "event" not in arrays:
        arrays["event"] = arrays["text"]
        notes.append("No event features: the text features serve as both.")
    more["sources"] = _sources([*files, *(path for paths in features.values() for path in paths)])
    return corpus_of_table(name, table, arrays, classes, **more), notes


def corpus_of_table(
    name: str, table: pd.DataFrame, features: dict[str, np.ndarray], classes: Sequence[str], **more: Any
) -> Corpus:
    """The Corpus of a checked `table`, see `utterances.checked`, and `features`, a row (U, width) for each of its rows.

    Dialogues stand in the order train, valid, test, and in that in the order of the table, utterances by number.
    `more`: further fields of Corpus; arrays (U,) are in the order of the table.
    """
    dialogue = table.dialogue.map({d: k for k, d in enumerate(table.dialogue.unique())})
    order = np.lexsort([table.number, dialogue, table.split.map(SPLITS.index)])
    if (order == np.arange(len(order))).all():  # nothing has to be copied
        order = slice(None)
    table = table.iloc[order]
    speakers = sorted(table.speaker.unique())
    dialogues = table.groupby("dialogue", sort=False)
    lengths, splits = dialogues.size(), dialogues.split.first()
    if "sentiment" in more:
        more["sentiment"] = np.array(more["sentiment"], np.int64)[order]
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
        features={key: array[order] for key, array in features.items()},
        **more,
    )


def _sources(paths):
    """SHA-256 of files, by name, or by path where two have one name."""
    names = Counter(path.name for path in set(paths))
    return {path.name if names[path.name] == 1 else str(path): sha256(path) for path in paths}


def read_own(folder: str | Path) -> Corpus | None:
    """The Corpus that `write_own` put into `folder`; None where there is none.

    Utterances without a label have -1; modalities that are missing have width 0. Raises InputError for a damaged file.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    corpus = cache.load(path, None)
    if corpus is None or not _holds_together(corpus):
        raise InputError(f"{path}: damaged, or no file of python -m common build; build it again")
    return corpus


def write_own(corpus: Corpus, folder: str | Path, overwrite: bool = False) -> Path:
    """Write `corpus` into `folder`, which is made; returns the file. Raises InputError where there is one already,
    unless that is to be overwritten.
    """
    path = Path(folder) / FILE
    if path.exists() and not overwrite:
        message = f"{path}: exists already and is not overwritten; remove it or choose another folder"
        raise InputError(message, ["output"])
    path.parent.mkdir(parents=True, exist_ok=True)
    cache.save(corpus, None, path)
    return path


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
            and all(np.isfinite(values).all() for values in corpus.features.values())
            and all(a.dtype == np.int64 and a.shape == (count,) for a in (corpus.label, corpus.speaker, *others))
            and -1 <= corpus.label.min() <= corpus.label.max() < len(corpus.classes)
            and 0 <= corpus.speaker.min() <= corpus.speaker.max() < len(corpus.speakers)
            and (corpus.sentiment is None or 0 <= corpus.sentiment.min() <= corpus.sentiment.max() < len(SENTIMENTS))
            and len(corpus.sentences) in (0, count)
            and all(isinstance(name, str) for name in (*corpus.ids, *corpus.classes, *corpus.speakers))
        )
    except (TypeError, ValueError, AttributeError, LookupError):
        return False
