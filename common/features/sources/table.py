"""Conversations of the user from a CSV file, with sound and pictures where it names them."""

import os
import re
from pathlib import Path

import numpy as np

from common.data.utterances import checked, classes_of, read_utterances, refuse
from common.errors import InputError
from common.features.sources.arrange import arranged, some
from common.features.sources.source import Missing, Source

MEDIA = {  # columns beside those of `common.data.utterances`, and how they are called elsewhere
    "audio": ("audio", "audio_file", "audio_path", "wav"),
    "video": ("video", "video_file", "video_path", "clip"),
    "start": ("start", "start_time", "starttime"),
    "end": ("end", "end_time", "endtime"),
}
_SOUND = {".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff"}
_WITHOUT = {  # what is done without a column
    "dialogue": "all rows are one dialogue",
    "utterance": "they are numbered in their order, from 0",
    "split": "all are test",
}
_NO_FILE = "no file"
_NONE = ("", "nan", "na", "none", "null")
_CLOCK = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:[.,]\d*)?)")  # h:mm:ss.mmm, or seconds
LONGEST = 1e6  # seconds; no recording has as many


def read(file: Path, media: Path | None = None) -> Source:
    """The conversations of the CSV file `file`, a row per utterance.

    Columns are those of `common.data.utterances`, all but `speaker` optional: without `dialogue` all rows are one,
    named after the file; without `utterance` they are numbered in their order, from 0; without `split` all are test;
    without `label` none is known; `sentence` may be missing where there is sound or video. Beside them there may be
    `audio` and `video`, files, relative to the folder of the CSV file, and `start` and `end` in them, in seconds or as
    h:mm:ss.mmm (also 00:16:16,059); in rows without a file they mean nothing. `media`: the sound or video of all rows
    that name neither.

    A file that does not exist, or a cell without one where others have one, is `missing`. Raises InputError where no
    file of a column exists, for times that are none or end before they start, and for two rows with one file of which
    one has no time, naming the line.
    """
    file = Path(file)
    table, notes = read_utterances(file, ("speaker",), MEDIA)
    table, completed = _completed(table, file, any(" as utterance" in note for note in notes))
    table, counts = checked(table)
    table, why, lost = _with_files(table, file, media)
    if (table.sentence == "").all() and (table.audio + table.video == "").all():
        raise InputError(f"{file}: no column 'sentence', nor sound or video; expected what is said in each row")
    table = _with_times(table)
    missing = _missing(table, why)
    return Source(file.stem, arranged(table), classes_of(table), [file], notes + completed + counts + lost, missing)


def _completed(table, file, numbered):
    """`table` with all columns, and what a reader should know of those that were not there. `numbered`: the numbers of
    utterances stand in a column whose name says so.
    """
    notes, numbers = [], table.get("utterance")
    if (
        not numbered
        and "sentence" not in table
        and numbers is not None
        and not numbers.str.fullmatch(r"-?[\d.]+").all()
    ):
        table = table.rename(columns={"utterance": "sentence"})
        notes.append("Column utterance is taken for what is said.")
    notes += [f"No column {name}: {what}." for name, what in _WITHOUT.items() if name not in table]
    if "sentence" not in table:
        notes.append("No column sentence: sound and pictures alone.")
    known = dict.fromkeys(("sentence", *MEDIA), "") | {"dialogue": file.stem, "split": "test"}
    table = table.assign(**{name: value for name, value in known.items() if name not in table})
    if "utterance" not in table:
        table["utterance"] = table.groupby("dialogue").cumcount().astype(str)
    return table, notes


def _with_files(table, file, media):
    """`table` with paths of audio and video that exist; for each row of both, why there is none; and notes."""
    why, notes = {}, []
    for name in ("audio", "video"):
        cells = table[name].where(~table[name].str.casefold().isin(_NONE), "")
        paths = {cell: _path(cell, file.parent) for cell in cells.unique() if cell}
        gone = {cell: path for cell, path in paths.items() if not os.path.isfile(path)}
        if gone and len(gone) == len(paths):
            cell, path = next(iter(gone.items()))
            rule = "paths are relative to the folder of the CSV file"
            where = table.index[table[name] == cell][0]
            raise InputError(f"{where}: column {name}: no file {path!r}, nor any other that it names; {rule}")
        if gone:
            notes.append(f"Files of column {name} that do not exist: {len(gone):,} ({some([*gone])}).")
        why[name] = [f"no such file: {cell}" if cell in gone else "" if cell else _NO_FILE for cell in cells]
        table = table.assign(**{name: ["" if cell in gone else paths.get(cell, "") for cell in cells]})
    if media is not None:
        if not os.path.isfile(media):
            raise InputError(f"{media}: no such file; expected the sound or video of {file}", ["media"])
        name = "audio" if Path(media).suffix.casefold() in _SOUND else "video"
        without = [a == v == _NO_FILE for a, v in zip(*why.values(), strict=True)]
        notes += [] if any(without) else [f"{media} is not used: each row names a file of its own."]
        table.loc[without, name] = str(media)
    return table, why, notes


def _path(cell, folder):
    path = os.path.join(folder, cell)
    windows = os.sep == "/" and not os.path.exists(path)
    return os.path.join(folder, cell.replace("\\", "/")) if windows else path


def _with_times(table):
    """`table` with start and end in seconds, NaN for none, and where there is no file."""
    times = {name: table[name].map(_seconds).astype(np.float64) for name in ("start", "end")}
    for name, seconds in times.items():
        refuse(table, seconds < 0, name, "seconds, or h:mm:ss.mmm, not negative")
    start, end = (seconds.where(table.audio + table.video != "") for seconds in times.values())
    refuse(table, end <= start.fillna(0.0), "end", "a time after that in column start, which is 0 where it is empty")
    for name in ("audio", "video"):
        shared = (table[name] != "") & table.duplicated(name, keep=False) & start.isna() & end.isna()
        refuse(table, shared, "start", f"a time, as other rows have the same {name}")
    return table.assign(start=start, end=end)


def _seconds(text):
    """The time that `text` says, in seconds; NaN for none, -1 for what is no time."""
    if text.casefold() in _NONE:
        return np.nan
    match = _CLOCK.fullmatch(text)
    if not match:
        return -1.0
    hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds
    return -1.0 if total > LONGEST or (match[2] and seconds >= 60) else total


def _missing(table, why):
    """What rows lack that others have."""
    lacks = {"text": table.sentence == "", "audio": table.audio + table.video == "", "visual": table.video == ""}
    reasons = {"text": ["no sentence"] * len(table), "visual": why["video"]}
    reasons["audio"] = [a if "such" in a else v for a, v in zip(why["audio"], why["video"], strict=True)]
    return [
        Missing(row.dialogue, int(row.number), modality, reason or _NO_FILE)
        for modality, lack in lacks.items()
        if not lack.all()
        for row, lacking, reason in zip(table.itertuples(), lack, reasons[modality], strict=True)
        if lacking
    ]
