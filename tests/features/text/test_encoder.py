"""First-token states are transformers' own, whatever else is in the batch, and in whatever order."""

import csv
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import InputError
from common.features.extractor import Utterance
from common.features.models import resolve
from common.features.text.alignment import Alignment
from common.features.text.encoder import Encoder, FirstToken
from tests.features.encoders import TOKENIZER, small_roberta

transformers = pytest.importorskip("transformers")
CLOSE = {"rtol": 0, "atol": 1e-5}


def spoken(*sentences):
    return [Utterance("dialogue", number, sentence) for number, sentence in enumerate(sentences)]


@pytest.fixture(scope="module")
def sentences(shared):
    """Real sentences of MELD, among them a very short and a very long one."""
    with open(shared / "raw" / "meld" / "dev_sent_emo.csv", encoding="utf-8-sig", newline="") as file:
        found = [row["Utterance"] for row in csv.DictReader(file)]
    return [*found[:40], min(found, key=len), max(found, key=len)]


@pytest.fixture(scope="module")
def own(minilm, sentences):
    """The hidden states of transformers for each sentence by itself, (U, layers, width), -1 the last."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    network = transformers.AutoModel.from_pretrained(minilm).eval()
    with torch.no_grad():
        states = [
            network(**tokenizer(s, return_tensors="pt"), output_hidden_states=True).hidden_states for s in sentences
        ]
    return np.stack([[layer[0, 0].numpy() for layer in one] for one in states])


@pytest.mark.parametrize("layer", [-1, -2, -3, -4])
def test_states_are_those_of_transformers(minilm, sentences, own, layer):
    features = FirstToken(resolve(minilm), layer)(spoken(*sentences))
    assert {row.dtype for row in features} == {np.dtype("float32")}
    np.testing.assert_allclose(np.stack(features), own[:, layer], **CLOSE)


def test_order_and_company_change_nothing(minilm, sentences, own):
    order = np.random.default_rng(1).permutation(len(sentences))
    features = FirstToken(resolve(minilm))(spoken(*(sentences[row] for row in order)))
    np.testing.assert_allclose(np.stack(features), own[order, -1], **CLOSE)


def test_sentences_without_text(minilm, sentences, own):
    features = FirstToken(resolve(minilm))(spoken("", sentences[0], " \t\n", "\u200b\x00", "\ud800", "!"))
    assert features[0] == features[2] == features[3] == "no text"
    assert features[4] == "text that is not Unicode"
    np.testing.assert_allclose(features[1], own[0, -1], **CLOSE)
    assert features[5].shape == (384,)
    assert FirstToken(resolve(minilm))(spoken("")) == ["no text"]
    assert FirstToken(resolve(minilm))([]) == []


def test_long_sentences_are_cut(minilm):
    first, second, third = FirstToken(resolve(minilm))(spoken("word " * 510, "word " * 5000, "word " * 509))
    np.testing.assert_allclose(first, second, **CLOSE)
    assert not np.allclose(first, third, **CLOSE)


def test_roberta_has_two_places_less_than_positions(tmp_path):
    model = resolve(small_roberta(tmp_path))
    assert Encoder(model, "cpu").limit == 32
    short, long = FirstToken(model)(spoken("ab cd", "a" * 100))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    network = transformers.AutoModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        for text, ours in (("ab cd", short), ("a" * 30, long)):
            inputs = tokenizer(text, return_tensors="pt")
            assert tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])[0] == "<s>"
            np.testing.assert_allclose(ours, network(**inputs).last_hidden_state[0, 0], **CLOSE)


@pytest.mark.parametrize("layer", [0, -3, -5, 1])
def test_layers_that_it_does_not_have(tmp_path, layer):
    with pytest.raises(InputError, match=rf"layer {layer}: .* has 2 layers; expected one of -1, -2$"):
        FirstToken(resolve(small_roberta(tmp_path)), layer)(spoken("ab"))


def test_a_tokenizer_of_another_model(tmp_path, minilm):
    small_roberta(tmp_path)
    (tmp_path / "vocab.json").unlink()
    for name in TOKENIZER:
        shutil.copy(minilm / name, tmp_path)
    with pytest.raises(InputError, match="its tokenizer has 30522 tokens, its weights 32"):
        Encoder(resolve(tmp_path), "cpu")


def test_an_encoder_without_first_token(tmp_path):
    small_roberta(tmp_path)
    settings = transformers.GPT2Config(vocab_size=32, n_embd=8, n_layer=1, n_head=1)
    transformers.GPT2Model(settings).save_pretrained(tmp_path)
    for path in tmp_path.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(InputError, match="no token at the beginning"):
        Encoder(resolve(tmp_path), "cpu")


def test_what_the_features_depend_on(minilm, tmp_path):
    model = resolve(minilm)
    moved = resolve(Path(shutil.copytree(minilm, tmp_path / "moved")))
    features = FirstToken(model)
    assert features.key() == FirstToken(moved).key() == pickle.loads(pickle.dumps(features)).key()
    others = [FirstToken(model, -2), FirstToken(model, device="cuda"), FirstToken(model, alignment_key="a")]
    assert len({extractor.key() for extractor in (features, *others)}) == 4
    one, two, three = spoken("a", "a", "b")
    assert features.key_of(one) == features.key_of(two) != features.key_of(three)


def test_through_an_alignment(minilm, sentences, own, tmp_path):
    rotation = np.roll(np.eye(384), 1, axis=1)
    key = Alignment(np.ones(384), np.full(384, 2.0), rotation).save(tmp_path / "alignment.safetensors")
    extractor = FirstToken(resolve(minilm), alignment=str(tmp_path / "alignment.safetensors"), alignment_key=key)
    expected = np.roll(own[:, -1] - 1, 1, axis=1) + 2
    np.testing.assert_allclose(np.stack(extractor(spoken(*sentences))), expected, rtol=0, atol=1e-5)


def test_weights_that_are_damaged_give_a_reason(tmp_path):
    (tmp_path / "model").mkdir()
    folder = small_roberta(tmp_path / "model")
    network = transformers.AutoModel.from_pretrained(folder)
    torch.nn.init.constant_(network.encoder.layer[1].output.dense.weight, float("nan"))
    network.save_pretrained(folder)
    assert FirstToken(resolve(folder))(spoken("here", "")) == ["the model gave numbers that are not finite", "no text"]
    assert isinstance(FirstToken(resolve(folder), -2)(spoken("here"))[0], np.ndarray)
