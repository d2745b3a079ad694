"""Figures, as matplotlib makes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from common.files import atomic


def confusion_figure(counts: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """A confusion matrix (C, C) of counts, rows are labels: shaded by share of the row, counts in the cells (Figure 6).

    A row without any utterance stays white.
    """
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(1.6 + 0.75 * len(classes), 1.4 + 0.62 * len(classes)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (i, j), value in np.ndenumerate(share):
        text = f"{counts[i, j]:,}\n{100 * value:.0f} %"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if value > 0.55 else "black")
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="label", title=title)
    figure.colorbar(image, ax=axes, label="share of the label, %")
    return figure


def save_figure(figure: Figure, path: str | Path) -> list[Path]:
    """Write `figure` as `path` with the endings .png and .svg, each whole or not at all; returns both paths."""
    paths = [Path(path).with_suffix(ending) for ending in (".png", ".svg")]
    with rc_context({"svg.hashsalt": "ecerc"}):  # the same figure gives the same file
        for target, about in zip(paths, ({}, {"Date": None}), strict=True):
            with atomic(target, "wb") as file:
                figure.savefig(file, format=target.suffix[1:], dpi=150, metadata=about)
    return paths
