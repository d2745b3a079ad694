"""How far probabilities can be taken at their word, and one temperature that makes them so (Guo et al., ICML 2017)."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BINS = 15
RANGE = (0.05, 20.0)  # of temperatures


def with_temperature(log_prob: np.ndarray, temperature: float) -> np.ndarray:
    """Log-probabilities (U, C) divided by a temperature and normalised again; the most probable class stays."""
    return log_softmax(np.asarray(log_prob, np.float64) / temperature, axis=1)


def fit_temperature(log_prob: np.ndarray, label: np.ndarray) -> float:
    """The temperature in RANGE with the highest likelihood of the labels (U,), given log-probabilities (U, C)."""

    def loss(log_temperature):
        return _nll(with_temperature(log_prob, np.exp(log_temperature)), label)

    return float(np.exp(minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-6}).x))


def confidence_scores(log_prob: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """How well log-probabilities (U, C) fit the labels (U,); the confidence is the probability of the predicted class.

    A dictionary: `nll`, the mean negative log-likelihood in nats; `brier`, the mean squared distance of the
    probabilities from the label's (0 to 2); `ece`, the expected calibration error over BINS bins of equal width, and
    `adaptive_ece`, over BINS bins of equally many utterances, in percent; `bins`, of equal width, a list of `low`,
    `high`, `count`, and mean `confidence` and `accuracy`, shares, None in an empty bin.
    """
    log_prob, label = np.asarray(log_prob, np.float64), np.asarray(label)
    probability = np.exp(log_prob)
    confidence, right = probability.max(1), probability.argmax(1) == label
    at = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)  # (low, high]
    edges = np.linspace(0, 1, BINS + 1)
    bins = []
    for k in range(BINS):
        inside = at == k
        means = (float(x[inside].mean()) if inside.any() else None for x in (confidence, right))
        bins.append(dict(zip(("low", "high", "count"), (*edges[k : k + 2].tolist(), int(inside.sum())), strict=True)))
        bins[-1] |= dict(zip(("confidence", "accuracy"), means, strict=True))
    order = np.argsort(confidence, kind="stable")
    even = [part for part in np.array_split(order, BINS) if len(part)]
    one_hot = np.eye(log_prob.shape[1])[label]
    return {
        "nll": _nll(log_prob, label),
        "brier": float(((probability - one_hot) ** 2).sum(1).mean()),
        "ece": 100 * _error([np.flatnonzero(at == k) for k in np.unique(at)], confidence, right),
        "adaptive_ece": 100 * _error(even, confidence, right),
        "bins": bins,
    }


def _nll(log_prob, label):
    return float(-log_prob[np.arange(len(label)), label].mean())


def _error(parts, confidence, right):
    """The mean over utterances of what confidence and accuracy differ in their part."""
    return sum(len(part) * abs(confidence[part].mean() - right[part].mean()) for part in parts) / len(right)
