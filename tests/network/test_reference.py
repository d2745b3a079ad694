"""The network against the reference: equal without dropout, gradients too, and equally distributed with it."""

import numpy as np
import pytest
import torch

from benchmarks import plain
from common.batching.batches import Batches
from common.data.corpus import from_dialogues
from common.data.load import load_corpus
from common.evaluation.evaluate import evaluate
from common.network.ecerc import ECERC
from common.network.reference import Reference
from common.settings import NetworkSettings
from tests.small import arrays, one_batch_of, random_corpus, small_network


def both(corpus, rates=(0.0, 0.0, 0.0), seed=0, **settings):
    """The network and the reference in training mode, with the same weights, and the outputs (N, C) of each."""
    names = ("evidence_dropout", "attention_dropout", "classifier_dropout")
    network = small_network(corpus, seed, **dict(zip(names, rates, strict=True)), **settings).train()
    reference = Reference(network.settings, network.widths, network.classifier.out_features).train()
    reference.load_state_dict(network.state_dict())
    batch = one_batch_of(corpus)
    pad = batch.packing.pad
    features = {name: pad(values) for name, values in batch.features.items()}
    outputs = network(batch), reference(features, pad(batch.speaker[:, None])[..., 0], batch.packing.length)
    return network, reference, *outputs


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("seed", "modality_order"), enumerate(["aligned", "released", "aligned"]))
@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_outputs_and_gradients(positions, layers, seed, modality_order, empty_history):
    corpus = random_corpus([6, 1, 24, 3, 15], speakers=2, seed=seed)
    settings = {"positions": positions, "layers": layers, "modality_order": modality_order}
    network, reference, fast, plainly = both(corpus, seed=seed, empty_history=empty_history, **settings)
    torch.testing.assert_close(fast, plainly, rtol=1e-5, atol=1e-5)
    for output in (fast, plainly):
        output[:, 0].sum().backward()
    idle = {name for name, p in network.named_parameters() if any(p is other for other in network.idle_parameters())}
    for (name, ours), theirs in zip(network.named_parameters(), reference.parameters(), strict=True):
        if name in idle:  # mask I: a softmax of one term has no gradient
            assert ours.grad is None
            assert theirs.grad.abs().max() < 1e-6
        else:
            torch.testing.assert_close(
                ours.grad, theirs.grad, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
            )


@pytest.mark.parametrize("rates", [(0.4, 0.0, 0.0), (0.0, 0.3, 0.0), (0.0, 0.0, 0.4), (0.2, 0.1, 0.2)])
@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_with_dropout_means_and_spreads_agree(rates, empty_history):
    """Three dialogues, each 2000 times: means and spreads are within five standard errors of each other."""
    copies = 2000
    corpus = repeated(random_corpus([4, 1, 3]), copies)
    with torch.no_grad():
        *_, fast, plainly = both(corpus, rates, empty_history=empty_history)
    fast, plainly = (x.unflatten(0, (copies, -1)) for x in (fast, plainly))
    mean_error = (fast.var(0) + plainly.var(0)).div(copies).sqrt()
    assert ((fast.mean(0) - plainly.mean(0)).abs() < 5 * mean_error).all()
    spread = [x.std(0) for x in (fast, plainly)]
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
        other.load_state_dict(network.state_dict())
        valid = plain.load(dataset, real_data)["valid"]
        size = plain.RECIPE[dataset]["batch"]
        with torch.no_grad():
            expected = [other.eval()(*inputs) for *inputs, _ in plain.batches(dataset, valid, size, False, "cpu")]
        log_prob = evaluate(network, Batches(corpus, "valid", size, "cpu"))
        torch.testing.assert_close(log_prob, torch.cat(expected), rtol=1e-4, atol=1e-4)
