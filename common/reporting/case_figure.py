"""One utterance in the manner of Figures 4 and 5: its history, what the gates let through, which causes it looked at.

Darkness is weight, and the number stands in it.
"""

import textwrap
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

RECENT = 12  # earlier turns that are shown one by one
_LEFT, _CELL, _WORDS = 9.0, 1.2, 84  # where weights begin, their width, and letters of a turn in a line


def case_figure(
    dialogue: dict[str, Any], turn: int, found: dict[str, Any], attention: dict, mean: dict[str, float], about: dict
) -> Figure:
    """The picture of turn `turn`, from 0, of a `dialogue` as `conversations` makes it.

    `found`: the entry of the turn in `turns` of `checkpoint_analysis`; `attention`: that of the dialogue; `mean`: its
    `gate_mean`. `about`: `title`, `classes`, `modalities`, `routes`.
    """
    turns, routes, modalities, classes = dialogue["turns"], about["routes"], about["modalities"], about["classes"]
    first = max(0, turn - RECENT)
    width = _LEFT + _CELL * max(len(routes), len(modalities)) + 0.1
    figure = Figure(layout="constrained")
    axes = figure.add_subplot(xlim=(0, width))
    axes.axis("off")
    axes.set_title(about["title"], loc="left", fontsize=11)
    _heads(axes, -0.6, "Which earlier turns each route looked at, mean over heads", routes)
    y = 0
    if first:
        _say(axes, y, f"turns 1 to {first}, together")
        for k, route in enumerate(routes):
            weights = attention[route][turn]
            _weight(axes, k, y, None if weights is None else sum(weights[:first]))
        y += 1
    for at in range(first, turn + 1):
        spoken = turns[at]
        gold = f"  [{classes[spoken['label']]}]" if spoken["label"] >= 0 else ""
        sentence = textwrap.shorten(spoken["sentence"], _WORDS - len(gold), placeholder=" …")
        _say(axes, y, f"{at + 1}  {spoken['speaker']}: {sentence}{gold}", weight="bold" if at == turn else "normal")
        for k, route in enumerate(routes):
            weights = attention[route][turn]
            own = at == turn and not route.startswith("self_event")
            if weights is None and own:
                axes.text(_LEFT + _CELL * (k + 0.5), y + 0.5, "no history", ha="center", va="center", fontsize=7.5)
            elif weights is not None and not own:
                _weight(axes, k, y, weights[at])
        y += 1
    for words, names, gates, drops in (
        ("candidate", routes, found["route_gates"], found["route_drop"]),
        ("modality", modalities, found["gates"], found["drop"]),
    ):
        y += 1.4
        what = "Feature gate" if names is routes else "Evidence gate"
        _heads(axes, y - 0.4, f"{what}, mean over the vector (below: average over the split)", names)
        for k, (name, gate) in enumerate(zip(names, gates, strict=True)):
            _weight(axes, k, y, gate)
            axes.text(_LEFT + _CELL * (k + 0.5), y + 1.4, f"{mean[name]:.2f}", ha="center", va="center", fontsize=8)
            axes.text(_LEFT + _CELL * (k + 0.5), y + 2.1, f"{drops[k]:+.2f}", ha="center", va="center", fontsize=8)
        _say(axes, y + 0.9, "average")
        _say(axes, y + 1.6, f"log-probability of the prediction lost without the {words}, nats")
        y += 2.4
    y += 0.4
    _heads(axes, y + 0.1, "Probabilities", [])
    gold, predicted = turns[turn]["label"], int(np.argmax(found["probability"]))
    for k, (name, probability) in enumerate(zip(classes, found["probability"], strict=True)):
        y += 0.55
        marks = [word for word, at in (("true", gold), ("predicted", predicted)) if at == k]
        axes.text(2.4, y + 0.3, name, ha="right", va="center", fontsize=8.5, weight="bold" if marks else "normal")
        axes.add_patch(Rectangle((2.6, y + 0.08), 4.6 * probability, 0.42, color="0.25"))
        words = f"{probability:.2f}  {' and '.join(marks)}"
        axes.text(2.75 + 4.6 * probability, y + 0.3, words, va="center", fontsize=8.5)
    axes.set_ylim(y + 1, -1.5)
    figure.set_size_inches(0.72 * width, 0.36 * (y + 2.5))
    return figure


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
