"""One measurement in a process of its own: `python -m benchmarks.apart KIND …` prints seconds and memory as JSON."""

import json
import sys
import time
from dataclasses import replace

from benchmarks import plain
from benchmarks.conversations import WIDTHS
from benchmarks.epochs import settings_of
from benchmarks.measures import peak
from common.batching.batches import Batches
from common.data.load import load_corpus
from common.environment import choose_device, keep_memory
from common.evaluation.evaluate import evaluate
from common.training.fit import Trainer
from common.training.run import build_network
from tests.small import random_corpus


def main() -> None:
    """Measure what the command line names."""
    kind, *words = sys.argv[1:]
    before, start = peak(), time.perf_counter()
    KINDS[kind](*words)
    print(json.dumps({"seconds": time.perf_counter() - start, "peak GB": peak(), "before GB": before}))


def _load(dataset, folder):
    load_corpus(dataset, folder)


def _authors(dataset, folder):
    plain.load(dataset, folder)


def _classify(dataset, length, device):
    """One conversation of so many utterances."""
    keep_memory()
    corpus, device = random_corpus([int(length)], widths=WIDTHS[dataset]), choose_device(device)
    network = build_network(settings_of(dataset), corpus).to(device)
    evaluate(network, Batches(corpus, "test", 1, device))


def _step(dataset, length, device):
    """A training step on one dialogue of so many turns, the first one; validation is a dialogue of two."""
    keep_memory()
    corpus, device = random_corpus([int(length), 2], widths=WIDTHS[dataset]), choose_device(device)
    corpus = replace(corpus, splits={"train": [0], "valid": [1], "test": []})
    network = build_network(settings_of(dataset), corpus).to(device)
    network.dropout.seed(0, device)
    train, valid = (Batches(corpus, split, 1, device) for split in ("train", "valid"))
    Trainer(network, train, valid, settings_of(dataset)).run_epoch()


KINDS = {"load": _load, "authors": _authors, "classify": _classify, "step": _step}

if __name__ == "__main__":
    main()
