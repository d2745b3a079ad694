import numpy as np
import pytest
import torch

from common.batching.batches import Batches
from common.network.explain import explain
from tests.small import random_corpus, small_network

LENGTHS = [6, 1, 4]
LAST = [5, 6, 10]  # rows of the last turns


@pytest.fixture(scope="module")
def corpus():
    return random_corpus(LENGTHS, speakers=2)


@pytest.fixture(params=["strict", "released"])
def network(request, corpus):
    return small_network(corpus, empty_history=request.param)


def found_by(network, corpus, size=2):
    return explain(network, Batches(corpus, "test", size, "cpu"))


@torch.no_grad()
def log_prob(network, corpus, size=2):
    return torch.cat([network(batch) for batch in Batches(corpus, "test", size, "cpu")]).numpy()


def lost(full, other):
    """What the log-probability of the predicted class loses, (U,)."""
    return (full - other)[np.arange(len(full)), full.argmax(1)]


def test_log_probabilities_are_those_of_the_network(network, corpus):
    np.testing.assert_allclose(found_by(network, corpus).log_prob, log_prob(network, corpus), atol=1e-5)


def test_a_route_is_removed_as_if_the_classifier_did_not_see_it(network, corpus):
    found, width = found_by(network, corpus), 24
    for k, route in enumerate(network.settings.routes):
        blind = small_network(corpus, empty_history=network.settings.empty_history)
        blind.classifier.weight.data[:, k * width : (k + 1) * width] = 0
        full, other = log_prob(network, corpus), log_prob(blind, corpus)
        np.testing.assert_allclose(found.route_drop[:, k], lost(full, other), atol=1e-5, err_msg=route)
        np.testing.assert_array_equal(found.route_without[:, k], other.argmax(1), err_msg=route)


def test_a_modality_is_removed_from_the_utterance_itself(corpus):
    """Of the last turns, which are nobody's cause, whatever is changed; under "strict" nothing else looks at them."""
    network = small_network(corpus, empty_history="strict")
    found, full = found_by(network, corpus), log_prob(network, corpus)
    for k in range(3):
        for last in LAST:

            def without(module, inputs, outputs, k=k, last=last):
                gates, evidence = outputs
                evidence = evidence.clone()
                evidence[last, 8 * k : 8 * k + 8] = 0
                return gates, evidence

            handle = network.evidence_gating.register_forward_hook(without)
            other = log_prob(network, corpus, size=3)
            handle.remove()
            assert found.drop[last, k] == pytest.approx(lost(full, other)[last], abs=1e-5)
            assert found.without[last, k] == other[last].argmax()


def test_what_is_the_same_is_computed_once(network, corpus):
    """Encoders once a batch, routes to emotions once more for each modality; those to events look at text only."""
    counts = dict.fromkeys(("emotion_encoder", "event_encoder", *network.settings.routes), 0)

    def counted(name):
        counts[name] += 1

    for name in counts:
        network.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: counted(name))
    found_by(network, corpus, size=3)
    once, emotion, event = 1, 4, 2
    assert counts == {"emotion_encoder": once, "event_encoder": once} | {
        route: emotion if route.endswith("emotion") else event for route in network.settings.routes
    }


def test_gates_are_means_of_sigmoids(network, corpus):
    """With maps of zero weights a gate is the sigmoid of the biases."""
    with torch.no_grad():
        for part in (network.evidence_gating.query, network.evidence_gating.key, network.emotion_gate):
            part.weight.zero_()
        network.evidence_gating.query.bias.fill_(1.0)
        network.evidence_gating.key.bias.fill_(-0.25)
        network.emotion_gate.bias.copy_(torch.arange(24.0))
    found = found_by(network, corpus)
    np.testing.assert_allclose(found.gates, torch.tensor(0.5).sigmoid(), atol=1e-6)
    np.testing.assert_allclose(found.route_gates[:, :2], torch.arange(24.0).sigmoid().mean(), atol=1e-6)


def test_attention_looks_at_the_right_turns(network, corpus):
    found = found_by(network, corpus).attention
    for dialogue, tables in enumerate(found):
        rows = slice(corpus.offset[dialogue], corpus.offset[dialogue + 1])
        who, n = corpus.speaker[rows], LENGTHS[dialogue]
        same = who[:, None] == who
        earlier = np.tri(n, k=-1, dtype=bool)
        allowed = {"self_emotion": earlier & same, "cross_emotion": earlier & ~same, "cross_event": earlier & ~same}
        for route, may in allowed.items():
            without = ~may.any(1)
            assert len(tables[route]) == 2
            for head in tables[route]:
                assert np.isnan(head[without]).all()
                assert (head[~without] > 0)[may[~without]].all()
                assert (head[~without][~may[~without]] == 0).all()
                np.testing.assert_allclose(head[~without].sum(1), 1, atol=1e-5)
        np.testing.assert_array_equal(tables["self_event"], [np.eye(n)])


def test_attention_by_hand(corpus):
    """The heads of one block, computed from its maps."""
    network = small_network(corpus, empty_history="strict")
    (batch,) = Batches(corpus, "test", 3, "cpu")
    with torch.no_grad():
        evidence, causes = network.encode(batch)
        layer = network.cross_emotion.layers[0]
        query, key = layer.query(evidence[:6]), layer.key(causes.emotion[:6])
    who, n = corpus.speaker[:6], 6
    found = found_by(network, corpus).attention[0]["cross_emotion"]
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        score = (query[:, part] @ key[:, part].T / 2).numpy()
        score[~((who[:, None] != who) & np.tri(n, k=-1, dtype=bool))] = -np.inf
        with np.errstate(invalid="ignore"):
            weight = np.exp(score - score.max(1, keepdims=True))
            np.testing.assert_allclose(found[head], weight / weight.sum(1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"modalities": "AV"},
        {"modalities": "T"},
        {"without": ["evidence-gating", "feature-gating"]},
        {"without": ["self-event-attention", "cross-emotion-attention"], "layers": 2},
        {"feature_gate_inputs": "all"},
    ],
)
def test_variants(corpus, settings):
    network = small_network(corpus, **settings)
    found = found_by(network, corpus)
    assert found.gates.shape == found.drop.shape == (11, len(network.settings.modalities_in_use))
    assert found.route_gates.shape == found.route_drop.shape == (11, len(network.settings.routes))
    assert set(found.attention[0]) == set(network.settings.routes)
    if settings.get("without") == ["evidence-gating", "feature-gating"]:
        assert (found.gates == 1).all()
        assert (found.route_gates == 1).all()
