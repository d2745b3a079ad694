import numpy as np
import pytest

from common.experiments.significance import holm, paired_test


def counts(labels, predictions, classes):
    """(1, D, C, C) from a list of labels and one of predictions per dialogue."""
    found = np.zeros((1, len(labels), classes, classes), int)
    for d, (label, prediction) in enumerate(zip(labels, predictions, strict=True)):
        for i, j in zip(label, prediction, strict=True):
            found[0, d, i, j] += 1
    return found


def test_two_dialogues_by_hand():
    """Accuracy is 50 better. Draws are dialogue 1 twice (1/4; 100 better), each once (1/2; 50), dialogue 2 twice (1/4;
    0): half of them deviate from 50 by 50.
    """
    a = counts([[0], [1]], [[1], [1]], 2)
    b = counts([[0], [1]], [[0], [1]], 2)
    difference, p = paired_test(a, b, repetitions=20_000)
    assert difference[0] == 50
    assert p[0] == pytest.approx(0.5, abs=0.015)
    assert paired_test(a, b)[1].tolist() == paired_test(a, b)[1].tolist()
    backwards, p_backwards = paired_test(b, a, repetitions=20_000)
    assert backwards[0] == -50
    assert p_backwards[0] == p[0]


def test_seeds_are_averaged_and_drawn_together():
    """With the second seed the other way round, nothing is left of the difference, in any draw."""
    a, b = counts([[0], [1]], [[1], [1]], 2), counts([[0], [1]], [[0], [1]], 2)
    difference, p = paired_test(np.concatenate([a, b]), np.concatenate([b, a]))
    np.testing.assert_allclose(difference, 0, atol=1e-9)
    np.testing.assert_allclose(p, 1)


def systems(rng, dialogues, better=0.0):
    """Two systems, two seeds each, on the same labels: right with a probability of the dialogue, the same for both but
    for `better`.
    """
    dialogue = np.repeat(np.arange(dialogues), rng.integers(5, 12, size=dialogues))
    label = rng.integers(3, size=len(dialogue))
    chance = rng.uniform(0.3, 0.8, size=dialogues)[dialogue]
    found = np.zeros((2, 2, dialogues, 3, 3), int)  # system, seed, dialogue
    for system, more in enumerate((0.0, better)):
        for seed in range(2):
            wrong = (label + rng.integers(1, 3, size=len(label))) % 3
            right = rng.random(len(label)) < chance + more
            np.add.at(found[system, seed], (dialogue, label, np.where(right, label, wrong)), 1)
    return found


def test_equal_systems_differ_in_five_percent_of_the_cases():
    """Of 600 pairs; the standard deviation of that share is 0.9 %."""
    rng = np.random.default_rng(0)
    p = np.array([paired_test(*systems(rng, 80), repetitions=400)[1][:2] for _ in range(600)])
    share = (p < 0.05).mean(0)
    assert (share > 0.025).all(), share
    assert (share < 0.075).all(), share


def test_a_better_system_is_found():
    assert paired_test(*systems(np.random.default_rng(0), 80, better=0.1))[1][0] < 0.01


def test_holm_by_hand():
    """0.01 · 4, 0.02 · 3, then max(0.03 · 2, before), max(0.5 · 1, before); nothing above 1."""
    np.testing.assert_allclose(holm([0.03, 0.01, 0.5, 0.02]), [0.06, 0.04, 0.5, 0.06])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1, 1])
