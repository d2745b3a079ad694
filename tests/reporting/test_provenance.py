"""Where numbers come from: what a run's files say is told, what is missing or damaged is left out, and said."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from common.release.checkpoint import read_checkpoint
from common.reporting.paper import blank_features
from common.reporting.provenance import Origin, about, command_line, commit, run_provenance
from common.settings import TrainingSettings
from common.training.run import train_run
from tests.small import NETWORK, random_corpus, small_corpus, without_record

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two seeds of two epochs."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = TrainingSettings(**NETWORK, seeds=(7, 3), epochs=2, empty_history="strict", without=("feature-gating",))
    train_run(small_corpus(), settings, CPU, folder, progress=False)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it, to be damaged."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in trained.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def told(*paths):
    """`run_provenance` of the checkpoints at `paths`; all that is told can be written as JSON."""
    origins = []
    for path in paths:
        checkpoint = read_checkpoint(path)
        origins.append(Origin(path.name, path, checkpoint.sha256, checkpoint.trained))
    result = run_provenance(origins, lambda path: path.name)
    json.dumps(result, allow_nan=False)
    return result


def test_a_run(run):
    provenance, curves, notes = told(run / "ECERC_MODEL_2.pkl", run / "ECERC_MODEL.pkl")
    assert notes == []
    assert provenance["folder"] == "run"
    digest = subprocess.run(["sha256sum", run / "ECERC_MODEL_2.pkl"], capture_output=True, text=True).stdout.split()[0]
    results = dict(line.split(",")[:2] for line in (run / "results.csv").read_text().splitlines())
    assert provenance["checkpoints"][0] == {
        "name": "ECERC_MODEL_2.pkl",
        "sha256": digest,
        "seed": 3,
        "selected_epoch": int(results["3"]),
    }
    assert [row["seed"] for row in provenance["checkpoints"]] == [3, 7]
    content = yaml.safe_load((run / "settings.yaml").read_text())
    assert provenance["hyperparameters"] == content["hyperparameters"]
    assert {name: provenance["trained"][name] for name in ("dataset", "synthetic", "device", "versions")} == {
        name: content[name] for name in ("dataset", "synthetic", "device", "versions")
    }
    history = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
    head, rows = history[0], [row for row in history[1:] if row[0] == "3"]
    assert [curve["seed"] for curve in curves] == [3, 7]
    assert curves[0]["epochs"] == [0, 1]
    assert curves[0]["selected_epoch"] == int(results["3"])
    for name in ("train_loss", "valid_loss", "valid_wf1"):
        assert curves[0][name] == [float(row[head.index(name)]) for row in rows]


def test_no_path_of_the_machine_is_told(run):
    content = yaml.safe_load((run / "settings.yaml").read_text())
    content |= {"data_dir": "/home/alice/data", "initial_weights": "/home/alice/first.pkl"}
    content["data"]["sha256"] = {"/home/alice/talks/u.csv": "ab"}
    (run / "settings.yaml").write_text(yaml.safe_dump(content))
    provenance, _, _ = told(run / "ECERC_MODEL.pkl")
    assert "alice" not in json.dumps(provenance)
    assert provenance["trained"]["initial_weights"] == "first.pkl"
    assert provenance["trained"]["data_files"] == {"u.csv": "ab"}
    corpus = replace(random_corpus([2]), sources={"/home/alice/a/t.npy": "01", "u.csv": "02"})
    assert about(corpus, "test", CPU)["data_files"] == {"t.npy": "01", "u.csv": "02"}
    corpus = replace(corpus, sources={"/home/alice/a/t.npy": "01", "/home/alice/b/t.npy": "02", "u.csv": "03"})
    assert about(corpus, "test", CPU)["data_files"] == {"a/t.npy": "01", "b/t.npy": "02", "u.csv": "03"}


def test_missing_files(run):
    (run / "history.csv").unlink()
    provenance, curves, notes = told(run / "ECERC_MODEL.pkl")
    assert (curves, notes, provenance["checkpoints"][0]["selected_epoch"] is None) == (None, [], False)
    (run / "results.csv").unlink()
    (row,) = told(run / "ECERC_MODEL.pkl")[0]["checkpoints"]
    assert (row["seed"], row["selected_epoch"]) == (7, None)
    (run / "settings.yaml").unlink()
    provenance, curves, notes = told(run / "ECERC_MODEL.pkl")
    assert (provenance["checkpoints"][0]["seed"], provenance["trained"], curves, notes) == (None, None, None, [])
    assert provenance["hyperparameters"]["empty_history"] == "strict"  # what is recorded in the checkpoint
    assert provenance["hyperparameters"]["without"] == ["feature-gating"]
    assert "learning_rate" not in provenance["hyperparameters"]
    older = without_record(run / "ECERC_MODEL.pkl", run / "older.pkl")
    assert told(older)[0]["hyperparameters"] is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.yaml", "hyperparameters: 3"),
        ("settings.yaml", "{"),
        ("settings.yaml", "hyperparameters: {layers: many}"),
        ("settings.yaml", "hyperparameters: {layers: 1}\nversions: 3"),
        ("settings.yaml", "hyperparameters: {seeds: 5}\ndata: 3"),
        ("results.csv", "seed,selected_epoch\n7,one\n"),
        ("results.csv", "seed\n7\n"),
        ("results.csv", ""),
        ("results.csv", "seed,selected_epoch\n7,1,1\n"),
        ("results.csv", "\xff\x00"),
        ("history.csv", "seed,epoch,train_loss,valid_loss,valid_wf1\n7,0,1.2,3.4\n"),
        ("history.csv", "seed,epoch\n7,0\n"),
        ("history.csv", "seed,epoch,train_loss,valid_loss,valid_wf1,seconds\n7,0,1.2,3.4,20\n"),
        ("history.csv", "seed,epoch,train_loss,valid_loss,valid_wf1\n7,0,1.2,3.4,high\n"),
    ],
)
def test_damaged_files_are_left_out_and_named(run, name, content):
    expected = dict(zip(("provenance", "curves"), told(run / "ECERC_MODEL.pkl"), strict=False))
    (run / name).write_text(content, encoding="latin-1")
    provenance, curves, (note,) = told(run / "ECERC_MODEL.pkl")
    assert note.startswith(f"{name}: damaged, so what it says of the training is left out (")
    (row,) = provenance["checkpoints"]
    if name == "settings.yaml":
        assert (row["seed"], row["selected_epoch"], curves, provenance["trained"]) == (None, None, None, None)
        assert provenance["hyperparameters"]["empty_history"] == "strict"
    else:
        lost = "selected_epoch" if name == "results.csv" else "curves"
        assert (curves if lost == "curves" else row[lost]) is None
        assert provenance["hyperparameters"] == expected["provenance"]["hyperparameters"]
        assert row["seed"] == 7


def test_losses_that_are_not_finite_are_none(run):
    head = "seed,epoch,train_loss,valid_loss,valid_wf1"
    (run / "history.csv").write_text(f"{head}\n7,0,1.5,nan,20\n7,1,inf,0.25,30\n")
    _, (curve,), _ = told(run / "ECERC_MODEL.pkl")
    assert (curve["train_loss"], curve["valid_loss"]) == ([1.5, None], [None, 0.25])


def test_checkpoints_of_two_folders_and_a_strange_one(run, tmp_path):
    """What they share is told; a checkpoint that lies in the folder of a run that is not its own has no seed of it."""
    other = tmp_path / "other"
    other.mkdir()
    for name in ("ECERC_MODEL.pkl", "results.csv", "history.csv"):
        (other / name).write_bytes((run / name).read_bytes())
    content = yaml.safe_load((run / "settings.yaml").read_text())
    content["hyperparameters"] |= {"learning_rate": 0.5, "seeds": [8]}
    (other / "settings.yaml").write_text(yaml.safe_dump(content))
    provenance, _, notes = told(run / "ECERC_MODEL.pkl", other / "ECERC_MODEL.pkl")
    assert "folder" not in provenance
    assert [row["seed"] for row in provenance["checkpoints"]] == [7, 8]
    assert provenance["checkpoints"][1]["selected_epoch"] is None
    assert {"learning_rate", "seeds"}.isdisjoint(provenance["hyperparameters"])
    assert provenance["hyperparameters"]["epochs"] == 2
    assert (provenance["trained"], notes) == (None, [])
    content["hyperparameters"]["layers"] = 2
    (other / "settings.yaml").write_text(yaml.safe_dump(content))
    provenance, curves, (note,) = told(other / "ECERC_MODEL.pkl")
    assert note == "ECERC_MODEL.pkl: was trained with other settings than the settings.yaml beside it says."
    assert (provenance["checkpoints"][0]["seed"], curves, provenance["trained"]) == (None, None, None)
    assert provenance["hyperparameters"]["layers"] == 1


def test_the_command_line_as_it_was_typed(monkeypatch):
    words = ["inference.py", "--report", "my page", "--layers", "2"]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(sys, "orig_argv", ["/home/alice/venv/bin/python3", "-u", *words])
    assert shlex.split(command_line()) == ["python3", "-u", *words]
    monkeypatch.setattr(sys, "argv", ["/home/alice/common/__main__.py", "predict", "talk.txt"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "common", "predict", "talk.txt"])
    assert command_line() == "python -m common predict talk.txt"
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", "import notebook"])
    assert shlex.split(command_line()) == ["python", *words]


def test_the_commit(tmp_path, monkeypatch):
    assert commit(tmp_path) is None

    def git(*words):
        mine = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", "-C", tmp_path, *mine, *words], capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    assert commit(tmp_path) is None  # nothing is committed yet
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD").strip()
    assert commit(tmp_path) == {"id": head, "changed": False}
    (tmp_path / "new.py").write_text("1")
    assert commit(tmp_path) == {"id": head, "changed": False}
    (tmp_path / "a.py").write_text("2")
    assert commit(tmp_path) == {"id": head, "changed": True}
    (tmp_path / "code").mkdir()
    assert commit(tmp_path / "code") is None  # a copy of the code in some other repository
    monkeypatch.setenv("GIT_DIR", str(Path(__file__).parent))
    assert commit(tmp_path) == {"id": head, "changed": True}
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) is None


def test_blank_features():
    corpus = random_corpus([300, 300, 3, 1])
    corpus = replace(corpus, splits={"train": [0], "valid": [2], "test": [1, 3]})
    rows = corpus.rows("test")
    corpus.features["audio"][rows] = corpus.features["audio"][rows[0]]
    corpus.features["visual"][rows] = 0
    corpus.features["visual"][rows[-1], 2] = 1  # one number of one utterance, far from the first
    corpus.features["event"] = np.zeros((604, 0), np.float32)  # there are none
    assert blank_features(corpus, "test") == ["audio"]
    assert blank_features(corpus, "train") == []
    corpus.splits["test"] = [3]
    assert blank_features(corpus, "test") == []  # of one utterance nothing can be said
    assert about(replace(corpus, splits=corpus.splits | {"test": [1]}), "test", CPU)["blank_features"] == [
        "audio",
        "visual",
    ]
