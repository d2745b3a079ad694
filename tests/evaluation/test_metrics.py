import numpy as np
import pytest
from sklearn.metrics import f1_score

from common.evaluation.metrics import scores


def test_by_hand():
    """Labels a a a b b c, predictions a a b b c b."""
    found = scores(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 1]), ["a", "b", "c"])
    assert found["accuracy"] == pytest.approx(50)
    assert found["precision"].tolist() == pytest.approx([100, 100 / 3, 0])
    assert found["recall"].tolist() == pytest.approx([200 / 3, 50, 0])
    assert found["f1"].tolist() == pytest.approx([80, 40, 0])
    assert found["macro_f1"] == pytest.approx(40)
    assert found["wf1"] == pytest.approx((3 * 80 + 2 * 40) / 6)
    assert found["support"].tolist() == [3, 2, 1]
    assert found["confusion"].tolist() == [[2, 1, 0], [0, 1, 1], [0, 1, 0]]


def test_absent_classes_count_as_zero():
    found = scores(np.array([0, 0]), np.array([0, 2]), ["a", "b", "c"])
    assert found["f1"].tolist() == pytest.approx([200 / 3, 0, 0])
    assert found["support"].tolist() == [2, 0, 0]


def test_weighted_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    label, prediction = rng.integers(7, size=500), rng.integers(7, size=500)
    found = scores(label, prediction, list("abcdefg"))
    assert found["wf1"] == pytest.approx(100 * f1_score(label, prediction, average="weighted"))
