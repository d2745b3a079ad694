"""`common.Emotions`, as other programs use it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import common
from common import Emotions
from common.errors import InputError
from common.features.choices import Choices
from common.features.extract import Workers
from common.prediction.emotions import absent_note
from common.prediction.predict import predict
from common.prediction.run import open_run
from tests.prediction.made_up import CLASSES, Sounds, dataset, labelled, run_on, source_of

pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")
ROOT = Path(__file__).resolve().parents[2]
TALK = [("Ann", "Did it arrive?"), ("Bo", "No. I am fed up."), ("Ann", "Oh no!")]


def test_a_whole_conversation_has_the_history_of_the_training(released, tmp_path, capsys):
    emotions = Emotions.load(released, device="cpu")
    assert capsys.readouterr() == ("", "")
    found = emotions.conversation(TALK)
    source = source_of([("t", *pair) for pair in TALK])
    whole = predict(open_run(released, None, torch.device("cpu")), source, Workers(), tmp_path, print)
    for one, expected in zip(found, whole.probability, strict=True):
        assert list(one.probabilities) == CLASSES
        assert list(one.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-5)
        assert one.probability == max(one.probabilities.values()) == one.probabilities[one.emotion]
    assert emotions.conversation(iter(TALK)) == found
    assert emotions.conversation([]) == []
    capsys.readouterr()
    emotions("Ann", "Hello")
    emotions("Ann", "Hello")
    assert capsys.readouterr().err == "Note: trained with empty_history released, used with strict.\n"


def test_sentence_after_sentence_is_answered_from_those_before(strict, capsys):
    emotions = Emotions.load(str(strict))
    assert capsys.readouterr() == ("", "")
    whole = emotions.conversation(TALK)
    for pair, expected in zip(TALK, whole, strict=True):
        found = emotions(*pair)
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert emotions(*pair, conversation="other").probabilities == pytest.approx(found.probabilities, abs=1e-6)
    emotions.end()
    assert emotions(*TALK[0]).probabilities == pytest.approx(whole[0].probabilities, abs=1e-5)
    emotions.end("other")
    with pytest.raises(InputError, match="'other' is not under way"):
        emotions.end("other")
    assert emotions.classes == CLASSES


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (["Ann: hello"], "conversation: utterance 1: found 'Ann: hello'; expected a pair of a speaker and a sentence"),
        ([*TALK, ("Ann",)], r"conversation: utterance 4: found \('Ann',\); expected a pair"),
        ([*TALK, ("ann", "Hi")], "conversation: utterance 4.*has 'ann'; expected one spelling, but utterance 1 has"),
        ([("Ann", None)], "found 'Ann' and None; expected a name and a sentence"),
    ],
    ids=["a line", "no pair", "another spelling", "no text"],
)
def test_what_is_no_conversation(strict, talk, said):
    with pytest.raises(InputError, match=said):
        Emotions.load(strict).conversation(talk)


def test_modalities_that_sentences_lack_are_said_once(minilm, tmp_path, monkeypatch, capsys):
    real = Choices.extractors
    monkeypatch.setattr(Choices, "extractors", lambda self, device: real(self, device) | {"audio": Sounds()})
    data = dataset(tmp_path / "data", Choices(str(minilm), event_model="none"), labelled(8, audio=True))
    run = run_on(data, tmp_path / "run", modalities="TA", seeds=(0,))
    capsys.readouterr()
    emotions = Emotions.load(run)
    assert capsys.readouterr().err == (
        "Note: the networks were trained with audio features too, which are zeros here; scores suffer from that.\n"
    )
    assert emotions.notes == [absent_note(["audio"])]
    assert emotions("Ann", "Hello").lacks == {"audio": "no sound given"}
    run = run_on(data, tmp_path / "deaf", modalities="A", seeds=(0,))
    with pytest.raises(InputError, match="deaf: trained without text; expected a run that uses it"):
        Emotions.load(run)


def test_the_import_takes_no_time():
    code = "import sys, common; assert not {'torch', 'numpy', 'pandas', 'yaml'} & set(sys.modules); common.Emotions"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'Emotion'"):
        common.Emotion  # noqa: B018
