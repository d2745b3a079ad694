"""Scores of one set of predictions, by scikit-learn; all but counts in percent."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support


def scores(label: ArrayLike, prediction: ArrayLike, classes: list[str]) -> dict[str, Any]:
    """Scores of `prediction` against `label`, both (U,), positions in the list `classes`.

    A dictionary: `accuracy`, `wf1` (weighted F1), `macro_f1`; per class, arrays (C,): `precision`, `recall`, `f1`,
    `support`; `confusion` (C, C) counts, rows are labels. A class that is never predicted, or never there, has 0.
    """
    every = range(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(label, prediction, labels=every, zero_division=0)
    return {
        "accuracy": 100 * accuracy_score(label, prediction),
        "wf1": 100 * float(np.average(f1, weights=support)),
        "macro_f1": 100 * float(f1.mean()),
        "precision": 100 * precision,
        "recall": 100 * recall,
        "f1": 100 * f1,
        "support": support,
        "confusion": confusion_matrix(label, prediction, labels=every),
    }
