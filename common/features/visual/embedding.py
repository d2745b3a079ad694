"""Visual features of an utterance: what a network makes of its speaker's face, averaged over pictures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from common.errors import InputError
from common.features.extractor import Extractor, Plain, Utterance, file_state
from common.features.packages import package
from common.features.visual import frames
from common.features.visual.densenet import SIZE, load_densenet
from common.features.visual.faces import Faces, Haar, YuNet, square
from common.features.visual.onnx_model import PIXELS, OnnxModel, providers
from common.files import sha256

DENSENET = (".pt", ".pth", ".safetensors")
BATCH = 16  # faces that the network takes at once


@dataclass(frozen=True)
class FaceEmbedding(Extractor):
    """Features of the largest face in each of `fps` pictures a second, averaged.

    `model`: an ONNX file, see OnnxModel, or the state dict of our DenseNet, see load_densenet (.pt, .pth,
    .safetensors). `detector`: the ONNX file of YuNet; "": OpenCV's Haar cascade. `margin`: what is cut out around a
    face on each side, in parts of its longer side. `pixels`: what an ONNX model takes, a name in PIXELS; a state dict
    says it itself. `device`: where the model runs; faces are found on the CPU.
    """

    model: str
    detector: str = ""
    fps: float = 2.0
    margin: float = 0.1
    pixels: str = "0-255"
    device: str = "cpu"

    kind: ClassVar[str] = "visual"
    chunk: ClassVar[int] = 8

    def __post_init__(self):
        if not self.model.lower().endswith((".onnx", *DENSENET)):
            expected = f"a file that ends in .onnx, or in {', '.join(DENSENET)} (a state dict)"
            raise InputError(f"visual model {self.model!r}: expected {expected}", ["model"])
        if not (math.isfinite(self.fps) and 0 < self.fps <= 100):
            raise InputError(f"found {self.fps} pictures a second; expected more than 0, at most 100", ["fps"])
        if not (math.isfinite(self.margin) and 0 <= self.margin <= 2):
            raise InputError(f"found a margin of {self.margin}; expected 0 to 2", ["margin"])
        if self.pixels not in PIXELS:
            raise InputError(f"found pixels {self.pixels!r}; expected one of {', '.join(PIXELS)}", ["pixels"])
        if not self._is_onnx and self.pixels != "0-255":
            expected = "expected none, as the state dict has mean and std of what it takes"
            raise InputError(f"{self.model}: found pixels {self.pixels!r}; {expected}", ["pixels"])

    @property
    def _is_onnx(self):
        return self.model.lower().endswith(".onnx")

    def identity(self) -> dict[str, Plain]:
        """Files by what they hold. Raises InputError where one is missing or cannot be used."""
        runtime = package("onnxruntime") if self._is_onnx else torch
        versions = {name: package(name).__version__ for name in ("av", "cv2")}
        return {
            "features": "mean of a network on the largest face",
            "model_sha256": _hash_of(self.model),
            "runs_with": f"{runtime.__name__} {runtime.__version__}",
            "runs_on": providers(self.device)[0] if self._is_onnx else self.device.partition(":")[0],
            "pixels": self.pixels if self._is_onnx else None,
            **_finder(self.detector).identity(),
            "fps": self.fps,
            "margin": self.margin,
            "longest": frames.LONGEST,
            **versions,
        }

    def of(self, utterance: Utterance) -> list[Plain]:
        """Its video as it is now, and which part of it."""
        return [*file_state(utterance.video), utterance.start, utterance.end, utterance.side]

    def __call__(self, utterances: Sequence[Utterance]) -> list[np.ndarray | str]:
        """Features float32 (width,) of each utterance, or why it has none: what is wrong with its video, or no face."""
        network = _network(self.model, _hash_of(self.model), self.pixels, self.device)
        return [self._features(utterance, network) for utterance in utterances]

    def _features(self, utterance, network):
        mean, faces = _Mean(network), _finder(self.detector)
        try:
            if utterance.video is None:
                raise frames.Unseen("no video")
            for picture in frames.frames(utterance.video, utterance.start, utterance.end, self.fps, utterance.side):
                mean.pictures += 1
                face = faces.largest(picture)
                if face is not None:
                    mean.add(square(picture, face, self.margin, network.size))
        except frames.Unseen as why:
            return str(why)
        return mean.result()


@dataclass
class _Network:
    """`run`: features (n, width) of faces uint8 (n, *size, channels)."""

    run: Callable[[np.ndarray], np.ndarray]
    size: tuple[int, int]
    grey: bool


class _Mean:
    """The mean of features of faces, of which BATCH are held at a time."""

    def __init__(self, network: _Network):
        self.pictures = 0
        self._network, self._count = network, 0
        self._faces: list[np.ndarray] = []
        self._sum = np.zeros(())

    def add(self, face):
        """`face`: RGB, uint8 (H, W, 3)."""
        if self._network.grey:
            cv2 = package("cv2")
            face = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[:, :, None]
        self._faces.append(face)
        if len(self._faces) == BATCH:
            self._flush()

    def result(self):
        """Float32 (width,), or the reason why there are none."""
        if self._faces:
            self._flush()
        if not self._count:
            return f"no face in {self.pictures} pictures"
        mean = (self._sum / self._count).astype(np.float32)
        return mean if np.isfinite(mean).all() else "the model gave numbers that are not finite"

    def _flush(self):
        features = self._network.run(np.stack(self._faces))
        self._sum = self._sum + features.sum(0, dtype=np.float64)
        self._count += len(self._faces)
        self._faces = []


def _hash_of(path):
    """SHA-256 of the file `path`, read once while it stays the same."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; expected a model of faces (.onnx, or a state dict)", ["model"])
    return _hash(*file_state(Path(path)))


@lru_cache(maxsize=8)
def _hash(path, _size, _changed):
    return sha256(path)


def _finder(path) -> Faces:
    return _loaded_finder(path, *(file_state(Path(path)) if path else ()))


@lru_cache(maxsize=1)
def _loaded_finder(path, *_state):
    return YuNet(path) if path else Haar()


@lru_cache(maxsize=1)  # the hash is a part of the key: another file of the same name is another model
def _network(path, _sha256, pixels, device):
    if path.lower().endswith(".onnx"):
        model = OnnxModel(path, pixels, device)
        return _Network(model, model.size, model.grey)
    network = load_densenet(path).to(device)

    def run(faces):
        with torch.inference_mode():
            batch = torch.from_numpy(faces).to(device).permute(0, 3, 1, 2).float()
            return network(batch).cpu().numpy()

    return _Network(run, (SIZE, SIZE), True)
