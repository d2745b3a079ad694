"""Conversations under way, against whole ones."""

import numpy as np
import pytest
import torch

from common.errors import InputError
from common.features.extract import Workers
from common.prediction.live import Conversations, Emotion, emotion_of
from common.prediction.predict import predict
from common.prediction.run import open_run
from tests.prediction.made_up import CLASSES, source_of

pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")
CPU = torch.device("cpu")
ROWS = [
    *(("one", "A", "Hi."), ("one", "B", "Hi!"), ("one", "A", "Well"), ("one", "B", "No."), ("one", "B", "Hi.")),
    *(("one", "C", "Stop"), ("one", "A", "I won't!")),
    *(("two", "Z", "Is it you?"), ("two", "Z", "Yes."), ("two", "A", "Hm.")),
]


@pytest.fixture(scope="module")
def run(strict):
    return open_run(strict, None, CPU)


@pytest.fixture
def under_way(run):
    return Conversations(run, run.recipe.extractors("cpu", run.kinds)[0])


def test_sentence_by_sentence_is_as_whole_conversations(run, under_way, tmp_path):
    whole = predict(run, source_of(ROWS), Workers(), tmp_path, print)
    mixed = [7, 0, 1, 8, 2, 3, 4, 9, 5, 6]
    found = {row: under_way(*ROWS[row]) for row in mixed}
    live = np.array([list(found[row].probabilities.values()) for row in range(len(ROWS))])
    np.testing.assert_allclose(live, whole.probability, rtol=0, atol=1e-5)
    assert [found[row].emotion for row in range(len(ROWS))] == whole.emotions
    assert under_way.lengths == {"two": 3, "one": 7}
    under_way.end("one")
    assert under_way.lengths == {"two": 3}
    assert under_way(*ROWS[0]).probabilities == pytest.approx(found[0].probabilities, abs=1e-6)


def test_networks_of_the_release_answer_with_strict_history(released):
    run = open_run(released, None, CPU)
    under_way = Conversations(run, run.recipe.extractors("cpu", run.kinds)[0])
    first = under_way("a", "Ann", "Hello")
    under_way("a", "Bo", "Go away.")
    assert under_way("b", "Cem", "Hello").probabilities == pytest.approx(first.probabilities, abs=1e-6)


def test_what_is_refused_changes_nothing(under_way):
    under_way("a", "Ann", "Hello")
    for wrong, said in (
        (("ann", "Hi"), "found the name 'ann'; before it was 'Ann'; expected one spelling"),
        (("", "Hi"), "found no name before 'Hi'"),
        ((None, "Hi"), "found None and 'Hi'; expected a name and a sentence, both texts"),
        (("Ann", 3), "expected a name and a sentence"),
    ):
        with pytest.raises(InputError, match=said):
            under_way("a", *wrong)
    assert under_way.lengths == {"a": 1}
    with pytest.raises(InputError, match="'b' is not under way"):
        under_way.end("b")
    under_way("b", "ann", "Hi")  # in another conversation it is another name
    assert under_way("a", "Bo", "").lacks == {"text": "no text"}


def test_a_conversation_that_only_some_networks_took_begins_anew(run, under_way, monkeypatch):
    before = under_way("a", "Ann", "Hello")
    real, calls = type(under_way._lives[0]).__call__, []

    def fails(live, *given, **features):
        calls.append(live)
        if len(calls) == 2:
            raise InputError("too large")
        return real(live, *given, **features)

    monkeypatch.setattr(type(under_way._lives[0]), "__call__", fails)
    with pytest.raises(InputError, match="too large"):
        under_way("a", "Bo", "Go away.")
    assert under_way.lengths == {}
    assert under_way("a", "ann", "Hello").probabilities == pytest.approx(before.probabilities, abs=1e-6)


def test_an_emotion_says_what_it_is():
    found = emotion_of(np.array([0.25, 0.125, 0.625]), CLASSES, {})
    assert found == Emotion("glad", 0.625, {"angry": 0.25, "calm": 0.125, "glad": 0.625})
    assert str(found) == "glad 0.625"
    assert repr(found) == "Emotion('glad', 0.625)"
