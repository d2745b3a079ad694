from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from common.batching.batches import Batches
from common.errors import InputError
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.release.checkpoint import load_released, save_released
from common.settings import NetworkSettings, TrainingSettings
from common.training import run
from common.training.run import build_network, train_run
from tests.small import random_corpus, small_corpus

CPU = torch.device("cpu")
FILES = ["ECERC_MODEL.pkl", "ECERC_MODEL_2.pkl", "history.csv", "predictions.csv", "results.csv", "settings.yaml"]


def settings(**changes):
    values = {"hidden_width": 8, "heads": 2, "head_width": 4, "epochs": 4, "seeds": (5, 6), "learning_rate": 1e-2}
    return TrainingSettings(**values | changes)


@pytest.fixture
def corpus():
    return small_corpus("MELD", sizes=(8, 4, 4))


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_a_run_leaves(corpus, tmp_path):
    tested, failures = train_run(corpus, settings(), CPU, tmp_path / "run", origin={"synthetic": True})
    assert failures == []
    assert sorted(content(tmp_path / "run")) == FILES
    history, results = (pd.read_csv(tmp_path / "run" / name) for name in ("history.csv", "results.csv"))
    columns = "seed epoch train_loss train_accuracy train_wf1 valid_loss valid_accuracy valid_wf1 seconds"
    assert list(history) == columns.split()
    assert list(zip(history.seed, history.epoch, strict=True)) == [(s, e) for s in (5, 6) for e in range(4)]
    assert results.seed.tolist() == [5, 6]
    for split in ("valid", "test"):
        names = [f"{split}_{n}" for n in ("accuracy", "wf1", "macro_f1", *(f"f1_{c}" for c in corpus.classes))]
        assert set(names) <= set(results)
    written = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    assert written["hyperparameters"]["seeds"] == [5, 6]
    assert TrainingSettings(**written["hyperparameters"]) == settings()
    assert written["data"]["sha256"] == corpus.sources
    assert written["versions"]["torch"] == torch.__version__

    for k, name in enumerate(FILES[:2]):
        network = build_network(settings(), corpus)
        load_released(network, tmp_path / "run" / name)
        for split in ("valid", "test"):
            batches = Batches(corpus, split, settings().batch_size, "cpu")
            log_prob = evaluate(network, batches)
            found = scores(batches.label, log_prob.argmax(1), corpus.classes)
            assert results[f"{split}_wf1"][k] == pytest.approx(found["wf1"])
            assert results[f"{split}_f1_joy"][k] == pytest.approx(found["f1"][4])
        assert tested[k + 5]["confusion"].tolist() == found["confusion"].tolist()
        predicted = pd.read_csv(tmp_path / "run" / "predictions.csv")
        predicted = predicted[predicted.seed == results.seed[k]]
        assert predicted.label.tolist() == [corpus.classes[c] for c in batches.label]
        np.testing.assert_allclose(predicted.filter(like="log_prob_"), log_prob, rtol=0, atol=1e-5)
        assert predicted.prediction.tolist() == [corpus.classes[c] for c in log_prob.argmax(1)]
        of_seed = history[history.seed == results.seed[k]].valid_wf1.round(2).tolist()
        assert results.selected_epoch[k] == of_seed.index(max(of_seed))


def test_weights_are_kept_where_the_test_split_alone_is_too_large_for_them(corpus, tmp_path):
    """Hours of training are not lost by features that only the last evaluation meets; no seed takes another down."""
    corpus.features["text"][corpus.rows("test")[1]] = 1e38
    chosen = settings(epochs=1, empty_history="strict")
    tested, failures = train_run(corpus, chosen, CPU, tmp_path / "run", progress=False)
    assert tested == {}
    assert len(failures) == 2
    for k, seed in enumerate((5, 6)):
        assert failures[k].startswith(f"MELD seed {seed} ({k + 1}/2): utterance 1 of the split")
        load_released(build_network(chosen, corpus), tmp_path / "run" / FILES[k])


def test_a_run_spelled_out(corpus, tmp_path):
    """Seeding, initial weights, shuffling, α of the training split, γ and Adam, against a loop written by hand."""
    changes = {"class_weights": "train", "class_weight_formula": "log-inverse", "focal_gamma": 1.0, "batch_size": 3}
    chosen = settings(seeds=(5,), epochs=3, attention_dropout=0.0, **changes)
    corpus.label[corpus.rows("train")[:7]] = range(7)  # every class is there
    train_run(corpus, chosen, CPU, tmp_path / "run")

    count = np.bincount(corpus.label[corpus.rows("train")], minlength=7)
    alpha = torch.tensor(np.log(count.sum() / count), dtype=torch.float32)

    def loss(batch):
        log_p = network(batch)[torch.arange(len(batch.label)), batch.label]
        return -(alpha[batch.label] * (1 - log_p.detach().exp()) * log_p).mean()

    torch.manual_seed(5)
    network = build_network(chosen, corpus)
    train = Batches(corpus, "train", 3, "cpu", torch.Generator().manual_seed(5))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=2e-4)
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    for epoch in range(3):
        losses = []
        for batch in train:
            optimizer.zero_grad()
            losses.append(loss(batch))
            losses[-1].backward()
            optimizer.step()
        assert history.train_loss[epoch] == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)
        with torch.no_grad():
            valid = torch.stack([loss(batch) for batch in Batches(corpus, "valid", 3, "cpu")]).mean().item()
        assert history.valid_loss[epoch] == pytest.approx(valid, rel=1e-4)

    train_run(corpus, replace(chosen, shuffle=False), CPU, tmp_path / "in order")
    assert history.train_loss[2] != pytest.approx(
        pd.read_csv(tmp_path / "in order" / "history.csv").train_loss[2], rel=1e-3
    )


def test_a_run_ends_after_patience_epochs_without_improvement(corpus, tmp_path):
    still = settings(epochs=30, patience=3, learning_rate=1e-30, weight_decay=0.0, seeds=(5,))
    train_run(corpus, still, CPU, tmp_path / "run")
    assert pd.read_csv(tmp_path / "run" / "history.csv").epoch.tolist() == [0, 1, 2, 3]


def test_the_same_seed_gives_the_same_results(corpus, tmp_path):
    kwargs = {"evidence_dropout": 0.2, "classifier_dropout": 0.2}
    train_run(corpus, settings(**kwargs), CPU, tmp_path / "a")
    train_run(corpus, settings(**kwargs, seeds=(6,)), CPU, tmp_path / "b")
    a, b = (pd.read_csv(tmp_path / name / "results.csv") for name in "ab")
    pd.testing.assert_frame_equal(a[a.seed == 6].reset_index(drop=True), b)
    assert not a.iloc[0, 2:].equals(a.iloc[1, 2:])


def test_a_modality_that_the_data_lack_is_named():
    corpus = random_corpus([3], widths={"text": 4, "event": 3, "audio": 0, "visual": 2})
    with pytest.raises(InputError, match="has no audio features, but text, event, visual; use these") as error:
        build_network(NetworkSettings(), corpus)
    assert error.value.change == ["modalities"]
    assert build_network(NetworkSettings(modalities="TV"), corpus).evidence_width == 6


def test_a_folder_with_results_is_refused_unless_told(corpus, tmp_path):
    folder = tmp_path / "run"
    train_run(corpus, settings(), CPU, folder)
    before = content(folder)
    with pytest.raises(InputError, match=r"holds a run already .*replace the run"):
        train_run(corpus, settings(seeds=(7,)), CPU, folder)
    assert content(folder) == before
    (folder / "notes.txt").write_text("mine")
    train_run(corpus, settings(seeds=(7,)), CPU, folder, overwrite=True)
    assert sorted(content(folder)) == sorted([FILES[0], *FILES[2:], "notes.txt"])
    (folder / "results.csv").unlink()
    (folder / "ECERC_MODEL.pkl").unlink()
    with pytest.raises(InputError, match="holds an unfinished run already"):
        train_run(corpus, settings(), CPU, folder)
    with pytest.raises(InputError, match="found a file; expected a folder"):
        train_run(corpus, settings(), CPU, folder / "notes.txt", overwrite=True)


def test_weights_that_do_not_fit_leave_an_old_run_alone(corpus, tmp_path):
    train_run(corpus, settings(), CPU, tmp_path)
    before = content(tmp_path)
    save_released(build_network(settings(hidden_width=4), corpus), tmp_path.parent / "other.pkl")
    with pytest.raises(InputError, match="has shape"):
        train_run(corpus, settings(), CPU, tmp_path, initial_weights=tmp_path.parent / "other.pkl", overwrite=True)
    assert content(tmp_path) == before


@pytest.mark.parametrize("broken", ["threads", "class_weights", "Batches", "Trainer", "run_epoch", "begin"])
def test_a_run_that_does_not_begin_leaves_an_old_one_alone_and_no_folder(corpus, tmp_path, monkeypatch, broken):
    """Whether options, data, network or graphs are at fault, or Ctrl-C comes before the end of its first epoch."""
    train_run(corpus, settings(), CPU, tmp_path / "old")
    before, chosen, expected = content(tmp_path / "old"), settings(), KeyboardInterrupt

    def fails(*args, **options):
        raise KeyboardInterrupt

    if broken == "threads":
        chosen, expected = settings(threads=64), InputError
    elif broken == "run_epoch":
        monkeypatch.setattr(run.Trainer, broken, fails)
    elif broken == "begin":
        monkeypatch.setattr(run.RunFolder, broken, fails)
    else:
        monkeypatch.setattr(run, broken, fails)
    for folder in (tmp_path / "old", tmp_path / "runs" / "new"):
        with pytest.raises(expected) as error:
            train_run(corpus, chosen, CPU, folder, overwrite=True)
        assert broken == "threads" or not error.value.args  # nothing is there to be resumed
    assert content(tmp_path / "old") == before
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_initial_weights_start_every_seed(corpus, tmp_path):
    start = build_network(settings(), corpus)
    save_released(start, tmp_path / "start.pkl")
    still = settings(learning_rate=1e-30, weight_decay=0.0, attention_dropout=0.0)
    train_run(corpus, still, CPU, tmp_path / "run", initial_weights=tmp_path / "start.pkl")
    for name in FILES[:2]:
        network = build_network(still, corpus)
        load_released(network, tmp_path / "run" / name)
        for key, tensor in network.state_dict().items():
            torch.testing.assert_close(tensor, start.state_dict()[key], rtol=0, atol=1e-12)


def test_each_seed_has_its_own_dropout(corpus, tmp_path):
    save_released(build_network(settings(), corpus), tmp_path / "start.pkl")
    alike = settings(shuffle=False, epochs=1, evidence_dropout=0.5)
    train_run(corpus, alike, CPU, tmp_path / "run", initial_weights=tmp_path / "start.pkl")
    first, second = pd.read_csv(tmp_path / "run" / "history.csv").train_loss
    assert first != pytest.approx(second, rel=1e-4)


def test_stopping_loses_nothing_that_is_finished(corpus, tmp_path, monkeypatch):
    """Ctrl-C in the sixth epoch of the second of three seeds, of which the first ends after four."""
    original = run.Trainer.run_epoch

    def interrupted(trainer):
        if "seed 5" in trainer.title:
            trainer.settings = settings(epochs=4)
        row = original(trainer)
        if "seed 6" in trainer.title and trainer.epoch == 6:
            raise KeyboardInterrupt
        return row

    monkeypatch.setattr(run.Trainer, "run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"1 of 3 seeds are finished$"):
        train_run(corpus, settings(epochs=30, seeds=(5, 6, 7), patience=30), CPU, tmp_path / "run")
    left = sorted(name for name in content(tmp_path / "run") if not name.startswith("unfinished_"))
    assert left == [FILES[0], *FILES[2:]]
    assert pd.read_csv(tmp_path / "run" / "results.csv").seed.tolist() == [5]
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert history[history.seed < 7].seed.tolist() == [5] * 4 + [6] * 5


def test_selection_never_sees_the_test_split(corpus, tmp_path):
    """With other test labels and features, everything but the test scores is the same, weights included."""
    train_run(corpus, settings(), CPU, tmp_path / "a")
    rows = corpus.rows("test")
    corpus.label[rows] = (corpus.label[rows] + 1) % 7
    corpus.features["text"][rows] += 1
    train_run(corpus, settings(), CPU, tmp_path / "b")
    a, b = content(tmp_path / "a"), content(tmp_path / "b")
    for name in FILES[:2]:
        x, y = (torch.load(tmp_path / run / name, weights_only=True) for run in "ab")
        assert all(torch.equal(x[key], y[key]) for key in x)
    drop = ["seconds"]
    history = [pd.read_csv(tmp_path / run / "history.csv").drop(columns=drop) for run in "ab"]
    pd.testing.assert_frame_equal(*history)
    assert a["results.csv"] != b["results.csv"]


def test_test_is_evaluated_once_per_seed(corpus, tmp_path, monkeypatch):
    seen, original = [], run.evaluate

    def counting(network, batches, *args):
        seen.append(len(batches.label))
        return original(network, batches, *args)

    monkeypatch.setattr(run, "evaluate", counting)
    train_run(corpus, settings(), CPU, tmp_path)
    sizes = [len(corpus.rows(split)) for split in ("valid", "test")]
    assert len(set(sizes)) == 2
    assert sorted(seen) == sorted(sizes * 2)
