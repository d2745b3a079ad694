"""MELD as its authors distribute it: three CSV files and a clip of sound and picture per utterance."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from common.data.meld import CLASSES
from common.data.meld_csv import ROWS, SPLITS, file_of, read_split
from common.data.utterances import checked
from common.errors import InputError
from common.features.sources.arrange import arranged, lacking, some
from common.features.sources.source import Source

LONG = {
    "dia38_utt4",
    "dia220_utt0",
}  # clips of test that last minutes, for a sentence of seconds
_CLIP = re.compile(r"(.*)dia(\d+)_utt(\d+)\.mp4", re.IGNORECASE)
_COPY = "final_videos_test"  # the test archive has some clips twice, the other time under a name that begins so
_WORDS = {"train": ("train",), "dev": ("dev", "val"), "test": ("test",)}
_BOTH = ("audio", "visual")


def read(folder: Path) -> Source:
    """The conversations below `folder`, wherever in it the three CSV files and the clips `dia{D}_utt{U}.mp4` lie.

    Dialogue ids and names of clips restart in each split. A clip belongs to the split that the nearest folder above it
    names, such as train_splits, dev_splits_complete and output_repeated_splits_test. Utterances without a clip are
    `missing`; clips without an utterance, and copies, are noted. Clips are not opened: train dia125_utt3, which is
    broken, is found out later. Without any clip there are sentences alone.

    Raises InputError where CSV files are missing, or there are two that differ, and where no clip's split can be told.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected that of MELD's files, such as train_sent_emo.csv")
    paths = list(_files(folder))
    tables = {theirs: _table(folder, paths, theirs) for theirs in SPLITS}
    table = checked(pd.concat([table for _, table in tables.values()]))[0]
    repaired = sum(table.attrs["repaired"] for _, table in tables.values())
    notes = [f"Characters of a mistaken encoding were repaired in {repaired:,} cells."] if repaired else []
    for theirs, (path, rows) in tables.items():
        if len(rows) != ROWS[theirs]:
            notes.append(f"{path}: {len(rows):,} rows; MELD's file has {ROWS[theirs]:,}.")
    clips, clip_notes = _clips(folder, paths)
    clip = (table.dialogue + "/" + table.number.astype(str)).map(_named)
    table["video"] = [str(clips.get(name, "")) for name in clip]
    missing, notes = [], notes + clip_notes
    if clips:
        long = clip.isin({f"test/{name}" for name in LONG}) & (table.video != "")
        table.loc[long, "video"] = ""
        missing = [
            *lacking(table[~long], "video", "no clip", _BOTH),
            *lacking(table[long], "video", "the clip lasts minutes, its sentence seconds", _BOTH),
        ]
        spare = sorted(clips.keys() - set(clip))
        notes.append(f"Clips: {len(clips) - len(spare):,} for {len(table):,} utterances.")
        notes += [f"Clips without a row in the CSV files, not used: {some(spare)}."] if spare else []
    else:
        notes.append(f"No clip dia0_utt0.mp4 or the like below {folder}: sentences alone.")
    return Source("meld", arranged(table), list(CLASSES), [path for path, _ in tables.values()], notes, missing)


def _named(utterance):
    """The clip of `train_0/3`: `train/dia0_utt3`."""
    return re.sub(r"(\w+)_(\d+)/(\d+)", r"\1/dia\2_utt\3", utterance)


def _files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, through links to folders too, which may lead in a circle."""
    seen = set()
    for above, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(above)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(above, name) for name in sorted(names))


def _table(folder, paths, theirs):
    """The CSV file of a split, the one that lies highest, and its table."""
    name = file_of(theirs)
    found = sorted((path for path in paths if path.name == name), key=lambda path: (len(path.parts), path))
    if not found:
        get = "`python -m common obtain MELD --raw text` gets it"
        raise InputError(f"{folder}: no {name} in it or below; expected MELD's three CSV files; {get}")
    tables = [read_split(path, theirs) for path in found]
    first = tables[0].reset_index(drop=True)
    for path, other in zip(found, tables, strict=True):
        if not first.equals(other.reset_index(drop=True)):
            raise InputError(f"{path}: not the same as {found[0]}; expected one {name}; move one of them away")
    return found[0], tables[0]


def _clips(folder, paths):
    """Name of a clip, such as `train/dia0_utt3`, to its path, and notes."""
    clips = {}
    copies, astray = [], []
    for path in paths:
        match = _CLIP.fullmatch(path.name)
        if not match or match[1].casefold() not in ("", _COPY):  # macOS: ._dia0_utt0.mp4
            continue
        theirs = _split_of(path.relative_to(folder).parts[:-1])
        name = f"{theirs}/dia{int(match[2])}_utt{int(match[3])}"
        if theirs is None:
            astray.append(path)
        elif match[1] or name in clips:
            copies.append(path)
        else:
            clips[name] = path
    if astray and not clips:
        expected = "expected folders named train, dev and test, or the like, above the clips, which have the same names"
        raise InputError(f"{astray[0]}: no folder tells the split of this clip; {expected}")
    notes = [f"Clips that are copies of others, not used: {len(copies):,}, such as {copies[0]}."] if copies else []
    if astray:
        notes.append(f"Clips in no folder that tells their split, not used: {len(astray):,}, such as {astray[0]}.")
    return clips, notes


def _split_of(folders):
    """The split that the last of `folders` with the word of one split in its name tells; None where none does."""
    for name in reversed(folders):
        found = [theirs for theirs, words in _WORDS.items() if any(word in name.casefold() for word in words)]
        if len(found) == 1:
            return found[0]
    return None
