from dataclasses import replace

import numpy as np
import pytest

from common.reporting.conversations import conversations, turn_name
from tests.small import random_corpus


@pytest.fixture
def corpus():
    corpus = random_corpus([4, 2], speakers=2, classes=3)
    corpus.speaker[:] = [0, 1, 0, 0, 1, 0]
    corpus.label[:] = [2, 1, 2, 0, 1, 1]
    return corpus


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
