"""One utterance in the manner of Figures 4 and 5: its history, what the gates let through, which causes it looked at.

Darkness is weight, and the number stands in it.
"""

import textwrap
from typing import Any

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

RECENT = 12  # earlier turns that have a line each
_LEFT, _CELL, _WORDS = 9.0, 1.2, 84  # where weights begin, their width, and letters of a turn in a line


@rc_context({"text.parse_math": False})  # a sentence may hold dollars
def case_figure(
    dialogue: dict[str, Any], turn: int, entry: dict[str, Any], attention: dict, mean: dict[str, float], about: dict
) -> Figure:
    """The picture of turn `turn`, from 0, of a `dialogue` as `conversations` makes it.

    `entry`: that of the turn in `turns` of `checkpoint_analysis`; `attention`: that of the dialogue; `mean`: its
    `gate_mean`. `about`: `title`, `classes`, `modalities`, `routes`.
    """
    routes, modalities = about["routes"], about["modalities"]
    width = _LEFT + _CELL * max(len(routes), len(modalities)) + 0.1
    figure = Figure(layout="constrained")
    axes = figure.add_subplot(xlim=(0, width))
    axes.axis("off")
    axes.set_title(about["title"], loc="left", fontsize=11)
    y = _history(axes, dialogue["turns"], turn, attention, routes, about["classes"])
    y = _gates(axes, y + 1.4, ("Feature gate", "candidate"), routes, entry["route_gates"], entry["route_drop"], mean)
    y = _gates(axes, y + 1.4, ("Evidence gate", "modality"), modalities, entry["gates"], entry["drop"], mean)
    y = _probabilities(axes, y + 0.4, about["classes"], entry, dialogue["turns"][turn]["label"])
    axes.set_ylim(y + 1, -1.5)
    figure.set_size_inches(0.72 * width, 0.36 * (y + 2.5))
    return figure


def _history(axes, turns, turn, attention, routes, classes):
    """The turns up to `turn`, and how each route weighs them; returns where the picture goes on."""
    _heads(axes, -0.6, "Which earlier turns each route looked at, mean over heads", routes)
    first, y = max(0, turn - RECENT), 0
    if first:
        _say(axes, y, f"turns 1 to {first}, together")
        for k, route in enumerate(routes):
            weights = attention[route][turn]
            _weight(axes, k, y, None if weights is None else sum(weights[:first]))
        y += 1
    for index in range(first, turn + 1):
        said = turns[index]
        gold = f"  [{classes[said['label']]}]" if said["label"] >= 0 else ""
        sentence = textwrap.shorten(said["sentence"], _WORDS - len(gold), placeholder=" …")
        weight = "bold" if index == turn else "normal"
        number = f"{index + 1} ({said['number']})" if "number" in said else f"{index + 1}"
        _say(axes, y, f"{number}  {said['speaker']}: {sentence}{gold}", weight=weight)
        for k, route in enumerate(routes):
            weights = attention[route][turn]
            hidden = index == turn and not route.startswith("self_event")  # the turn itself, which the route cannot see
            if weights is None and hidden:
                axes.text(_LEFT + _CELL * (k + 0.5), y + 0.5, "no history", ha="center", va="center", fontsize=7.5)
            elif weights is not None and not hidden:
                _weight(axes, k, y, weights[index])
        y += 1
    return y


def _gates(axes, y, words, names, gates, drops, mean):
    """The `gates` of one turn, their averages, and what occlusion costs; returns where the picture goes on."""
    gate, what = words
    _heads(axes, y - 0.4, f"{gate}, mean over the vector (below: average over the split)", names)
    for k, (name, value, drop) in enumerate(zip(names, gates, drops, strict=True)):
        _weight(axes, k, y, value)
        axes.text(_LEFT + _CELL * (k + 0.5), y + 1.4, f"{mean[name]:.2f}", ha="center", va="center", fontsize=8)
        axes.text(_LEFT + _CELL * (k + 0.5), y + 2.1, f"{drop:+z.2f}", ha="center", va="center", fontsize=8)
    _say(axes, y + 0.9, "average")
    _say(axes, y + 1.6, f"log-probability of the prediction lost without the {what}, nats")
    return y + 2.4


def _probabilities(axes, y, classes, entry, gold):
    """A bar for each class; returns where the last one is."""
    _heads(axes, y + 0.1, "Probabilities", [])
    for k, (name, probability) in enumerate(zip(classes, entry["probability"], strict=True)):
        y += 0.55
        marks = [word for word, index in (("true", gold), ("predicted", entry["prediction"])) if index == k]
        axes.text(2.4, y + 0.3, name, ha="right", va="center", fontsize=8.5, weight="bold" if marks else "normal")
        axes.add_patch(Rectangle((2.6, y + 0.08), 4.6 * probability, 0.42, color="0.25"))
        text = f"{probability:.2f}  {' and '.join(marks)}"
        axes.text(2.75 + 4.6 * probability, y + 0.3, text, va="center", fontsize=8.5)
    return y


def _say(axes: Axes, y, words, **style):
    axes.text(0, y + 0.5, words, va="center", fontsize=8.5, **style)


def _heads(axes, y, words, names):
    axes.text(0, y, words, va="center", fontsize=8.5, style="italic")
    for k, name in enumerate(names):
        axes.text(_LEFT + _CELL * (k + 0.5), y, name.replace("_", "\n"), ha="center", va="center", fontsize=7.5)


def _weight(axes, k, y, value):
    """A cell as dark as `value`, from 0 to 1, with the number in it, empty for 0; nothing for None."""
    if value is None:
        return
    color = colormaps["Greys"](0.9 * value)
    axes.add_patch(Rectangle((_LEFT + _CELL * k + 0.05, y + 0.06), _CELL - 0.1, 0.88, facecolor=color, edgecolor="0.6"))
    ink = "white" if value > 0.6 else "black"
    text = f"{value:.2f}" if value else ""
    axes.text(_LEFT + _CELL * (k + 0.5), y + 0.5, text, ha="center", va="center", fontsize=8, color=ink)
