"""What is to be extracted, as options or a recipe say it, and the extractors that do it."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.features.extractor import Extractor

NONE = "none"


@dataclass(frozen=True)
class Choices:
    """Models by name on the hub, folder or file; NONE leaves a kind of features out.

    `text_layer`: whose first-token state is taken, -1 (the last) to -4. `audio_model`: is10, or an encoder of
    transformers. `visual_model`: a file, .onnx or a DenseNet's weights; `visual_pixels`: what an .onnx file takes, see
    FaceEmbedding; `face_model`: haar, or a YuNet file; `fps`: pictures a second. Revisions: commits on the hub.
    """

    text_model: str = "roberta-large"
    text_layer: int = -1
    text_revision: str | None = None
    event_model: str = "sentence-transformers/all-roberta-large-v1"
    event_revision: str | None = None
    audio_model: str = NONE
    audio_revision: str | None = None
    visual_model: str = NONE
    visual_pixels: str = "0-255"
    face_model: str = "haar"
    fps: float = 2.0

    def extractors(self, device: str) -> dict[str, Extractor]:
        """The extractor of each kind of features that is wanted. `device`: a name of torch.

        Raises InputError where a model cannot be had, or a package is missing.
        """
        found: dict[str, Extractor] = {}
        if self.text_model != NONE:
            from common.features.models import resolve
            from common.features.text.encoder import FirstToken

            found["text"] = FirstToken(resolve(self.text_model, self.text_revision), self.text_layer, device)
        if self.text_model != NONE and self.event_model != NONE:
            from common.features.models import resolve
            from common.features.text.semantic import SentenceVector, check_kind

            model = resolve(self.event_model, self.event_revision)
            check_kind(model)  # now, rather than when the text is done
            found["event"] = SentenceVector(model, device)
        if self.audio_model == "is10":
            from common.features.audio.is10 import IS10

            found["audio"] = IS10()
        elif self.audio_model != NONE:
            from common.features.audio.encoder import SpeechEncoder
            from common.features.models import resolve

            found["audio"] = SpeechEncoder(resolve(self.audio_model, self.audio_revision), device)
        if self.visual_model != NONE:
            from common.features.visual.embedding import FaceEmbedding

            detector = "" if self.face_model == "haar" else self.face_model
            found["visual"] = FaceEmbedding(
                self.visual_model, detector, self.fps, pixels=self.visual_pixels, device=device
            )
        return found

    def plain(self) -> dict[str, Any]:
        """For a recipe: with absolute paths of what is a file or folder here."""
        values = asdict(self)
        for name in ("text_model", "event_model", "audio_model", "visual_model", "face_model"):
            path = Path(values[name]).expanduser()
            if values[name] not in (NONE, "is10", "haar") and path.exists():
                values[name] = str(path.resolve())
        return values


def choices_of(content: object, where: object) -> Choices:
    """The Choices that a recipe holds. Raises InputError, naming `where`, for anything else."""
    names = {f.name for f in fields(Choices)}
    if not isinstance(content, dict) or any(
        name not in names or not isinstance(value, str | int | float | None) for name, value in content.items()
    ):
        raise InputError(f"{where}: no choices of models that are known here; restore it, or make the features again")
    return Choices(**content)
