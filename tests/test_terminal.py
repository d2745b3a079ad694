"""Lines and tables that fit a terminal, and what is left as it is elsewhere."""

import io
import re
from itertools import pairwise

import pytest

from common import terminal
from common.terminal import columns, cut, fitted, show, table, width

PATH = "/a/path/" + "that/is/long/" * 9 + "file.txt"
SENTENCE = "  - Note: " + "some words of a sentence, " * 8 + f"and {PATH} (it stays whole)."
HEAD = ["", *(f"number {k}" for k in range(12))]
NAMES = ["one", "two", "a third one"]
ROWS = [[name, *(f"{k}.{j}" for j in range(12))] for k, name in enumerate(NAMES)]


@pytest.mark.parametrize("most", [40, 80, 150])
def test_lines_break_at_spaces_and_nothing_is_lost(most):
    first, *others = fitted(SENTENCE, most).split("\n")
    assert first.startswith("  - Note: some")
    assert all(line.startswith("    ") and line[4] != " " for line in others)  # two columns further in
    assert " ".join([first, *(line.strip() for line in others)]) == SENTENCE
    assert all(width(line) <= most for line in [first, *others] if PATH not in line)
    for line, following in pairwise([first, *others]):  # no line has room for one word more
        assert width(f"{line} {following.split()[0]}") > most
    assert fitted(f"short   one\n\n{SENTENCE}", most).startswith("short   one\n\n  - Note")
    assert fitted(SENTENCE, None) == SENTENCE


def test_wide_letters_count_twice():
    assert [width(text) for text in ("", "abc", "你好", "e\u0301", "🙂", "\u200d")] == [0, 3, 4, 1, 2, 0]
    assert [cut("你好吗", most) for most in (6, 5, 4, 3, 1)] == ["你好吗", "你好…", "你…", "你…", "…"]
    assert cut("one two", 5) == "one…"
    assert cut("abc", 3) == "abc"
    assert max(map(width, fitted("你好吗 " * 30, 40).split("\n"))) <= 40


@pytest.mark.parametrize("most", [40, 80, 120, 500])
def test_a_wide_table_becomes_parts_that_have_all_cells(most):
    parts = [part.split("\n") for part in table(HEAD, ROWS, most).split("\n\n")]
    assert (len(parts) == 1) == (most == 500)
    for k, name in enumerate(NAMES):
        assert [cell for part in parts for cell in part[k + 1].removeprefix(name).split()] == ROWS[k][1:]
    assert [name for part in parts for name in re.findall(r"number \d+", part[0])] == HEAD[1:]
    for part in parts:
        assert len({width(line) for line in part}) == 1  # numbers end in the same column
        assert width(part[0]) <= most
    for part in parts[:-1]:  # which has no room for one more
        assert width(part[0]) + len("  number 1") > most


def test_a_table_elsewhere_is_in_one_piece():
    lines = table(["a", "b"], [["x" * 200, "1"], ["y", "22"]], None).split("\n")
    assert lines == ["a" + " " * 202 + "b", "x" * 200 + "   1", "y" + " " * 201 + "22"]


def test_names_that_are_too_wide_are_cut():
    rows = [["n" * 100, "1", "p" * 100], ["m", "2", "q"]]
    lines = table(["", "h" * 100, "g"], rows, 60).split("\n")
    assert max(map(width, lines)) <= 60
    assert [line.split()[-1] for line in lines if line][1:3] == ["1", "2"]
    assert sum("…" in line for line in lines) == 3  # two with the name, of which one has the other cell, and the head
    kept = table(["", "h"], [["n" * 70, "1"]], 80)  # what fits is not cut
    assert "n" * 70 in kept


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_what_is_redirected_is_not_wrapped(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for stream, lines in ((io.StringIO(), 1), (Terminal(), 7)):
        show(SENTENCE, stream)
        assert len(stream.getvalue().splitlines()) == lines, stream
    assert (columns(io.StringIO()), columns(Terminal())) == (None, 60)
    monkeypatch.setenv("COLUMNS", "7")
    assert columns(Terminal()) == terminal.LEAST
    closed = io.StringIO()
    closed.close()
    assert (columns(closed), columns(object())) == (None, None)
    monkeypatch.setattr(terminal.sys, "stdout", None)
    assert columns() is None
