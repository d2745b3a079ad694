import numpy as np

from common.evaluation.metrics import scores
from common.release.published import TEST_COUNTS
from common.reporting.paper import paper_scores, paper_systems
from common.reporting.tables import checkpoint_table, label_notes, mean_and_spread, summary_table
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
