"""The attention block, eq. 2-7: multi-head attention and a feed-forward layer, each with residual and LayerNorm.

B dialogues, L positions in the padded grid, R query rows, m width of the block, A = heads · head width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.data.batches import Layout
from common.network.masks import HistoryMask
from common.settings import NetworkSettings

EPSILON = 1e-6  # of the LayerNorms


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: HistoryMask, dropout: float = 0.0, eager: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Attention of eq. 3 over the keys that `mask` allows: (B, heads, L, head width) each, one query per position.

    `dropout` acts on the weights. Fused (`scaled_dot_product_attention`), or `eager`: plain operations that give the
    weights (B, heads, L, L) too, as they were before dropout; None in the fused form.
    """
    # A query of zeros scores 0 with every key: exactly uniform weights, and no gradient to the query and key maps.
    empty = mask.empty[:, None, :, None]
    query = query.masked_fill(empty, 0.0)
    allowed = mask.allowed[:, None] | empty
    weights = None
    if eager:
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        weights = scores.masked_fill(~allowed, -math.inf).softmax(-1)
        attended = F.dropout(weights, dropout) @ value
    else:
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed, dropout_p=dropout)
    if not mask.uniform_when_empty:
        attended = attended.masked_fill(empty, 0.0)
        weights = None if weights is None else weights.masked_fill(empty, 0.0)
    return attended, weights


class AttentionLayer(nn.Module):
    """One layer of an attention block of width m (eq. 2-7)."""

    def __init__(self, width: int, settings: NetworkSettings):
        super().__init__()
        inner = settings.heads * settings.head_width
        self.heads, self.dropout = settings.heads, settings.attention_dropout
        self.query = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(width, inner, bias=False)
        self.value = nn.Linear(width, inner, bias=False)
        self.output = nn.Linear(inner, width, bias=False)
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.expand = nn.Linear(width, settings.feedforward_factor * width)
        self.contract = nn.Linear(settings.feedforward_factor * width, width)
        self.feedforward_norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(
        self,
        rows: Tensor,
        layout: Layout,
        context: Tensor,
        context_layout: Layout,
        mask: HistoryMask | None,
        eager: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Rows (R, m) after attending to `context` rows of the same grid; weights (B, heads, L, L) or None."""
        if mask is None:
            attended, weights = self._own(self.value(context)), None
        else:
            query = self._heads(layout.pad(self.query(rows)))
            key = self._heads(context_layout.pad(self.key(context)))
            value = self._heads(context_layout.pad(self.value(context)))
            attended, weights = attend(query, key, value, mask, self._rate(), eager)
            attended = layout.pack(attended.transpose(1, 2).flatten(2))  # (R, A)
        rows = self.attention_norm(rows + self._drop(self.output(attended)))
        inner = self._drop(self.contract(F.relu(self.expand(rows))))
        return self.feedforward_norm(rows + inner), weights

    def _own(self, value):
        """Attention to the own row only: the weight is 1, and dropout of weights drops whole heads."""
        kept = F.dropout(value.new_ones(len(value), self.heads, 1), self.dropout, self.training)
        return (value.unflatten(1, (self.heads, -1)) * kept).flatten(1)

    def _heads(self, grid):
        return grid.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, L, head width)

    def _drop(self, x):
        return F.dropout(x, self.dropout, self.training)

    def _rate(self):
        return self.dropout if self.training else 0.0


class AttentionBlock(nn.Module):
    """A stack of attention layers.

    In self-attention (`context` not given) keys and values follow the new rows from layer to layer; in
    cross-attention they stay.
    """

    def __init__(self, width: int, settings: NetworkSettings):
        super().__init__()
        self.layers = nn.ModuleList(AttentionLayer(width, settings) for _ in range(settings.layers))

    def forward(
        self,
        rows: Tensor,
        layout: Layout,
        mask: HistoryMask | None,
        context: Tensor | None = None,
        context_layout: Layout | None = None,
        weights: list | None = None,
    ) -> Tensor:
        """(R, m) to (R, m). `mask` None: every row attends to its own row of `context` only (mask I).

        A list given as `weights` receives the attention weights of each layer, (B, heads, L, L).
        """
        for layer in self.layers:
            source, source_layout = (rows, layout) if context is None else (context, context_layout)
            rows, layer_weights = layer(rows, layout, source, source_layout, mask, eager=weights is not None)
            if weights is not None and mask is not None:
                weights.append(layer_weights)
        return rows


def sinusoid(length: int, width: int, columns: int) -> Tensor:
    """Sinusoidal positions (length, columns), float32, of a table whose angles are those of `width` columns.

    Sine in even columns, cosine in odd ones, computed in float64.
    """
    column = torch.arange(columns, dtype=torch.float64)
    angle = torch.arange(length, dtype=torch.float64)[:, None] / 10000 ** (2 * (column // 2) / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()
