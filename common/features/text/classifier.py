"""An encoder with a linear head on its first token's state: its answers, its scores, its folder."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score

from common.errors import InputError
from common.features.models import Model, load_tokenizer, quiet, resolve
from common.features.packages import package
from common.features.text.encoder import Encoder, loaded, without_text
from common.features.text.tokens import Tokens

HEAD = "head.safetensors"


def logits(encoder: Encoder, head: torch.nn.Linear, tokens: Tokens) -> np.ndarray:
    """What `head` says of each sentence of `tokens`, float32 (U, C). Puts the network into evaluation mode."""
    encoder.network.eval()
    found = np.empty((len(tokens.lengths), head.out_features), np.float32)
    for rows, states in encoder.states(tokens):
        with torch.inference_mode():
            found[rows] = head(states).cpu().numpy()
    return found


def weighted_f1(labels: np.ndarray, predictions: np.ndarray, classes: int) -> float:
    """Weighted F1 in percent of scikit-learn, of `predictions` against `labels`, both (U,) from 0."""
    among = np.arange(classes)
    return 100 * float(f1_score(labels, predictions, labels=among, average="weighted", zero_division=0))


def usable(rows: np.ndarray, sentences: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Those of `rows` whose label is known, from 0, and whose sentence has text."""
    return np.array([row for row in rows if labels[row] >= 0 and not without_text(sentences[row])], np.int64)


def evaluate_encoder(
    folder: Path, sentences: Sequence[str], labels: np.ndarray, rows: np.ndarray, device: str
) -> dict[str, float]:
    """How good the encoder that `tune` left in `folder` is by itself, with its head, on the utterances `rows`.

    `labels` (U,): positions in the classes of tuning, -1 where unknown; such utterances, and those without text, do not
    count. Returns `accuracy` and `wf1` (weighted F1), in percent, and `utterances`, how many counted. Raises InputError
    where none do, or where there is no such encoder.
    """
    rows = usable(rows, sentences, labels)
    if not len(rows):
        raise InputError(f"{folder}: no labelled utterance to evaluate the encoder on; expected at least one")
    encoder, (weight, bias) = loaded(resolve(folder), device), read_head(folder)
    head = torch.nn.utils.skip_init(torch.nn.Linear, weight.shape[1], len(bias), device=device)
    head.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    predictions = logits(encoder, head, encoder.tokens([sentences[row] for row in rows])).argmax(1)
    return {
        "accuracy": 100 * float(accuracy_score(labels[rows], predictions)),
        "wf1": weighted_f1(labels[rows], predictions, len(bias)),
        "utterances": len(rows),
    }


def read_head(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Weights (C, width) and bias (C,) of the head in `folder`. Raises InputError where there is none."""
    path = Path(folder, HEAD)
    try:
        found = package("safetensors.numpy").load_file(path)
        return found["weight"], found["bias"]
    except (OSError, KeyError, package("safetensors").SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: no head of a tuned encoder ({reason}); expected a folder made by tuning") from None


def write(encoder: Encoder, head: torch.nn.Linear, base: Model, folder: Path) -> None:
    """Write network and tokenizer as transformers does, and the head, into `folder`; config.json comes last."""
    part = folder / ".part"
    shutil.rmtree(part, ignore_errors=True)
    with quiet():
        encoder.network.save_pretrained(part)
        load_tokenizer(base).save_pretrained(part)
    weights = {name: weight.detach().cpu().contiguous() for name, weight in head.state_dict().items()}
    package("safetensors.torch").save_file(weights, part / HEAD)
    for path in sorted(part.iterdir(), key=lambda path: path.name == "config.json"):
        os.replace(path, folder / path.name)
    part.rmdir()
