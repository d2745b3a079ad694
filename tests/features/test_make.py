import hashlib

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.preprocessing import StandardScaler

from common.data.own import read_own
from common.errors import InputError
from common.features.choices import Choices
from common.features.extract import Workers
from common.features.make import make_dataset
from common.features.recipe import Recipe, read_recipe
from common.features.sources.arrange import arranged
from common.features.sources.source import Missing, Source
from tests.features.light import Letters


class Sounds(Letters):
    """The same for audio: of three utterances one has none."""

    kind = "audio"

    def identity(self):
        return {"extractor": "sounds", "factor": self.factor}


ROWS = [  # dialogue, number, speaker, sentence, label, split
    ("b", 0, "Ann", "a bee", "calm", "test"),
    ("a", 3, "Bo", "okay", "angry", "train"),
    ("a", 1, "Ann", "see a tree", "", "train"),
    ("a", 7, "Ann", "empty", "calm", "train"),
    ("c", 0, "Cem", "o", "angry", "valid"),
]
ORDER = ["see a tree", "okay", "empty", "o", "a bee"]  # train, valid, test; by number
TEXT = np.array([[1, 4, 10], [1, 0, 4], [0, 0, 0], [0, 0, 1], [1, 2, 5]], np.float32)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "talk.csv").write_text("what the table was read from")
    table = pd.DataFrame(ROWS, columns=["dialogue", "number", "speaker", "sentence", "label", "split"])
    table["audio"] = "sound.wav"
    missing = [Missing("b", 0, "visual", "no clip")]
    return Source("talk", arranged(table), ["angry", "calm"], [tmp_path / "talk.csv"], ["a note"], missing)


@pytest.fixture
def make(source, tmp_path, monkeypatch):
    """Makes a dataset with the extractors of the test."""

    def make(folder="data", source=source, overwrite=False, said=None, name="mine", **extractors):
        monkeypatch.setattr(Choices, "extractors", lambda self, device: dict(extractors))
        say = (said if said is not None else []).append
        where = tmp_path / folder
        where.mkdir(exist_ok=True)
        return make_dataset(
            name, source, Choices(), None, where, device="cpu", workers=Workers(), overwrite=overwrite, say=say
        )

    return make


def test_a_dataset_is_what_the_source_says_in_its_order(make, tmp_path):
    make(text=Letters())
    corpus = read_own(tmp_path / "data")
    assert corpus.sentences == ORDER
    np.testing.assert_array_equal(corpus.features["text"], TEXT)
    np.testing.assert_array_equal(corpus.features["event"], TEXT)
    assert corpus.features["audio"].shape == (5, 0)
    assert corpus.label.tolist() == [-1, 0, 1, 0, 1]
    assert corpus.numbers.tolist() == [1, 3, 7, 0, 0]
    assert corpus.ids == ["a", "c", "b"]
    assert {split: len(corpus.splits[split]) for split in corpus.splits} == {"train": 1, "valid": 1, "test": 1}
    assert [corpus.speakers[k] for k in corpus.speaker] == ["Ann", "Bo", "Ann", "Cem", "Ann"]


def test_audio_is_standardised_by_the_training_split(make, tmp_path):
    make(text=Letters(), audio=Sounds(3.0))
    audio = read_own(tmp_path / "data").features["audio"]
    scaler = StandardScaler().fit(3 * TEXT[:2])  # of train, those that have some
    expected = scaler.transform(3 * TEXT)
    expected[2] = 0  # which has none
    expected[:, 0] = 0  # a constant in train
    np.testing.assert_allclose(audio, expected, atol=1e-5)


def test_what_is_missing_is_listed_with_reasons(make, tmp_path):
    made = make(text=Letters(), audio=Sounds())
    table = pd.read_csv(tmp_path / "data" / "missing.csv")
    assert table.values.tolist() == [
        ["b", 0, "visual", "no clip"],
        ["a", 7, "text", "nothing to count"],
        ["a", 7, "audio", "nothing to count"],
    ]
    assert made.counted() == {"visual": 1, "text": 1, "audio": 1}


def test_the_recipe_says_how_and_belongs_to_the_dataset(make, tmp_path):
    make(text=Letters(2.0), audio=Sounds())
    folder = tmp_path / "data"
    content = yaml.safe_load((folder / "recipe.yaml").read_text())
    assert content["features"]["text"] == {"width": 3, "identity": {"extractor": "letters", "factor": 2.0}}
    assert content["classes"] == ["angry", "calm"]
    assert content["source"]["files"] == {"talk.csv": hashlib.sha256(b"what the table was read from").hexdigest()}
    corpus = read_own(folder)
    recipe = read_recipe(folder, corpus.sources)
    assert recipe.widths == {"text": 3, "audio": 3}
    found, notes = recipe.extractors("cpu")
    assert (found, notes) == ({"text": Letters(2.0), "audio": Sounds()}, [])
    (folder / "recipe.yaml").write_text((folder / "recipe.yaml").read_text() + "# other\n")
    with pytest.raises(InputError, match="not the recipe"):
        read_recipe(folder, corpus.sources)


def test_another_model_than_the_recipe_is_refused(make, tmp_path, monkeypatch):
    make(text=Letters(2.0))
    monkeypatch.setattr(Choices, "extractors", lambda self, device: {"text": Letters(3.0)})
    recipe = read_recipe(tmp_path / "data", {})
    with pytest.raises(InputError, match=r"text model has another factor .*\(3.0, not 2.0\)"):
        recipe.extractors("cpu")


def test_nothing_is_made_twice_and_a_changed_option_makes_only_its_own(make, tmp_path):
    log = tmp_path / "log"
    make(text=Letters(log=str(log)), audio=Sounds(log=str(log)))
    assert len(log.read_text().splitlines()) == 10
    log.unlink()
    with pytest.raises(InputError, match="exists already"):
        make(text=Letters(log=str(log)), audio=Sounds(2.0, log=str(log)))
    assert not log.exists()
    make(text=Letters(log=str(log)), audio=Sounds(2.0, log=str(log)), overwrite=True)
    assert len(log.read_text().splitlines()) == 5  # of audio alone
    np.testing.assert_array_equal(read_own(tmp_path / "data").features["text"], TEXT)


def test_kinds_that_nobody_has_are_left_out_and_said(make, source, tmp_path):
    said = []
    silent = Source("talk", source.table.assign(audio=""), source.classes, source.files)
    make(source=silent, said=said, text=Letters(), audio=Sounds())
    assert said == ["Note: no audio features, as there is no file for them."]
    assert read_own(tmp_path / "data").widths == {"text": 3, "event": 3, "audio": 0, "visual": 0}


def test_files_without_a_model_are_said(make):
    said = []
    make(said=said, text=Letters())
    assert said == ["Note: no audio features, as no model is given; --audio-model NAME adds them."]


def test_temporary_files_do_not_stay(make, tmp_path):
    make(text=Letters())
    (text,) = (path.name for path in (tmp_path / "data").glob("text-*.npy"))
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        *("corpus.npz", "corpus_checked.json", "missing.csv", "recipe.yaml", text, "work"),
    ]
    assert [path.name for path in (tmp_path / "data" / "work").iterdir()] == ["features.sqlite"]


@pytest.mark.parametrize("name", ["MELD", "IEMOCAP"])
def test_the_name_of_a_released_dataset_is_refused_before_any_work(make, tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: is the name of a released dataset") as caught:
        make(name=name, text=Letters())
    assert caught.value.change == ["name"]
    assert list((tmp_path / "data").iterdir()) == []


def test_where_the_folder_of_a_model_has_gone_a_link_is_proposed(tmp_path):
    choices = Choices(text_model=str(tmp_path / "gone"), event_model="none")
    recipe = Recipe(tmp_path, choices, {"text": {}}, {"text": 3}, False, None)
    with pytest.raises(InputError, match=r"recipe.yaml: .*gone: no such folder; .*; put it, or a link to it, where it"):
        recipe.extractors("cpu")
