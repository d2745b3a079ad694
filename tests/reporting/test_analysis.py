from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import accuracy_score, f1_score

from common.batching.batches import Batches
from common.evaluation.metrics import scores
from common.network.explain import Explanation, explain
from common.reporting.analysis import checkpoint_analysis, conversations, ensemble_scores, groups, summary, turn_name
from tests.small import random_corpus, small_network


@pytest.fixture
def corpus():
    """Two dialogues: speakers A B A A / B A, labels as given."""
    corpus = random_corpus([4, 2], speakers=2, classes=3)
    corpus.speaker[:] = [0, 1, 0, 0, 1, 0]
    corpus.label[:] = [2, 1, 2, 0, 1, 1]
    return corpus


def test_groups_by_hand(corpus):
    wrong = 1
    prediction = corpus.label.copy()
    prediction[wrong] = 0
    result = {
        group["title"]: {row["name"]: (row["count"], row["accuracy"]) for row in group["rows"]}
        for group in groups(corpus, "test", prediction)
    }
    assert result["position in the dialogue"] == {
        "turn 1": (2, 100),
        "turn 2": (2, 50),
        "turn 3": (1, 100),
        "turns 4 to 5": (1, 100),
    }
    assert result["own history"] == {"none": (4, 75), "1": (1, 100), "2": (1, 100)}
    assert result["history of others"] == {"none": (2, 100), "1": (4, 75)}
    assert result["emotion shift"] == {"speaker's first": (4, 75), "same emotion": (1, 100), "other emotion": (1, 100)}


def test_labels_that_are_not_known_do_not_count(corpus):
    corpus.label[2] = -1
    result = {group["title"]: group["rows"] for group in groups(corpus, "test", np.zeros(6, int))}
    assert {row["name"]: row["count"] for row in result["emotion shift"]} == {"speaker's first": 4, "not known": 1}
    for title in ("position in the dialogue", "own history", "history of others"):
        assert sum(row["count"] for row in result[title]) == 5
    assert "turn 3" not in [row["name"] for row in result["position in the dialogue"]]


def test_scores_of_a_group_against_scikit_learn():
    corpus = random_corpus([9] * 20, classes=3)
    prediction = np.random.default_rng(1).integers(3, size=180)
    (first,) = [row for row in groups(corpus, "test", prediction)[0]["rows"] if row["name"] == "turn 1"]
    rows = corpus.offset[:-1]
    assert first["accuracy"] == pytest.approx(100 * accuracy_score(corpus.label[rows], prediction[rows]))
    expected = f1_score(corpus.label[rows], prediction[rows], average="weighted")
    assert first["wf1"] == pytest.approx(100 * expected)


def test_a_checkpoint():
    corpus = random_corpus([5, 3, 1])
    network = small_network(corpus)
    explanation = explain(network, Batches(corpus, "test", 2, "cpu"))
    result = checkpoint_analysis("A.pkl", corpus, "test", network.settings, explanation, 2.0, "validation")
    assert [len(result["turns"]), len(result["attention"])] == [9, 3]
    turn = result["turns"][7]
    assert turn["probability"] == pytest.approx(np.exp(explanation.log_prob[7]), rel=1e-6)
    assert turn["prediction"] == explanation.log_prob[7].argmax()
    assert turn["route_drop"] == explanation.route_drop[7].tolist()
    assert result["gate_mean"]["audio"] == pytest.approx(explanation.gates[:, 1].mean())
    agreement = {row["name"]: row["rho"] for row in result["agreement"]}
    ranks = [rankdata(column) for column in (explanation.route_gates[:, 3], explanation.route_drop[:, 3])]
    assert agreement["cross_event"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert result["attention"][0]["self_emotion"][0] is None
    assert result["attention"][1]["self_event"][2] == [0, 0, 1]
    assert result["per_class"][2]["support"] == (corpus.label == 2).sum()
    assert result["calibration"]["after"]["nll"] != result["calibration"]["before"]["nll"]
    unfitted = checkpoint_analysis("A.pkl", corpus, "test", network.settings, explanation, None, "")
    assert unfitted["calibration"] is None


def test_gates_that_never_change_have_no_rank(corpus):
    flat, n = np.ones((6, 3)), np.full((6, 4), 0.5)
    explanation = Explanation(np.log(np.full((6, 3), 1 / 3)), flat, n, flat, n, [])
    network = small_network(corpus)
    result = checkpoint_analysis("A", corpus, "test", network.settings, explanation, None, "")
    assert [row["rho"] for row in result["agreement"]] == [None] * 7


def test_equal_gates_share_their_rank(corpus):
    rng, network = np.random.default_rng(0), small_network(corpus)
    gates, drop = rng.integers(3, size=(2, 6, 3)).astype(np.float32)
    rest = np.full((6, 4), 0.5)
    explanation = Explanation(np.log(np.full((6, 3), 1 / 3)), gates, rest, drop, rest, [])
    result = checkpoint_analysis("A", corpus, "test", network.settings, explanation, None, "")
    expected = [spearmanr(gates[:, k], drop[:, k]).statistic for k in range(3)]
    assert [row["rho"] for row in result["agreement"][:3]] == pytest.approx(expected, abs=1e-12)


def test_the_ensemble_by_hand():
    a = np.log([[0.9, 0.1], [0.45, 0.55]])
    b = np.log([[0.2, 0.8], [0.9, 0.1]])
    result = ensemble_scores([a, b], np.array([0, 0]), ["x", "y"])
    assert result["accuracy"] == 100
    assert scores([0, 0], a.argmax(1), ["x", "y"])["accuracy"] == 50


def test_the_summary():
    named = {name: scores([0, 1, 1], p, ["x", "y"]) for name, p in (("a", [0, 1, 1]), ("b", [0, 1, 0]))}
    rows = {row["name"]: row for row in summary(named, ["x", "y"], {"accuracy": 70.0, "wf1": 60.0, "f1": [1.0, 2.0]})}
    assert rows["accuracy"]["values"] == pytest.approx([100, 200 / 3])
    assert rows["accuracy"]["mean"] == pytest.approx(250 / 3)
    assert rows["accuracy"]["std"] == pytest.approx(np.std([100, 200 / 3], ddof=1))
    assert [rows[name]["paper"] for name in ("accuracy", "weighted F1", "macro F1", "F1 y")] == [70, 60, None, 2]
    assert summary({"a": named["a"]}, ["x", "y"], None)[0]["std"] is None


def test_conversations(corpus):
    result = conversations(corpus, "test")
    assert [len(d["turns"]) for d in result] == [4, 2]
    assert result[1] == {
        "id": "d1",
        "turns": [{"speaker": "s1", "sentence": "", "label": 1}, {"speaker": "s0", "sentence": "", "label": 1}],
    }


def test_numbers_that_were_given_are_named_where_they_differ(corpus):
    corpus = replace(corpus, numbers=np.array([1, 2, 5, 6, 0, 1]))
    first, second = conversations(corpus, "test")
    assert [turn.get("number") for turn in first["turns"]] == [None, None, 5, 6]
    assert [turn_name(turn, k) for k, turn in enumerate(second["turns"])] == [
        "turn 1 (utterance 0)",
        "turn 2 (utterance 1)",
    ]
    assert turn_name(first["turns"][1], 1) == "turn 2"
