"""Batches of one fixed shape, in tensors that stay where they are: what CUDA graphs need, and nothing else does."""

import numpy as np
import torch
from torch import Tensor

from common.batching.packing import Capacity


def capacity_of(lengths: np.ndarray, no_self: list[np.ndarray], no_cross: list[np.ndarray], size: int) -> Capacity:
    """The Capacity that holds any batch of `size` of the dialogues, whose `lengths` (dialogues,) and utterances without
    history are given as `packing.arrange` takes them.
    """
    size = min(size, len(lengths))

    def most(counts):
        return int(np.sort(counts)[::-1][:size].sum())

    empty = (most([int(e.sum()) for e in per_dialogue]) for per_dialogue in (no_self, no_cross))
    longest = int(lengths.max())
    return Capacity(size, longest, most(lengths), most(longest - lengths), *empty)


class StaticTensors:
    """One set of tensors on the device that the batches of a split are written into, one after the other.

    `plan`: name to the tensors of a plan, see `packing.arrange`; `picked`: name to the batch's rows of `tensors`.
    """

    def __init__(self, plan: dict[str, np.ndarray], tensors: dict[str, Tensor], device: torch.device):
        self._flat = torch.from_numpy(flatten(plan)).to(device)
        self.plan, first = {}, 0
        for name, array in plan.items():
            self.plan[name] = self._flat[first : first + array.size].view(array.shape)
            first += array.size
        rows = len(self.plan["rows"])
        self.picked = {name: t.new_empty(rows, *t.shape[1:], device=device) for name, t in tensors.items()}

    def fill(self, plan: Tensor, plan_on_device: Tensor, tensors: dict[str, Tensor]) -> None:
        """Write the batch of a flat `plan`, which is also on the device, from all rows of the split, `tensors`."""
        self._flat.copy_(plan_on_device)
        for name, tensor in tensors.items():
            if tensor.device == self._flat.device:
                torch.index_select(tensor, 0, self.plan["rows"], out=self.picked[name])
            else:
                picked = tensor.index_select(0, plan[: len(self.plan["rows"])])  # the rows come first in a plan
                self.picked[name].copy_(picked.pin_memory(), non_blocking=True)


def flatten(plan: dict[str, np.ndarray]) -> np.ndarray:
    """All arrays of a plan as one."""
    return np.concatenate([array.ravel() for array in plan.values()])
