"""The bytes of a checkpoint -> names to tensors, whatever people wrapped around them, and the record in it.

No code in a file runs: pickles are read by torch's own restricted reader, safetensors are numbers behind a JSON header.
"""

import contextlib
import io
import json
import math
import re
import warnings
import zipfile
from pathlib import Path

import torch
import yaml
from torch import Tensor

from common.data.mistaken import instead_of_pickle, text_instead
from common.errors import InputError
from common.files import HEAD, mapping_of

RECORD = "settings.yaml"  # in the archive, beside what torch writes there; and in the folder of a run
WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which people keep weights, beside an optimizer
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile and Lightning
CONVERTED = (torch.float16, torch.bfloat16, torch.float64)
_SAFETENSORS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_LONGEST_HEADER = 2**20  # bytes; 93 tensors take 10,000
_EXPECTED = "expected names to plain tensors, an ECERC_MODEL*.pkl as train.py writes it and the authors released it"


def bytes_of(path: str | Path) -> bytes:
    """The content of a file. Raises InputError where there is none that could be read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint; give another file, or train first", ["checkpoints"]) from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); check the path and its rights") from None


def state_of(data: bytes, path: str | Path) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict in `data`, which stood in `path`, as a plain dictionary of plain tensors; and notes: what was
    taken off it, and which types it has that will be converted.

    Raises InputError for what is no state dict of a complete file, or would run code.
    """
    try:
        content = _loaded(data)
    except Exception as error:  # a damaged file can raise nearly anything
        raise InputError(
            f"{path}: not a complete checkpoint of weights only, {_what_it_is(data, error)}; {_EXPECTED}"
        ) from None
    state, wrapper = _unwrapped(content, path)
    if not isinstance(state, dict) or not all(map(_is_plain, state.values())):
        raise InputError(
            f"{path}: found a {type(state).__name__}; expected a state dict of ECERC, names to plain tensors"
        )
    state, prefix = _stripped(state)
    notes = [f"taken from its {wrapper}"] if wrapper else []
    notes += [f"prefix {prefix} removed"] if prefix else []
    kinds = [str(kind).removeprefix("torch.") for kind in CONVERTED if any(t.dtype is kind for t in state.values())]
    notes += [f"{' and '.join(kinds)} converted to float32"] if kinds else []
    return state, [f"Note: {path}: {'; '.join(notes)}."] if notes else []


def _loaded(data):
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= min(len(data) - 8, _LONGEST_HEADER):
        return _safetensors(data)
    with _archive(data) as archive:
        if archive and (part := archive.testzip()):  # torch would read it all the same
            raise ValueError(f"the part {part} is damaged")
    with warnings.catch_warnings(action="ignore"):  # of odd pickles; what is wrong with them is said later
        return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")


@contextlib.contextmanager
def _archive(data):
    """The zip archive that `data` is, or None. Raises ValueError where it could hold more than its size."""
    if not data.startswith(b"PK"):
        yield None
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > len(data):
            raise ValueError("parts that are compressed, or lie on top of each other")
        yield archive


def _safetensors(data):
    """Names to tensors. Raises an error where header and numbers do not fit to the last byte."""
    begin = 8 + int.from_bytes(data[:8], "little")
    entries = {name: entry for name, entry in json.loads(data[8:begin]).items() if name != "__metadata__"}
    state, body, end = {}, memoryview(data)[begin:], 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        (first, last), shape, dtype = entry["data_offsets"], entry["shape"], _SAFETENSORS[entry["dtype"]]
        if first != end or len(shape) > 8 or not all(type(size) is int and size > 0 for size in shape):
            raise ValueError(f"{name} is not where the one before it ends, or has no shape")
        if last - first != math.prod(shape) * dtype.itemsize or last > len(body):
            raise ValueError(f"{name} has another size")
        state[name] = torch.frombuffer(bytearray(body[first:last]), dtype=dtype).reshape(shape)
        end = last
    if end != len(body):
        raise ValueError("there is more than the header says")
    return state


def _what_it_is(data, error):
    """What stands in place of a checkpoint that torch could not read because of `error`, and what to do."""
    foreign, instead = re.search(r"GLOBAL ([\w.]{1,200})", str(error)), _other_kind(data[:HEAD])
    if instead:
        return f"it is {instead}"
    if data[:2] in (b"\x80\3", b"\x80\4", b"\x80\5") or (foreign and foreign[1] == "torch.storage._load_from_bytes"):
        return "it is of pickle.dump, and reading that can run code; whoever made it can write it with torch.save"
    if foreign:
        return f"it asks for {foreign[1]}; if it holds a network, whoever made it can save its state_dict() alone"
    return "it is damaged, incomplete, or of another kind; get it again"


def _other_kind(head):
    """What a file that begins with `head` is, in words, where that shows and is none that torch writes; else None."""
    kind = instead_of_pickle(head) or text_instead(head)
    return None if kind and kind.endswith("(a checkpoint)") else kind


def _unwrapped(content, path):
    """The state dict in `content`, and the key that it stood under, if any."""
    content = _items(content)
    if not isinstance(content, dict) or all(map(_is_plain, content.values())):
        return content, None
    inside = {key: _items(content[key]) for key in WRAPPERS if isinstance(content.get(key), dict)}
    inside = {key: state for key, state in inside.items() if any(isinstance(t, Tensor) for t in state.values())}
    if len(inside) > 1:
        raise InputError(f"{path}: holds weights under {' and '.join(inside)}; expected one of them; save that alone")
    return next(((state, key) for key, state in inside.items()), (content, None))


def _items(content):
    # an OrderedDict's own methods can hide behind attributes that the file sets
    return dict(dict.items(content)) if isinstance(content, dict) else content


def _stripped(state):
    """`state` without the prefixes that all its names begin with, and these."""
    removed = ""
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if state and all(isinstance(name, str) and name.startswith(prefix) for name in state):
                state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
                removed += prefix
    return state, removed


def _is_plain(value):
    if type(value) not in (torch.Tensor, torch.nn.Parameter):
        return False
    return value.layout is torch.strided and value.device.type == "cpu" and not (value.is_quantized or value.is_nested)


def with_record(data: io.BytesIO, record: dict) -> None:
    """Append `record` to the archive in `data`, as torch wrote it. torch.load does not look at it."""
    with zipfile.ZipFile(data, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        info = zipfile.ZipInfo(f"{root}/{RECORD}", (1980, 1, 1, 0, 0, 0))
        info.create_system = 3  # the same bytes on each system
        archive.writestr(info, yaml.safe_dump(record, sort_keys=False))


def record_of(data: bytes, path: str | Path) -> dict | None:
    """The record in `data`, the content of `path`, which `state_of` has read; None where there is none.

    Raises InputError where it is no such record.
    """
    with _archive(data) as archive:
        names = [name for name in archive.namelist() if name.split("/")[1:] == [RECORD]] if archive else []
        if not names:
            return None
        try:
            text = archive.read(names[0]).decode()
        except (ValueError, zipfile.BadZipFile):
            raise InputError(f"{path}: the {RECORD} in it is no text; get the file again") from None
    return mapping_of(text, f"{path}, {RECORD} in it")
