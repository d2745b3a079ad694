"""The tuned encoder of a dataset: where it lies, whose features come from which."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from common.features.models import resolve
from common.features.sources.arrange import arranged
from common.features.sources.source import Source
from common.features.text.encoder import FirstToken
from common.features.text.tune import TuneSettings
from common.features.text.tuned import ENCODER, Tuning, tuned_parts
from tests.features.encoders import small_bert

pytest.importorskip("transformers")
SETTINGS = TuneSettings(epochs=1, learning_rate=0.01, batch_size=8)


@pytest.fixture
def source():
    """Nine dialogues of four utterances, five to train."""
    rows = [
        (f"d{dialogue}", turn, "Ann", f"so {word} it is, {dialogue} {turn}", word, split)
        for dialogue, split in enumerate(["train"] * 5 + ["valid"] * 2 + ["test"] * 2)
        for turn, word in enumerate(["joy", "anger", "joy", "anger"])
    ]
    table = pd.DataFrame(rows, columns=["dialogue", "number", "speaker", "sentence", "label", "split"])
    return Source("talk", arranged(table), ["anger", "joy"], [])


@pytest.fixture
def tuned(source, minilm, tmp_path):
    """Tunes with so many folds; what it returns, and what it says."""
    base = FirstToken(resolve(small_bert(tmp_path / "base", minilm)))
    work = tmp_path / "work"

    def tuned(folds, settings=SETTINGS):
        said = []
        full, parts = tuned_parts(source, base, Tuning(settings, folds), tmp_path, work, said.append)
        return SimpleNamespace(full=full, parts=parts, said=said)

    return tuned


def test_new_utterances_go_through_the_folder_beside_the_dataset(tuned, tmp_path):
    done = tuned(0)
    assert done.full.model.source == str((tmp_path / ENCODER).resolve())
    assert (tmp_path / ENCODER / "head.safetensors").is_file()
    assert [part.extractor for part in done.parts] == [done.full]
    assert done.parts[0].rows.tolist() == list(range(36))
    assert [line.split(":")[0] for line in done.said] == ["The encoder by itself, valid", "The encoder by itself, test"]


def test_folds_serve_training_and_the_encoder_of_all_the_rest(tuned, source):
    done = tuned(2)
    assert (source.table.split[done.parts[0].rows] != "train").all()
    assert sorted(np.concatenate([part.rows for part in done.parts]).tolist()) == list(range(36))
    assert len({part.extractor.key() for part in done.parts}) == 3
    assert sum(line.startswith("Fold") for line in done.said) == 2


def test_with_folds_or_without_the_encoder_of_all_is_the_same_and_tuned_once(tuned, monkeypatch):
    with_folds = tuned(2)

    def never(*arguments):
        raise AssertionError("tuned again")

    monkeypatch.setattr("common.features.text.tune._Tuning", never)
    assert tuned(0).full.key() == with_folds.full.key()


def test_other_settings_replace_the_encoder(tuned):
    first = tuned(0).full
    assert tuned(0, TuneSettings(epochs=2, learning_rate=0.01, batch_size=8, seed=2)).full.key() != first.key()
    assert tuned(0).full.key() == first.key()
