"""Conversations of the user: a Corpus from a CSV file and feature arrays, kept in one file, `corpus.npz`.

The CSV file has a row per utterance and the columns COLUMNS (utterance: its number in the dialogue; label: empty where
it is not known; split: train, valid or test), and may have the column sentence. Each feature array, a .npy file
(utterances, width), has a row per row of the CSV file, in the same order.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common.data import DATASETS, cache
from common.data.corpus import FEATURES, SPLITS, Corpus, from_dialogues
from common.errors import InputError
from common.files import sha256
from common.settings import MODALITIES

FILE = "corpus.npz"
COLUMNS = ("dialogue", "utterance", "speaker", "label", "split")


def build_corpus(name: str, utterances: str | Path, features: dict[str, str | Path]) -> Corpus:
    """The Corpus of a CSV file and feature arrays, `features`: name in FEATURES to .npy file; see above.

    Dialogues stand in the order train, valid, test, and in that in the order of the CSV file. Classes are the labels,
    sorted. Raises InputError for files that are missing or do not hold together, naming the row.
    """
    if name in DATASETS:
        raise InputError(f"{name}: is the name of a released dataset; choose another", ["name"])
    if not set(features) & set(MODALITIES) or ("text" in features) != ("event" in features):
        expected = f"expected text and event together, {', '.join(MODALITIES[1:])}, or several of these"
        raise InputError(f"features: found {', '.join(features) or 'none'}; {expected}", FEATURES)
    table = _table(Path(utterances))
    number = pd.to_numeric(table.utterance, errors="coerce")
    _refuse(utterances, table, ~(number == number.round()), "utterance", "whole numbers that count the utterances")
    _refuse(utterances, table, ~table.split.isin(SPLITS), "split", "train, valid or test")
    _refuse(utterances, table, table.speaker == "", "speaker", "a name")
    _refuse(utterances, table, table.assign(number=number).duplicated(["dialogue", "number"]), "utterance", "each once")
    first = table.groupby("dialogue").split.transform("first")
    _refuse(utterances, table, table.split != first, "split", "a dialogue in one split")
    unlabelled = (table.label == "") & (table.split != "test")
    _refuse(utterances, table, unlabelled, "label", "a label for each utterance of train and valid; move it to test")

    dialogue = table.dialogue.map({d: k for k, d in enumerate(table.dialogue.unique())})
    order = np.lexsort([number, dialogue, table.split.map(SPLITS.index)])
    arrays = {key: _array(Path(path), len(table), utterances)[order] for key, path in features.items()}
    table = table.iloc[order]
    known = table.label[table.label != ""].unique()
    classes = sorted(known, key=float) if all(map(_is_number, known)) else sorted(known)
    speakers = sorted(table.speaker.unique())
    lengths = table.groupby("dialogue", sort=False).size()
    splits = table.groupby("dialogue", sort=False).split.first()
    return from_dialogues(
        name,
        lengths=lengths.tolist(),
        ids=lengths.index.tolist(),
        split_sizes=[int((splits == split).sum()) for split in SPLITS],
        label=pd.Index(classes, dtype=object).get_indexer(table.label).astype(np.int64),
        speaker=pd.Index(speakers).get_indexer(table.speaker).astype(np.int64),
        classes=classes,
        speakers=speakers,
        numbers=number.iloc[order].to_numpy(np.int64),
        sentences=table.sentence.tolist() if "sentence" in table else [],
        sources={Path(path).name: sha256(path) for path in (utterances, *features.values())},
        features=arrays,
    )


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


def write_own(corpus: Corpus, folder: str | Path) -> Path:
    """Write `corpus` into `folder`, which is made; returns the file. Raises InputError where there is one already."""
    path = Path(folder) / FILE
    if path.exists():
        message = f"{path}: exists already and is not overwritten; remove it or choose another folder"
        raise InputError(message, ["output"])
    path.parent.mkdir(parents=True, exist_ok=True)
    cache.save(corpus, None, path)
    return path


def _table(path):
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a CSV file with columns {', '.join(COLUMNS)}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as CSV ({error}); expected columns {', '.join(COLUMNS)}") from None
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}, found {', '.join(table)}; expected {', '.join(COLUMNS)}")
    if table.empty:
        raise InputError(f"{path}: no utterance; expected a row for each")
    return table


def _refuse(path, table, wrong, column, expected):
    """Raises InputError for the first row that is `wrong` (U,)."""
    if wrong.any():
        at = int(np.argmax(wrong))
        row = table.iloc[at]
        where = f"{path}: line {at + 2} (dialogue {row.dialogue!r}, utterance {row.utterance!r})"
        raise InputError(f"{where}: column {column} has {row[column]!r}; expected {expected}")


def _array(path, count, utterances):
    expected = f"expected a .npy file with numbers, ({count}, width)"
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {expected}") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not readable as .npy ({error}); {expected}") from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or not values.shape[1] or values.dtype.kind not in "fiu":
        found = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else "another kind of file"
        raise InputError(f"{path}: found {found}; {expected}")
    if len(values) != count:
        raise InputError(f"{path}: found {len(values)} rows; expected {count}, one for each row of {utterances}")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values).all(1)))
        raise InputError(f"{path}: NaN, infinity, or beyond float32 in row {at} (from 0); expected finite numbers")
    return values


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _holds_together(corpus):
    """Whether sizes and positions fit each other, as those of a foreign file may not."""
    try:
        count, dialogues, used = corpus.offset[-1], len(corpus.ids), [i for s in SPLITS for i in corpus.splits[s]]
        return bool(
            corpus.name not in DATASETS
            and corpus.offset[0] == 0
            and (corpus.lengths > 0).all()
            and len(corpus.offset) == dialogues + 1
            and used == list(range(dialogues))
            and all(f.dtype == np.float32 and f.shape == (count, f.shape[1]) for f in corpus.features.values())
            and all(np.isfinite(values).all() for values in corpus.features.values())
            and all(
                a.dtype == np.int64 and a.shape == (count,) for a in (corpus.label, corpus.speaker, corpus.utterances)
            )
            and -1 <= corpus.label.min() <= corpus.label.max() < len(corpus.classes)
            and 0 <= corpus.speaker.min() <= corpus.speaker.max() < len(corpus.speakers)
            and len(corpus.sentences) in (0, count)
            and all(isinstance(name, str) for name in (*corpus.ids, *corpus.classes, *corpus.speakers))
        )
    except (TypeError, ValueError, AttributeError, LookupError):
        return False
