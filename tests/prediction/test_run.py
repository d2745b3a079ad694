"""Which runs predict, and what is said of those that cannot."""

import shutil

import numpy as np
import pytest
import torch
import yaml

from common.data.own import read_own, write_own
from common.errors import InputError
from common.features.choices import Choices
from common.features.text.tune import TuneSettings
from common.features.text.tuned import Tuning
from common.prediction.run import open_run
from tests.prediction.made_up import dataset, labelled, run_on
from tests.small import random_corpus, without_record

pytest.importorskip("transformers")
CPU = torch.device("cpu")


def refused(*given):
    with pytest.raises(InputError) as caught:
        open_run(*given, CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value), list(caught.value.change)


@pytest.fixture
def copy(released, tmp_path):
    """A copy of the run that may be spoiled."""
    return shutil.copytree(released, tmp_path / "run")


@pytest.fixture
def data_copy(data, tmp_path):
    """A copy of the dataset that may be spoiled."""
    return shutil.copytree(data, tmp_path / "copied", ignore=shutil.ignore_patterns("work"))


def change(path, **entries):
    content = yaml.safe_load(path.read_text())
    content.update(entries)
    path.write_text(yaml.safe_dump(content))


def test_a_folder_stands_for_all_its_networks_a_checkpoint_for_itself(released):
    run = open_run(released, None, CPU)
    assert list(run.checkpoints) == ["ECERC_MODEL.pkl", "ECERC_MODEL_2.pkl"]
    assert run.members() == f"Probabilities are the mean of 2 networks, those of {released}."
    assert run.kinds == ["text", "event"]
    assert run.notes == []
    alone = open_run(released / "ECERC_MODEL_2.pkl", None, CPU)
    assert (list(alone.checkpoints), alone.members()) == (["ECERC_MODEL_2.pkl"], "")
    assert torch.equal(alone.network.classifier.weight, run.networks[1].classifier.weight)


def test_history_is_as_in_training_and_strict_for_live_conversations(released, strict):
    run = open_run(released, None, CPU)
    assert [n.settings.empty_history for n in run.networks] == ["released"] * 2
    assert [n.settings.empty_history for n in run.live_networks] == ["strict"] * 2
    for one, other in zip(run.networks, run.live_networks, strict=True):
        assert all(torch.equal(one.state_dict()[name], weight) for name, weight in other.state_dict().items())
    run = open_run(strict, None, CPU)
    assert run.live_networks is run.networks


def test_a_run_that_is_not_there(tmp_path):
    line, change = refused(tmp_path / "no", None)
    assert line.startswith(f"{tmp_path / 'no'}: no such run; expected the folder of a run of train.py, or a checkpoint")
    assert change == ["run"]
    assert refused(tmp_path, None)[0].startswith(f"{tmp_path}: no checkpoint in this folder; expected")
    (tmp_path / "ECERC_MODEL.pkl").write_text("<html>")
    assert "not a complete checkpoint of weights only" in refused(tmp_path, tmp_path)[0]


def test_data_that_have_been_moved(copy, data_copy, data):
    change(copy / "settings.yaml", data_dir=str(data.parent / "gone"))
    line, options = refused(copy, None)
    gone = data.parent / "gone"
    assert line == f"{copy}: trained on the data in {gone}, which are not there now; say where they lie"
    assert options == ["data_dir"]
    assert open_run(copy, data_copy, CPU).recipe.folder == data_copy
    assert refused(copy, gone)[0] == f"{gone}: no such folder; expected the dataset that {copy} was trained on"
    (data_copy / "recipe.yaml").unlink()
    assert refused(copy, data_copy)[0].startswith(f"{data_copy / 'recipe.yaml'}: missing; expected how the features")


def test_another_recipe_is_refused(copy, data_copy):
    change(data_copy / "recipe.yaml", tuned=True)
    line = f"{data_copy / 'recipe.yaml'}: not the recipe that the network's data were made by; make them "
    assert refused(copy, data_copy)[0].startswith(line)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"format": 2}, "no recipe of this version"),
        ({"features": ["text"]}, "no recipe of this version"),
        ({"features": {"text": {"identity": {}, "width": float("inf")}}}, "no recipe of this version"),
        ({"choices": {"text_model": 3, "os": "no"}}, "no choices of models that are known here"),
    ],
    ids=["format", "features", "width", "choices"],
)
def test_damaged_recipes(copy, data_copy, entries, said):
    change(data_copy / "recipe.yaml", **entries)
    (copy / "settings.yaml").unlink()  # nobody says which one it was
    assert said in refused(copy, data_copy)[0]


def test_a_checkpoint_by_itself(released, data, tmp_path):
    path = shutil.copy(released / "ECERC_MODEL.pkl", tmp_path)
    line, options = refused(tmp_path / "ECERC_MODEL.pkl", None)
    assert line.startswith(f"{tmp_path / 'settings.yaml'}: missing, so it is not known which data ECERC_MODEL.pkl was")
    assert options == ["data_dir"]
    run = open_run(tmp_path / "ECERC_MODEL.pkl", data, CPU)
    assert ["so nobody knows whether ECERC_MODEL.pkl was trained on the data in" in note for note in run.notes] == [
        True
    ]
    without_record(path, tmp_path / "alone.pkl")
    assert "says nothing of its settings, widths and classes" in refused(tmp_path / "alone.pkl", data)[0]


def test_data_without_a_recipe(copy, tmp_path):
    for dataset_name, synthetic, what in (
        ("mine", False, "data of `python -m common build`"),
        ("MELD", False, "MELD's released files"),
        ("MELD", True, "synthetic conversations"),
    ):
        entries = {"dataset": dataset_name, "synthetic": synthetic, "data": {"sha256": {"train.npy": "0"}}}
        change(copy / "settings.yaml", **entries)
        line = refused(copy, None)[0]
        assert line.startswith(f"{copy}: trained on {what}, of which no recipe says how the features were made")
        assert "`python -m common features`" in line
    built = random_corpus([3, 2, 2], widths={"text": 4, "event": 3, "audio": 0, "visual": 0})
    built.splits.update(train=[0], valid=[1], test=[2])
    write_own(built, tmp_path / "built")
    run = run_on(tmp_path / "built", tmp_path / "run_on_built", seeds=(0,))
    assert "trained on data of `python -m common build`" in refused(run, None)[0]


def test_checkpoints_that_do_not_go_together(copy, strict):
    shutil.copy(strict / "ECERC_MODEL.pkl", copy / "ECERC_MODEL_3.pkl")
    line = refused(copy, None)[0]
    assert (
        line == f"{copy}: its checkpoints were trained with different empty_history; give one of them, not the folder"
    )


def test_data_of_other_widths(copy, data_copy):
    (copy / "settings.yaml").unlink()
    content = yaml.safe_load((data_copy / "recipe.yaml").read_text())
    content["features"]["event"]["width"] = 768
    change(data_copy / "recipe.yaml", **content)
    line, options = refused(copy, data_copy)
    assert f"makes event features of width 768; {copy} was trained on such of width 384" in line
    assert options == ["data_dir"]


@pytest.fixture(scope="module")
def tuned(minilm, tmp_path_factory):
    """A run on features of an encoder that was tuned, whose base is not there any more."""
    folder = tmp_path_factory.mktemp("tuned")
    base = shutil.copytree(minilm, folder / "base")
    choices = Choices(str(base), event_model="none")
    tuning = Tuning(TuneSettings(epochs=1, batch_size=16))
    dataset(folder / "data", choices, labelled(8), tuning)
    shutil.rmtree(base)
    return run_on(folder / "data", folder / "run", seeds=(0,))


def test_text_goes_through_the_tuned_encoder_and_needs_no_other(tuned):
    run = open_run(tuned, None, CPU)
    extractors, notes = run.recipe.extractors("cpu", run.kinds)
    assert (list(extractors), notes) == (["text"], [])
    corpus = read_own(tuned.parent / "data")
    assert extractors["text"].model.source == str(tuned.parent / "data" / "encoder")
    found = extractors["text"].of_sentences(corpus.sentences[:5])
    np.testing.assert_allclose(found, corpus.features["text"][:5], rtol=0, atol=1e-5)


def test_a_changed_encoder_is_refused(tuned, tmp_path):
    data = shutil.copytree(tuned.parent / "data", tmp_path / "data", ignore=shutil.ignore_patterns("work"))
    run = open_run(tuned, data, CPU)
    assert run.recipe.extractors("cpu", run.kinds)[1] == []  # that it lies elsewhere changes nothing
    weights = data / "encoder" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"recipe\.yaml: the text model has another sha256 than when the dataset"):
        run.recipe.extractors("cpu", run.kinds)
    shutil.rmtree(data / "encoder")
    with pytest.raises(InputError, match=r"recipe\.yaml: .*encoder: no such folder"):
        run.recipe.extractors("cpu", run.kinds)


def test_models_that_the_networks_do_not_use_need_not_be_there(copy, data_copy):
    (copy / "settings.yaml").unlink()
    content = yaml.safe_load((data_copy / "recipe.yaml").read_text())
    content["choices"] |= {"audio_model": "/no/model", "visual_model": "/no/file.onnx"}
    content["features"]["audio"] = {"width": 7, "identity": {}}
    change(data_copy / "recipe.yaml", **content)
    run = open_run(copy, data_copy, CPU)
    assert sorted(run.recipe.extractors("cpu", run.kinds)[0]) == ["event", "text"]
    with pytest.raises(InputError, match="/no/model: no such folder"):
        run.recipe.extractors("cpu")
