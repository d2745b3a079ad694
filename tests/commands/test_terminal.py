"""What commands show on a terminal of 80 columns fits it; what they write to a pipe has no codes and is not wrapped."""

import re
import runpy
import sys

import numpy as np
import pandas as pd
import pytest

import common.training.run
from common.__main__ import COMMANDS, main
from common.features.choices import Choices
from common.reporting import figures
from common.terminal import width
from tests.commands.conftest import SMALL
from tests.experiments.made_up import write_sweep
from tests.features.light import Letters
from tests.prediction.made_up import dataset, run_on
from tests.pseudo_terminal import shown_on_terminal
from tests.small import result_of

CLASSES = [f"an emotion with a long name, it is number {k}" for k in range(12)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Conversations of twelve classes with long names, and text features of them."""
    folder, rng = tmp_path_factory.mktemp("wide"), np.random.default_rng(0)
    rows = [
        (f"d{d}", u, "AB"[u % 2], CLASSES[(d + u) % 12], "train" if d < 12 else "valid" if d < 14 else "test")
        for d in range(20)
        for u in range(6)
    ]
    names = ["dialogue", "utterance", "speaker", "label", "split"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "u.csv", index=False)
    np.save(folder / "text.npy", rng.standard_normal((len(rows), 5)))
    return folder


@pytest.fixture
def both(monkeypatch, capsys):
    """What a call writes to a pipe, and the same on a terminal, by lines; both are as they should be."""

    def both(call, again=None):
        printed, status = result_of(call, capsys)
        assert status == 0, printed.err
        piped = printed.out + printed.err
        assert not set("\r\x1b") & set(piped)
        text, seen = shown_on_terminal(again or call)
        for line in seen:
            assert width(line) <= 80 or len(line.split()) == 1, line  # a path alone
        return piped, text

    return both


def script(folder, name, *words):
    """A call of a script as from a shell."""

    def call():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "argv", [name, *map(str, words)])
            patch.setattr(sys, "path", [*sys.path])
            runpy.run_path(name, run_name="__main__")

    return call


def command(*words):
    return lambda: main([*map(str, words)])


def words_of(text):
    """Its words and numbers in alphabetical order, without repeated names of rows and cuts."""
    return set(re.findall(r"[A-Za-z]{3,}|\d+\.\d\d", text))


def test_long_names_and_many_classes(both, files, project, monkeypatch, tmp_path):
    """Build, train, evaluate: two seeds, and ten checkpoints."""
    monkeypatch.setattr(figures, "save_figure", lambda *arguments: None)
    build = ["build", "--utterances", files / "u.csv", "--text", files / "text.npy", "--output"]
    piped, _ = both(command(*build, tmp_path / "one"), command(*build, tmp_path / "two"))
    assert max(map(len, piped.splitlines())) > 80
    monkeypatch.setattr(common.training.run, "device_name", lambda device: "a processor with a long name " * 4)
    options = ["--data-dir", tmp_path / "one", *SMALL, "--modalities", "T"]
    options += ["--without", "self-event-attention", "cross-event-attention"]
    options += ["--batch-size", 4]
    train = [project / "MELD", "train.py", *options, "--output"]
    piped, shown = both(
        script(*train, tmp_path / "run", "--seeds", 1, 2), script(*train, tmp_path / "many", "--seeds", *range(10))
    )
    assert re.search(r"^one seed 2 \(2/2\): 2/2 epochs, train loss [\d.]+, valid loss [\d.]+, valid wF1", piped, re.M)
    assert re.search(r"seed 9 \(10/10\) 2/2 .* <00:00, wF1 [\d.]+ \(best [\d.]+ in epoch [01]\), loss \d", shown)
    inference = script(
        project / "MELD", "inference.py", "--data-dir", tmp_path / "one", "--checkpoints", tmp_path / "many"
    )
    piped, shown = both(inference)
    assert max(map(len, piped.splitlines())) > 200
    assert words_of(piped) - words_of(shown) == set()
    assert not re.search(r"^ +[\d. ±]+$", shown, re.M)  # no row of a table is wrapped like a sentence


def test_features_and_emotions_of_a_talk(both, monkeypatch, tmp_path):
    """With one speaker whose name is long, and a sentence that is; a pipe gets all of it in a line."""
    monkeypatch.setattr(Choices, "extractors", lambda self, device: {"text": Letters()})
    run, said = run_on(dataset(tmp_path / "data", Choices()), tmp_path / "run"), "I have told you so, " * 20
    talk = tmp_path / "talk.txt"
    talk.write_text(f"{'Bartholomew ' * 5}: Yes.\nAnn: {said}\n")
    piped, shown = both(command("predict", "--run", run, talk))
    assert said.strip() in piped
    assert re.search(r"^Ann +I have told you so, .*… +(angry|calm|glad) +0\.\d\d\d$", shown, re.M)
    make = ["features", "talk", talk, "--output"]
    piped, shown = both(command(*make, tmp_path / "one"), command(*make, tmp_path / "two"))
    assert "text: 2/2 utterances" in piped
    assert "text 2/2 " in shown


@pytest.mark.parametrize("other", ["without-event-encoding", "paper"])
def test_results_side_by_side(both, tmp_path, other):
    sweep = write_sweep(tmp_path / "a_sweep_in_a_folder_with_a_long_name") / "IEMOCAP"
    piped, shown = both(command("experiments", "compare", sweep / "full", other if other == "paper" else sweep / other))
    assert piped.startswith("### IEMOCAP: ")
    assert "|" not in shown
    assert words_of(piped) == words_of(shown)


def test_feature_files(both, project):
    piped, shown = both(command("verify", project / "data"))
    assert words_of(piped) == words_of(shown)


def test_lists(both):
    both(command())
    both(command("environment"))


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name):
    """Of each command, and of what it has below it."""
    texts = [shown_on_terminal(command(name, "--help"))]
    for words in re.findall(r"^    ([a-z]+) {2}", texts[0][0], re.M) if name in ("features", "experiments") else ():
        texts.append(shown_on_terminal(command(name, words, "--help")))
    assert len(texts) == {"features": 5, "experiments": 5}.get(name, 1)
    for text, lines in texts:
        assert text.startswith("usage: python -m common ")
        assert max(map(len, lines)) <= 80


def test_an_error_stays_one_line():
    """It is found and copied as one."""
    text, _ = shown_on_terminal(command("verify", "/a/folder/that/is/not/there", "--json", "/tmp"))
    assert text.count("\n") == 1
    assert len(text) > 80
