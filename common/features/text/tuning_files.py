"""Files of a fine-tuning: what it was made from, checkpoints, and whether a folder has what is asked for."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.errors import InputError, brief, is_want_of_memory
from common.files import atomic, read_yaml

RECORD = "tuning.yaml"
CHECKPOINT = ".checkpoint.pt"
BEST = ".best-{}.pt"


def state_of(sentences: Sequence[str], labels: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """What tells the utterances `rows` from others: how many, and a hash of sentences and labels in order."""
    content = json.dumps([[sentences[row], int(labels[row])] for row in rows])
    return {"utterances": len(rows), "sha256": hashlib.sha256(content.encode()).hexdigest()}


def is_finished(folder: Path, record: dict[str, Any]) -> bool:
    """Whether `folder` has a tuned encoder. Raises InputError where that was made from other things than `record` says,
    or where there is an encoder that was not made by tuning.
    """
    path = folder / RECORD
    if path.exists():
        _compare(path, read_yaml(path), record)
        return True
    if (folder / "config.json").exists() and not (folder / CHECKPOINT).exists():
        raise InputError(f"{folder}: found a model that was not tuned here; choose another folder")
    return False


def restore(folder: Path, record: dict[str, Any], parts: dict[str, Any], device: str) -> list[float]:
    """Put the `parts` of training into the state of the checkpoint in `folder`.

    Returns the validation scores of the epochs so far; none without a checkpoint. Raises InputError where the
    checkpoint belongs to something else than `record`, or cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return []
    found = _read(path, device)
    _compare(path, json.loads(found["record"]), record)
    for name, part in parts.items():
        part.load_state_dict(found[name])
    return found["scores"]


def keep(folder: Path, record: dict[str, Any], parts: dict[str, Any], scores: list[float], best: int) -> None:
    """Write the checkpoint after the last of `scores`; before it, the weights, where that epoch is the `best`."""
    states = {name: part.state_dict() for name, part in parts.items()}
    if best == len(scores) - 1:
        _write(folder / BEST.format(best), {name: states[name] for name in ("network", "head")})
    _write(folder / CHECKPOINT, states | {"record": json.dumps(record), "scores": scores})
    for path in folder.glob(BEST.format("*")):
        if path.name != BEST.format(best):
            path.unlink()


def take_best(folder: Path, parts: dict[str, Any], best: int, device: str) -> None:
    """Put network and head into the state after epoch `best`."""
    for name, state in _read(folder / BEST.format(best), device).items():
        parts[name].load_state_dict(state)


def tidy(folder: Path) -> None:
    """Remove checkpoints."""
    for path in (folder / CHECKPOINT, *folder.glob(BEST.format("*"))):
        with suppress(OSError):
            path.unlink()


def _write(path, content):
    with atomic(path, "wb") as file:
        torch.save(content, file)


def _read(path, device):
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        if is_want_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: no checkpoint of tuning ({reason}); remove the folder, and tune again") from None


def _compare(path, found, record):
    """Raises InputError, naming the first value in which `found`, read from `path`, differs from `record`."""
    for name, value in record.items():
        pairs = [(name, found.get(name), value)]
        if isinstance(value, dict) and isinstance(found.get(name), dict):
            pairs = [(f"{name}.{key}", found[name].get(key), item) for key, item in value.items()]
        for key, there, here in pairs:
            if there != here:
                raise InputError(
                    f"{path}: made with {key} {brief(there)}, and asked for is {brief(here)}; choose another folder, "
                    "or remove this one"
                )
