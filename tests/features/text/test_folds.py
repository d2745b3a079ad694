"""No training utterance gets features from an encoder that has seen its dialogue."""

from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import InputError
from common.features.extractor import Utterance
from common.features.models import resolve
from common.features.text import folds as folding
from common.features.text.classifier import read_head
from common.features.text.encoder import FirstToken
from common.features.text.folds import Utterances, agreements, deal, encoders
from common.features.text.tune import TuneSettings
from tests.features.encoders import small_bert

pytest.importorskip("transformers")
SETTINGS = TuneSettings(epochs=3, learning_rate=0.01, batch_size=8)


@pytest.fixture(scope="module")
def talks():
    """Dialogues of 1 to 9 utterances: 30 to train, 4 for validation, one of whose sentences is empty, 3 to test."""
    drawn = np.random.default_rng(1)
    sizes = drawn.integers(1, 10, 37)
    dialogues = np.repeat([f"d{number}" for number in range(37)], sizes)
    splits = np.repeat(["train"] * 30 + ["valid"] * 4 + ["test"] * 3, sizes)
    labels = drawn.integers(2, size=len(splits))
    labels[drawn.integers(len(splits), size=9)] = -1
    words = np.array(["joy it is", "sad news", "who knows"])[labels]
    fillers = drawn.choice(["you know", "well", "oh", "I mean that", "yes and", "no but", "listen"], len(splits))
    sentences = [f"{filler} {word} {row}" for row, (filler, word) in enumerate(zip(fillers, words, strict=True))]
    sentences[np.flatnonzero(splits == "valid")[1]] = ""
    return Utterances(sentences, labels, dialogues, splits, ["joy", "sad"])


def test_dialogues_are_dealt_evenly(talks):
    fold = deal(talks, 5, 1)
    assert set(fold[talks.splits == "train"]) == set(range(5))
    assert set(fold[talks.splits != "train"]) == {-1}
    for name in set(talks.dialogues):
        assert len(set(fold[talks.dialogues == name])) == 1
    sizes = np.bincount(fold[fold >= 0])
    assert sizes.max() - sizes.min() <= 1  # there are dialogues of a single utterance to make up for longer ones


def test_the_seed_deals(talks):
    assert (deal(talks, 5, 1) == deal(talks, 5, 1)).all()
    assert (deal(talks, 5, 1) != deal(talks, 5, 2)).any()


@pytest.mark.parametrize("folds", [1, -1, 31])
def test_folds_that_cannot_be(talks, folds):
    with pytest.raises(InputError, match=f"{folds} folds: .* at most the 30 training dialogues"):
        deal(talks, folds, 1)


@pytest.fixture
def asked(monkeypatch, tmp_path, minilm):
    """Which rows each encoder is tuned on, by its folder; nothing is tuned."""
    rows = {}

    def tune(model, sentences, labels, train, valid, classes, settings, folder, device, title):
        rows[folder.name] = SimpleNamespace(train=train, valid=valid, title=title)
        folder.mkdir(parents=True)
        return small_bert(folder, minilm)

    monkeypatch.setattr(folding, "tune", tune)
    return rows


def test_no_encoder_has_seen_whom_it_serves(talks, asked, tmp_path):
    parts = encoders(None, talks, SETTINGS, 3, tmp_path, "cpu", "tuning")
    assert list(asked) == ["full", "fold-1-of-3", "fold-2-of-3", "fold-3-of-3"]
    train = np.flatnonzero(talks.splits == "train")
    assert (asked["full"].train == train).all()
    for part, one in zip(parts[1:], list(asked.values())[1:], strict=True):
        assert not set(talks.dialogues[part.rows]) & set(talks.dialogues[one.train])
        assert sorted([*part.rows, *one.train]) == list(train)
        assert (one.valid == np.flatnonzero(talks.splits == "valid")).all()
    assert set(talks.splits[parts[0].rows]) == {"valid", "test"}
    assert sorted(np.concatenate([part.rows for part in parts])) == list(range(len(talks.sentences)))


def test_without_folds_one_encoder_serves_all(talks, asked, tmp_path):
    (part,) = encoders(None, talks, SETTINGS, 0, tmp_path, "cpu", "tuning", layer=-2)
    assert (part.rows == np.arange(len(talks.sentences))).all()
    assert (part.extractor.layer, part.extractor.alignment) == (-2, None)


def test_tuned_and_aligned(talks, tmp_path, minilm, monkeypatch):
    base = resolve(small_bert(tmp_path / "base", minilm))
    parts = encoders(base, talks, SETTINGS, 2, tmp_path / "tuned", "cpu", "tuning")
    heads = [read_head(tmp_path / "tuned" / name)[0] for name in ("full", "fold-1-of-2", "fold-2-of-2")]
    assert not np.allclose(heads[0], heads[1])
    assert not np.allclose(heads[1], heads[2])
    sentences = [sentence for sentence in talks.sentences if sentence]
    for found in agreements(parts, sentences):
        assert found["cosine_before"] < found["cosine"] <= 1
        assert found["same_class"] > 0.8

    own = [FirstToken(resolve(tmp_path / "tuned" / name)) for name in ("full", "fold-1-of-2")]
    seen = (talks.splits == "train") & (deal(talks, 2, SETTINGS.seed) != 0)  # by both encoders
    anchors = [Utterance("", 0, talks.sentences[row]) for row in np.flatnonzero(seen)]
    ours, theirs = (np.stack(extractor(anchors)).astype(float) for extractor in own)
    aligned = np.stack(parts[1].extractor(anchors))
    np.testing.assert_allclose(aligned.mean(0), ours.mean(0), atol=1e-5)
    assert np.linalg.norm(aligned - ours) < np.linalg.norm(theirs - theirs.mean(0) + ours.mean(0) - ours)

    def never(*arguments):
        raise AssertionError("done again")

    monkeypatch.setattr(folding.Alignment, "fit", never)
    monkeypatch.setattr("common.features.text.tune._Tuning", never)
    again = encoders(base, talks, SETTINGS, 2, tmp_path / "tuned", "cpu", "tuning")
    assert [part.extractor.key() for part in again] == [part.extractor.key() for part in parts]
    assert len({part.extractor.key() for part in parts}) == 3
