"""Text features: the state of an encoder's first token, as [CLS] of BERT and <s> of RoBERTa."""

import inspect
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import ClassVar

import numpy as np
import torch

from common.errors import InputError
from common.features.extractor import Extractor, Plain, Utterance
from common.features.models import Model, autocast, load, load_tokenizer, precision
from common.features.text.alignment import Alignment
from common.features.text.tokens import Tokens

LAYERS = (-1, -2, -3, -4)
AT_ONCE = {"cpu": 512, "cuda": 16384}  # tokens of one batch, padding included, where they are fastest
SAMPLE = "It is here."


class Encoder:
    """An encoder of `model` with its tokenizer, loaded on `device`.

    `network`: without a pooler, in evaluation mode. `limit`: the most tokens that it takes, special ones included.
    Raises InputError where the model cannot be loaded, or does not begin a sentence with a token that stands for it.
    """

    def __init__(self, model: Model, device: str):
        self.model, self.device = model, device
        self.tokenizer = load_tokenizer(model)
        first = self.tokenizer(SAMPLE)["input_ids"][0]
        if self.tokenizer.cls_token_id is None or first != self.tokenizer.cls_token_id:
            raise InputError(
                f"{model.name}: no token at the beginning stands for the whole sentence; expected an encoder such as "
                "BERT or RoBERTa"
            )
        self.network = load(model, device=device)
        settings = self.network.config
        if len(self.tokenizer) > settings.vocab_size:
            raise InputError(
                f"{model.name}: its tokenizer has {len(self.tokenizer)} tokens, its weights {settings.vocab_size}; "
                "expected those of one model"
            )
        if "add_pooling_layer" in inspect.signature(type(self.network).__init__).parameters:
            self.network.pooler = None
        self.layers, self.width = settings.num_hidden_layers, settings.hidden_size
        self.limit = min(self.tokenizer.model_max_length, _positions(self.network))

    def tokens(self, sentences: Sequence[str]) -> Tokens:
        """The tokens of `sentences`, cut after `limit`, on the device."""
        ids = self.tokenizer(list(sentences), truncation=True, max_length=self.limit)["input_ids"]
        return Tokens(ids, self.tokenizer.pad_token_id or 0, self.device)

    def first(self, ids: torch.Tensor, mask: torch.Tensor, layer: int = -1) -> torch.Tensor:
        """The state of the first token, (B, width), after `layer`, for token `ids` (B, L) and `mask` (B, L)."""
        with autocast(self.device):
            if layer == -1:
                states = self.network(ids, attention_mask=mask).last_hidden_state
            else:
                states = self.network(ids, attention_mask=mask, output_hidden_states=True).hidden_states[layer]
        return states[:, 0].float()

    def states(self, tokens: Tokens, layer: int = -1) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Rows (B,) and their states (B, width) on the device, batch after batch of sentences of similar length."""
        with torch.inference_mode():
            for rows in tokens.batches(AT_ONCE.get(torch.device(self.device).type, AT_ONCE["cpu"])):
                yield rows, self.first(*tokens.padded(rows), layer)


@lru_cache(maxsize=1)
def loaded(model: Model, device: str) -> Encoder:
    """The encoder of `model`, which the process keeps until it asks for another."""
    return Encoder(model, device)


def without_text(sentence: str) -> str:
    """The reason why `sentence` has no features; "" if it has."""
    kinds = {unicodedata.category(letter) for letter in sentence}
    if "Cs" in kinds:
        return "text that is not Unicode"
    return "no text" if all(kind[0] in "CZ" for kind in kinds) else ""  # controls and spaces


def finite(features: np.ndarray) -> np.ndarray | str:
    """`features`, or the reason why they are of no use, as those of damaged weights."""
    return features if np.isfinite(features).all() else "the model gave numbers that are not finite"


@dataclass(frozen=True)
class FirstToken(Extractor):
    """The first token's state of `model` after `layer`, one of LAYERS; -1 is the last.

    A sentence with more tokens than the model takes is cut. `alignment`: a file of `Alignment`, through which the
    states go; `alignment_key`: what it holds.
    """

    kind: ClassVar[str] = "text"
    chunk: ClassVar[int] = 256

    model: Model
    layer: int = -1
    device: str = "cpu"
    alignment: str | None = None
    alignment_key: str | None = None

    def identity(self) -> dict[str, Plain]:
        return {
            "extractor": "first token",
            **self.model.identity(),
            "layer": self.layer,
            "precision": precision(self.device),
            "alignment": self.alignment_key,
            "transformers": metadata.version("transformers"),
        }

    def of(self, utterance: Utterance) -> list[Plain]:
        return [utterance.sentence]

    def __call__(self, utterances: Sequence[Utterance]) -> list[np.ndarray | str]:
        reasons = [without_text(utterance.sentence) for utterance in utterances]
        rows = [row for row, reason in enumerate(reasons) if not reason]
        states = iter(self.of_sentences([utterances[row].sentence for row in rows]) if rows else ())
        return [reason or finite(next(states)) for reason in reasons]

    def of_sentences(self, sentences: Sequence[str]) -> np.ndarray:
        """The features of `sentences`, float32 (U, width). Raises InputError where the encoder has no such layer."""
        encoder = loaded(self.model, self.device)
        if self.layer not in LAYERS or -self.layer > encoder.layers:
            raise InputError(
                f"layer {self.layer}: {self.model.name} has {encoder.layers} layers; expected one of "
                f"{', '.join(map(str, LAYERS[: encoder.layers]))}",
                ["text_layer"],
            )
        features = np.empty((len(sentences), encoder.width), np.float32)
        for batch, states in encoder.states(encoder.tokens(sentences), self.layer):
            features[batch] = states.cpu().numpy()
        return Alignment.load(self.alignment).apply(features) if self.alignment else features


def _positions(network):
    """How many tokens fit into the table of positions; RoBERTa's begins behind that of padding."""
    table = getattr(network.config, "max_position_embeddings", None)
    if not table or table < 0:
        return 2**31
    padding = getattr(getattr(network, "embeddings", None), "padding_idx", None)
    return table if padding is None else table - padding - 1
