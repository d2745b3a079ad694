"""Packing: where the utterances of a batch stand.

Four words, each with one meaning. B dialogues, L utterances in the longest of them, N real utterances:

- *packed*: a row for each utterance, (N, width), dialogue after dialogue. Behind these N rows come P padding rows, one
  for each position that a dialogue lacks to L; R = N + P. Only "released" empty history computes them.
- *padded*: a grid of dialogues and positions, (B, L); `padded_row_at` says which packed row stands where.
- *grouped*: attention wants rectangles, and padding all dialogues to L would waste most of the work. A group is some
  dialogues of similar length in a grid of b dialogues and n positions.
- *result index*: attention leaves a result for each position of each group, group after group; `result` says which of
  them is that of each packed row.

Batches may have more rows, dialogues and positions than utterances ask for ("rounded" and "fixed" shapes, see
`batches`). What is surplus is masked: no result of it is taken, and it counts in no mean.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIMILAR, SHORT = 0.7, 8  # a group holds dialogues from SIMILAR times its longest on, and all up to SHORT utterances


@dataclass(frozen=True)
class Group:
    """`dialogues`: (b,). `row_at`: (b, n) packed row at each position, any real row where the dialogue has ended.
    `padded_row_at`: (b, L), padding rows included. `length`: (b,) utterances of each dialogue.
    """

    dialogues: Tensor
    row_at: Tensor
    padded_row_at: Tensor
    length: Tensor


@dataclass(frozen=True)
class NoHistory:
    """Queries without history: `dialogue` (E,) of each. `result`: (N,) as in Packing, where these E queries have their
    results behind those of all groups.
    """

    dialogue: Tensor
    result: Tensor


@dataclass(frozen=True)
class Packing:
    """Where the rows of a batch stand.

    `longest`: L. `rows`: N. `sizes`: (2,) L and N without what is surplus. `position`: (R,) of each row in its
    dialogue. `row_at`: (B, L). `length`: (B,). `result`: (N,) index into the results of the groups' `row_at`;
    `padded_result`: (R,) into those of their `padded_row_at`. `no_self`, `no_cross`: queries without history under S
    and C (Figure 3).
    """

    longest: int
    rows: int
    sizes: Tensor
    position: Tensor
    padded_row_at: Tensor
    length: Tensor
    result: Tensor
    padded_result: Tensor
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
    """Sizes that a batch is laid out for: dialogues, positions, rows, padding rows, queries without history."""

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
    multiple: int = 1,
) -> dict[str, np.ndarray]:
    """The Packing of a batch of dialogues as integer arrays, which `packing_of` takes as tensors.

    `lengths`: (B,). `no_self`, `no_cross`: per dialogue, which utterances have no history, see `without_history`. Sizes
    are those of `capacity`, with one group of all dialogues; without it as small as can be, but N and P rounded up to
    multiples of `multiple`.
    """
    dialogues, longest, total = len(lengths), int(lengths.max()), int(lengths.sum())
    empty = {"no_self": np.concatenate(no_self), "no_cross": np.concatenate(no_cross)}
    if capacity is None:
        rows, padding = (-(-count // multiple) * multiple for count in (total, dialogues * longest - total))
        capacity = Capacity(dialogues, longest, rows, padding, *(int(e.sum()) for e in empty.values()))
        groups = group(lengths)
    else:
        groups = [np.arange(capacity.dialogues)]
    n = np.concatenate([lengths, np.zeros(capacity.dialogues - dialogues, np.int64)])
    at = np.arange(capacity.longest)

    is_real = at < n[:, None]
    is_padding = ~is_real & (at < longest) & (np.arange(len(n)) < dialogues)[:, None]
    is_row = is_real | is_padding
    any_row = np.arange(is_row.size).reshape(is_row.shape) % total  # at positions whose result nobody takes
    first, first_padding = (np.cumsum(counts) - counts for counts in (n, is_padding.sum(1)))
    row_at = np.where(is_real, first[:, None] + at, any_row)
    padded_row_at = np.where(is_padding, (capacity.rows + first_padding - n)[:, None] + at, row_at)

    plan = {"sizes": np.array([longest, total]), "length": n, "padded_row_at": padded_row_at}
    plan["position"] = np.zeros(capacity.rows + capacity.padding, np.int64)
    plan["position"][padded_row_at[is_row]] = np.broadcast_to(at, is_row.shape)[is_row]
    plan["padded_result"], plan["result"] = np.zeros_like(plan["position"]), np.zeros(capacity.rows, np.int64)
    results = padded_results = 0
    for g, members in enumerate(groups):
        wide = int(n[members].max()) if g else capacity.longest
        group_rows, group_padded = row_at[members, :wide], padded_row_at[members]
        taken, padded_taken = is_real[members, :wide], is_row[members]
        plan |= {f"dialogues{g}": members, f"length{g}": n[members]}
        plan |= {f"row_at{g}": group_rows, f"padded_row_at{g}": group_padded}
        plan["result"][group_rows[taken]] = results + np.flatnonzero(taken)
        plan["padded_result"][group_padded[padded_taken]] = padded_results + np.flatnonzero(padded_taken)
        results, padded_results = results + taken.size, padded_results + padded_taken.size
    dialogue = np.repeat(np.arange(dialogues), lengths)
    for name, without in empty.items():
        queries = np.flatnonzero(without)
        plan[name] = np.zeros(getattr(capacity, name), np.int64)
        plan[name][: len(queries)] = dialogue[queries]
        plan[f"{name}_result"] = plan["result"].copy()
        plan[f"{name}_result"][queries] = results + np.arange(len(queries))
    return plan


def packing_of(plan: dict[str, Tensor]) -> Packing:
    """The Packing that views the tensors of a plan made by `arrange`."""
    count = sum(name.startswith("dialogues") for name in plan)
    names = ("dialogues", "row_at", "padded_row_at", "length")
    return Packing(
        longest=plan["padded_row_at"].shape[1],
        rows=len(plan["result"]),
        groups=[Group(**{name: plan[f"{name}{g}"] for name in names}) for g in range(count)],
        no_self=NoHistory(plan["no_self"], plan["no_self_result"]),
        no_cross=NoHistory(plan["no_cross"], plan["no_cross_result"]),
        **{name: plan[name] for name in ("sizes", "position", "padded_row_at", "length", "result", "padded_result")},
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
