from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest

from common.__main__ import main
from common.batching.batches import Batches
from common.commands.case_study import _place
from common.data import meld
from common.errors import InputError
from common.network.explain import explain
from common.release.checkpoint import save_released
from common.reporting import figures
from tests.small import random_corpus, result_of, small_corpus, small_network

SMALL = ["--hidden-width", "8", "--heads", "2", "--head-width", "4"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Generated conversations, a checkpoint with random weights, and the corpus and network in them."""
    folder = tmp_path_factory.mktemp("case")
    corpus = small_corpus("MELD", sizes=(3, 1, 4), turns=(15, 18))
    meld.write(corpus, folder / "meld")
    network = small_network(corpus, modality_order="released")
    save_released(network, folder / "some.pkl")
    return folder, corpus, network


@pytest.fixture
def called(files, capsys):
    """Draws a case of MELD; returns the line on standard error, and the exit status."""

    def called(*words):
        folder = files[0]
        words = ["--dataset", "MELD", "--data-dir", folder, "--checkpoints", folder / "some.pkl", *words, *SMALL]
        printed, status = result_of(lambda: main(["case-study", *map(str, words)]), capsys)
        return printed.err, status

    return called


def test_what_is_drawn_is_what_the_network_did(called, files, monkeypatch, tmp_path):
    _, corpus, network = files
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: drawn.append(figure) or [])
    dialogue = corpus.splits["test"][2]
    called("--dialogue", corpus.ids[dialogue], "--utterance", 14, "--output", tmp_path / "case")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert f"MELD, dialogue {corpus.ids[dialogue]}, turn 14 (test; some.pkl)" in texts

    explanation = explain(network, Batches(corpus, "test", 32, "cpu"))
    row = corpus.offset[dialogue] + 13 - corpus.rows("test")[0]
    for names, kind in ((network.settings.routes, "route_"), (network.settings.modalities_in_use, "")):
        gates, drops = (getattr(explanation, f"{kind}{what}") for what in ("gates", "drop"))
        away = (gates[row] - gates.mean(0)) / gates.std(0)
        for name, *numbers in zip(names, drops[row], gates[row], away, strict=True):
            at = texts.index(name.replace("_", " "))
            drawn_numbers = [float(text.split()[0].replace("−", "-")) for text in texts[at + 1 : at + 4]]
            np.testing.assert_allclose(drawn_numbers, numbers, atol=0.0051)
    said, expected = corpus.speaker[corpus.offset[dialogue] :][:14], []
    for route in ("self_emotion", "cross_emotion", "cross_event"):
        seen = (said[:13] == said[13]) == route.startswith("self")
        weights = np.sort(explanation.attention[2][route].mean(0)[13][:13][seen])[::-1]
        expected += [f"{x:.2f}" for x in weights[:6] * len(weights)]
    for text in set(expected):
        assert texts.count(text) >= expected.count(text), text
    predicted = int(np.argmax(explanation.log_prob[row]))
    (line,) = [text for text in texts if text.endswith("predicted")]
    assert line.startswith(f"{np.exp(explanation.log_prob[row, predicted]):.2f}")


def test_a_first_turn_has_no_history(called, files, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: drawn.append(figure) or [])
    called("--dialogue", files[1].ids[0], "--utterance", 1, "--output", tmp_path / "case")
    assert "This is the first turn: no other one came before it." in [t.get_text() for t in drawn[0].axes[0].texts]


@pytest.mark.parametrize(
    ("numbers", "given", "turn"), [(None, 1, 0), (None, 3, 2), ([4, 5, 6, 1, 3, 9], 3, 1), ([1, 2, 3, 0, 1, 2], 0, 0)]
)
def test_an_utterance_goes_by_the_number_that_was_given(numbers, given, turn):
    corpus = replace(random_corpus([3, 3]), numbers=None if numbers is None else np.array(numbers))
    assert _place(Namespace(dialogue="d1", utterance=given), corpus) == (1, turn)
    if numbers == [4, 5, 6, 1, 3, 9]:
        with pytest.raises(InputError, match="--utterance 2: the dialogue has 1 to 9, with gaps"):
            _place(Namespace(dialogue="d1", utterance=2), corpus)


def test_wrong_words_and_files_that_exist(called, tmp_path):
    def refused(*words):
        line, status = called(*words, "--output", tmp_path / "case")
        assert (line.count("\n"), status) == (1, 2)
        return line

    assert "--dialogue 99: not in MELD, which has 0 to 7" in refused("--dialogue", 99, "--utterance", 1)
    assert "--utterance 19: the dialogue has 1 to" in refused("--dialogue", 0, "--utterance", 19)
    assert "cannot be written" in called("--dialogue", 0, "--utterance", 2, "--output", "/proc/case")[0]
    assert called("--dialogue", 0, "--utterance", 2, "--output", tmp_path / "case") == ("", 0)
    assert {path.name for path in tmp_path.iterdir()} == {"case.png", "case.svg"}
    assert "exists already" in refused("--dialogue", 0, "--utterance", 2)


def test_a_hyperparameter_that_the_dataset_does_not_have(capsys):
    words = ["case-study", "--dataset", "IEMOCAP", "--dialogue", "Ses01F_impro01", "--utterance", "1"]
    printed, status = result_of(lambda: main([*words, "--labels", "sentiment"]), capsys)
    line = "case-study: error: labels: not for IEMOCAP; its inference.py has no such value; see --labels\n"
    assert (printed.err, status) == (line, 2)
