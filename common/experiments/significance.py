"""Whether two systems differ: a paired bootstrap over dialogues.

What is tested: that the mean over seeds of a score, on conversations of which the test dialogues are a random sample,
is the same for both trained systems. Dialogues are drawn with replacement, the same ones for both systems and all
seeds; the p-value is two-sided, the share of draws whose difference deviates from the observed one by at least as much
as that is. The networks are taken as given: how much another seed would change is what the spread over seeds says.
S seeds, D dialogues, C classes.
"""

import numpy as np
from numpy.typing import ArrayLike

from common.evaluation.metrics import figures
from common.reporting.intervals import draws

REPETITIONS = 10_000


def paired_test(
    a: np.ndarray, b: np.ndarray, repetitions: int = REPETITIONS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Differences b - a of `figures`, means over seeds, and their p-values, both (3 + C,).

    `a`, `b`: counts per seed and dialogue (S, D, C, C) of the two systems; seeds and dialogues are the same.
    """

    def mean_figures(weights, counts):
        flat = counts.reshape(*counts.shape[:2], -1)
        drawn = np.stack([weights @ of_seed for of_seed in flat])  # (S, repetitions, C C)
        return figures(drawn.reshape(*drawn.shape[:2], *counts.shape[2:])).mean(0)

    as_they_are, again = np.ones((1, a.shape[1])), draws(a.shape[1], repetitions, seed)
    observed, drawn = (mean_figures(weights, b) - mean_figures(weights, a) for weights in (as_they_are, again))
    extreme = np.abs(drawn - observed) >= np.abs(observed) - 1e-9
    return observed[0], (1 + extreme.sum(0)) / (1 + repetitions)


def holm(p: ArrayLike) -> np.ndarray:
    """p-values of several tests, corrected after Holm."""
    p = np.asarray(p, float)
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(np.minimum(1, p[order] * np.arange(len(p), 0, -1)))
    return corrected
