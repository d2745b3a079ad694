import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import brier_score_loss, log_loss

from common.evaluation.calibration import BINS, confidence_scores, fit_temperature, with_temperature


def drawn(count, temperature, seed=0, classes=4):
    """Log-probabilities, and labels drawn from them after dividing by a temperature."""
    rng = np.random.default_rng(seed)
    log_prob = log_softmax(2 * rng.standard_normal((count, classes)), axis=1)
    true = np.exp(log_softmax(log_prob / temperature, axis=1))
    return log_prob, (true.cumsum(1) < rng.random((count, 1))).sum(1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    log_prob, label = drawn(40_000, temperature)
    assert fit_temperature(log_prob, label) == pytest.approx(temperature, rel=0.05)


def test_no_temperature_nearby_is_better():
    log_prob, label = drawn(500, 1.7)
    best = fit_temperature(log_prob, label)
    losses = [confidence_scores(with_temperature(log_prob, best * f), label)["nll"] for f in (0.99, 1, 1.01)]
    assert losses[1] < min(losses[0], losses[2])


def test_utterances_without_a_label_do_not_count():
    log_prob, label = drawn(300, 1.7)
    some = np.where(np.arange(300) % 3, label, -1)
    assert fit_temperature(log_prob, some) == fit_temperature(log_prob[some >= 0], label[some >= 0])


def test_scores_against_scikit_learn():
    log_prob, label = drawn(300, 1.0)
    result = confidence_scores(log_prob, label)
    assert result["nll"] == pytest.approx(log_loss(label, np.exp(log_prob), labels=range(4)))
    binary = log_softmax(log_prob[:, :2], axis=1)
    label = label % 2  # scikit-learn's Brier score counts one of two classes, half of both
    expected = 2 * brier_score_loss(label, np.exp(binary[:, 1]))
    assert confidence_scores(binary, label)["brier"] == pytest.approx(expected)


def test_calibration_errors_by_hand():
    """Confidences 0.6 (right, wrong), 0.61 (right), 0.95 (wrong): bins (0.6, 0.667], (0.533, 0.6] and (0.933, 1]."""
    confidence = np.array([0.6, 0.6, 0.61, 0.95])
    log_prob = np.log(np.stack([confidence, 1 - confidence], 1))
    result = confidence_scores(log_prob, np.array([0, 1, 0, 1]))
    bins = {k: b for k, b in enumerate(result["bins"]) if b["count"]}
    assert {k: b["count"] for k, b in bins.items()} == {8: 2, 9: 1, 14: 1}
    assert bins[8]["accuracy"] == 0.5
    assert bins[8]["confidence"] == pytest.approx(0.6)
    assert result["ece"] == pytest.approx(100 * (2 * 0.1 + 0.39 + 0.95) / 4)
    assert result["adaptive_ece"] == pytest.approx(100 * (0.4 + 0.6 + 0.39 + 0.95) / 4)  # one utterance a bin
    assert result["bins"][0] | {"high": 0} == {"low": 0, "high": 0, "count": 0, "confidence": None, "accuracy": None}


def test_errors_of_labels_that_probabilities_foretell_are_small():
    log_prob, label = drawn(50_000, 1.0)
    result = confidence_scores(log_prob, label)
    assert max(result["ece"], result["adaptive_ece"]) < 1
    cold = confidence_scores(with_temperature(log_prob, 0.4), label)
    assert min(cold["ece"], cold["adaptive_ece"]) > 10
    assert sum(b["count"] for b in result["bins"]) == 50_000
    assert len(result["bins"]) == BINS


def test_a_temperature_keeps_the_prediction():
    log_prob, _ = drawn(100, 1.0)
    warm = with_temperature(log_prob, 3.0)
    assert (warm.argmax(1) == log_prob.argmax(1)).all()
    np.testing.assert_allclose(np.exp(warm).sum(1), 1)
    np.testing.assert_allclose(with_temperature(log_prob, 1.0), log_prob)
