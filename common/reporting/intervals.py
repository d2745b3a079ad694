"""Bootstrap intervals of scores: dialogues are drawn again, not utterances, since the turns of a talk hang together.

D dialogues, B resamples, C classes.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from common.evaluation.metrics import figures

RESAMPLES, LEVEL = 1000, 95.0  # how many, and percent of them inside an interval


@lru_cache(1)  # all scores of a report take the same
def draws(dialogues: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each dialogue is in each resample of as many, (B, D), read-only. What is compared takes the same."""
    drawn = np.random.default_rng(seed).multinomial(dialogues, np.full(dialogues, 1 / dialogues), resamples)
    drawn.flags.writeable = False
    return drawn


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
    total = (drawn @ flat).reshape(-1, *confusions.shape[1:])
    with np.errstate(invalid="ignore"):
        scored = figures(total)
    scored[~total.any((1, 2)) | (np.count_nonzero(flat.any(1)) < 2)] = np.nan
    return dict(zip(("accuracy", "wf1", "macro_f1"), scored.T, strict=False)) | {"f1": scored[:, 3:]}


def interval(values: np.ndarray) -> list[float] | None:
    """The lowest and highest of the middle LEVEL percent of `values` (B,); None where none of them is a number."""
    if np.isnan(values).all():
        return None
    ends = (100 - LEVEL) / 2, (100 + LEVEL) / 2
    return [float(end) for end in np.nanpercentile(values, ends)]
