"""What is printed fits the terminal: long lines are wrapped, wide tables are split.

What goes to a file or a pipe stays whole, a statement a line and a table in one piece, whoever's terminal it was
written from: so it can be searched, compared and read by programs, and is the same each time.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import TextIO

LEAST = 40  # columns that are counted on, however narrow a terminal is
_GAP = 2  # columns between two cells
_JOINERS = "\u200c\u200d"  # of letters and pictures that are written as one


def columns(stream: TextIO | None = None) -> int | None:
    """How many columns the terminal has that `stream`, by default standard output, is; None where it is none."""
    stream = sys.stdout if stream is None else stream
    try:
        if not stream.isatty():
            return None
    except (AttributeError, ValueError):  # there is none, it is no file, or it was closed
        return None
    try:
        known = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        known = 0
    return max(LEAST, known or shutil.get_terminal_size().columns)


def show(text: str, stream: TextIO | None = None) -> None:
    """Print lines at once on `stream`, by default standard output, wrapped where that is a terminal."""
    stream = sys.stdout if stream is None else stream
    print(fitted(text, columns(stream)), file=stream, flush=True)


def fitted(text: str, most: int | None) -> str:
    """`text`, each line of it over as many lines as it takes with `most` columns; None: as it is.

    Lines break at spaces only, so that a path or a hash can be copied, and go on two columns further in.
    """
    if most is None:
        return text
    return "\n".join(part for line in text.split("\n") for part in _wrapped(line, most))


def _wrapped(line, most):
    if width(line) <= most:
        return [line]
    inner = len(line) - len(line.lstrip()) + 2
    parts, used = [""], 0
    for k, word in enumerate(line.split(" ")):
        if k and used + 1 + width(word) > most and parts[-1].strip():
            parts.append(" " * inner + word)
            used = inner + width(word)
        else:
            parts[-1] += " " * bool(k) + word
            used += bool(k) + width(word)
    return [part.rstrip() for part in parts]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int | None, fixed: int = 1) -> str:
    """Cells in aligned columns, the first `fixed` of them to the left and the others to the right.

    Where these take more than `most` columns of a terminal, the table is split: each part has the first ones, and as
    many of the others as fit. A cell that does not fit by itself is cut.
    """
    cells = [list(head), *map(list, rows)]
    wide = [max(width(row[k]) for row in cells) for k in range(len(head))]
    if most is not None and sum(wide) + _GAP * (len(wide) - 1) <= most:
        most = None
    if most is not None:
        for k in range(fixed):
            wide[k] = min(wide[k], max(8, most // (2 * fixed) - _GAP))
        room = most - sum(wide[:fixed]) - _GAP * fixed
        wide = wide[:fixed] + [min(w, room) for w in wide[fixed:]]
    parts: list[list[int]] = [[]]
    for k in range(fixed, len(head)):
        if most is not None and parts[-1] and sum(wide[j] + _GAP for j in [*parts[-1], k]) > room + _GAP:
            parts.append([])
        parts[-1].append(k)
    return "\n\n".join("\n".join(_row(row, wide, [*range(fixed)], part) for row in cells) for part in parts)


def _row(row, wide, left, right):
    texts = {k: cut(row[k], wide[k]) for k in [*left, *right]}
    spaces = {k: " " * (wide[k] - width(text)) for k, text in texts.items()}
    parts = [texts[k] + spaces[k] for k in left] + [spaces[k] + texts[k] for k in right]
    return (" " * _GAP).join(parts).rstrip()


def width(text: str) -> int:
    """How many columns of a terminal `text` takes: two for a wide letter, none for a mark on the one before."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(letter):
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def one_line(text: str, without: Sequence[str] = ("Cf",)) -> str:
    """`text` in one line, without the codes that change a terminal, or the direction of writing in all that follows.

    `without`: the Unicode categories of letters that are left out, but for those that join others to one.
    """
    visible = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    kept = (c for c in visible if c in _JOINERS or unicodedata.category(c) not in without)
    return " ".join("".join(kept).split())


def cut(text: str, most: int) -> str:
    """`text` in at most so many columns of a terminal, with an ellipsis in place of what is too much."""
    if width(text) <= most:
        return text
    kept, used = [], 1
    for letter in text:
        used += _columns(letter)
        if used > most:
            break
        kept.append(letter)
    return "".join(kept).rstrip() + "…"
