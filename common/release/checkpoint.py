"""Released checkpoints <-> our network: the same tensors under the names of the released code, strict both ways."""

import hashlib
import io
import re
from collections import OrderedDict
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from common.batching.side_by_side import one_thread
from common.data import DATASETS
from common.errors import InputError, brief
from common.files import atomic, read_yaml
from common.network.attention import sinusoid
from common.network.ecerc import ECERC
from common.release import trained
from common.release.published import SETTINGS
from common.release.reading import CONVERTED, RECORD, bytes_of, record_of, state_of, with_record
from common.release.trained import Trained, authors_dataset
from common.settings import OUTPUTS_DEPEND_ON, NetworkSettings

RESULTS = "results.csv"  # in the folder of a run, once a seed is finished
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
    width = network.evidence_width
    state = OrderedDict({name: tensor.detach().to("cpu", copy=True) for name, tensor in _layout(network).items()})
    state[_TABLE] = sinusoid(torch.arange(TABLE_POSITIONS), width, width)[None]
    state |= {_UNUSED_NORM[0]: torch.ones(width), _UNUSED_NORM[1]: torch.zeros(width)}
    return state


def _layout(network):
    """Released names, in their order, to tensors of the right shapes and types: those of the `network` itself, and
    empty ones in place of what computes nothing.
    """
    width = network.evidence_width
    shapes = {_TABLE: (1, TABLE_POSITIONS, width)} | dict.fromkeys(_UNUSED_NORM, (width,))
    layout = {name: torch.empty(shape) for name, shape in shapes.items()}
    return layout | {released_name(name): tensor for name, tensor in network.state_dict().items()}


def save_released(network: ECERC, path: str | Path, about: dict | None = None) -> None:
    """Write the network's weights to `path` as a released checkpoint, atomically.

    What `about`, the content of the settings.yaml of a run, says of the network goes into the same file as a record,
    which torch.load, and so the released code, does not look at.
    """
    content = io.BytesIO()  # writing bytes fails with an OSError where the disk is full; torch.save would not
    torch.save(released_state(network), content)
    if about:
        with_record(content, trained.record(about))
    with atomic(path, "wb") as file:
        file.write(content.getbuffer())


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's file, as it was read. `sha256`: of the bytes that were read; `state`: released names to tensors,
    None where they are read again when they are asked for; `classes`: how many it tells apart, 0 where that does not
    show; `trained`: what is known of its training, of the record in it, else of the settings.yaml beside it; `notes`:
    what was taken off it, lines for the user.
    """

    path: Path
    sha256: str
    state: dict[str, Tensor] | None
    classes: int
    trained: Trained | None
    notes: list[str]

    def without_weights(self) -> "Checkpoint":
        """The same, holding no weights: `fill` reads them again."""
        return replace(self, state=None)

    def fill(self, network: ECERC) -> None:
        """Fill `network` with the weights. Raises InputError, and leaves the network as it was, where they have other
        names, shapes or types than it, or values that are not finite, and where the file was changed since it was read.
        """
        with one_thread():
            state, expected = self._weights(), _layout(network)
            _check_names(state, expected, self.path)
            _check_tensors(state, expected, self.path)
            network.load_state_dict({name: state[released_name(name)] for name in network.state_dict()})

    def _weights(self):
        if self.state is not None:
            return self.state
        data = bytes_of(self.path)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise InputError(f"{self.path}: was changed since this command first read it; give it again")
        return state_of(data, self.path)[0]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The checkpoint in `path`, of the release, of `save_released`, or as others keep it.

    No code in the file runs. Raises InputError where the file is missing, truncated, or no state dict, and where its
    record, or the settings.yaml that counts instead, is damaged.
    """
    data, path = bytes_of(path), Path(path)
    state, notes = state_of(data, path)
    known, where, beside = record_of(data, path), f"{path}, {RECORD} in it", path.parent / RECORD
    if known is None and beside.is_file():
        known, where = read_yaml(beside), str(beside)
    about = None if known is None else trained.read(known, where)
    bias = state.get("smax_fc.bias")
    classes = 0 if bias is None else bias.numel()
    return Checkpoint(path, hashlib.sha256(data).hexdigest(), state, classes, about, notes)


def load_released(network: ECERC, path: str | Path, classes: list[str] | None = None) -> list[str]:
    """Fill `network` with the weights in the checkpoint `path`; returns notes, lines for the user.

    Raises InputError, and leaves the network as it was, where it cannot be read or does not fit, see `Checkpoint`, and
    where it is known to have been trained on other classes than `classes`, or on these in another order.
    """
    checkpoint = read_checkpoint(path)
    about, authors, notes = checkpoint.trained, authors_dataset(checkpoint.path, checkpoint.sha256), checkpoint.notes
    values = about.values if about else SETTINGS.get(authors or "", {})
    known = about.classes if about else DATASETS[authors].CLASSES if authors else None
    if classes is not None and known:
        trained.check_classes(path, known, classes, ["initial_weights"])
    elif classes is not None:
        notes = [*notes, f"Note: {path}: says nothing of its classes; taken as {', '.join(classes)}, in this order."]
    checkpoint.fill(network)
    names = [f.name for f in fields(NetworkSettings) if f.name in OUTPUTS_DEPEND_ON]  # not how batches are made
    return notes + [f"Note: {path}: {what}" for what in trained.differences(values, network.settings, "used", names)]


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints of the run in `folder`, in the order of its seeds."""
    return sorted(folder.glob("ECERC_MODEL*.pkl"), key=lambda path: (len(path.name), path.name))


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
        if state[name].dtype not in (tensor.dtype, *CONVERTED):
            raise InputError(f"{path}: {name} is {state[name].dtype}; expected {tensor.dtype}; get the file again")
        values = state[name].to(tensor.dtype)
        if not (values.sum().isfinite() or values.isfinite().all()):  # a sum, which is quick, may overflow
            raise InputError(
                f"{path}: {name} holds NaN or infinity, or more than float32 can; get the file again, or train again"
            )
