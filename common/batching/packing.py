"""Layout: where the utterances of a batch stand, for attention that wants rectangles.

B dialogues, L utterances in the longest of them, N real utterances. Utterances are kept packed, (N, width), dialogue
after dialogue; behind these N rows come P padding rows, one for each position that a dialogue lacks to L: R = N + P.
Only "released" empty history computes them. Attention needs a rectangle: a Group is some dialogues of similar length
in a grid of b dialogues and n positions; a cell is a place in the grids of all groups, counted through.

A Layout may be larger than its batch. Rows, dialogues and positions beyond those of the batch are masked: they stand in
no cell that matters and in no mean.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIMILAR, SHORT = 0.7, 8  # a group holds dialogues from SIMILAR times its longest on, and all up to SHORT utterances


@dataclass(frozen=True)
class Group:
    """`dialogues`: (b,). `whole`: (b, L) row at each position, padding rows included. `real`: (b, n) row at each
    position, any real row where the dialogue has ended. `length`: (b,) utterances of each dialogue.
    """

    dialogues: Tensor
    whole: Tensor
    real: Tensor
    length: Tensor


@dataclass(frozen=True)
class Empty:
    """Queries without history: `dialogue` (E,) of each. `cell`: (N,) where the result of each row's query stands, in
    the groups' `real` grids one after the other, or behind them, E results of queries without history.
    """

    dialogue: Tensor
    cell: Tensor


@dataclass(frozen=True)
class Layout:
    """Where the rows of a batch stand.

    `longest`: L. `rows`: N. `sizes`: (2,) L and N without what is masked. `position`: (R,) of each row in its dialogue.
    `whole`: (B, L) row at each position. `length`: (B,). `cell`: (R,) of each row in the groups' `whole` grids;
    `real_cell`: (N,) in their `real` grids. `no_self`, `no_cross`: queries without history under S and C (Figure 3).
    """

    longest: int
    rows: int
    sizes: Tensor
    position: Tensor
    whole: Tensor
    length: Tensor
    cell: Tensor
    real_cell: Tensor
    no_self: Empty
    no_cross: Empty
    groups: list[Group]

    @property
    def share(self) -> Tensor:
        """(N,) weight of each row in a mean over the real utterances: 1 / N, and 0 where masked."""
        return (torch.arange(self.rows, device=self.sizes.device) < self.sizes[1]) / self.sizes[1]

    @property
    def uniform(self) -> Tensor:
        """(L,) uniform weights over the positions of the padded dialogue: 1 / L, and 0 where masked."""
        return (torch.arange(self.longest, device=self.sizes.device) < self.sizes[0]) / self.sizes[0]

    def pad(self, rows: Tensor) -> Tensor:
        """Rows (N or R, m) in the grid of dialogues and positions, (B, L, m), zeros where there is none."""
        there = self.whole < len(rows)
        return rows[self.whole.clamp(max=len(rows) - 1)] * there[..., None]


@dataclass(frozen=True)
class Capacity:
    """Sizes that hold any batch: of dialogues, positions, rows, padding rows, and queries without history."""

    dialogues: int
    longest: int
    rows: int
    padding: int
    no_self: int
    no_cross: int


def arrange(
    lengths: np.ndarray,
    no_self: list[np.ndarray],
    no_cross: list[np.ndarray],
    capacity: Capacity | None = None,
    step: int = 1,
) -> dict[str, np.ndarray]:
    """The Layout of a batch of dialogues as integer arrays, which `layout_of` takes as tensors.

    `lengths`: (B,). `no_self`, `no_cross`: per dialogue, which utterances have no history, see `without_history`. Sizes
    are those of `capacity`, with one group of all dialogues; without it as small as can be, but N and P rounded up to
    multiples of `step`.
    """
    real_dialogues, longest, total = len(lengths), int(lengths.max()), int(lengths.sum())
    empty = {"no_self": np.concatenate(no_self), "no_cross": np.concatenate(no_cross)}
    if capacity is None:
        rows, padding = (-(-count // step) * step for count in (total, real_dialogues * longest - total))
        capacity = Capacity(real_dialogues, longest, rows, padding, *(int(e.sum()) for e in empty.values()))
        groups = _groups(lengths)
    else:
        groups = [np.arange(capacity.dialogues)]
    n = np.concatenate([lengths, np.zeros(capacity.dialogues - real_dialogues, np.int64)])
    at = np.arange(capacity.longest)

    is_real = at < n[:, None]
    is_padding = ~is_real & (at < longest) & (np.arange(len(n)) < real_dialogues)[:, None]
    there = is_real | is_padding
    anything = np.arange(there.size).reshape(there.shape) % total  # in cells that no one asks for
    padding_first = capacity.rows + _starts(is_padding.sum(1)) - n
    real = np.where(is_real, _starts(n)[:, None] + at, anything)
    whole = np.where(is_padding, padding_first[:, None] + at, real)

    plan = {"sizes": np.array([longest, total]), "length": n, "whole": whole}
    plan["position"] = np.zeros(capacity.rows + capacity.padding, np.int64)
    plan["position"][whole[there]] = np.broadcast_to(at, whole.shape)[there]
    plan["cell"], plan["real_cell"] = np.zeros_like(plan["position"]), np.zeros(capacity.rows, np.int64)
    cells = real_cells = 0
    for g, members in enumerate(groups):
        wide = int(n[members].max()) if g else capacity.longest
        group_whole, group_real = whole[members], real[members, :wide]
        inside, inner = there[members], is_real[members, :wide]
        plan |= {f"dialogues{g}": members, f"length{g}": n[members], f"whole{g}": group_whole, f"real{g}": group_real}
        plan["cell"][group_whole[inside]] = cells + np.flatnonzero(inside)
        plan["real_cell"][group_real[inner]] = real_cells + np.flatnonzero(inner)
        cells, real_cells = cells + inside.size, real_cells + inner.size
    dialogue = np.repeat(np.arange(real_dialogues), lengths)
    for name, without in empty.items():
        queries = np.flatnonzero(without)
        plan[name] = np.zeros(getattr(capacity, name), np.int64)
        plan[name][: len(queries)] = dialogue[queries]
        plan[f"{name}_cell"] = plan["real_cell"].copy()
        plan[f"{name}_cell"][queries] = real_cells + np.arange(len(queries))
    return plan


def layout_of(plan: dict[str, Tensor]) -> Layout:
    """The Layout that views the tensors of a plan made by `arrange`."""
    count = sum(name.startswith("dialogues") for name in plan)
    names = ("dialogues", "whole", "real", "length")
    return Layout(
        longest=plan["whole"].shape[1],
        rows=len(plan["real_cell"]),
        groups=[Group(**{name: plan[f"{name}{g}"] for name in names}) for g in range(count)],
        no_self=Empty(plan["no_self"], plan["no_self_cell"]),
        no_cross=Empty(plan["no_cross"], plan["no_cross_cell"]),
        **{name: plan[name] for name in ("sizes", "position", "whole", "length", "cell", "real_cell")},
    )


def without_history(speaker: np.ndarray, lengths: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Per dialogue, which utterances have no earlier turn of their own speaker, and which none of anybody else.

    `speaker`: (U,) of dialogues of the given `lengths`, one after the other.
    """
    no_self, no_cross = [], []
    for turns in np.split(speaker, np.cumsum(lengths)[:-1]):
        first = np.zeros(len(turns), bool)
        first[np.unique(turns, return_index=True)[1]] = True
        no_self.append(first)
        no_cross.append(np.logical_and.accumulate(turns == turns[0]))
    return no_self, no_cross


def _starts(counts):
    return np.cumsum(counts) - counts


def _groups(lengths):
    """Positions in `lengths`, cut into groups of similar length."""
    order = np.argsort(-lengths, kind="stable")
    groups, longest = [], None
    for i in order:
        if longest is None or (lengths[i] < SIMILAR * longest and longest > SHORT):
            groups.append([])
            longest = lengths[i]
        groups[-1].append(i)
    return [np.array(group) for group in groups]
