"""Which earlier turns a query may attend to: the masks of Figure 3, as attention takes them.

b dialogues of a group in a grid of n positions for keys and Q for queries; letters otherwise as in
`common.batching.packing`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.batching.packing import Packing
from common.network.empty_history import Released, Strict


@dataclass(frozen=True)
class Grid:
    """A group in attention: packed rows of the queries (b, Q) and of the keys (b, n), and what is added to the scores,
    (b, 1, Q, n): 0 where a query may attend to a key, else -inf. A query without history may attend to any; its result
    is not taken.
    """

    query: Tensor
    key: Tensor
    bias: Tensor


@dataclass(frozen=True)
class History:
    """H, S or C for a batch of `rows` N.

    `result`: index of each query's result in those of the grids, behind which stand those of queries without history.
    `empty_dialogues`: the dialogue of each such query, (E,); None under H, where each turn sees at least itself.
    `rule`: what they attend to. `cache`, in live conversations: takes an attention layer and keys and values of new
    rows, (N, 2 A), and returns those of all rows, which the grids' keys refer to.
    """

    rows: int
    grids: list[Grid]
    result: Tensor
    rule: Strict | Released
    empty_dialogues: Tensor | None = None
    cache: Callable[[nn.Module, Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Masks:
    """H, S and C of Figure 3. I, the query's own position only, needs no mask: its softmax has one term."""

    history: History
    self_party: History
    cross_party: History


def history_masks(packing: Packing, speaker: Tensor, empty_history: str, positions: bool) -> Masks:
    """The masks of a batch from its Packing and the speaker of each utterance, (N,).

    H: keys that are no padding and not later than the query. S: H, same speaker, not the query itself. C: H and another
    speaker. `empty_history`: "released", where padding rows are queries under H too, or "strict".
    """
    rule = Released(packing, positions) if empty_history == "released" else Strict()
    history, self_party, cross_party = [], [], []
    for group in packing.groups:
        queries = group.padded_row_at if rule.padded else group.row_at
        at = torch.arange(queries.shape[1], device=speaker.device)
        keys = at[: group.row_at.shape[1]]
        real = (keys < group.length[:, None])[:, None]  # (b, 1, n)
        by = speaker[group.row_at]  # (b, n)
        same = by[:, :, None] == by[:, None, :]
        earlier = real & (keys[:, None] > keys)  # (b, n, n); nobody is their own other party
        history.append(Grid(queries, group.row_at, bias_of(real & (at[:, None] >= keys))))
        self_party.append(Grid(group.row_at, group.row_at, bias_of(earlier & same)))
        cross_party.append(Grid(group.row_at, group.row_at, bias_of(earlier & ~same)))
    n, no_self, no_cross = packing.rows, packing.no_self, packing.no_cross
    return Masks(
        History(n, history, packing.padded_result if rule.padded else packing.result, rule),
        History(n, self_party, no_self.result, rule, no_self.dialogue),
        History(n, cross_party, no_cross.result, rule, no_cross.dialogue),
    )


def bias_of(allowed: Tensor) -> Tensor:
    """What is added to the scores, (b, 1, Q, n), where `allowed` (b, Q, n) says what a query may attend to."""
    allowed = allowed | ~allowed.any(-1, keepdim=True)
    return torch.zeros_like(allowed, dtype=torch.float32).masked_fill_(~allowed, -math.inf)[:, None]
