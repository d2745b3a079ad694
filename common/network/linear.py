"""Matrix products on a CPU by oneDNN, which uses the widest vector units of any maker's processor."""

import os

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# oneDNN keeps what it compiled for the latest shapes of products; in training there are more of them than its 1024.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (rows, in) times `weight` (out, in) transposed, plus `bias` (out,): (rows, out), like torch's `linear`.

    PyTorch's default on a CPU, MKL, reaches half the rate of oneDNN on processors that are not Intel's.
    """
    by_onednn = x.device.type == "cpu" and len(x) and torch.backends.mkldnn.is_available()
    if not by_onednn or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    return F.linear(x.to_mkldnn(), weight, bias).to_dense()


class Linear(nn.Linear):
    """`torch.nn.Linear` for (rows, in), computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
