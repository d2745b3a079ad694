"""Bootstrap intervals of scores: dialogues are drawn again, not utterances, since the turns of a talk hang together.

D dialogues, B resamples, C classes.
"""

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES, LEVEL = 1000, 95.0  # how many, and percent of them inside an interval


def draws(dialogues: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each dialogue is in each resample of as many, (B, D). What is compared takes the same draws."""
    return np.random.default_rng(seed).multinomial(dialogues, np.full(dialogues, 1 / dialogues), resamples)


def dialogue_confusions(label: ArrayLike, prediction: ArrayLike, dialogue: ArrayLike, classes: int) -> np.ndarray:
    """A confusion matrix for each dialogue, (D, C, C), rows are labels.

    `label`, -1 where not known, which does not count, `prediction` and `dialogue`, from 0 on in order: of each
    utterance.
    """
    label, prediction, dialogue = (np.asarray(values, np.int64) for values in (label, prediction, dialogue))
    count, known = int(dialogue.max()) + 1, label >= 0
    cells = (dialogue[known] * classes + label[known]) * classes + prediction[known]
    return np.bincount(cells, minlength=count * classes**2).reshape(count, classes, classes)


def resampled_scores(confusions: np.ndarray, drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Of each resample `accuracy`, `wf1`, `macro_f1` (B,), and `f1` of the classes (B, C): percent, NaN for scores of
    nothing, and where no more than one dialogue has utterances, as resamples could not differ.

    `confusions`: see `dialogue_confusions`; `drawn`: see `draws`.
    """
    flat = confusions.reshape(len(confusions), -1).astype(np.float64)
    several = np.count_nonzero(flat.any(1)) > 1
    total = several * (drawn.astype(np.float64) @ flat).reshape(-1, *confusions.shape[1:])
    hits, support, predicted = np.diagonal(total, axis1=1, axis2=2), total.sum(2), total.sum(1)
    count = support.sum(1)
    f1 = np.where(count[:, None] > 0, 200 * hits / np.maximum(support + predicted, 1), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy, wf1 = 100 * hits.sum(1) / count, (f1 * support).sum(1) / count
    return {"accuracy": accuracy, "wf1": wf1, "macro_f1": f1.mean(1), "f1": f1}


def interval(values: np.ndarray) -> list[float] | None:
    """The lowest and highest of the middle LEVEL percent of `values` (B,); None where none of them is a number."""
    if np.isnan(values).all():
        return None
    ends = (100 - LEVEL) / 2, (100 + LEVEL) / 2
    return [float(end) for end in np.nanpercentile(values, ends)]
