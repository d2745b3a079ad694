"""`common.load`: a network from a run, a checkpoint, or a name on the hub, as it was trained."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import common
from common.data import meld
from common.errors import InputError
from common.release import obtain, trained
from common.release.checkpoint import read_checkpoint, save_released
from tests import golden_networks
from tests.small import about, outputs, random_corpus, small_network, without_record

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"positions": True, "modalities": "TV", "empty_history": "strict"}
CORPUS = random_corpus([3, 2])


@pytest.fixture
def run(tmp_path):
    """The folder of a run with two checkpoints."""
    (tmp_path / "run").mkdir()
    for seed, name in enumerate(("ECERC_MODEL.pkl", "ECERC_MODEL_2.pkl")):
        save_released(small_network(CORPUS, seed, **SETTINGS), tmp_path / "run" / name, about(CORPUS, **SETTINGS))
    return tmp_path / "run"


def test_a_network_comes_as_it_was_trained(run, capsys):
    for source, seed in ((run, 0), (str(run / "ECERC_MODEL_2.pkl"), 1)):
        network = common.load(source)
        assert not network.training
        assert (network.classes, network.widths) == (CORPUS.classes, CORPUS.widths)
        assert network.settings.modalities == "TV"
        assert torch.equal(outputs(network, CORPUS), outputs(small_network(CORPUS, seed, **SETTINGS), CORPUS))
    content = about(CORPUS, **SETTINGS)  # of an older run
    content["hyperparameters"]["without"] = []
    (run / "settings.yaml").write_text(yaml.safe_dump(content))
    without_record(run / "ECERC_MODEL.pkl", run / "ECERC_MODEL.pkl")
    assert common.load(run).settings == network.settings
    assert capsys.readouterr() == ("", "")


def test_changes_are_named(run, capsys):
    network = common.load(run, empty_history="released", attention_dropout=0.3)
    assert network.settings.empty_history == "released"
    path = run / "ECERC_MODEL.pkl"
    assert capsys.readouterr().err == f"Note: {path}: trained with empty_history strict, loaded with released.\n"
    with pytest.raises(InputError, match="no hyperparameter is called 'emty_history'"):
        common.load(run, emty_history="strict")
    with pytest.raises(InputError, match="expected auto, cpu, cuda"):
        common.load(run, device="tpu")


def test_what_says_nothing_of_itself_is_refused(run, tmp_path):
    lone = without_record(run / "ECERC_MODEL.pkl", tmp_path / "ECERC_MODEL.pkl")
    with pytest.raises(InputError, match=r"ECERC_MODEL\.pkl: says nothing of its settings, .* put the settings\.yaml"):
        common.load(lone)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no such checkpoint"):
        common.load(tmp_path / "empty")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A checkpoint of MELD's sizes, as the authors' code writes it."""
    path = tmp_path_factory.mktemp("theirs") / "ECERC_MODEL.pkl"
    save_released(golden_networks.network("MELD"), path)
    return path


def test_a_name_on_the_hub(theirs, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(obtain.obtain_checkpoint, "__defaults__", (tmp_path,))
    content, name, known = theirs.read_bytes(), "zt-ai/ECERC/MELD/ECERC_MODEL_2.pkl", read_checkpoint(theirs).sha256
    server.on_hub({"ckpt/MELD/ECERC_MODEL_2.pkl": content})
    network = common.load(name, empty_history="strict")
    assert (network.classes, network.widths) == (meld.CLASSES, golden_networks.WIDTHS["MELD"])
    assert (network.settings.modality_order, network.settings.batch_size) == ("released", 32)
    target = tmp_path / "MELD" / "ECERC_MODEL_2.pkl"
    assert capsys.readouterr().err == f"Note: {target}: trained with empty_history released, loaded with strict.\n"
    assert target.read_bytes() == content

    server.shutdown()  # what is there needs no connection
    server.server_close()
    assert common.load(name).settings.empty_history == "released"
    with pytest.raises(InputError, match=r"IEMOCAP/ECERC_MODEL\.pkl: .* in a browser, and put it there"):
        common.load("zt-ai/ECERC/IEMOCAP/ECERC_MODEL.pkl")
    save_released(small_network(CORPUS), tmp_path / "MELD" / "ECERC_MODEL_3.pkl", about(CORPUS))
    with pytest.raises(InputError, match=r"in the place of zt-ai/ECERC/MELD/ECERC_MODEL_3\.pkl, but was trained"):
        common.load("zt-ai/ECERC/MELD/ECERC_MODEL_3.pkl")
    monkeypatch.setitem(trained.SHA256, ("MELD", "some"), known)  # by itself, it is known by its content
    assert common.load(theirs).classes == meld.CLASSES


def test_the_import_takes_no_time():
    code = "import sys, common; assert not {'torch', 'numpy', 'pandas', 'yaml'} & set(sys.modules); print(common.load)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
