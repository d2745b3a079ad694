"""inference.py, as a user runs it, on small conversations written in the released layout."""

import json
import shutil
import subprocess
import sys
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import common.commands.evaluation
import common.commands.training
import common.evaluation.calibration
import common.training.run
from common.batching.batches import Batches
from common.data import meld
from common.evaluation.calibration import fit_temperature
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.release.checkpoint import Checkpoint, load_released
from common.settings import TrainingSettings
from common.training.run import build_network
from tests.commands.conftest import SMALL, call
from tests.small import small_corpus, without_record


def test_the_files_beside_the_script_come_first(project, ran, run):
    beside = [project / "MELD" / name for name in ("ECERC_MODEL.pkl", "ECERC_MODEL_2.pkl")]
    for path in beside:
        shutil.copy(run / path.name, path)
    try:
        words = [*SMALL[:6], "--batch-size", 4, "--empty-history", "strict"]
        printed = ran(project / "MELD", "inference.py", *words)
        assert "Checkpoints beside MELD/inference.py (2 of 3): ECERC_MODEL.pkl, ECERC_MODEL_2.pkl" in printed
    finally:
        for path in beside:
            path.unlink()


def test_a_newer_run_without_results_is_named(project, run, ran):
    """And only one that is alike."""
    newer = run.parent / "newer"
    for content, named in (((run / "settings.yaml").read_text(), True), ("dataset: talks\n", False)):
        newer.mkdir()
        (newer / "settings.yaml").write_text(content)
        printed = ran(project / "MELD", "inference.py")
        shutil.rmtree(newer)
        assert f"of the newest run with checkpoints, runs/{run.name} (3)" in printed
        assert ("not of runs/newer, which is newer and has no finished seed" in printed) == named


def test_checkpoints_that_were_trained_differently(project, ran, run, refused, tmp_path):
    words = [*SMALL, "--seeds", 0, "--batch-size", 4, "--empty-history", "released", "--output", tmp_path / "run"]
    ran(project / "MELD", "train.py", *words)
    both = [run / "ECERC_MODEL.pkl", tmp_path / "run" / "ECERC_MODEL.pkl"]
    line = refused(project / "MELD", "inference.py", "--checkpoints", *both)
    assert "trained with different empty_history" in line
    assert line.endswith("; see --checkpoints, --empty-history\n")
    ran(project / "MELD", "inference.py", "--checkpoints", *both, "--empty-history", "strict")


def test_batch_size_and_device_reach_the_evaluation(project, inside, tmp_path, monkeypatch):
    """Under "released" history the scores depend on the batch; and the device is the one that was asked for."""
    seen, here = [], torch.device("cpu", 0)  # another name of the CPU, which is not the default one

    class Recording(Batches):
        def __init__(self, corpus, split, size, device, **options):
            seen.append((size, device))
            super().__init__(corpus, split, size, device, **options)

    for script in (common.commands.training, common.commands.evaluation):
        monkeypatch.setattr(script, "choose_device", {"mine": here}.__getitem__)
    monkeypatch.setattr(common.training.run, "Batches", Recording)
    monkeypatch.setattr(common.commands.evaluation, "Batches", Recording)
    words = ["--device", "mine", "--output", tmp_path / "run", "--seeds", 1, "--batch-size", 4]
    inside(project / "MELD", "train.py", *SMALL, *words)
    assert seen == [(4, here)] * 3
    tables = []
    for size in (4, 1):
        words = ["--device", "mine", "--checkpoints", tmp_path / "run", "--batch-size", size]
        inside(project / "MELD", "inference.py", *words, "--predictions", tmp_path / f"{size}.csv")
        assert seen[-1] == (size, here)
        tables.append(pd.read_csv(tmp_path / f"{size}.csv").log_prob_joy)
    assert (tables[0] - tables[1]).abs().max() > 1e-5


def test_a_run_that_is_not_finished(project, ran, run, tmp_path):
    """What is there is evaluated, and a line says that there is to be more."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert "seeds; its" not in ran(project / "MELD", "inference.py", "--checkpoints", copy)
    (copy / "ECERC_MODEL_3.pkl").unlink()
    printed = ran(project / "MELD", "inference.py", "--checkpoints", copy)
    assert f"Note: {copy} has 2 of 3 seeds; its training goes on, was stopped, or failed for the others.\n" in printed
    assert "has 2 of" not in ran(project / "MELD", "inference.py", "--checkpoints", copy / "ECERC_MODEL.pkl")


def test_calibrated(project, ran, run, tmp_path, monkeypatch):
    """One temperature for each checkpoint, of the validation split, kept beside it; three averaged as an ensemble."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    words = ["inference.py", "--checkpoints", copy]
    plain = ran(project / "MELD", *words, "--predictions", tmp_path / "a.csv")
    printed = ran(project / "MELD", *words, "--predictions", tmp_path / "b.csv", "--calibrated")
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
        log_prob = evaluate(network, valid)
        assert kept["temperature"] == pytest.approx(fit_temperature(log_prob.numpy(), valid.label.numpy()), rel=1e-4)
        assert f"Temperature {kept['temperature']:.3f}, of the validation split of MELD" in printed
    probability = sum(np.exp(a[a.checkpoint == name][columns].to_numpy()) for name in a.checkpoint.unique())
    expected = scores(corpus.label[corpus.rows("test")], probability.argmax(1), corpus.classes)
    assert (
        f"(not the paper's protocol): accuracy {expected['accuracy']:.2f}, weighted F1 {expected['wf1']:.2f}" in plain
    )

    monkeypatch.setattr(common.evaluation.calibration, "fit_temperature", None)  # is not called again
    again = ran(project / "MELD", *words, "--calibrated")
    assert again.count("Temperature") == 3
    assert set(again.splitlines()) <= set(printed.splitlines())
    with pytest.raises(TypeError):  # but for other settings
        ran(project / "MELD", *words, "--calibrated", "--batch-size", 2)


def test_many_checkpoints_are_not_held_at_once(project, ran, run, tmp_path, monkeypatch):
    """And give what each gives by itself, in their order, side by side or one after the other."""
    paths = [shutil.copy(run / f"ECERC_MODEL{'_2' * (k % 2)}.pkl", tmp_path / f"{k}.pkl") for k in range(7)]
    made, held, fill, init = [], [], Checkpoint.fill, Checkpoint.__init__

    def noting(self, *values, **named):
        init(self, *values, **named)
        made.append(weakref.ref(self))

    def counting(self, network):
        there = [reference() for reference in list(made)]
        held.append(sum(x is not None and x.state is not None for x in there))
        del there
        fill(self, network)

    monkeypatch.setattr(Checkpoint, "__init__", noting)
    monkeypatch.setattr(Checkpoint, "fill", counting)
    before, tables, printed = torch.get_num_threads(), [], []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        target = tmp_path / f"{threads}.csv"
        words = ["--checkpoints", *paths, "--predictions", target]
        printed.append(ran(project / "MELD", "inference.py", *words).split("threads", 1)[1].replace("3.csv", "1.csv"))
        tables.append(target.read_bytes())
    torch.set_num_threads(before)
    assert tables[0] == tables[1]
    assert printed[0] == printed[1]
    assert len(held) == 14
    assert max(held) == 3
    groups = pd.read_csv(tmp_path / "1.csv").groupby("checkpoint", sort=False)
    assert [*groups.groups] == [path.name for path in paths]
    parts = [part.drop(columns="checkpoint").reset_index(drop=True) for _, part in groups]
    assert not parts[0].equals(parts[1])
    assert all(part.equals(parts[k % 2]) for k, part in enumerate(parts))


def test_the_report_has_the_scores_of_the_run(project, ran, run, refused, tmp_path):
    words = ["inference.py", "--checkpoints", run, "--report", tmp_path / "page"]
    printed = ran(project / "MELD", *words)
    assert f"The report is {tmp_path / 'page' / 'report.html'}." in printed
    assert "<!doctype html>" in (tmp_path / "page" / "report.html").read_text()
    (of_run,) = json.loads((tmp_path / "page" / "report.json").read_text())["runs"]
    rows, results = {row["name"]: row for row in of_run["summary"]}, pd.read_csv(run / "results.csv")
    for name, column in (("accuracy", "test_accuracy"), ("weighted F1", "test_wf1"), ("F1 joy", "test_f1_joy")):
        values, row = results[column], rows[name]
        assert row["values"] == pytest.approx(values.tolist())
        assert (row["mean"], row["std"]) == pytest.approx((values.mean(), values.std(ddof=1)))
    ensemble = [f"{row['name']} {row['value']:.2f}" for row in of_run["ensemble"]["scores"][:3]]
    assert f"(not the paper's protocol): {', '.join(ensemble)}\n" in printed
    assert "holds a report already" in refused(project / "MELD", *words)
    (tmp_path / "file").touch()
    assert "found a file" in refused(project / "MELD", *words[:-1], tmp_path / "file")
    (tmp_path / "odd" / "report.html").mkdir(parents=True)
    early = ["inference.py", "--checkpoints", "none.pkl"]  # nothing is read before
    for option, where, what in (
        ("--report", tmp_path / "file" / "below", "cannot be written"),
        ("--report", "/proc/page", "cannot be written"),
        ("--report", tmp_path / "odd", "report.html is a folder there"),
        ("--predictions", "/proc/p.csv", "cannot be written"),
    ):
        assert what in refused(project / "MELD", *early, option, where, "--overwrite")


def test_other_data_than_in_training_are_mentioned(ran, in_process, project, run, tmp_path):
    """Such as features of another encoder in the same place, or own data of the same name."""
    note = "was trained on other data files than these."
    assert note not in ran(project / "MELD", "inference.py", "--checkpoints", run)
    meld.write(small_corpus("MELD", sizes=(12, 3, 5), seed=1), tmp_path / "meld")
    printed, status = in_process(project / "MELD", "inference.py", "--data-dir", tmp_path, "--checkpoints", run)
    assert not status, printed.err
    assert f"Note: runs/{run.name} {note}" in printed.out


def test_a_reader_that_has_seen_enough(project, run, tmp_path):
    """Files are written though nobody reads on, whether Python writes each piece at once or not."""
    command = f"{sys.executable} -u inference.py --checkpoints {run} --predictions {tmp_path / 'p.csv'}"
    command = f"{command} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=project / "MELD", capture_output=True, text=True, timeout=120)
    assert (done.stderr, done.stdout) == ("", "0\n")
    assert len(pd.read_csv(tmp_path / "p.csv")) > 0


def test_scores_alone_import_little(project, run):
    """Each of these takes a fifth of a second to a second."""
    command = """import runpy, sys
sys.argv = ["inference.py", "--checkpoints", sys.argv[1]]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(sorted({"pandas", "scipy", "sklearn", "matplotlib", "jinja2"} & set(sys.modules)))"""
    assert call(project / "MELD", "-c", command, run).stdout.splitlines()[-1] == "[]"


def test_from_anywhere_by_path(project, ran, run, tmp_path):
    done = call(tmp_path, project / "MELD" / "inference.py", "--split", "valid", "--checkpoints", run)
    for wf1 in pd.read_csv(run / "results.csv").valid_wf1:
        assert f"weighted F1 {wf1:.2f}" in done.stdout
    out = tmp_path / "out"
    ran(tmp_path, project / "IEMOCAP" / "train.py", *SMALL, "--seeds", 4, "--output", out)
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
    ran(tmp_path, project / "IEMOCAP" / "inference.py", "--checkpoints", out / "ECERC_MODEL.pkl")


def test_a_variant_is_rebuilt_from_the_settings_in_it_or_beside_it(project, ran, refused, tmp_path):
    out = tmp_path / "out"
    variant = ["--modalities", "TA", "--without", "feature-gating", "cross-event-attention"]
    ran(project / "MELD", "train.py", *SMALL, "--seeds", 4, "--output", out, *variant)
    printed = ran(project / "MELD", "inference.py", "--checkpoints", out)
    assert "Trained with modalities TA, which counts here (top of the script: TAV)." in printed
    assert "without feature-gating cross-event-attention, which counts here (top of the script: none)." in printed
    assert f"weighted F1 {pd.read_csv(out / 'results.csv').test_wf1[0]:.2f}" in printed
    (out / "settings.yaml").unlink()
    assert printed == ran(project / "MELD", "inference.py", "--checkpoints", out)
    without_record(out / "ECERC_MODEL.pkl", out / "ECERC_MODEL.pkl")
    error = refused(project / "MELD", "inference.py", "--checkpoints", out)
    assert "missing" in error
    assert "--modalities, --without" in error
    again = ran(project / "MELD", "inference.py", "--checkpoints", out, *SMALL[:6], *variant)
    assert f"weighted F1 {pd.read_csv(out / 'results.csv').test_wf1[0]:.2f}" in again
