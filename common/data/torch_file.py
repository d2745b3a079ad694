"""Reads what torch.save wrote, the zip archives of today and the format before torch 1.6: plain tensors, no code.

torch.load(weights_only=True) runs no code either, but a small file can make it allocate and compute without bound.
"""

import io
import math
import struct
import zipfile
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from common.data.unpickler import Refused, Unpickler, key

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of a number that begins every such file
_KINDS = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}


class Storage(NamedTuple):
    """The bytes behind some tensors, and the same as a flat tensor."""

    content: bytearray
    flat: torch.Tensor


def load(data: bytes) -> object:
    """The object in the torch file `data`; dictionaries of all kinds come as plain ones, parameters as tensors.

    Raises Refused for anything but plain tensors on the CPU and builtin containers, and nearly anything for a damaged
    file.
    """
    if not isinstance(data, bytes):
        raise Refused(f"a torch file in a {type(data).__name__}")
    file = io.BufferedReader(io.BytesIO(data), 2**15)
    return (_load_legacy if data.startswith(_LEGACY) else _load_zip)(file, len(data))


def _load_zip(file, size):
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if sum(info.file_size for info in members.values()) > size:
            raise Refused(f"parts of more than the {size} bytes of the file")  # compressed, or on top of each other

        def read(name):
            if name not in members:
                raise ValueError(f"no part {name} in the archive")
            return archive.read(members[name])

        def content(name, length):
            found = bytearray(read(f"data/{name}"))
            if len(found) != length:
                raise ValueError(f"a storage of {len(found)} bytes in place of {length}")
            return found

        if "byteorder" in members and read("byteorder") != b"little":
            raise Refused("a byte order other than little")
        pickle = read("data.pkl")
        return _unpickle(io.BufferedReader(io.BytesIO(pickle)), len(pickle), _Storages(content))


def _load_legacy(file, size):
    def content(name, length):
        nonlocal left
        left -= length
        if left < 0:
            raise Refused(f"tensors of more than the {size} bytes of the file")
        return bytearray(length)

    left, storages = size, _Storages(content)
    file.read(len(_LEGACY))
    _, system = (Unpickler(file, size, {}).load() for _ in range(2))  # the version, and what wrote it
    if not system["little_endian"]:
        raise Refused("a byte order other than little")
    found = _unpickle(file, size, storages)
    for name in Unpickler(file, size, {}).load():  # the storages, in this order
        storage = storages.known[name]
        (length,) = struct.unpack("<q", file.read(8))
        data = file.read(len(storage.content))
        if length != storage.flat.numel() or len(data) != len(storage.content):
            raise EOFError("a storage is not complete")
        storage.content[:] = data
    return found


def _unpickle(file, size, persistent):
    return Unpickler(file, size, _NAMES, persistent).load()


class _Storages:
    """Turns persistent ids into storages, each made once by `content(name, number of bytes)`."""

    def __init__(self, content):
        self.content, self.known = content, {}

    def __call__(self, identity):
        what, dtype, name, _, length, *view = identity
        if what != "storage" or not isinstance(dtype, torch.dtype) or type(name) is not str or any(view):
            raise Refused("a persistent id other than of a storage")
        if type(length) is not int or length < 0:
            raise ValueError("a storage without a length")
        if name not in self.known:
            content = self.content(name, length * dtype.itemsize)
            flat = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            self.known[name] = Storage(content, flat)
        storage = self.known[name]
        if storage.flat.dtype != dtype or storage.flat.numel() != length:
            raise Refused("one storage as two kinds")
        return storage


def tensor(storage: Storage, offset: int, size: Sequence[int], stride: Sequence[int], *_) -> torch.Tensor:
    """The tensor that torch._utils._rebuild_tensor_v2 makes, which may not show more values than its storage has."""
    if not isinstance(storage, Storage) or type(size) is not tuple or type(stride) is not tuple:
        raise Refused("a tensor of something else than a storage")
    if (
        not all(type(n) is int and 0 <= n < 2**63 for n in (offset, *size, *stride))
        or len(size) != len(stride)
        or len(size) > 32
    ):
        raise ValueError("a tensor with an odd shape")
    found, values = storage.flat.numel(), math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if values > found or (values and last >= found) or math.prod(n or 1 for n in size) > max(found, 2**16):
        raise ValueError("a tensor larger than its storage")
    return storage.flat.as_strided(size, stride, offset) if values else torch.empty(size, dtype=storage.flat.dtype)


def _parameter(data, *_):
    return data


def ordered(items: Iterable = ()) -> dict:
    """A plain dictionary in place of an OrderedDict, whose pickle could put anything in place of its methods."""
    return {key(name): value for name, value in items}


_NAMES = {
    "collections.OrderedDict": ordered,
    "torch._utils._rebuild_tensor_v2": tensor,
    "torch._utils._rebuild_parameter": _parameter,
    **{f"torch.{name}Storage": dtype for name, dtype in _KINDS.items()},
}
