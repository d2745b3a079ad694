import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import plain
from benchmarks.bound import floating_point_operations
from benchmarks.conversations import LENGTHS, WIDTHS, released_shape
from common.batching.batches import Batches
from common.data import DATASETS, meld
from common.data.corpus import SPLITS
from common.settings import NetworkSettings
from tests.small import random_corpus

INNER, D = 512, 128


@pytest.mark.parametrize("dataset", ["IEMOCAP", "MELD"])
def test_operations_of_single_utterances_are_those_that_pytorch_counts(dataset):
    """Less what the plain network computes for nothing: query and key maps of mask I, attention to nobody."""
    corpus = random_corpus([1, 1, 1], widths=WIDTHS[dataset])
    settings = NetworkSettings(empty_history="strict")
    batches, classes = Batches(corpus, "test", 3, "cpu"), len(DATASETS[dataset].CLASSES)
    found = floating_point_operations(batches, WIDTHS[dataset], classes, settings, training=False)
    network = plain.build(dataset).eval()
    features = {name: torch.zeros(3, 1, width) for name, width in WIDTHS[dataset].items()}
    one = torch.ones(3, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(features, one[:, None], one)
    # each modality goes through q once and through k twice there
    needless = 3 * 2 * (2 * D * INNER + 3 * D * D) + 3 * 2 * 4 * 2 * INNER
    assert found == counter.get_total_flops() - needless


def test_padding_and_training_count():
    corpus = random_corpus([2, 5], speakers=1, widths=WIDTHS["MELD"])
    widths, batches = WIDTHS["MELD"], Batches(corpus, "test", 2, "cpu")
    released, strict = (NetworkSettings(empty_history=rule) for rule in ("released", "strict"))
    forward, without = (floating_point_operations(batches, widths, 7, s, False) for s in (released, strict))
    padding_row = 2 * 384 * INNER + 4 * 384**2 + 2 * D * INNER + 4 * D**2
    assert forward - without == 2 * 3 * padding_row + 2 * (2 * 2 * INNER) * (3 * 2)
    features = 2 * 7 * sum(widths.values()) * D
    assert floating_point_operations(batches, widths, 7, released, True) == 3 * forward - features


@pytest.mark.parametrize(("dataset", "own", "cross"), [("IEMOCAP", 3.8, 3.3), ("MELD", 28.6, 15.8)])
def test_conversations_of_released_shape(dataset, own, cross):
    """Counts are those of the real files; the share of queries without history is near the real one."""
    corpus = released_shape(dataset)
    assert corpus.widths == WIDTHS[dataset]
    if dataset == "MELD":  # or its files are refused
        np.testing.assert_array_equal(corpus.sentiment, meld.SENTIMENT_OF[corpus.label])
    counts = {"IEMOCAP": (5163, 647, 1623), "MELD": (9989, 1109, 2610)}[dataset]
    for split, count in zip(SPLITS, counts, strict=True):
        assert len(corpus.rows(split)) == count
        assert sorted(corpus.lengths[corpus.splits[split]]) == sorted(LENGTHS[dataset][split])
    (batch,) = Batches(corpus, "test", 1000, "cpu")
    shares = [100 * len(empty.dialogue) / counts[2] for empty in (batch.packing.no_self, batch.packing.no_cross)]
    np.testing.assert_allclose(shares, [own, cross], atol=4)
