import sys

import numpy as np
import pytest

from common.batching.batches import Batches
from common.commands import case_study
from common.data import meld
from common.errors import InputError
from common.network.explain import explain
from common.release.checkpoint import save_released
from tests.small import small_corpus, small_network

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


def called(files, monkeypatch, *words):
    folder = files[0]
    words = ["--dataset", "MELD", "--data-dir", folder, "--checkpoint", folder / "some.pkl", *words]
    monkeypatch.setattr(sys, "argv", ["case_study", *map(str, [*words, *SMALL])])
    case_study.main()


def test_what_is_drawn_is_what_the_network_did(files, monkeypatch, tmp_path):
    _, corpus, network = files
    drawn = []
    monkeypatch.setattr(case_study, "save_figure", lambda figure, path: drawn.append(figure) or [])
    dialogue = corpus.splits["test"][2]
    called(files, monkeypatch, "--dialogue", corpus.ids[dialogue], "--utterance", 14, "--output", tmp_path / "case")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert f"dialogue {corpus.ids[dialogue]}, turn 14 (test; some.pkl)" in drawn[0].axes[0].get_title(loc="left")

    found = explain(network, Batches(corpus, "test", 32, "cpu"))
    row = corpus.offset[dialogue] + 13 - corpus.rows("test")[0]
    expected = [f"{x:.2f}" for x in (*found.route_gates[row], *found.gates[row])]
    expected += [f"{x:+.2f}" for x in (*found.route_drop[row], *found.drop[row])]
    expected += [f"{x:.2f}" for x in (*found.route_gates.mean(0), *found.gates.mean(0))]
    for route in ("self_emotion", "cross_emotion", "cross_event"):
        weights = found.attention[2][route][13]
        expected += [f"{weights[0]:.2f}" if weights[0] else "", *(f"{w:.2f}" if w else "" for w in weights[1:13])]
    for text in set(expected):
        assert texts.count(text) >= expected.count(text), text
    assert "turns 1 to 1, together" in texts
    predicted = int(np.argmax(found.log_prob[row]))
    (line,) = [text for text in texts if text.endswith("predicted")]
    assert line.startswith(f"{np.exp(found.log_prob[row, predicted]):.2f}")


def test_a_first_turn_has_no_history(files, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(case_study, "save_figure", lambda figure, path: drawn.append(figure) or [])
    called(files, monkeypatch, "--dialogue", files[1].ids[0], "--utterance", 1, "--output", tmp_path / "case")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert texts.count("no history") == 3


def test_wrong_words_and_files_that_exist(files, monkeypatch, tmp_path):
    words = ["--output", tmp_path / "case"]
    with pytest.raises(InputError, match="--dialogue 99: not in MELD, which has 0 to 7"):
        called(files, monkeypatch, "--dialogue", 99, "--utterance", 1, *words)
    with pytest.raises(InputError, match="--utterance 19: the dialogue has 1 to"):
        called(files, monkeypatch, "--dialogue", 0, "--utterance", 19, *words)
    called(files, monkeypatch, "--dialogue", 0, "--utterance", 2, *words)
    assert {path.name for path in tmp_path.iterdir()} == {"case.png", "case.svg"}
    with pytest.raises(InputError, match="exists already"):
        called(files, monkeypatch, "--dialogue", 0, "--utterance", 2, *words)
