"""train.py, and both scripts together, as a user runs them, on small conversations written in the released layout."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from common.training.fit import Trainer
from tests.commands.conftest import SMALL, call
from tests.small import small_corpus


def test_train_then_inference(project, run, tmp_path):
    """inference.py finds the newest run, uses its settings, and arrives at the scores that training wrote down."""
    done = call(project / "MELD", "inference.py", "--predictions", tmp_path / "all.csv")
    assert f"of the newest run with checkpoints, runs/{run.name} (3)" in done.stdout
    assert "Trained with empty_history strict, which counts here (top of the script: released)." in done.stdout
    results = pd.read_csv(run / "results.csv")
    lines = {line.split("  ")[0]: line for line in done.stdout.split("Test split")[1].splitlines()}
    for name, column in (("accuracy", "test_accuracy"), ("weighted F1", "test_wf1"), ("F1 joy", "test_f1_joy")):
        values = results[column]
        printed = re.findall(r"\d+\.\d\d", lines[name])
        assert printed[:3] == [f"{v:.2f}" for v in values]
        assert printed[3:] == [f"{values.mean():.2f}", f"{values.std(ddof=1):.2f}"]

    rows = pd.read_csv(tmp_path / "all.csv")
    corpus = small_corpus("MELD", sizes=(12, 3, 5))
    test = corpus.rows("test")
    columns = ["checkpoint", "dialogue", "utterance", "position", "speaker", "label", "prediction"]
    assert list(rows) == columns + [f"log_prob_{c}" for c in corpus.classes]
    assert rows.checkpoint.tolist() == np.repeat([f"ECERC_MODEL{k}.pkl" for k in ("", "_2", "_3")], len(test)).tolist()
    first = rows[: len(test)]
    assert first.label.tolist() == [corpus.classes[c] for c in corpus.label[test]]
    assert first.speaker.tolist() == corpus.speaker[test].tolist()
    lengths = corpus.lengths[corpus.splits["test"]]
    assert first.dialogue.tolist() == np.repeat([corpus.ids[d] for d in corpus.splits["test"]], lengths).tolist()
    assert first.utterance.tolist() == first.position.tolist() == [u for n in lengths for u in range(n)]
    log_prob = rows[[f"log_prob_{c}" for c in corpus.classes]].to_numpy()
    np.testing.assert_allclose(np.exp(log_prob).sum(1), 1, rtol=1e-5)
    assert rows.prediction.tolist() == [corpus.classes[c] for c in log_prob.argmax(1)]
    assert 100 * (first.label == first.prediction).mean() == pytest.approx(results.test_accuracy[0])
    pd.testing.assert_frame_equal(
        rows.iloc[:, 1:], pd.read_csv(run / "predictions.csv").iloc[:, 1:], rtol=1e-4, atol=1e-5
    )


def test_every_option_reaches_the_run(project, ran, tmp_path):
    """Also switched off, and the values of all others are those at the top of the script."""
    words = "--no-shuffle --evidence-dropout 0.25 --attention-dropout 0 --classifier-dropout 0.1 --class-weights train"
    words += " --modality-order aligned --labels sentiment --seeds 8 9 --batch-size 5"
    ran(project / "MELD", "train.py", *SMALL, *words.split(), "--output", tmp_path / "run")
    written = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    expected = {
        "shuffle": False,
        "evidence_dropout": 0.25,
        "attention_dropout": 0.0,
        "classifier_dropout": 0.1,
        "class_weights": "train",
        "modality_order": "aligned",
        "labels": "sentiment",
        "seeds": [8, 9],
        "batch_size": 5,
        "focal_gamma": 1.0,
        "patience": 20,
        "weight_decay": 2e-4,
    }
    assert expected.items() <= written["hyperparameters"].items()
    assert written["data"]["classes"] == ["neutral", "positive", "negative"]
    state = torch.load(tmp_path / "run" / "ECERC_MODEL_2.pkl", weights_only=True)
    assert state["smax_fc.bias"].shape == (3,)
    printed = ran(project / "MELD", "inference.py", "--checkpoints", tmp_path / "run" / "ECERC_MODEL.pkl")
    assert "F1 negative" in printed


def test_initial_weights(project, ran, run, tmp_path):
    words = [*SMALL[:6], "--seeds", 1, "--epochs", 1, "--learning-rate", 1e-30, "--weight-decay", 0]
    start = run / "ECERC_MODEL.pkl"
    ran(project / "MELD", "train.py", *words, "--initial-weights", start, "--output", tmp_path / "run")
    a, b = (torch.load(path, weights_only=True) for path in (start, tmp_path / "run" / "ECERC_MODEL.pkl"))
    assert all(torch.allclose(a[name], b[name], rtol=0, atol=1e-12) for name in a)


def test_synthetic_needs_no_data(project, ran, tmp_path):
    words = ["--synthetic", "--seeds", 3, "--epochs", 1, "--batch-size", 16, "--data-dir", tmp_path]
    ran(project / "IEMOCAP", "train.py", *words, "--output", tmp_path / "run")
    checkpoint = tmp_path / "run" / "ECERC_MODEL.pkl"
    assert "synthetic conversations" in ran(
        project / "IEMOCAP", "inference.py", "--synthetic", "--checkpoints", checkpoint
    )


@pytest.mark.parametrize("script", [f"{d}/{s}.py" for d in ("IEMOCAP", "MELD") for s in ("train", "inference")])
def test_help_explains_every_option(project, ran, script):
    text = " ".join(ran(project, script, "--help").split())
    top = (project / script).read_text()
    for name in re.findall(r"^    (\w+)=", top, re.MULTILINE):
        assert re.search(rf"--{name.replace('_', '-')}\b", text), name
    for name in ("--data-dir", "--device", "--synthetic", "--overwrite"):
        assert name in text


@pytest.mark.parametrize(("threads", "number", "how"), [(1, signal.SIGINT, "Ctrl-C"), (2, signal.SIGTERM, "SIGTERM")])
def test_ctrl_c(project, ran, tmp_path, threads, number, how):
    """What is there stays, and the status says what happened. On one core the first seed is finished, the second is
    not; on two cores both are under way. So it is with `kill`.
    """
    run, awaited = tmp_path / "run", {1: "results.csv", 2: "history.csv"}[threads]
    words = [*SMALL[:6], "--epochs", 40, "--patience", 40, "--seeds", 0, 1, "--output", run]
    process = subprocess.Popen(
        [sys.executable, "train.py", *map(str, words)],
        cwd=project / "MELD",
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    while not (run / awaited).exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    finished = 2 - threads
    ending = f"{finished} of 2 seeds are finished; resume with: python train.py --resume {run}"
    assert error.splitlines()[-1] == f"train.py: stopped by {how}; {ending}"
    files = ["ECERC_MODEL.pkl", "history.csv", "predictions.csv", "results.csv", "settings.yaml"]
    # that of the finished seed goes right after its results, or when the run is resumed
    left = {p.name for p in run.iterdir()} - {"unfinished_0.pt", "unfinished_1.pt"}
    assert left == set(files if finished else [files[1], files[-1]])
    assert {0} <= set(pd.read_csv(run / "history.csv").seed) <= {0, 1}
    if finished:
        assert pd.read_csv(run / "results.csv").seed.tolist() == [0]
    ran(project / "MELD", "train.py", "--resume", run)
    assert pd.read_csv(run / "results.csv").seed.tolist() == [0, 1]
    assert pd.read_csv(run / "history.csv").epoch.tolist() == [*range(40)] * 2
    assert not [*run.glob("unfinished_*")]


def test_a_loss_that_is_not_finite(project, inside, tmp_path, monkeypatch):
    """The other seeds are kept and shown; the last line says which one, where."""
    loss = Trainer._loss

    def spoiled(trainer, batch):
        log_prob, value, share = loss(trainer, batch)
        return log_prob, value * np.nan if "seed 1" in trainer.title else value, share

    monkeypatch.setattr(Trainer, "_loss", spoiled)
    printed, status = inside(
        project / "MELD", "train.py", *SMALL, "--seeds", 0, 1, "--output", tmp_path / "run", "--batch-size", 4
    )
    assert status == 2
    assert printed.err.splitlines()[-1].startswith(
        "train.py: error: MELD seed 1 (2/2): the loss is not finite in epoch 0"
    )
    wf1 = pd.read_csv(tmp_path / "run" / "results.csv").test_wf1.tolist()
    assert len(wf1) == 1
    assert re.search(rf"weighted F1 +{wf1[0]:.2f}", printed.out)
