"""Which earlier turns a query may attend to: the masks of Figure 3, as attention takes them.

b dialogues of a group in a grid of n positions for keys and Q for queries; letters otherwise as in
`common.batching.packing`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.batching.packing import Packing
from common.network.empty_history import Released, Strict
from common.settings import NetworkSettings

NEVER = -(2.0**100)  # added to a score, leaves a weight of exactly 0


@dataclass(frozen=True)
class Cells:
    """The cells of all grids: `shapes`, (b, n) of each group. `there`: which of the vectors that heads make of rows,
    row after row, stands in each cell; `back`: in which cell each such vector stands, see `gather`;
    None where no gradient is asked for.
    """

    shapes: list[tuple[int, int]]
    there: Tensor
    back: Tensor | None


@dataclass(frozen=True)
class History:
    """H, S or C for a batch of `rows` N.

    `queries`, (b, Q) a group, and `keys`, (b, n): the cells of both; keys and values are as two sets of heads.
    `biases`: of each group what is added to the scores, (b, Q, n), 0 where a query may attend to a key, else `NEVER`.
    `result`: (N or R · heads,) which vector each query gets of those in the cells, behind which stand those of queries
    without history. `result_of`: whose result each cell has; None where some are nobody's. `empty_dialogues`: the
    dialogue of each query without history, (E,); None under H, where each turn sees at least itself. `rule`: what they
    attend to. `cache`, in live conversations: takes an attention layer and keys and values of new rows, (N, 2 A), and
    returns those of all rows, which the keys' cells refer to.
    """

    rows: int
    queries: Cells
    keys: Cells
    biases: list[Tensor]
    result: Tensor
    rule: Strict | Released
    result_of: Tensor | None = None
    empty_dialogues: Tensor | None = None
    cache: Callable[[nn.Module, Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Masks:
    """H, S and C of Figure 3. I, the query's own position only, needs no mask: its softmax has one term."""

    history: History
    self_party: History
    cross_party: History


def history_masks(packing: Packing, speaker: Tensor, settings: NetworkSettings) -> Masks:
    """The masks of a batch from its Packing and the speaker of each utterance, (N,).

    H: keys that are no padding and not later than the query. S: H, same speaker, not the query itself. C: H and another
    speaker. Under "released" empty history of the `settings` padding rows are queries under H too.
    """
    rule = Released(packing, settings.positions) if settings.empty_history == "released" else Strict()
    biases: tuple[list[Tensor], ...] = [], [], []  # of H, S and C
    for group in packing.groups:
        at = torch.arange(group.padded_row_at.shape[1], device=speaker.device)
        key = at[: group.row_at.shape[1]]
        query = at if rule.padded else key
        real = (key < group.length[:, None])[:, None]  # (b, 1, n)
        by = speaker[group.row_at]  # (b, n)
        same = by[:, :, None] == by[:, None, :]
        earlier = real & (key[:, None] > key)  # (b, n, n); nobody is their own other party
        allowed = real & (query[:, None] >= key), earlier & same, earlier & ~same
        for bias, may in zip(biases, allowed, strict=True):
            bias.append(~may * NEVER)

    pairs = torch.arange(2 * settings.heads, device=speaker.device)  # heads of keys, then of values
    heads, no_self, no_cross = pairs[: settings.heads], packing.no_self, packing.no_cross
    row_at, padded_row_at = ([getattr(group, at) for group in packing.groups] for at in ("row_at", "padded_row_at"))
    places = [(packing.places, heads), (packing.places, pairs), (no_self.places, heads), (no_cross.places, heads)]
    grids = [(row_at, heads), (row_at, pairs)]
    if rule.padded:
        places.append((packing.padded_places, heads))
        grids.append((padded_row_at, heads))
    first = [torch.add(place.at, place.before, alpha=len(h))[:, None] for place, h in places]
    back = [torch.addcmul(f, p.cells[:, None], h).flatten() for f, (p, h) in zip(first, places, strict=True)]
    there = [[torch.add(h[:, None], at.flatten(), alpha=len(h)).flatten() for at in grid] for grid, h in grids]
    there = [torch.cat(parts) if len(parts) > 1 else parts[0] for parts in there]
    real, keys = (Cells([tuple(at.shape) for at in row_at], there[k], back[k]) for k in range(2))
    history = real, keys, biases[0], real.back, rule
    if rule.padded:  # a cell for each of the R rows
        padded = Cells([tuple(at.shape) for at in padded_row_at], there[2], back[4])
        history = padded, keys, biases[0], padded.back, rule, padded.there
    return Masks(
        History(packing.rows, *history),
        History(packing.rows, real, keys, biases[1], back[2], rule, None, no_self.dialogue),
        History(packing.rows, real, keys, biases[2], back[3], rule, None, no_cross.dialogue),
    )
