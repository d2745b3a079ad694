"""Scores as plain text tables; all but counts in percent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from common.evaluation.calibration import confidence_scores

if TYPE_CHECKING:
    import pandas as pd

FIGURES = {"accuracy": "accuracy", "wf1": "weighted F1", "macro_f1": "macro F1"}


def checkpoint_table(name: str, scores: dict, classes: list[str]) -> str:
    """One checkpoint: `scores`, then per class precision, recall, F1, support and its row of the confusion matrix."""
    lines = [f"{name}: " + ", ".join(f"{words} {scores[key]:.2f}" for key, words in FIGURES.items())]
    wide = max(map(len, classes)) + 2
    head = f"{'':{wide}}{'precision':>10}{'recall':>8}{'F1':>8}{'support':>9}   predicted as"
    lines.append(head + "".join(f"{c:>{max(len(c), 4) + 2}}" for c in classes))
    for i, c in enumerate(classes):
        line = f"{c:{wide}}{scores['precision'][i]:10.2f}{scores['recall'][i]:8.2f}{scores['f1'][i]:8.2f}"
        counts = "".join(f"{n:>{max(len(k), 4) + 2}}" for n, k in zip(scores["confusion"][i], classes, strict=True))
        lines.append(f"{line}{scores['support'][i]:9}{'':15}{counts}")
    return "\n".join(lines)


def summary_table(named: dict[str, dict], classes: list[str], paper: dict | None = None) -> str:
    """Several checkpoints side by side, their mean ± sample standard deviation, and the `paper`'s scores, if given.

    `named`: name to `scores`.
    """
    rows = {words: [scores[key] for scores in named.values()] for key, words in FIGURES.items()}
    rows |= {f"F1 {c}": [scores["f1"][i] for scores in named.values()] for i, c in enumerate(classes)}
    head, spread = [*named, "mean ± std"], [mean_and_spread(values) for values in rows.values()]
    body = [[*(f"{v:.2f}" for v in values), text] for values, text in zip(rows.values(), spread, strict=True)]
    if paper:
        head.append("paper")
        printed = [paper["accuracy"], paper["wf1"], None, *paper["f1"]]
        body = [[*cells, "–" if p is None else f"{p:.2f}"] for cells, p in zip(body, printed, strict=True)]
    wide = max(map(len, rows)) + 2
    columns = [max(len(h), *(len(cells[k]) for cells in body)) + 2 for k, h in enumerate(head)]
    lines = [" " * wide + "".join(f"{h:>{w}}" for h, w in zip(head, columns, strict=True))]
    for name, cells in zip(rows, body, strict=True):
        lines.append(f"{name:{wide}}" + "".join(f"{c:>{w}}" for c, w in zip(cells, columns, strict=True)))
    return "\n".join(lines)


def prediction_table(predictions: "pd.DataFrame", most: int = 20) -> str:
    """What each checkpoint predicts for the first `most` utterances, and how probable it finds that.

    `predictions`: the content of predictions.csv.
    """
    parts = [part.reset_index(drop=True) for _, part in predictions.groupby("checkpoint", sort=False)]
    table = parts[0][["dialogue", "utterance", "speaker"]].copy()
    for part in parts:
        confidence = np.exp(part.filter(regex="^log_prob_").max(axis=1))
        table[part.checkpoint[0]] = [f"{p} {100 * c:.1f} %" for p, c in zip(part.prediction, confidence, strict=True)]
    more = f"\n… and {len(table) - most:,} more" if len(table) > most else ""
    return table.head(most).to_string(index=False) + more


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
