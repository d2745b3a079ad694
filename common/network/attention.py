"""The attention block, eq. 2-7: multi-head attention and a feed-forward layer, each with residual and LayerNorm.

To try another attention score, change `_weights`, and leave out the fused shortcut in `_mixed`. m width of the block,
A = heads · head width; letters otherwise as in `common.batching.packing` and `masks`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from common.network.dropout import Dropout
from common.network.gather import Gather
from common.network.linear import linear, products
from common.network.masks import History
from common.settings import NetworkSettings

EPSILON = 1e-6  # of the LayerNorms
LARGE = (
    2**24
)  # weights of a grid beyond which, on a CPU, so many are computed at a time, and again in the backward pass


class AttentionLayer(nn.Module):
    """One layer of an attention block of width m (eq. 2-7)."""

    def __init__(self, width: int, settings: NetworkSettings, dropout: Dropout):
        super().__init__()
        inner = settings.heads * settings.head_width
        self.heads, self.rate, self.dropout = settings.heads, settings.attention_dropout, dropout
        self.query = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(width, inner, bias=False)
        self.value = nn.Linear(width, inner, bias=False)
        self.output = nn.Linear(inner, width, bias=False)
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.expand = nn.Linear(width, settings.feedforward_factor * width)
        self.contract = nn.Linear(settings.feedforward_factor * width, width)
        self.feedforward_norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, rows: Tensor, context: Tensor, history: History | None) -> Tensor:
        """Rows (N or R, m) after attending to `context` (R, m) as `history` says, or to their own row of it (None)."""
        if history is None:
            value = linear(context[: len(rows)], self.value).unflatten(1, (self.heads, -1))
            # the softmax of one term is 1; dropout of weights drops whole heads
            attended = self.dropout(value, self.rate, self.training, vectors=True).flatten(1)
        else:
            results = [self._mixed(*grid) for grid in self._grids(rows, context, history)]
            if history.empty_dialogues is not None:
                results.append(history.rule.attend(self, context, history.empty_dialogues))
            vectors = torch.cat(results) if len(results) > 1 else results[0]
            attended = Gather.apply(vectors, history.result, history.result_of).view(len(rows), -1)  # (N or R, A)
        attended = linear(attended, self.output)
        rows = self.attention_norm(self.dropout(attended, self.rate, self.training, residual=rows))
        inner = linear(rows, self.expand, then=self.contract)
        return self.feedforward_norm(self.dropout(inner, self.rate, self.training, residual=rows))

    def attention_weights(self, rows: Tensor, context: Tensor, history: History) -> list[Tensor]:
        """The weights of eq. 3 of each grid, (heads, b, Q, n), for the arguments of `forward`."""
        return [self._weights(query, key, bias) for query, key, _, bias in self._grids(rows, context, history)]

    def _grids(self, rows, context, history):
        """Of each grid queries (heads · b, Q, head width), keys and values (heads · b, n, head width), and the bias."""
        query, both = linear(rows, self.query), linear(context[: history.rows], self.key, self.value)
        both = both if history.cache is None else history.cache(self, both)
        width, shapes = query.shape[1] // self.heads, history.keys.shapes
        query = Gather.apply(query.view(-1, width), history.queries.there, history.queries.back)
        both = Gather.apply(both.view(-1, width), history.keys.there, history.keys.back)
        queries = query.split([self.heads * b * q for b, q in history.queries.shapes])
        keys = both.split([self.heads * b * n for b, n in shapes for _ in ("key", "value")])
        for q, key, value, bias in zip(queries, keys[::2], keys[1::2], history.biases, strict=True):
            grid = self.heads * len(bias), -1, width
            yield q.view(grid), key.view(grid), value.view(grid), bias

    def _weights(self, query, key, bias):
        scores = products(query, key, 1 / math.sqrt(query.shape[2]))
        return (scores.view(self.heads, *bias.shape) + bias).softmax(3)

    def _mixed(self, query, key, value, bias):
        """Eq. 3 in a grid: (heads · b · Q, head width)."""
        if not (self.training and self.rate):  # the same, fused
            grids = (x.view(self.heads, len(bias), *x.shape[1:]) for x in (query, key, value))
            return F.scaled_dot_product_attention(*grids, attn_mask=bias.to(query.dtype)).flatten(0, 2)
        if bias.numel() * self.heads <= LARGE or query.device.type != "cpu" or not torch.is_grad_enabled():
            return self._dropped(query, key, value, bias).flatten(0, 1)
        some = max(1, LARGE // (self.heads * bias[:, 0].numel()))  # queries at a time
        how = {"use_reentrant": False, "preserve_rng_state": False}
        parts = []
        for q, part in zip(query.split(some, 1), bias.split(some, 1), strict=True):
            again = self.dropout.repeatable()  # the global generator, which `checkpoint` turns back, is not ours alone
            parts.append(
                checkpoint(lambda *x, again=again: again(lambda: self._dropped(*x)), q, key, value, part, **how)
            )
        return torch.cat(parts, 1).flatten(0, 1)

    def _dropped(self, query, key, value, bias):
        weights = self.dropout(self._weights(query, key, bias), self.rate, True)
        return weights.flatten(0, 1) @ value


class AttentionBlock(nn.Module):
    """A stack of attention layers.

    In self-attention (`context` not given) each layer takes keys and values from the output of the one before; in
    cross-attention all layers take them from `context`.
    """

    def __init__(self, width: int, settings: NetworkSettings, dropout: Dropout | None = None):
        super().__init__()
        dropout = dropout or Dropout()
        self.layers = nn.ModuleList(AttentionLayer(width, settings, dropout) for _ in range(settings.layers))

    def forward(self, rows: Tensor, history: History | None, context: Tensor | None = None) -> Tensor:
        """Rows (N or R, m) to rows. `history` None: each attends to its own row of `context` only (mask I).

        `context` (R, m), or in self-attention `rows`, may have padding rows behind its N rows, which only queries
        without history attend to.
        """
        for layer in self.layers:
            rows = layer(rows, rows if context is None else context, history)
        return rows


def sinusoid(position: Tensor, width: int, columns: int) -> Tensor:
    """Sinusoids of positions (n,): (n, columns), float32. `width` divides the exponent of the angles.

    Sine in even columns, cosine in odd ones, computed in float64.
    """
    column = torch.arange(columns, dtype=torch.float64)
    angle = position.double()[:, None] / 10000 ** (2 * (column // 2) / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()
