"""The attention block against the reference's, which replaces scores by -1e9 on the padded grid as the release does."""

import math

import pytest
import torch

from common.network import attention, reference
from common.network.attention import AttentionBlock, sinusoid
from common.network.explain import padded_weights
from common.network.masks import history_masks
from common.settings import NetworkSettings
from tests.network.test_masks import slow_masks
from tests.small import one_batch_of, random_corpus

LENGTHS, WIDTH = [4, 1, 25, 12, 2, 11], 5  # in three groups
NAMES = {"history": 0, "self_party": 1, "cross_party": 2}


def blocks(**settings):
    """An attention block and the reference's, with the same weights."""
    torch.manual_seed(0)
    settings = NetworkSettings(**{"heads": 2, "head_width": 3, "attention_dropout": 0.0} | settings)
    block, plain = (kind(WIDTH, settings).double().eval() for kind in (AttentionBlock, reference.AttentionBlock))
    plain.load_state_dict(block.state_dict())
    return block, plain


def case(empty_history, name):
    """The packing of a batch, one of its masks, and what it allows, as loops say it (B, L, L)."""
    corpus = random_corpus(LENGTHS)
    batch = one_batch_of(corpus)
    masks = history_masks(batch.packing, batch.speaker, NetworkSettings(empty_history=empty_history, heads=2))
    return batch.packing, getattr(masks, name), slow_masks(corpus)[NAMES[name]]


@pytest.mark.parametrize("empty_history", ["released", "strict"])
@pytest.mark.parametrize("name", list(NAMES))
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("rate", [0, 1e-9], ids=["fused", "with dropout that drops nothing"])
def test_outputs_and_gradients(empty_history, name, layers, rate):
    packing, history, allowed = case(empty_history, name)
    block, plain = blocks(layers=layers, empty_history=empty_history, attention_dropout=rate)
    n, pad = packing.rows, packing.pad
    block.train(rate > 0)
    rows = torch.randn(len(packing.position) if empty_history == "released" else n, WIDTH, dtype=torch.float64)
    rows.requires_grad_(True)
    context = torch.randn_like(rows, requires_grad=True)
    if name == "history":  # self-attention, padding included where there is some
        inputs = [rows]
        packed, padded = block(rows, history), plain(pad(rows), allowed)
    else:
        inputs = [rows, context]
        packed, padded = block(rows[:n], history, context), plain(pad(rows[:n]), allowed, pad(context))
    real = pad(torch.ones(len(packed), 1))[..., 0] > 0
    assert real.sum() == len(packed)
    torch.testing.assert_close(pad(packed)[real], padded[real], rtol=1e-6, atol=1e-7)
    upstream = torch.randn_like(padded) * real[..., None]
    ours = torch.autograd.grad(pad(packed), [*inputs, *block.parameters()], upstream)
    theirs = torch.autograd.grad(padded, [*inputs, *plain.parameters()], upstream)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("empty_history", ["released", "strict"])
@pytest.mark.parametrize("name", list(NAMES))
def test_weights(empty_history, name):
    """Softmax of the allowed scores; nothing where none is allowed."""
    packing, history, allowed = case(empty_history, name)
    layer = blocks(empty_history=empty_history)[0].layers[0]
    rows, context = torch.randn(2, len(packing.position), WIDTH, dtype=torch.float64)
    rows = rows if name == "history" and empty_history == "released" else rows[: packing.rows]
    weights = padded_weights(layer, rows, context, history, packing)
    query, key = (
        (packing.pad(x) @ part.weight.T).unflatten(2, (2, 3)).transpose(1, 2)
        for x, part in ((rows, layer.query), (context, layer.key))
    )
    scores = (query @ key.transpose(2, 3) / math.sqrt(3)).masked_fill(~allowed[:, None], -math.inf)
    real = packing.pad(torch.ones(len(rows), 1)) > 0
    expected = scores.softmax(3).nan_to_num(0) * real[:, None]
    torch.testing.assert_close(weights, expected, rtol=1e-6, atol=1e-7)


def test_empty_history_has_no_gradient_to_query_and_key():
    """One speaker: nobody has another party to attend to."""
    batch, (block, _) = one_batch_of(random_corpus([4, 3], speakers=1)), blocks()
    history = history_masks(batch.packing, batch.speaker, NetworkSettings(heads=2)).cross_party
    rows, context = torch.randn(7, WIDTH, dtype=torch.float64), torch.randn(8, WIDTH, dtype=torch.float64)
    block(rows, history, context).square().sum().backward()
    (layer,) = block.layers
    assert not layer.query.weight.grad.any()
    assert not layer.key.weight.grad.any()
    assert layer.value.weight.grad.any()


@pytest.mark.parametrize("seeded", [True, False])
def test_weights_that_are_computed_again_are_the_same(monkeypatch, seeded):
    """In blocks of queries: to the last digit, gradients and the random numbers that follow, too, those of the same
    blocks whose weights are kept; and nothing of the grid's size is kept.
    """
    batch = one_batch_of(random_corpus([40, 3]))
    results, kept = [], []
    monkeypatch.setattr(attention, "LARGE", 2 * 40 * 7)  # heads, keys, and 7 queries at a time
    for compute in (lambda work, *inputs, **_: work(*inputs), attention.checkpoint):
        monkeypatch.setattr(attention, "checkpoint", compute)
        block = blocks(attention_dropout=0.4)[0].train()
        dropout = block.layers[0].dropout
        torch.manual_seed(1)
        generator = dropout.seed(2, torch.device("cpu")) if seeded else torch.default_generator
        strict = NetworkSettings(empty_history="strict", heads=2)
        history = history_masks(batch.packing, batch.speaker, strict).history
        rows = torch.randn(43, WIDTH, dtype=torch.float64, requires_grad=True)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.shape) or x, lambda x: x):  # noqa: B023
            output = block(rows, history)
        again = torch.randn(1, generator=generator)
        output.square().sum().backward()
        results.append(
            [output, again, torch.randn(1, generator=generator), rows.grad, *(p.grad for p in block.parameters())]
        )
        kept.append(sum(shape[-2:] == (7, 40) and shape[0] != 1 for shape in sizes))
    assert all(map(torch.equal, *results))
    assert kept[0] >= 5  # of the five blocks of 7 queries
    assert kept[1] == 0


def test_queries_in_blocks_attend_as_all_at_once(monkeypatch):
    packing, history, _ = case("released", "history")
    block, _ = blocks(attention_dropout=1e-9)
    rows = torch.randn(len(packing.position), WIDTH, dtype=torch.float64)
    expected = block.eval()(rows, history)
    for most in (2 * 25 * 4, 10):  # several queries at a time, one at a time
        monkeypatch.setattr(attention, "LARGE", most)
        torch.testing.assert_close(block.train()(rows, history), expected, rtol=1e-6, atol=1e-7)


def test_own_position_is_the_value_alone_and_dropout_drops_whole_heads():
    block, plain = blocks(attention_dropout=0.4)
    rows, context = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    expected = plain(rows[None], torch.eye(8, dtype=torch.bool)[None], context[None])
    torch.testing.assert_close(block(rows, None, context), expected[0])
    layer = block.train().layers[0]
    seen = []  # what dropout makes of the values: all three numbers of a head are dropped, or none
    real = layer.dropout
    layer.dropout = lambda x, *arguments, **named: seen.append((x, real(x, *arguments, **named))) or seen[-1][1]
    rows, context = torch.randn(2, 1000, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        block(rows, None, context)
    factor = seen[0][1] / seen[0][0]
    assert factor.shape == (1000, 2, 3)
    assert (factor.amax(2) - factor.amin(2) < 1e-6).all()
    torch.testing.assert_close(factor.amax(2).float().round(decimals=3).unique(), torch.tensor([0, 1.667]))
    assert factor.mean() == pytest.approx(1, abs=0.07)


def test_a_sinusoid_by_its_formula():
    table = sinusoid(torch.arange(50), 7, 9)
    assert table.dtype == torch.float32
    for p in (0, 1, 49):
        for j in range(9):
            angle = p / 10000 ** (2 * (j // 2) / 7)
            assert table[p, j].item() == pytest.approx(math.cos(angle) if j % 2 else math.sin(angle), abs=1e-7)
