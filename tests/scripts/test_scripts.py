"""The four scripts as a user runs them, on small conversations written in the released layout."""

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import common.scripts.confidence
import common.scripts.inference
import common.scripts.train
import common.training.run
from common.data import iemocap, meld
from common.data.batches import Batches
from common.network.released import load_released
from common.settings import TrainingSettings
from common.training.calibration import fit_temperature
from common.training.evaluate import evaluate
from common.training.fit import Trainer
from common.training.metrics import scores
from common.training.run import build_network
from tests.small import small_corpus

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--hidden-width", "8", "--heads", "2", "--head-width", "4", "--epochs", "2", "--learning-rate", "0.01"]


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A copy of the project, with data in it."""
    place = tmp_path_factory.mktemp("place")
    for name in ("common", "IEMOCAP", "MELD"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.pkl"))
    iemocap.write(small_corpus("IEMOCAP", sizes=(18, 2, 5)), place / "data" / "iemocap")
    meld.write(small_corpus("MELD", sizes=(12, 3, 5)), place / "data" / "meld")
    return place


def call(folder, *words, status=0):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture
def inside(place, monkeypatch, capsys):
    """Run a script in this process, which saves starting another; returns what it printed, and its status."""

    def inside(folder, script, *words):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [script, "--data-dir", str(place / "data"), *map(str, words)])
        monkeypatch.setattr(sys, "path", [*sys.path])
        status = 0
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as stop:
            status = stop.code
        return capsys.readouterr(), status

    return inside


@pytest.fixture
def ran(inside):
    """What a script prints that ends well."""

    def ran(*words):
        printed, status = inside(*words)
        assert not status, printed.err
        return printed.out

    return ran


@pytest.fixture
def refused(inside):
    """The one line that a wrong call ends in, with status 2."""

    def refused(*words):
        printed, status = inside(*words)
        assert status == 2
        assert re.fullmatch(r"(train|inference)\.py: error: [^\n]+\n", printed.err), printed.err
        return printed.err

    return refused


@pytest.fixture(scope="session")
def run(place):
    """A finished run of MELD in the default folder, made from inside the script's folder."""
    done = call(place / "MELD", "train.py", *SMALL, "--empty-history", "strict", "--batch-size", 4)
    (run,) = (place / "MELD" / "runs").iterdir()
    assert str(run.name) in done.stdout
    assert "seed 2 (3/3)" in done.stderr
    return run


def test_train_then_inference(place, run, tmp_path):
    """inference.py finds the newest run, uses its settings, and arrives at the scores that training wrote down."""
    done = call(place / "MELD", "inference.py", "--predictions", tmp_path / "all.csv")
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
    columns = ["checkpoint", "dialogue", "utterance", "speaker", "label", "prediction"]
    assert list(rows) == columns + [f"log_prob_{c}" for c in corpus.classes]
    assert rows.checkpoint.tolist() == np.repeat([f"ECERC_MODEL{k}.pkl" for k in ("", "_2", "_3")], len(test)).tolist()
    first = rows[: len(test)]
    assert first.label.tolist() == [corpus.classes[c] for c in corpus.label[test]]
    assert first.speaker.tolist() == corpus.speaker[test].tolist()
    lengths = corpus.lengths[corpus.splits["test"]]
    assert first.dialogue.tolist() == np.repeat([corpus.ids[d] for d in corpus.splits["test"]], lengths).tolist()
    assert first.utterance.tolist() == [u for n in lengths for u in range(n)]
    log_prob = rows[[f"log_prob_{c}" for c in corpus.classes]].to_numpy()
    np.testing.assert_allclose(np.exp(log_prob).sum(1), 1, rtol=1e-5)
    assert rows.prediction.tolist() == [corpus.classes[c] for c in log_prob.argmax(1)]
    assert 100 * (first.label == first.prediction).mean() == pytest.approx(results.test_accuracy[0])
    pd.testing.assert_frame_equal(
        rows.iloc[:, 1:], pd.read_csv(run / "predictions.csv").iloc[:, 1:], rtol=1e-4, atol=1e-5
    )


def test_a_variant_is_rebuilt_from_the_settings_beside_it(place, tmp_path):
    out = tmp_path / "out"
    variant = ["--modalities", "TA", "--without", "feature-gating", "cross-event-attention"]
    call(place / "MELD", "train.py", *SMALL, "--seeds", 4, "--output", out, *variant)
    done = call(place / "MELD", "inference.py", "--checkpoints", out)
    assert "Trained with modalities TA, which counts here (top of the script: TAV)." in done.stdout
    assert "without feature-gating cross-event-attention, which counts here (top of the script: none)." in done.stdout
    assert f"weighted F1 {pd.read_csv(out / 'results.csv').test_wf1[0]:.2f}" in done.stdout
    (out / "settings.yaml").unlink()
    error = call(place / "MELD", "inference.py", "--checkpoints", out, status=2).stderr
    assert "missing" in error
    assert "--modalities, --without" in error
    again = call(place / "MELD", "inference.py", "--checkpoints", out, *SMALL[:6], *variant)
    assert f"weighted F1 {pd.read_csv(out / 'results.csv').test_wf1[0]:.2f}" in again.stdout


def test_from_anywhere_by_path(place, run, tmp_path):
    done = call(tmp_path, place / "MELD" / "inference.py", "--split", "valid", "--checkpoints", run)
    for wf1 in pd.read_csv(run / "results.csv").valid_wf1:
        assert f"weighted F1 {wf1:.2f}" in done.stdout
    out = tmp_path / "out"
    call(tmp_path, place / "IEMOCAP" / "train.py", *SMALL, "--seeds", 4, "--output", out, "--data-dir", place / "data")
    left = [
        "ECERC_MODEL.pkl",
        "curves.png",
        "curves.svg",
        "history.csv",
        "predictions.csv",
        "results.csv",
        "settings.yaml",
    ]
    assert sorted(p.name for p in out.iterdir() if p.name[0] != ".") == left
    call(tmp_path, place / "IEMOCAP" / "inference.py", "--checkpoints", out / "ECERC_MODEL.pkl")


def test_the_files_beside_the_script_come_first(place, ran, run):
    beside = [place / "MELD" / name for name in ("ECERC_MODEL.pkl", "ECERC_MODEL_2.pkl")]
    for path in beside:
        shutil.copy(run / path.name, path)
    try:
        words = [*SMALL[:6], "--batch-size", 4, "--empty-history", "strict"]
        printed = ran(place / "MELD", "inference.py", *words)
        assert "Checkpoints beside MELD/inference.py (2 of 3): ECERC_MODEL.pkl, ECERC_MODEL_2.pkl" in printed
    finally:
        for path in beside:
            path.unlink()


def test_every_option_reaches_the_run(place, ran, tmp_path):
    """Also switched off, and the values of all others are those at the top of the script."""
    words = "--no-shuffle --evidence-dropout 0.25 --attention-dropout 0 --classifier-dropout 0.1 --class-weights train"
    words += " --modality-order aligned --labels sentiment --seeds 8 9 --batch-size 5"
    ran(place / "MELD", "train.py", *SMALL, *words.split(), "--output", tmp_path / "run")
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
    printed = ran(place / "MELD", "inference.py", "--checkpoints", tmp_path / "run" / "ECERC_MODEL.pkl")
    assert "F1 negative" in printed


def test_initial_weights(place, ran, run, tmp_path):
    words = [*SMALL[:6], "--seeds", 1, "--epochs", 1, "--learning-rate", 1e-30, "--weight-decay", 0]
    start = run / "ECERC_MODEL.pkl"
    ran(place / "MELD", "train.py", *words, "--initial-weights", start, "--output", tmp_path / "run")
    a, b = (torch.load(path, weights_only=True) for path in (start, tmp_path / "run" / "ECERC_MODEL.pkl"))
    assert all(torch.allclose(a[name], b[name], rtol=0, atol=1e-12) for name in a)


def test_synthetic_needs_no_data(place, ran, tmp_path):
    words = ["--synthetic", "--seeds", 3, "--epochs", 1, "--batch-size", 16, "--data-dir", tmp_path]
    ran(place / "IEMOCAP", "train.py", *words, "--output", tmp_path / "run")
    checkpoint = tmp_path / "run" / "ECERC_MODEL.pkl"
    assert "synthetic conversations" in ran(
        place / "IEMOCAP", "inference.py", "--synthetic", "--checkpoints", checkpoint
    )


@pytest.mark.parametrize("script", [f"{d}/{s}.py" for d in ("IEMOCAP", "MELD") for s in ("train", "inference")])
def test_help_explains_every_option(place, ran, script):
    text = " ".join(ran(place, script, "--help").split())
    top = (place / script).read_text()
    for name in re.findall(r"^    (\w+)=", top, re.MULTILINE):
        assert re.search(rf"--{name.replace('_', '-')}\b", text), name
    for name in ("--data-dir", "--device", "--synthetic", "--overwrite"):
        assert name in text


def test_without_data_the_missing_files_are_listed(place, refused, tmp_path):
    line = refused(place / "IEMOCAP", "train.py", "--data-dir", tmp_path)
    for name in iemocap.FILES:
        assert name in line
    assert str(tmp_path / "iemocap") in line
    assert "drive.google.com" in line
    assert "--synthetic" in line
    assert (
        refused(place / "IEMOCAP", "inference.py", "--data-dir", tmp_path).split(": ", 1)[1] == line.split(": ", 1)[1]
    )
    assert not (place / "IEMOCAP" / "runs").exists()


def test_what_a_user_can_get_wrong(place, run, refused, tmp_path):
    meld_folder = place / "MELD"
    assert "(--epochs): found 0" in refused(meld_folder, "train.py", "--epochs", "0")
    assert "--modality-order" in refused(place / "IEMOCAP", "train.py", "--modality-order", "aligned")
    assert "unrecognized arguments: --learning-rte" in refused(meld_folder, "train.py", "--learning-rte", "1")
    assert "--device: found 'gpu'" in refused(meld_folder, "train.py", "--device", "gpu")
    assert "holds a run already" in refused(meld_folder, "train.py", "--output", run)
    assert "--checkpoints nothing.pkl: no such checkpoint" in refused(
        meld_folder, "inference.py", "--checkpoints", "nothing.pkl"
    )
    assert "no such checkpoint" in refused(meld_folder, "train.py", "--initial-weights", "nothing.pkl", *SMALL)
    line = refused(meld_folder, "train.py", "--resume", run, "--epochs", 3, "--output", tmp_path)
    assert "goes on with what the run has; drop --epochs, --output, or train anew" in line
    assert "no run that could go on" in refused(meld_folder, "train.py", "--resume", tmp_path)
    checkpoint = run / "ECERC_MODEL.pkl"
    assert "trained on MELD" in refused(place / "IEMOCAP", "inference.py", "--checkpoints", checkpoint)
    shutil.copy(checkpoint, tmp_path / "alone.pkl")
    assert "has shape" in refused(meld_folder, "inference.py", "--checkpoints", tmp_path / "alone.pkl")
    assert "expected ECERC_MODEL*.pkl, or a run's folder" in refused(
        meld_folder, "inference.py", "--checkpoints", tmp_path
    )
    assert f"--checkpoints {tmp_path}: no such checkpoint" in refused(  # also after one that is there
        meld_folder, "inference.py", "--checkpoints", checkpoint, tmp_path
    )
    assert "found a folder" in refused(meld_folder, "inference.py", "--predictions", tmp_path)
    assert "give the folder above" in refused(meld_folder, "train.py", "--data-dir", place / "data" / "meld")
    assert "stands twice" in refused(meld_folder, "inference.py", "--checkpoints", checkpoint, checkpoint)
    twice = [checkpoint, meld_folder / "runs" / ".." / "runs" / run.name / checkpoint.name]
    assert "stands twice" in refused(meld_folder, "inference.py", "--checkpoints", *twice)
    (tmp_path / "taken.csv").write_text("mine")
    line = refused(meld_folder, "inference.py", "--checkpoints", checkpoint, "--predictions", tmp_path / "taken.csv")
    assert "exists already" in line
    assert (tmp_path / "taken.csv").read_text() == "mine"
    line = refused(meld_folder, "inference.py", "--checkpoints", checkpoint, "--predictions", tmp_path / "no" / "p.csv")
    assert "there is no folder" in line
    assert "no checkpoints here" in refused(place / "IEMOCAP", "inference.py")
    assert "no finished run on synthetic data" in refused(meld_folder, "inference.py", "--synthetic")
    line = refused(meld_folder, "inference.py", "--checkpoints", place / "data" / "meld" / meld.FILE)
    assert f"{meld.FILE}: not a complete checkpoint of weights only" in line
    (tmp_path / "settings.yaml").write_text("[1, 2")
    assert "settings.yaml: not readable as YAML" in refused(
        meld_folder, "inference.py", "--checkpoints", tmp_path / "alone.pkl"
    )


def test_a_run_goes_on_with_its_own_dataset_only(place, run, refused, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "results.csv").unlink()
    line = refused(place / "IEMOCAP", "train.py", "--resume", tmp_path / "run")
    assert "a run on MELD, not on IEMOCAP; use its script and --data-dir" in line


def test_wrong_calls_end_in_status_2_for_the_shell_too(place):
    done = call(place / "MELD", "train.py", "--epochs", "0", status=2)
    assert done.stderr == "train.py: error: epochs (--epochs): found 0; expected a whole number, at least 1\n"


def test_a_reader_that_has_seen_enough(place, run):
    command = f"{sys.executable} inference.py --checkpoints {run} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=place / "MELD", capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "141")


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c(place, tmp_path, threads):
    """What is there stays, and the status says what happened. On one core the first seed is finished, the second is
    not; on two cores both are under way.
    """
    run, awaited = tmp_path / "run", {1: "results.csv", 2: "history.csv"}[threads]
    words = [*SMALL[:6], "--epochs", 40, "--patience", 40, "--seeds", 0, 1, "--output", run]
    process = subprocess.Popen(
        [sys.executable, "train.py", *map(str, words)],
        cwd=place / "MELD",
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    while not (run / awaited).exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    finished = 2 - threads
    ending = f"{finished} of 2 seeds are finished; go on with --resume {run}"
    assert error.splitlines()[-1] == f"train.py: stopped by Ctrl-C; {ending}"
    files = ["ECERC_MODEL.pkl", "history.csv", "predictions.csv", "results.csv", "settings.yaml"]
    left = {p.name for p in run.iterdir()} - {".lock", *(f"unfinished_{seed}.pt" for seed in range(finished, 2))}
    assert left == set(files if finished else [files[1], files[-1]])
    assert {0} <= set(pd.read_csv(run / "history.csv").seed) <= {0, 1}
    if finished:
        assert pd.read_csv(run / "results.csv").seed.tolist() == [0]
    call(place / "MELD", "train.py", "--resume", run)
    assert pd.read_csv(run / "results.csv").seed.tolist() == [0, 1]
    assert pd.read_csv(run / "history.csv").epoch.tolist() == [*range(40)] * 2


def test_checkpoints_that_were_trained_differently(place, ran, run, refused, tmp_path):
    words = [*SMALL, "--seeds", 0, "--batch-size", 4, "--empty-history", "released", "--output", tmp_path / "run"]
    ran(place / "MELD", "train.py", *words)
    both = [run / "ECERC_MODEL.pkl", tmp_path / "run" / "ECERC_MODEL.pkl"]
    line = refused(place / "MELD", "inference.py", "--checkpoints", *both)
    assert "trained with different --empty-history" in line
    ran(place / "MELD", "inference.py", "--checkpoints", *both, "--empty-history", "strict")


def test_batch_size_and_device_reach_the_evaluation(place, inside, tmp_path, monkeypatch):
    """Under "released" history the scores depend on the batch; and the device is the one that was asked for."""
    seen, here = [], torch.device("cpu", 0)  # another name of the CPU, to be told from the default one

    class Recording(Batches):
        def __init__(self, corpus, split, size, device, **options):
            seen.append((size, device))
            super().__init__(corpus, split, size, device, **options)

    for script in (common.scripts.train, common.scripts.inference):
        monkeypatch.setattr(script, "choose_device", {"mine": here}.__getitem__)
    monkeypatch.setattr(common.training.run, "Batches", Recording)
    monkeypatch.setattr(common.scripts.inference, "Batches", Recording)
    words = ["--device", "mine", "--output", tmp_path / "run", "--seeds", 1, "--batch-size", 4]
    inside(place / "MELD", "train.py", *SMALL, *words)
    assert seen == [(4, here)] * 3
    tables = []
    for size in (4, 1):
        words = ["--device", "mine", "--checkpoints", tmp_path / "run", "--batch-size", size]
        inside(place / "MELD", "inference.py", *words, "--predictions", tmp_path / f"{size}.csv")
        assert seen[-1] == (size, here)
        tables.append(pd.read_csv(tmp_path / f"{size}.csv").log_prob_joy)
    assert (tables[0] - tables[1]).abs().max() > 1e-5


def test_a_wrong_value_at_the_top_of_a_script(place, refused):
    shutil.copytree(place / "MELD", place / "EDITED", ignore=shutil.ignore_patterns("runs"))
    script = place / "EDITED" / "train.py"
    script.write_text(script.read_text().replace("patience=20", "patiense=20"))
    assert "no hyperparameter is called 'patiense'" in refused(place / "EDITED", "train.py")
    shutil.rmtree(place / "EDITED")


def test_calibrated(place, ran, run, tmp_path, monkeypatch):
    """One temperature for each checkpoint, of the validation split, kept beside it; three averaged as an ensemble."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    words = ["inference.py", "--checkpoints", copy]
    plain = ran(place / "MELD", *words, "--predictions", tmp_path / "a.csv")
    printed = ran(place / "MELD", *words, "--predictions", tmp_path / "b.csv", "--calibrated")
    a, b = (pd.read_csv(tmp_path / f"{name}.csv") for name in "ab")
    columns = [column for column in a if column.startswith("log_prob")]
    corpus = small_corpus("MELD", sizes=(12, 3, 5))
    settings = TrainingSettings(**yaml.safe_load((run / "settings.yaml").read_text())["hyperparameters"])
    network, valid = build_network(settings, corpus), Batches(corpus, "valid", 4, "cpu")
    for name in ("ECERC_MODEL", "ECERC_MODEL_2", "ECERC_MODEL_3"):
        kept = yaml.safe_load((copy / f"{name}.temperature.yaml").read_text())
        part = a.checkpoint == f"{name}.pkl"
        x, y = a.loc[part, columns].to_numpy() / kept["temperature"], b.loc[part, columns].to_numpy()
        np.testing.assert_allclose(y, x - np.log(np.exp(x).sum(1, keepdims=True)), atol=1e-5)
        load_released(network, copy / f"{name}.pkl")
        log_prob, _ = evaluate(network, valid)
        assert kept["temperature"] == pytest.approx(fit_temperature(log_prob.numpy(), valid.label.numpy()), rel=1e-4)
        assert f"Temperature {kept['temperature']:.3f}, of the validation split of MELD" in printed
    probability = sum(np.exp(a[a.checkpoint == name][columns].to_numpy()) for name in a.checkpoint.unique())
    expected = scores(corpus.label[corpus.rows("test")], probability.argmax(1), corpus.classes)
    assert (
        f"(not the paper's protocol): accuracy {expected['accuracy']:.2f}, weighted F1 {expected['wf1']:.2f}" in plain
    )

    monkeypatch.setattr(common.scripts.confidence, "fit_temperature", None)  # is not called again
    again = ran(place / "MELD", *words, "--calibrated")
    assert again.count("Temperature") == 3
    assert set(again.splitlines()) <= set(printed.splitlines())
    with pytest.raises(TypeError):  # but for other settings
        ran(place / "MELD", *words, "--calibrated", "--batch-size", 2)


def test_the_report_has_the_scores_of_the_run(place, ran, run, refused, tmp_path):
    words = ["inference.py", "--checkpoints", run, "--report", tmp_path / "page"]
    printed = ran(place / "MELD", *words)
    assert f"The report is {tmp_path / 'page' / 'report.html'}." in printed
    page = (tmp_path / "page" / "report.html").read_text()
    results = pd.read_csv(run / "results.csv")
    for name, column in (("accuracy", "test_accuracy"), ("weighted F1", "test_wf1"), ("F1 joy", "test_f1_joy")):
        row = re.search(rf'<th scope="row">{name}</th>(.*?)</tr>', page, re.DOTALL)[1]
        values = results[column]
        expected = [*values, values.mean(), values.std(ddof=1)]
        assert [float(number) for number in re.findall(r"\d+\.\d\d", row)] == pytest.approx(expected, abs=0.006)
    ensemble = re.search(r"not the paper's protocol\): (.*)", printed)[1]
    for figure in re.findall(r"\d+\.\d\d", ensemble):
        assert f"<td>{figure}</td>" in page
    assert "holds a report already" in refused(place / "MELD", *words)
    (tmp_path / "file").touch()
    assert "found a file" in refused(place / "MELD", *words[:-1], tmp_path / "file")


def test_a_loss_that_is_not_finite(place, inside, tmp_path, monkeypatch):
    """The other seeds are kept and shown; the last line says which one, where."""
    loss = Trainer._loss

    def spoiled(trainer, batch):
        log_prob, value = loss(trainer, batch)
        return log_prob, value * np.nan if "seed 1" in trainer.title else value

    monkeypatch.setattr(Trainer, "_loss", spoiled)
    printed, status = inside(
        place / "MELD", "train.py", *SMALL, "--seeds", 0, 1, "--output", tmp_path / "run", "--batch-size", 4
    )
    assert status == 2
    assert printed.err.splitlines()[-1].startswith(
        "train.py: error: MELD seed 1 (2/2): the loss is not finite in epoch 0"
    )
    wf1 = pd.read_csv(tmp_path / "run" / "results.csv").test_wf1.tolist()
    assert len(wf1) == 1
    assert re.search(rf"weighted F1 +{wf1[0]:.2f}", printed.out)
