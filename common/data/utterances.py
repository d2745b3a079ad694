"""The user's utterances: what the cells of a CSV file have to be, and a table that holds together."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from common.data.corpus import SPLITS
from common.data.csv_table import plain, read_csv
from common.errors import InputError

COLUMNS = {  # ours, and how it is called elsewhere: the first that is there is taken
    "dialogue": ("dialogue", "dialogue_id", "dialog", "dialog_id", "conversation", "conversation_id"),
    "utterance": ("utterance_id", "utterance", "turn", "turn_id"),
    "speaker": ("speaker", "speaker_id", "speaker_name"),
    "label": ("label", "emotion"),
    "split": ("split", "set", "partition", "subset"),
    "sentence": ("sentence", "text", "utterance", "transcript"),
}
_MEANING = {
    "dialogue": "the dialogue",
    "utterance": "the number of the utterance in its dialogue",
    "speaker": "who speaks",
    "label": "the emotion, empty where it is not known",
    "split": "train, valid or test",
}
REQUIRED = ("dialogue", "utterance", "speaker", "split")
NO_MORE: Mapping[str, tuple[str, ...]] = {}
_SPLITS = {"training": "train", "validation": "valid", "val": "valid", "dev": "valid", "development": "valid"}
_SPLITS |= {"testing": "test"} | {name: name for name in SPLITS}
_NOTHING = {"nan", "NaN", "<NA>", "null", "NULL", "n/a", "N/A", "#N/A"}  # what programs write where they have no value
_UNKNOWN = {"", "na", "xxx", "?"} | {mark.casefold() for mark in _NOTHING}  # xxx: raters disagreed (IEMOCAP)


def read_utterances(
    path: Path, required: Collection[str] = REQUIRED, more: Mapping[str, tuple[str, ...]] = NO_MORE
) -> tuple[pd.DataFrame, list[str]]:
    """The CSV file `path` with the columns COLUMNS under our names, and what a reader should know, a list of lines.

    Without a column of labels all are empty; others that are not `required` may be missing, as `sentence` may. `more`:
    columns to read beside COLUMNS, in the same form. Raises InputError for missing columns.
    """
    columns = COLUMNS | dict(more)
    table = read_csv(path)
    known = {plain(name): name for name in table}
    found: dict[str, str] = {}
    for name, spellings in columns.items():
        there = [known[s] for s in spellings if s in known and known[s] not in found.values()]
        found |= {name: there[0]} if there else {}
    missing = [name for name in _MEANING if name not in found and name in required]
    if missing:
        there = ", ".join(filter(None, table)) or "none"
        if not found:
            expected = f"expected {', '.join(_MEANING)}, separated by commas, semicolons or tabs"
            raise InputError(f"{path}: the first line does not name the columns; found {there}; {expected}")
        names = ", ".join(f"{name!r} ({_MEANING[name]})" for name in missing)
        mend = "add it, or rename that which holds it"
        raise InputError(f"{path}: no column {names}; found {there}; {mend}", ["meld"] * ("Utterance_ID" in table))
    taken = [f"{theirs} as {ours}" for ours, theirs in found.items() if theirs.casefold() != ours]
    table = table[list(found.values())].set_axis(list(found), axis=1)
    if "split" in table:
        table["split"] = table.split.map(lambda word: _SPLITS.get(word.casefold(), word))
    notes = [f"Columns of {path.name}: {', '.join(taken)}."] if taken else []
    for name, theirs in found.items():
        spare = [known[s] for s in columns[name] if s in known and known[s] not in found.values()]
        notes += [f"Not used: {', '.join(spare)}; {theirs} is taken as {name}."] if spare else []
    if "label" not in table:
        expected = "test alone where no column 'label' is; rename the column that holds the emotions, or add it"
        if "split" in table:
            refuse(table, table.split != "test", "split", expected)
        table["label"] = ""
    return table, notes


def checked(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """`table` of `read_utterances` with `number`, and `label` "" where it is not known; and what a reader should know.

    Raises InputError for the first row that does not hold together with others, naming its file and line.
    """
    refuse(table, ~table.split.isin(SPLITS), "split", "train, valid or test")
    for column, what in (("speaker", "a name"), ("dialogue", "an id")):
        refuse(table, table[column].isin(_NOTHING | {"", "None"}), column, f"{what}, which every row needs")
        _refuse_spellings(table, column)
    whole = table.utterance.str.fullmatch(r"-?\d{1,15}(\.0*)?")
    refuse(table, ~whole, "utterance", "whole numbers; if it is what is said, call the column sentence")
    table = table.assign(number=table.utterance.str.partition(".")[0].astype(np.int64))
    _refuse_mixed(table)
    table, notes = _without_marks(table)
    _refuse_spellings(table, "label")
    for split in ("train", "valid"):
        inside = table[table.split == split]
        if len(inside) and not (inside.label != "").any():
            mend = "give it some, or put its dialogues into test"
            raise InputError(f"{inside.index[0]}: split {split} begins here and has no label at all; {mend}")
    return table, notes


def classes_of(table: pd.DataFrame) -> list[str]:
    """The labels in a table of `checked`, sorted; by value where all are numbers."""
    known = table.label[table.label != ""].unique()
    return sorted(known, key=float) if all(as_number(k) is not None for k in known) else sorted(known)


def refuse(table: pd.DataFrame, wrong: pd.Series, column: str, expected: str) -> None:
    """Raises InputError for the first row that is `wrong` (U,)."""
    if wrong.any():
        row = table.iloc[int(np.argmax(wrong))]
        raise InputError(f"{row.name}{_turn(row)}: column {column} has {row[column]!r}; expected {expected}")


def _turn(row):
    known = [f"{name} {row[name]!r}" for name in ("dialogue", "utterance") if name in row]
    return f" ({', '.join(known)})" if known else ""


def _refuse_mixed(table):
    """Raises InputError where a dialogue is in two splits, or has a number twice: maybe ids begin anew somewhere."""
    mixed = table.split != table.groupby("dialogue").split.transform("first")
    twice = table.duplicated(["dialogue", "number"])
    if mixed.any():
        row, other = _pair(table, mixed, ["dialogue"])
        found = f"dialogue {row.dialogue!r} is in {other.split} ({_line(other)}) and in {row.split}"
        unique = f"make them unique, such as {other.split}_{row.dialogue} and {row.split}_{row.dialogue}"
        mend = (
            f": dialogue ids restart in each split; {unique}" if twice.any() else "; expected a dialogue in one split"
        )
        raise InputError(f"{row.name}: {found}{mend}")
    if twice.any():
        row, other = _pair(table, twice, ["dialogue", "number"])
        found = f"dialogue {row.dialogue!r} has utterance {row.number} twice, first in {_line(other)}"
        mend = "number them anew, and if ids of dialogues begin anew somewhere, make them unique"
        raise InputError(f"{row.name}: {found}; {mend}")


def _pair(table, wrong, columns):
    """The first row that is `wrong` (U,), and the first one with the same values in `columns`."""
    row = table.iloc[int(np.argmax(wrong))]
    return row, table[(table[columns] == row[columns]).all(axis=1)].iloc[0]


def _line(row):
    return row.name.rpartition(": ")[2]


def _refuse_spellings(table, column):
    """Raises InputError for values that differ in case, blanks or invisible letters only, or numbers of one value."""
    seen = {}
    for value in table[column].unique():
        key = as_number(value) if column == "label" else None
        key = _look(value) if key is None else key
        if seen.setdefault(key, value) != value:
            other = table[table[column] == seen[key]].iloc[0]
            expected = f"one spelling, but {_line(other)} has {seen[key]!r}"
            refuse(table, table[column] == value, column, expected)


def _look(value):
    """What is seen of `value`; ids that a program made numbers, such as 7.0, look like 7."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", value) if unicodedata.category(c) != "Cf")
    return re.sub(r"^(\d+)\.0+$", r"\1", "".join(seen.casefold().split()))


def _without_marks(table):
    """`table` with labels "" where a mark says that it is not known, and a line that counts these marks."""
    counts = Counter(table.label)
    marks = {label for label in counts if label.casefold() in _UNKNOWN}
    minus = {label for label in counts if as_number(label) in (-1, -100)}  # -100: what losses of PyTorch leave out
    values = [as_number(label) for label in counts.keys() - marks - minus]
    if None in values or min(values, default=0) >= 0:  # beside other negative numbers, they are such
        if values and None not in values and max(values) <= 1:
            expected = "negative, positive or the like for a class; an empty cell where it is not known"
            refuse(table, table.label.map(as_number) == -1, "label", expected)
        marks |= minus
    found = [f"{counts[mark]} {mark or 'empty'}" for mark in sorted(marks)]
    notes = [f"Without a label: {sum(counts[mark] for mark in marks)} ({', '.join(found)})."] if marks else []
    return table.assign(label=table.label.where(~table.label.isin(marks), "")), notes


def as_number(text: str) -> float | None:
    """The number that `text` is, or None."""
    try:
        return float(text)
    except ValueError:
        return None
