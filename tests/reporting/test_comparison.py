"""The difference of two runs beside a slow loop over resampled dialogues, scored by scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

import common.reporting.comparison
from common.reporting.comparison import comparison, comparison_text, predicted
from common.reporting.intervals import draws

CLASSES = ["calm", "glad", "angry"]


@pytest.fixture(scope="module")
def made():
    """Labels, dialogues, and log-probabilities of two runs, of two and of three checkpoints."""
    rng = np.random.default_rng(0)
    dialogue = np.repeat(np.arange(12), rng.integers(1, 9, 12))
    label = rng.integers(3, size=len(dialogue))
    label[dialogue == 3], label[0] = -1, -1  # a conversation without labels

    def log_prob(pull):
        logits = rng.normal(size=(len(label), 3))
        logits[np.arange(len(label)), label] += pull
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))

    return label, dialogue, [log_prob(1.0) for _ in range(2)], [log_prob(1.6) for _ in range(3)]


def sklearn_scores(label, prediction):
    """Accuracy, weighted and macro F1, and F1 per class, in percent, of the utterances with a label."""
    known = label >= 0
    pair, options = (label[known], prediction[known]), {"labels": [0, 1, 2], "zero_division": 0}
    means = [f1_score(*pair, average=kind, **options) for kind in ("weighted", "macro")]
    return 100 * np.array([accuracy_score(*pair), *means, *f1_score(*pair, average=None, **options)])


def test_differences_and_intervals_against_a_loop(made, monkeypatch):
    label, dialogue, first, second = made
    drawn = draws(12, 20)
    monkeypatch.setattr(common.reporting.comparison, "draws", lambda count: drawn)
    runs = [predicted("a", first), predicted("b", second)]
    result = comparison(*runs, label, dialogue, CLASSES)
    resamples = [np.arange(len(label))]
    for counts in drawn:
        again = [np.flatnonzero(dialogue == d) for d, count in enumerate(counts) for _ in range(count)]
        resamples.append(np.concatenate(again))
    expected = []
    for rows in resamples:
        means = [np.mean([sklearn_scores(label[rows], x.argmax(1)[rows]) for x in run], 0) for run in (first, second)]
        expected.append(means[1] - means[0])
    observed, *expected = expected
    assert [row["difference"] for row in result["rows"]] == pytest.approx(observed)
    assert [row["name"] for row in result["rows"]] == [
        "accuracy",
        "weighted F1",
        "macro F1",
        *(f"F1 {c}" for c in CLASSES),
    ]
    low, high = np.percentile(expected, [2.5, 97.5], axis=0)
    np.testing.assert_allclose([row["interval"] for row in result["rows"]], np.stack([low, high], 1), atol=1e-9)


def test_turns_by_hand():
    """Three checkpoints against one; by the mean of the probabilities, of the turns that have a label."""
    label, dialogue = np.array([0, 0, 0, 0, -1]), np.array([0, 0, 1, 1, 1])
    sure, no, very = [0.9, 0.1], [0.2, 0.8], [0.999, 0.001]  # the mean of very, no and no is 0.466, 0.534
    first = [[very, sure, very, sure, no], [no, no, no, no, sure], [no, sure, no, sure, sure]]
    second = [[sure, sure, no, no, sure]]
    result = comparison(
        *(predicted(n, np.log(x)) for n, x in (("a", first), ("b", second))), label, dialogue, ["x", "y"]
    )
    assert result["names"] == ["a", "b"]
    assert result["turns"] == {"both_right": 1, "first_only": 1, "second_only": 1, "both_wrong": 1}


def test_one_checkpoint_keeps_its_own_ties():
    """Log-probabilities whose exponentials are equal."""
    close = np.array([[-1e-17 - 40, -40.0, 0.0], [-1e-20, 0.0, -50.0]])
    run = predicted("a", [close])
    assert run.checkpoints[0].tolist() == run.together.tolist() == [2, 1]


def test_a_run_against_itself_and_without_labels(made):
    label, dialogue, first, _ = made
    run = predicted("a", first)
    same = comparison(run, run, label, dialogue, CLASSES)
    assert {value for row in same["rows"] for value in (row["difference"], *row["interval"])} == {0}
    assert same["turns"]["first_only"] == same["turns"]["second_only"] == 0
    nothing = comparison(run, run, np.full_like(label, -1), dialogue, CLASSES)
    assert {(row["difference"], row["interval"]) for row in nothing["rows"]} == {(None, None)}
    assert sum(nothing["turns"].values()) == 0
    alone = comparison(run, run, np.where(dialogue == 1, label, -1), dialogue, CLASSES)
    assert {(row["difference"], row["interval"]) for row in alone["rows"]} == {(0, None)}
    text = comparison_text(alone, [[{"mean": 0}] * 6] * 2)
    assert [line.split()[-2:] for line in text.splitlines()[4:10]] == [["+0.00", "–"]] * 6
    assert comparison_text(nothing, [[], []]) == ""


def test_intervals_are_the_same_each_time_and_paired(made):
    """The same draws for both runs: of two alike but for one turn, the interval is far narrower than that of either."""
    label, dialogue, first, _ = made
    other = [x.copy() for x in first]
    at = int(np.flatnonzero((label == 0) & (first[0].argmax(1) != 0))[0])
    other[0][at] = [0, -9, -9]
    runs = [predicted(name, x) for name, x in (("a", first), ("b", other))]
    results = [comparison(*runs, label, dialogue, CLASSES) for _ in range(2)]
    assert results[0] == results[1]
    low, high = results[0]["rows"][0]["interval"]
    one = 100 / (label >= 0).sum() / 2  # a turn more, in one of two checkpoints
    assert results[0]["rows"][0]["difference"] == pytest.approx(one)
    assert low == 0
    assert one < high < 5 * one


@pytest.mark.parametrize("most", [None, 80, 40])
def test_the_text(made, most):
    """Each number stands in its column, and lines of the table fit a terminal."""
    label, dialogue, first, second = made
    names = ["calm", "glad", "as angry as one can be without a word of it"]
    result = comparison(predicted("runs/a", first), predicted("runs/b", second), label, dialogue, names)
    summaries = [[{"mean": value} for value in values] for values in ([60, 50, 40, 1, 2, 3], [70, 60, 50, 2, 3, 4])]
    result["rows"][0] |= {"difference": 10.0, "interval": [-0.004, 20.0]}
    lines = comparison_text(result, summaries, most).splitlines()
    assert lines[1:3] == ["  first:  runs/a", "  second: runs/b"]
    body = [line for line in lines if line.startswith("accuracy")]
    assert " ".join(body).replace("accuracy", "").split() == ["60.00", "70.00", "+10.00", "+0.00", "to", "+20.00"]
    assert len(body) == {None: 1, 80: 2, 40: 3}[most]
    if most:
        assert max(len(line) for line in lines[3:-2]) <= most
    assert lines[-1].startswith(f"Turns: both right {result['turns']['both_right']}, only the first ")
