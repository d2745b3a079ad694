"""The arithmetic that a pass over a split cannot do without, and how fast this machine multiplies matrices."""

import torch

from benchmarks.measures import alternating, clock_for, spread
from common.batching.batches import Batches
from common.network.linear import linear
from common.settings import NetworkSettings


def floating_point_operations(
    batches: Batches, widths: dict[str, int], classes: int, settings: NetworkSettings, training: bool
) -> float:
    """Of one pass: products with weights and attention over the keys that masks allow, multiply and add counted each.

    Real rows go through everything. Under "released" padding rows go through the cause encoders, without keys and
    values, which no query with a history looks at. Training takes three times the forward pass, less the gradients of
    the features. Evidence of padding and what queries without history attend to are left out: under 1 %.
    """
    d, inner = settings.hidden_width, settings.heads * settings.head_width
    wide = 3 * d

    def block(m, maps):  # query, key, value and output maps as asked for, and the feed-forward layer
        return settings.layers * (maps * m * inner + 2 * settings.feedforward_factor * m * m)

    features = sum(widths.values()) * d
    real_row = 6 * d * d + 3 * block(wide, 4) + 2 * block(d, 4) + block(d, 2) + 4 * wide**2 + 4 * wide * classes
    padding_row = block(wide, 2) + block(d, 2)
    total = 0.0
    for batch in batches:
        n = batch.packing.length.double()
        speaker = batch.packing.pad(1 + batch.speaker[:, None])[..., 0]
        same = (speaker[:, :, None] == speaker[:, None, :]) & (speaker > 0)[:, :, None]
        same = same.double().triu(1).sum()
        padding = (len(n) * n.max() - n.sum()) * (settings.empty_history == "released")
        pairs = 2 * (n * (n + 1) / 2).sum() + 2 * ((n.max() - n) * n).sum() * (padding > 0)  # the two encoders
        pairs += same + 2 * ((n * (n - 1) / 2).sum() - same)  # S-emotion, C-emotion, C-event
        products = n.sum() * real_row + padding * padding_row + settings.layers * pairs * 2 * inner
        total += float(2 * products * (3 if training else 1) + 2 * n.sum() * features * (2 if training else 1))
    return total


def matrix_rate(device: torch.device, threads: int) -> dict[str, float]:
    """Floating-point operations a second of float32 products of the sizes that occur: PyTorch's default, and ours."""
    x, part = torch.randn(2048, 384, device=device), torch.nn.Linear(384, 1024, bias=False, device=device)
    pairs = alternating(lambda: part(x), lambda: linear(x, part), 30, clock_for(device, threads))
    seconds = (spread(times)["median"] for times in zip(*pairs, strict=True))
    return {name: 2 * x.numel() * part.out_features / s for name, s in zip(("default", "ours"), seconds, strict=True)}
