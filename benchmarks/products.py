"""The products with weights in a training step: `common.network.linear.linear` beside PyTorch's own `F.linear`."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.conversations import released_shape
from benchmarks.epochs import settings_of
from benchmarks.measures import alternating, clock_for, number, spread
from common.batching.batches import Batches
from common.data.corpus import Corpus
from common.environment import choose_device, keep_memory, products_by
from common.network.linear import linear
from common.training.run import build_network

CALLS = 4  # of each product per repetition: one takes about a millisecond
ALL = "all products of a step"
WAYS = ("forward and backward", "forward, without grad")


class Product(NamedTuple):
    """What a call of `linear` computes: widths of input and outputs, whether there are biases and a second map, and
    whether the input is a feature, of which no gradient is needed.
    """

    rows: int
    width: int
    outs: tuple[int, ...]
    bias: bool
    then: int | None
    feature: bool

    def __str__(self):
        words = f"{self.rows} x {self.width} → {' + '.join(map(str, self.outs))}"
        words += f" → {self.then}" if self.then else ""
        return words + ("" if self.bias else ", no bias") + (", of features" if self.feature else "")

    @property
    def multiplications(self) -> int:
        """Of the forward pass."""
        return self.rows * sum(self.outs) * (self.width + (self.then or 0))


def library(device: torch.device) -> str:
    """What multiplies matrices on `device`."""
    return f"products by {products_by() if device.type == 'cpu' else 'cuBLAS'}"


def measure_products(dataset: str, repetitions: int, threads: int, device: str) -> dict:
    """Rows of the table: of each product of a step the time by F.linear over that by `linear`, with and without grad.

    The network computes each so often in a step ("calls"), which weighs it among all together.
    """
    before, where = torch.get_num_threads(), choose_device(device)
    torch.set_num_threads(threads)
    keep_memory()
    rows: dict[str, Any] = {}
    counts = products_of_a_step(dataset, released_shape(dataset), where)
    clock = clock_for(where, threads)
    for way in WAYS:
        total, ratios = [0.0, 0.0], {}
        for product in sorted(counts, key=lambda p: -p.multiplications):
            pairs = alternating(*_calls(product, way, where), CALLS * repetitions, clock)
            ours, theirs = (spread(seconds)["median"] for seconds in zip(*pairs, strict=True))
            ratio = spread([b / a for a, b in pairs])
            more = {"calls": counts[product], "ms": 1000 * ours, "F.linear ms": 1000 * theirs}
            rows[f"{product}: {way}, F.linear / linear"] = ratio | more
            ratios[product] = ratio["median"]
            total = [all_of_them + counts[product] * s for all_of_them, s in zip(total, (ours, theirs), strict=True)]
        worst = min(ratios, key=lambda p: ratios[p])
        rows[f"{ALL}: {way}, ms"] = 1000 * total[0]
        rows[f"{ALL}: {way}, F.linear / linear"] = total[1] / total[0]
        rows[f"{ALL}: {way}, least F.linear / linear"] = f"{number(ratios[worst])} ({worst})"
    torch.set_num_threads(before)
    return rows


def products_of_a_step(dataset: str, corpus: Corpus, device: torch.device) -> dict[Product, int]:
    """What `linear` computes in the training step of median size, and how often."""
    settings, shapes = settings_of(dataset), "fixed" if device.type == "cuda" else "rounded"
    order = torch.Generator().manual_seed(0)
    batches = Batches(corpus, "train", settings.batch_size, device, order, shapes=shapes)
    by_size = sorted(batches, key=lambda batch: len(batch.label))
    network = build_network(settings, corpus).to(device).train()
    network.dropout.seed(0, device)
    with _recorded() as counts:
        network(by_size[len(by_size) // 2])
    return dict(counts)


@contextmanager
def _recorded() -> Iterator[Counter[Product]]:
    """Count what modules of the network call `linear` with."""
    counts: Counter[Product] = Counter()

    def recorded(x: Tensor, *maps: nn.Linear, bias: bool = True, then: nn.Linear | None = None, **more: Any) -> Tensor:
        outs, biases = tuple(m.out_features for m in maps), bias and any(m.bias is not None for m in maps)
        second = None if then is None else then.out_features
        counts[Product(len(x), x.shape[1], outs, biases, second, not x.requires_grad)] += 1
        return linear(x, *maps, bias=bias, then=then, **more)

    modules = [module for name, module in sys.modules.items() if name.startswith("common.network.")]
    users = [m for m in modules if getattr(m, "linear", None) is linear and m.__name__ != linear.__module__]
    try:
        for module in users:
            setattr(module, "linear", recorded)  # noqa: B010
        yield counts
    finally:
        for module in users:
            setattr(module, "linear", linear)  # noqa: B010


def _calls(product: Product, way: str, device: torch.device) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The two calls that are compared, ours first."""
    torch.manual_seed(0)
    maps = [nn.Linear(product.width, out, bias=product.bias, device=device) for out in product.outs]
    then = nn.Linear(sum(product.outs), product.then, device=device) if product.then else None
    x = torch.randn(product.rows, product.width, device=device)
    gradient = torch.randn(product.rows, product.then or sum(product.outs), device=device)

    def by_pytorch():
        weight = maps[0].weight if len(maps) == 1 else torch.cat([m.weight for m in maps])
        offset = None if not product.bias else maps[0].bias if len(maps) == 1 else torch.cat([m.bias for m in maps])
        y = F.linear(x, weight, offset)
        return y if then is None else F.linear(F.relu(y, inplace=True), then.weight, then.bias)

    def called(multiply):
        if way == WAYS[0]:
            return lambda: torch.autograd.grad(multiply(), inputs, gradient)
        return torch.no_grad()(multiply)

    inputs: list[Tensor] = [parameter for m in (*maps, *([then] if then else [])) for parameter in m.parameters()]
    if not product.feature:
        inputs.append(x.requires_grad_())
    return called(lambda: linear(x, *maps, then=then)), called(by_pytorch)
