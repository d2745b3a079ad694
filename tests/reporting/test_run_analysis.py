import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from common.evaluation.metrics import scores
from common.reporting.analysis import checkpoint_analysis
from common.reporting.conversations import conversations
from common.reporting.run_analysis import ensemble_scores, highlight, run_analysis
from common.settings import EvaluationSettings
from tests.reporting.made_up import explanation_of, some_corpus
from tests.small import random_corpus

SETTINGS = EvaluationSettings()


@pytest.fixture(scope="module")
def corpus():
    corpus = some_corpus([6, 1, 12, 40, 9], classes=["a", "b", "c"], seed=2)
    corpus.label[[3, 20]] = -1
    return corpus


@pytest.fixture(scope="module")
def made(corpus):
    """Three explanations of the corpus, and what is said of each checkpoint."""
    rng = np.random.default_rng(1)
    explanations = [explanation_of(rng, corpus, SETTINGS) for _ in range(3)]
    parts = [
        checkpoint_analysis(n, corpus, "test", SETTINGS, e, None, "") for n, e in zip("xyz", explanations, strict=True)
    ]
    return explanations, parts


@pytest.fixture(scope="module")
def run(corpus, made):
    explanations, parts = made
    paper = {"accuracy": 70.0, "wf1": 60.0, "f1": [1.0, 2.0, 3.0]}
    log_probs = [explanation.log_prob for explanation in explanations]
    return run_analysis("r", SETTINGS, parts, log_probs, corpus, "test", paper) | {"checkpoints": [0, 1, 2]}


def known(corpus, *predictions):
    return [values[corpus.label >= 0] for values in (corpus.label, *predictions)]


def test_the_summary_against_scikit_learn(corpus, made, run):
    rows = {row["name"]: row for row in run["summary"]}
    predictions = [e.log_prob.argmax(1) for e in made[0]]
    options = {"labels": range(3), "zero_division": 0}
    for name, score in (
        ("accuracy", accuracy_score),
        ("weighted F1", lambda a, b: f1_score(a, b, average="weighted", **options)),
        ("macro F1", lambda a, b: f1_score(a, b, average="macro", **options)),
        ("F1 b", lambda a, b: f1_score(a, b, average=None, **options)[1]),
    ):
        values = [100 * score(*known(corpus, prediction)) for prediction in predictions]
        assert rows[name]["values"] == pytest.approx(values), name
        assert rows[name]["mean"] == pytest.approx(np.mean(values))
        assert rows[name]["std"] == pytest.approx(np.std(values, ddof=1))
        low, high = rows[name]["interval"]
        assert low < rows[name]["mean"] < high
    assert [rows[name]["paper"] for name in ("accuracy", "weighted F1", "macro F1", "F1 c")] == [70, 60, None, 3]


def test_what_parts_bring(corpus, made, run):
    rows = {row["name"]: row for row in run["without"]}
    assert [row["kind"] for row in run["without"]] == ["modality"] * 3 + ["route"] * 4
    changes, changed = [], []
    for explanation in made[0]:
        full, blind = explanation.log_prob.argmax(1), explanation.route_without[:, 1]
        label, full_known, blind_known = known(corpus, full, blind)
        wf1 = [f1_score(label, p, average="weighted", zero_division=0) for p in (blind_known, full_known)]
        changes.append(100 * (wf1[0] - wf1[1]))
        changed.append((blind != full).mean())
    assert rows["cross_emotion"]["wf1_change"] == pytest.approx(changes)
    assert rows["cross_emotion"]["mean"] == pytest.approx(np.mean(changes))
    assert rows["cross_emotion"]["changed"] == pytest.approx(np.mean(changed))


def test_agreement(corpus, made, run):
    predictions = [e.log_prob.argmax(1) for e in made[0]]
    right = sum((p == corpus.label).astype(int) for p in predictions)[corpus.label >= 0]
    assert run["agreement"]["all_right"] == (right == 3).sum()
    assert run["agreement"]["all_wrong"] == (right == 0).sum()
    assert run["agreement"]["mixed"] == ((right > 0) & (right < 3)).sum()
    assert run["agreement"]["same"] == sum(len(set(three)) == 1 for three in zip(*predictions, strict=True))
    a, b, c = predictions
    pairs = [cohen_kappa_score(*pair) for pair in ((a, b), (a, c), (b, c))]
    assert run["agreement"]["kappa"] == pytest.approx(np.mean(pairs))


def test_the_ensemble(corpus, made, run):
    mean = np.mean([np.exp(e.log_prob.astype(float)) for e in made[0]], axis=0)
    assert run["ensemble"]["predictions"] == mean.argmax(1).tolist()
    assert run["ensemble"]["probability"] == pytest.approx(mean.max(1))
    label, prediction = known(corpus, mean.argmax(1))
    rows = {row["name"]: row for row in run["ensemble"]["scores"]}
    assert rows["weighted F1"]["value"] == pytest.approx(100 * f1_score(label, prediction, average="weighted"))
    assert rows["F1 a"]["value"] == pytest.approx(100 * f1_score(label, prediction, average=None)[0])
    assert rows["accuracy"]["interval"][0] < rows["accuracy"]["value"] < rows["accuracy"]["interval"][1]


def test_the_ensemble_by_hand():
    a = np.log([[0.9, 0.1], [0.45, 0.55]])
    b = np.log([[0.2, 0.8], [0.9, 0.1]])
    assert ensemble_scores([a, b], np.array([0, 0]), ["x", "y"])["accuracy"] == 100
    assert scores([0, 0], a.argmax(1), ["x", "y"])["accuracy"] == 50


def test_one_checkpoint_has_no_spread(corpus, made):
    explanations, parts = made
    run = run_analysis("", SETTINGS, parts[:1], [explanations[0].log_prob], corpus, "test", None)
    assert {row["std"] for row in run["summary"] + run["without"]} == {None}
    assert run["ensemble"] is run["agreement"] is None


def test_no_labels_no_scores():
    corpus = random_corpus([4, 5])
    corpus.label[:] = -1
    made = [explanation_of(np.random.default_rng(k), corpus, SETTINGS) for k in range(2)]
    parts = [checkpoint_analysis("x", corpus, "test", SETTINGS, e, None, "") for e in made]
    run = run_analysis("", SETTINGS, parts, [e.log_prob for e in made], corpus, "test", None)
    assert run["summary"] == run["ensemble"]["scores"] == []
    assert {row["mean"] for row in run["without"]} == {None}
    assert all(0 <= row["changed"] <= 1 for row in run["without"])


def test_two_that_always_say_the_same_class_have_no_kappa():
    corpus = random_corpus([4])
    made = explanation_of(np.random.default_rng(0), corpus, SETTINGS)
    made.log_prob[:] = np.log([0.7, 0.1, 0.1, 0.1])
    part = checkpoint_analysis("x", corpus, "test", SETTINGS, made, None, "")
    run = run_analysis("", SETTINGS, [part, part], [made.log_prob] * 2, corpus, "test", None)
    assert run["agreement"]["kappa"] is None
    assert run["agreement"]["same"] == 4


def test_the_conversation_worth_a_look(corpus, made, run):
    dialogues, parts = conversations(corpus, "test"), made[1]
    found = highlight(run, parts, dialogues, corpus.classes)
    best, explanation = None, made[0][0]
    prediction = explanation.log_prob.argmax(1)
    for row in range(len(corpus.label)):
        dialogue = np.searchsorted(corpus.offset, row, side="right") - 1
        for route in (0, 1, 3):  # not the self event, which does not look back
            turn, who = row - corpus.offset[dialogue], corpus.speaker[corpus.offset[dialogue] : row + 1]
            saw = (who[:-1] == who[-1]).any() if route == 0 else (who[:-1] != who[-1]).any()
            changes = saw and explanation.route_without[row, route] != prediction[row] == corpus.label[row]
            drop = explanation.route_drop[row, route]
            if changes and dialogue != 3 and (best is None or drop > best[0]):  # dialogue 3 has 40 turns
                best = drop, dialogue, turn, route
    drop, dialogue, turn, route = best
    assert (found["dialogue"], found["turn"], found["route"]) == (dialogue, turn, SETTINGS.routes[route])
    assert found["drop"] == pytest.approx(drop)
    other = corpus.classes[explanation.route_without[corpus.offset[dialogue] + turn, route]]
    assert found["reason"].startswith(f"Turn {turn + 1} is predicted ")
    assert found["reason"].endswith(f"route it would be {other}.")


def test_a_route_without_history_is_no_reason_to_look(corpus, made, run):
    """A speaker's first turn looks at the whole padded dialogue under "released" empty history."""
    part = made[1][0]
    blind = [{route: [None] * len(rows) for route, rows in d.items()} for d in part["attention"]]
    assert highlight(run, [part | {"attention": blind}], conversations(corpus, "test"), corpus.classes) is None


def test_where_no_route_changes_anything_there_is_no_such_conversation(corpus, made, run):
    part = made[1][0]
    turns = [turn | {"route_without": [turn["prediction"]] * 4} for turn in part["turns"]]
    assert highlight(run, [part | {"turns": turns}], conversations(corpus, "test"), corpus.classes) is None
