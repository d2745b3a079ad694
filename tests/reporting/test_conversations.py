from dataclasses import replace

import numpy as np

from common.reporting.conversations import conversations, turn_name


def test_conversations(two_talks):
    result = conversations(two_talks, "test")
    assert [len(d["turns"]) for d in result] == [4, 2]
    assert result[1] == {
        "id": "d1",
        "turns": [{"speaker": "s1", "sentence": "", "label": 1}, {"speaker": "s0", "sentence": "", "label": 1}],
    }


def test_numbers_that_were_given_are_named_where_they_differ(two_talks):
    corpus = replace(two_talks, numbers=np.array([1, 2, 5, 6, 0, 1]))
    first, second = conversations(corpus, "test")
    assert [turn.get("number") for turn in first["turns"]] == [None, None, 5, 6]
    assert [turn_name(turn, k) for k, turn in enumerate(second["turns"])] == [
        "turn 1 (utterance 0)",
        "turn 2 (utterance 1)",
    ]
    assert turn_name(first["turns"][1], 1) == "turn 2"
