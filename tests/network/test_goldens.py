"""The network against outputs of the released code on generated inputs and weights."""

import numpy as np
import pytest
import torch

from common.release.checkpoint import load_released, released_name
from common.training.loss import RELEASED_FREQUENCIES, focal_loss
from tests.golden_networks import GOLDENS, filled_state, forward_corpus, network
from tests.small import one_batch_of

DATASETS = ("IEMOCAP", "MELD")
SEEDS = {"IEMOCAP": 2007, "MELD": 0}


def close(found, expected, absolute=1e-5, relative=1e-5):
    """Within the absolute or the relative tolerance, number by number."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    difference = np.abs(found - expected)
    worst = np.minimum(difference / absolute, difference / np.maximum(relative * np.abs(expected), 1e-300)).max()
    assert worst <= 1, f"{worst:.2f} times the tolerance"


def filled_network(dataset, seed, tmp_path, **settings):
    net = network(dataset, **settings)
    torch.save(filled_state(net, seed), tmp_path / "filled.pkl")
    load_released(net, tmp_path / "filled.pkl")
    return net


@pytest.mark.parametrize("dataset", DATASETS)
def test_initial_weights(dataset):
    golden = np.load(GOLDENS / f"init_{dataset.lower()}.npz")
    torch.manual_seed(SEEDS[dataset])
    ours = {released_name(name): p.detach() for name, p in network(dataset).named_parameters()}
    assert sorted(ours) == sorted(golden["names"])
    for name, total, firsts in zip(golden["names"], golden["sums"], golden["firsts"], strict=True):
        assert abs(ours[name].double().sum().item() - total) <= 1e-4, name
        np.testing.assert_allclose(np.resize(ours[name].flatten()[:4].numpy(), 4), firsts, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dataset", DATASETS)
def test_parameter_count(dataset):
    unused_norm = {"IEMOCAP": 2 * 2948, "MELD": 2 * 1666}[dataset]
    count = sum(p.numel() for p in network(dataset).parameters()) + unused_norm
    assert count == {"IEMOCAP": 5_975_310, "MELD": 5_810_187}[dataset]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("rate", [0.0, 1e-9], ids=["fused", "with dropout that drops nothing"])
def test_forward_intermediates_loss_and_gradients(tmp_path, dataset, rate):
    golden = np.load(GOLDENS / f"forward_{dataset.lower()}_1.npz")
    net = filled_network(dataset, 1, tmp_path, attention_dropout=rate).train(rate > 0)
    corpus = forward_corpus(dataset, 1, golden["lengths"])
    np.testing.assert_array_equal(corpus.speaker, golden["speaker"][golden["label"] >= 0])
    batch = one_batch_of(corpus)
    evidence, causes = net.encode(batch)
    decision = net.decide(evidence, causes)
    log_prob = decision.log_prob
    close(log_prob.detach(), golden["log_prob"])

    real = golden["label"] >= 0  # (B, L)
    steps = {"evidence": evidence, "emotion_cause": causes.emotion, "event_cause": causes.event}
    steps |= {f"{route}_attended": x for route, x in decision.attended.items()} | {"gated_candidates": decision.gated}
    assert len(steps) == 8
    for name, step in steps.items():
        close(step.detach()[: real.sum()], golden[name][real])

    gamma = {"IEMOCAP": 0.0, "MELD": 1.0}[dataset]
    weight = 1 / torch.tensor(RELEASED_FREQUENCIES[dataset]) if dataset == "IEMOCAP" else None
    loss = focal_loss(log_prob, batch.label, gamma, weight)
    close(loss.detach(), golden["loss"])
    loss.backward()
    norms = {released_name(n): 0.0 if p.grad is None else p.grad.norm().item() for n, p in net.named_parameters()}
    names = [str(name) for name in golden["grad_names"]]
    assert sorted(names) == sorted(norms)
    close([norms[name] for name in names], golden["grad_norms"], absolute=1e-6, relative=1e-4)


@pytest.mark.parametrize("dataset", DATASETS)
def test_two_layers(tmp_path, dataset):
    golden = np.load(GOLDENS / f"forward_{dataset.lower()}_two_layers_2.npz")
    net = filled_network(dataset, 2, tmp_path, layers=2)
    with torch.no_grad():
        close(net(one_batch_of(forward_corpus(dataset, 2, golden["lengths"]))), golden["log_prob"])
