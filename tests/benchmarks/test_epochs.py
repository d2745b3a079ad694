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


def test_epochs_are_measured_beside_the_plain_ones(folder):
    threads = torch.get_num_threads()
    rows = measure_epochs("MELD", folder, repetitions=2, threads=1, device="cpu")
    assert torch.get_num_threads() == threads
    for rule in ("released", "strict"):
        for name in ("training epoch and validation", "evaluation of test"):
            ours, theirs, ratio = (rows[f"{rule}: {name}{kind}"] for kind in (", s", ", plain, s", ", plain / ours"))
            assert ours["n"] == theirs["n"] == 2
            assert theirs["least"] / ours["most"] <= ratio["least"] <= ratio["most"] <= theirs["most"] / ours["least"]
            assert rows[f"{rule}: {name}, necessary GFLOP"] > 0


def test_plain_training(folder, capsys):
    """The loss of the first epoch is near that of guessing, and falls."""
    plain.run("MELD", folder, 6, "cpu")
    printed = re.findall(r"epoch \d+: loss ([0-9.]+)", capsys.readouterr().out)
    losses = [float(loss) for loss in printed]
    assert len(losses) == 18
    for first, last in zip(losses[::6], losses[5::6], strict=True):
        assert 1 < first < 2.5
        assert last < first
