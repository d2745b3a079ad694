"""What a checkpoint says of its own training, and what the commands make of one that says nothing."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch
import yaml

from common.__main__ import main
from common.commands import checkpoints as commands
from common.data import meld
from common.data.own import write_own
from common.errors import InputError
from common.release import published, trained
from common.release.checkpoint import read_checkpoint, save_released
from common.settings import EvaluationSettings, TrainingSettings
from common.training.run import train_run
from tests.commands.conftest import ROOT
from tests.small import NETWORK, about, random_corpus, result_of, small_corpus, small_network, without_record

CLASSES = sorted(meld.CLASSES)  # of own data; as many as MELD's, in another order
OPTIONS = ["--hidden-width", 8, "--heads", 2, "--head-width", 4, "--empty-history", "strict", "--batch-size", 4]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Own conversations in data/, and a run on them with one checkpoint in run/."""
    folder = tmp_path_factory.mktemp("own")
    corpus = random_corpus([3, 4, 2, 5], classes=7)
    corpus = replace(corpus, name="talks", classes=CLASSES, splits={"train": [0], "valid": [1], "test": [2, 3]})
    write_own(corpus, folder / "data")
    (folder / "run").mkdir()
    content = about(corpus, empty_history="strict", batch_size=4)
    save_released(small_network(corpus), folder / "run" / "ECERC_MODEL.pkl", content)
    content["hyperparameters"]["without"] = []  # no tuple, for YAML
    (folder / "run" / "settings.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture
def evaluated(own, project, in_process, tmp_path):
    """What inference.py of MELD prints on the own conversations, its status, and the predictions."""

    def evaluated(*words):
        target = tmp_path / "predictions.csv"
        target.unlink(missing_ok=True)
        words = ["--data-dir", own / "data", "--predictions", target, *words]
        printed, status = in_process(project / "MELD", "inference.py", *words)
        return printed.out + printed.err, status, pd.read_csv(target) if target.exists() else None

    return evaluated


def test_a_checkpoint_away_from_its_run_is_read_as_in_it(own, evaluated, tmp_path):
    """Taken with MELD's order of classes, as many and of the same names, nearly all predictions would be others."""
    _, status, expected = evaluated("--checkpoints", own / "run")
    assert not status
    assert list(expected.columns[-7:]) == [f"log_prob_{name}" for name in CLASSES]
    shutil.copy(own / "run" / "ECERC_MODEL.pkl", tmp_path / "ECERC_MODEL.pkl")
    printed, status, alone = evaluated("--checkpoints", tmp_path / "ECERC_MODEL.pkl")
    assert not status
    assert "Trained with empty_history strict" in printed
    pd.testing.assert_frame_equal(alone, expected)

    older = without_record(own / "run" / "ECERC_MODEL.pkl", tmp_path / "ECERC_MODEL.pkl")
    line, status, nothing = evaluated("--checkpoints", older, *OPTIONS)
    assert (status, nothing) == (2, None)
    assert f"{older}: says nothing of its training, and no settings.yaml stands beside it" in line
    assert line.endswith("; see --classes\n")
    for names in (CLASSES[:6], [*CLASSES[:6], CLASSES[0]]):
        line, status, _ = evaluated("--checkpoints", older, *OPTIONS, "--classes", *names)
        assert (status, "expected the 7 of ECERC_MODEL.pkl" in line) == (2, True)
    printed, status, named = evaluated("--checkpoints", older, *OPTIONS, "--classes", *CLASSES)
    assert not status
    assert "taken as trained with the values at the top of the script, or the options" in printed
    pd.testing.assert_frame_equal(named, expected)  # also MELD's order of columns is not taken for one's own
    shutil.copy(own / "run" / "settings.yaml", tmp_path / "settings.yaml")
    pd.testing.assert_frame_equal(evaluated("--checkpoints", older)[2], expected)
    line, status, _ = evaluated("--checkpoints", older, "--classes", *meld.CLASSES)
    assert (status, "trained on the classes anger, disgust, " in line) == (2, True)
    (tmp_path / "settings.yaml").write_text("hyperparameters: {}")
    assert "the order of its 7 classes is not known" in evaluated("--checkpoints", older)[0]


def test_copies_are_said_to_be_counted(own, evaluated, tmp_path):
    copied = shutil.copytree(own / "run", tmp_path / "copy") / "ECERC_MODEL.pkl"
    first = own / "run" / "ECERC_MODEL.pkl"
    assert "is a copy" not in evaluated("--checkpoints", first)[0]
    printed, status, _ = evaluated("--checkpoints", first, copied)
    assert (status or 0) == 0
    assert f"Note: {copied} is a copy of {first}; mean and spread count both." in printed


def test_the_case_study_takes_the_same_way(own, tmp_path, capsys):
    words = ["case-study", "--dataset", "MELD", "--data-dir", own / "data", "--output", tmp_path / "case"]
    words += ["--dialogue", "d2", "--utterance", 2, "--checkpoints"]
    lone = shutil.copy(own / "run" / "ECERC_MODEL.pkl", tmp_path / "ECERC_MODEL.pkl")
    printed, status = result_of(lambda: main([*map(str, words), str(lone), "--empty-history", "released"]), capsys)
    assert not status, printed.err
    assert "Note: trained with empty_history strict, evaluated with released." in printed.out
    older = without_record(lone, tmp_path / "older.pkl")
    printed, status = result_of(lambda: main([*map(str, words), str(older), "--overwrite"]), capsys)
    assert (status, "the order of its 7 classes is not known" in printed.err) == (2, True)


def settings_of(dataset, *checkpoints, options=None, top=None, synthetic=False):
    """Settings, classes and notes for checkpoints, with the values of the released script at its top, or `top`."""
    hyperparameters = published.SETTINGS[dataset] | (top or {})
    return commands.trained_settings(
        dataset, {c.path.name: c for c in map(read_checkpoint, checkpoints)}, hyperparameters, options or {}, synthetic
    )


@pytest.fixture
def released(tmp_path):
    """Writes a checkpoint of MELD with these settings and returns its path."""
    corpus = small_corpus("MELD")

    def released(name="a.pkl", synthetic=False, **settings):
        save_released(small_network(corpus), tmp_path / name, about(corpus, synthetic, **settings))
        return tmp_path / name

    return released


def test_settings_other_than_in_training_are_named(released):
    trained_with = {"modality_order": "released"}
    path = released(**trained_with)
    assert settings_of("MELD", path)[2] == [
        f"Trained with {name} {value}, which counts here (top of the script: {top})."
        for name, value, top in (("hidden_width", 8, 128), ("heads", 2, 8), ("head_width", 4, 64))
    ]
    options = {"empty_history": "strict", "precision": "bfloat16", "batch_size": 1, "attention_dropout": 0.3}
    settings, classes, notes = settings_of("MELD", path, options=options)
    assert classes == meld.CLASSES
    assert settings.empty_history == "strict"
    assert [note for note in notes if note.startswith("Note")] == [  # strictly, no output depends on the batch size
        "Note: trained with empty_history released, evaluated with strict.",
        "Note: trained with precision float32, evaluated with bfloat16.",
    ]
    options = {"batch_size": 1, "positions": True, "modality_order": "aligned", "heads": 4}
    for name, here in options.items():
        before = getattr(EvaluationSettings(**(NETWORK | trained_with)), name)
        notes = settings_of("MELD", path, options={name: here})[2]
        assert notes[-1] == f"Note: trained with {name} {before}, evaluated with {here}."
    other = released("b.pkl", empty_history="strict", **trained_with)
    notes = settings_of("MELD", path, other, options={"empty_history": "strict"})[2]
    assert notes[-1] == "Note: a.pkl: trained with empty_history released, evaluated with strict."
    assert (
        "Note: a.pkl was trained on real conversations, unlike what follows."
        in settings_of("MELD", path, synthetic=True)[2]
    )
    assert (
        "Note: c.pkl was trained on synthetic conversations, unlike what follows."
        in settings_of("MELD", released("c.pkl", synthetic=True, **trained_with))[2]
    )


def test_checkpoints_that_say_nothing(released, tmp_path, monkeypatch):
    """On the released data they are taken as the authors', with a note unless they are known to be."""
    older = without_record(released(), tmp_path / "ECERC_MODEL_2.pkl")
    settings, classes, (note,) = settings_of("MELD", older)
    assert (settings.modality_order, classes) == ("released", None)
    assert note.startswith("Note: ECERC_MODEL_2.pkl says nothing of its training")
    assert "taken as one of the authors', with" in note
    unknown = {"a.pkl": read_checkpoint(older)}
    _, classes, (given,) = commands.trained_settings("MELD", unknown, published.SETTINGS["MELD"], {}, False, CLASSES)
    assert classes == CLASSES
    assert "taken as one of the authors', on the classes as given, with" in given
    strict = {"empty_history": "strict"}
    words = "Note: trained with empty_history released, evaluated with strict."
    for where in ({"options": strict}, {"top": strict}):
        assert settings_of("MELD", older, **where)[2] == [note, words]
    # in one of the three places beside the script, of known content, or obtained
    beside = tmp_path / "MELD" / older.name
    beside.parent.mkdir()
    shutil.copy(older, beside)
    (beside.parent / "inference.py").touch()
    assert settings_of("MELD", beside, options=strict)[2] == [words]
    assert len(settings_of("IEMOCAP", beside)[2]) == 1
    digest = read_checkpoint(older).sha256
    obtained = {older.name: {"sha256": digest, "source": f"https://huggingface.co/{published.REPOSITORY}/resolve"}}
    (beside.parent / "obtained.json").write_text(str(obtained).replace("'", '"'))
    with pytest.raises(InputError, match=r"ECERC_MODEL_2\.pkl: trained on MELD; this script evaluates on IEMOCAP"):
        settings_of("IEMOCAP", beside)
    monkeypatch.setitem(trained.SHA256, ("MELD", "some"), digest)
    assert settings_of("MELD", older)[2] == []
    # whose classes, and settings that the other script has not, are known for one's own conversations, too
    top = published.SETTINGS["IEMOCAP"] | {"empty_history": "strict"}
    settings, classes, _ = settings_of("MELD", older, top=top)
    checkpoints = {"a": read_checkpoint(older)}
    settings, classes, _ = commands.trained_settings("talks", checkpoints, top, {}, False)
    assert classes == meld.CLASSES
    assert (settings.positions, settings.modality_order, settings.batch_size) == (False, "released", 32)


def test_what_was_published_is_what_the_scripts_say():
    for dataset, values in published.SETTINGS.items():
        script: dict = {}
        text = (ROOT / dataset / "inference.py").read_text()
        exec(text[text.index("HYPERPARAMETERS") : text.index("if __name__")], script)
        settings = EvaluationSettings(**script["HYPERPARAMETERS"])
        assert {name: getattr(settings, name) for name in values} == values


def test_classes_in_another_order_are_refused_on_released_data(released, project, in_process, tmp_path):
    content = about(small_corpus("MELD"))
    content["data"]["classes"] = CLASSES
    save_released(small_network(small_corpus("MELD")), tmp_path / "odd.pkl", content)
    words = ["inference.py", "--data-dir", project / "data", "--checkpoints", tmp_path / "odd.pkl"]
    printed, status = in_process(project / "MELD", *words)
    assert (status, "odd.pkl: trained on the classes anger, disgust, " in printed.err) == (2, True)


def test_initial_weights_of_other_classes_or_settings(own, tmp_path, capsys):
    corpus = random_corpus([3, 4, 2], classes=7)
    corpus = replace(corpus, splits={"train": [0], "valid": [1], "test": [2]}, classes=CLASSES[::-1])
    start, cpu = own / "run" / "ECERC_MODEL.pkl", torch.device("cpu")
    settings = TrainingSettings(**NETWORK, epochs=1, seeds=(0,))
    with pytest.raises(InputError, match=r"trained on the classes anger, .* these are surprise, ") as error:
        train_run(corpus, settings, cpu, tmp_path / "run", initial_weights=start, progress=False)
    assert error.value.change == ["initial_weights"]
    corpus = replace(corpus, classes=CLASSES)
    train_run(corpus, settings, cpu, tmp_path / "run", initial_weights=start, progress=False)
    assert f"Note: {start}: trained with empty_history strict, used with released.\n" in capsys.readouterr().err
    older = without_record(start, tmp_path / "older.pkl")
    train_run(corpus, settings, cpu, tmp_path / "second", initial_weights=older, progress=False)
    said = f"Note: {older}: says nothing of its classes; taken as {', '.join(CLASSES)}, in this order.\n"
    assert capsys.readouterr().err == said
    written = tmp_path / "run" / "ECERC_MODEL.pkl"  # and training writes what settings.yaml says into it
    beside = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    assert read_checkpoint(written).trained == trained.read(beside, "")
