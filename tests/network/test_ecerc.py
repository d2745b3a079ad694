"""The whole network: what it may and may not see, lengths, orders, intermediate results."""

import numpy as np
import pytest
import torch

from common.settings import ROUTES
from tests.small import arrays, one_batch_of, outputs, random_corpus, small_network

LENGTHS = [5, 1, 8, 3, 2]


@pytest.mark.parametrize("positions", [False, True])
def test_released_differs_from_strict_only_through_empty_histories(positions):
    """Each dialogue alone has no padding; a query with history then sees the same under both rules. The emotion causes
    of others can differ only where an empty history was before: there is none in the cause encoders.
    """
    corpus = random_corpus([9], speakers=2)
    corpus.speaker[:] = [0, 1, 0, 1, 1, 0, 0, 1, 0]
    nets = [small_network(corpus, empty_history=e, positions=positions) for e in ("released", "strict")]
    released, strict = (outputs(net, corpus) for net in nets)
    different = (released - strict).abs().amax(1) > 1e-5
    assert different.tolist() == [True, True] + [False] * 7


def test_released_depends_on_the_batch_where_history_is_empty():
    """As the released code does: padding of a longer neighbour changes the first turn of each speaker."""
    corpus = random_corpus([4, 12], speakers=2)
    corpus.speaker[:4] = [0, 1, 0, 1]
    network = small_network(corpus, empty_history="released")
    different = (outputs(network, corpus, 1) - outputs(network, corpus, 2)).abs().amax(1) > 1e-6
    assert different[:4].tolist() == [True, True, False, False]
    assert not different[4:].any()


@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_dialogues_longer_than_the_released_table(empty_history):
    """Also after shorter ones; and the first turns of a long dialogue are what they are in a short one."""
    long, short = random_corpus([450]), random_corpus([5])
    for name, values in arrays(long).items():
        arrays(short)[name][:] = values[:5]
    networks = [small_network(long, empty_history=empty_history, positions=True) for _ in range(2)]
    first = outputs(networks[0], short)
    found = outputs(networks[0], long)
    torch.testing.assert_close(found, outputs(networks[1], long))
    assert found.isfinite().all()
    if empty_history == "strict":
        torch.testing.assert_close(found[:5], first, rtol=0, atol=1e-5)


def test_event_features_wider_than_all_evidence_features():
    corpus = random_corpus(LENGTHS, widths={"text": 3, "audio": 2, "visual": 1, "event": 40})
    for empty_history in ("released", "strict"):
        network = small_network(corpus, positions=True, empty_history=empty_history)
        assert outputs(network, corpus).isfinite().all()


def test_modality_order_cuts_visual_and_audio_as_the_release():
    """[visual 5 | audio 7] cut as [7 | 5]: the audio map sees visual and 2 audio columns, the visual map the rest."""
    corpus, swapped = random_corpus([3, 2]), random_corpus([3, 2])
    joined = np.concatenate([corpus.features["visual"], corpus.features["audio"]], 1)
    swapped.features["audio"][:], swapped.features["visual"][:] = joined[:, :7], joined[:, 7:]
    nets = [small_network(corpus, modality_order=order) for order in ("released", "aligned")]
    torch.testing.assert_close(outputs(nets[0], corpus), outputs(nets[1], swapped), rtol=0, atol=1e-6)
    assert (outputs(nets[0], corpus) - outputs(nets[1], corpus)).abs().max() > 1e-3


@pytest.mark.parametrize("empty_history", ["released", "strict"])
def test_intermediate_results(empty_history):
    corpus = random_corpus(LENGTHS)
    n, longest = sum(LENGTHS), max(LENGTHS)
    network, batch = small_network(corpus, empty_history=empty_history), one_batch_of(corpus)
    with torch.no_grad():
        evidence, causes = network.encode(batch)
        decision = network.decide(evidence, causes)
        assert torch.equal(network(batch), decision.log_prob)
    rows = n if empty_history == "strict" else len(LENGTHS) * longest  # padding behind the real ones
    assert evidence.shape == (n, 24)
    assert causes.emotion.shape == (rows, 24)
    assert causes.event.shape == (rows, 8)
    for route in ROUTES:
        assert decision.candidates[route].shape == decision.gates[route].shape == (n, 24)
        assert ((decision.gates[route] > 0) & (decision.gates[route] < 1)).all()


def test_gates_and_candidates_give_the_classifier_input():
    corpus = random_corpus(LENGTHS)
    network = small_network(corpus)
    decision = network.decide(*network.encode(one_batch_of(corpus)))
    gated = torch.cat([decision.gates[route] * decision.candidates[route] for route in ROUTES], 1)
    torch.testing.assert_close(network.classifier(gated).log_softmax(-1), decision.log_prob)


def test_dropout_only_in_training():
    corpus = random_corpus(LENGTHS)
    rates = {"evidence_dropout": 0.5, "attention_dropout": 0.1, "classifier_dropout": 0.5}
    network, batch = small_network(corpus, **rates), one_batch_of(corpus)
    assert torch.equal(network(batch), network(batch))
    network.train()
    assert not torch.equal(network(batch), network(batch))
    for rate in rates:
        network = small_network(corpus, **{rate: 0.5}).train()
        assert not torch.equal(network(batch), network(batch)), rate


@pytest.mark.parametrize("empty_history", ["released", "strict"])
@pytest.mark.parametrize("training", [False, True])
def test_bfloat16_is_near_and_not_the_same(empty_history, training):
    corpus = random_corpus(LENGTHS)
    exact, near = (
        small_network(corpus, empty_history=empty_history, precision=p).train(training) for p in ("float32", "bfloat16")
    )
    batch = one_batch_of(corpus)
    expected, found = exact(batch), near(batch)
    assert found.dtype == torch.float32
    difference = (found - expected).abs().max()
    assert 0 < difference < 0.1
    for network, output in ((exact, expected), (near, found)):
        output[:, 0].sum().backward()
        assert all(p.grad is None or p.grad.dtype == torch.float32 for p in network.parameters())
    gradients = [network.classifier.weight.grad for network in (exact, near)]
    assert 0 < (gradients[0] - gradients[1]).norm() < 0.1 * gradients[0].norm()
