"""Semantic features of a sentence for the causes: the vector of a sentence-transformers model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import ClassVar

import numpy as np

from common.errors import InputError, is_want_of_memory
from common.features.extractor import Extractor, Plain, Utterance
from common.features.models import Model, autocast, brief_reason, file_of, precision, quiet
from common.features.packages import package
from common.features.text.encoder import finite, without_text

DEFAULT = "sentence-transformers/all-roberta-large-v1"


@dataclass(frozen=True)
class SentenceVector(Extractor):
    """What `SentenceTransformer(model).encode` gives, prompts and truncation of the model included."""

    kind: ClassVar[str] = "event"
    chunk: ClassVar[int] = 256

    model: Model
    device: str = "cpu"

    def identity(self) -> dict[str, Plain]:
        return {
            "extractor": "sentence vector",
            **self.model.identity(),
            "precision": precision(self.device),
            "sentence-transformers": metadata.version("sentence-transformers"),
            "transformers": metadata.version("transformers"),
        }

    def of(self, utterance: Utterance) -> list[Plain]:
        return [utterance.sentence]

    def __call__(self, utterances: Sequence[Utterance]) -> list[np.ndarray | str]:
        reasons = [without_text(utterance.sentence) for utterance in utterances]
        sentences = [u.sentence for u, reason in zip(utterances, reasons, strict=True) if not reason]
        vectors = iter(())
        if sentences:
            with autocast(self.device):
                vectors = iter(loaded(self.model, self.device).encode(sentences, show_progress_bar=False))
        return [reason or finite(next(vectors).astype(np.float32)) for reason in reasons]


def check_kind(model: Model) -> None:
    """Raises InputError where the model is none of sentence-transformers, without loading it."""
    if file_of(model, "modules.json") is None:
        raise InputError(
            f"{model.name}: no modules.json; expected a model of sentence-transformers, which says how tokens become "
            "the vector of a sentence",
            ["event_model"],
        )


@lru_cache(maxsize=1)
def loaded(model: Model, device: str):
    """The SentenceTransformer of `model` in float32, which the process keeps until it asks for another.

    Raises InputError where the model is none of sentence-transformers, or cannot be loaded.
    """
    check_kind(model)
    kind = package("sentence_transformers").SentenceTransformer
    try:
        with quiet():
            return kind(
                model.source,
                revision=model.revision,
                device=device,
                trust_remote_code=False,
                model_kwargs={"dtype": "float32"},
            )
    except Exception as error:  # whatever a foreign file leads to
        if is_want_of_memory(error):
            raise
        raise InputError(
            f"{model.name}: sentence-transformers cannot load it ({brief_reason(error)}); get it again, or give another"
        ) from None
