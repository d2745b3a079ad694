"""What is asked of everything that makes features: an utterance goes in, a vector or a reason why not comes out."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Utterance:
    """One utterance before there are features: what is said, and where it can be heard and seen.

    `audio`, `video`: files, or None; sound is taken from `audio`, else from `video`. `start`, `end`: seconds in these
    files; None: their beginning and end. `side`: "left" or "right", the half of the picture that shows the speaker, or
    "" for all of it.
    """

    dialogue: str
    number: int
    sentence: str
    audio: Path | None = None
    video: Path | None = None
    start: float | None = None
    end: float | None = None
    side: str = ""


class Extractor(ABC):
    """Makes one kind of features. A frozen dataclass of plain values, so that it can be sent to other processes: a
    model is loaded with the first utterance, and kept by the process.
    """

    kind: ClassVar[str]  # in common.settings.FEATURES
    chunk: ClassVar[int]  # utterances that one task takes

    @abstractmethod
    def identity(self) -> dict[str, Plain]:
        """All that the numbers depend on, beside the utterance: models by what they hold, options, versions."""

    @abstractmethod
    def of(self, utterance: Utterance) -> list[Plain]:
        """All of an utterance that its numbers depend on; equal lists, equal features."""

    @abstractmethod
    def __call__(self, utterances: Sequence[Utterance]) -> list[np.ndarray | str]:
        """For each utterance its features, float32 (width,), or the reason why it has none, in a few words.

        What is wrong with one utterance, such as a broken file, is such a reason, whatever a library raises. What is
        wrong with all, such as a missing model, raises InputError.
        """

    def key(self) -> str:
        """A short name of `identity`."""
        return _hash(self.identity())

    def key_of(self, utterance: Utterance) -> str:
        """A short name of `of(utterance)`."""
        return _hash(self.of(utterance))


def file_state(path: Path | None) -> list[Plain]:
    """What tells a media file from an earlier one in its place: path, size, and time of change in nanoseconds."""
    if path is None:
        return []
    try:
        about = path.stat()
    except OSError:
        return [str(path), None, None]
    return [str(path), about.st_size, about.st_mtime_ns]


def _hash(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
