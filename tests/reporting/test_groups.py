import numpy as np

from common.reporting.groups import groups_of
from tests.small import random_corpus


def members(corpus):
    """Of each table by its title, of each row by its name: the utterances in it."""
    tables, place = groups_of(corpus, "test")
    return {
        table["title"]: {name: np.flatnonzero(place[:, k] == row).tolist() for row, name in enumerate(table["rows"])}
        for k, table in enumerate(tables)
    }


def test_groups_by_hand(two_talks):
    assert members(two_talks) == {
        "position in the dialogue": {"turn 1": [0, 4], "turn 2": [1, 5], "turn 3": [2], "turns 4 to 5": [3]},
        "own history": {"none": [0, 1, 4, 5], "1": [2], "2": [3]},
        "history of others": {"none": [0, 4], "1": [1, 2, 3, 5]},
        "emotion shift": {"speaker's first": [0, 1, 4, 5], "same emotion": [2], "other emotion": [3]},
    }


def test_labels_that_are_not_known_are_in_no_group_but_in_histories(two_talks):
    two_talks.label[2] = -1
    found = members(two_talks)
    assert found["emotion shift"] == {"speaker's first": [0, 1, 4, 5], "not known": [3]}
    assert found["position in the dialogue"] == {"turn 1": [0, 4], "turn 2": [1, 5], "turns 4 to 5": [3]}
    assert found["own history"] == {"none": [0, 1, 4, 5], "2": [3]}


def test_rows_of_a_long_conversation():
    corpus = random_corpus([50], speakers=1)
    rows = members(corpus)["position in the dialogue"]
    expected = {"turn 1": (1, 1), "turn 2": (2, 2), "turn 3": (3, 3), "turns 4 to 5": (4, 5), "turns 6 to 10": (6, 10)}
    expected |= {"turns 11 to 20": (11, 20), "turns 21 to 40": (21, 40), "turn 41 and later": (41, 50)}
    assert {name: (at[0] + 1, at[-1] + 1) for name, at in rows.items()} == expected


def test_no_labels_no_groups(two_talks):
    two_talks.label[:] = -1
    assert [*members(two_talks).values()] == [{}] * 4
