"""The training curves of a run as coordinates, for the diagrams of a report's page."""

import math
from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT = 400, 190  # of the plotting area


def curve_panels(curves: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two diagrams, of losses and of the validation's weighted F1, as coordinates in an area of WIDTH by HEIGHT.

    `curves`: per seed its epochs, train_loss, valid_loss and valid_wf1 (in percent) of each, and the selected epoch or
    None. A value that is None or not finite is left out, and so is a diagram without any value.
    """
    panels = []
    for title, kinds in (("Loss", ("train_loss", "valid_loss")), ("Validation weighted F1, %", ("valid_wf1",))):
        lines = [(seed, kind, points) for seed in curves for kind in kinds if (points := _points(seed, kind))]
        if lines:
            panels.append(_panel(title, lines))
    return panels


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) within low to high."""
    span = (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(span / most))
    step *= next(times for times in (1, 2, 5, 10) if span / (step * times) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _points(seed, kind):
    pairs = zip(seed["epochs"], seed[kind] or [], strict=False)
    return [(epoch, value) for epoch, value in pairs if value is not None and math.isfinite(value)]


def _panel(title, lines):
    epochs = [epoch for _, _, points in lines for epoch, _ in points]
    values = [value for _, _, points in lines for _, value in points]
    first, last = min(epochs), max(epochs)
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.5
    low, high = low - room, high + room

    def x(epoch):
        return round(WIDTH * (epoch - first) / ((last - first) or 1), 1)

    def y(value):
        return round(HEIGHT * (high - value) / (high - low), 1)

    drawn, marks = [], []
    for seed, kind, points in lines:
        line = {"seed": seed["seed"], "kind": kind}
        drawn.append(line | {"points": " ".join(f"{x(epoch)},{y(value)}" for epoch, value in points)})
        chosen = dict(points).get(seed["selected_epoch"])
        if chosen is not None and kind != "train_loss":
            at = {"x": x(seed["selected_epoch"]), "y": y(chosen)}
            marks.append(line | at | {"epoch": seed["selected_epoch"], "value": chosen})
    whole = [tick for tick in ticks(first, last, 8) if tick == int(tick)]
    return {
        "title": title,
        "x": [{"at": x(tick), "text": f"{int(tick)}"} for tick in whole],
        "y": [{"at": y(tick), "text": f"{tick:g}"} for tick in ticks(low, high)],
        "lines": drawn,
        "marks": marks,
    }
