import numpy as np
import pytest
from sklearn.metrics import f1_score

from common.evaluation.metrics import figures, scores


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


@pytest.mark.parametrize("present", [7, 5])
def test_f1_is_that_of_scikit_learn(present):
    """With classes, too, that are neither labels nor predictions."""
    label, prediction = np.random.default_rng(0).integers(present, size=(2, 500))
    result = scores(label, prediction, list("abcdefg"))
    for name, kind in (("wf1", "weighted"), ("macro_f1", "macro"), ("f1", None)):
        expected = f1_score(label, prediction, average=kind, labels=range(7), zero_division=0)
        assert result[name] == pytest.approx(100 * expected)


def test_scores_of_nothing_are_no_numbers():
    result = scores([-1, -1], [0, 1], ["a", "b"])
    for name in ("accuracy", "wf1", "macro_f1", "precision", "recall", "f1"):
        assert np.isnan(result[name]).all()
    assert result["support"].tolist() == [0, 0]


def test_figures_are_the_scores():
    """To the last digit: results.csv and the tables of a sweep are rounded from the same numbers."""
    rng = np.random.default_rng(0)
    for size in range(50, 500):
        label, prediction = rng.integers(4, size=(2, size))
        label[label == 3] = 0  # a class without utterances
        expected = scores(label, prediction, list("abcd"))
        found = figures(expected["confusion"]).tolist()
        assert found == [expected["accuracy"], expected["wf1"], expected["macro_f1"], *expected["f1"]]
