"""What all audio features share: the sound of each utterance is read, or the reason why it has none is handed on."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from common.features.audio.sound import Unheard, read_sound
from common.features.extractor import Extractor, Plain, Utterance, file_state
from common.features.packages import package


class SoundExtractor(Extractor):
    """Makes audio features of sound. What is to be done for each kind is `prepare` and `vector`."""

    kind: ClassVar[str] = "audio"
    chunk: ClassVar[int] = 16

    @abstractmethod
    def prepare(self) -> int:
        """Load what is needed, once; the sampling rate that `vector` wants, Hz. Raises InputError where it cannot."""

    @abstractmethod
    def vector(self, samples: np.ndarray) -> np.ndarray:
        """The features (width,) of `samples`, as `read_sound` gives them. Raises Unheard where there are none."""

    def of(self, utterance: Utterance) -> list[Plain]:
        """The file that the sound comes from, and from when to when."""
        return [*file_state(_file(utterance)), utterance.start, utterance.end]

    def __call__(self, utterances: Sequence[Utterance]) -> list[np.ndarray | str]:
        """See Extractor. Utterances do not influence each other."""
        rate = self.prepare()
        return [self._one(utterance, rate) for utterance in utterances]

    def _one(self, utterance, rate):
        file = _file(utterance)
        if file is None:
            return "no file with sound"
        try:
            features = self.vector(read_sound(file, utterance.start, utterance.end, rate))
        except Unheard as reason:
            return str(reason)
        features = np.asarray(features, np.float32)
        return features if np.isfinite(features).all() else "features that are not finite"


def sound_identity(rate: int) -> dict[str, Plain]:
    """What the sound itself depends on, for `identity` of an extractor."""
    return {"rate": rate, "channels": "mean", "av": package("av").__version__}


def _file(utterance: Utterance) -> Path | None:
    return utterance.audio or utterance.video
