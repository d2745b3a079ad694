"""Batch: some dialogues of a Corpus as tensors, and their order in an epoch. Letters as in `packing`.

On CUDA all batches of a split have the same shape, so that a step can be captured once as a graph and replayed. On a
CPU training rounds the numbers of rows up, because a matrix product of a new shape costs setting up.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from common.batching.packing import Capacity, Layout, arrange, layout_of, without_history
from common.data.corpus import Corpus

SHAPES = ("exact", "rounded", "fixed")
ROUND = 32


@dataclass(frozen=True)
class Batch:
    """Dialogues as tensors: `features`, name to (N, width); `label`, `speaker` (N,); `rows` (N,), in the split."""

    features: dict[str, Tensor]
    label: Tensor
    speaker: Tensor
    rows: Tensor
    layout: Layout


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
        self._no_self, self._no_cross = without_history(corpus.speaker[rows], self._lengths)
        self._tensors = {
            name: torch.from_numpy(values[rows[0] : rows[-1] + 1])
            for name, values in (*corpus.features.items(), ("label", corpus.label), ("speaker", corpus.speaker))
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
        plan = {name: torch.from_numpy(v) for name, v in self._plan(part).items()}
        there = {name: tensor.to(self.device) for name, tensor in plan.items()}
        picked = {}
        for name, tensor in self._tensors.items():
            rows = plan["rows"] if tensor.device.type == "cpu" else there["rows"]
            picked[name] = tensor.index_select(0, rows).to(self.device)
        return _batch(picked, there["rows"], layout_of(there))

    def _plan(self, part, capacity=None):
        """Integer arrays that say all about a batch of the dialogues `part`: its rows, and its layout."""
        empty = ([without[i] for i in part] for without in (self._no_self, self._no_cross))
        step = ROUND if self.shapes == "rounded" else 1
        plan = arrange(self._lengths[part], *empty, capacity, step)
        rows = np.zeros(len(plan["real_cell"]), np.int64)
        picked = np.concatenate([np.arange(self._offset[i], self._offset[i + 1]) for i in part])
        rows[: len(picked)] = picked
        return {"rows": rows} | plan

    @cached_property
    def _capacity(self):
        n, size = self._lengths, min(self._size, len(self._lengths))

        def most(counts):
            return int(np.sort(counts)[::-1][:size].sum())

        empty = (most([int(e.sum()) for e in per_dialogue]) for per_dialogue in (self._no_self, self._no_cross))
        longest = int(n.max())
        return Capacity(size, longest, most(n), most(longest - n), *empty)

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
        self.batch = _batch(self._picked, self._rows, layout_of(views))

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


def _batch(tensors, rows, layout):
    features = {name: tensor for name, tensor in tensors.items() if name not in ("label", "speaker")}
    return Batch(features, tensors["label"], tensors["speaker"], rows, layout)


def _flat(plan):
    return np.concatenate([array.ravel() for array in plan.values()])
