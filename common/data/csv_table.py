"""CSV and other texts of other people: their encodings and separators, and the line of each row."""

import csv
import io
import re
import shlex
from pathlib import Path

import pandas as pd

from common.data.text import repaired
from common.errors import InputError
from common.files import HEAD, mistaken_for

_OTHERS = {b"PK": "an Excel workbook or a zip archive", b"\xd0\xcf": "an Excel workbook"}
_EXCEL = "in Excel, save it as 'CSV UTF-8'"


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV file as strings without blanks at their ends, under the names of its header; the index says where each row
    begins: file and line.

    UTF-8, or UTF-16 with its mark at the beginning; separated by commas, semicolons or tabs. Empty lines and rows of
    empty cells, which Excel leaves at the end, are left out. `attrs["repaired"]`: how many cells have characters whose
    encoding had been mistaken, see `common.data.text`.

    Raises InputError for a missing or foreign file, and for rows that have not as many cells as the header.
    """
    text = read_text(path).rstrip("\0\x1a")
    first = text.lstrip().split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    if said := re.fullmatch(r"sep=([,;\t])\s*", first):  # a line of Excel's
        separator, text = said[1], text.replace(first, "", 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    rows, lines, line, mended = [], [], 1, 0
    right = text.isascii()
    try:
        for row in reader:
            meant = row if right else [repaired(cell) for cell in row]
            cells = [cell.strip() for cell in meant]
            if any(cells):
                rows.append(cells)
                mended += 0 if right else sum(a != b for a, b in zip(row, meant, strict=True))
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        what = f"quotation marks do not fit together in the row that begins there ({error})"
        raise InputError(f'{path}: line {line}: {what}; write " inside a cell as ""') from None
    if len(rows) < 2:
        raise InputError(f"{path}: found no utterance; expected a header, and a row for each")
    header = rows[0]
    names = [plain(name) for name in header]
    same = [name for name in header if name and names.count(plain(name)) > 1]
    if same:
        raise InputError(f"{path}: columns {' and '.join(map(repr, same))} have one name; rename or remove all but one")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            mend = "put cells with a comma in quotation marks" if len(row) > len(header) else "no cell may be left out"
            mend = "the first line has to name the columns" if len(header) < 3 < len(row) else mend
            raise InputError(f"{path}: line {line}: found {len(row)} cells, but the header has {len(header)}; {mend}")
    index = [f"{path}: line {line}" for line in lines[1:]]
    table = pd.DataFrame(rows[1:], columns=header, index=index, dtype=object)
    table.attrs["repaired"] = mended
    return table


def plain(name: str) -> str:
    """The name of a column as it is compared: `Utterance ID` is `utterance_id`."""
    return re.sub(r"[\s_.-]+", "_", name.casefold())


def read_text(path: Path, expected: str = "a CSV file", save: str = _EXCEL) -> str:
    """The text in the file `path`: UTF-8, or UTF-16 with its mark at the beginning.

    Raises InputError for anything else, saying what is `expected`, and how to `save` it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {expected}") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); expected {expected}") from None
    found = next((what for mark, what in _OTHERS.items() if content.startswith(mark)), mistaken_for(content[:HEAD]))
    if found:
        raise InputError(f"{path}: found {found}; expected {expected} ({save})")
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not wide and b"\0" in content[:HEAD]:
        if content[1:HEAD:2].count(0) < len(content[1:HEAD:2]) // 2:
            raise InputError(f"{path}: found no text; expected {expected}")
        convert = f"`iconv -f UTF-16LE -t UTF-8 {shlex.quote(str(path))} > new{path.suffix}`"
        raise InputError(f"{path}: found UTF-16 without its mark; expected UTF-8; convert it: {convert}")
    if wide:
        text = content.decode("utf-16", "replace")
        if "\ufffd" in text:
            raise InputError(f"{path}: found UTF-16 that is cut off or damaged; save it again, as UTF-8")
        return text
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        near = content[max(content.rfind(b"\n", 0, error.start) + 1, error.start - 20) : error.start + 1]
        found = f"text that is not UTF-8, {near.decode('cp1252', 'replace')!r} if it is Windows-1252"
        mend = f"{save}, or `iconv -f CP1252 -t UTF-8 {shlex.quote(str(path))} > new{path.suffix}`"
        raise InputError(f"{path}: line {line}: found {found}; expected UTF-8; convert it: {mend}") from None
