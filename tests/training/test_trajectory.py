"""Training on the real dialogues against the released code: loss, optimiser, batching, splits and metrics at once."""

import json

import numpy as np
import pytest
import torch

from common.batching.batches import Batches
from common.data.corpus import SPLITS
from common.data.load import load_corpus
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.release.checkpoint import load_released
from common.settings import TrainingSettings
from common.training.fit import Trainer
from common.training.loss import class_weights, focal_loss
from common.training.run import build_network
from tests.golden_networks import GOLDENS, filled_state

SETTINGS = {
    "IEMOCAP": {"positions": True, "batch_size": 64, "learning_rate": 1e-4, "class_weights": "released"},
    "MELD": {"modality_order": "released", "batch_size": 32, "learning_rate": 1e-5, "focal_gamma": 1.0},
}


@pytest.mark.parametrize(("dataset", "shapes"), [("IEMOCAP", "fixed"), ("MELD", "rounded")])
def test_trajectory(real_data, tmp_path, dataset, shapes):
    golden = json.loads((GOLDENS / "trajectory.json").read_text())[dataset]
    corpus, _ = load_corpus(dataset, real_data)
    settings = TrainingSettings(**SETTINGS[dataset], attention_dropout=0.0)
    network = build_network(settings, corpus)
    torch.save(filled_state(network, 1), tmp_path / "filled.pkl")
    load_released(network, tmp_path / "filled.pkl")
    weight = class_weights(settings, corpus)
    train, valid, test = (Batches(corpus, s, settings.batch_size, "cpu", shapes=shapes) for s in SPLITS)
    exact = list(Batches(corpus, "test", settings.batch_size, "cpu"))
    trainer = Trainer(network, train, valid, settings, weight)
    for expected in golden:
        row = trainer.run_epoch()
        log_prob = evaluate(network, test)
        losses = [focal_loss(log_prob[b.rows], b.label, settings.focal_gamma, weight) for b in exact]
        row["test_loss"] = float(np.mean(losses))
        found = scores(test.label, log_prob.argmax(1), corpus.classes)
        row |= {"test_accuracy": found["accuracy"], "test_wf1": found["wf1"]}
        for split in SPLITS:
            where = f"{split}, epoch {expected['epoch']}"
            assert row[f"{split}_loss"] == pytest.approx(expected[f"{split}_loss"], rel=1e-3), where
            assert row[f"{split}_accuracy"] == pytest.approx(expected[f"{split}_acc"], abs=0.3), where
            assert row[f"{split}_wf1"] == pytest.approx(expected[f"{split}_wf1"], abs=0.3), where
