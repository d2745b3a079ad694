from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from scipy.special import log_softmax
from sklearn.metrics import brier_score_loss, log_loss

from common.errors import InputError
from common.evaluation import calibration
from common.evaluation.calibration import BINS, confidence_scores, fit_temperature, temperature_of, with_temperature
from common.release.checkpoint import read_checkpoint, save_released
from common.settings import EvaluationSettings
from tests.small import NETWORK, small_corpus, small_network


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
    for temperature in (0.05, 0.7, 20):
        expected = log_softmax(log_prob / temperature, axis=1)
        np.testing.assert_array_equal(with_temperature(log_prob, temperature), expected)


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """Says the temperature of the checkpoint as it was read, and whether it was fitted now."""
    corpus, path, calls = small_corpus("MELD"), tmp_path / "ECERC_MODEL.pkl", []
    network = small_network(corpus)
    save_released(network, path)
    fit = calibration.fit_temperature
    monkeypatch.setattr(calibration, "fit_temperature", lambda *given: calls.append(1) or fit(*given))

    def fitted(checkpoint, corpus=corpus, **settings):
        calls.clear()
        checkpoint.fill(network)
        settings = EvaluationSettings(**(NETWORK | settings))
        cpu = torch.device("cpu")
        return *temperature_of(checkpoint.path, checkpoint.sha256, network, corpus, settings, cpu), bool(calls)

    return path, corpus, fitted


def test_a_temperature_is_kept_for_what_was_loaded(fitted):
    """Not for what replaced it since; and each setting that outputs depend on counts, and the order of classes."""
    path, corpus, fitted = fitted
    first = read_checkpoint(path)
    save_released(small_network(corpus, seed=1), path)
    _, words, now = fitted(first)
    assert (words, now) == ("validation split of MELD, 4 utterances", True)
    kept = yaml.safe_load(path.with_suffix(".temperature.yaml").read_text())
    assert kept["checkpoint"] == first.sha256 != read_checkpoint(path).sha256
    assert not fitted(first)[2]
    assert fitted(read_checkpoint(path))[2]
    for value in (".nan", "0.0", "-1.0", "1", "x"):
        text = yaml.safe_dump(kept).replace(f"temperature: {kept['temperature']}", f"temperature: {value}")
        path.with_suffix(".temperature.yaml").write_text(text)
        assert fitted(first)[0] == kept["temperature"]
    for damaged in ("", "- a", "a: [", "\0"):
        path.with_suffix(".temperature.yaml").write_text(damaged)
        assert (fitted(first)[::2], fitted(first)[2]) == ((kept["temperature"], True), False)
    changes = {"positions": True, "heads": 4, "batch_size": 2, "precision": "bfloat16", "empty_history": "strict"}
    for name, value in changes.items():
        assert fitted(first, **{name: value})[2]
        assert not fitted(first, **{name: value})[2]
    assert not fitted(first, attention_dropout=0.4, empty_history="strict")[2]  # nothing drops out
    assert fitted(first, replace(corpus, classes=corpus.classes[::-1]), empty_history="strict")[2]


def test_a_temperature_at_the_end_of_its_range_is_said_to_be_there(fitted, monkeypatch):
    path, _, fitted = fitted
    monkeypatch.setattr(calibration, "fit_temperature", lambda *_: 19.9999)
    words = "validation split of MELD, 4 utterances, the end of the range, as these say too little"
    assert [fitted(read_checkpoint(path))[:2] for _ in range(2)] == [(19.9999, words)] * 2


def test_without_validation_labels_there_has_to_be_one(fitted):
    """And one that was fitted under other settings is none."""
    path, corpus, fitted = fitted
    checkpoint, unlabelled = read_checkpoint(path), replace(corpus, label=np.full_like(corpus.label, -1))
    fitted(checkpoint)
    assert not fitted(checkpoint, unlabelled)[2]
    with pytest.raises(InputError, match=r"temperature\.yaml: no temperature for these weights and settings"):
        fitted(checkpoint, unlabelled, empty_history="strict")


def test_a_temperature_that_cannot_be_kept_is_mentioned(fitted, monkeypatch, capsys):
    path, _, fitted = fitted

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(calibration, "atomic", refuse)
    checkpoint = read_checkpoint(path)
    assert fitted(checkpoint)[2]
    kept = path.with_suffix(".temperature.yaml")
    line = f"Note: {kept}: not kept (Permission denied); it is fitted again the next time.\n"
    assert capsys.readouterr().err == line
    assert fitted(checkpoint)[2]
