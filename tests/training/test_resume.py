"""Runs that are stopped and resumed, and seeds that fail beside others."""

import itertools
import math
import shutil
import threading
from dataclasses import replace

import pandas as pd
import pytest
import torch

from common.errors import InputError
from common.release.checkpoint import save_released
from common.training import fit, folder, history
from common.training.folder import RunFolder, Unfinished, settings_to_resume
from common.training.run import build_network, train_run
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
    with open(stopped / "predictions.csv", "a") as file:  # killed while it appended
        file.write((stopped / "predictions.csv").read_text().splitlines(True)[1].replace("5,", "6,", 1) + "6,dia")
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


def test_predictions_that_somebody_changes_meanwhile(corpus, tmp_path, monkeypatch):
    """Seeds that end later fail, as their rows would stand somewhere: nothing wrong is written."""
    write, path = RunFolder.write_table, tmp_path / "run" / "predictions.csv"

    def changing(folder, name, text):
        write(folder, name, text)
        if name == "results.csv":
            path.write_bytes(path.read_bytes() + b"mine\n")

    monkeypatch.setattr(RunFolder, "write_table", changing)
    tested, problems = train_run(corpus, SETTINGS, CPU, tmp_path / "run")
    assert len(tested) == 1
    assert len(problems) == 2
    assert all("predictions.csv: changed while this run writes it" in problem for problem in problems)
    assert len(pd.read_csv(tmp_path / "run" / "results.csv")) == 1
    assert path.read_bytes().endswith(b"mine\n")


def test_seeds_that_end_in_another_order(corpus, quiet, tmp_path, monkeypatch):
    """Files are in the order of the seeds, whichever ended first, and whether the run is over or stopped."""
    select = fit.Trainer.select

    def later(trainer):
        if "seed 5" in trainer.title:
            assert last.wait(60)
        select(trainer)

    def written(folder, name, text, write=RunFolder.write_table):
        write(folder, name, text)
        if name == "results.csv" and text.count("\n") == 3:
            last.set()

    last, threads = threading.Event(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        monkeypatch.setattr(fit.Trainer, "select", later)
        monkeypatch.setattr(RunFolder, "write_table", written)
        train_run(corpus, SETTINGS, CPU, tmp_path / "run")
    finally:
        torch.set_num_threads(threads)
    assert last.is_set()
    for name in ("results.csv", "predictions.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (quiet / name).read_bytes()


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
    for name, advice in (("predictions.csv", "train again into another folder"), ("history.csv", "remove it")):
        content = (stopped / name).read_text()
        (stopped / name).write_text("nonsense")
        refused(stopped, rf"{name}: damaged .*; {advice}")
        (stopped / name).write_text("".join(line for line in content.splitlines(True) if line[0] != "5"))
        if name == "history.csv":  # nothing depends on it
            assert settings_to_resume(stopped)[0] == SETTINGS
        else:
            refused(stopped, f"{name}: nothing of seed 5")
        (stopped / name).write_text(content)
    rows = (stopped / "predictions.csv").read_text()
    (stopped / "predictions.csv").write_text(rows.rstrip("\n"))  # an editor does that
    with pytest.raises(
        InputError, match=r"predictions.csv: (\d+) rows of a finished seed; expected \d+, the test split"
    ):
        train_run(corpus, SETTINGS, CPU, stopped, resume=True)
    (stopped / "predictions.csv").write_text(rows)
    weights = (stopped / "ECERC_MODEL.pkl").rename(tmp_path / "moved")
    refused(stopped, r"ECERC_MODEL.pkl: missing, though seed 5 is finished; restore it")
    weights.rename(stopped / "ECERC_MODEL.pkl")
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
        log_prob, value, share = loss(trainer, batch)
        spoil = "seed 6" in trainer.title and trainer.epoch == 3
        return log_prob, value * math.nan if spoil else value, share

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
    assert not (tmp_path / "run").exists()  # nothing came into it
    late = RunFolder(tmp_path / "run")  # two that were begun in the same second have the same name
    (tmp_path / "run").mkdir()
    with (
        pytest.raises(InputError, match="another training writes into it; wait, or use another folder"),
        late.writing(),
    ):
        pass
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")  # both found it empty
    with first.writing():
        first.begin({})
        with pytest.raises(InputError, match="another training writes into it; wait, or use another folder"):
            RunFolder(tmp_path / "run")  # and nobody is told to overwrite it
    with pytest.raises(InputError, match="holds an unfinished run already"), second.writing():
        pass


def test_the_folder_is_removed_meanwhile(corpus, tmp_path, monkeypatch):
    epoch = fit.Trainer.run_epoch

    def removing(trainer):
        if trainer.epoch == 2:
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return epoch(trainer)

    monkeypatch.setattr(fit.Trainer, "run_epoch", removing)
    monkeypatch.setattr(history, "EVERY", 0)
    with pytest.raises(FileNotFoundError) as error:
        train_run(corpus, SETTINGS, CPU, tmp_path / "run")
    assert str(error.value.filename).startswith(str(tmp_path / "run"))
    assert ".part" not in str(error.value.filename)


def test_a_flipped_byte_in_an_unfinished_state_is_noticed(stopped):
    """Wherever it is: the file is refused, or the byte says nothing."""
    path, read = stopped / "unfinished_6.pt", Unfinished(RunFolder(stopped, resume=True), 6).read
    whole, state, refused = path.read_bytes(), read(), 0
    for position in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        try:
            found = read()
        except InputError:
            refused += 1
        else:
            torch.testing.assert_close(found, state, rtol=0, atol=0)
    assert refused > 30


def test_the_weights_that_a_run_starts_from_are_its_own(corpus, tmp_path, monkeypatch):
    """Resumed after the file has changed, a run ends with the same numbers; without its own copy it is refused."""
    file, run, settings = tmp_path / "start.pkl", tmp_path / "run", replace(SETTINGS, seeds=(5,), epochs=4)
    save_released(build_network(settings, corpus), file)
    train_run(corpus, settings, CPU, tmp_path / "quiet", initial_weights=file)
    epoch = fit.Trainer.run_epoch

    def interrupted(trainer):
        if trainer.epoch == 3:
            raise KeyboardInterrupt
        return epoch(trainer)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fit.Trainer, "run_epoch", interrupted)
        train_run(corpus, settings, CPU, run, initial_weights=file)
    torch.manual_seed(99)
    save_released(build_network(settings, corpus), file)
    shutil.copytree(run, tmp_path / "other")
    (tmp_path / "other" / "initial_weights.pkl").unlink()
    with pytest.raises(InputError, match=r"initial_weights.pkl: missing, .*; restore it, or train again"):
        train_run(corpus, settings, CPU, tmp_path / "other", initial_weights=file, resume=True)
    train_run(corpus, settings, CPU, run, initial_weights=file, resume=True)
    assert outcome(run, (5,)) == outcome(tmp_path / "quiet", (5,))


def test_a_history_that_cannot_be_written_ends_nothing(corpus, quiet, tmp_path, monkeypatch, capsys):
    """Said once, and at the end; results and predictions are there, and the run can be resumed."""
    monkeypatch.setattr(history, "EVERY", 0)
    write, run = RunFolder.write_table, tmp_path / "run"

    def failing(folder, name, rows):
        if name == "history.csv":
            raise ValueError("Length of values (48) does not match length of index (49)")
        write(folder, name, rows)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_table", failing)
        tested, (problem,) = train_run(corpus, SETTINGS, CPU, run)
    assert problem.startswith(f"{run / 'history.csv'}: not written (Length of values (48)")
    assert list(tested) == [5, 6, 7]
    assert capsys.readouterr().err.count("not written") == 1
    for name in ("results.csv", "predictions.csv"):
        assert (run / name).read_bytes() == (quiet / name).read_bytes()
    assert train_run(corpus, SETTINGS, CPU, run, resume=True)[1] == []
