"""DenseNet-BC for faces: depth 100, growth 12, a grey picture of 64 x 64 in, 342 numbers out.

Huang et al., Densely Connected Convolutional Networks, CVPR 2017, section 3 and table 2 (DenseNet-BC, L = 100, k = 12).
The visual features of MMGCN's line of work have width 342 and are said to be of a "DenseNet pre-trained on FER+": 342
is what this network has before its classifier.
"""

import io
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import InputError, brief
from common.features.packages import package
from common.features.visual.reason import reason
from common.files import HEAD, mistaken_for

SIZE = 64  # pixels, both ways
WIDTH = 342
LARGEST = 2**26  # bytes of a file with weights; these take 3 MB
_UNUSED = "num_batches_tracked"


class Layer(nn.Module):
    """Batch norm, ReLU, 1x1 convolution to 4 x `growth`; the same, 3x3, to `growth`; these behind what came in."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, channels + growth, h, w)."""
        new = self.conv1(functional.relu(self.norm1(x)))
        new = self.conv2(functional.relu(self.norm2(new)))
        return torch.cat([x, new], 1)


class Transition(nn.Module):
    """Batch norm, ReLU, 1x1 convolution to half the channels, mean of 2 x 2."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, channels // 2, h // 2, w // 2)."""
        return functional.avg_pool2d(self.conv(functional.relu(self.norm(x))), 2)


class DenseNet(nn.Module):
    """Three blocks of 16 layers: 24 to 216, 108 to 300, 150 to 342 channels; 765,300 parameters.

    A state dict has `mean` and `std` (shape ()), `first.weight`, `blocks.B.L.norm1`, `.conv1`, `.norm2`, `.conv2` for
    B = 0 to 2 and L = 0 to 15, `transitions.T.norm`, `.conv` for T = 0, 1, and `norm`, the last batch norm, each with
    PyTorch's names of its tensors. A classifier behind it is no part of it.

    `mean`, `std`: grey levels, 0 to 255, of the faces that the network has learnt from; they are a part of the weights,
    as features are wrong with others. Published code does not agree on them: 129 and 63.58 are given for FER+, and mean
    and standard deviation of a corpus' own faces, such as 131.1 and 47.9 for IEMOCAP, are used, too.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, growth: int = 12, layers: int = 16):
        super().__init__()
        self.register_buffer("mean", torch.tensor(129.0))
        self.register_buffer("std", torch.tensor(63.58))
        channels = 2 * growth
        self.first = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        blocks, transitions = [], []
        for block in range(3):
            blocks.append(nn.Sequential(*(Layer(channels + growth * i, growth) for i in range(layers))))
            channels += growth * layers
            if block < 2:
                transitions.append(Transition(channels))
                channels //= 2
        self.blocks, self.transitions = nn.ModuleList(blocks), nn.ModuleList(transitions)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, faces: Tensor) -> Tensor:
        """Features (n, 342) of grey `faces`, (n, 1, 64, 64), levels 0 to 255: means over the last 16 x 16 places."""
        x = self.first((faces - self.mean) / self.std)
        x = self.transitions[0](self.blocks[0](x))
        x = self.transitions[1](self.blocks[1](x))
        return functional.relu(self.norm(self.blocks[2](x))).mean((2, 3))


def load_densenet(path: str | Path) -> DenseNet:
    """The network with the state dict in `path`: of torch.save, or of safetensors where its name ends so.

    No code in the file runs. Raises InputError where it cannot be read, or its tensors have other names, shapes or
    types, or values that are not finite.
    """
    network = DenseNet().eval()
    expected = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith(_UNUSED)}
    state = _state(path)
    names = {name for name in state if not (isinstance(name, str) and name.endswith(_UNUSED))}
    missing, foreign = [n for n in expected if n not in names], [n for n in names if n not in expected]
    if missing or foreign:
        found = [f"lacks {len(missing)} of {len(expected)} tensors, such as {missing[0]}"] if missing else []
        found += [f"has {len(foreign)} others, such as {brief(min(foreign, key=str))}"] if foreign else []
        raise InputError(f"{path}: {' and '.join(found)}; {_EXPECTED}")
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape or not state[name].is_floating_point():
            found = f"{name} is {state[name].dtype} of shape {tuple(state[name].shape)}"
            raise InputError(f"{path}: {found}; expected floating point of shape {tuple(tensor.shape)}; {_EXPECTED}")
        if not torch.isfinite(state[name]).all():
            raise InputError(f"{path}: {name} has values that are not finite; get the file again")
        if (name == "std" or name.endswith("running_var")) and state[name].min() < (name == "std") * 1e-6:
            raise InputError(f"{path}: {name} has values that are too small; expected positive ones")
    network.load_state_dict({name: state[name].float() for name in expected}, strict=False)
    return network


_EXPECTED = (
    "expected the state dict of DenseNet-BC in common/features/visual/densenet.py (depth 100, growth 12), with the "
    "mean and std of its faces' grey levels; rename the tensors of another implementation"
)


def _state(path):
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a file with weights") from None
    if len(data) > LARGEST:
        raise InputError(f"{path}: found more than {LARGEST >> 20} MiB; {_EXPECTED}")
    try:
        if str(path).lower().endswith(".safetensors"):
            state = package("safetensors.torch").load(data)
        else:
            _check_archive(data)
            with warnings.catch_warnings(action="ignore"):  # of odd pickles; what is wrong with them is said later
                state = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except InputError:
        raise
    except Exception as error:  # a foreign file can raise nearly anything
        found = mistaken_for(data[:HEAD], text=True) or reason(error)
        raise InputError(f"{path}: not readable as weights ({found}); {_EXPECTED}") from None
    if type(state) not in (dict, OrderedDict) or not all(map(_is_plain, dict.values(state))):
        raise InputError(f"{path}: found something else than names and tensors; {_EXPECTED}; save its state_dict()")
    return dict(dict.items(state))  # an OrderedDict's own methods can hide behind attributes that the file sets


def _is_plain(value):
    return type(value) in (Tensor, nn.Parameter) and value.layout is torch.strided and not value.is_quantized


def _check_archive(data):
    """Raises ValueError where a zip archive holds more than its size, as one that fills the memory does."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > len(data):
                raise ValueError("an archive with compressed parts")
