"""Two runs trained otherwise in one explorer: a headless Chromium, skipped where there is none."""

import numpy as np
import pytest

from common.settings import EvaluationSettings
from tests.reporting.made_up import made_up, page_in, result, some_corpus


@pytest.fixture(scope="module")
def data():
    """Two checkpoints of a run, and two of one without visual features and cross event."""
    corpus = some_corpus([6, 12, 9], seed=3)
    data = made_up(corpus, checkpoints=2, seed=1)
    less = EvaluationSettings(modalities="TA", without=("cross-event-attention",), empty_history="strict")
    other = made_up(corpus, checkpoints=2, seed=2, settings=less)
    data["runs"][0]["name"] = "runs/all"
    data["runs"].append(other["runs"][0] | {"name": "runs/less", "checkpoints": [2, 3]})
    data["checkpoints"] += [part | {"run": 1} for part in other["checkpoints"]]
    return data


@pytest.fixture(scope="module")
def address(data, tmp_path_factory):
    return page_in(tmp_path_factory.mktemp("two"), data).as_uri()


TABLE = """name => [...document.querySelectorAll(`.selected table[data-name^=${name}] tbody tr`)]
    .map(row => [...row.cells].map(cell => cell.innerText.trim()))"""


@pytest.mark.parametrize("checkpoint", [0, 3])
def test_a_turn_shows_its_run_and_all_checkpoints(data, open_page, checkpoint):
    page = open_page(f"#dialogue=101&turn=12&checkpoint={checkpoint + 1}")
    run = data["runs"][data["checkpoints"][checkpoint]["run"]]
    label = data["dialogues"][1]["turns"][11]["label"]
    names = [name.replace("_", " ") for name in (*run["routes"], *run["modalities"])]
    assert len(names) == (7 if checkpoint == 0 else 5)
    assert [row[0] for row in page.evaluate(TABLE, "lost")] == names
    assert [row[0] for row in page.evaluate(TABLE, "gates")] == names
    lanes = [name for name in names[: len(run["routes"])] if name != "self event"]
    assert page.locator(".columns .lanes > span").all_inner_texts() == lanes
    assert [row[0] for row in page.evaluate(TABLE, "attention")] == lanes
    expected = []
    for one in data["runs"]:
        predictions = [(data["checkpoints"][c]["name"], result(data, c, 1, 11)[1]) for c in one["checkpoints"]]
        for name, k in [*predictions, ("ensemble", one["ensemble"]["predictions"][17])]:
            verdict = "✓ right" if k == label else "✗ wrong"
            expected.append([f"{one['name']}: {name}", data["classes"][k], verdict])
    rows = page.evaluate(TABLE, "checkpoints")
    assert [[row[0], row[1], row[4]] for row in rows] == expected
    right = sum(result(data, c, 1, 11)[1] == label for c in run["checkpoints"])
    assert f"({right} of 2 right)" in page.locator(".selected > button").inner_text()


def test_a_turn_without_history_says_what_its_run_does(open_page):
    page = open_page("#dialogue=100&turn=1")
    assert {row[1] for row in page.evaluate(TABLE, "attention")} == {
        "no history; looked evenly at the whole padded dialogue"
    }
    page.select_option("#checkpoint", value="2")
    assert {row[1] for row in page.evaluate(TABLE, "attention")} == {"no history; looked at nothing"}


@pytest.mark.parametrize("checkpoint", [0, 2])
@pytest.mark.parametrize("outcome", ["all-wrong", "disagree", "mixed"])
def test_outcomes_are_of_one_run(data, open_page, checkpoint, outcome):
    page = open_page(f"#outcome={outcome}&checkpoint={checkpoint + 1}")
    run = data["runs"][data["checkpoints"][checkpoint]["run"]]
    label = np.array([turn["label"] for dialogue in data["dialogues"] for turn in dialogue["turns"]])
    predictions = np.array(
        [[turn["prediction"] for turn in data["checkpoints"][c]["turns"]] for c in run["checkpoints"]]
    )
    counts = {"all-wrong": (predictions != label).all(0), "disagree": np.ptp(predictions, axis=0) > 0}
    counts["mixed"] = (predictions == label).any(0) & (predictions != label).any(0)
    count = counts[outcome].sum()
    assert f", {count} turn" in page.locator("#found").inner_text()


@pytest.mark.parametrize("outcome", ["both-right", "first-only", "second-only", "both-wrong"])
def test_turns_that_only_one_run_has_right(data, open_page, outcome):
    """By the ensemble of each."""
    page = open_page(f"#outcome={outcome}")
    label = np.array([turn["label"] for dialogue in data["dialogues"] for turn in dialogue["turns"]])
    first, second = (np.array(run["ensemble"]["predictions"]) == label for run in data["runs"])
    ways = {"both-right": first & second, "first-only": first & ~second, "second-only": ~first & second}
    ways["both-wrong"] = ~first & ~second
    count = (ways[outcome] & (label >= 0)).sum()
    assert f", {count} turn" in page.locator("#found").inner_text()
    assert page.locator("#outcome").input_value() == outcome
