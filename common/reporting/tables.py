"""Scores as plain text tables; all but counts in percent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from common.evaluation.calibration import confidence_scores
from common.terminal import table, width

if TYPE_CHECKING:
    import pandas as pd

FIGURES = {"accuracy": "accuracy", "wf1": "weighted F1", "macro_f1": "macro F1"}


def checkpoint_table(name: str, scores: dict, classes: list[str], most: int | None = None) -> str:
    """One checkpoint: `scores`, then per class precision, recall, F1, support and its row of the confusion matrix.

    `most`: columns of a terminal, by which the table is split; None: all in one piece.
    """
    title = f"{name}: " + ", ".join(f"{words} {scores[key]:.2f}" for key, words in FIGURES.items())
    numbers = zip(*(scores[key] for key in ("precision", "recall", "f1", "support")), strict=True)
    left = [[c, f"{p:.2f}", f"{r:.2f}", f"{f1:.2f}", str(n)] for c, (p, r, f1, n) in zip(classes, numbers, strict=True)]
    head, counts = ["", "precision", "recall", "F1", "support"], [[str(n) for n in row] for row in scores["confusion"]]
    rows = [[*numbers, "", *row] for numbers, row in zip(left, counts, strict=True)]
    whole = table([*head, "predicted as", *classes], rows, None)
    if most is None or max(map(width, whole.split("\n"))) <= most:
        return f"{title}\n{whole}"
    rows = [[c, *row] for c, row in zip(classes, counts, strict=True)]
    return "\n\n".join([title + "\n" + table(head, left, most), table(["predicted as", *classes], rows, most)])


def summary_table(
    named: dict[str, dict], classes: list[str], paper: dict | None = None, most: int | None = None
) -> str:
    """Several checkpoints side by side, their mean ± sample standard deviation, and the `paper`'s scores, if given.

    `named`: name to `scores`. `most`: as in `checkpoint_table`.
    """
    rows = {words: [scores[key] for scores in named.values()] for key, words in FIGURES.items()}
    rows |= {f"F1 {c}": [scores["f1"][i] for scores in named.values()] for i, c in enumerate(classes)}
    head, spread = [*named, "mean ± std"], [mean_and_spread(values) for values in rows.values()]
    body = [[*(f"{v:.2f}" for v in values), text] for values, text in zip(rows.values(), spread, strict=True)]
    if paper:
        head.append("paper")
        printed = [paper["accuracy"], paper["wf1"], None, *paper["f1"]]
        body = [[*cells, "–" if p is None else f"{p:.2f}"] for cells, p in zip(body, printed, strict=True)]
    return table(["", *head], [[name, *cells] for name, cells in zip(rows, body, strict=True)], most)


def prediction_table(predictions: "pd.DataFrame", most: int | None = None, rows: int = 20) -> str:
    """What each checkpoint predicts for the first `rows` utterances, and how probable it finds that.

    `predictions`: the content of predictions.csv. `most`: as in `checkpoint_table`.
    """
    parts = [part.reset_index(drop=True) for _, part in predictions.groupby("checkpoint", sort=False)]
    count, head = len(parts[0]), ["dialogue", "utterance", "speaker"]
    cells = [[str(cell) for cell in row] for row in parts[0][head].head(rows).itertuples(index=False)]
    for part in parts:
        head.append(part.checkpoint[0])
        confidence = np.exp(part.filter(regex="^log_prob_").max(axis=1))
        for row, prediction, c in zip(cells, part.prediction, confidence, strict=False):
            row.append(f"{prediction} {100 * c:.1f} %")
    return table(head, cells, most, fixed=3) + (f"\n… and {count - rows:,} more" if count > rows else "")


def ensemble_line(scores: dict, count: int) -> str:
    """`scores` of the averaged probabilities of `count` checkpoints, worded unlike the mean of their scores."""
    figures = ", ".join(f"{words} {scores[key]:.2f}" for key, words in FIGURES.items())
    return f"As an ensemble, probabilities of the {count} averaged (not the paper's protocol): {figures}"


def confidence_line(label: ArrayLike, before: ArrayLike, after: ArrayLike) -> str:
    """Calibration of log-probabilities (U, C) before and after a temperature, on the labels (U,) that are known.

    ECE in percent.
    """
    label = np.asarray(label)
    known = label >= 0
    if not known.any():
        return "Calibration: no label is known."
    a, b = (confidence_scores(np.asarray(log_prob)[known], label[known]) for log_prob in (before, after))
    names = {"ece": "ECE", "adaptive_ece": "adaptive ECE", "brier": "Brier score", "nll": "NLL"}
    return "Calibration: " + ", ".join(f"{words} {a[key]:.3f} to {b[key]:.3f}" for key, words in names.items()) + "."


def label_notes(label: ArrayLike, classes: Sequence[str]) -> list[str]:
    """What one has to know of the labels (U,), -1 where not known, to read scores: sentences, none if all is well."""
    label = np.asarray(label)
    known, notes = label[label >= 0], []
    if len(known) < len(label):
        what = "; scores are of the others" if len(known) else ", so there are predictions, but no scores"
        notes.append(f"{len(label) - len(known):,} of {len(label):,} utterances have no label{what}.")
    absent = [name for k, name in enumerate(classes) if k not in known]
    if absent and len(known):
        notes.append(f"No utterance has the label {' or '.join(absent)}: F1 is 0 there, and counts in macro F1.")
    return notes


def mean_and_spread(values: Sequence[float] | np.ndarray) -> str:
    """'mean ± sample standard deviation' of some numbers; the mean alone where there is only one."""
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.2f}"
