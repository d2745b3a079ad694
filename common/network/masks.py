"""Which earlier turns a query may attend to: the masks of Figure 3, and queries that have none.

B dialogues, L positions in the padded grid.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from common.data.batches import Layout


@dataclass(frozen=True)
class HistoryMask:
    """`allowed`: (B, L, L) booleans, query by key. `empty`: (B, L), queries without any allowed key.

    With `uniform_when_empty` such a query weighs all L positions of the padded dialogue alike, later turns and padding
    included, as the released code does; without, its attention output is zero.
    """

    allowed: Tensor
    empty: Tensor
    uniform_when_empty: bool


@dataclass(frozen=True)
class Masks:
    """H, S and C of Figure 3. I, the query's own position only, needs no mask: its softmax has one term."""

    history: HistoryMask
    self_party: HistoryMask
    cross_party: HistoryMask


def history_masks(layout: Layout, speaker: Tensor, empty_history: str) -> Masks:
    """The masks of a batch from its Layout and the speaker of each utterance, (N,).

    H: keys that are no padding and not later than the query. S: H, same speaker, not the query itself. C: H and another
    speaker. `empty_history`: "released" or "strict".
    """
    at = torch.arange(layout.longest, device=speaker.device)
    real = at < layout.length[:, None]  # (B, L)
    history = real[:, None, :] & (at[:, None] >= at)  # (B, L, L)
    by = layout.pad(speaker[:, None])[..., 0]  # (B, L)
    same = by[:, :, None] == by[:, None, :]
    earlier = history & (at[:, None] > at)

    def mask(allowed):
        return HistoryMask(allowed, ~allowed.any(-1), empty_history == "released")

    return Masks(mask(history), mask(earlier & same), mask(history & ~same))
