"""The settings of a run in the checkpoint's own file: nobody else sees them, and nothing of them is trusted."""

import hashlib
import io
import zipfile
from dataclasses import replace

import pytest
import torch
import yaml

from common.errors import InputError
from common.release.checkpoint import load_released, read_checkpoint, released_state, save_released
from common.release.reading import with_record
from tests.small import about, random_corpus, small_network

CORPUS = random_corpus([2])


@pytest.fixture
def path(tmp_path):
    save_released(small_network(CORPUS), tmp_path / "ECERC_MODEL.pkl", about(CORPUS, without=["feature-gating"]))
    return tmp_path / "ECERC_MODEL.pkl"


def test_torch_sees_the_weights_alone(path):
    network = small_network(CORPUS)
    expected = released_state(network)
    for how in ({"weights_only": True}, {"weights_only": False}, {"mmap": True}):
        state = torch.load(path, map_location="cpu", **how)
        assert list(state) == list(expected)
        assert all(torch.equal(state[name], expected[name]) for name in expected)

    class Theirs(torch.nn.Module):  # a module with the released names, loaded strictly, as their code does
        def __init__(self):
            super().__init__()
            for name, tensor in expected.items():
                owner = self
                *parts, last = name.split(".")
                for part in parts:
                    if part not in dict(owner.named_children()):
                        owner.add_module(part, torch.nn.Module())
                    owner = owner.get_submodule(part)
                owner.register_buffer(last, torch.zeros_like(tensor))

    theirs = Theirs()
    theirs.load_state_dict(torch.load(path), strict=True)
    assert torch.equal(theirs.smax_fc.weight, network.classifier.weight)


def test_what_stands_in_it(path, tmp_path):
    with zipfile.ZipFile(path) as archive:
        (info,) = [info for info in archive.infolist() if info.filename.endswith("/settings.yaml")]
        content = yaml.safe_load(archive.read(info))
        assert (info.compress_type, info.date_time, archive.testzip()) == (0, (1980, 1, 1, 0, 0, 0), None)
    assert content["data"] == {"widths": CORPUS.widths, "classes": CORPUS.classes}
    assert content["hyperparameters"]["without"] == ["feature-gating"]
    assert set(content) == {"dataset", "synthetic", "hyperparameters", "data"}
    # not a word of where or when, or of seeds: the same weights make the same file
    save_released(small_network(CORPUS), tmp_path / "again.pkl", about(CORPUS, without=["feature-gating"]))
    assert (tmp_path / "again.pkl").read_bytes() == path.read_bytes()
    checkpoint = read_checkpoint(path)
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.trained.classes == CORPUS.classes
    assert checkpoint.trained.values["without"] == ("feature-gating",)
    # it counts over a settings.yaml that stands beside it, which may be of another run
    (tmp_path / "settings.yaml").write_text("hyperparameters: {heads: 3}")
    assert read_checkpoint(path).trained == checkpoint.trained
    save_released(small_network(CORPUS), path)
    assert read_checkpoint(path).trained.values == {"heads": 3}


def test_what_was_loaded_is_what_was_hashed(path):
    """Whatever stands there by now."""
    checkpoint = read_checkpoint(path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    save_released(small_network(CORPUS, seed=1), path)
    assert checkpoint.sha256 == before
    network = small_network(CORPUS, seed=2)
    checkpoint.fill(network)
    assert torch.equal(network.classifier.weight, small_network(CORPUS).classifier.weight)


def test_any_name_comes_back(tmp_path):
    names = ["Ärger", "no", "1", " \x85\u2028\n'\": {"]
    corpus = replace(CORPUS, name="null", classes=names)
    save_released(small_network(corpus), tmp_path / "a.pkl", about(corpus))
    known = read_checkpoint(tmp_path / "a.pkl").trained
    assert (known.dataset, known.classes) == ("null", names)


BAD = {
    "[1, 2]": "found list; expected a mapping",
    "a: [1": "not readable as YAML",
    "a: !!python/object/apply:os.system ['touch trace']": "not readable as YAML",
    "dataset: x": "no hyperparameters in it",
    "hyperparameters: {heads: many}": "heads: found 'many'; expected a whole number",
    "a: " + "x" * 2**18: "found more than",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20])
def test_a_record_that_is_none_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    torch.save(released_state(small_network(CORPUS)), content)
    with monkeypatch.context() as patch:
        patch.setattr("yaml.safe_dump", lambda *_, **__: text)
        with_record(content, {})
    (tmp_path / "a.pkl").write_bytes(content.getvalue())
    with pytest.raises(InputError, match=r"a\.pkl, settings\.yaml in it: ") as error:
        load_released(small_network(CORPUS), tmp_path / "a.pkl")
    assert BAD[text] in str(error.value)
    assert not (tmp_path / "trace").exists()
