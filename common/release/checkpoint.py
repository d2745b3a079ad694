"""Released checkpoints <-> our network: the same tensors under the names of the released code, strict both ways."""

import io
import re
from collections import OrderedDict
from pathlib import Path

import torch

from common.data import torch_file
from common.data.unpickler import Refused
from common.errors import InputError, brief
from common.files import HEAD, atomic, mistaken_for
from common.network.attention import sinusoid
from common.network.ecerc import ECERC

TABLE_POSITIONS = 200  # of the released position table
_RELEASED_WIDTHS = {(2948,): " as IEMOCAP's", (1666,): " as MELD's"}

_NAMES = (  # ours, released; in the order in which the released code creates them
    ("evidence_gating.maps.text", "modal_filtering.proj_t"),
    ("evidence_gating.maps.audio", "modal_filtering.proj_a"),
    ("evidence_gating.maps.visual", "modal_filtering.proj_v"),
    ("evidence_gating.query", "modal_filtering.q"),
    ("evidence_gating.key", "modal_filtering.k"),
    ("emotion_encoder", "emotion_encoding"),
    ("event_map", "proj_eve"),
    ("event_encoder", "event_encoding"),
    ("self_emotion", "self_contagion_attention"),
    ("cross_emotion", "cross_emotion_attention"),
    ("self_event", "self_event_attention"),
    ("cross_event", "cross_event_attention"),
    ("emotion_gate", "gate_reset"),
    ("event_gate", "gate_reset2"),
    ("classifier", "smax_fc"),
)
_LAYER_NAMES = (
    ("query", "slf_attn.w_qs"),
    ("key", "slf_attn.w_ks"),
    ("value", "slf_attn.w_vs"),
    ("output", "slf_attn.fc"),
    ("attention_norm", "slf_attn.layer_norm"),
    ("expand", "pos_ffn.w_1"),
    ("contract", "pos_ffn.w_2"),
    ("feedforward_norm", "pos_ffn.layer_norm"),
)
_TABLE, _UNUSED_NORM = "position_enc_evi.pos_table", ("layer_norm.weight", "layer_norm.bias")


def released_name(name: str) -> str:
    """The released name of one of our parameters."""
    for ours, theirs in _NAMES:
        if name.startswith(ours + "."):
            name = theirs + name.removeprefix(ours)
            break
    layer = re.fullmatch(r"(\w+)\.layers\.(\d+)\.(\w+)\.(weight|bias)", name)
    if layer:
        block, index, part, kind = layer.groups()
        name = f"{block}.layer_stack.{index}.{dict(_LAYER_NAMES)[part]}.{kind}"
    return name


def released_state(network: ECERC) -> OrderedDict[str, torch.Tensor]:
    """The network's weights as a released state dict: 93 float32 tensors on the CPU with one-layer blocks.

    Two entries compute nothing here: the position table for 200 positions, and a LayerNorm that the release never uses.
    """
    ours = network.state_dict()
    width = network.evidence_width
    state = OrderedDict({_TABLE: sinusoid(torch.arange(TABLE_POSITIONS), width, width)[None]})
    state.update({_UNUSED_NORM[0]: torch.ones(width), _UNUSED_NORM[1]: torch.zeros(width)})
    state.update({released_name(name): tensor.detach().to("cpu", copy=True) for name, tensor in ours.items()})
    return state


def save_released(network: ECERC, path: str | Path) -> None:
    """Write the network's weights to `path` as a released checkpoint, whole or not at all."""
    content = io.BytesIO()  # writing bytes fails with an OSError where the disk is full; torch.save would not
    torch.save(released_state(network), content)
    with atomic(path, "wb") as file:
        file.write(content.getbuffer())


def load_released(network: ECERC, path: str | Path) -> None:
    """Fill `network` with the weights of a released or own checkpoint; no code in the file runs.

    Raises InputError, and leaves the network as it was, where the file is missing, truncated, no state dict, or has
    other names, shapes or types than this network, or values that are not finite.
    """
    found = _read(path)
    expected = released_state(network)
    _check(found, expected, path)
    network.load_state_dict({name: found[released_name(name)] for name in network.state_dict()})


def _read(path):
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint; give the files with --checkpoints, or train first") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); check the path and its rights") from None
    try:
        found = torch_file.load(data)
    except Exception as error:  # a damaged file can raise nearly anything
        refused, instead = isinstance(error, Refused), mistaken_for(data[:HEAD])
        reason = f"it asks for {error}" if refused else "it is damaged, incomplete, or of another kind"
        reason = f"it is {instead}" if instead else reason
        raise InputError(
            f"{path}: not a complete checkpoint of weights only, {reason}; expected names to plain tensors, an "
            "ECERC_MODEL*.pkl as train.py writes it and the authors released it"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise InputError(
            f"{path}: found a {type(found).__name__}; expected a state dict of ECERC, names to plain tensors"
        )
    return found


def _shown(name):
    return name if isinstance(name, str) and re.fullmatch(r"[\w.]{1,100}", name) else brief(name)


def _check(found, expected, path):
    missing, foreign = [n for n in expected if n not in found], [n for n in found if n not in expected]
    if missing or foreign:
        counts = " and ".join(
            f"{len(names)} {what} (such as {_shown(names[0])})"
            for names, what in ((missing, "missing"), (foreign, "foreign"))
            if names
        )
        raise InputError(
            f"{path}: {counts} of {len(expected)} expected tensors; it is of another network, or was trained "
            "with other --layers, --modalities, --without or --evidence-gate-inputs"
        )
    width, needed = (tuple(state[_TABLE].shape)[-1:] for state in (found, expected))
    if width != needed:
        made_for, has = (f"{w}{_RELEASED_WIDTHS.get(w, '')}" for w in (width, needed))
        raise InputError(
            f"{path}: made for evidence features of width {made_for}; these data have {has}; use a checkpoint of this "
            "dataset"
        )
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(found[name].shape)}; this dataset and these settings need "
                f"{tuple(tensor.shape)}; use the settings it was trained with (options, or its settings.yaml beside it)"
            )
        if found[name].dtype != tensor.dtype:
            raise InputError(f"{path}: {name} is {found[name].dtype}; expected {tensor.dtype}; get the file again")
        if not found[name].isfinite().all():
            raise InputError(f"{path}: {name} holds NaN or infinity; get the file again, or train anew")
