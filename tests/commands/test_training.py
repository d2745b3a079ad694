"""train.py: runs that are repeated from their settings.yaml, folders that are taken, and what stands in a log."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from common.training.folder import RunFolder
from common.training.run import Trainer
from tests.commands.conftest import SMALL


def tables(run):
    """What came of a run, but for times."""
    history = pd.read_csv(run / "history.csv", dtype=str).drop(columns="seconds")
    return [(run / name).read_text() for name in ("results.csv", "predictions.csv")], history.values.tolist()


def test_a_run_repeated_from_its_settings(project, run, ran, in_process, tmp_path):
    """Seeds, data and all; options count over the file."""
    words = ["--settings", run, "--output", tmp_path / "again"]  # as well as the file in it
    printed, status = in_process(project / "MELD", "train.py", *words)
    assert not status, printed.err
    assert tables(tmp_path / "again") == tables(run)
    assert "\r" not in printed.err + printed.out
    assert "\x1b" not in printed.err + printed.out
    assert "\n\n" not in printed.err
    assert "MELD seed 2 (3/3): 2/2 epochs, train loss" in printed.err
    words = ["--settings", run / "settings.yaml", "--seeds", 2, "--epochs", 1, "--output", tmp_path / "other"]
    ran(project / "MELD", "train.py", *words)
    old, new = (yaml.safe_load((folder / "settings.yaml").read_text()) for folder in (run, tmp_path / "other"))
    assert new["hyperparameters"] == old["hyperparameters"] | {"seeds": [2], "epochs": 1}
    assert new["data_dir"] == str(project / "data")


def test_weights_and_synthetic_data_are_remembered(project, in_process, tmp_path):
    first = [*SMALL[:6], "--synthetic", "--epochs", 1, "--seeds", 3, "--batch-size", 64]
    runs = [tmp_path / name for name in "abc"]
    for words in (
        first,
        [*first, "--initial-weights", runs[0] / "ECERC_MODEL.pkl"],
        ["--settings", runs[1] / "settings.yaml"],
    ):
        folder = next(run for run in runs if not run.exists())
        printed, status = in_process(project / "IEMOCAP", "train.py", *words, "--output", folder)
        assert not status, printed.err
        if folder == runs[1]:
            (runs[0] / "ECERC_MODEL.pkl").write_text("something else")
    assert tables(runs[1]) == tables(runs[2])
    assert tables(runs[0]) != tables(runs[1])


def test_other_settings_files(project, run, ran, refused, tmp_path):
    """One with some hyperparameters will do; names that do not exist, and other datasets, are refused."""
    path, words = tmp_path / "mine.yaml", [*SMALL, "--seeds", "1", "--output", tmp_path / "run"]
    path.write_text("hyperparameters: {batch_size: 5, patience: 1}\n")
    ran(project / "MELD", "train.py", "--settings", path, *words)
    written = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())["hyperparameters"]
    assert (written["batch_size"], written["patience"], written["focal_gamma"]) == (5, 1, 1.0)
    for content, line in (
        (
            "hyperparameters: {1: 4}\n",
            f"{path}: no hyperparameter is called '1'; `python train.py --help` lists them",
        ),
        ("hyperparameters: {batchsize: 5}\n", "no hyperparameter is called 'batchsize'; did you mean batch_size?"),
        ("hyperparameters: {epochs: many}\n", "epochs: found 'many'; expected a whole number; see --epochs"),
        ("dataset: MELD\n", f"--settings {path}: no hyperparameters in it; expected the settings.yaml of a run"),
    ):
        path.write_text(content)
        assert line in refused(project / "MELD", "train.py", "--settings", path)
    line = refused(project / "IEMOCAP", "train.py", "--settings", run / "settings.yaml")
    assert f"--settings {run / 'settings.yaml'}: a run on MELD, not on IEMOCAP" in line
    line = refused(project / "MELD", "train.py", "--resume", run, "--settings", run / "settings.yaml")
    assert "drop --settings" in line


def test_refused_before_anything_happens(project, run, refused, tmp_path):
    """Also with --overwrite; and nobody is told to overwrite a run that is under way."""
    shutil.copytree(run, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    line = refused(project / "MELD", "train.py", "--output", tmp_path / "run", "--overwrite", "--threads", 64)
    assert "found 64 threads a seed" in line
    assert line.endswith("see --threads\n")
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    refused(project / "MELD", "train.py", "--output", tmp_path / "new", "--threads", 64)
    assert not (tmp_path / "new").exists()
    with RunFolder(tmp_path / "run", resume=True).writing():
        for words in (["--output"], ["--overwrite", "--output"], ["--resume"]):
            line = refused(project / "MELD", "train.py", *words, tmp_path / "run")
            assert line.endswith("run: another training writes into it; wait, or use another folder\n")


@pytest.mark.parametrize("device", [[], ["--device", "cpu"]])
def test_how_to_resume_is_a_whole_command_line(project, inside, tmp_path, monkeypatch, device):
    epoch = Trainer.run_epoch

    def interrupted(trainer):
        if trainer.epoch == 1:
            raise KeyboardInterrupt
        return epoch(trainer)

    monkeypatch.setattr(Trainer, "run_epoch", interrupted)
    folder = tmp_path / "a run"
    printed, status = inside(project / "MELD", "train.py", *SMALL, "--seeds", 1, "--output", folder, *device)
    assert status == 130
    ending = " ".join(["--resume", f"'{folder}'", *device])
    assert printed.err.splitlines()[-1].endswith(
        f"stopped by Ctrl-C; 0 of 1 seeds are finished; resume with: python train.py {ending}"
    )


def test_want_of_memory_says_how_to_resume(project, inside, tmp_path, monkeypatch):
    """But not where nothing has begun: then an old run is as it was."""
    epoch, last = Trainer.run_epoch, [1, 0]

    def failing(trainer):
        if trainer.epoch == last[0]:
            raise MemoryError
        return epoch(trainer)

    monkeypatch.setattr(Trainer, "run_epoch", failing)
    words = [*SMALL, "--seeds", 1, "--output", tmp_path / "run"]
    line = "train.py: error: not enough memory; give it less at a time, or a larger machine"
    for hint in (f"; resume with: python train.py --resume {tmp_path / 'run'}", ""):
        printed, status = inside(project / "MELD", "train.py", *words)
        assert (printed.err.splitlines()[-1], status) == (f"{line}{hint}; see --batch-size", 2)
        os.utime(tmp_path / "run" / "settings.yaml", (0, 0))
        words = [*words, "--overwrite"]
        last.pop(0)


def test_a_finished_run_without_its_history_is_told_again(project, run, ran, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    for rows in (history[history.seed != 1], None):
        (tmp_path / "run" / "history.csv").unlink()
        if rows is not None:
            rows.to_csv(tmp_path / "run" / "history.csv", index=False)
        assert "weighted F1" in ran(project / "MELD", "train.py", "--resume", tmp_path / "run")


def test_it_trains_though_nobody_reads_on(project, tmp_path):
    """As under `train.py | head -1`, whether Python writes each piece at once or not."""
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "train.py", *SMALL, "--data-dir", project / "data", "--seeds", "1", "--output"]
    done = subprocess.run(
        [*words, tmp_path / "run"], cwd=project / "MELD", stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith("MELD seed 1 (1/1): 2/2 epochs")
    assert (tmp_path / "run" / "curves.png").is_file()
