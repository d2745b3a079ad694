"""Networks in ONNX files: pictures of faces in, one vector each out, run by onnxruntime."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from common.errors import InputError, brief
from common.features.packages import package
from common.features.visual.reason import reason
from common.files import HEAD, mistaken_for

SIDES = range(8, 1025)  # pixels that a side of the input can have
LARGEST = 2**31  # bytes: ONNX files cannot be larger
EXPECTED = "expected an ONNX file with one input, float (1, 1 or 3, H, W) or (1, H, W, 1 or 3), and one output (1, n)"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of red, green and blue from 0 to 1
# What networks take, by the name of the choice: (level - mean) / std, levels from 0 to 255, of each channel.
PIXELS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0-255": ((0.0,), (1.0,)),
    "0-1": ((0.0,), (255.0,)),
    "-1-1": ((127.5,), (127.5,)),
    "imagenet": (tuple(255 * m for m in _MEAN), tuple(255 * s for s in _STD)),
}


class OnnxModel:
    """The network in the ONNX file `path`.

    `pixels`: a name in PIXELS, what the network takes; no file says it. Three channels are red, green, blue.
    `device`: "cuda" runs it there where onnxruntime can, else on the CPU, with torch's number of threads.
    `size`: (height, width) of its input; `grey`: whether it has one channel; `width`: numbers that come out.

    The file has to hold all weights: external data are not read. Raises InputError where onnxruntime cannot run it, and
    where input or output are others than EXPECTED says.
    """

    def __init__(self, path: str | Path, pixels: str = "0-255", device: str = "cpu"):
        self._path = path
        self._session = _session(path, device)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise InputError(f"{path}: found {len(inputs)} inputs and {len(outputs)} outputs; {EXPECTED}")
        self._input = inputs[0].name
        if inputs[0].type != "tensor(float)" or outputs[0].type != "tensor(float)":
            raise InputError(f"{path}: found {inputs[0].type} in and {outputs[0].type} out; {EXPECTED}")
        self.size, channels, self._last = _layout(path, inputs[0].shape)
        self.grey = channels == 1
        self._mean, self._std = (np.array(numbers, np.float32) for numbers in PIXELS[pixels])
        if self.grey and self._mean.size > 1:
            raise InputError(f"{path}: takes grey pictures; pixels {pixels!r} are of colour; choose others", ["pixels"])
        self.width = 0
        self.width = self(np.zeros((1, *self.size, channels), np.uint8)).shape[1]

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        """Features (n, width), float32, of `faces`, uint8 (n, H, W, channels).

        One after the other: the file may be made for one alone, and so others beside it change nothing.
        """
        return np.concatenate([self._one(face) for face in faces])

    def _one(self, face):
        values = (face.astype(np.float32) - self._mean) / self._std
        batch = np.ascontiguousarray(values if self._last else values.transpose(2, 0, 1))[None]
        try:
            (features,) = self._session.run(None, {self._input: batch})
        except Exception as error:  # of onnxruntime, without a common class
            raise InputError(f"{self._path}: onnxruntime cannot run it ({reason(error)}); {EXPECTED}") from None
        shape = getattr(features, "shape", ())
        if len(shape) != 2 or shape[0] != 1 or not shape[1] or shape[1] != (self.width or shape[1]):
            raise InputError(f"{self._path}: found an output of shape {shape}; {EXPECTED}")
        return features


def providers(device: str) -> list[str]:
    """What onnxruntime runs a network with on `device`, in order of preference."""
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    return [p for p in wanted if p in package("onnxruntime").get_available_providers()] + ["CPUExecutionProvider"]


def _session(path, device):
    runtime = package("onnxruntime")
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {EXPECTED}") from None
    if (found := mistaken_for(data[:HEAD], text=True)) or len(data) > LARGEST:
        raise InputError(f"{path}: found {found or 'more than 2 GiB'}; {EXPECTED}")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 4  # what it says of an error is in the exception, too
    try:
        with tempfile.TemporaryDirectory() as empty:  # in which no external data are found
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", empty)
            return runtime.InferenceSession(data, options, providers=providers(device))
    except Exception as error:  # of onnxruntime, without a common class
        raise InputError(f"{path}: onnxruntime cannot read it ({reason(error)}); {EXPECTED}, all in one file") from None


def _layout(path, shape):
    """(height, width), channels, and whether these come last, of an input of `shape`, where names stand for any."""
    if len(shape) == 4 and (shape[0] == 1 or not isinstance(shape[0], int)):
        for last, (channels, *size) in ((False, shape[1:]), (True, (shape[3], *shape[1:3]))):
            if channels in (1, 3) and all(isinstance(side, int) and side in SIDES for side in size):
                return tuple(size), channels, last
    raise InputError(f"{path}: found an input of shape {brief(shape)}; {EXPECTED}, H and W fixed")
