"""Figures, as matplotlib makes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from common.files import atomic
from common.reporting.drawn_text import cut, families, no_warnings, wrapped

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
    """A confusion matrix of counts, (C, C), or (S, C, C) of several seeds; rows are labels (Figure 6).

    Cells hold counts, of several seeds their mean, and the share of the row, by which they are shaded; a row without
    any utterance stays white. What was counted stands below.
    """
    seeds = counts.reshape(-1, *counts.shape[-2:])
    mean, together = seeds.mean(0), int(seeds.sum())
    share = mean / np.maximum(mean.sum(1, keepdims=True), 1e-9)
    digits = int((mean != mean.round()).any())
    names = [cut(name, 1.4, 10, last=4) for name in classes]
    with _names():
        size = max(4.2, 2.6 + 0.68 * len(classes)), 2.4 + 0.62 * len(classes)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        for (i, j), value in np.ndenumerate(share):
            text = f"{mean[i, j]:,.{digits}f}\n{100 * value:.0f} %" if mean[i].any() else "0"
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color=ink_on(*image.to_rgba(100 * value)[:3]))
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="label")
        figure.colorbar(image, ax=axes, label="share of the label, %")
        figure.suptitle("\n".join(wrapped(title, size[0] - 0.3, 12)), fontsize=12)
        what = f"mean over {len(seeds)} seeds; " * (len(seeds) > 1) + f"{together:,} predictions in all"
        figure.supxlabel(f"Counts: {what}.", fontsize=8.5)
    return figure


def ink_on(*color: float) -> str:
    """Black or white, whichever can be read better on a `color`, red, green and blue of sRGB from 0 to 1.

    One of them has a contrast of at least 4.58, in the terms of the Web Content Accessibility Guidelines 2.2.
    """
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "white"


def curves_figure(history: pd.DataFrame, results: pd.DataFrame, title: str) -> Figure:
    """Losses and validation weighted F1 over the epochs of a run, by seed; the selected epochs are marked.

    `history` and `results`: the content of history.csv and results.csv. The highest F1 of the selected epochs has its
    number beside it; the numbers of all stand in the legend, which lies below.
    """
    selected, looks = _selected(history, results), _looks(history.seed.unique())
    with _names():
        figure = Figure(figsize=(9, 3.9 + 0.19 * -(-len(looks) // 3)), layout="constrained")
        losses, scores = figure.subplots(1, 2)
        for seed, rows in history.groupby("seed", sort=False):
            look = looks[seed] | {"lw": 1.4, "markersize": 7 if len(rows) == 1 else 0}
            losses.plot(rows.epoch, rows.train_loss, linestyle=":", markerfacecolor="white", **look)
            losses.plot(rows.epoch, rows.valid_loss, linestyle="-", **look)
            scores.plot(rows.epoch, rows.valid_wf1, linestyle="-", **look)
        for row in selected.itertuples():
            for axes, value in ((losses, row.valid_loss), (scores, row.valid_wf1)):
                edge = {"markersize": 7.5, "markeredgecolor": "white", "markeredgewidth": 0.6, "zorder": 3}
                axes.plot([row.epoch], [value], linestyle="", **looks[row.seed] | edge)
        scores.margins(y=0.12)  # room for the number
        if selected.valid_wf1.notna().any():  # where validation has labels
            best = selected.loc[selected.valid_wf1.idxmax()]
            place = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center", "fontsize": 9, "weight": "bold"}
            scores.annotate(f"{best.valid_wf1:.2f}", (best.epoch, best.valid_wf1), **place)
        losses.set(ylabel="loss")
        scores.set(ylabel="validation weighted F1, %")
        for axes in (losses, scores):
            axes.set_xlabel("epoch")
            axes.spines[["top", "right"]].set_visible(False)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _legend(figure, looks, selected, points=history.seed.value_counts().min() == 1)
        figure.suptitle(cut(title, 8.5, 12), fontsize=12)
    return figure


def _selected(history, results):
    """The rows of `history` whose epochs were selected."""
    chosen = results[["seed", "selected_epoch"]].rename(columns={"selected_epoch": "epoch"})
    return history.merge(chosen, on=["seed", "epoch"])


def _looks(seeds):
    """Seed to its colour and marker; no two of 36 are the same."""
    several = len(_COLORS)
    return {
        seed: {"color": _COLORS[k % several], "marker": _MARKERS[(k + k // several) % several]}
        for k, seed in enumerate(seeds)
    }


def _legend(figure, looks, selected, points):
    """What lines and marks mean, below the axes. `points`: whether there are seeds with one epoch, without a line."""
    found = {row.seed: f"epoch {row.epoch}, {row.valid_wf1:.2f}".removesuffix(", nan") for row in selected.itertuples()}
    fills = ((":", "white"), ("-", "black"))
    marker = {"marker": "o" if points else "", "color": "black", "lw": 1.4}
    keys = [Line2D([], [], linestyle=style, markerfacecolor=fill, **marker) for style, fill in fills]
    words = ["training loss", "validation"]
    for seed, look in looks.items():
        keys.append(Line2D([], [], linestyle="-" if seed not in found else "", markersize=7, **look))
        words.append(f"seed {seed}: {found.get(seed, 'not finished')}")
    title = "Marks: the selected epoch of a seed, and its validation weighted F1 in percent"
    about = {"fontsize": 8, "title_fontsize": 8, "frameon": False, "ncols": min(4, len(keys)), "title": title}
    figure.legend(keys, words, loc="outside lower center", **about)


def _names():
    """How figures write what others have named: a name may hold dollars, and letters that few fonts have."""
    return rc_context({"text.parse_math": False, "font.family": families()})


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
