"""Figures of small files and conversations, counted by hand; and the published ones among each other."""

import pickle

import numpy as np
import pytest
import torch

from common.data.corpus import from_dialogues
from common.errors import InputError
from common.release import inspection, published
from common.training.loss import RELEASED_FREQUENCIES


def corpus_of(speakers, splits, label=None, **changes):
    """Dialogues with the given lists of speakers, one number per feature, all different."""
    n = sum(map(len, speakers))
    features = {name: np.arange(1.0, n + 1, dtype=np.float32)[:, None] for name in ("text", "event", "audio", "visual")}
    return from_dialogues(
        "MELD",
        lengths=[len(s) for s in speakers],
        ids=range(len(speakers)),
        split_sizes=splits,
        classes=["a", "b", "c"],
        speakers=["x", "y", "z"],
        label=np.zeros(n, np.int64) if label is None else label,
        speaker=np.concatenate(speakers).astype(np.int64),
        features=features | changes,
    )


def test_what_each_field_of_a_file_holds(tmp_path):
    content = (
        {1: ["a", "nan"], 2: ["b"]},
        {1: [np.array([1, np.nan], np.float32), np.array([np.inf, -np.inf], np.float32)], 2: [[1.0, float("nan"), 1]]},
        {1: torch.zeros(2, 4, dtype=torch.float16), 2: np.zeros((1, 4))},
        {1: 5, 2: None, 3: [{}, b"x", "y"]},
        {},
        ["a", 3],
        7,
        {4, 5},
        np.float64(2),
    )
    (tmp_path / "f.pkl").write_bytes(pickle.dumps(content))
    rows = inspection.file_fields(tmp_path / "f.pkl", {1: "text"})
    assert [list(row.values()) for row in rows] == [
        [0, "(not read)", 2, 3, "str", None, None],
        [1, "text", 2, 3, "float32 × 2, list of float/int × 3", 2, 2],
        [2, "(not read)", 2, 3, "float16 × 4, float64 × 4", 0, 0],
        [3, "(not read)", 3, 5, "NoneType, bytes, dict, 2 more kinds", 1, 0],
        [4, "(not read)", 0, 0, "", None, None],
        [5, "(not read)", 2, None, "list: int, str", None, None],
        [6, "(not read)", None, None, "int", None, None],
        [7, "(not read)", 2, None, "set: int", None, None],
        [8, "(not read)", None, None, "float64", None, None],
    ]
    assert list(rows[0]) == ["field", "holds", "dialogues", "utterances", "entries", "NaN", "Inf"]
    (tmp_path / "f.pkl").write_bytes(pickle.dumps("x"))
    with pytest.raises(InputError, match="found a str; expected a tuple of fields"):
        inspection.file_fields(tmp_path / "f.pkl", {})


def test_turns_without_history_are_those_of_the_test_split():
    facts = inspection.corpus_facts(corpus_of([[0], [1, 1], [0, 0, 1, 0, 2], [2, 1, 2]], (1, 1, 2)))
    # no earlier turn of their own: positions 0, 2, 4 and 0, 1; of anybody else: 0, 1 and 0
    assert facts["% of test without earlier turn of the speaker (self)"] == 62.5
    assert facts["% of test without earlier turn of others (cross)"] == 37.5
    assert (facts["longest dialogue"], facts["speakers"], facts["utterances, train and valid"]) == (5, 3, 3)
    assert [facts[f"utterances, {s}"] for s in ("train", "valid", "test")] == [1, 2, 8]
    assert [facts[f"dialogues, {s}"] for s in ("train", "valid", "test")] == [1, 1, 2]


def test_constant_copied_and_blank_features_are_counted():
    text = np.array([[1, 5, 1, 0, 2, 1], [2, 5, 2, 0, 1, 2], [0, 5, 0, 0, 7, 0], [0, 5, 0, 0, 7, 1]], np.float32)
    audio = np.array([[0, 0], [1, 0], [0, 0], [0, 0]], np.float32)
    rows = inspection.feature_facts(corpus_of([[0], [1], [0, 1]], (1, 1, 1), text=text, audio=audio))
    assert list(rows[0].values()) == ["text", 6, 2, 1, 0]
    assert list(rows[1].values()) == ["event", 1, 0, 0, 0]
    assert list(rows[2].values()) == ["audio", 2, 1, 0, 3]


def test_class_counts_per_split():
    corpus = corpus_of([[0, 0], [1], [0, 1]], (1, 1, 1), label=np.array([0, 2, 2, 1, 2]))
    expected = {"train": [1, 0, 1], "valid": [0, 0, 1], "test": [0, 1, 1], "all": [1, 1, 3]}
    assert inspection.class_counts(corpus) == expected


@pytest.mark.parametrize(("run", "pairs"), [(4, []), (5, ["dialogue 2 of test and 0 of train"])])
def test_utterances_in_two_splits(run, pairs):
    values = np.arange(1.0, 16.0, dtype=np.float32)[:, None]
    values[9 : 9 + run] = values[1 : 1 + run]  # within the dialogues, not at their beginning
    same = dict.fromkeys(("text", "event", "audio", "visual"), values)
    speakers, splits = [[0] * 7, [0], [0] * 7], (1, 1, 1)
    assert inspection.repeats(corpus_of(speakers, splits, **same)) == pairs
    other = np.arange(15, dtype=np.float32)[:, None]
    assert inspection.repeats(corpus_of(speakers, splits, **same | {"audio": other})) == []
    blank = dict.fromkeys(same, np.zeros_like(values))
    assert inspection.repeats(corpus_of(speakers, splits, **blank)) == []


@pytest.mark.parametrize("dataset", ["IEMOCAP", "MELD"])
def test_published_figures_agree_with_each_other(dataset):
    facts, total = published.FACTS[dataset], sum(published.ALL_COUNTS[dataset])
    assert sum(published.TEST_COUNTS[dataset]) == facts["utterances, test"]
    assert total == sum(v for k, v in facts.items() if k.startswith("utterances"))
    frequencies = np.array(published.ALL_COUNTS[dataset]) / total
    np.testing.assert_allclose(frequencies, RELEASED_FREQUENCIES[dataset], atol=1e-8)
