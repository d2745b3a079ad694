import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from common.evaluation.metrics import scores
from common.release.published import TEST_COUNTS
from common.reporting.paper import paper_scores, paper_systems
from common.reporting.tables import checkpoint_table, label_notes, mean_and_spread, prediction_table, summary_table
from tests.small import small_corpus

FOUND = scores(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 1]), ["a", "b", "c"])
OTHER = scores(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 2]), ["a", "b", "c"])


def words(text):
    return [line.split() for line in text.splitlines()]


def test_one_checkpoint():
    lines = words(checkpoint_table("x.pkl", FOUND, ["a", "b", "c"]))
    assert lines[0] == ["x.pkl:", "accuracy", "50.00,", "weighted", "F1", "53.33,", "macro", "F1", "40.00"]
    assert lines[2] == ["a", "100.00", "66.67", "80.00", "3", "2", "1", "0"]
    assert lines[4] == ["c", "0.00", "0.00", "0.00", "1", "0", "1", "0"]


def test_mean_and_sample_standard_deviation_beside_the_paper():
    paper = {"accuracy": 71.6, "wf1": 71.78, "f1": [1.0, 2.0, 3.0]}
    lines = words(summary_table({"x": FOUND, "y": OTHER}, ["a", "b", "c"], paper))
    assert lines[0] == ["x", "y", "mean", "±", "std", "paper"]
    assert lines[1] == ["accuracy", "50.00", "100.00", "75.00", "±", "35.36", "71.60"]  # 25 · √2
    assert lines[3] == ["macro", "F1", "40.00", "100.00", "70.00", "±", "42.43", "–"]
    assert lines[4] == ["F1", "a", "80.00", "100.00", "90.00", "±", "14.14", "1.00"]


def test_notes_on_labels():
    assert label_notes([0, 1, 2, 1], "abc") == []
    assert label_notes([0, -1, 2, 2, -1], "abcd") == [
        "2 of 5 utterances have no label; scores are of the others.",
        "No utterance has the label b or d: F1 is 0 there, and counts in macro F1.",
    ]
    assert label_notes([-1], "abc") == ["1 of 1 utterances have no label, so there are predictions, but no scores."]


def test_spread_of_three_and_of_one():
    assert mean_and_spread([1.0, 2.0, 4.0]) == "2.33 ± 1.53"
    assert mean_and_spread([1.0]) == "1.00"


def test_the_papers_scores_belong_to_the_released_test_split_only():
    corpus = small_corpus("IEMOCAP")
    assert paper_scores(corpus, "test") == (None, "these are synthetic conversations")
    corpus.sources.clear()
    assert paper_scores(corpus, "test")[0] is None
    assert paper_scores(corpus, "valid")[0] is None
    counts = TEST_COUNTS["IEMOCAP"]
    corpus = small_corpus("IEMOCAP", sizes=(9, 1, 1), turns=(sum(counts), sum(counts)))
    corpus.sources.clear()
    corpus.label[corpus.rows("test")] = np.repeat(np.arange(6), counts)
    assert paper_scores(corpus, "test") == (paper_systems("IEMOCAP")["ECERC"], "")
    corpus.features["audio"][:] = 0
    printed, reason = paper_scores(corpus, "test")
    assert printed is None
    assert "audio features are blank" in reason


@pytest.mark.parametrize("classes", [["a", "b", "c"], [f"a name of an emotion, it is number {k}" for k in range(12)]])
def test_tables_fit_a_terminal(classes):
    """Ten checkpoints and long names of classes: every number is there, in no line over 80 columns."""
    rng = np.random.default_rng(0)
    label = rng.integers(len(classes), size=900)
    found = scores(label, np.where(rng.random(900) < 0.5, label, 0), classes)
    named = {f"ECERC_MODEL_{k}.pkl": found for k in range(10)}
    counts = [str(n) for row in found["confusion"] for n in row]
    for text, numbers, names in (
        (checkpoint_table("x.pkl", found, classes, 80), counts + [f"{x:.2f}" for x in found["recall"]], classes),
        (summary_table(named, classes, None, 80), [f"{x:.2f}" for x in found["f1"]] * 10, list(named)),
    ):
        assert max(map(len, text.splitlines())) <= 80
        have = Counter(re.findall(r"(?<![\w.])[\d.]+(?![\w.])", text))
        assert all(have[number] >= times for number, times in Counter(numbers).items())
        for name in names:
            assert name[:30] in text
    assert len({len(line) for line in summary_table(named, classes).splitlines()}) == 1  # elsewhere in one piece


def test_a_checkpoint_that_fits_stays_in_one_piece():
    assert checkpoint_table("x.pkl", FOUND, ["a", "b", "c"], 80) == checkpoint_table("x.pkl", FOUND, ["a", "b", "c"])
    parts = words(checkpoint_table("x.pkl", FOUND, ["a", "b", "c"], 50))
    assert parts[2] == ["a", "100.00", "66.67", "80.00", "3"]
    assert parts[6:8] == [["predicted", "as", "a", "b", "c"], ["a", "2", "1", "0"]]


def test_predictions_of_several_checkpoints():
    rows = [(name, f"d{k}", k, "Ann", "joy", np.log(0.9), np.log(0.1)) for name in ("x", "y") for k in range(25)]
    names = ["checkpoint", "dialogue", "utterance", "speaker", "prediction", "log_prob_joy", "log_prob_sad"]
    lines = prediction_table(pd.DataFrame(rows, columns=names), None, 20).splitlines()
    assert lines[0].split() == ["dialogue", "utterance", "speaker", "x", "y"]
    assert lines[20].split() == ["d19", "19", "Ann", *["joy", "90.0", "%"] * 2]
    assert lines[21:] == ["… and 5 more"]
