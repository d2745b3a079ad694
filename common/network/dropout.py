"""Dropout with random numbers of its own, so that a network's training does not depend on what else draws some."""

from collections.abc import Callable

import torch
from torch import Tensor


class Dropout:
    """Inverted dropout. `generator`: the source of random numbers, on the device; None: PyTorch's own."""

    def __init__(self) -> None:
        self.generator: torch.Generator | None = None

    def seed(self, seed: int, device: torch.device) -> torch.Generator:
        """Draw from a new generator on `device`, which is returned."""
        self.generator = torch.Generator(device).manual_seed(seed)
        return self.generator

    def repeatable(self) -> Callable[[Callable[[], Tensor]], Tensor]:
        """A function that calls what it is given, each time with the same random numbers as the first time."""
        generator = self.generator or torch.default_generator
        start: Tensor | None = None

        def call(compute):
            nonlocal start
            now = generator.get_state()
            if start is None:
                start = now
                return compute()
            generator.set_state(start)
            try:
                return compute()
            finally:
                generator.set_state(now)

        return call

    def __call__(
        self, x: Tensor, rate: float, training: bool, *, residual: Tensor | None = None, vectors: bool = False
    ) -> Tensor:
        """`x`, in training each number dropped with probability `rate`, the others scaled so that the mean stays.

        `vectors`: vectors along the last dimension are dropped as a whole. `residual`: what is added, in the same pass.
        """
        if not (training and rate):
            return x if residual is None else residual + x
        mask = self._mask((*x.shape[:-1], 1) if vectors else x.shape, rate, x.device)
        return x * mask if residual is None else torch.addcmul(residual, x, mask)

    def _mask(self, shape, rate, device):
        """Factors: 0 with probability `rate`, else 1 / (1 - rate). On a CPU `rate` counts in steps of 2^-16."""
        mask = torch.empty(shape, device=device)
        if device.type != "cpu":
            return mask.bernoulli_(1 - rate, generator=self.generator).div_(1 - rate)
        # 16 random bits a number: five times as fast as bernoulli_
        dropped = min(round(rate * 2**16), 2**16 - 1)
        bits = torch.empty(-(-mask.numel() // 4), dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        torch.ge(bits.view(torch.int16)[: mask.numel()].view(shape), dropped - 2**15, out=mask)
        return mask.mul_(2**16 / (2**16 - dropped))
