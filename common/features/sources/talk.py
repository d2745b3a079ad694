"""A conversation as people write one down: lines `Name: sentence`."""

import re
from pathlib import Path
from typing import TextIO

import pandas as pd

from common.data.csv_table import read_text
from common.data.text import repaired
from common.data.utterances import checked
from common.errors import InputError
from common.features.sources.arrange import arranged, some
from common.features.sources.source import Source

LONGEST_NAME = 60  # letters
_CLOCK = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[.,]\d{1,3})?(?:\s?[ap]\.?\s?m\.?)?"
_DATE = r"(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4})"
_WHEN = rf"(?:{_DATE}(?:,?\s+{_CLOCK}|T{_CLOCK})?|{_CLOCK}(?:,?\s+{_DATE})?)"
_STAMP = re.compile(rf"(?:\[{_WHEN}\]|\({_WHEN}\)|{_WHEN})(?:\s+[-–—])?\s+", re.IGNORECASE)
_MARKS = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])  # of direction
_BREAK = re.compile(r"[-–—]{3,}|—")  # word processors make one dash of three
_EXPECTED = "a text with lines such as 'Ann: Did it arrive?'"


def read(file: Path | TextIO) -> Source:
    """The conversations in `file`, or in an open text such as standard input, a line `Name: sentence` per utterance.

    What stands before the first colon, also a full-width one, is the name; the sentence may hold colons. A line of
    three or more dashes begins another conversation; empty lines are passed over. The times of a chat export before
    the names, such as `[12:30, 24/12/2025] Ann: hi`, are left out: where the first line has one all have to, since a
    line without is the rest of the one before. All utterances are test, without labels, numbered from 0; a
    conversation is named after the file. UTF-8, or UTF-16 as Windows writes it.

    Raises InputError for a line without a name or without a sentence, and for names that are spelled differently,
    naming the line; and where there is no utterance.
    """
    if isinstance(file, str | Path):
        name, where, files = Path(file).stem, str(file), [Path(file)]
        text = read_text(Path(file), _EXPECTED, "in an editor, save it as UTF-8")
    else:
        name, where, files = "talk", str(getattr(file, "name", "text")), []
        text = file.read()
    rows, stamps = _rows(text, where)
    if not rows:
        raise InputError(f"{where}: found no utterance; expected {_EXPECTED}")
    table = pd.DataFrame(rows).set_index("where")
    many = table.part.nunique() > 1
    part = table.part.factorize()[0] + 1
    table["dialogue"] = [f"{name}_{k}" if many else name for k in part]
    table["utterance"] = table.groupby("dialogue").cumcount().astype(str)
    table = checked(table.assign(label="", split="test").drop(columns="part"))[0]
    speakers = table.speaker.unique().tolist()
    notes = [f"Speakers: {len(speakers):,} ({some(speakers, 10)})."]
    if stamps:
        notes.append(f"Times before the names are left out: {len(stamps):,}, such as {stamps[0]!r}.")
    return Source(name, arranged(table), [], files, notes)


def line(text: str) -> tuple[str, str]:
    """Name and sentence of one line, see `read`. Raises InputError where there are not both."""
    return _parts(text)[1:]


def begins_another(text: str) -> bool:
    """Whether one line, see `read`, begins another conversation."""
    return bool(_BREAK.fullmatch(_visible(text)))


def _rows(text, where):
    """Of each utterance where it stands, part of the text, speaker and sentence; and the times that were left out."""
    rows, stamps, part = [], [], 0
    for number, content in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff").rstrip("\0\x1a")), 1):
        at = f"{where}: line {number}"
        content = _visible(content)
        if not content:
            continue
        if _BREAK.fullmatch(content):
            part += 1
            continue
        try:
            stamp, speaker, sentence = _parts(content)
        except InputError as error:
            raise InputError(f"{at}: {error}") from None
        if bool(stamp) != bool(stamps) and rows:
            found = "no time before the name" if stamps else f"a time before the name, {stamp!r}"
            mend = "join it to the line before if it is the rest of that" if stamps else "remove the times"
            raise InputError(f"{at}: found {found}; expected the same in all lines; {mend}")
        stamps += [stamp] if stamp else []
        rows.append({"where": at, "part": part, "speaker": speaker, "sentence": sentence})
    return rows, stamps


def _parts(text):
    """The time, or "", the name and the sentence of a line."""
    text = _visible(text)
    match = _STAMP.match(text)
    stamp, rest = (match[0].strip(" -–—"), text[match.end() :]) if match else ("", text)
    name, colon, sentence = re.fullmatch(r"([^:：]*)([:：]?)(.*)", rest, re.DOTALL).groups()
    name, sentence = " ".join(name.split()), sentence.strip()
    time = re.match(rf"{_CLOCK}|{_DATE}", rest) or re.match(r"[^:：]*\d[:：]\d\d", rest)
    within = re.search(r"[(\[][^)\]]*$", name)  # the colon of `Ann (12:30): hi`
    if not colon or not name or time or within or sentence.startswith("//") or len(name) > LONGEST_NAME:
        raise InputError(f"found {text[:60]!r}; expected a name, a colon and a sentence, such as 'Ann: Did it arrive?'")
    if not sentence:
        raise InputError(f"found no sentence after {name!r}; expected one, or no such line")
    return stamp, name, sentence


def _visible(text):
    """`text` without blanks at its ends, and without marks of the direction of writing, which chat exports have."""
    return repaired(text).translate(_MARKS).strip()
