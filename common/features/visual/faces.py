"""The largest face of a picture, found by OpenCV, and cut out as a square."""

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.errors import InputError
from common.features.extractor import Plain
from common.features.packages import package
from common.features.visual.reason import reason
from common.files import sha256

CASCADE = "haarcascade_frontalface_default.xml"  # comes with OpenCV
LOOK_AT = 640  # pixels: longer pictures are made so long for finding faces, and cut in full size
SMALLEST = 30  # pixels: side of the smallest face there; the cascade has learnt from faces of 24
SURE = 0.7  # scores of YuNet, of 0 to 1, from which on it is a face


class Box(NamedTuple):
    """Where a face is, in pixels from the upper left corner; parts can lie outside the picture."""

    x: float
    y: float
    width: float
    height: float


class Faces(ABC):
    """Finds faces: always the same ones in the same picture, in one thread."""

    name: str
    sha256: str  # of the file that it comes from

    def __init__(self):
        package("cv2").setNumThreads(1)

    def identity(self) -> dict[str, Plain]:
        """What the boxes depend on."""
        limits: dict[str, Plain] = {"look_at": LOOK_AT, "smallest": SMALLEST, "sure": SURE}
        return {"faces": self.name, "faces_sha256": self.sha256, **limits}

    def largest(self, picture: np.ndarray) -> Box | None:
        """The face with the largest area in the RGB `picture`, uint8 (H, W, 3), or None.

        Of faces of the same area it is the upper one, then the left one.
        """
        cv2 = package("cv2")
        height, width = picture.shape[:2]
        scale = min(1.0, LOOK_AT / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
        faces = [[float(number) for number in box] for box in self._all(small)]
        faces = [box for box in faces if np.isfinite(box).all() and box[2] >= 1 and box[3] >= 1]
        if not faces:
            return None
        x, y, wide, high = min(faces, key=lambda box: (-box[2] * box[3], box[1], box[0]))
        across, down = width / size[0], height / size[1]
        return Box(x * across, y * down, wide * across, high * down)

    @abstractmethod
    def _all(self, picture: np.ndarray) -> Any:
        """Boxes (n, 4) of all faces: x, y, width, height."""


class Haar(Faces):
    """OpenCV's cascade of Haar features for faces from the front, on the picture in grey with equalised histogram."""

    name = "Haar"

    def __init__(self):
        super().__init__()
        cv2 = package("cv2")
        file = Path(cv2.data.haarcascades) / CASCADE
        self._cascade = cv2.CascadeClassifier(str(file))
        if self._cascade.empty():
            raise InputError(f"{file}: OpenCV cannot read its own cascade of faces; install OpenCV again")
        self.sha256 = sha256(file)

    def _all(self, picture):
        cv2 = package("cv2")
        grey = cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        return self._cascade.detectMultiScale(grey, 1.1, 5, minSize=(SMALLEST, SMALLEST))


class YuNet(Faces):
    """The network YuNet, which finds turned and partly hidden faces, too, from the file of OpenCV's model zoo.

    Raises InputError where OpenCV cannot read it as such.
    """

    name = "YuNet"

    def __init__(self, path: str | Path):
        super().__init__()
        expected = "expected the ONNX file of YuNet, such as face_detection_yunet_2023mar.onnx of OpenCV's model zoo"
        try:
            model = np.fromfile(path, np.uint8)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); {expected}", ["detector"]) from None
        self.sha256 = hashlib.sha256(model.tobytes()).hexdigest()
        cv2, empty = package("cv2"), np.zeros(0, np.uint8)
        try:
            self._network = cv2.FaceDetectorYN.create("onnx", model, empty, (320, 320), score_threshold=SURE)
            self._all(np.zeros((320, 320, 3), np.uint8))
        except Exception as error:  # cv2.error, and whatever else a foreign file leads to
            problem = f"OpenCV cannot use it as YuNet ({reason(error)})"
            raise InputError(f"{path}: {problem}; {expected}", ["detector"]) from None

    def _all(self, picture):
        self._network.setInputSize(picture.shape[1::-1])
        faces = self._network.detect(np.ascontiguousarray(picture[:, :, ::-1]))[1]
        return () if faces is None else faces[:, :4]


def square(picture: np.ndarray, box: Box, margin: float, size: tuple[int, int]) -> np.ndarray:
    """The square around `box` in `picture`, as a picture of `size` (height, width).

    Its side is the longer one of `box`, and `margin` times that more on each side. Where it goes beyond the picture,
    the pixels at the border are repeated.
    """
    cv2 = package("cv2")
    side = max(1, round(max(box.width, box.height) * (1 + 2 * margin)))
    left, top = round(box.x + box.width / 2 - side / 2), round(box.y + box.height / 2 - side / 2)
    rows = np.clip(np.arange(top, top + side), 0, picture.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, picture.shape[1] - 1)
    cut = picture[rows[:, None], columns]
    kind = cv2.INTER_AREA if side > max(size) else cv2.INTER_LINEAR
    return cv2.resize(cut, size[::-1], interpolation=kind)
