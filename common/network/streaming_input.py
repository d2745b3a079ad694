"""What a live conversation is given, checked: names, features, and what is known of earlier utterances."""

import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from common.errors import InputError, brief
from common.network.attention import AttentionLayer
from common.network.ecerc import ECERC
from common.settings import NetworkSettings


def names_of(values: Iterable[Hashable], what: str) -> list[Hashable]:
    """A list of names that one can tell apart by ==: numbers in arrays and tensors become Python's own.

    Raises InputError, saying `what` they are, for a single string and for what has no equal, such as NaN.
    """
    if isinstance(values, str):
        raise InputError(f"live conversations: {what}: found {brief(values)}; expected a list, one for each utterance")
    names = []
    for value in values:
        try:
            name = value.item() if hasattr(value, "item") else value
            fits = bool(name == name) and isinstance(hash(name), int)
        except (TypeError, ValueError, RuntimeError):  # no single value, or one that can change
            fits, name = False, value
        if not fits:
            raise InputError(f"live conversations: {what}: found {brief(name)}; expected names or numbers")
        names.append(name)
    return names


def numbers_of(name: str, values: ArrayLike | Tensor, shape: tuple[int, int], device: torch.device) -> Tensor:
    """`values` of the feature `name` as float32 on `device`; NaN and infinity are let through.

    Raises InputError where they have another shape, or are no numbers.
    """
    try:
        given = values if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"live conversations: {name} is no table of numbers; expected {shape}") from None
    if given.shape != shape:
        found = tuple(given.shape)
        raise InputError(f"live conversations: {name} has shape {found}; expected {shape}, a row for each utterance")
    if given.is_complex() if isinstance(given, Tensor) else given.dtype.kind not in "biuf":
        raise InputError(f"live conversations: {name} holds {given.dtype}, which are no numbers; expected float32")
    if not isinstance(given, Tensor):
        with np.errstate(over="ignore"):
            given = torch.from_numpy(given.astype(np.float32))
    return given.to(device, torch.float32)


def fingerprint(network: ECERC) -> str:
    """SHA-256 of the network's weights and of all settings that its outputs depend on."""
    digest = hashlib.sha256()
    for f in fields(NetworkSettings):
        if "dropout" not in f.name:
            digest.update(f"{f.name}: {getattr(network.settings, f.name)}\n".encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def check_state(state: Any, network: ECERC) -> None:
    """Raises InputError where a `state_dict` of live conversations is of another network than `network`, or damaged."""
    if isinstance(state, dict) and state.get("network") != fingerprint(network):
        raise InputError(
            "live conversations: the state is of a network with other weights or settings; load it into one with "
            "the same checkpoint and the same settings, or begin again"
        )
    widths = {
        name: 2 * layer.key.out_features
        for name, layer in network.named_modules()
        if isinstance(layer, AttentionLayer) and not name.startswith("self_event")  # which looks at no other turn
    }
    try:
        rows = 0
        for saved in state["conversations"].values():
            speaker, count = saved["speaker"], len(dict.fromkeys(saved["speakers"]))
            rows += len(speaker)
            if speaker.dtype != torch.int64 or set(speaker.tolist()) != set(range(count)):
                raise ValueError("speakers")
        if state["memory"].keys() != widths.keys() and (rows or state["memory"]):
            raise ValueError("layers")
        for layer, tensor in state["memory"].items():
            if tensor.shape != (rows, widths[layer]) or not tensor.is_floating_point() or not tensor.isfinite().all():
                raise ValueError(layer)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"live conversations: the state is damaged ({brief(error.args)}); load another, or begin again"
        ) from None
