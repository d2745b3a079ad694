"""Which earlier turns a query may attend to: the masks of Figure 3, and queries that have none.

b dialogues of a group in a grid of n positions for keys and Q for queries; letters otherwise as in
`common.batching.packing`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.batching.packing import Empty, Group, Layout


@dataclass(frozen=True)
class Grid:
    """A group in attention: rows of the queries (b, Q) and of the keys (b, n), and what is added to the scores,
    (b, 1, Q, n): 0 where a query may attend to a key, else -inf. A query without history may attend to any; its result
    is not used. `group`: None in live conversations.
    """

    group: Group | None
    query: Tensor
    key: Tensor
    bias: Tensor


@dataclass(frozen=True)
class History:
    """H, S or C for a batch. `cell`: where the result of each query stands, see Layout. `empty`: queries without
    history, None under H. Under "released" these weigh all L positions of the padded dialogue alike, later turns and
    padding included, as `uniform` (L,) says, `whole` (B, L) being the rows; under "strict" (`uniform` None) their
    result is zero. `remember`, in live conversations: takes an attention layer and keys and values of new rows,
    (N, 2 A), and returns those of all rows, in which the grids' keys count.
    """

    grids: list[Grid]
    cell: Tensor
    empty: Empty | None = None
    whole: Tensor | None = None
    uniform: Tensor | None = None
    remember: Callable[[nn.Module, Tensor], Tensor] | None = None

    def spread(self, weights: list[Tensor], layout: Layout) -> Tensor:
        """Attention weights of each grid, (b, heads, Q, n), as (B, heads, L, L), zeros where there are none."""
        size, longest = layout.whole.shape
        spread = weights[0].new_zeros(size, weights[0].shape[1], longest, longest)
        for grid, part in zip(self.grids, weights, strict=True):
            spread[grid.group.dialogues, :, : part.shape[2], : part.shape[3]] = part
        cells = sum(grid.query.numel() for grid in self.grids)
        asked = layout.pad((self.cell < cells)[:, None])  # (B, L, 1)
        empty = layout.pad((self.cell >= cells)[:, None])
        rest = 0 if self.uniform is None else empty[:, None] * self.uniform
        return spread * asked[:, None] + rest


@dataclass(frozen=True)
class Masks:
    """H, S and C of Figure 3. I, the query's own position only, needs no mask: its softmax has one term."""

    history: History
    self_party: History
    cross_party: History


def history_masks(layout: Layout, speaker: Tensor, empty_history: str) -> Masks:
    """The masks of a batch from its Layout and the speaker of each utterance, (N,).

    H: keys that are no padding and not later than the query. S: H, same speaker, not the query itself. C: H and another
    speaker. `empty_history`: "released", where padding rows are queries under H too, or "strict".
    """
    released = empty_history == "released"
    history, self_party, cross_party = [], [], []
    for group in layout.groups:
        queries = group.whole if released else group.real
        at = torch.arange(queries.shape[1], device=speaker.device)
        keys = at[: group.real.shape[1]]
        real = (keys < group.length[:, None])[:, None]  # (b, 1, n)
        by = speaker[group.real]  # (b, n)
        same = by[:, :, None] == by[:, None, :]
        earlier = real & (keys[:, None] > keys)  # (b, n, n); nobody is his own other party
        history.append(Grid(group, queries, group.real, bias_of(real & (at[:, None] >= keys))))
        self_party.append(Grid(group, group.real, group.real, bias_of(earlier & same)))
        cross_party.append(Grid(group, group.real, group.real, bias_of(earlier & ~same)))
    everywhere = {"whole": layout.whole, "uniform": layout.uniform} if released else {}
    return Masks(
        History(history, layout.cell if released else layout.real_cell),
        History(self_party, layout.no_self.cell, layout.no_self, **everywhere),
        History(cross_party, layout.no_cross.cell, layout.no_cross, **everywhere),
    )


def bias_of(allowed: Tensor) -> Tensor:
    """What is added to the scores, (b, 1, Q, n), where `allowed` (b, Q, n) says what a query may attend to."""
    allowed = allowed | ~allowed.any(-1, keepdim=True)
    return torch.zeros_like(allowed, dtype=torch.float32).masked_fill_(~allowed, -math.inf)[:, None]
