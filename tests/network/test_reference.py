"""The network against the slow reference: the same numbers without dropout, the same distribution with it."""

import numpy as np
import pytest
import torch

from common.data.corpus import FEATURES, from_dialogues
from common.network.released import released_state
from tests.reference import reference
from tests.small import one_batch_of, random_corpus, small_network


def both(corpus, rates=(0.0, 0.0, 0.0), seed=0, **settings):
    """Log-probabilities (N, C) of the network in training mode, and of the reference, for the same weights."""
    names = ("evidence_dropout", "attention_dropout", "classifier_dropout")
    network = small_network(corpus, seed, **dict(zip(names, rates, strict=True)), **settings).train()
    batch = one_batch_of(corpus)
    pad = batch.layout.pad
    evidence, speaker = torch.cat([batch.text, batch.audio, batch.visual], 1), batch.speaker[:, None]
    inputs = pad(evidence), pad(batch.event), pad(speaker)[..., 0], corpus.lengths.tolist()
    positions = settings.get("positions", False)
    with torch.no_grad():
        return network(batch), reference(released_state(network), *inputs, positions=positions, heads=2, rates=rates)


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_without_dropout(positions, layers, seed):
    corpus = random_corpus([6, 1, 4, 3], speakers=2, seed=seed)
    found, expected = both(corpus, seed=seed, positions=positions, layers=layers)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rates", [(0.4, 0.0, 0.0), (0.0, 0.3, 0.0), (0.0, 0.0, 0.4), (0.2, 0.1, 0.2)])
def test_with_dropout_means_and_spreads_agree(rates):
    """Three dialogues, each 2000 times: means and spreads are within five standard errors of each other."""
    copies = 2000
    found, expected = (x.unflatten(0, (copies, -1)) for x in both(repeated(random_corpus([4, 1, 3]), copies), rates))
    mean_error = (found.var(0) + expected.var(0)).div(copies).sqrt()
    assert ((found.mean(0) - expected.mean(0)).abs() < 5 * mean_error).all()
    spread = [x.std(0) for x in (found, expected)]
    assert (spread[1] > 1e-3).all()
    assert ((spread[0] / spread[1]).log().abs() < 5 / copies**0.5).all()


def repeated(corpus, copies):
    values = {name: np.concatenate([getattr(corpus, name)] * copies) for name in (*FEATURES, "label", "speaker")}
    dialogues = len(corpus.ids) * copies
    return from_dialogues(
        "repeated",
        lengths=corpus.lengths.tolist() * copies,
        ids=range(dialogues),
        split_sizes=(0, 0, dialogues),
        classes=corpus.classes,
        speakers=corpus.speakers,
        **values,
    )
