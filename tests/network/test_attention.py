"""Attention: fused against eager, eager against a reference that replaces scores by -1e9, as the release does."""

import math

import pytest
import torch
import torch.nn.functional as F

from common.data.batches import Layout
from common.network.attention import AttentionBlock, attend, sinusoid
from common.network.masks import HistoryMask, history_masks
from common.settings import NetworkSettings
from tests.small import one_batch_of, random_corpus

SETTINGS = NetworkSettings(heads=2, head_width=3, attention_dropout=0.0)


def case(seed=0, dtype=torch.float64):
    """Query, key, value (B, heads, L, width) and the masks of four dialogues."""
    batch = one_batch_of(random_corpus([4, 1, 6, 2]))
    torch.manual_seed(seed)
    qkv = [torch.randn(4, 2, 6, 3, dtype=dtype, requires_grad=True) for _ in range(3)]
    return qkv, batch


def reference(query, key, value, mask):
    """Scores of keys that are not allowed are replaced by a constant; with all of them so, the softmax is uniform."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    weights = torch.where(mask.allowed[:, None], scores, -1e9).softmax(-1)
    if not mask.uniform_when_empty:
        weights = torch.where(mask.empty[:, None, :, None], 0.0, weights)
    return weights @ value, weights


@pytest.mark.parametrize("empty_history", ["released", "strict"])
@pytest.mark.parametrize("name", ["history", "self_party", "cross_party"])
@pytest.mark.parametrize("eager", [False, True], ids=["fused", "eager"])
def test_outputs_weights_and_gradients(empty_history, name, eager):
    qkv, batch = case()
    mask = getattr(history_masks(batch.layout, batch.speaker, empty_history), name)
    assert mask.empty.any() or name == "history"
    found, weights = attend(*qkv, mask, eager=eager)
    expected, expected_weights = reference(*qkv, mask)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    if eager:
        torch.testing.assert_close(weights, expected_weights, rtol=1e-10, atol=1e-12)
    upstream = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, qkv, upstream), torch.autograd.grad(expected, qkv, upstream), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_empty_history_has_no_gradient_to_query_and_key():
    qkv, _ = case()
    nothing = torch.zeros(4, 6, 6, dtype=torch.bool)
    mask = HistoryMask(nothing, ~nothing.any(-1), uniform_when_empty=True)
    for eager in (False, True):
        found, _ = attend(*qkv, mask, eager=eager)
        torch.testing.assert_close(found, qkv[2].mean(2, keepdim=True).expand_as(found))
        query, key, value = torch.autograd.grad(found.square().sum(), qkv)
        assert not query.any()
        assert not key.any()
        assert value.any()


def test_dropout_acts_on_the_weights():
    """Values of one show the sum of the kept weights: scaled by 1 / (1 - rate), it is right on average."""
    torch.manual_seed(0)
    query, key = torch.randn(200, 4, 10, 8), torch.randn(200, 4, 10, 8)
    allowed = torch.ones(200, 10, 10, dtype=torch.bool)
    mask = HistoryMask(allowed, ~allowed.any(-1), uniform_when_empty=True)
    for eager in (False, True):
        kept, _ = attend(query, key, torch.ones_like(key), mask, dropout=0.3, eager=eager)
        assert kept.mean() == pytest.approx(1, abs=0.01)
        assert kept.std() > 0.05


def test_the_own_position_is_the_general_case_under_a_diagonal_mask():
    torch.manual_seed(0)
    block = AttentionBlock(5, NetworkSettings(heads=2, head_width=3, layers=2, attention_dropout=0.0)).eval()
    rows, context = torch.randn(2 * 4, 5), torch.randn(2 * 4, 5)
    layout = Layout(torch.tensor([4, 4]), 4, None)
    own = torch.eye(4, dtype=torch.bool).expand(2, 4, 4)
    mask = HistoryMask(own, ~own.any(-1), uniform_when_empty=False)
    torch.testing.assert_close(block(rows, layout, None, context, layout), block(rows, layout, mask, context, layout))


def test_own_position_dropout_drops_whole_heads():
    torch.manual_seed(0)
    block = AttentionBlock(5, NetworkSettings(heads=2, head_width=3, attention_dropout=0.4)).train()
    dropped = block.layers[0]._own(torch.ones(1000, 6)).unflatten(1, (2, 3))
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 1 / 0.6]))
    assert (dropped.amin(2) == dropped.amax(2)).all()
    assert dropped.mean() == pytest.approx(1, abs=0.05)


def test_two_layers_spelled_out():
    """In self-attention keys and values follow the new rows; in cross-attention they stay."""
    torch.manual_seed(0)
    block = AttentionBlock(5, NetworkSettings(heads=2, head_width=3, layers=2, attention_dropout=0.0)).eval()
    rows, context = torch.randn(6, 5), torch.randn(6, 5)
    layout = Layout(torch.tensor([6]), 6, None)
    allowed = torch.ones(1, 6, 6, dtype=torch.bool).tril()
    mask = HistoryMask(allowed, ~allowed.any(-1), uniform_when_empty=False)

    def layer(part, rows, context):
        def heads(linear, x):
            return linear(x).view(6, 2, 3).transpose(0, 1)

        def norm(x, part):
            return F.layer_norm(x, (5,), part.weight, part.bias, 1e-6)

        scores = heads(part.query, rows) @ heads(part.key, context).transpose(1, 2) / math.sqrt(3)
        weights = scores.masked_fill(~allowed, -math.inf).softmax(-1)
        attended = (weights @ heads(part.value, context)).transpose(0, 1).reshape(6, 6)
        rows = norm(rows + attended @ part.output.weight.T, part.attention_norm)
        return norm(rows + part.contract(part.expand(rows).clamp(min=0)), part.feedforward_norm)

    first, second = block.layers
    once = layer(first, rows, rows)
    torch.testing.assert_close(block(rows, layout, mask), layer(second, once, once))
    once = layer(first, rows, context)
    torch.testing.assert_close(block(rows, layout, mask, context, layout), layer(second, once, context))


def test_sinusoid_by_its_formula():
    table = sinusoid(50, 7, 9)
    assert table.dtype == torch.float32
    for p in (0, 1, 49):
        for j in range(9):
            angle = p / 10000 ** (2 * (j // 2) / 7)
            assert table[p, j].item() == pytest.approx(math.cos(angle) if j % 2 else math.sin(angle), abs=1e-7)
