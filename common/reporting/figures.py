"""Figures, as matplotlib makes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from common.files import atomic
from common.reporting.drawn_text import no_warnings

_COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
)  # of Okabe and Ito, for all eyes
_MARKERS = "osD^vP"


def confusion_figure(counts: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """A confusion matrix (C, C) of counts, rows are labels: shaded by share of the row, counts in the cells (Figure 6).

    A row without any utterance stays white.
    """
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(1.6 + 0.75 * len(classes), 1.4 + 0.62 * len(classes)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (i, j), value in np.ndenumerate(share):
        text = f"{counts[i, j]:,}\n{100 * value:.0f} %" if counts[i].any() else "0"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if value > 0.55 else "black")
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="label", title=title)
    figure.colorbar(image, ax=axes, label="share of the label, %")
    return figure


@rc_context({"text.parse_math": False})  # a name may hold dollars
def curves_figure(history: pd.DataFrame, results: pd.DataFrame, title: str) -> Figure:
    """Losses and validation weighted F1 over the epochs of a run, by seed; the selected epochs are marked.

    `history` and `results`: the content of history.csv and results.csv.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    for k, (seed, rows) in enumerate(history.groupby("seed", sort=False)):
        look = {"color": _COLORS[k % len(_COLORS)], "marker": _MARKERS[k % len(_MARKERS)], "markersize": 0}
        axes[0].plot(rows.epoch, rows.train_loss, linestyle=":", **look)
        axes[0].plot(rows.epoch, rows.valid_loss, linestyle="-", **look)
        axes[1].plot(rows.epoch, rows.valid_wf1, linestyle="-", **look)
        selected = rows[rows.epoch.isin(results[results.seed == seed].selected_epoch)]
        for axis, values in zip(axes, (selected.valid_loss, selected.valid_wf1), strict=True):
            axis.plot(selected.epoch, values, **look | {"markersize": 8}, linestyle="", label=f"seed {seed}, selected")
    axes[0].plot([], [], color="black", linestyle=":", label="training")
    axes[0].plot([], [], color="black", linestyle="-", label="validation")
    axes[0].set(xlabel="epoch", ylabel="loss")
    axes[1].set(xlabel="epoch", ylabel="validation weighted F1, %")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=7.5, frameon=False)
    figure.suptitle(title)
    return figure


def figure_paths(path: str | Path) -> list[Path]:
    """`path` with the endings .png and .svg; if it has one of these, in its place, but `fig4.1` keeps its 1."""
    path = Path(path)
    stem = path.stem if path.suffix in (".png", ".svg") else path.name
    return [path.with_name(stem + ending) for ending in (".png", ".svg")]


def save_figure(figure: Figure, path: str | Path) -> list[Path]:
    """Write `figure` to both `figure_paths`, each atomically; returns them."""
    paths = figure_paths(path)
    with rc_context({"svg.hashsalt": "ecerc"}), no_warnings():  # the same figure gives the same file
        for target, about in zip(paths, ({}, {"Date": None}), strict=True):
            with atomic(target, "wb") as file:
                figure.savefig(file, format=target.suffix[1:], dpi=150, metadata=about)
    return paths
