"""The attention block against one spelled out on the padded grid, scores replaced by -1e9 as in the release."""

import math

import pytest
import torch
import torch.nn.functional as F

from common.network.attention import AttentionBlock, sinusoid
from common.network.masks import history_masks
from common.settings import NetworkSettings
from tests.network.test_masks import slow_masks
from tests.small import one_batch_of, random_corpus

LENGTHS, WIDTH = [4, 1, 25, 12, 2, 11], 5  # in three groups
NAMES = {"history": 0, "self_party": 1, "cross_party": 2}


def block(layers=1, **settings):
    torch.manual_seed(0)
    values = {"heads": 2, "head_width": 3, "layers": layers, "attention_dropout": 0.0} | settings
    return AttentionBlock(WIDTH, NetworkSettings(**values)).double().eval()


def case(empty_history, name):
    """A batch, one of its masks, and what it allows, as loops say it (B, L, L)."""
    corpus = random_corpus(LENGTHS)
    batch = one_batch_of(corpus)
    masks = history_masks(batch.layout, batch.speaker, empty_history)
    return batch, getattr(masks, name), slow_masks(corpus)[NAMES[name]]


def spelled_out(block, grid, context, allowed, uniform):
    """Grids (B, L, m); also the weights of each layer, (B, heads, L, L)."""
    every = []
    for layer in block.layers:
        source = grid if context is None else context

        def heads(linear, x):
            return (x @ linear.weight.T).unflatten(2, (2, 3)).transpose(1, 2)

        def norm(x, part):
            return F.layer_norm(x, (WIDTH,), part.weight, part.bias, 1e-6)

        scores = heads(layer.query, grid) @ heads(layer.key, source).transpose(2, 3) / math.sqrt(3)
        weights = torch.where(allowed[:, None], scores, -1e9).softmax(3)
        if not uniform:
            weights = weights * allowed.any(2)[:, None, :, None]
        every.append(weights)
        attended = (weights @ heads(layer.value, source)).transpose(1, 2).flatten(2)
        grid = norm(grid + attended @ layer.output.weight.T, layer.attention_norm)
        inner = (grid @ layer.expand.weight.T + layer.expand.bias).clamp(min=0)
        inner = inner @ layer.contract.weight.T + layer.contract.bias
        grid = norm(grid + inner, layer.feedforward_norm)
    return grid, every


@pytest.mark.parametrize("empty_history", ["released", "strict"])
@pytest.mark.parametrize("name", list(NAMES))
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("traced", [False, True], ids=["fused", "eager"])
def test_outputs_weights_and_gradients(empty_history, name, layers, traced):
    batch, history, allowed = case(empty_history, name)
    n, whole, part = batch.layout.rows, batch.layout.whole, block(layers)
    padded = empty_history == "released"
    rows = torch.randn(whole.numel() if padded else n, WIDTH, dtype=torch.float64, requires_grad=True)
    context = torch.randn_like(rows, requires_grad=True)
    inputs, kept = [rows, *part.parameters()], [] if traced else None
    if name == "history":  # self-attention, padding included where there is some
        found = part(rows, history, real=n, weights=kept)
        expected, weights = spelled_out(part, batch.layout.pad(rows), None, allowed, padded)
    else:
        inputs.append(context)
        found = part(rows[:n], history, context, n, weights=kept)
        grids = batch.layout.pad(rows[:n]), batch.layout.pad(context)
        expected, weights = spelled_out(part, *grids, allowed, padded)
    real = batch.layout.pad(torch.ones(len(found), 1))[..., 0] > 0
    assert real.sum() == len(found)
    torch.testing.assert_close(batch.layout.pad(found)[real], expected[real], rtol=1e-6, atol=1e-7)
    if traced:
        assert len(kept) == layers
        for grids, layer_weights in zip(kept, weights, strict=True):
            spread = history.spread(grids, batch.layout)
            at = real[:, None].expand_as(spread[..., 0])
            torch.testing.assert_close(spread[at], layer_weights[at], rtol=1e-6, atol=1e-7)
    upstream = torch.randn_like(expected) * real[..., None]
    ours = torch.autograd.grad(batch.layout.pad(found), inputs, upstream)
    for a, b in zip(ours, torch.autograd.grad(expected, inputs, upstream), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_empty_history_has_no_gradient_to_query_and_key():
    """One speaker: nobody has another party to attend to."""
    corpus = random_corpus([4, 3], speakers=1)
    batch, part = one_batch_of(corpus), block()
    history = history_masks(batch.layout, batch.speaker, "released").cross_party
    rows, context = torch.randn(7, WIDTH, dtype=torch.float64), torch.randn(8, WIDTH, dtype=torch.float64)
    part(rows, history, context, 7).square().sum().backward()
    (layer,) = part.layers
    assert not layer.query.weight.grad.any()
    assert not layer.key.weight.grad.any()
    assert layer.value.weight.grad.any()


def test_own_position_is_the_value_alone_and_dropout_drops_whole_heads():
    part = block(attention_dropout=0.4)
    rows, context = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    diagonal = torch.eye(8, dtype=torch.bool)[None]
    expected, _ = spelled_out(part, rows[None], context[None], diagonal, False)
    torch.testing.assert_close(part(rows, None, context), expected[0])
    dropped = part.train().layers[0]._own(torch.ones(1000, 6)).unflatten(1, (2, 3))
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 1 / 0.6]), rtol=1e-4, atol=0)
    assert (dropped.amin(2) == dropped.amax(2)).all()
    assert dropped.mean() == pytest.approx(1, abs=0.05)


def test_a_sinusoid_by_its_formula():
    table = sinusoid(torch.arange(50), 7, 9)
    assert table.dtype == torch.float32
    for p in (0, 1, 49):
        for j in range(9):
            angle = p / 10000 ** (2 * (j // 2) / 7)
            assert table[p, j].item() == pytest.approx(math.cos(angle) if j % 2 else math.sin(angle), abs=1e-7)
