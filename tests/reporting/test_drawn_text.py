import warnings

import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from common.reporting.drawn_text import cut, families, lacking, plain, width, wrapped

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and then $5 more. " * 8,
    "W" * 300,
    "שלום, מה שלומך היום? " * 12,
    "",
    "a",
]


def drawn(text, size):
    """How wide matplotlib draws it, in inches."""
    figure = Figure(dpi=300)
    with rc_context({"text.parse_math": False, "font.family": families()}):
        artist = figure.text(0, 0, text, size=size)
    return artist.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width / 300


@pytest.mark.parametrize("size", [8, 12])
def test_widths_are_those_that_are_drawn(size):
    for text in ("Ross, didn't you say", "fi fl AV", "مرحبا كيف حالك"):
        assert width(text, size) == pytest.approx(drawn(text, size), rel=0.05)
    assert width("", size) == 0


@pytest.mark.parametrize("most", [0.4, 2.0])
def test_lines_are_narrow_enough_and_hold_every_letter(most):
    for text in TEXTS:
        lines = wrapped(text, most, 9, lines=1000)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert all(drawn(line, 9) < most * 1.02 for line in lines)
    words = TEXTS[0].split()
    assert " ".join(wrapped(TEXTS[0], 2.0, 9)).split() == words
    for line, following in zip(wrapped(TEXTS[0], 2.0, 9), wrapped(TEXTS[0], 2.0, 9)[1:], strict=False):
        assert width(f"{line} {following.split()[0]}", 9) > 2.0 * 0.98  # no line could have taken one word more


def test_too_many_lines_end_in_an_ellipsis():
    lines = wrapped(TEXTS[0], 2.0, 9, lines=3)
    assert len(lines) == 3
    assert lines[:2] == wrapped(TEXTS[0], 2.0, 9)[:2]
    assert lines[2].endswith("…")
    assert width(lines[2], 9) <= 2.0


def test_a_name_that_is_cut_takes_the_room_that_there_is():
    name = "Bartholomew Featherstonehaugh"
    for most in (0.5, 1.0, 1.5):
        short = cut(name, most, 9)
        assert short.endswith("…")
        assert width(short, 9) <= most < width(name[: len(short) + 1] + "…", 9)
        assert name.startswith(short[:-1].rstrip())
    assert cut("emotion number 11", 0.8, 9, last=4).endswith("…r 11")
    assert cut("Ann", 1.0, 9) == "Ann"
    assert cut("Ann", 0.01, 9) == "…"


def test_what_is_no_letter_is_left_out():
    assert plain("a\u202eb\x00c\n\t\ud800d\u2028 e\u200df") == "ab c d e\u200df"


def test_letters_without_a_font_are_known_and_draw_no_warning():
    assert lacking("Aé א م \U0010fffd\U0010fffd") == ["\U0010fffd"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert width("\U0010fffd", 9) > 0
