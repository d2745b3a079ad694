"""Training on the real dialogues against the released code: loss, optimiser, batching, splits and metrics at once."""

import json

import pytest
import torch

from common.data.batches import Batches
from common.data.load import load_corpus
from common.network.released import load_released
from common.settings import TrainingSettings
from common.training.evaluate import evaluate
from common.training.fit import adam, train_epoch
from common.training.loss import class_weights
from common.training.metrics import scores
from common.training.run import build_network
from tests.goldens import filled_state

SETTINGS = {
    "IEMOCAP": {"positions": True, "batch_size": 64, "learning_rate": 1e-4, "class_weights": "released"},
    "MELD": {"modality_order": "released", "batch_size": 32, "learning_rate": 1e-5, "focal_gamma": 1.0},
}


@pytest.mark.parametrize("dataset", ["IEMOCAP", "MELD"])
def test_trajectory(shared, real_data, tmp_path, dataset):
    golden = json.loads((shared / "goldens" / "trajectory.json").read_text())[dataset]
    corpus, _ = load_corpus(dataset, real_data)
    settings = TrainingSettings(**SETTINGS[dataset], attention_dropout=0.0)
    network = build_network(settings, corpus)
    torch.save(filled_state(network, 1), tmp_path / "filled.pkl")
    load_released(network, tmp_path / "filled.pkl")
    optimizer, weight = adam(network, settings), class_weights(settings, corpus)
    batches = {split: Batches(corpus, split, settings.batch_size, "cpu") for split in ("train", "valid", "test")}
    for expected in golden:
        loss, label, prediction = train_epoch(network, batches["train"], optimizer, settings.focal_gamma, weight)
        found = {"train": (loss, scores(label, prediction, corpus.classes))}
        for split in ("valid", "test"):
            log_prob, loss = evaluate(network, batches[split], settings.focal_gamma, weight)
            found[split] = (loss, scores(batches[split].label, log_prob.argmax(1), corpus.classes))
        for split, (loss, score) in found.items():
            where = f"{split}, epoch {expected['epoch']}"
            assert loss == pytest.approx(expected[f"{split}_loss"], rel=1e-3), where
            assert score["accuracy"] == pytest.approx(expected[f"{split}_acc"], abs=0.3), where
            assert score["wf1"] == pytest.approx(expected[f"{split}_wf1"], abs=0.3), where
