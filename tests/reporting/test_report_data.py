"""What a report is called; its parts have tests of their own."""

from dataclasses import replace

from tests.reporting.made_up import made_up, some_corpus


def test_synthetic_conversations_are_called_so():
    corpus = some_corpus([3, 2])
    assert made_up(corpus)["title"] == "ECERC on MELD, test split"
    data = made_up(replace(corpus, sources={"synthetic": "0"}))
    assert (data["title"], data["dataset"]) == ("ECERC on synthetic MELD, test split", "synthetic MELD")


def test_places_of_checkpoints_and_turns():
    """Checkpoints of the second run follow those of the first; groups are those of each turn."""
    data = made_up(some_corpus([3, 2]), checkpoints=2, runs=2)
    assert [run["checkpoints"] for run in data["runs"]] == [[0, 1], [2, 3]]
    assert [part["run"] for part in data["checkpoints"]] == [0, 0, 1, 1]
    position = data["groups"][0]["rows"]
    turns = [turn for dialogue in data["dialogues"] for turn in dialogue["turns"]]
    assert [position[turn["groups"][0]] for turn in turns] == ["turn 1", "turn 2", "turn 3", "turn 1", "turn 2"]
