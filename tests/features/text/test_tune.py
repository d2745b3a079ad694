"""Tuning learns, goes on where it was stopped, and takes nothing that was made from something else."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from sklearn.metrics import f1_score

from common.errors import InputError
from common.features.extractor import Utterance
from common.features.models import resolve
from common.features.text import tune as tuning
from common.features.text import tuning_files
from common.features.text.classifier import evaluate_encoder, read_head
from common.features.text.encoder import FirstToken
from common.features.text.tune import TuneSettings, tune
from tests.features.encoders import small_bert, small_roberta

transformers = pytest.importorskip("transformers")

WORDS = ("joy is here", "sad news came", "anger all day")
CLASSES = ["joy", "sad", "anger"]
SETTINGS = TuneSettings(epochs=4, learning_rate=0.01, batch_size=4, patience=4)


@pytest.fixture(scope="module")
def base(tmp_path_factory, minilm):
    return resolve(small_bert(tmp_path_factory.mktemp("base"), minilm))


@pytest.fixture(scope="module")
def made():
    """36 sentences of three classes; the last is unlabelled, the one before has no text."""
    drawn = np.random.default_rng(1)
    labels = drawn.integers(3, size=36)
    fillers = drawn.choice(["you know", "well", "oh", "I mean that", "and so on and so on"], 36)
    sentences = [f"{filler} {WORDS[label]}" for filler, label in zip(fillers, labels, strict=True)]
    sentences[34], labels[35] = " ", -1
    return SimpleNamespace(
        sentences=sentences, labels=labels, train=np.r_[0:24, 34:36], valid=np.arange(24, 30), test=np.arange(30, 34)
    )


def tuned(base, made, folder, settings=SETTINGS, **other):
    data = SimpleNamespace(**(vars(made) | other))
    return tune(base, data.sentences, data.labels, data.train, data.valid, CLASSES, settings, folder, "cpu", "tuning")


@pytest.fixture(scope="module")
def whole(base, made, tmp_path_factory):
    """A folder that was tuned without a pause."""
    return tuned(base, made, tmp_path_factory.mktemp("tuned") / "whole")


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_comes_to_lie_in_the_folder(whole, base, made):
    names = {path.name for path in whole.iterdir()}
    assert {"config.json", "model.safetensors", "head.safetensors", "tuning.yaml", "tokenizer.json"} <= names
    assert not [name for name in names if name.startswith(".")]
    record = yaml.safe_load((whole / "tuning.yaml").read_text())
    assert record["settings"] == dataclasses.asdict(SETTINGS)
    assert record["base"]["sha256"] == base.sha256
    assert record["train"]["utterances"] == 24  # neither the unlabelled one nor that without text
    assert len(record["scores"]) == 4
    assert record["selected_epoch"] == 1 + int(np.argmax(record["scores"]))


def test_learns_and_is_evaluated(whole, base, made):
    rows = np.r_[made.test, 34, 35]
    found = evaluate_encoder(whole, made.sentences, made.labels, rows, "cpu")
    assert found["utterances"] == 4
    assert found["wf1"] == found["accuracy"] == 100
    network = transformers.AutoModel.from_pretrained(whole).eval()  # the same with transformers alone
    tokenizer = transformers.AutoTokenizer.from_pretrained(whole)
    head = load_file(whole / "head.safetensors")
    valid = yaml.safe_load((whole / "tuning.yaml").read_text())["scores"]
    with torch.no_grad():
        states = [
            network(**tokenizer(made.sentences[row], return_tensors="pt")).last_hidden_state for row in made.valid
        ]
    answers = [(state[0, 0] @ head["weight"].T + head["bias"]).argmax().item() for state in states]
    expected = f1_score(made.labels[made.valid], answers, average="weighted")
    assert max(valid) == pytest.approx(100 * expected, abs=1e-3)


def test_half_of_the_answers_are_right(whole, made):
    labels = made.labels.copy()
    labels[made.test[:2]] = (labels[made.test[:2]] + 1) % 3  # as if two labels were others
    found = evaluate_encoder(whole, made.sentences, labels, made.test, "cpu")
    assert found["accuracy"] == 50
    answers = made.labels[made.test]
    assert found["wf1"] == pytest.approx(100 * f1_score(labels[made.test], answers, average="weighted"))


def test_features_of_the_tuned_encoder(whole, made):
    network = transformers.AutoModel.from_pretrained(whole).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(whole)
    with torch.no_grad():
        state = network(**tokenizer(made.sentences[3], return_tensors="pt")).last_hidden_state[0, 0]
    features = FirstToken(resolve(whole))([Utterance("d", row, made.sentences[row]) for row in (1, 2, 3)])
    np.testing.assert_allclose(features[2], state, rtol=0, atol=1e-5)


def test_the_same_again(whole, base, made, tmp_path):
    torch.manual_seed(7)  # what was drawn before does not matter
    before = torch.random.get_rng_state()
    assert content(tuned(base, made, tmp_path / "again")) == content(whole)
    assert torch.equal(torch.random.get_rng_state(), before)
    other = dataclasses.replace(SETTINGS, seed=2)
    assert (
        content(tuned(base, made, tmp_path / "other", other))["model.safetensors"]
        != content(whole)["model.safetensors"]
    )


@pytest.mark.parametrize("steps", [3, 6, 7, 12, 28])  # an epoch has 6, and one update for its score
def test_goes_on_where_it_was_stopped(whole, base, made, tmp_path, monkeypatch, steps):
    class Stopped(tuning.Progress):
        count = 0

        def update(self, *arguments, **options):
            Stopped.count += 1
            if Stopped.count == steps:
                raise KeyboardInterrupt
            super().update(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tuning, "Progress", Stopped)
        tuned(base, made, tmp_path / "folder")
    assert not (tmp_path / "folder" / "tuning.yaml").exists()
    finished = steps // 7
    seen, score = [], tuning._Tuning.score
    monkeypatch.setattr(tuning._Tuning, "score", lambda self, epoch: seen.append(epoch) or score(self, epoch))
    assert content(tuned(base, made, tmp_path / "folder")) == content(whole)
    assert seen == list(range(finished, 4))


def test_stopped_before_the_files_are_complete(whole, base, made, tmp_path, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    for module, name in ((tuning.classifier, "write"), (tuning.yaml, "safe_dump"), (tuning_files, "take_best")):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(module, name, lambda *arguments, **options: stopped())
            tuned(base, made, tmp_path / "folder")
    assert content(tuned(base, made, tmp_path / "folder")) == content(whole)


def test_patience_and_the_selected_epoch(base, made, tmp_path, monkeypatch):
    scores = iter([50.0, 60.0, 60.0, 55.0, 99.0])
    monkeypatch.setattr(tuning._Tuning, "score", lambda self, epoch: next(scores))
    settings = dataclasses.replace(SETTINGS, epochs=9, patience=2)
    folder = tuned(base, made, tmp_path / "folder", settings)
    record = yaml.safe_load((folder / "tuning.yaml").read_text())
    assert record["scores"] == [50, 60, 60, 55]
    assert record["selected_epoch"] == 2


def test_weights_are_those_of_the_selected_epoch(base, made, tmp_path, monkeypatch):
    settings = dataclasses.replace(SETTINGS, warm_up=0.0)
    for name, found, epochs in (("long", [50.0, 60.0, 55.0, 40.0], 4), ("short", [50.0, 60.0], 2)):
        scores = iter(found)
        monkeypatch.setattr(tuning._Tuning, "score", lambda self, epoch, scores=scores: next(scores))
        tuned(base, made, tmp_path / name, dataclasses.replace(settings, epochs=epochs))
    long, short = content(tmp_path / "long"), content(tmp_path / "short")
    for name in ("model.safetensors", "head.safetensors"):
        assert long[name] == short[name]


def test_a_finished_folder_is_taken_as_it_is(whole, base, made):
    before = {path.name: path.stat().st_mtime_ns for path in (whole, *whole.iterdir())}
    sentences = [*made.sentences]
    sentences[made.test[0]] = "what is not looked at"
    assert tuned(base, made, whole, sentences=sentences) == whole
    assert {path.name: path.stat().st_mtime_ns for path in (whole, *whole.iterdir())} == before


@pytest.mark.parametrize("unfinished", [False, True])
def test_other_inputs_are_refused(whole, base, made, tmp_path, unfinished):
    folder = tmp_path / "folder"
    shutil.copytree(whole, folder)
    record = yaml.safe_load((folder / "tuning.yaml").read_text())
    if unfinished:
        parts = {name: torch.nn.Linear(1, 1) for name in ("network", "head", "optimizer")}
        tuning_files.keep(folder, {name: record[name] for name in list(record)[:5]}, parts, [1.0], 0)
        (folder / "tuning.yaml").unlink()
    sentences, labels = [*made.sentences], made.labels.copy()
    sentences[made.train[0]], labels[made.valid[0]] = "other words", (labels[made.valid[0]] + 1) % 3
    for words, settings, other in (
        (r"settings\.learning_rate 0\.01, and asked for is 0\.02", {"learning_rate": 0.02}, {}),
        (r"settings\.epochs 4, and asked for is 5", {"epochs": 5}, {}),
        (r"train\.sha256", {}, {"sentences": sentences}),
        (r"valid\.sha256", {}, {"labels": labels}),
        (r"train\.utterances 24, and asked for is 23", {}, {"train": made.train[1:]}),
    ):
        with pytest.raises(InputError, match=words):
            tuned(base, made, folder, dataclasses.replace(SETTINGS, **settings), **other)


def test_another_base_is_refused(whole, made, tmp_path):
    with pytest.raises(InputError, match=r"base\.sha256"):
        tuned(resolve(small_roberta(tmp_path)), made, whole)


def test_a_model_of_others_is_not_overwritten(base, made, tmp_path, minilm):
    folder = small_bert(tmp_path, minilm)
    before = content(folder)
    with pytest.raises(InputError, match="was not tuned here"):
        tuned(base, made, folder)
    assert content(folder) == before


def test_a_broken_checkpoint(base, made, tmp_path):
    (tmp_path / ".checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="no checkpoint of tuning"):
        tuned(base, made, tmp_path)


def test_nothing_to_learn_from(base, made, tmp_path):
    for name in ("train", "valid"):
        with pytest.raises(InputError, match=f"no labelled utterance in the {name}"):
            tuned(base, made, tmp_path, **{name: np.array([34, 35])})
    with pytest.raises(InputError, match="no labelled utterance"):
        evaluate_encoder(tmp_path, made.sentences, made.labels, np.array([34, 35]), "cpu")


def test_divergence_is_said(base, made, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning.classifier, "logits", lambda *arguments: np.full((6, 3), np.nan))
    with pytest.raises(InputError, match=r"not finite after epoch 1, at learning rate 0\.01"):
        tuned(base, made, tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"learning_rate": 0.0}, {"dropout": 1.0}, {"learning_rate": float("nan")}, {"warm_up": 2.0}],
)
def test_settings_out_of_bounds(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))} is .*; expected"):
        TuneSettings(**wrong)


def test_no_head(tmp_path):
    with pytest.raises(InputError, match="no head of a tuned encoder"):
        read_head(tmp_path)


def test_the_learning_rate_rises_then_stays(base, made, monkeypatch):
    rates = []
    settings = dataclasses.replace(SETTINGS, epochs=2, warm_up=0.5, batch_size=8)
    run = tuning._Tuning(base, made.sentences, made.labels, made.train[:24], made.valid, CLASSES, settings, "cpu")
    monkeypatch.setattr(run._optimizer, "step", lambda: rates.append(run._optimizer.param_groups[0]["lr"]))
    for epoch in range(2):
        for _ in run.epoch(epoch):
            pass
    assert rates == pytest.approx([0.01 / 3, 0.02 / 3, 0.01, 0.01, 0.01, 0.01])


@pytest.mark.parametrize("longest", [1.0, 1e9])  # clipped, and not
@pytest.mark.parametrize("rows", [[0], [0, 3, 2, 1, 7, 12, 9]])
def test_one_step_is_that_of_the_mean_loss(base, made, monkeypatch, rows, longest):
    monkeypatch.setattr(tuning, "LONGEST_GRADIENT", longest)
    settings = TuneSettings(warm_up=0.0, dropout=0.0)
    run = tuning._Tuning(base, made.sentences, made.labels, made.train[:24], made.valid, CLASSES, settings, "cpu")
    network, head = transformers.AutoModel.from_pretrained(base.source), torch.nn.Linear(16, 3)  # without dropout, too
    head.load_state_dict(run.head.state_dict())
    weights = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=1e-5, weight_decay=0.01, fused=False)
    tokens = transformers.AutoTokenizer.from_pretrained(base.source)(
        [made.sentences[row] for row in rows], padding=True, return_tensors="pt"
    )
    states = network.eval()(**tokens).last_hidden_state[:, 0]
    torch.nn.functional.cross_entropy(head(states), torch.tensor(made.labels[rows])).backward()
    torch.nn.utils.clip_grad_norm_(weights, longest)
    optimizer.step()
    run._step(0, np.array(rows))
    ours = dict(run.encoder.network.named_parameters())
    for name, weight in network.named_parameters():
        if not name.startswith("pooler"):
            torch.testing.assert_close(ours[name].grad, weight.grad, rtol=0, atol=1e-6)
    torch.testing.assert_close(run.head.state_dict(), head.state_dict(), rtol=0, atol=1e-7)


def test_each_epoch_takes_all_rows_in_another_order(base, made, monkeypatch):
    run = tuning._Tuning(base, made.sentences, made.labels, made.train[:24], made.valid, CLASSES, SETTINGS, "cpu")
    taken = []
    monkeypatch.setattr(run, "_step", lambda number, rows: taken.append((number, list(rows))))
    for epoch in range(2):
        for _ in run.epoch(epoch):
            pass
    assert [number for number, _ in taken] == list(range(12))
    orders = [[row for _, rows in taken[start : start + 6] for row in rows] for start in (0, 6)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(24))
    assert orders[0] != orders[1] != list(range(24)) != orders[0]
