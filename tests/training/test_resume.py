"""Runs that are stopped and resumed, and seeds that fail beside others."""

import itertools
import math
import shutil

import pandas as pd
import pytest
import torch

from common.errors import InputError
from common.training import fit, folder, run
from common.training.folder import RunFolder, Unfinished, settings_to_resume
from common.training.run import train_run
from tests.faults.kills import SETTINGS, outcome
from tests.small import small_corpus

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def corpus():
    return small_corpus("MELD", sizes=(8, 4, 4))


@pytest.fixture(scope="module")
def quiet(corpus, tmp_path_factory):
    """A run that nothing disturbed."""
    path = tmp_path_factory.mktemp("quiet") / "run"
    train_run(corpus, SETTINGS, CPU, path)
    return path


@pytest.fixture
def stopped(corpus, tmp_path, monkeypatch):
    """The folder of the same run, stopped in epoch 9 of its second seed."""
    epoch = fit.Trainer.run_epoch

    def interrupted(trainer):
        if "seed 6" in trainer.title and trainer.epoch == 9:
            raise KeyboardInterrupt
        return epoch(trainer)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one seed after the other
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fit.Trainer, "run_epoch", interrupted)
        patch.setattr(folder.time, "monotonic", lambda: 0.0)  # writing takes no time: each epoch is kept
        train_run(corpus, SETTINGS, CPU, tmp_path / "run")
    torch.set_num_threads(threads)
    return tmp_path / "run"


def test_a_run_that_goes_on_ends_as_if_it_had_not_been_stopped(corpus, stopped, quiet, monkeypatch):
    epochs, epoch = [], fit.Trainer.run_epoch

    def counted(trainer):
        epochs.append((trainer.title.split()[2], trainer.epoch))
        return epoch(trainer)

    assert pd.read_csv(stopped / "results.csv").seed.tolist() == [5]
    (stopped / ".results.csv.1.aa.part").write_text("of a writer that was killed")
    monkeypatch.setattr(fit.Trainer, "run_epoch", counted)
    tested, failures = train_run(corpus, SETTINGS, CPU, stopped, resume=True)
    assert sorted(epochs) == [("6", e) for e in range(9, SETTINGS.epochs)] + [("7", e) for e in range(SETTINGS.epochs)]
    assert failures == []
    assert outcome(stopped) == outcome(quiet)
    for name in ("results.csv", "predictions.csv"):
        assert (stopped / name).read_bytes() == (quiet / name).read_bytes()
    assert sorted(p.name for p in stopped.iterdir()) == sorted(p.name for p in quiet.iterdir())
    results = pd.read_csv(stopped / "results.csv")
    assert [tested[seed]["wf1"] for seed in SETTINGS.seeds] == pytest.approx(results.test_wf1.tolist())


def test_a_run_that_was_finished_is_told_again(corpus, quiet, tmp_path):
    """As one is that was killed just before its end."""
    shutil.copytree(quiet, tmp_path / "run")
    (tmp_path / "run" / "unfinished_7.pt").touch()
    before = outcome(quiet)
    tested, _ = train_run(corpus, SETTINGS, CPU, tmp_path / "run", resume=True)
    assert list(tested) == [5, 6, 7]
    assert outcome(tmp_path / "run") == before
    assert not list((tmp_path / "run").glob("unfinished*"))


def test_patience_counts_on(corpus, stopped):
    """The state knows the best epoch so far, its weights, and since when nothing got better."""
    state = Unfinished(RunFolder(stopped, resume=True), 6).read()["trainer"]
    history = pd.read_csv(stopped / "history.csv").query("seed == 6")
    assert state["epoch"] == 9 == len(history)
    rounded = history.valid_wf1.round(2).tolist()
    assert state["selection"]["epoch"] == rounded.index(max(rounded))
    assert state["selection"]["wf1"] == max(rounded)
    assert state["selection"]["loss"] == history.valid_loss.round(4).min()


def test_what_cannot_be_resumed(corpus, stopped, tmp_path):
    def refused(path, words):
        with pytest.raises(InputError, match=words):
            settings_to_resume(path)

    refused(tmp_path / "nothing", r"nothing: no run that could be resumed \(settings.yaml is missing\)")
    assert settings_to_resume(stopped)[0] == SETTINGS
    other = small_corpus("MELD", sizes=(8, 4, 4))
    other.sources["file"] = "0" * 64
    with pytest.raises(InputError, match="begun on other data"):
        train_run(other, SETTINGS, CPU, stopped, resume=True)
    history = (stopped / "history.csv").read_text()
    (stopped / "history.csv").write_text("".join(line for line in history.splitlines(True) if line[0] != "5"))
    refused(stopped, r"history.csv: nothing of seed 5")
    (stopped / "history.csv").write_text("nonsense")
    refused(stopped, r"history.csv: damaged")
    (stopped / "history.csv").write_text(history)
    state = torch.load(stopped / "unfinished_6.pt", weights_only=True)
    state["trainer"]["network"]["of.an.older.version"] = state["trainer"]["network"].pop("classifier.bias")
    torch.save(state, stopped / "unfinished_6.pt")
    with pytest.raises(InputError, match=r"seed 6 .*written by another version of this code; remove"):
        train_run(corpus, SETTINGS, CPU, stopped, resume=True)
    (stopped / "unfinished_6.pt").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"unfinished_6.pt: damaged .*; remove it"):
        train_run(corpus, SETTINGS, CPU, stopped, resume=True)
    with pytest.raises(InputError, match=r"holds a run already .*or resume it"):
        train_run(corpus, SETTINGS, CPU, stopped)
    (stopped / "settings.yaml").write_text("dataset: MELD\n")
    refused(stopped, "no hyperparameters")


def test_a_seed_whose_loss_is_not_finite_leaves_the_others(corpus, quiet, tmp_path, monkeypatch):
    loss = fit.Trainer._loss

    def spoiled(trainer, batch):
        log_prob, value = loss(trainer, batch)
        spoil = "seed 6" in trainer.title and trainer.epoch == 3
        return log_prob, value * math.nan if spoil else value

    monkeypatch.setattr(fit.Trainer, "_loss", spoiled)
    tested, failures = train_run(corpus, SETTINGS, CPU, tmp_path / "run")
    assert len(failures) == 1
    assert "MELD seed 6 (2/3): the loss is not finite in epoch 3, training batch 0" in failures[0]
    assert list(tested) == [5, 7]
    expected = outcome(quiet, (5, 7))
    found = outcome(tmp_path / "run", (5, 7))
    assert found == expected
    assert pd.read_csv(tmp_path / "run" / "history.csv").query("seed == 6").epoch.tolist() == [0, 1, 2]
    assert not list((tmp_path / "run").glob("unfinished*"))


def test_keeping_takes_a_twentieth_of_the_time_at_most(tmp_path, monkeypatch):
    """Epochs of 1 s, writing takes 0.5 s: at most every 10 s."""
    clock, written = [0.0], []

    def state():
        clock[0] += 0.5
        written.append(clock[0])
        return {}

    monkeypatch.setattr(folder.time, "monotonic", lambda: clock[0])
    (tmp_path / "settings.yaml").write_text("")
    unfinished = Unfinished(RunFolder(tmp_path, resume=True), 5)
    for _ in range(100):
        clock[0] += 1
        unfinished.keep(state)
    gaps = [b - a for a, b in itertools.pairwise(written)]
    assert min(gaps) >= 10
    assert max(gaps) <= 12
    unfinished.keep(state, leaving=True)
    count = len(written)
    unfinished.keep(state, leaving=True)  # nothing happened since
    assert len(written) == count


def test_two_trainings_into_one_folder(corpus, tmp_path):
    with RunFolder(tmp_path / "run").writing(), pytest.raises(InputError, match="another training writes into it"):
        train_run(corpus, SETTINGS, CPU, tmp_path / "run", overwrite=True)
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "run").mkdir()
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")  # both found it empty
    with first.writing():
        first.write_settings({})
    with pytest.raises(InputError, match="holds an unfinished run already"), second.writing():
        pass


def test_the_folder_is_removed_meanwhile(corpus, tmp_path, monkeypatch):
    epoch = fit.Trainer.run_epoch

    def removing(trainer):
        if trainer.epoch == 2:
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return epoch(trainer)

    monkeypatch.setattr(fit.Trainer, "run_epoch", removing)
    monkeypatch.setattr(run, "HISTORY_EVERY", 0)
    with pytest.raises(FileNotFoundError) as error:
        train_run(corpus, SETTINGS, CPU, tmp_path / "run")
    assert str(error.value.filename).startswith(str(tmp_path / "run"))
    assert ".part" not in str(error.value.filename)
