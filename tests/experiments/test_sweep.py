import shutil
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from filelock import FileLock
from sklearn.metrics import f1_score

from common.__main__ import main
from common.data.load import load_corpus
from common.errors import InputError
from common.experiments import sweep as sweeping
from common.experiments.results import read_results
from common.experiments.sweep import Data, check_finished, planned, seconds_left, train_one
from common.settings import TrainingSettings, build
from common.training.run import train_run
from tests.experiments.conftest import EPOCHS, ROOT, RUNS, command, outcome
from tests.faults.sweeps import wait_for_the_end_of

FILES = ["ECERC_MODEL.pkl", "history.csv", "predictions.csv", "results.csv", "settings.yaml"]


def option(small, name):
    return small[small.index(name) + 1]


def test_every_run_once_in_the_order_of_the_tables():
    runs = planned(["IEMOCAP", "MELD"], ["2", "3", "4", "5", "6", "7", "choices"], [5, 6], None)
    names = [run.name for run in runs]
    assert names[:4] == ["IEMOCAP/full/seed_5", "IEMOCAP/full/seed_6", "MELD/full/seed_5", "MELD/full/seed_6"]
    assert len(set(names)) == len(names)
    per_dataset = 1 + 8 + 6 + 1 + 1  # full, components, modality sets, the two kinds of gate inputs
    assert sum(name.startswith("IEMOCAP") for name in names) == 2 * (per_dataset + 4)
    assert sum(name.startswith("MELD") for name in names) == 2 * (per_dataset + 4)
    choices = {name.split("/")[1] for name in names if name.startswith("MELD")}
    assert {"strict-history", "aligned-modalities", "cross-entropy", "positions"} <= choices
    assert not {"train-class-weights", "no-positions"} & choices
    assert [run.seed for run in planned(["IEMOCAP"], ["2"], None, None)] == [2007, 1, 2]
    assert planned(["MELD"], ["2"], None, None) == []


def test_hyperparameters_are_those_of_the_script(monkeypatch):
    assert planned(["MELD"], ["3"], None, None)[0].settings.learning_rate == 1e-5
    edited = sweeping.hyperparameters_of("MELD") | {"learning_rate": 3e-3, "empty_history": "strict"}
    monkeypatch.setattr(sweeping, "hyperparameters_of", lambda dataset: edited)
    runs = planned(["MELD"], ["choices"], [0], 7)
    assert {run.settings.learning_rate for run in runs} == {3e-3}
    assert {run.settings.epochs for run in runs} == {7}
    assert "strict-history" not in {run.variant for run in runs}  # all of them are strict
    assert {run.settings.focal_gamma for run in runs if run.variant == "cross-entropy"} == {0}


def test_what_a_sweep_leaves(quiet):
    assert sorted(str(path.parent.relative_to(quiet)) for path in quiet.glob("*/*/*/results.csv")) == sorted(RUNS)
    for run in RUNS:
        assert sorted(path.name for path in (quiet / run).iterdir()) == FILES
    assert not list(quiet.glob("*/*/.*"))
    for run in RUNS:
        found, results = pd.read_csv(quiet / run / "predictions.csv"), pd.read_csv(quiet / run / "results.csv")
        wf1 = f1_score(found.label, found.prediction, average="weighted", zero_division=0)
        assert results.test_wf1[0] == pytest.approx(100 * wf1)
    hyperparameters = yaml.safe_load((quiet / RUNS[1] / "settings.yaml").read_text())["hyperparameters"]
    assert hyperparameters["evidence_gate_inputs"] == "own"
    assert (hyperparameters["seeds"], hyperparameters["epochs"]) == ([1], EPOCHS)


def test_a_run_is_that_of_the_script_to_the_last_digit(quiet, small, tmp_path):
    """Alone or side by side with other seeds, whatever the number of threads that are free."""
    corpus, _ = load_corpus("MELD", option(small, "--data-dir"))
    values = sweeping.hyperparameters_of("MELD") | {"epochs": EPOCHS, "seeds": [2, 7, 1]}
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    train_run(corpus, build(TrainingSettings, values, "here"), torch.device("cpu"), tmp_path, progress=False)
    torch.set_num_threads(before)
    together = pd.read_csv(tmp_path / "predictions.csv", dtype=str)
    results = pd.read_csv(tmp_path / "results.csv", dtype=str)
    for seed in ("1", "2"):
        folder = quiet / "MELD" / "full" / f"seed_{seed}"
        for rows, name in ((together, "predictions.csv"), (results, "results.csv")):
            alone = pd.read_csv(folder / name, dtype=str)
            pd.testing.assert_frame_equal(rows[rows.seed == seed].reset_index(drop=True), alone)


def test_killed_and_run_again(quiet, small, tmp_path, experiments, capsys):
    """SIGKILL while the third run is under way ends all processes, and nothing half-written has a run's name; the same
    command again finishes the rest, and leaves alone what was finished.
    """
    sweep = tmp_path / "sweep"
    words = command("run", "--output", sweep, *small, "--jobs", 2)
    process = subprocess.Popen(words, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    while len(list(sweep.glob("*/*/seed_*"))) < 2 or not list(sweep.glob("*/*/.seed_*/history.csv")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    wait_for_the_end_of(process.pid)
    done = sorted(sweep.glob("*/*/seed_*"))
    assert 2 <= len(done) < 4
    assert list(sweep.glob("*/*/.seed_*"))
    for folder in done:
        assert sorted(path.name for path in folder.iterdir()) == FILES
    times = {path: path.stat().st_mtime_ns for folder in done for path in folder.iterdir()}

    main(["experiments", "plan", "--output", str(sweep), *map(str, small)])
    assert capsys.readouterr().out.count("done  MELD") == len(done)
    printed = experiments("run", "--output", sweep, *small, "--jobs", 2)
    assert f"4 runs, {len(done)} finished; 2 at a time" in printed
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not list(sweep.glob("*/*/.seed_*"))
    assert outcome(sweep) == outcome(quiet)


def test_one_sweep_at_a_time_and_other_settings_are_refused(refused, quiet, small, tmp_path):
    sweep = tmp_path / "sweep"
    shutil.copytree(quiet, sweep)
    before = outcome(sweep)
    other = [4 if word == EPOCHS else word for word in small]
    line = refused("run", "--output", sweep, *other)
    assert f"trained with epochs {EPOCHS}, now it is 4; use another folder" in line
    assert line.endswith("; see --output, --epochs")
    with FileLock(sweep / ".lock"):
        assert "another sweep writes to it" in refused("run", "--output", sweep, *small)
    assert outcome(sweep) == before


def data_of(small):
    folder = str(option(small, "--data-dir"))
    return Data(folder, False, {"MELD": load_corpus("MELD", folder)[0].sources})


def test_other_data_are_refused(quiet, small, tmp_path):
    (run, *_) = planned(["MELD"], ["3"], [1], EPOCHS)
    data = data_of(small)
    assert check_finished(run, quiet, data)
    assert not check_finished(run, tmp_path, data)
    foreign = Data(data.folder, False, {"MELD": {"meld": "0"}})
    with pytest.raises(InputError, match="trained on other data files"):
        check_finished(run, quiet, foreign)
    problem = train_one(run, tmp_path, foreign, "cpu", 0)
    assert "other MELD files than where the sweep was started" in problem
    assert not list(tmp_path.glob("*/*/*"))


def test_a_run_that_fails_leaves_nothing(small, tmp_path, monkeypatch):
    def failing(corpus, settings, device, output, **options):
        output.mkdir()
        (output / "history.csv").write_text("seconds\n1.0\n")
        raise InputError("the loss is not finite in epoch 1")

    monkeypatch.setattr(sweeping, "train_run", failing)
    (run,) = planned(["MELD"], ["3"], [1], 10)
    assert train_one(run, tmp_path, data_of(small), "cpu", 0) == "MELD/full/seed_1: the loss is not finite in epoch 1"
    assert not list((tmp_path / "MELD" / "full").iterdir())


def test_a_run_gets_its_name_only_if_it_is_complete(small, tmp_path, monkeypatch):
    """Whatever is missing: another process may have removed it."""
    train = sweeping.train_run

    def losing(corpus, settings, device, output, **options):
        trained = train(corpus, settings, device, output, **options)
        (output / name).unlink()
        return trained

    monkeypatch.setattr(sweeping, "train_run", losing)
    (run,) = planned(["MELD"], ["3"], [1], 1)
    data = data_of(small)
    for name in set(FILES) - {"history.csv"}:
        assert train_one(run, tmp_path, data, "cpu", 0) == f"MELD/full/seed_1: {name} was not written"
        assert not list((tmp_path / "MELD" / "full").iterdir())
    name = "history.csv"  # is no reason to train again
    assert train_one(run, tmp_path, data, "cpu", 0) is None
    assert check_finished(run, tmp_path, data)
    assert read_results(tmp_path / run.name).seconds == 0
    for path in (tmp_path / run.name).iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"seed_1: settings.yaml, .*ECERC_MODEL.pkl missing; restore it, or remove"):
        check_finished(run, tmp_path, data)


def test_what_nobody_foresaw_is_named(small, tmp_path, monkeypatch):
    (run,) = planned(["MELD"], ["3"], [1], 10)
    for error, words in (
        (RuntimeError("CUDA error:\n an illegal access"), "RuntimeError: CUDA error: an illegal access"),
        (MemoryError(), "not enough memory; run this again, with fewer at a time: --jobs"),
    ):
        monkeypatch.setattr(sweeping, "train_run", lambda *args, error=error, **options: (_ for _ in ()).throw(error))
        with pytest.raises(RuntimeError) as raised:
            train_one(run, tmp_path, data_of(small), "cpu", 0)
        assert str(raised.value) == f"MELD/full/seed_1: {words}"


def test_what_is_left_is_out_of_the_way_before_it_is_removed(tmp_path, monkeypatch):
    """So that a worker that has not ended yet makes no run of it."""
    part, seen = tmp_path / "MELD" / "full" / f".seed_1.77.ab{sweeping.PART}", []
    part.mkdir(parents=True)
    monkeypatch.setattr(sweeping.shutil, "rmtree", lambda path, **options: seen.append((path.exists(), part.exists())))
    (tmp_path / f".sweep.yaml.77.ab{sweeping.PART}").touch()
    sweeping.remove_parts(tmp_path)
    assert seen == [(True, False)]
    assert [path.name for path in tmp_path.iterdir()] == ["MELD"]


def test_a_refused_sweep_leaves_no_folder(refused, tmp_path):
    assert "no such folder" in refused("run", "--output", tmp_path / "new" / "sweep", "--data-dir", tmp_path)
    assert not (tmp_path / "new").exists()


def test_the_time_left(tmp_path):
    """Two finished runs of 10 s and 30 s; one of four pending ones is 5 s under way; two at a time."""
    runs = planned(["MELD"], ["3"], [1, 2, 3, 4, 5, 6], 10)

    def written(folder, seconds):
        folder.mkdir(parents=True)
        pd.DataFrame({"seconds": seconds}).to_csv(folder / "history.csv")

    assert seconds_left([], runs, tmp_path, 2) is None
    part = Path(runs[2].name).parent / f".seed_3.77.ab{sweeping.PART}"
    written(tmp_path / part, [2.0, 3.0])
    assert seconds_left([], runs, tmp_path, 2) == pytest.approx((6 * 25 - 5) / 2)  # 2.5 s an epoch, 10 epochs
    written(tmp_path / runs[0].name, [4.0, 6.0])
    written(tmp_path / runs[1].name, [30.0])
    assert seconds_left(runs[:2], runs[2:], tmp_path, 2) == pytest.approx((4 * 20 - 5) / 2)
