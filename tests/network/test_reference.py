"""The network against the plain one of the benchmarks: equal without dropout, equally distributed with it."""

import numpy as np
import pytest
import torch

from benchmarks import plain
from common.batching.batches import Batches
from common.data.corpus import from_dialogues
from common.data.load import load_corpus
from common.evaluation.evaluate import evaluate
from common.network.ecerc import ECERC
from common.release.checkpoint import released_state
from common.settings import MODALITIES, NetworkSettings
from tests.small import arrays, one_batch_of, random_corpus, small_network


def both(corpus, rates=(0.0, 0.0, 0.0), seed=0, **settings):
    """Log-probabilities (N, C) of the network in training mode, and of the plain one, for the same weights."""
    names = ("evidence_dropout", "attention_dropout", "classifier_dropout")
    network = small_network(corpus, seed, **dict(zip(names, rates, strict=True)), **settings).train()
    batch = one_batch_of(corpus)
    pad = batch.layout.pad
    evidence, speaker = torch.cat([batch.features[name] for name in MODALITIES], 1), batch.speaker[:, None]
    inputs = (
        pad(evidence),
        pad(batch.features["event"]),
        pad(speaker)[..., 0],
        pad(torch.ones_like(speaker))[..., 0] > 0,
    )
    widths = [corpus.widths[name] for name in ("text", "audio", "visual")]
    rest = {"layers": settings.get("layers", 1), "strict": settings.get("empty_history") == "strict"}
    size = {"d": 8, "heads": 2, "head_width": 4}
    positions = settings.get("positions", False)
    other = plain.PlainECERC(widths, corpus.widths["event"], len(corpus.classes), positions, rates, **rest, **size)
    other.load_state_dict(released_state(network))
    with torch.no_grad():
        return network(batch), other.train()(*inputs)


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_without_dropout(positions, layers, seed, empty_history):
    corpus = random_corpus([6, 1, 24, 3, 15], speakers=2, seed=seed)
    found, expected = both(corpus, seed=seed, positions=positions, layers=layers, empty_history=empty_history)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rates", [(0.4, 0.0, 0.0), (0.0, 0.3, 0.0), (0.0, 0.0, 0.4), (0.2, 0.1, 0.2)])
@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_with_dropout_means_and_spreads_agree(rates, empty_history):
    """Three dialogues, each 2000 times: means and spreads are within five standard errors of each other."""
    copies = 2000
    corpus = repeated(random_corpus([4, 1, 3]), copies)
    found, expected = (x.unflatten(0, (copies, -1)) for x in both(corpus, rates, empty_history=empty_history))
    mean_error = (found.var(0) + expected.var(0)).div(copies).sqrt()
    assert ((found.mean(0) - expected.mean(0)).abs() < 5 * mean_error).all()
    spread = [x.std(0) for x in (found, expected)]
    assert (spread[1] > 1e-3).all()
    assert ((spread[0] / spread[1]).log().abs() < 5 / copies**0.5).all()


def repeated(corpus, copies):
    values = {name: np.concatenate([values] * copies) for name, values in arrays(corpus).items()}
    dialogues = len(corpus.ids) * copies
    return from_dialogues(
        "repeated",
        lengths=corpus.lengths.tolist() * copies,
        ids=range(dialogues),
        split_sizes=(0, 0, dialogues),
        classes=corpus.classes,
        speakers=corpus.speakers,
        label=values.pop("label"),
        speaker=values.pop("speaker"),
        features=values,
    )


def test_the_plain_reader_and_batches_of_the_benchmark_give_the_network_the_same(real_data):
    """The two sides of the benchmark compute the same from the same files."""
    for dataset in ("IEMOCAP", "MELD"):
        corpus, _ = load_corpus(dataset, real_data)
        settings = NetworkSettings(
            positions=dataset == "IEMOCAP", modality_order="released" if dataset == "MELD" else "aligned"
        )
        network, other = ECERC(settings, corpus.widths, len(corpus.classes)), plain.build(dataset)
        other.load_state_dict(released_state(network))
        valid = plain.load(dataset, real_data)["valid"]
        size = plain.RECIPE[dataset]["batch"]
        with torch.no_grad():
            expected = [other.eval()(*inputs) for *inputs, _ in plain.batches(dataset, valid, size, False, "cpu")]
        found, _ = evaluate(network, Batches(corpus, "valid", size, "cpu"))
        torch.testing.assert_close(found, torch.cat(expected), rtol=1e-4, atol=1e-4)
