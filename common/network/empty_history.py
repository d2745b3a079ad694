"""Empty history: what a query without any allowed key attends to, under the two rules that there are.

A speaker's first turn has nothing to look at under S, nor has any turn before somebody else has spoken under C. The
paper does not say what happens then. `Strict` is the sound answer, `Released` what the authors' code does and their
checkpoints need. All that differs between the two is here. Letters as in `common.batching.packing`; E queries without
history, m width of an attention block, A = heads · head width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from common.batching.packing import Packing
from common.network.linear import linear, products

if TYPE_CHECKING:
    from common.network.attention import AttentionLayer


class Strict:
    """A query without history attends to nothing: the weighted sum of values is zero.

    `padded`: whether padding rows are queries in the cause encoders; here there are none, R = N.
    """

    padded = False

    def with_padding(self, mapped: Tensor, at_position: Tensor) -> Tensor:
        """Mapped features (N, d), followed by what padding is mapped to `at_position`: none here."""
        return mapped

    def spread(self, rows: Tensor) -> Tensor:
        """Rows made of those of `with_padding` as packed rows (R, …)."""
        return rows

    def attend(self, layer: AttentionLayer, context: Tensor, dialogue: Tensor) -> Tensor:
        """What E queries get of `context` (R, m), before the output map: (E · heads, head width). `dialogue`: (E,)
        where each stands.
        """
        return context.new_zeros(len(dialogue) * layer.heads, layer.value.out_features // layer.heads)


class Released:
    """A query without history attends uniformly to all L positions of the padded dialogue, later turns and padding
    included, since the scores of the release are all -1e9 then.

    So padding passes through gates and cause encoders like any utterance, and outputs depend on later turns and on the
    batch. `positions`: whether the network adds positions to the features.
    """

    padded = True

    def __init__(self, packing: Packing, positions: bool):
        # Padding has features of zero, so padding rows differ by their position only, or without positions not at all:
        # each of these is mapped and gated once, behind the N rows, and then put to all its places.
        row, behind = torch.arange(len(packing.position), device=packing.position.device), packing.rows
        behind = packing.position + behind if positions else behind
        self._source = torch.where(row < packing.sizes[1], row, behind)  # (R,)
        at = torch.arange(packing.longest, device=row.device)
        self._row_at = packing.padded_row_at
        self._uniform = (at < packing.sizes[0]) / packing.sizes[0]  # (L,): 1 / L, and 0 where surplus

    def with_padding(self, mapped: Tensor, at_position: Tensor) -> Tensor:
        """As in `Strict`: (N + L, d), or without positions (N + 1, d)."""
        return torch.cat([mapped, at_position])

    def spread(self, rows: Tensor) -> Tensor:
        """As in `Strict`."""
        return rows.index_select(0, self._source)

    def attend(self, layer: AttentionLayer, context: Tensor, dialogue: Tensor) -> Tensor:
        """As in `Strict`. The weights are known beforehand, so rows are weighed before the value map, which saves
        mapping padding; no gradient reaches the query and key maps.
        """
        uniform, longest = self._uniform.to(context.dtype), self._row_at.shape[1]
        if layer.training and layer.rate:
            share = layer.dropout(uniform.expand(len(dialogue), layer.heads, -1), layer.rate, True)  # (E, heads, L)
            turns = context.index_select(0, self._row_at.index_select(0, dialogue).flatten())
            mixed = share @ turns.view(len(dialogue), longest, -1)  # (E, heads, m)
            per_head = layer.value.weight.view(layer.heads, -1, mixed.shape[2])  # (heads, head width, m)
            return products(mixed.transpose(0, 1), per_head).transpose(0, 1).flatten(0, 1)
        turns = context.index_select(0, self._row_at.flatten()).view(-1, longest, context.shape[1])
        mixed = linear(uniform @ turns, layer.value).index_select(0, dialogue)
        return mixed.view(len(dialogue) * layer.heads, -1)
