"""MELD's own CSV files, train_, dev_ and test_sent_emo.csv as published, as a table of utterances."""

from pathlib import Path

import pandas as pd

from common.data.corpus import SENTIMENTS
from common.data.csv_table import read_csv
from common.data.meld import CLASSES
from common.data.utterances import refuse
from common.errors import InputError

SPLITS = {"train": "train", "dev": "valid", "test": "test"}  # theirs to ours; in the order of feature arrays
ROWS = {"train": 9989, "dev": 1109, "test": 2610}  # of the published files
_COLUMNS = {"dialogue": "Dialogue_ID", "utterance": "Utterance_ID", "speaker": "Speaker", "sentence": "Utterance"}
_COLUMNS |= {"label": "Emotion", "sentiment": "Sentiment"}


def read_meld(folder: Path) -> list[pd.DataFrame]:
    """The three files in `folder`, train, dev and test, as `utterances.read_utterances` has them, and with `sentiment`.

    Their dialogue ids restart in each file; here they are train_0, dev_0, test_0 and so on. Raises InputError for files
    that are missing, or not those of MELD.
    """
    return [read_split(folder / file_of(theirs), theirs) for theirs in SPLITS]


def file_of(theirs: str) -> str:
    """The name of the file of one of SPLITS."""
    return f"{theirs}_sent_emo.csv"


def read_split(path: Path, theirs: str) -> pd.DataFrame:
    """One of the tables of `read_meld`, wherever its file lies. `theirs`: one of SPLITS."""
    table = read_csv(path)
    missing = [name for name in _COLUMNS.values() if name not in table]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}, found {', '.join(table)}; expected MELD's file")
    table = table[list(_COLUMNS.values())].set_axis(list(_COLUMNS), axis=1)
    table["split"], table["dialogue"] = SPLITS[theirs], f"{theirs}_" + table.dialogue
    for column, known in (("label", CLASSES), ("sentiment", SENTIMENTS)):
        refuse(table, ~table[column].isin(known), column, f"one of {', '.join(known)}, as in MELD's file")
    return table
