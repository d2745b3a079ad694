import numpy as np
import pytest
from sklearn.metrics import f1_score

from common.evaluation.metrics import scores


def test_by_hand():
    """Labels a a a b b c, predictions a a b b c b."""
    result = scores(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 1]), ["a", "b", "c"])
    assert result["accuracy"] == pytest.approx(50)
    assert result["precision"].tolist() == pytest.approx([100, 100 / 3, 0])
    assert result["recall"].tolist() == pytest.approx([200 / 3, 50, 0])
    assert result["f1"].tolist() == pytest.approx([80, 40, 0])
    assert result["macro_f1"] == pytest.approx(40)
    assert result["wf1"] == pytest.approx((3 * 80 + 2 * 40) / 6)
    assert result["support"].tolist() == [3, 2, 1]
    assert result["confusion"].tolist() == [[2, 1, 0], [0, 1, 1], [0, 1, 0]]


def test_absent_classes_count_as_zero():
    result = scores(np.array([0, 0]), np.array([0, 2]), ["a", "b", "c"])
    assert result["f1"].tolist() == pytest.approx([200 / 3, 0, 0])
    assert result["support"].tolist() == [2, 0, 0]


def test_weighted_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    label, prediction = rng.integers(7, size=500), rng.integers(7, size=500)
    result = scores(label, prediction, list("abcdefg"))
    assert result["wf1"] == pytest.approx(100 * f1_score(label, prediction, average="weighted"))
