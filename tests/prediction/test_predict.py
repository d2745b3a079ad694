"""Predictions against features and networks that are called by hand."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import common
from common.data.corpus import from_dialogues
from common.errors import InputError
from common.features.choices import Choices
from common.features.extract import Workers
from common.features.extractor import Utterance
from common.features.models import resolve
from common.features.text.encoder import FirstToken
from common.features.text.semantic import SentenceVector
from common.prediction.predict import predict, sentence_features
from common.prediction.run import open_run
from tests.prediction.made_up import CLASSES, Sounds, dataset, labelled, run_on, source_of
from tests.small import one_batch_of

pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")
CPU = torch.device("cpu")
ROWS = [
    ("b", "Bo", "No. I am fed up with this."),
    ("b", "Ann", "Oh no!"),
    ("b", "Bo", "Oh yes."),
    ("a", "Ann", "Did it arrive?"),
    ("c", "Zoe", "Hello"),
    *(("c", "Cem", f"That is number {k}.") for k in range(7)),
]


def predicted(path, source, folder, said=None, data_dir=None):
    run = open_run(path, data_dir, CPU)
    return predict(run, source, Workers(), folder, (said if said is not None else []).append)


def by_hand(network, speakers, **features):
    """Probabilities (n, C) of one conversation."""
    names = sorted(set(speakers))
    corpus = from_dialogues(
        "one",
        lengths=[len(speakers)],
        ids=["one"],
        split_sizes=(0, 0, 1),
        features={name: np.stack(rows) for name, rows in features.items()},
        label=np.zeros(len(speakers), np.int64),
        speaker=np.array([names.index(name) for name in speakers]),
        classes=network.classes,
        speakers=names,
    )
    with torch.no_grad():
        return network(one_batch_of(corpus)).exp().double().numpy()


def networks_of(run):
    return [common.load(path) for path in sorted(run.glob("*.pkl"))]


@pytest.mark.parametrize("history", ["released", "strict"])
def test_each_conversation_is_what_the_networks_say_of_it_alone(history, minilm, tmp_path, request):
    run = request.getfixturevalue(history)
    found = predicted(run, source_of(ROWS), tmp_path)
    text, event = FirstToken(resolve(minilm)), SentenceVector(resolve(minilm))
    networks = networks_of(run)
    assert len(networks) == len(found.log_probs) == 2
    expected = []
    for dialogue in "bac":  # in their order
        said = [Utterance("", 0, sentence) for d, _, sentence in ROWS if d == dialogue]
        speakers = [name for d, name, _ in ROWS if d == dialogue]
        features = {"text": [text([u])[0] for u in said], "event": [event([u])[0] for u in said]}
        expected.append(sum(by_hand(network, speakers, **features) for network in networks) / 2)
    expected = np.concatenate(expected)
    np.testing.assert_allclose(found.probability, expected, rtol=0, atol=1e-5)
    assert found.emotions == [CLASSES[k] for k in expected.argmax(1)]
    assert [found.corpus.sentences, found.corpus.ids] == [[row[2] for row in ROWS], ["b", "a", "c"]]
    assert found.lacks == [{}] * len(ROWS)
    assert (found.absent, found.problems) == ([], [])


def test_talks_do_not_influence_each_other(released, tmp_path):
    """Under the release's history they would, in one batch: padding is as long as the longest."""
    (tmp_path / "one").mkdir()
    alone = predicted(released, source_of(ROWS[:3]), tmp_path / "one").probability
    found = predicted(released, source_of(ROWS), tmp_path)
    np.testing.assert_allclose(found.probability[:3], alone, rtol=0, atol=1e-6)
    with torch.no_grad():
        together = networks_of(released)[0](one_batch_of(found.corpus)).numpy()[:3]
    assert abs(together - found.log_probs[0].numpy()[:3]).max() > 1e-4


def test_all_splits_are_predicted_and_labels_are_kept(released, tmp_path):
    source = labelled(6)
    found = predicted(released, source, tmp_path)
    assert len(found.probability) == len(source.table)
    assert [CLASSES[k] for k in found.corpus.label] == source.table.label.tolist()
    source = source_of(ROWS[:2], classes=["Glad", "calm"], label=["Glad", "calm"])
    with pytest.raises(InputError, match="talk: has the label 'Glad'; the network knows angry, calm, glad; name it so"):
        predicted(released, source, tmp_path)


def test_text_serves_as_event_where_the_data_have_none(minilm, tmp_path):
    data = dataset(tmp_path / "data", Choices(str(minilm), event_model="none"))
    run = run_on(data, tmp_path / "run", seeds=(3,))
    found = predicted(run, source_of(ROWS[3:4]), tmp_path)
    text = FirstToken(resolve(minilm))([Utterance("", 0, "Did it arrive?")])
    expected = by_hand(networks_of(run)[0], ["Ann"], text=text, event=text)
    np.testing.assert_allclose(found.probability, expected, rtol=0, atol=1e-5)
    features, lacks = sentence_features(
        open_run(run, None, CPU), {"text": FirstToken(resolve(minilm))}, ["Did it arrive?", ""]
    )
    np.testing.assert_allclose(features["event"], [text[0], np.zeros(384)], rtol=0, atol=1e-5)
    assert lacks == [{}, {"text": "no text"}]


@pytest.fixture(scope="module")
def heard(minilm, tmp_path_factory):
    """A run on text and sound."""
    folder, real = tmp_path_factory.mktemp("heard"), Choices.extractors
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Choices, "extractors", lambda self, device: real(self, device) | {"audio": Sounds()})
        data = dataset(folder / "data", Choices(str(minilm), event_model="none"), labelled(audio=True))
        yield run_on(data, folder / "run", modalities="TA", seeds=(0,))


def test_sound_is_standardised_as_in_training(heard, minilm, tmp_path):
    train = labelled(audio=True).table.query("split == 'train'").audio
    rows = np.array([[len(Path(path).stem), len(Path(path).stem) ** 2] for path in train], np.float64)
    scaled = ((np.array([[4, 16], [2, 4]]) - rows.mean(0)) / rows.std(0)).astype(np.float32)
    sounds = ["/four.wav", "/silent.wav", "/ab.wav"]
    found = predicted(heard, source_of(ROWS[:3], audio=sounds), tmp_path)
    text = FirstToken(resolve(minilm))([Utterance("", 0, row[2]) for row in ROWS[:3]])
    audio = [scaled[0], np.zeros(2, np.float32), scaled[1]]
    expected = by_hand(networks_of(heard)[0], ["Bo", "Ann", "Bo"], text=text, event=text, audio=audio)
    np.testing.assert_allclose(found.probability, expected, rtol=0, atol=1e-5)
    assert found.lacks == [{}, {"audio": "silent"}, {}]
    assert found.absent == []


def test_a_changed_scaling_is_refused(heard, tmp_path):
    data = shutil.copytree(heard.parent / "data", tmp_path / "data", ignore=shutil.ignore_patterns("work"))
    with np.load(data / "scaling.npz") as arrays:
        np.savez(data / "scaling.npz", mean=arrays["mean"] + 1, std=arrays["std"])
    source = source_of(ROWS[:1], audio=["/four.wav"])
    with pytest.raises(InputError, match=r"scaling\.npz: not as it was when the dataset was made; restore it"):
        predicted(heard, source, tmp_path, data_dir=data)
    (data / "scaling.npz").unlink()
    with pytest.raises(InputError, match=r"scaling\.npz: no such file"):
        predicted(heard, source, tmp_path, data_dir=data)


def test_what_a_talk_has_not_is_zeros_and_said(heard, minilm, tmp_path):
    found = predicted(heard, source_of(ROWS[:3]), tmp_path)
    text = FirstToken(resolve(minilm))([Utterance("", 0, row[2]) for row in ROWS[:3]])
    audio = np.zeros((3, 2), np.float32)
    expected = by_hand(networks_of(heard)[0], ["Bo", "Ann", "Bo"], text=text, event=text, audio=audio)
    np.testing.assert_allclose(found.probability, expected, rtol=0, atol=1e-5)
    assert found.absent == ["audio"]
    assert found.lacks == [{"audio": "no sound given"}] * 3
    silent = source_of([("b", "Bo", ""), ("b", "Ann", "")])
    with pytest.raises(InputError, match=r"talk: has nothing that .*run was trained on \(text, audio\)"):
        predicted(heard, silent, tmp_path)
    found = predicted(heard, source_of([("b", "Bo", "")], audio=["/four.wav"]), tmp_path)
    assert found.absent == ["text"]
    assert found.lacks == [{"text": "no sentence"}]
