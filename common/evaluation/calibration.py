"""How far probabilities can be taken at their word, and one temperature that makes them so (Guo et al., ICML 2017).

The temperature of a checkpoint is fitted once, on the validation split, and kept beside the checkpoint.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from common.batching.batches import Batches
from common.data.corpus import Corpus
from common.errors import InputError
from common.evaluation.evaluate import evaluate
from common.files import atomic, read_yaml
from common.network.ecerc import ECERC
from common.settings import OUTPUTS_DEPEND_ON, EvaluationSettings
from common.terminal import show

BINS = 15
RANGE = (0.05, 20.0)  # of temperatures


def with_temperature(log_prob: np.ndarray, temperature: float) -> np.ndarray:
    """Log-probabilities (U, C) divided by a temperature and normalised again; the most probable class stays."""
    divided = np.asarray(log_prob, np.float64) / temperature
    divided -= divided.max(1, keepdims=True)
    return divided - np.log(np.exp(divided).sum(1, keepdims=True))


def fit_temperature(log_prob: np.ndarray, label: np.ndarray) -> float:
    """The temperature in RANGE with the highest likelihood of the labels (U,), given log-probabilities (U, C).

    Utterances whose label is not known, -1, do not count.
    """
    from scipy.optimize import minimize_scalar

    known = label >= 0
    log_prob, label = log_prob[known], label[known]

    def loss(log_temperature):
        return _nll(with_temperature(log_prob, np.exp(log_temperature)), label)

    return float(np.exp(minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-6}).x))


def temperature_of(
    checkpoint: Path, digest: str, network: ECERC, corpus: Corpus, settings: EvaluationSettings, device: torch.device
) -> tuple[float, str]:
    """The temperature of `checkpoint`, whose weights `network` has, and in words what it was fitted on.

    It is kept in <checkpoint>.temperature.yaml, under the SHA-256 `digest` of the bytes that the weights were read
    from. Where that is missing, damaged, or of other weights, classes or `settings`, it is made from the validation
    split of `corpus`; a note says so where it cannot be kept. Raises InputError where that split is empty.
    """
    path = checkpoint.with_suffix(".temperature.yaml")
    values = {name: getattr(settings, name) for name in OUTPUTS_DEPEND_ON} | {"without": list(settings.without)}
    key: dict[str, Any] = {"checkpoint": digest, "classes": list(corpus.classes), "settings": values}
    kept: dict[str, Any] = {}
    with suppress(InputError):  # where it is damaged, it is made again
        kept = read_yaml(path)
    before = kept.get("temperature")
    if isinstance(before, float) and RANGE[0] <= before <= RANGE[1] and key.items() <= kept.items():
        return before, str(kept.get("fitted_on"))
    label = corpus.label[corpus.rows("valid")] if corpus.splits["valid"] else np.empty(0, np.int64)
    if not (label >= 0).any():
        raise InputError(
            f"{path}: no temperature for these weights and settings, and {corpus.name} has no validation labels to "
            "make it from; evaluate the checkpoint once, with these settings, on the data that it was trained on",
            ["calibrated"],
        )
    log_prob = evaluate(network, Batches(corpus, "valid", settings.batch_size, device))
    fitted_on = f"validation split of {corpus.name}, {int((label >= 0).sum()):,} utterances"
    temperature = fit_temperature(log_prob.numpy(), label)
    if not RANGE[0] * 1.001 < temperature < RANGE[1] / 1.001:
        fitted_on += ", the end of the range, as these say too little"
    content = key | {"temperature": temperature, "fitted_on": fitted_on}
    try:
        with atomic(path) as file:
            yaml.safe_dump(content, file, sort_keys=False)
    except OSError as error:
        show(f"Note: {path}: not kept ({error.strerror}); it is fitted again the next time.", sys.stderr)
    return temperature, fitted_on


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """Which of the BINS bins of equal width each confidence is in, from 0; a bin has its upper edge, not its lower."""
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


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
    at = bins_of(confidence)
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
