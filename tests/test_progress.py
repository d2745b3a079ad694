import io
import re

import pytest

from common import progress
from common.progress import Progress
from tests.pseudo_terminal import shown_on_terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Gone(io.StringIO):
    """A log whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


def test_a_log_has_whole_lines_now_and_then(monkeypatch):
    """At the first step, after half a minute, at the end; two tasks at a time do not disturb each other."""
    clock, log = [100.0], io.StringIO()
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(progress.sys, "stderr", log)
    bars = [Progress(f"seed {k}", 50, "epoch", done=10 * k, position=k) for k in range(2)]
    for step in range(40):
        clock[0] += 1
        for bar in bars:
            bar.update(f"loss {step}")
    bars[0].write("Note: something.")
    for bar in bars:
        bar.close()
        bar.close()
    assert log.getvalue().splitlines() == [
        "seed 0: 1/50 epochs, loss 0",
        "seed 1: 11/50 epochs, loss 0",
        "seed 0: 31/50 epochs, loss 30",
        "seed 1: 41/50 epochs, loss 30",
        "Note: something.",
        "seed 0: 40/50 epochs, loss 39",
        "seed 1: 50/50 epochs, loss 39",
    ]
    assert not set("\r\x1b") & set(log.getvalue())


def test_a_terminal_has_bars(monkeypatch):
    monkeypatch.setattr(progress.sys, "stderr", terminal := Terminal())
    bar = Progress("seed 0", 3, "epoch")
    bar.update("loss 1")
    bar.close()
    assert "seed 0" in terminal.getvalue()
    assert "\r" in terminal.getvalue()


def test_bars_and_lines_have_the_room_of_the_terminal():
    """Two bars with more to say than there is room for, and a line in between; the most important comes first."""

    def work():
        bars = [Progress(f"MELD {k}" * 9, 40, "epoch", brief=f"seed {k}", position=k) for k in range(2)]
        for bar in bars:
            bar.update("wF1 61.93 (best 61.93 in epoch 39), " + "and more of this, " * 9)
        bars[0].write("Note: " + "some words " * 20)
        for bar in bars:
            bar.close()

    text, lines = shown_on_terminal(work)
    assert max(map(len, lines)) <= 80
    for k in range(2):
        assert any(re.match(rf"seed {k} 1/40 . <.*, wF1 61.93 \(best 61.93 in epoch 39\), and", line) for line in lines)
    assert " ".join(text.split()).count("some words") == 20


@pytest.mark.parametrize("stream", [None, Gone()])
def test_nowhere_to_show_it(monkeypatch, stream):
    monkeypatch.setattr(progress.sys, "stderr", stream)
    bar = Progress("seed 0", 3, "epoch")
    bar.update("loss 1")
    bar.write("Note")
    bar.close()


def test_nothing_is_shown_that_is_not_wanted(monkeypatch):
    monkeypatch.setattr(progress.sys, "stderr", log := io.StringIO())
    bar = Progress("seed 0", 3, "epoch", shown=False)
    bar.update("loss 1")
    bar.close()
    assert log.getvalue() == ""
