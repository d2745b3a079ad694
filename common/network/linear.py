"""Matrix products on a CPU by oneDNN: PyTorch's default, MKL, leaves wide vector units of some processors idle."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (rows, in) times `weight` (out, in) transposed, plus `bias` (out,): (rows, out), like torch's `linear`.

    Twice as fast as that on an AMD EPYC with Zen 5 cores, as fast on one with Zen 4 (`tests/benchmarks` prints both).
    """
    if not _by_onednn(x, weight):
        return F.linear(x, weight, bias)
    return F.linear(x.to_mkldnn(), weight, bias).to_dense()


def feed_forward(x: Tensor, expand: nn.Linear, contract: nn.Linear) -> Tensor:
    """`contract` of ReLU of `expand` of x (rows, in): eq. 6 without residual and LayerNorm."""
    if not _by_onednn(x, expand.weight):
        return contract(F.relu(expand(x), inplace=True))
    inner = F.linear(x.to_mkldnn(), expand.weight, expand.bias).relu()  # stays in oneDNN's own form
    return F.linear(inner, contract.weight, contract.bias).to_dense()


def _by_onednn(x, weight):
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return False
    if 1 in weight.shape:  # oneDNN, as of PyTorch 2.13, then writes where it should not, sooner or later
        return False
    return len(x) > 0 and torch.backends.mkldnn.is_available()


class Linear(nn.Linear):
    """`torch.nn.Linear` for (rows, in), computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
