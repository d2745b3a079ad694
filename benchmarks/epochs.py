"""Epochs of training, and evaluation: ours, the authors' way, and the bound that the arithmetic sets."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks import plain
from benchmarks.bound import floating_point_operations, matrix_rate
from benchmarks.measures import alternating, clock_for, spread
from common.batching.batches import Batches
from common.data.corpus import SPLITS
from common.data.load import load_corpus
from common.environment import choose_device, keep_memory
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.settings import TrainingSettings
from common.training.fit import Trainer
from common.training.loss import class_weights
from common.training.run import build_network


def settings_of(dataset: str, **changes) -> TrainingSettings:
    """Hyperparameters of the recipe in `plain.py`."""
    recipe = plain.RECIPE[dataset]
    rates = dict(zip(("evidence_dropout", "attention_dropout", "classifier_dropout"), recipe["rates"], strict=True))
    return TrainingSettings(
        positions=dataset == "IEMOCAP",
        modality_order="released" if dataset == "MELD" else "aligned",
        batch_size=recipe["batch"],
        learning_rate=recipe["lr"],
        focal_gamma=float(recipe["gamma"]),
        class_weights="released" if dataset == "IEMOCAP" else "none",
        epochs=10**6,
        patience=10**6,
        **rates,
        **changes,
    )


def measure_epochs(dataset: str, folder: str, repetitions: int, threads: int, device: str) -> dict:
    """Rows of the table: under either rule of empty histories an epoch of training with validation, and evaluation."""
    device, before = choose_device(device), torch.get_num_threads()
    torch.set_num_threads(threads)
    keep_memory()
    rates = matrix_rate(device, threads)
    rows: dict[str, Any] = {f"matrix products, {name}, GFLOP/s": rate / 1e9 for name, rate in rates.items()}
    corpus, _ = load_corpus(dataset, folder)
    splits = plain.load(dataset, folder)
    for rule in ("released", "strict"):
        settings = settings_of(dataset, empty_history=rule)
        works = zip(
            ("training epoch and validation", "evaluation of test"),
            _ours(corpus, settings, device),
            _authors(dataset, splits, rule, device),
            _necessary(corpus, settings),
            strict=True,
        )
        measured, total = [], 0.0
        for name, ours, theirs, operations in works:
            measured.append(alternating(ours, theirs, repetitions, clock_for(device, threads)))
            rows |= _rows(f"{rule}: {name}", measured[-1], operations, max(rates.values()))
            total += operations
        epochs = [(a + c, b + d) for (a, b), (c, d) in zip(*measured, strict=True)]
        rows |= _rows(f"{rule}: epoch with validation and test", epochs, total, max(rates.values()))
    if device.type == "cuda":
        rows["peak GPU memory, GB"] = torch.cuda.max_memory_allocated(device) / 1e9
    torch.set_num_threads(before)
    return rows


def _rows(title, pairs, operations, rate):
    """Rows of what was measured in pairs, ours first, and took so many operations, of which `rate` go in a second."""
    ours, theirs = zip(*pairs, strict=True)
    return {
        f"{title}, s": spread(ours),
        f"{title}, authors' way, s": spread(theirs),
        f"{title}, authors' way / ours": spread([b / a for a, b in pairs]),
        f"{title}, necessary GFLOP": operations / 1e9,
        f"{title}, bound, s": operations / rate,
        f"{title}, share of the matrix rate": operations / rate / spread(ours)["median"],
    }


def _ours(corpus, settings, device) -> tuple[Callable, Callable]:
    """Functions that train for an epoch, and that evaluate the test split."""
    network = build_network(settings, corpus).to(device)
    network.dropout.seed(0, device)
    fixed = device.type == "cuda"
    train, valid, test = (
        Batches(corpus, split, settings.batch_size, device, generator, shapes="fixed" if fixed else shapes)
        for split, generator, shapes in (
            ("train", torch.Generator().manual_seed(0), "rounded"),
            ("valid", None, "exact"),
            ("test", None, "exact"),
        )
    )
    weight = class_weights(settings, corpus)
    weight = weight if weight is None else weight.to(device)

    def evaluates():
        scores(test.label, evaluate(network, test).argmax(1), corpus.classes)

    return Trainer(network, train, valid, settings, weight).run_epoch, evaluates


def _authors(dataset, splits, rule, device) -> tuple[Callable, Callable]:
    """The same, the authors' way."""
    network = plain.build(dataset, strict=rule == "strict").to(device)
    optimizer = plain.adam(dataset, network)

    def trains():
        plain.passed(dataset, network, splits["train"], optimizer, device)
        plain.passed(dataset, network, splits["valid"], None, device)

    def evaluates():
        plain.passed(dataset, network, splits["test"], None, device)

    return trains, evaluates


def _necessary(corpus, settings) -> tuple[float, float]:
    """Floating-point operations that each of the two cannot do without."""
    train, valid, test = (
        floating_point_operations(
            Batches(corpus, split, settings.batch_size, "cpu"),
            corpus.widths,
            len(corpus.classes),
            settings,
            training=split == "train",
        )
        for split in SPLITS
    )
    return train + valid, test
