"""What the script of the page gets, against the data that it is made of."""

import json
import math
import re

import numpy as np
import pytest

from common.reporting.compact import explorer_data, head_data, short
from tests.reporting.made_up import made_up, some_corpus


@pytest.fixture(scope="module")
def data():
    return made_up(some_corpus([8, 3, 12, 1, 20]), checkpoints=2)


@pytest.fixture(scope="module")
def compact(data):
    return json.loads(json.dumps(explorer_data(data)))


def test_turns_are_columns_that_are_shortened(data, compact):
    for part, brief in zip(data["checkpoints"], compact["checkpoints"], strict=True):
        for name in ("probability", "drop", "route_drop"):
            np.testing.assert_allclose(brief["turns"][name], [turn[name] for turn in part["turns"]], atol=5.1e-4)
        for name in ("prediction", "bins", "without", "route_without"):
            assert brief["turns"][name] == [turn[name] for turn in part["turns"]]


def test_gates_are_deviations(data, compact):
    for part, brief in zip(data["checkpoints"], compact["checkpoints"], strict=True):
        for column, weights, names in (("gate_z", "gates", "modalities"), ("route_gate_z", "route_gates", "routes")):
            table = np.array([turn[weights] for turn in part["turns"]])
            deviations = (table - table.mean(0)) / table.std(0)
            np.testing.assert_allclose(brief["turns"][column], deviations, atol=5.1e-3)
            for k, name in enumerate(data["runs"][0][names]):
                np.testing.assert_allclose(brief["gates"][name], [table[:, k].mean(), table[:, k].std()], atol=5.1e-5)


def test_a_gate_that_never_changes_does_not_deviate(data):
    part = data["checkpoints"][0]
    gates = [gate | {"std": 0.0} if gate["name"] == "text" else gate for gate in part["gates"]]
    brief = explorer_data(data | {"checkpoints": [part | {"gates": gates}]})["checkpoints"][0]
    assert {row[0] for row in brief["turns"]["gate_z"]} == {0}


def test_attention_is_multiples_of_an_even_share(data, compact):
    for part, brief in zip(data["checkpoints"], compact["checkpoints"], strict=True):
        for dialogue, again in zip(part["attention"], brief["attention"], strict=True):
            for route, rows in dialogue.items():
                for row, less in zip(rows, again[route], strict=True):
                    assert (row is None) == (less is None)
                    if row:
                        keys, effective, *pairs = less
                        assert keys == row["keys"]
                        assert effective == pytest.approx(math.exp(row["entropy"]), abs=5.1e-3)
                        assert pairs[::2] == [turn for turn, _ in row["top"]]
                        np.testing.assert_allclose(pairs[1::2], [w * keys for _, w in row["top"]], atol=5.1e-3)
        assert brief["own_only"] == ["self_event"]


def test_heads(data):
    for part, brief in zip(data["checkpoints"], head_data(data), strict=True):
        for heads, attention, again in zip(part["heads"], part["attention"], brief, strict=True):
            assert set(again) == {"self_emotion", "cross_emotion", "cross_event"}
            for route, rows in heads.items():
                for row, seen, less in zip(rows, attention[route], again[route], strict=True):
                    assert (row is None) == (less is None)
                    if row:
                        expected = [[turn, w * seen["keys"], math.exp(entropy)] for turn, w, entropy in row]
                        np.testing.assert_allclose(np.reshape(less, (-1, 3)), expected, atol=5.1e-3)


def test_the_rest_is_as_it_was(data, compact):
    for name in ("classes", "colors", "calibrated", "dialogues"):
        assert compact[name] == data[name]
    assert compact["groups"] == [{"title": group["title"], "rows": group["rows"]} for group in data["groups"]]
    assert compact["highlight"] == data["highlight"] | {"drop": round(data["highlight"]["drop"], 3)}
    (run,) = compact["runs"]
    assert run["ensemble"]["predictions"] == data["runs"][0]["ensemble"]["predictions"]
    assert run["empty_history"] == "released"
    assert run["checkpoints"] == [0, 1]


def test_no_number_is_longer_than_it_is_told(data):
    text = json.dumps(explorer_data(data)) + json.dumps(head_data(data))
    assert max(len(digits) for digits in re.findall(r"\d\.(\d+)", text)) == 4  # of gates' means


def test_short():
    assert json.dumps(short([[0.12345, 1.0], [2.0004, -0.0004]])) == "[[0.123, 1], [2, 0]]"
    assert json.dumps(short([0.126, 2.5], 2)) == "[0.13, 2.5]"


def test_it_grows_with_the_turns_and_not_with_their_square():
    sizes = [len(json.dumps(explorer_data(made_up(some_corpus([n]), checkpoints=1)))) for n in (100, 200)]
    assert sizes[1] < 2.3 * sizes[0]
