"""Dropout with random numbers of its own, so that a network's training does not depend on what else draws some."""

import math
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import Function


class Dropout:
    """Inverted dropout. `generator`: the source of random numbers, on the device; None: PyTorch's own."""

    def __init__(self) -> None:
        self.generator: torch.Generator | None = None
        self._drawn: dict[float, Tensor] = {}  # rate to factors that are not used yet
        self._count: Counter[float] = Counter()  # rate to how many the step has asked for

    def seed(self, seed: int, device: torch.device) -> torch.Generator:
        """Draw from a new generator on `device`, which is returned."""
        self.generator = torch.Generator(device).manual_seed(seed)
        return self.generator

    def begin(self, device: torch.device) -> None:
        """A step begins. Except on a CPU, factors for all of it are drawn at once, as many as the last one asked for:
        a GPU takes little longer for all than for one layer.
        """
        if device.type != "cpu":
            self._drawn = {rate: self._factors(n, rate, device) for rate, n in self._count.items()}
            self._count.clear()

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
        return _Masked.apply(x, self._mask((*x.shape[:-1], 1) if vectors else x.shape, rate, x.device), residual)

    def _mask(self, shape, rate, device):
        n = math.prod(shape)
        if device.type == "cpu":
            return self._factors(n, rate, device).view(shape)
        whole = -(-n // 4) * 4  # so that all begin where a GPU reads four numbers at once
        self._count[rate] += whole
        drawn = self._drawn.get(rate, ())
        if len(drawn) < whole:  # the first step of this size
            drawn = self._factors(whole, rate, device)
        self._drawn[rate] = drawn[whole:]
        return drawn[:n].view(shape)

    def _factors(self, n, rate, device):
        """(n,): 0 with probability `rate`, else 1 / (1 - rate). On a CPU `rate` counts in steps of 2^-16."""
        mask = torch.empty(n, device=device)
        if device.type != "cpu":
            return mask.bernoulli_(1 - rate, generator=self.generator).div_(1 - rate)
        # 16 random bits a number: five times as fast as bernoulli_
        dropped = min(round(rate * 2**16), 2**16 - 1)
        bits = torch.empty(-(-n // 4), dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        torch.ge(bits.view(torch.int16)[:n], dropped - 2**15, out=mask)
        return mask.mul_(2**16 / (2**16 - dropped))


class _Masked(Function):
    """x · mask, plus the residual if there is one, each way in one pass."""

    @staticmethod
    def forward(x, mask, residual):
        return x * mask if residual is None else torch.addcmul(residual, x, mask)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[1])
        ctx.has_residual = inputs[2] is not None

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None, gradient if ctx.has_residual else None
