"""Packing: where the utterances of a batch stand.

Five words, each with one meaning. B dialogues, L utterances in the longest of them, N real utterances:

- *packed*: a row for each utterance, (N, width), dialogue after dialogue. Behind these N rows come P padding rows, one
  for each position that a dialogue lacks to L; R = N + P = B L. Only "released" empty history computes them.
- *padded*: a grid of dialogues and positions, (B, L); `padded_row_at` says which packed row stands where.
- *grouped*: attention wants rectangles, and padding all dialogues to L would waste most of the work. A group is some
  dialogues of similar length in a grid of b dialogues and n positions.
- *cell*: a position in such a grid. Attention has one grid for each head: those of a group stand one after the other,
  then come those of the next group.
- *place*: where in these grids a row's cells are, three numbers, see `Places`.

Batches may have more rows, dialogues and positions than utterances ask for ("rounded" and "fixed" shapes, see
`batches`). What is surplus is masked: it counts in no mean, and its place is a cell that no utterance stands in. The
first padding rows are the surplus among the N rows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIMILAR, SHORT = 0.7, 8  # a group holds dialogues from SIMILAR times its longest on, and all up to SHORT utterances


@dataclass(frozen=True)
class Group:
    """`dialogues`: (b,). `row_at`: (b, n) packed row at each position, row 0 where the dialogue has ended.
    `padded_row_at`: (b, L), padding rows included. `length`: (b,) utterances of each dialogue.
    """

    dialogues: Tensor
    row_at: Tensor
    padded_row_at: Tensor
    length: Tensor


@dataclass(frozen=True)
class Places:
    """Of each of n rows: `before`, cells of the groups before its own, `at`, its cell in its group, and `cells`, how
    many the group has; (n,) each. In the grid of head h, of H, a row's cell is H · before + h · cells + at.
    """

    before: Tensor
    at: Tensor
    cells: Tensor


@dataclass(frozen=True)
class NoHistory:
    """Queries without history: `dialogue` (E,) of each. `places`: of the N rows, where these E queries have cells of
    their own behind those of all groups.
    """

    dialogue: Tensor
    places: Places


@dataclass(frozen=True)
class Packing:
    """Where the rows of a batch stand.

    `longest`: L. `rows`: N. `sizes`: (2,) L and N without what is surplus. `position`: (R,) of each row in its
    dialogue. `padded_row_at`: (B, L), each of the R rows once. `length`: (B,). `places`: of the N rows in the groups'
    `row_at`; `padded_places`: of the R rows in their `padded_row_at`. `no_self`, `no_cross`: queries without history
    under S and C (Figure 3).
    """

    longest: int
    rows: int
    sizes: Tensor
    position: Tensor
    padded_row_at: Tensor
    length: Tensor
    places: Places
    padded_places: Places
    no_self: NoHistory
    no_cross: NoHistory
    groups: list[Group]

    @property
    def real(self) -> Tensor:
        """(N,) which rows are utterances, and not surplus."""
        return torch.arange(self.rows, device=self.sizes.device) < self.sizes[1]

    def pad(self, rows: Tensor) -> Tensor:
        """Packed rows (N or R, m) as a padded grid (B, L, m), zeros where there is no row."""
        exists = self.padded_row_at < len(rows)
        return rows[self.padded_row_at.clamp(max=len(rows) - 1)] * exists[..., None]


@dataclass(frozen=True)
class Capacity:
    """Sizes that a batch is laid out for: dialogues, positions, rows N, queries without history."""

    dialogues: int
    longest: int
    rows: int
    no_self: int
    no_cross: int

    def holds(self, lengths: np.ndarray, no_self: list[np.ndarray], no_cross: list[np.ndarray]) -> bool:
        """Whether a batch fits, given as in `arrange`."""
        return (
            len(lengths) <= self.dialogues
            and lengths.max() <= self.longest
            and lengths.sum() <= self.rows
            and sum(int(e.sum()) for e in no_self) <= self.no_self
            and sum(int(e.sum()) for e in no_cross) <= self.no_cross
        )


def arrange(
    lengths: np.ndarray,
    no_self: list[np.ndarray],
    no_cross: list[np.ndarray],
    capacity: Capacity | None = None,
    multiple: int = 1,
) -> dict[str, np.ndarray]:
    """The Packing of a batch of dialogues as integer arrays, which `packing_of` takes as tensors.

    `lengths`: (B,). `no_self`, `no_cross`: per dialogue, which utterances have no history, see `without_history`. Sizes
    are those of `capacity`, with one group of all dialogues; without it as small as can be, but N rounded up to a
    multiple of `multiple` where there are cells for what is surplus.
    """
    total, empty = int(lengths.sum()), {"no_self": np.concatenate(no_self), "no_cross": np.concatenate(no_cross)}
    if capacity is None:
        groups, longest = group(lengths), int(lengths.max())
        free = any((lengths[members] < lengths[members].max()).any() for members in groups)
        rows = min(-(-total // multiple) * multiple, len(lengths) * longest) if free else total
        capacity = Capacity(len(lengths), longest, rows, *(int(e.sum()) for e in empty.values()))
    else:
        groups = [np.arange(capacity.dialogues)]
    n = np.concatenate([lengths, np.zeros(capacity.dialogues - len(lengths), np.int64)])
    at = np.arange(capacity.longest)
    is_real = at < n[:, None]
    padded_row_at = np.empty(is_real.shape, np.int64)
    padded_row_at[is_real] = np.arange(total)
    padded_row_at[~is_real] = np.arange(total, is_real.size)
    row_at = np.where(is_real, padded_row_at, 0)

    plan = {"sizes": np.array([lengths.max(), total]), "length": n, "padded_row_at": padded_row_at}
    plan["position"] = np.empty(is_real.size, np.int64)
    plan["position"][padded_row_at] = at
    places, padded_places = np.zeros((3, capacity.rows), np.int64), np.zeros((3, is_real.size), np.int64)
    cells = padded_cells = 0
    for g, members in enumerate(groups):
        wide = int(n[members].max()) if g else capacity.longest
        taken, group_padded = is_real[members, :wide], padded_row_at[members]
        plan |= {f"dialogues{g}": members, f"length{g}": n[members]}
        plan |= {f"row_at{g}": row_at[members, :wide], f"padded_row_at{g}": group_padded}
        inside = np.arange(taken.size).reshape(taken.shape)
        if total < capacity.rows and not taken.all():  # a free cell for what is surplus
            places[:, total:] = np.array([cells, inside[~taken][0], taken.size])[:, None]
        places[:, row_at[members, :wide][taken]] = _triples(cells, inside[taken], taken.size)
        inside = np.arange(group_padded.size)
        padded_places[:, group_padded.ravel()] = _triples(padded_cells, inside, group_padded.size)
        cells, padded_cells = cells + taken.size, padded_cells + group_padded.size
    plan |= {"places": places, "padded_places": padded_places}
    dialogue = np.repeat(np.arange(len(lengths)), lengths)
    for name, without in empty.items():
        queries = np.flatnonzero(without)
        plan[name] = np.zeros(getattr(capacity, name), np.int64)
        plan[name][: len(queries)] = dialogue[queries]
        plan[f"{name}_places"] = places.copy()
        plan[f"{name}_places"][:, queries] = _triples(cells + np.arange(len(queries)), 0, 1)
    return plan


def _triples(*values):
    return np.stack(np.broadcast_arrays(*values))


def packing_of(plan: dict[str, Tensor]) -> Packing:
    """The Packing that views the tensors of a plan made by `arrange`."""
    count = sum(name.startswith("dialogues") for name in plan)
    names = ("dialogues", "row_at", "padded_row_at", "length")
    return Packing(
        longest=plan["padded_row_at"].shape[1],
        rows=plan["places"].shape[1],
        groups=[Group(**{name: plan[f"{name}{g}"] for name in names}) for g in range(count)],
        places=Places(*plan["places"]),
        padded_places=Places(*plan["padded_places"]),
        no_self=NoHistory(plan["no_self"], Places(*plan["no_self_places"])),
        no_cross=NoHistory(plan["no_cross"], Places(*plan["no_cross_places"])),
        **{name: plan[name] for name in ("sizes", "position", "padded_row_at", "length")},
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


def group(lengths: np.ndarray) -> list[np.ndarray]:
    """Positions in `lengths`, cut into groups of similar length."""
    order = np.argsort(-lengths, kind="stable")
    groups: list[list[int]] = []
    longest = None
    for i in order:
        if longest is None or (lengths[i] < SIMILAR * longest and longest > SHORT):
            groups.append([])
            longest = lengths[i]
        groups[-1].append(i)
    return [np.array(group) for group in groups]
