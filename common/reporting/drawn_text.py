"""Text in figures: how wide it is, in lines of a width, and cut to one. Widths in inches, sizes in points."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from common.terminal import one_line

POINTS = 72  # in an inch
# Letters that matplotlib's own font lacks are taken of these, where they are installed.
_OTHERS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji")
_LINE = 1.35  # distance of two lines, of the size of the letters
_measure = TextToPath()


@lru_cache(1)
def families() -> list[str]:
    """Fonts for `font.family` of matplotlib: its own, and after it those that have the letters it lacks."""
    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _OTHERS if name in installed)]


@contextmanager
def no_warnings() -> Iterator[None]:
    """Letters that no font has are boxes; matplotlib would warn of each, many times. `lacking` tells them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        yield


def lacking(text: str) -> list[str]:
    """The letters of `text` that no font of `families` has."""
    paths = [font_manager.findfont(FontProperties(family=name)) for name in families()]
    known = set().union(*(font_manager.get_font(path).get_charmap() for path in paths))
    return [letter for letter in dict.fromkeys(text) if ord(letter) not in known and not letter.isspace()]


def plain(text: str) -> str:
    """`text` in one line, without what is no letter."""
    return one_line(text, ("Cf", "Cs", "Co", "Cn"))


@lru_cache(20_000)
def width(text: str, size: float, weight: str = "normal") -> float:
    """How wide `text` is when drawn."""
    if not text:
        return 0.0
    look = FontProperties(family=families(), size=size, weight=weight)
    with no_warnings():
        return _measure.get_text_width_height_descent(text, look, False)[0] / POINTS


def height(size: float, lines: int = 1) -> float:
    """How high so many lines are, with the room between them."""
    return lines * size * _LINE / POINTS


def cut(text: str, most: float, size: float, weight: str = "normal", last: int = 0) -> str:
    """`text` at most so wide, with an ellipsis in place of what is too much.

    `last`: so many letters are kept behind the ellipsis, as names may differ there only.
    """
    text = plain(text)
    if width(text, size, weight) <= most:
        return text
    end = "…" + text[len(text) - last :]
    end = end if width(end, size, weight) <= most else "…"
    return text[: _fitting(text, most, size, weight, end)].rstrip() + end


def wrapped(text: str, most: float, size: float, weight: str = "normal", lines: int = 40) -> list[str]:
    """`text` in lines at most so wide, at least one; what is more than so many `lines` is an ellipsis.

    Lines break between words, and within a word that is wider than a line.
    """
    left, space = plain(text).split(" "), width("a b", size, weight) - width("ab", size, weight)
    done: list[str] = []
    while left:
        if len(done) == lines:
            done[-1] = cut(done[-1] + " …", most, size, weight)
            break
        words, used = [], -space
        while left and (used := used + space + width(left[0], size, weight)) <= most:
            words.append(left.pop(0))
        if not words:
            fitting = max(1, _fitting(left[0], most, size, weight))
            words.append(left[0][:fitting])
            left[0] = left[0][fitting:]
        done.append(" ".join(words))
    return done


def _fitting(text, most, size, weight, end=""):
    """How many first letters of `text` fit, with `end` behind them: by halves, as more letters are wider."""
    low, high = 0, min(len(text), 1 + int(most * POINTS / size * 6))  # no letter is narrower than a sixth of its size
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle].rstrip() + end, size, weight) <= most:
            low = middle
        else:
            high = middle - 1
    return low
