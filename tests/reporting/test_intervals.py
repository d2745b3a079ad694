import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from common.evaluation.metrics import confusion_scores
from common.reporting.intervals import dialogue_confusions, draws, interval, resampled_scores


@pytest.fixture(scope="module")
def split():
    """Labels, some not known, predictions and dialogues of 60 utterances."""
    rng = np.random.default_rng(3)
    return rng.integers(-1, 3, 60), rng.integers(3, size=60), np.sort(rng.permutation(np.arange(60) % 8))


def test_each_dialogue_has_its_confusion_matrix(split):
    label, prediction, dialogue = split
    expected = np.zeros((8, 3, 3), int)
    for utterance in zip(dialogue, label, prediction, strict=True):
        if utterance[1] >= 0:
            expected[utterance] += 1
    np.testing.assert_array_equal(dialogue_confusions(*split, 3), expected)


def test_scores_of_resamples_against_scikit_learn_on_the_utterances_drawn(split):
    label, prediction, dialogue = split
    drawn = draws(8, resamples=20, seed=1)
    found = resampled_scores(dialogue_confusions(*split, 3), drawn)
    for k, counts in enumerate(drawn):
        rows = np.repeat(np.arange(60), counts[dialogue])
        rows = rows[label[rows] >= 0]
        pair, options = (label[rows], prediction[rows]), {"labels": [0, 1, 2], "zero_division": 0}
        assert found["accuracy"][k] == pytest.approx(100 * accuracy_score(*pair))
        for key, average in (("wf1", "weighted"), ("macro_f1", "macro"), ("f1", None)):
            expected = f1_score(*pair, average=average, **options)
            np.testing.assert_allclose(found[key][k], 100 * expected, err_msg=key)


def test_every_dialogue_once_gives_the_scores_themselves(split):
    confusions = dialogue_confusions(*split, 3)
    found, expected = resampled_scores(confusions, np.ones((1, 8), int)), confusion_scores(confusions.sum(0))
    for key, values in found.items():
        np.testing.assert_allclose(values[0], expected[key], err_msg=key)


def test_as_many_dialogues_are_drawn_as_there_are():
    drawn = draws(50, seed=0)
    assert drawn.shape == (1000, 50)
    assert set(drawn.sum(1)) == {50}
    assert drawn.mean() == pytest.approx(1)
    assert drawn.std() == pytest.approx(1, abs=0.02)  # that of a binomial of 50 and 1/50: 0.99
    np.testing.assert_array_equal(drawn, draws(50, seed=0))


def test_an_interval_by_hand():
    assert interval(np.arange(1001.0)) == [25, 975]
    assert interval(np.array([np.nan, 3.0, np.nan])) == [3, 3]
    assert interval(np.full(4, np.nan)) is None


@pytest.mark.parametrize("of", [[], [3]], ids=["nothing", "one dialogue"])
def test_scores_of_less_than_two_dialogues_are_no_numbers(split, of):
    """All resamples of one would be alike, and an interval of no width says what nobody knows."""
    label, prediction, dialogue = split
    few = dialogue_confusions(np.where(np.isin(dialogue, of), label, -1), prediction, dialogue, 3)
    for values in resampled_scores(few, draws(8, 50)).values():
        assert np.isnan(values).all()
