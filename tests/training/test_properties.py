"""Training and scoring whatever small or odd conversations there are, classes absent from a split included."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from common.batching.batches import SHAPES, Batches
from common.errors import InputError
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.settings import TrainingSettings
from common.training.fit import Trainer
from common.training.loss import class_weights
from tests.network.test_properties import conversations, histories, networks
from tests.small import mean_loss, random_corpus, small_network

DROPOUT = {"evidence_dropout": 0.5, "attention_dropout": 0.1, "classifier_dropout": 0.2}


@given(
    conversations.filter(lambda made_of: len(made_of["lengths"]) > 2),
    networks,
    histories,
    st.integers(1, 7),
    st.sampled_from(SHAPES),
    st.sampled_from([0.0, 1.0]),
    st.data(),
)
def test_an_epoch_leaves_everything_finite(made_of, network, empty_history, size, shapes, gamma, data):
    """Weights, gradients, losses and scores; splits of a single dialogue, which lacks most classes, included."""
    corpus = random_corpus(**made_of)
    count = len(corpus.ids)
    first = data.draw(st.integers(1, count - 2))
    second = data.draw(st.integers(first + 1, count - 1))
    parts = np.split(np.arange(count), [first, second])
    corpus = replace(corpus, splits=dict(zip(("train", "valid", "test"), map(list, parts), strict=True)))
    network = small_network(corpus, empty_history=empty_history, **network | DROPOUT)
    settings = TrainingSettings(learning_rate=1e-2, focal_gamma=gamma)
    train, valid, test = (Batches(corpus, split, size, "cpu", shapes=shapes) for split in corpus.splits)
    trainer = Trainer(network, train, valid, settings, torch.arange(1.0, len(corpus.classes) + 1))
    assert np.isfinite(list(trainer.run_epoch().values())).all()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.isfinite().all(), name
    log_prob = evaluate(network, test)
    assert log_prob.isfinite().all()
    assert np.isfinite(mean_loss(network, test))
    found = scores(test.label, log_prob.argmax(1), corpus.classes)
    assert all(np.isfinite(value).all() for value in found.values())


@given(st.integers(2, 9), st.data())
def test_scores_with_absent_classes(classes, data):
    """As scikit-learn has them where what is divided by zero counts as 0."""
    some = st.sampled_from(data.draw(st.lists(st.integers(0, classes - 1), min_size=1)))
    label, prediction = np.array(data.draw(st.lists(st.tuples(some, some), min_size=1))).T
    found = scores(label, prediction, [str(c) for c in range(classes)])
    how = {"labels": range(classes), "zero_division": 0}
    assert found["f1"] / 100 == pytest.approx(f1_score(label, prediction, average=None, **how))
    assert found["macro_f1"] / 100 == pytest.approx(f1_score(label, prediction, average="macro", **how))
    assert found["wf1"] / 100 == pytest.approx(f1_score(label, prediction, average="weighted", **how))
    assert found["accuracy"] == pytest.approx(100 * (label == prediction).mean())
    assert found["support"].sum() == len(label)


@given(conversations, st.sampled_from(["inverse", "log-inverse"]))
def test_class_weights_of_the_training_split(made_of, formula):
    """Finite and above zero where all classes are there, else refused in one line that names an absent one."""
    corpus = random_corpus(**made_of)
    corpus = replace(corpus, splits={"train": corpus.splits["test"]})
    settings = TrainingSettings(class_weights="train", class_weight_formula=formula)
    absent = sorted(set(range(len(corpus.classes))) - set(corpus.label.tolist()))
    if not absent:
        weight = class_weights(settings, corpus)
        assert weight.isfinite().all()
        assert (weight > 0).all()
        return
    with pytest.raises(InputError) as error:
        class_weights(settings, corpus)
    assert "\n" not in str(error.value)
    assert f"labelled {corpus.classes[absent[0]]}, so" in str(error.value)
