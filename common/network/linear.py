"""Matrix products, by the library that is the fastest on this processor, see `environment.matrix_library`."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from common.environment import matrix_library

# Rows or columns of weights from which oneDNN is used: with 6 it takes more than twice the time, and with one it, as of
# PyTorch 2.13, writes where it should not, sooner or later.
NARROW = 16


def linear(x: Tensor, *maps: nn.Linear, bias: bool = True, then: nn.Linear | None = None) -> Tensor:
    """x (rows, in) through one or several `maps`, in one product: their outputs side by side, (rows, all out).

    `bias`: add the maps' biases, where they have some. `then`: a further map, after a ReLU (eq. 6). `python -m
    common benchmark --parts products` compares it with PyTorch's own.
    """
    weights: list[Tensor] = [m.weight for m in maps]
    biases: list[Tensor] = [m.bias for m in maps if bias and m.bias is not None]
    weight = weights[0] if len(maps) == 1 else torch.cat(weights)
    offset = None if not biases else biases[0] if len(maps) == 1 else torch.cat(biases)
    by_onednn = (
        x.device.type == "cpu"
        and matrix_library() == "onednn"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and len(x) > 0
        and min(*weight.shape, *(() if then is None else then.weight.shape)) >= NARROW
    )
    y = F.linear(x.to_mkldnn() if by_onednn else x, weight, offset)
    if then is not None:  # y stays in oneDNN's own form
        y = F.linear(y.relu() if by_onednn else F.relu(y, inplace=True), then.weight, then.bias)
    return y.to_dense() if by_onednn else y


def products(x: Tensor, y: Tensor, scale: float = 1.0) -> Tensor:
    """x (n, a, k) times the transposed of y (n, b, k) times `scale`: (n, a, b).

    As `scale * x @ y.mT`, without passes for the scale, and with a gradient of y that lies in memory as y does.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, y = x.to(dtype), y.to(dtype)
    return _Products.apply(x, y, scale)


class _Products(Function):
    @staticmethod
    def forward(x, y, scale):
        return _scaled(x, y.mT, scale)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:2])
        ctx.scale = inputs[2]

    @staticmethod
    def backward(ctx, gradient):
        x, y = ctx.saved_tensors
        return _scaled(gradient, y, ctx.scale), _scaled(gradient.mT, x, ctx.scale), None


def _scaled(x, y, scale):
    return torch.bmm(x, y) if scale == 1 else torch.baddbmm(x.new_empty(()), x, y, beta=0, alpha=scale)
