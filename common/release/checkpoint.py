"""Released checkpoints <-> our network: the same tensors under the names of the released code, strict both ways."""

import io
import re
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch

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
    """Write the network's weights to `path` as a released checkpoint, atomically."""
    content = io.BytesIO()  # writing bytes fails with an OSError where the disk is full; torch.save would not
    torch.save(released_state(network), content)
    with atomic(path, "wb") as file:
        file.write(content.getbuffer())


def load_released(network: ECERC, path: str | Path) -> None:
    """Fill `network` with the weights in `path`, a checkpoint of the release or of `save_released`.

    No code in the file runs. Raises InputError, and leaves the network as it was, where the file is missing, truncated,
    no state dict, or has other names, shapes or types than this network, or values that are not finite.
    """
    state, expected = _read(path), released_state(network)
    _check_names(state, expected, path)
    _check_tensors(state, expected, path)
    network.load_state_dict({name: state[released_name(name)] for name in network.state_dict()})


def _read(path):
    """The state dict in `path`, as a plain dictionary of plain tensors."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint; give another file, or train first", ["checkpoints"]) from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); check the path and its rights") from None
    try:
        _check_archive(data)
        with warnings.catch_warnings(action="ignore"):  # of odd pickles; what is wrong with them is said below
            state = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file can raise nearly anything
        foreign, instead = re.search(r"GLOBAL ([\w.]{1,200})", str(error)), mistaken_for(data[:HEAD])
        reason = f"it asks for {foreign[1]}" if foreign else "it is damaged, incomplete, or of another kind"
        reason = f"it is {instead}" if instead else reason
        raise InputError(
            f"{path}: not a complete checkpoint of weights only, {reason}; expected names to plain tensors, an "
            "ECERC_MODEL*.pkl as train.py writes it and the authors released it"
        ) from None
    # an OrderedDict's own methods can hide behind attributes that the file sets
    state = dict(dict.items(state)) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(map(_is_plain, state.values())):
        raise InputError(
            f"{path}: found a {type(state).__name__}; expected a state dict of ECERC, names to plain tensors"
        )
    return state


def _check_archive(data):
    """Raises ValueError for a zip archive with a damaged part, which torch would read all the same."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > len(data):
                raise ValueError("parts that are compressed, or lie on top of each other")
            if part := archive.testzip():
                raise ValueError(f"the part {part} is damaged")


def _is_plain(value):
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        return False
    return value.layout is torch.strided and value.device.type == "cpu" and not (value.is_quantized or value.is_nested)


def _check_names(state, expected, path):
    missing, foreign = [n for n in expected if n not in state], [n for n in state if n not in expected]
    if missing or foreign:
        counts = " and ".join(
            f"{len(names)} {what} (such as {_printable(names[0])})"
            for names, what in ((missing, "missing"), (foreign, "foreign"))
            if names
        )
        raise InputError(
            f"{path}: {counts} of {len(expected)} expected tensors; it is of another network, or was trained "
            "with other settings",
            ["layers", "modalities", "without", "evidence_gate_inputs"],
        )


def _printable(name):
    return name if isinstance(name, str) and re.fullmatch(r"[\w.]{1,100}", name) else brief(name)


def _check_tensors(state, expected, path):
    width, needed = (tuple(tensors[_TABLE].shape)[-1:] for tensors in (state, expected))
    if width != needed:
        made_for, has = (f"{w}{_RELEASED_WIDTHS.get(w, '')}" for w in (width, needed))
        raise InputError(
            f"{path}: made for evidence features of width {made_for}; these data have {has}; use a checkpoint of this "
            "dataset"
        )
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(state[name].shape)}; this dataset and these settings need "
                f"{tuple(tensor.shape)}; use the settings it was trained with (options, or its settings.yaml beside it)"
            )
        if state[name].dtype != tensor.dtype:
            raise InputError(f"{path}: {name} is {state[name].dtype}; expected {tensor.dtype}; get the file again")
        if not torch.isfinite(state[name]).all():
            raise InputError(f"{path}: {name} holds NaN or infinity; get the file again, or train again")
