"""The case figure: what it says of attention, gates and occlusion, and that nothing in it overlaps or is cut."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from common.reporting.case_figure import case_figure
from common.reporting.figures import save_figure

ROUTES = ("self_emotion", "cross_emotion", "self_event", "cross_event")
MODALITIES = ("text", "audio", "visual")
LONG = "Bartholomew Featherstonehaugh-Cholmondeley"


def talk(count, letters, classes, names=("Ann", LONG)):
    """Turns of words with so many letters, Ann and the other one by turns."""
    words = ("well you know what I said was not that of all things a friend and " * 60)[:letters]
    return [
        {"speaker": names[k % len(names)], "sentence": words, "label": (k % (classes + 1)) - 1} for k in range(count)
    ]


def given(turns, weights, classes=("yes", "no"), **entry):
    """Arguments of `case_figure` for the last of `turns`. `weights`: route to those of the turns that it sees."""
    turn = len(turns) - 1
    attention = {route: [None] * turn + [weights.get(route)] for route in ROUTES}
    even = np.full(len(classes), 1 / len(classes)).tolist()
    entry = {
        "probability": even,
        "prediction": 0,
        "gates": [0.5, 0.25, 0.5],
        "route_gates": [0.52, 0.5, 0.5, 0.5],
        "drop": [0.0, -0.004, -0.8],
        "route_drop": [0.4, 0.1, 0.0, -0.1],
    } | entry
    gates = [{"name": name, "mean": 0.5, "std": 0.1} for name in (*ROUTES, *MODALITIES)]
    about = {"title": "a $ in $_{", "classes": classes, "modalities": MODALITIES, "routes": ROUTES}
    return {"turns": turns}, turn, entry, attention, gates, about


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def cells(figure):
    """The cells of attention from top to bottom: (text, hatched, colour), as rows of one of each route."""
    axes, found = figure.axes[0], {}
    for patch in axes.patches:
        if patch.get_edgecolor()[:3] == (0.7, 0.7, 0.7):
            x, y, wide, high = *patch.get_xy(), patch.get_width(), patch.get_height()
            inside = [
                t for t in axes.texts if x < t.get_position()[0] < x + wide and y < t.get_position()[1] < y + high
            ]
            word = inside[0].get_text() if inside else ""
            found[round(y, 3), x] = word, bool(patch.get_hatch()), patch.get_facecolor()[:3]
    rows = {}
    for (y, _), cell in sorted(found.items()):
        rows.setdefault(y, []).append(cell)
    return [row for row in rows.values() if len(row) == len(ROUTES) - 1]


def test_attention_is_a_multiple_of_uniform_and_zero_is_not_masked():
    """Four turns of Ann before hers: 0.5, 0.25, 0.25 and 0 are 2, 1, 1 and 0 times a quarter."""
    found = {"keys": 4, "entropy": 1.0397, "top": [[0, 0.5], [2, 0.25], [4, 0.25], [6, 0.0]]}
    figure = case_figure(*given(talk(9, 20, 2), {"self_emotion": found}))
    rows = cells(figure)
    assert [row[0][0] for row in rows] == ["2.00", "", "1.00", "", "1.00", "", "0.00", ""]
    assert [row[0][1] for row in rows] == [False, True] * 4  # masked: the other one's
    assert all(cell[1] and not cell[0] for row in rows for cell in row[1:])  # None: a route without history
    white, blue, red = (rows[k][0][2] for k in (2, 0, 6))
    assert white == (1, 1, 1)
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    said = texts(figure)
    assert said[said.index("turns that the route sees") + 1 :][:3] == ["4", "none", "none"]
    assert said[said.index("turns it looks at, exp(entropy)") + 1 :][:3] == ["2.8", "–", "–"]
    assert "Self event looks at the turn itself and at nothing else." in said


def test_turns_that_are_not_among_the_largest_share_the_rest():
    """Ann sees 20 of her own; six of them get 0.6, and the others 0.4: 0.4 / 14 · 20."""
    found = {"keys": 20, "entropy": 2.9, "top": [[2 * k, 0.1] for k in (0, 1, 2, 3, 4, 10)]}
    figure = case_figure(*given(talk(41, 20, 2), {"self_emotion": found, "cross_event": found | {"top": []}}))
    said, rows = texts(figure), cells(figure)
    assert said[said.index("each of the rest, on average") + 1 :][:3] == ["0.57", "–", "1.00"]
    assert "(turns 10 to 20: among the rest)" in said
    assert "(turns 22 to 34: among the rest)" in said
    numbered = [word for word in said if word.isdecimal()]
    assert numbered[: len(rows)] == [*map(str, range(1, 10)), "21", *map(str, range(35, 41))]
    assert [row[0][0] for row in rows][:3] == ["2.00", "", "2.00"]
    assert [row[0][0] for row in rows][-2:] == ["·", ""]


def test_a_first_turn_has_no_history():
    said = texts(case_figure(*given(talk(1, 20, 2), {})))
    assert "This is the first turn: no other one came before it." in said


def test_losses_and_gates():
    """A gate that is two tenths above an average with a spread of one tenth is 2 of these off."""
    arguments = given(talk(2, 20, 2), {}, prediction=0, probability=[0.3, 0.7])
    arguments[4][1]["std"] = 0.0
    figure = case_figure(*arguments)
    said = texts(figure)
    row = said.index("self emotion")
    assert said[row + 1 : row + 4] == ["+0.40", "0.520", "+0.20 std"]
    row = said.index("cross emotion")
    assert said[row + 1 : row + 4] == ["+0.10", "0.500", "always so"]
    row = said.index("audio")
    assert said[row + 1 : row + 4] == ["+0.00", "0.250", "−2.50 std"]
    assert {"0.30  true and predicted", "0.70"} <= set(said)  # as the entry says, whatever is most probable
    bars = [p.get_width() for p in figure.axes[0].patches if p.get_linewidth() == 0]
    np.testing.assert_allclose(np.array(bars) / bars[-1], np.abs([0.4, 0.1, 0, -0.1, 0, -0.004, -0.8]) / 0.8)


@pytest.mark.parametrize(("classes", "before", "letters"), [(2, 1, 3), (12, 1, 600), (2, 30, 3), (12, 30, 600)])
def test_nothing_overlaps(classes, before, letters):
    names = tuple(f"a long emotion, it is number {k}" for k in range(classes))
    own = [k for k in range(before) if (before - k) % 2 == 0]
    weights = {"self_emotion": {"keys": len(own), "entropy": 1.0, "top": [[k, 1 / len(own)] for k in own[:6]]}}
    turns = talk(before, letters, classes)
    turns.append(talk(before + 1, letters, classes)[-1] | {"label": 0, "number": 10_000})
    probability = [1.0] + [0.0] * (classes - 1)
    figure = case_figure(*given(turns, weights if own else {}, names, probability=probability, drop=[-9.5, 12.25, 3]))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = figure.bbox
    boxes = [text.get_window_extent(canvas.get_renderer()).padded(-1) for text in figure.axes[0].texts]
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    for (a, x), (b, y) in combinations(zip(boxes, texts(figure), strict=True), 2):
        assert not a.overlaps(b), (x, y)


def test_odd_words(tmp_path):
    odd = ["שלום, מה שלומך today?", "مرحبا كيف حالك $5 and $_{ 你好 😀", "\ud800 a\u202eb\x00c\n\td", "", "W" * 3000]
    odd.append("x " * 30_000)
    turns = [{"speaker": words[:9], "sentence": words, "label": -1} for words in odd]
    figure = case_figure(*given([*turns, turns[0]], {}))
    save_figure(figure, tmp_path / "odd")
    assert figure.get_figheight() < 30
    assert "ab c d" in texts(figure)
