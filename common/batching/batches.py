"""Batch: some dialogues of a Corpus as tensors, and the order of batches in an epoch. Letters as in `packing`.

A matrix product of a new shape costs setting up, so training on a CPU rounds the numbers of rows up; on CUDA all
batches of a split have one shape, see `fixed`.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from common.batching.fixed import StaticTensors, capacity_of, flatten
from common.batching.packing import Capacity, Packing, arrange, packing_of, without_history
from common.data.corpus import Corpus
from common.errors import InputError

SHAPES = ("exact", "rounded", "fixed")
ROUND = 32


@dataclass(frozen=True)
class Batch:
    """Dialogues as tensors: `features`, name to (N, width); `label`, `speaker` (N,); `rows` (N,), in the split.

    The label is -1 where it is not known.
    """

    features: dict[str, Tensor]
    label: Tensor
    speaker: Tensor
    rows: Tensor
    packing: Packing

    @property
    def labelled(self) -> Tensor:
        """(N,) which rows are utterances whose label is known: those that count in loss and scores."""
        return self.packing.real & (self.label >= 0)

    @property
    def share(self) -> Tensor:
        """(N,) weight of each row in a mean over the labelled utterances, 0 for all others."""
        labelled = self.labelled
        return labelled / labelled.sum().clamp(min=1)


class Batches:
    """The dialogues of one split on `device`, as batches of `size` dialogues; the last one may be smaller.

    Iterating follows the file order, or with a `generator` (of torch, on the CPU) a new random order each time.
    `shapes` of the tensors: "exact"; "rounded", N and P are multiples of 32; "fixed", the same for all batches, in one
    set of tensors that each batch overwrites. Where N is more than there are utterances, the last rows are surplus.
    Features lie on the device where they take less than half of its free memory, else pinned in memory. Raises
    InputError for features that are not finite; readers refuse such files, but a Corpus can be made by hand.
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
        _check_finite(corpus, rows)
        self._lengths = corpus.lengths[corpus.splits[split]]
        self._dialogues = np.arange(len(self._lengths))  # those that batches are made of
        self._offset = np.concatenate([[0], np.cumsum(self._lengths)])
        self._no_self, self._no_cross = without_history(corpus.speaker[rows], self._lengths)
        self._tensors = {
            name: torch.from_numpy(values[rows[0] : rows[-1] + 1])
            for name, values in (*corpus.features.items(), ("label", corpus.label), ("speaker", corpus.speaker))
        }
        self.label = self._tensors["label"]
        self._move_features()
        self.shapes = shapes
        self._static: tuple[StaticTensors, Batch] | None = None
        self._plans: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return -(-len(self._dialogues) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        order = self._dialogues
        if self._generator is not None:
            order = order[torch.randperm(len(order), generator=self._generator).numpy()]
        parts = [order[first : first + self._size] for first in range(0, len(order), self._size)]
        if self.shapes != "fixed":
            yield from map(self._batch, parts)
            return
        if self._generator is not None or self._plans is None:
            plans = torch.from_numpy(np.stack([flatten(self._plan(part, self._capacity)) for part in parts]))
            plans = plans.pin_memory() if self.device.type == "cuda" else plans
            self._plans = plans, plans.to(self.device, non_blocking=True)  # all indices of the epoch at once
        static, batch = self._static_tensors()
        for plan, plan_on_device in zip(*self._plans, strict=True):
            static.fill(plan, plan_on_device, self._tensors)
            yield batch

    def static_batch(self) -> Batch:
        """With "fixed" shapes, the one Batch that iterating fills and yields; before it does, the first dialogues."""
        return self._static_tensors()[1]

    def _static_tensors(self) -> tuple[StaticTensors, Batch]:
        if self._static is None:
            first = self._plan(np.arange(self._capacity.dialogues), self._capacity)
            static, flat = StaticTensors(first, self._tensors, self.device), torch.from_numpy(flatten(first))
            static.fill(flat, flat.to(self.device), self._tensors)
            self._static = static, _batch_of(static.picked, static.plan)
        return self._static

    def with_order(self, generator: torch.Generator | None = None) -> "Batches":
        """The same batches, in an order of their own and, where shapes are fixed, in tensors of their own."""
        other = copy.copy(self)
        other._generator, other._static, other._plans = generator, None, None
        return other

    def with_labels(self) -> "Batches":
        """The same without the dialogues that have no label at all, so that every batch has a loss."""
        other = self.with_order(self._generator)
        labels = np.split(self.label.cpu().numpy(), self._offset[1:-1])
        other._dialogues = np.flatnonzero([(label >= 0).any() for label in labels])
        return other

    def _batch(self, part):
        plan = {name: torch.from_numpy(array) for name, array in self._plan(part).items()}
        on_device = {name: tensor.to(self.device) for name, tensor in plan.items()}
        picked = {}
        for name, tensor in self._tensors.items():
            rows = plan["rows"] if tensor.device.type == "cpu" else on_device["rows"]
            picked[name] = tensor.index_select(0, rows).to(self.device)
        return _batch_of(picked, on_device)

    def _plan(self, part, capacity=None):
        """Integer arrays that say all about a batch of the dialogues `part`: its rows in the split, and its packing."""
        empty = ([without[i] for i in part] for without in (self._no_self, self._no_cross))
        plan = arrange(self._lengths[part], *empty, capacity, ROUND if self.shapes == "rounded" else 1)
        rows = np.zeros(len(plan["result"]), np.int64)
        picked = np.concatenate([np.arange(self._offset[i], self._offset[i + 1]) for i in part])
        rows[: len(picked)] = picked
        return {"rows": rows} | plan

    @cached_property
    def _capacity(self) -> Capacity:
        return capacity_of(self._lengths, self._no_self, self._no_cross, self._size)

    def _move_features(self):
        size = sum(t.numel() * t.element_size() for t in self._tensors.values())
        if self.device.type != "cuda" or size < torch.cuda.mem_get_info(self.device)[0] // 2:
            self._tensors = {name: tensor.to(self.device) for name, tensor in self._tensors.items()}
        else:
            self._tensors = {name: tensor.pin_memory() for name, tensor in self._tensors.items()}


def _check_finite(corpus, rows):
    for name, values in corpus.features.items():
        finite = np.isfinite(values[rows[0] : rows[-1] + 1]).all(1)
        if not finite.all():
            row = rows[finite.argmin()]
            at = int(np.searchsorted(corpus.offset, row, side="right")) - 1
            where = f"utterance {row - corpus.offset[at]} (from 0) of dialogue {corpus.ids[at]}"
            raise InputError(f"{corpus.name}: {name} of {where} holds NaN or infinity; expected finite numbers")


def _batch_of(picked, plan):
    features = {name: tensor for name, tensor in picked.items() if name not in ("label", "speaker")}
    return Batch(features, picked["label"], picked["speaker"], plan["rows"], packing_of(plan))
