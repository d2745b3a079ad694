from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from common.batching.batches import Batches
from common.network.explain import Explanation, explain
from common.reporting.analysis import checkpoint_analysis, dialogue_of
from common.reporting.attended import attended, keys
from common.reporting.groups import groups_of
from tests.small import random_corpus, small_network


@pytest.fixture(scope="module")
def corpus():
    return random_corpus([5, 3, 1, 9, 9, 9, 20], seed=4)


def analysed(corpus, explanation, temperature=None, **options):
    network = small_network(corpus)
    return checkpoint_analysis("A.pkl", corpus, "test", network.settings, explanation, temperature, "valid", **options)


@pytest.fixture(scope="module")
def explanation(corpus):
    return explain(small_network(corpus), Batches(corpus, "test", 2, "cpu"))


@pytest.fixture(scope="module")
def result(corpus, explanation):
    return analysed(corpus, explanation, 2.0)


def flat(corpus, **changes):
    """An Explanation in which nothing varies, but for `changes`."""
    n = len(corpus.label)
    three, four = np.full((n, 3), 0.5), np.full((n, 4), 0.5)
    log_prob = np.log(np.full((n, len(corpus.classes)), 1 / len(corpus.classes)))
    same = Explanation(log_prob, three, four, three, four, three.astype(int), four.astype(int), [{}] * len(corpus.ids))
    return replace(same, **changes)


def test_turns(corpus, explanation, result):
    assert len(result["turns"]) == 56
    for k, turn in enumerate(result["turns"]):
        assert turn["probability"] == pytest.approx(np.exp(explanation.log_prob[k]), rel=1e-6)
        assert turn["prediction"] == explanation.log_prob[k].argmax()
        for key in ("gates", "route_gates", "drop", "route_drop", "without", "route_without"):
            assert turn[key] == getattr(explanation, key)[k].tolist()


def test_scores_against_scikit_learn(corpus, explanation, result):
    prediction = explanation.log_prob.argmax(1)
    f1 = f1_score(corpus.label, prediction, average=None, labels=range(4), zero_division=0)
    assert [row["f1"] for row in result["per_class"]] == pytest.approx(100 * f1)
    np.testing.assert_array_equal(result["confusion"], confusion_matrix(corpus.label, prediction, labels=range(4)))
    accuracy = 100 * accuracy_score(corpus.label, prediction)
    low, high = result["interval"]["accuracy"]
    assert low < accuracy < high
    dialogue = dialogue_of(corpus, "test")
    assert dialogue.tolist() == [d for d, n in enumerate([5, 3, 1, 9, 9, 9, 20]) for _ in range(n)]
    for k, table in enumerate(result["groups"]):
        place = groups_of(corpus, "test")[1][:, k]
        for row, found in enumerate(table["rows"]):
            pair = corpus.label[place == row], prediction[place == row]
            assert found["count"] == len(pair[0])
            assert found["accuracy"] == pytest.approx(100 * accuracy_score(*pair))
            expected = f1_score(*pair, average="weighted", labels=range(4), zero_division=0)
            assert found["wf1"] == pytest.approx(100 * expected)
            if len({*dialogue[place == row]}) == 1:
                assert found["interval"] is None
            else:
                low, high = found["interval"]
                assert 0 <= low <= high <= 100


def test_where_all_is_right_the_interval_has_no_width(corpus):
    right = analysed(corpus, flat(corpus, log_prob=np.log(np.eye(4)[corpus.label] * 0.9 + 0.025)))
    assert [right["interval"][key] for key in ("accuracy", "wf1")] == [[100, 100]] * 2
    rows = [row["interval"] for table in right["groups"] for row in table["rows"]]
    assert [100, 100] in rows
    assert all(ends in ([100, 100], None) for ends in rows)


def test_gates(corpus, explanation, result):
    gates = {row["name"]: row for row in result["gates"]}
    assert [row["kind"] for row in result["gates"]] == ["modality"] * 3 + ["route"] * 4
    assert gates["audio"]["mean"] == pytest.approx(explanation.gates[:, 1].mean())
    assert gates["audio"]["std"] == pytest.approx(explanation.gates[:, 1].std(), rel=1e-4)
    ranks = [rankdata(column) for column in (explanation.route_gates[:, 3], explanation.route_drop[:, 3])]
    assert gates["cross_event"]["rho"] == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_gates_that_hardly_vary_are_flat(corpus):
    ends = np.resize([0.0, 1.0], len(corpus.label))[:, None]
    gates = 0.5 + (ends - 0.5) * [0.019, 0.021, 0.0]  # standard deviations are halves of these
    found = analysed(corpus, flat(corpus, gates=gates))["gates"]
    assert [row["flat"] for row in found[:3]] == [True, False, True]


def test_gates_that_never_change_have_no_rank(corpus):
    assert [row["rho"] for row in analysed(corpus, flat(corpus))["gates"]] == [None] * 7


def test_equal_gates_share_their_rank(corpus):
    gates, drop = np.random.default_rng(0).integers(3, size=(2, len(corpus.label), 3)).astype(np.float32)
    found = analysed(corpus, flat(corpus, gates=gates, drop=drop))["gates"]
    expected = [spearmanr(gates[:, k], drop[:, k]).statistic for k in range(3)]
    assert [row["rho"] for row in found[:3]] == pytest.approx(expected, abs=1e-12)


def test_attention_is_that_of_each_dialogue(corpus, explanation, result):
    assert len(result["attention"]) == 7
    assert result["attention"][0]["self_emotion"][0] is None
    assert result["attention"][1]["self_event"][2] == {"keys": 1, "entropy": 0, "top": [[2, 1]]}
    last = corpus.speaker[corpus.offset[6] :]
    rows, heads = attended(explanation.attention[6]["cross_event"], keys(last, "cross_event"))
    assert result["attention"][6]["cross_event"] == rows
    assert result["heads"][6]["cross_event"] == heads
    assert len(heads[-1]) == 2
    assert "self_event" not in result["heads"][6]
    spread = {row["route"]: row for row in result["attention_spread"]}
    assert spread["self_event"]["own_only"]
    several = [row for d in result["attention"] for row in d["cross_event"] if row and row["keys"] > 1]
    assert spread["cross_event"]["rows"] == len(several)
    assert spread["cross_event"]["largest"] == pytest.approx(np.mean([r["top"][0][1] * r["keys"] for r in several]))


def test_calibration_and_the_bins_of_turns(corpus, result):
    assert result["calibration"]["after"]["nll"] != result["calibration"]["before"]["nll"]
    for k, when in enumerate(("before", "after")):
        bins = [turn["bins"][k] for turn in result["turns"]]
        counts = [row["count"] for row in result["calibration"][when]["bins"]]
        assert np.bincount(bins, minlength=15).tolist() == counts


def test_a_confidence_on_the_edge_is_in_the_lower_bin():
    corpus = random_corpus([2], classes=2)
    log_prob = np.log([[0.8, 0.2], [0.8 + 1e-9, 0.2 - 1e-9]])  # 12 / 15
    found = analysed(corpus, flat(corpus, log_prob=log_prob), 1.0)
    assert [turn["bins"][0] for turn in found["turns"]] == [11, 12]


def test_what_has_no_label_or_no_temperature_has_no_calibration(corpus, explanation):
    unfitted = analysed(corpus, explanation)
    assert unfitted["calibration"] is None
    assert {tuple(turn["bins"]) for turn in unfitted["turns"]} == {(-1, -1)}
    unknown = replace(corpus, label=np.full_like(corpus.label, -1))
    found = analysed(unknown, explanation, 2.0)
    assert found["calibration"] is None
    assert found["interval"] == {"accuracy": None, "wf1": None, "macro_f1": None}
    assert [row["f1"] for row in found["per_class"]] == [None] * 4
    assert [table["rows"] for table in found["groups"]] == [[]] * 4


def test_calibrated_probabilities_are_those_after_the_temperature(corpus, explanation):
    found = analysed(corpus, explanation, 2.0, calibrated=True)
    root = np.exp(explanation.log_prob) ** 0.5
    expected = root / root.sum(1, keepdims=True)
    np.testing.assert_allclose([turn["probability"] for turn in found["turns"]], expected, rtol=1e-5)
