"""Reads feature pickles without running code from them.

A pickle names the functions that rebuild its objects. Here a name is looked up in one short table of stand-ins that
build numpy arrays and scalars, torch tensors and builtin containers, and nothing else; any other name is refused.
"""

import gc
import io
import math
import pickle
import re
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import torch

from common.errors import InputError
from common.files import HEAD, mistaken_for


def load(path: str | Path) -> object:
    """The object in the pickle `path`, any protocol, Python 2 strings read as latin-1.

    Memory: numpy arrays take what they take in the file. Nested Python float lists take 32 bytes a number (the file
    has 9), so such a file needs about 3.6 times its size until it is turned into an array.

    Raises InputError, naming the file, where it is missing, truncated, not a pickle, or names anything but numpy
    arrays and scalars, torch tensors, and builtin containers.
    """
    collecting = gc.isenabled()
    gc.disable()  # nothing here is cyclic; the collector would visit millions of numbers again and again
    try:
        with open(path, "rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); check the path and its rights") from None
    except _Refused as refusal:
        raise InputError(
            f"{path}: refused, the pickle asks for {refusal}; expected only numpy arrays, torch tensors, and builtin "
            "containers, strings and numbers; get the file again from its source"
        ) from None
    except MemoryError:
        raise InputError(
            f"{path}: not enough memory to read it; nested float lists take about 3.6 times the file; read it "
            "once on a machine with more"
        ) from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        with open(path, "rb") as file:
            instead = mistaken_for(file.read(HEAD))
        reason = f"but {instead}" if instead else f"({type(error).__name__}: {error})"
        raise InputError(f"{path}: not a complete pickle {reason}; get the file again from its source") from None
    finally:
        if collecting:
            gc.enable()


class _Refused(Exception):
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        module = re.sub(r"^numpy\._core\b", "numpy.core", module)  # numpy 2 renamed it
        module = {"__builtin__": "builtins"}.get(module, module)  # Python 2's name
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None


class _StandIn:
    """A function that a pickle may call but not change: pickles can set attributes of what they name."""

    __slots__ = ("_function",)

    def __init__(self, function):
        self._function = function

    def __call__(self, *arguments):
        return self._function(*arguments)

    def __setstate__(self, state):
        raise _Refused("a change of a function")


class _Dtype:
    """numpy.dtype in a pickle: a name such as 'f4' and, as its state, a byte order."""

    __slots__ = ("_name", "_order")

    def __init__(self, name, *_):
        if not isinstance(name, str) or not re.fullmatch(r"[<>|=]?([biufSU]\d{1,6}|O8?|\?)", name):
            raise _Refused(f"numpy dtype {name!r}")
        self._name, self._order = name, "="

    def __setstate__(self, state):
        if state[3] is not None or state[2] is not None:
            raise _Refused("a structured numpy dtype")
        self._order = state[1]

    def resolve(self):
        dtype = np.dtype(self._name)
        return dtype if self._order == "|" else dtype.newbyteorder(self._order)


class _Array(np.ndarray):
    """A numpy array whose pickled state is checked before numpy sees it."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        dtype = dtype.resolve()
        if isinstance(data, str):  # protocol 2 of Python 2
            data = data.encode("latin1")
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"array of shape {shape}")
        found = len(data) if dtype.hasobject else len(data) / max(dtype.itemsize, 1)
        if found != math.prod(shape):
            raise ValueError(f"array of shape {shape} with {found:g} values")
        super().__setstate__((1, tuple(shape), dtype, bool(fortran), data))


def _reconstruct(kind, *_):
    if kind is not _NDARRAY:
        raise _Refused(f"an array of class {kind!r}")
    return np.ndarray.__new__(_Array, (0,), "b")


def _frombuffer(data, dtype, shape, order, *axes):
    flat = np.frombuffer(bytes(data), dtype.resolve())
    if order == "K":  # contiguous in an order of axes of its own
        return flat.reshape(shape).transpose(*axes)
    return flat.reshape(shape, order=order)


def _scalar(dtype, data):
    if isinstance(data, str):
        data = data.encode("latin1")
    dtype = dtype.resolve()
    return np.frombuffer(data, dtype, count=1)[0] if dtype.itemsize else dtype.type()  # '' takes no bytes


def _encode(text, encoding):
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _storage(data):
    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")


def _tensor(storage, offset, size, stride, *_):
    # as_strided refuses what reaches beyond the storage
    return torch.empty(0, dtype=storage.dtype).set_(storage).as_strided(size, stride, offset)


def _never(*_):
    raise _Refused("a call of numpy.ndarray")


_NDARRAY = _StandIn(_never)
_ALLOWED = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _StandIn(_Dtype),
    ("numpy.core.multiarray", "_reconstruct"): _StandIn(_reconstruct),
    ("numpy.core.multiarray", "scalar"): _StandIn(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _StandIn(_frombuffer),
    ("_codecs", "encode"): _StandIn(_encode),
    ("torch._utils", "_rebuild_tensor_v2"): _StandIn(_tensor),
    ("torch.storage", "_load_from_bytes"): _StandIn(_storage),
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    **{("builtins", kind.__name__): kind for kind in (list, dict, tuple, set, frozenset, bytearray, bytes, complex)},
}
