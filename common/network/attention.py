"""The attention block, eq. 2-7: multi-head attention and a feed-forward layer, each with residual and LayerNorm.

m width of the block, A = heads · head width, E queries without history; letters otherwise as in
`common.batching.packing` and `masks`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.network.dropout import Dropout
from common.network.linear import Linear, feed_forward, linear
from common.network.masks import History
from common.settings import NetworkSettings

EPSILON = 1e-6  # of the LayerNorms


class AttentionLayer(nn.Module):
    """One layer of an attention block of width m (eq. 2-7)."""

    def __init__(self, width: int, settings: NetworkSettings, dropout: Dropout):
        super().__init__()
        inner = settings.heads * settings.head_width
        self.heads, self.rate, self.dropout = settings.heads, settings.attention_dropout, dropout
        self.query = Linear(width, inner, bias=False)
        self.key = Linear(width, inner, bias=False)
        self.value = Linear(width, inner, bias=False)
        self.output = Linear(inner, width, bias=False)
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.expand = Linear(width, settings.feedforward_factor * width)
        self.contract = Linear(settings.feedforward_factor * width, width)
        self.feedforward_norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(
        self, rows: Tensor, context: Tensor, history: History | None, everything: Tensor, weights: list | None = None
    ) -> Tensor:
        """Rows (N or R, m) after attending to `context` (N, m) as `history` says, or to their own row of it (None).

        `everything`: `context` with its padding rows, (R, m), where queries without history attend to them. A list
        given as `weights` receives the weights of each grid, (b, heads, Q, n), before dropout.
        """
        if history is None:
            attended = self._own(self.value(context))
        else:
            attended = self._attended(rows, context, history, everything, weights)
        rows = self.attention_norm(self._plus_dropped(rows, self.output(attended)))
        inner = feed_forward(rows, self.expand, self.contract)
        return self.feedforward_norm(self._plus_dropped(rows, inner))

    def _attended(self, rows, context, history, everything, weights):
        """Eq. 3 before the output map: (N or R, A)."""
        query = self.query(rows)
        both = linear(context, torch.cat([self.key.weight, self.value.weight]))
        key, value = (history.remember(self, both) if history.remember else both).chunk(2, 1)
        results = []
        for grid in history.grids:
            parts = (self._heads(x, where) for x, where in ((query, grid.query), (key, grid.key), (value, grid.key)))
            results.append(self._attend(*parts, grid.bias, weights).transpose(1, 2).flatten(0, 1).flatten(1))
        if history.empty is not None:
            results.append(self._without_history(history, everything))
        return torch.cat(results).index_select(0, history.cell)

    def _attend(self, query, key, value, bias, weights):
        """Eq. 3 in a grid: (b, heads, Q, head width). Fused where no one asks for the weights, dropout included."""
        dropping = self.training and self.rate
        if weights is None and not dropping:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        attention = ((query / math.sqrt(query.shape[3])) @ key.transpose(2, 3)).add_(bias).softmax(3)
        if weights is not None:
            weights.append(attention)
        return self.dropout(attention, self.rate, self.training) @ value

    def _without_history(self, history, everything):
        """What queries without history attend to: (E, A)."""
        empty, heads = history.empty.dialogue, self.heads
        if history.uniform is None:
            return everything.new_zeros(len(empty), self.value.out_features)
        # Uniform weights are known beforehand: rows are weighed before the value map, which saves mapping padding.
        uniform, longest = history.uniform.to(everything.dtype), history.whole.shape[1]
        if self.training and self.rate:
            share = self.dropout(uniform.expand(len(empty), heads, -1), self.rate, True)  # (E, heads, L)
            turns = everything.index_select(0, history.whole.index_select(0, empty).flatten())
            mixed = share @ turns.view(len(empty), longest, -1)  # (E, heads, m)
            per_head = self.value.weight.view(heads, -1, mixed.shape[2])  # (heads, head width, m)
            return (mixed.transpose(0, 1) @ per_head.transpose(1, 2)).transpose(0, 1).flatten(1)
        turns = everything.index_select(0, history.whole.flatten()).view(-1, longest, everything.shape[1])
        return self.value(uniform @ turns).index_select(0, empty)

    def _own(self, value):
        """Attention to the own row only: the weight is 1, and dropout of weights drops whole heads."""
        if not (self.training and self.rate):
            return value
        kept = self.dropout.mask((len(value), self.heads, 1), self.rate, value)
        return (value.unflatten(1, (self.heads, -1)) * kept).flatten(1)

    def _heads(self, rows, where):
        """Rows (…, A) in a grid (b, n): (b, heads, n, head width)."""
        grid = rows.index_select(0, where.flatten())
        return grid.view(*where.shape, self.heads, -1).transpose(1, 2)

    def _plus_dropped(self, rows, x):
        """rows + dropout(x), in one pass."""
        if not (self.training and self.rate):
            return rows + x
        return torch.addcmul(rows, x, self.dropout.mask(x.shape, self.rate, x))


class AttentionBlock(nn.Module):
    """A stack of attention layers.

    In self-attention (`context` not given) keys and values follow the new rows from layer to layer; in
    cross-attention they stay.
    """

    def __init__(self, width: int, settings: NetworkSettings, dropout: Dropout | None = None):
        super().__init__()
        dropout = dropout or Dropout()
        self.layers = nn.ModuleList(AttentionLayer(width, settings, dropout) for _ in range(settings.layers))

    def forward(
        self,
        rows: Tensor,
        history: History | None,
        context: Tensor | None = None,
        real: int | None = None,
        weights: list | None = None,
    ) -> Tensor:
        """Rows (N or R, m) to rows. `history` None: each attends to its own row of `context` only (mask I).

        `real`: N; `context` (R, m), or in self-attention `rows`, may have padding rows behind its N rows, which only
        queries without history attend to. A list given as `weights` receives a list for each layer: the attention
        weights of each grid, (b, heads, Q, n).
        """
        for layer in self.layers:
            source = rows if context is None else context
            kept = None if weights is None else []
            rows = layer(rows, source[:real], history, source, kept)
            if weights is not None:
                weights.append(kept)
        return rows


def sinusoid(position: Tensor, width: int, columns: int) -> Tensor:
    """Sinusoids of positions (n,): (n, columns), float32, of a table whose angles are those of `width` columns.

    Sine in even columns, cosine in odd ones, computed in float64.
    """
    column = torch.arange(columns, dtype=torch.float64)
    angle = position.double()[:, None] / 10000 ** (2 * (column // 2) / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()
