"""Batch: some dialogues of a Corpus as tensors, and the order of batches in an epoch. Letters as in `packing`.

A matrix product of a new shape costs setting up, so training on a CPU rounds the numbers of rows up; on CUDA batches
have one of a few shapes, see `fixed`.
"""

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from common.batching.fixed import StaticTensors, capacities, flatten
from common.batching.packing import Capacity, Packing, arrange, packing_of, without_history
from common.data.corpus import Corpus
from common.data.mapped import is_mapped, not_finite
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
    `shapes` of the tensors: "exact"; "rounded", N is a multiple of 32 where it can be; "fixed", one of a few, each in
    one set of tensors that its batches overwrite. Where N is more than there are utterances, the last rows are surplus.
    Features lie on the device where they take less than half of its free memory, else pinned in memory; those that are
    maps of files stay so. Raises InputError for features that are not finite; readers refuse such files, but a Corpus
    can be made by hand.
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
            name: _tensor_of(values[rows[0] : rows[-1] + 1])
            for name, values in (*corpus.features.items(), ("label", corpus.label), ("speaker", corpus.speaker))
        }
        self.label = self._tensors["label"]
        self._move_features({name for name, values in corpus.features.items() if is_mapped(values)})
        self.shapes = shapes
        self._static: dict[Capacity, tuple[StaticTensors, Batch]] = {}
        self._plans: list[tuple[Capacity, Tensor, Tensor]] | None = None
        self._ahead: tuple[Tensor, list[tuple[Capacity, Tensor, Tensor]], Tensor] | None = None

    def __len__(self) -> int:
        return -(-len(self._dialogues) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        if self.shapes != "fixed":
            yield from map(self._batch, self._parts(self._generator))
            return
        generator, ahead = self._generator, self._ahead
        if generator is not None and ahead is not None and torch.equal(ahead[0], generator.get_state()):
            _, self._plans, after = ahead
            generator.set_state(after)
        elif generator is not None or self._plans is None:
            self._plans = self._fixed_plans(generator)
        for capacity, plan, plan_on_device in self._plans:
            static, batch = self._static[capacity]
            static.fill(plan, plan_on_device, self._tensors)
            yield batch

    def prepare(self) -> None:
        """Where shapes are fixed and the order is new each time, plan the next iteration now, while a GPU works."""
        if self.shapes == "fixed" and self._generator is not None:
            before = self._generator.get_state()
            generator = torch.Generator().set_state(before)
            self._ahead = before, self._fixed_plans(generator), generator.get_state()

    @property
    def most_rows(self) -> int:
        """At most as many rows, with padding, has a batch."""
        return int(min(self._size, len(self._dialogues)) * self._lengths.max())

    def _parts(self, generator):
        """The dialogues of each batch."""
        order = self._dialogues
        if generator is not None:
            order = order[torch.randperm(len(order), generator=generator).numpy()]
        return [order[first : first + self._size] for first in range(0, len(order), self._size)]

    def _fixed_plans(self, generator):
        """Of each batch of an epoch its capacity, and its plan as one array, here and on the device."""
        plans = []
        for part in self._parts(generator):
            packed = self._lengths[part], *self._without_history(part)
            capacity = next(capacity for capacity in self._capacities if capacity.holds(*packed))
            plan = self._plan(part, capacity)
            if capacity not in self._static:
                static = StaticTensors(plan, self._tensors, self.device)
                self._static[capacity] = static, _batch_of(static.picked, static.plan)
            plans.append((capacity, flatten(plan)))
        flat, sizes = torch.from_numpy(np.concatenate([plan for _, plan in plans])), [len(plan) for _, plan in plans]
        flat = flat.pin_memory() if self.device.type == "cuda" else flat
        on_device = flat.to(self.device, non_blocking=True)  # all indices of the epoch at once
        return list(zip([c for c, _ in plans], flat.split(sizes), on_device.split(sizes), strict=True))

    def with_order(self, generator: torch.Generator | None = None) -> "Batches":
        """The same batches, in an order of their own and, where shapes are fixed, in tensors of their own."""
        other = copy.copy(self)
        other._generator, other._static, other._plans, other._ahead = generator, {}, None, None
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
        multiple = ROUND if self.shapes == "rounded" else 1
        plan = arrange(self._lengths[part], *self._without_history(part), capacity, multiple)
        rows = np.zeros(plan["places"].shape[1], np.int64)
        picked = np.concatenate([np.arange(self._offset[i], self._offset[i + 1]) for i in part])
        rows[: len(picked)] = picked
        return {"rows": rows} | plan

    def _without_history(self, part):
        return [[without[i] for i in part] for without in (self._no_self, self._no_cross)]

    @cached_property
    def _capacities(self) -> list[Capacity]:
        no_self, no_cross = self._without_history(self._dialogues)
        shuffled = self._generator is not None
        return capacities(self._lengths[self._dialogues], no_self, no_cross, self._size, shuffled)

    def _move_features(self, mapped):
        size = sum(t.numel() * t.element_size() for t in self._tensors.values())
        if self.device.type != "cuda" or size < torch.cuda.mem_get_info(self.device)[0] // 2:
            self._tensors = {name: tensor.to(self.device) for name, tensor in self._tensors.items()}
        else:
            self._tensors = {n: tensor if n in mapped else tensor.pin_memory() for n, tensor in self._tensors.items()}


def _tensor_of(values):
    """A tensor that views `values`; it is not written to, so that they may be a map that only reads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(values)


def _check_finite(corpus, rows):
    for name, values in corpus.features.items():
        if is_mapped(values):  # checked when its file was opened
            continue
        if (first := not_finite(values[rows[0] : rows[-1] + 1])) is not None:
            row = rows[first]
            at = int(np.searchsorted(corpus.offset, row, side="right")) - 1
            where = f"utterance {row - corpus.offset[at]} (from 0) of dialogue {corpus.ids[at]}"
            raise InputError(f"{corpus.name}: {name} of {where} holds NaN or infinity; expected finite numbers")


def _batch_of(picked, plan):
    features = {name: tensor for name, tensor in picked.items() if name not in ("label", "speaker")}
    return Batch(features, picked["label"], picked["speaker"], plan["rows"], packing_of(plan))
