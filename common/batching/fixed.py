"""Batches of a few fixed shapes, in tensors that stay where they are: what CUDA graphs need, and nothing else does."""

import math

import numpy as np
import torch
from torch import Tensor

from common.batching.packing import Capacity

USUAL = 3.0  # standard deviations above the mean that a usual batch has room for


def capacities(
    lengths: np.ndarray, no_self: list[np.ndarray], no_cross: list[np.ndarray], size: int, shuffled: bool
) -> list[Capacity]:
    """What batches of `size` of the dialogues are laid out for: a batch takes the first of these that it fits.

    `lengths` (dialogues,), and utterances without history as `packing.arrange` takes them. Where dialogues are
    `shuffled`, there is one that nearly all batches fit, and a much larger one that all fit, and before them two such
    for the last batch of an epoch, if it has fewer dialogues.
    """
    counts = np.stack([lengths, *([int(e.sum()) for e in empty] for empty in (no_self, no_cross))], 1)
    n, longest = len(lengths), int(lengths.max())
    if not shuffled:
        parts = [counts[first : first + size].sum(0) for first in range(0, n, size)]
        return [Capacity(min(size, n), longest, *map(int, np.max(parts, 0)))]
    found = []
    for members in sorted({min(size, n), n % size or min(size, n)}):
        most = np.sort(counts, 0)[::-1][:members].sum(0)
        spread = counts.std(0) * math.sqrt(members * (n - members) / max(n - 1, 1))  # drawn without replacement
        usual = np.minimum(np.ceil(members * counts.mean(0) + USUAL * spread), most)
        found += [Capacity(members, longest, *map(int, bound)) for bound in (usual, most)]
    return list(dict.fromkeys(found))


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
