"""Batch: some dialogues of a Corpus as tensors, and who follows whom in an epoch.

B dialogues, L utterances in the longest of them, N real utterances. Utterances are kept packed, (N, width), dialogue
after dialogue; behind these N rows come P padding rows, one for each position that a dialogue lacks to L: R = N + P.
Only "released" empty history computes them. Attention needs a rectangle: a Group is some dialogues of similar length
in a grid of b dialogues and n positions; a cell is a place in the grids of all groups, counted through.

On CUDA all batches of a split have the same shape, so that a step can be captured once as a graph and replayed: rows,
dialogues and positions beyond those of a batch are masked; they stand in no cell that matters and in no mean. On a CPU
training rounds the numbers of rows up in the same way, because a matrix product of a new shape costs setting up.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from common.data.corpus import FEATURES, Corpus

SHAPES = ("exact", "rounded", "fixed")
ROUND = 32
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
class Batch:
    """Dialogues as tensors: features (N, width), `label` and `speaker` (N,), `rows` (N,) positions in the split."""

    text: Tensor
    event: Tensor
    audio: Tensor
    visual: Tensor
    label: Tensor
    speaker: Tensor
    rows: Tensor
    layout: Layout


@dataclass(frozen=True)
class _Capacity:
    """Sizes that hold any batch of a split."""

    dialogues: int
    longest: int
    rows: int
    padding: int
    no_self: int
    no_cross: int


class Batches:
    """The dialogues of one split on `device`, as batches of `size` dialogues; the last one may be smaller.

    Iterating follows the file order, or with a `generator` (of torch, on the CPU) a new random order each time.
    `shapes` of the tensors: "exact"; "rounded", N and P are multiples of 32; "fixed", the same for all batches, in one
    set of tensors that each batch overwrites. Where N is more than there are utterances, the last rows are masked.
    Features lie on the device where they take less than half of its free memory, else pinned in memory.
    """

    def __init__(
        self,
        corpus: Corpus,
        split: str,
        size: int,
        device: torch.device | str,
        generator: torch.Generator | None = None,
        shapes: str = "exact",
    ):
        self._size, self.device, self._generator = size, torch.device(device), generator
        rows = corpus.rows(split)
        if not np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            raise ValueError(f"the dialogues of split {split!r} do not stand one after another in the corpus")
        self._lengths = corpus.lengths[corpus.splits[split]]
        self._offset = np.concatenate([[0], np.cumsum(self._lengths)])
        self._no_self, self._no_cross = _without_history(corpus.speaker[rows], self._lengths)
        self._tensors = {
            name: torch.from_numpy(getattr(corpus, name)[rows[0] : rows[-1] + 1])
            for name in (*FEATURES, "label", "speaker")
        }
        self.label = self._tensors["label"]
        self._place_features()
        self.shapes, self._static, self._plans = shapes, None, None

    def __len__(self) -> int:
        return -(-len(self._lengths) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        order = np.arange(len(self._lengths))
        if self._generator is not None:
            order = torch.randperm(len(order), generator=self._generator).numpy()
        parts = [order[first : first + self._size] for first in range(0, len(order), self._size)]
        if self.shapes != "fixed":
            yield from map(self._batch, parts)
            return
        if self._generator is not None or self._plans is None:
            plans = torch.from_numpy(np.stack([_flat(self._plan(part, self._capacity)) for part in parts]))
            plans = plans.pin_memory() if self.device.type == "cuda" else plans
            self._plans = plans, plans.to(self.device, non_blocking=True)  # all indices of the epoch at once
        self.static_batch()
        for plan, there in zip(*self._plans, strict=True):
            yield self._static.fill(plan, there, self._tensors)

    def static_batch(self) -> Batch:
        """With "fixed" shapes, the one Batch that iterating fills and yields; before it does, the first dialogues."""
        if self._static is None:
            first = self._plan(np.arange(self._capacity.dialogues), self._capacity)
            self._static = _Static(first, self._tensors, self.device)
            flat = torch.from_numpy(_flat(first))
            self._static.fill(flat, flat.to(self.device), self._tensors)
        return self._static.batch

    def again(self, generator: torch.Generator | None = None) -> "Batches":
        """The same batches, in an order of their own and, where shapes are fixed, in tensors of their own."""
        other = copy.copy(self)
        other._generator, other._static, other._plans = generator, None, None
        return other

    def _batch(self, part):
        plan = {name: torch.from_numpy(v).to(self.device) for name, v in self._plan(part).items()}
        picked = {name: tensor.index_select(0, plan["rows"]) for name, tensor in self._tensors.items()}
        return Batch(**picked, rows=plan["rows"], layout=_layout(plan))

    def _plan(self, part, capacity=None):
        """Integer arrays that say all about a batch of the dialogues `part`, of the sizes of `capacity` if given."""
        n = self._lengths[part]
        longest, total = int(n.max()), int(n.sum())
        no_self, no_cross = (np.concatenate([e[i] for i in part]) for e in (self._no_self, self._no_cross))
        if capacity is None:
            step, counts = (ROUND if self.shapes == "rounded" else 1), (int(no_self.sum()), int(no_cross.sum()))
            rows, padding = (-(-count // step) * step for count in (total, len(part) * longest - total))
            capacity = _Capacity(len(part), longest, rows, padding, *counts)
            groups = _groups(n)
        else:
            groups = [np.arange(capacity.dialogues)]
        n = np.concatenate([n, np.zeros(capacity.dialogues - len(n), np.int64)])

        def firsts(counts, first=0):
            return first + np.cumsum(counts) - counts

        dialogue, at = np.repeat(np.arange(len(part)), n[: len(part)]), np.arange(capacity.longest)
        is_real = at < n[:, None]
        is_padding = ~is_real & (at < longest) & (np.arange(len(n)) < len(part))[:, None]
        masked = np.arange(is_real.size).reshape(is_real.shape) % total  # cells that no one asks for
        missing = is_padding.sum(1)
        padding_row = firsts(missing, capacity.rows)[:, None] + at - n[:, None]
        real = np.where(is_real, firsts(n)[:, None] + at, masked)
        whole = np.where(is_padding, padding_row, real)
        there = is_real | is_padding

        plan = {"rows": np.zeros(capacity.rows, np.int64), "whole": whole, "length": n}
        plan["rows"][:total] = np.concatenate([np.arange(self._offset[i], self._offset[i + 1]) for i in part])
        plan["sizes"] = np.array([longest, total])
        plan["position"] = np.zeros(capacity.rows + capacity.padding, np.int64)
        plan["position"][whole[there]] = np.broadcast_to(at, whole.shape)[there]
        plan["cell"], plan["real_cell"] = np.zeros_like(plan["position"]), np.zeros(capacity.rows, np.int64)
        cells = real_cells = 0
        for g, members in enumerate(groups):
            wide = int(n[members].max()) if g else capacity.longest
            inside, inner = there[members], is_real[members, :wide]
            plan[f"dialogues{g}"], plan[f"length{g}"] = members, n[members]
            plan[f"whole{g}"], plan[f"real{g}"] = whole[members], real[members, :wide]
            plan["cell"][whole[members][inside]] = cells + np.flatnonzero(inside)
            plan["real_cell"][real[members, :wide][inner]] = real_cells + np.flatnonzero(inner)
            cells, real_cells = cells + inside.size, real_cells + inner.size
        for name, empty in (("no_self", no_self), ("no_cross", no_cross)):
            empty = np.flatnonzero(empty)
            plan[name] = np.zeros(getattr(capacity, name), np.int64)
            plan[name][: len(empty)] = dialogue[empty]
            plan[f"{name}_cell"] = plan["real_cell"].copy()
            plan[f"{name}_cell"][empty] = real_cells + np.arange(len(empty))
        return plan

    @cached_property
    def _capacity(self):
        n, size = self._lengths, min(self._size, len(self._lengths))

        def most(counts):
            return int(np.sort(counts)[::-1][:size].sum())

        empty = (most([int(e.sum()) for e in per_dialogue]) for per_dialogue in (self._no_self, self._no_cross))
        longest = int(n.max())
        return _Capacity(size, longest, most(n), most(longest - n), *empty)

    def _place_features(self):
        size = sum(t.numel() * t.element_size() for t in self._tensors.values())
        if self.device.type != "cuda" or size < torch.cuda.mem_get_info(self.device)[0] // 2:
            self._tensors = {name: tensor.to(self.device) for name, tensor in self._tensors.items()}
        else:
            self._tensors = {name: tensor.pin_memory() for name, tensor in self._tensors.items()}


class _Static:
    """One set of tensors on the device that the batches of a split are written into, one after the other."""

    def __init__(self, plan, tensors, device):
        self._flat = torch.from_numpy(_flat(plan)).to(device)
        views, first = {}, 0
        for name, array in plan.items():
            views[name] = self._flat[first : first + array.size].view(array.shape)
            first += array.size
        self._rows = views["rows"]
        self._picked = {k: t.new_empty(len(self._rows), *t.shape[1:], device=device) for k, t in tensors.items()}
        self.batch = Batch(**self._picked, rows=self._rows, layout=_layout(views))

    def fill(self, plan, there, tensors):
        """Write the batch of a `plan`, which also lies `there` on the device."""
        self._flat.copy_(there)
        for name, tensor in tensors.items():
            if tensor.device == self._flat.device:
                torch.index_select(tensor, 0, self._rows, out=self._picked[name])
            else:
                picked = tensor.index_select(0, plan[: len(self._rows)])  # the rows come first in a plan
                self._picked[name].copy_(picked.pin_memory(), non_blocking=True)
        return self.batch


def _flat(plan):
    return np.concatenate([array.ravel() for array in plan.values()])


def _layout(plan):
    """The Layout that views the tensors of a plan."""
    count = sum(name.startswith("dialogues") for name in plan)
    names = ("dialogues", "whole", "real", "length")
    return Layout(
        longest=plan["whole"].shape[1],
        rows=len(plan["rows"]),
        groups=[Group(**{name: plan[f"{name}{g}"] for name in names}) for g in range(count)],
        no_self=Empty(plan["no_self"], plan["no_self_cell"]),
        no_cross=Empty(plan["no_cross"], plan["no_cross_cell"]),
        **{name: plan[name] for name in ("sizes", "position", "whole", "length", "cell", "real_cell")},
    )


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


def _without_history(speaker, lengths):
    """Per dialogue, which utterances have no earlier turn of their own speaker, and which none of anybody else."""
    no_self, no_cross = [], []
    for turns in np.split(speaker, np.cumsum(lengths)[:-1]):
        first = np.zeros(len(turns), bool)
        first[np.unique(turns, return_index=True)[1]] = True
        no_self.append(first)
        no_cross.append(np.logical_and.accumulate(turns == turns[0]))
    return no_self, no_cross
