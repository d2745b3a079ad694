import dataclasses
import math

import numpy as np
import pytest
import torch

from common.errors import InputError
from common.settings import TrainingSettings
from common.training.loss import RELEASED_FREQUENCIES, class_weights, focal_loss
from tests.small import small_corpus


def test_by_hand():
    """Two utterances: p = 0.8 with α = 2, p = 0.1 with α = 0.5."""
    log_prob = torch.tensor([[0.8, 0.2], [0.9, 0.1]]).log()
    label, weight = torch.tensor([0, 1]), torch.tensor([2.0, 0.5])
    plain = (-math.log(0.8) - math.log(0.1)) / 2
    assert focal_loss(log_prob, label).item() == pytest.approx(plain)
    weighted = (-2 * math.log(0.8) - 0.5 * math.log(0.1)) / 2
    assert focal_loss(log_prob, label, weight=weight).item() == pytest.approx(weighted)
    focal = (-2 * 0.2**2 * math.log(0.8) - 0.5 * 0.9**2 * math.log(0.1)) / 2
    assert focal_loss(log_prob, label, 2.0, weight).item() == pytest.approx(focal)


def test_the_focal_factor_is_a_constant_for_the_gradient():
    log_prob = torch.tensor([[0.8, 0.2]]).log().requires_grad_()
    focal_loss(log_prob, torch.tensor([0]), gamma=1.0).backward()
    torch.testing.assert_close(log_prob.grad, torch.tensor([[-0.2, 0.0]]))


def test_weights_released_train_and_none():
    corpus = small_corpus("MELD", sizes=(60, 2, 2))
    none = TrainingSettings(class_weights="none")
    released = TrainingSettings(class_weights="released", class_weight_formula="log-inverse")
    train = TrainingSettings(class_weights="train", class_weight_formula="inverse")
    assert class_weights(none, corpus) is None
    frequency = np.array(RELEASED_FREQUENCIES["MELD"])
    assert frequency.sum() == pytest.approx(1)
    np.testing.assert_allclose(class_weights(released, corpus), -np.log(frequency), rtol=1e-6)
    labels = [int(corpus.label[u]) for d in corpus.splits["train"] for u in range(*corpus.offset[d : d + 2])]
    by_hand = [len(labels) / labels.count(c) for c in range(7)]
    np.testing.assert_allclose(class_weights(train, corpus), by_hand, rtol=1e-6)


def test_weights_that_do_not_exist():
    corpus = small_corpus("MELD", sizes=(6, 2, 2))
    with pytest.raises(InputError, match="released for emotions only"):
        class_weights(TrainingSettings(class_weights="released", labels="sentiment"), corpus.with_sentiment())
    corpus.label[:] = np.arange(len(corpus.label)) % 7
    corpus.label[corpus.label == 3] = 0
    settings = TrainingSettings(class_weights="train")
    with pytest.raises(InputError, match=r"no utterance of train is labelled sadness, .* use released or none, or put"):
        class_weights(settings, corpus)
    own = dataclasses.replace(corpus, name="mine")
    with pytest.raises(InputError, match=r"is not known; use none, or put a dialogue with sadness into train"):
        class_weights(settings, own)


def test_frequencies_are_those_of_labelled_utterances():
    corpus = small_corpus("MELD", sizes=(60, 2, 2))
    first = np.array([np.flatnonzero(corpus.label == c)[0] for c in range(7)])
    lost = np.arange(len(corpus.label)) % 3 == 0
    lost[first] = False
    corpus.label[lost] = -1
    labels = [label for label in corpus.label[corpus.rows("train")].tolist() if label >= 0]
    by_hand = [len(labels) / labels.count(c) for c in range(7)]
    np.testing.assert_allclose(class_weights(TrainingSettings(class_weights="train"), corpus), by_hand, rtol=1e-6)
