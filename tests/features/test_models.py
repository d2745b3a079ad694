"""Which model is meant, what it holds, and what is said where it cannot be had."""

import json
import pickle
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from common.errors import InputError
from common.features.models import file_of, is_path, load, load_tokenizer, resolve
from tests.features.encoders import TOKENIZER, small_bert

transformers = pytest.importorskip("transformers")
hub = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")


@pytest.fixture(scope="module")
def small(tmp_path_factory, minilm):
    """A folder with a BERT of random weights and the tokenizer of MiniLM."""
    return small_bert(tmp_path_factory.mktemp("small"), minilm)


@pytest.fixture
def copied(tmp_path, small):
    """A copy of that folder, to be broken."""
    return Path(shutil.copytree(small, tmp_path / "model"))


def says(words, *arguments):
    with pytest.raises(InputError) as error:
        resolve(*arguments)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["./gone", "gone/", "a/b/c", "~gone", "/gone", "a\\b", "model.safetensors", "../gone"])
def test_what_can_only_be_a_path_is_missing(name):
    assert is_path(name)
    says(f"{name}: no such folder", name)


@pytest.mark.parametrize("name", ["roberta-large", "sentence-transformers/all-roberta-large-v1"])
def test_a_name_of_the_hub_is_no_path(name):
    assert not is_path(name)


def test_what_is_not_a_folder_of_a_model(tmp_path, copied):
    says("name of a model is empty", " ")
    says("found a file", copied / "config.json")
    says("no config.json", tmp_path)
    says("a folder has none", copied, "main")


def test_a_folder_is_known_by_what_it_holds(tmp_path, copied, monkeypatch):
    model = resolve(copied)
    assert model.revision is None
    moved = Path(shutil.copytree(copied, tmp_path / "moved"))
    (moved / "README.md").write_text("no part of the model")
    (moved / ".cache").mkdir()
    (moved / ".cache" / "found.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert resolve("moved").identity() == model.identity()
    assert resolve("moved").source == str(moved)  # processes that work elsewhere find it
    weights = bytearray((moved / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (moved / "model.safetensors").write_bytes(weights)
    assert resolve(moved).identity() != model.identity()
    (copied / "tokenizer_config.json").write_text("{}")
    assert resolve(copied).identity() != model.identity()


def test_loads_what_transformers_loads(small):
    model = resolve(small)
    network = load(model)
    theirs = transformers.AutoModel.from_pretrained(small)
    assert not network.training
    for name, weight in theirs.state_dict().items():
        assert torch.equal(network.state_dict()[name], weight), name
    assert load_tokenizer(model)("What is it?")["input_ids"] == [101, 2054, 2003, 2009, 1029, 102]
    assert file_of(model, "vocab.txt") == small / "vocab.txt"
    assert file_of(model, "modules.json") is None


def test_half_precision_is_loaded_as_float32(small, tmp_path):
    transformers.AutoModel.from_pretrained(small).half().save_pretrained(tmp_path)
    assert {weight.dtype for weight in load(resolve(tmp_path)).parameters()} == {torch.float32}


def test_nothing_is_written(small, capfd):
    verbosity = transformers.logging.get_verbosity()
    load(resolve(small), "AutoModelForSequenceClassification", may_lack=("classifier.",))  # which makes a new head
    assert capfd.readouterr() == ("", "")
    assert transformers.logging.get_verbosity() == verbosity


def test_missing_weights(small, copied):
    network = transformers.BertModel.from_pretrained(small, add_pooling_layer=False)
    network.save_pretrained(copied)
    load(resolve(copied))  # features do not need the pooler
    network.encoder.layer = network.encoder.layer[:1]
    network.save_pretrained(copied)
    settings = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(settings | {"num_hidden_layers": 2}))
    with pytest.raises(InputError, match=r"lack 16 of .*encoder\.layer\.1\."):
        load(resolve(copied))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", None, "OSError"),
        ("model.safetensors", b"\x08" + bytes(99), "Safetensor"),
        ("config.json", b"{", "cannot load it"),
        ("config.json", b'{"model_type": "nonsense"}', "nonsense"),
        ("config.json", b'{"auto_map": {"AutoConfig": "evil.Config"}, "model_type": "evil"}', "cannot load it"),
        ("pytorch_model.bin", pickle.dumps({"weight": print}), "a pickle that runs code"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_broken_folders(copied, name, content, words):
    if name == "pytorch_model.bin":
        (copied / "model.safetensors").unlink()
    (copied / name).unlink(missing_ok=True)
    if content is not None:
        (copied / name).write_bytes(content)
    (copied / "evil.py").write_text("raise SystemExit")
    with pytest.raises(InputError) as error:
        load(resolve(copied))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_code_beside_known_weights_is_not_run(copied):
    settings = json.loads((copied / "config.json").read_text())
    code = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    (copied / "config.json").write_text(json.dumps(settings | {"auto_map": code}))
    (copied / "evil.py").write_text("raise SystemExit")
    assert type(load(resolve(copied))) is transformers.BertModel


def test_a_tokenizer_without_words(copied):
    for name in TOKENIZER:
        (copied / name).unlink()
    with pytest.raises(InputError, match="knows no words"):
        load_tokenizer(resolve(copied))


def test_the_commit_of_the_hub(monkeypatch, tmp_path):
    cached = tmp_path / "snapshots" / ("c" * 40) / "config.json"
    asked = []
    monkeypatch.setattr(hub, "hf_hub_download", lambda *a, **k: asked.append((a, k)) or str(cached))
    model = resolve("roberta-large", "v1")
    assert (model.source, model.revision, model.sha256) == ("roberta-large", "c" * 40, None)
    assert asked == [(("roberta-large", "config.json"), {"revision": "v1"})]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("LocalEntryNotFoundError", "cannot be reached; download it where there is a connection, and give the folder"),
        ("GatedRepoError", "ask on its page"),
        ("RepositoryNotFoundError", "no public model of this name"),
        ("RevisionNotFoundError", "no revision 'v1'"),
        ("RemoteEntryNotFoundError", "no config.json"),
        ("HFValidationError", "no name of the hub"),
        ("HfHubHTTPError", "lines of it"),
        ("OfflineModeIsEnabled", "lines of it"),
    ],
)
def test_what_the_hub_refuses(monkeypatch, kind, words):
    kind = getattr(errors, kind)
    answer = SimpleNamespace(headers={}, request=None)
    error = kind("lines\nof it", **({"response": answer} if issubclass(kind, errors.HfHubHTTPError) else {}))

    def refuse(*arguments, **options):
        raise error

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    says(words, "owner/name", "v1")


def test_offline(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(sys.modules["huggingface_hub.constants"], "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sys.modules["huggingface_hub.constants"], "HF_HUB_CACHE", str(tmp_path))
    says("no such folder; as a model of the hub: it is not in the cache of the hub, and the setting", "owner/name")
    assert capfd.readouterr() == ("", "")


def test_a_pointer_of_git_lfs_in_place_of_weights_is_named(copied):
    (copied / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    says("model.safetensors: found a Git LFS pointer, which only names the file (`git lfs pull` gets it)", copied)
