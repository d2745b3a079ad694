"""Epochs of training, and evaluation: ours, the plain ones, and the bound that the arithmetic sets."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks import plain
from benchmarks.bound import floating_point_operations, matrix_rate
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


def spread(seconds: list[float]) -> dict[str, float]:
    """The median and the range of some measurements."""
    return {"median": float(np.median(seconds)), "least": min(seconds), "most": max(seconds), "n": len(seconds)}


def settings_of(dataset: str, **changes) -> TrainingSettings:
    """Hyperparameters of the plain implementation's recipe."""
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
    rates = matrix_rate(device)
    rows: dict[str, Any] = {f"matrix products, {name}, GFLOP/s": rate / 1e9 for name, rate in rates.items()}
    corpus, _ = load_corpus(dataset, folder)
    splits = plain.load(dataset, folder)
    for rule in ("released", "strict"):
        settings = settings_of(dataset, empty_history=rule)
        works = zip(
            ("training epoch and validation", "evaluation of test"),
            _ours(corpus, settings, device),
            _plain(dataset, splits, rule, device),
            _necessary(corpus, settings),
            strict=True,
        )
        for name, ours, theirs, operations in works:
            pairs = [(_timed(theirs), _timed(ours)) for _ in range(repetitions + 1)][1:]  # the first warms up
            rows[f"{rule}: {name}, s"] = spread([b for _, b in pairs])
            rows[f"{rule}: {name}, plain, s"] = spread([a for a, _ in pairs])
            rows[f"{rule}: {name}, plain / ours"] = spread([a / b for a, b in pairs])
            rows[f"{rule}: {name}, necessary GFLOP"] = operations / 1e9
            median = rows[f"{rule}: {name}, s"]["median"]
            rows[f"{rule}: {name}, bound, s"] = operations / max(rates.values())
            rows[f"{rule}: {name}, share of the matrix rate"] = operations / max(rates.values()) / median
    if device.type == "cuda":
        rows["peak GPU memory, GB"] = torch.cuda.max_memory_allocated(device) / 1e9
    torch.set_num_threads(before)
    return rows


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


def _plain(dataset, splits, rule, device) -> tuple[Callable, Callable]:
    """The same of the plain implementation."""
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


def _timed(work):
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
