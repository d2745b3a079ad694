"""One utterance in the manner of Figures 4 and 5: what its prediction loses without each candidate and modality, what
the gates let through, and which earlier turns each route looked at.

Attention is a multiple of uniform, a gate its distance from the average over the split: both vary little.
"""

import math
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from common.reporting.colors import emotion_colors
from common.reporting.drawn_text import cut, families, height, width, wrapped

ALL, RECENT = 16, 6  # up to so many earlier turns all have a row; of more, the last ones and those most looked at
MORE, LESS, _GREY = "#0072b2", "#d55e00", "0.35"  # blue and vermilion of Okabe and Ito, for all eyes
_WIDTH, _MARGIN, _SIZE = 10.0, 0.15, 9.0  # inches, inches, points
_CELL, _ROW = 0.84, 0.25  # inches: width of a cell of attention, height of a row
_SPEAKER, _LABEL = 1.2, 1.2  # inches, at most: columns of a turn


def case_figure(
    dialogue: dict[str, Any],
    turn: int,
    entry: dict[str, Any],
    attention: dict[str, list],
    gates: list[dict[str, Any]],
    about: dict[str, Any],
) -> Figure:
    """The picture of turn `turn`, from 0, of a `dialogue` as `conversations` makes it.

    Of `checkpoint_analysis`: `entry` is that of the turn in `turns`, `attention` that of the dialogue, `gates` those of
    the checkpoint. `about`: `title`, `classes`, `modalities`, `routes`.
    """
    plainly = rc_context({"text.parse_math": False, "font.family": families()})  # a sentence may hold dollars
    with plainly, rc_context({"hatch.linewidth": 0.5, "hatch.color": "0.7"}):
        figure = Figure()
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        said, y = dialogue["turns"][turn], _MARGIN
        y = _say(axes, _MARGIN, y, about["title"], _WIDTH - 2 * _MARGIN, size=12)
        name = cut(said["speaker"], 2.5, 10) + (":" if said["sentence"] else " (the data have no words)")
        _text(axes, _MARGIN, y + 0.08, name, va="top", size=10)
        left = _MARGIN + width(name, 10) + 0.1  # apart, as one of the two may be written from right to left
        y = _say(axes, left, y + 0.08, said["sentence"], _WIDTH - _MARGIN - left, 10, "bold")
        below = _probabilities(axes, y + 0.2, about, entry, said["label"])
        y = max(below, _losses(axes, y + 0.2, about, entry, gates))
        seen = {route: attention[route][turn] for route in about["routes"] if route != "self_event"}
        y = _history(axes, y + 0.3, dialogue["turns"], turn, seen, about)
        if "self_event" in about["routes"]:
            y = _note(axes, y, "Self event looks at the turn itself and at nothing else.")
        axes.set(xlim=(0, _WIDTH), ylim=(y + _MARGIN, 0))
        figure.set_size_inches(_WIDTH, y + _MARGIN)
    return figure


def _probabilities(axes, y, about, entry, gold):
    """A bar for each class; returns where the picture goes on."""
    y = _head(axes, _MARGIN, y, "Probabilities")
    left, longest, colors = _MARGIN + 1.65, 1.2, emotion_colors(about["classes"])
    for k, (name, probability) in enumerate(zip(about["classes"], entry["probability"], strict=True)):
        marks = [word for word, index in (("true", gold), ("predicted", entry["prediction"])) if index == k]
        weight = "bold" if marks else "normal"
        shown = cut(name, 1.55, _SIZE, weight, last=4)
        _text(axes, left - 0.08, y + _ROW / 2, shown, ha="right", va="center", weight=weight)
        bar = Rectangle(
            (left, y + 0.04), longest * probability, _ROW - 0.08, facecolor=colors[k], edgecolor="0.3", lw=0.5
        )
        axes.add_patch(bar)
        text = f"{probability:.2f}  {' and '.join(marks)}".rstrip()
        _text(axes, left + longest * probability + 0.08, y + _ROW / 2, text, va="center", weight=weight)
        y += _ROW
    return y


def _losses(axes, y, about, entry, gates):
    """What occlusion of each candidate and modality costs, and the gates; returns where the picture goes on."""
    left, zero, half, right = 5.2, 7.0, 0.65, _WIDTH - _MARGIN
    y = _head(axes, left, y, "What the prediction loses without it: log-probability, in nats")
    for x, words in ((8.9, "gate"), (right, "off its average")):
        _text(axes, x, y, words, ha="right", va="top", color=_GREY, size=8)
    y += 0.2
    values = dict(zip(about["routes"], zip(entry["route_gates"], entry["route_drop"], strict=True), strict=True))
    values |= dict(zip(about["modalities"], zip(entry["gates"], entry["drop"], strict=True), strict=True))
    spread = {gate["name"]: gate for gate in gates}
    scale = half / max(0.1, *(abs(drop) for _, drop in values.values()))
    top = y
    for k, (name, (gate, drop)) in enumerate(values.items()):
        y += 0.1 * (k == len(about["routes"]))
        middle, ends = y + _ROW / 2, sorted((zero, zero + scale * drop))
        _text(axes, left, middle, name.replace("_", " "), va="center")
        color = MORE if drop > 0 else LESS
        axes.add_patch(Rectangle((ends[0], y + 0.04), ends[1] - ends[0], _ROW - 0.08, facecolor=color, lw=0))
        std = spread[name]["std"]
        away = f"{_signed((gate - spread[name]['mean']) / std)} std" if std else "always so"
        for x, text in ((8.2, _signed(drop)), (8.9, f"{gate:.3f}"), (right, away)):
            _text(axes, x, middle, text, ha="right", va="center")
        y += _ROW
    axes.plot([zero, zero], [top, y], color="0.3", lw=0.6)
    return y


def _history(axes, y, turns, turn, seen, about):
    """The turns before `turn`, and how each route weighs them; returns where the picture goes on.

    `seen`: route to what it says of the turn, None where it has no history.
    """
    y = _head(axes, _MARGIN, y, "Attention to earlier turns as a multiple of uniform, mean over heads")
    if not turn:
        return _note(axes, y, "This is the first turn: no other one came before it.")
    if not seen:
        return y
    first = _WIDTH - _MARGIN - _CELL * len(seen)  # where the cells begin
    for k, route in enumerate(seen):
        lines = route.split("_")
        _text(axes, first + _CELL * (k + 0.5), y, "\n".join(lines), ha="center", va="top", size=8)
    y += height(8, 2) + 0.05
    rows, at = _rows(turn, seen), {route: _multiples(found) for route, found in seen.items()}
    listed = [(index, turns[index]) for index in rows if not isinstance(index, range)]
    name = _MARGIN + 0.12 + max(width(_number(index, said), 8) for index, said in listed)
    columns = name, name + 0.15 + max(width(cut(said["speaker"], _SPEAKER, _SIZE), _SIZE) for _, said in listed), first
    for index in rows:
        if isinstance(index, range):
            words = f"(turns {index[0] + 1} to {index[-1] + 1}: among the rest)"
            _text(axes, name, y + _ROW / 2, words, va="center", color=_GREY)
            y += _ROW
            continue
        below = _turn(axes, y, index, turns[index], columns, about)
        for k, (route, found) in enumerate(seen.items()):
            x, visible = first + _CELL * k, found is not None and _sees(route, turns, index, turn)
            _cell(axes, x, y, below - y, at[route].get(index) if visible else None, visible)
        y = below
    return _sums(axes, y + 0.08, seen, at, first)


def _rows(turn, seen):
    """Which turns before `turn` have a row: positions, and ranges of those that share one."""
    kept = {index for found in seen.values() if found for index, _ in found["top"]}
    kept.update(range(0 if turn <= ALL else turn - RECENT, turn))
    rows: list[int | range] = []
    for index in range(turn):
        if index in kept or {index - 1, index + 1} <= {-1, *kept}:  # a single one takes no more room
            rows.append(index)
        elif rows and isinstance(rows[-1], range):
            rows[-1] = range(rows[-1].start, index + 1)
        else:
            rows.append(range(index, index + 1))
    return rows


def _sees(route, turns, index, turn):
    """Whether a route may look at the turn `index` before `turn`: self at the same speaker, cross at the others."""
    return (turns[index]["speaker"] == turns[turn]["speaker"]) == route.startswith("self")


def _multiples(found):
    """Turn to its weight over that of uniform attention, of those that are known; None is for one of the others."""
    if found is None:
        return {}
    keys, top = found["keys"], found["top"]
    rest = (1 - sum(weight for _, weight in top)) / max(1, keys - len(top))
    return {index: weight * keys for index, weight in top} | {None: max(0.0, rest) * keys}


def _number(index, said):
    return f"{index + 1} ({said['number']})" if "number" in said else f"{index + 1}"


def _turn(axes, y, index, said, columns, about):
    """Number, speaker, sentence and label of a turn; returns where the next one begins."""
    name, sentence, first = columns
    lines, middle = wrapped(said["sentence"], first - _LABEL - 0.2 - sentence, _SIZE), y + _ROW / 2
    _text(axes, name - 0.12, middle, _number(index, said), ha="right", va="center", color=_GREY, size=8)
    _text(axes, name, middle, cut(said["speaker"], _SPEAKER, _SIZE), va="center")
    for k, line in enumerate(lines):
        _text(axes, sentence, middle + height(_SIZE, k), line, va="center")
    if said["label"] >= 0:
        name = cut(about["classes"][said["label"]], _LABEL - 0.2, 8, last=4)
        color, corner = emotion_colors(about["classes"])[said["label"]], (first - _LABEL - 0.05, middle - 0.05)
        axes.add_patch(Rectangle(corner, 0.1, 0.1, facecolor=color, edgecolor="0.3", lw=0.4))
        _text(axes, first - _LABEL + 0.1, middle, name, va="center", color=_GREY, size=8)
    return y + _ROW + height(_SIZE, len(lines) - 1)


def _cell(axes, x, y, high, multiple, visible):
    """A cell of attention: blue above uniform, red below, hatched where the route cannot look, else a dot."""
    color = _tint(multiple) if visible and multiple is not None else "white"
    box = (x + 0.03, y + 0.02), _CELL - 0.06, high - 0.04
    axes.add_patch(Rectangle(*box, facecolor=color, edgecolor="0.7", lw=0.6, hatch=None if visible else "////"))
    if visible:
        text = "·" if multiple is None else f"{multiple:.2f}"
        _text(axes, x + _CELL / 2, y + high / 2, text, ha="center", va="center", size=8.5)


def _tint(multiple):
    """The colour of a multiple: white at 1, as dark as it gets at 4 and at 1/4."""
    share = 0.55 * min(1.0, abs(math.log2(max(multiple, 1e-9))) / 2)
    return tuple(1 - share + share * part for part in to_rgb(MORE if multiple > 1 else LESS))


def _sums(axes, y, seen, at, first):
    """What there is to say of all turns that a route sees; returns where the picture goes on."""
    rest = {route: bool(found and found["keys"] > len(found["top"])) for route, found in seen.items()}
    lines = {"each of the rest, on average": [f"{at[r][None]:.2f}" if rest[r] else "–" for r in seen]}
    if not any(rest.values()):
        lines = {}
    lines["turns that the route sees"] = [f"{found['keys']}" if found else "none" for found in seen.values()]
    lines["turns it looks at, exp(entropy)"] = [f"{math.exp(f['entropy']):.1f}" if f else "–" for f in seen.values()]
    for words, texts in lines.items():
        _text(axes, first - 0.15, y, words, ha="right", va="top", color=_GREY, size=8)
        for k, text in enumerate(texts):
            _text(axes, first + _CELL * (k + 0.5), y, text, ha="center", va="top", size=8)
        y += 0.19
    for x, visible, words in ((_MARGIN, False, "not seen by the route"), (_MARGIN + 2.6, True, "among the rest")):
        if not visible or any(rest.values()):
            _cell(axes, x, y + 0.1, 0.18, None, visible)
            _text(axes, x + _CELL, y + 0.19, words, va="center", color=_GREY, size=8)
    return y + 0.3


def _head(axes, x, y, words):
    _text(axes, x, y, words, va="top", style="italic", size=9.5)
    return y + 0.24


def _note(axes, y, words):
    _text(axes, _MARGIN, y + 0.08, words, va="top", color=_GREY, size=8.5)
    return y + 0.27


def _say(axes, x, y, words, most, size, weight="normal"):
    """Words over as many lines as they take; returns where the picture goes on."""
    lines = wrapped(words, most, size, weight)
    for k, line in enumerate(lines):
        _text(axes, x, y + height(size, k), line, va="top", size=size, weight=weight)
    return y + height(size, len(lines))


def _signed(value):
    return f"{value:+z.2f}".replace("-", "−")


def _text(axes: Axes, x: float, y: float, words: str, **style: Any) -> None:
    axes.text(x, y, words, **{"size": _SIZE} | style)
