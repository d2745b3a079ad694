"""What the benchmark times, on a few conversations of the released widths."""

import re

import pytest
import torch

from benchmarks import plain
from benchmarks.conversations import WIDTHS
from benchmarks.epochs import measure_epochs
from common.data import meld
from common.data.synthetic import synthetic_corpus


@pytest.fixture
def folder(tmp_path):
    """A data folder with a few dialogues of MELD's widths."""
    corpus = synthetic_corpus("MELD", sizes=(4, 1, 2), turns=(2, 3), widths=WIDTHS["MELD"])
    meld.write(corpus, tmp_path / meld.FOLDER)
    return tmp_path


def test_epochs_are_measured_beside_those_of_the_authors(folder):
    threads = torch.get_num_threads()
    rows = measure_epochs("MELD", folder, repetitions=2, threads=1, device="cpu")
    assert torch.get_num_threads() == threads
    for rule in ("released", "strict"):
        for name in ("training epoch and validation", "evaluation of test", "epoch with validation and test"):
            kinds = (", s", ", authors' way, s", ", authors' way / ours")
            ours, theirs, ratio = (rows[f"{rule}: {name}{kind}"] for kind in kinds)
            assert ours["n"] == theirs["n"] == 2
            assert theirs["least"] / ours["most"] <= ratio["least"] <= ratio["most"] <= theirs["most"] / ours["least"]
            assert rows[f"{rule}: {name}, necessary GFLOP"] > 0
        whole = rows[f"{rule}: epoch with validation and test, s"]
        parts = [rows[f"{rule}: {name}, s"] for name in ("training epoch and validation", "evaluation of test")]
        assert sum(part["least"] for part in parts) <= whole["least"] <= whole["most"]
        assert whole["most"] <= sum(part["most"] for part in parts)


def test_the_optimiser_of_the_authors_is_pytorchs_default():
    network = plain.build("MELD")
    (group,) = plain.adam("MELD", network).param_groups
    assert (group["fused"], group["foreach"], group["weight_decay"]) == (None, None, 2e-4)
    assert len(group["params"]) == len(list(network.parameters()))


def test_features_are_converted_in_each_epoch(folder, monkeypatch):
    """As the authors' data loader does: each utterance of each feature, each time."""
    dialogues, made, convert = plain.load("MELD", folder)["train"], [], torch.FloatTensor

    def counted(array):
        made.append(len(array))
        return convert(array)

    monkeypatch.setattr(plain.torch, "FloatTensor", counted)
    for epochs in (1, 2):
        list(plain.batches("MELD", dialogues, 32, True, "cpu"))
        assert sum(made) == epochs * 4 * sum(len(dialogue[5]) for dialogue in dialogues)


def test_plain_training(folder, capsys):
    """The loss of the first epoch is near that of guessing, and falls."""
    plain.run("MELD", folder, 3, "cpu")
    printed = re.findall(r"epoch \d+: loss ([0-9.]+)", capsys.readouterr().out)
    losses = [float(loss) for loss in printed]
    assert len(losses) == 9
    for first, last in zip(losses[::3], losses[2::3], strict=True):
        assert 1 < first < 2.5
        assert last < first
