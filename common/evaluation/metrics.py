"""Scores of one set of predictions; all but counts in percent."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def scores(label: ArrayLike, prediction: ArrayLike, classes: list[str]) -> dict[str, Any]:
    """Scores of `prediction` against `label`, both (U,), positions in the list `classes`; see `confusion_scores`.

    Utterances whose label is not known, -1, do not count.
    """
    label, prediction, count = np.asarray(label), np.asarray(prediction), len(classes)
    known = label >= 0
    pairs = count * label[known] + prediction[known]
    return confusion_scores(np.bincount(pairs, minlength=count * count).reshape(count, count))


def confusion_scores(confusion: np.ndarray) -> dict[str, Any]:
    """Scores from a confusion matrix (C, C) of counts, rows are labels.

    A dictionary: `accuracy`, `wf1` (weighted F1), `macro_f1`; per class, arrays (C,): `precision`, `recall`, `f1`,
    `support`; `confusion` itself. A class that is never predicted, or never occurs, has 0, and counts in `macro_f1`: so
    scikit-learn has it, given all classes as `labels` and 0 as `zero_division`. Scores of nothing are NaN.
    """
    hits, support, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    precision, recall = (100 * hits / np.maximum(count, 1) for count in (predicted, support))
    f1 = 200 * hits / np.maximum(support + predicted, 1)
    if not confusion.any():
        precision, recall, f1 = (np.full(len(confusion), math.nan) for _ in range(3))
    return {
        "accuracy": 100 * float(hits.sum() / confusion.sum()) if confusion.any() else math.nan,
        "wf1": float(np.average(f1, weights=support)) if confusion.any() else math.nan,
        "macro_f1": float(f1.mean()),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "support": support,
        "confusion": confusion,
    }


def figures(confusion: np.ndarray) -> np.ndarray:
    """Accuracy, weighted F1, macro F1 and the F1 of each class, in percent, (…, 3 + C), of confusion matrices of counts
    (…, C, C), rows are labels. The same numbers as `confusion_scores`, to the last digit.
    """
    confusion = np.asarray(confusion, float)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(-1), confusion.sum(-2)
    total = support.sum(-1)
    f1 = 200 * hits / np.maximum(support + predicted, 1)
    overall = (100 * (hits.sum(-1) / total), (f1 * support).sum(-1) / total, f1.mean(-1))
    return np.concatenate([np.stack(overall, -1), f1], -1)
