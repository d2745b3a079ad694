"""Semantic features are what sentence-transformers' own `encode` gives."""

import csv
import json
import shutil

import numpy as np
import pytest

from common.errors import InputError
from common.features.extractor import Utterance
from common.features.models import resolve
from common.features.text.semantic import SentenceVector

sentence_transformers = pytest.importorskip("sentence_transformers")


def spoken(*sentences):
    return [Utterance("dialogue", number, sentence) for number, sentence in enumerate(sentences)]


def test_vectors_are_those_of_the_library(minilm, shared, capfd):
    with open(shared / "raw" / "meld" / "dev_sent_emo.csv", encoding="utf-8-sig", newline="") as file:
        sentences = [row["Utterance"] for row in csv.DictReader(file)][:70]
    vectors = SentenceVector(resolve(minilm))(spoken(*sentences))
    assert capfd.readouterr() == ("", "")
    own = sentence_transformers.SentenceTransformer(str(minilm), device="cpu")
    expected = np.stack([own.encode([sentence])[0] for sentence in sentences])
    np.testing.assert_allclose(np.stack(vectors), expected, rtol=0, atol=1e-5)
    assert {vector.dtype for vector in vectors} == {np.dtype("float32")}
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)  # this model ends in a normalisation


def test_sentences_without_text(minilm):
    vectors = SentenceVector(resolve(minilm))(spoken("", "Hello.", " ", "\ud800"))
    assert [vectors[0], *vectors[2:]] == ["no text", "no text", "text that is not Unicode"]
    assert vectors[1].shape == (384,)
    assert SentenceVector(resolve(minilm))(spoken("")) == ["no text"]


def test_a_model_that_is_none_of_sentence_transformers(minilm, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("modules.json"))
    with pytest.raises(InputError, match=r"no modules\.json"):
        SentenceVector(resolve(folder))(spoken("Hello."))


def test_no_code_of_a_model_is_run(minilm, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(minilm, folder)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([modules[0] | {"type": "evil.Model"}, *modules[1:]]))
    (folder / "evil.py").write_text("raise SystemExit")
    with pytest.raises(InputError, match="sentence-transformers cannot load it"):
        SentenceVector(resolve(folder))(spoken("Hello."))


def test_what_the_vectors_depend_on(minilm):
    model = resolve(minilm)
    assert SentenceVector(model).key() != SentenceVector(model, "cuda").key()
    one, two, three = spoken("a", "a", "b")
    vector = SentenceVector(model)
    assert vector.key_of(one) == vector.key_of(two) != vector.key_of(three)
