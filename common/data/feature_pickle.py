"""Feature pickles: read without running code from them, and written.

A pickle names the functions that rebuild its objects, and the standard library's unpickler asks `find_class` for each
name. Here that is one short table of functions that make numpy arrays and scalars, torch tensors (as numpy arrays) and
builtin containers; any other name is refused. What a pickle may hold, and what it may not, is in docs/safety.md.
"""

import gc
import io
import math
import pickle
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.data.mistaken import instead_of_pickle, text_instead
from common.errors import InputError, brief
from common.files import HEAD, atomic


def load(path: str | Path) -> object:
    """The object in the pickle `path`, any protocol, Python 2 strings read as latin-1.

    Dictionaries of all kinds come as plain ones, tensors as numpy arrays. Memory: numpy arrays take what they take in
    the file. Nested Python float lists take 32 bytes a number (the file has 9), so such a file needs about 3.6 times
    its size until it is turned into an array.

    Raises InputError, naming the file, where it is missing, truncated, not a pickle, or names anything but numpy
    arrays and scalars, torch tensors, and builtin containers.
    """
    collecting, head = gc.isenabled(), b""
    gc.disable()  # nothing here is cyclic; the collector would visit millions of numbers again and again
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            if instead := instead_of_pickle(head):
                raise _another(path, instead)
            file.seek(0)
            return _Unpickler(file, encoding="latin1").load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise _unreadable(path, head, error) from None
    finally:
        if collecting:
            gc.enable()


def save(content: object, path: str | Path) -> None:
    """Pickle `content` to `path`, atomically, with protocol 2 as the release."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic(path, "wb") as file:
        pickle.dump(content, file, protocol=2)


def refuse_existing(folder: str | Path, files: Sequence[str]) -> None:
    """Raises InputError where one of `files` is in `folder` already."""
    for path in (Path(folder) / name for name in files):
        if path.exists():
            raise InputError(f"{path}: exists already and is not overwritten; remove it or choose another folder")


def _another(path, instead):
    return InputError(f"{path}: not a complete pickle but {instead}; get the file itself from its source")


def _unreadable(path, head, error):
    """The InputError about a file that begins with `head`, and could not be read because of `error`."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file")
    if isinstance(error, OSError):
        return InputError(f"{path}: not readable ({error.strerror}); check the path and its rights")
    if isinstance(error, MemoryError):
        return InputError(
            f"{path}: not enough memory to read it; nested float lists take about 3.6 times the file; read it "
            "once on a machine with more, or get the file again if it is damaged"
        )
    cut = isinstance(error, EOFError) or "truncated" in str(error)
    size = f"only the first {Path(path).stat().st_size:,} bytes of one, as an interrupted download leaves them"
    if instead := text_instead(head) or (size if cut else None):
        return _another(path, instead)
    if isinstance(error, _Refused):
        return InputError(
            f"{path}: refused, the pickle asks for {error}; expected only numpy arrays, torch tensors, and builtin "
            "containers, strings and numbers; get the file again from its source"
        )
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return InputError(f"{path}: not a complete pickle ({reason}); get the file again from its source")


class _Refused(Exception):
    """What a pickle asks for and does not get, in words."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        module = re.sub(r"^numpy\._core\b", "numpy.core", module.replace("__builtin__", "builtins"))
        name = f"{module}.{name}"
        if name not in _ALLOWED:
            raise _Refused(name if re.fullmatch(r"[\w.]{1,200}", name, re.ASCII) else brief(name))
        return _ALLOWED[name]


class _Function:
    """A function that a pickle may call, and do nothing else with: no type to instantiate, no attribute to set."""

    def __init__(self, function):
        self._function = function

    def __call__(self, *arguments):
        return self._function(*arguments)

    def __setstate__(self, _):
        raise _Refused("a change of a function")


class _Dtype:
    """numpy.dtype in a pickle: a name such as 'f4' and, as its state, a byte order.

    The state of a real one has sizes and flags that numpy trusts: with them a file could pass its bytes as pointers.
    """

    def __init__(self, name, *_):
        if not isinstance(name, str) or not re.fullmatch(r"[<>|=]?([biufSU]\d{1,6}|O8?|\?)", name):
            raise _Refused(f"numpy dtype {brief(name)}")
        self.value = np.dtype(name)

    def __setstate__(self, state):
        if state[3] is not None or state[2] is not None:
            raise _Refused("a structured numpy dtype")
        if state[1] != "|":
            self.value = self.value.newbyteorder(state[1])


class _Array(np.ndarray):
    """A numpy array that gets its content once, and only with a _Dtype."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        _check_size(shape, len(data))
        if self.size:
            raise _Refused("a second content of an array")  # a memoryview may still look at the first one
        if dtype.value.hasobject and (type(data) is not list or len(data) != math.prod(shape)):
            raise ValueError(f"objects in a {type(data).__name__}")  # numpy would read on behind the end of a list
        super().__setstate__((1, shape, dtype.value, bool(fortran), data))


def _check_size(shape, count):
    """Raises ValueError where an array looks larger than the `count` values in the file, as one without any can, or has
    more axes than 32: numpy would take what lies behind its 64th in memory.
    """
    sizes = len(shape) <= 32 and all(type(n) is int for n in shape)
    if not sizes or math.prod(n or 1 for n in shape) > count + 2**16:
        raise ValueError(f"array of shape {brief(shape)} with {count} values")


class _Storage(NamedTuple):
    """The values behind a torch tensor, as a flat tensor."""

    flat: object


def _reconstruct(kind, *_):
    if kind is not _ALLOWED["numpy.ndarray"]:
        raise _Refused(f"an array of class {brief(kind)}")
    return np.ndarray.__new__(_Array, (0,), "b")


def _ndarray(*_):
    raise _Refused("a call of numpy.ndarray")


def _frombuffer(data, dtype, shape, order, *axes):
    if type(data) not in (bytes, bytearray):
        raise _Refused(f"an array in a {type(data).__name__}")  # a view of an array would outlive its memory
    flat = np.frombuffer(data, dtype.value)
    _check_size(shape, flat.size)
    # K: contiguous in an order of axes of its own
    return flat.reshape(shape).transpose(*axes) if order == "K" else flat.reshape(shape, order=order)


def _scalar(dtype, data):
    data = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(data, dtype.value, count=1)[0] if dtype.value.itemsize else dtype.value.type()


def _encode(text, encoding):
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"the encoding {brief(encoding)}")
    return text.encode("latin1")


def _bytearray(*content):
    return bytearray(_encode(*content) if len(content) == 2 else b"".join(content))  # a number would be a length


def _storage(data):
    import torch  # few feature files hold tensors

    with warnings.catch_warnings(action="ignore"):  # torch's storages with a dtype are deprecated
        try:
            storage = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
        except pickle.UnpicklingError as error:
            name = re.search(r"GLOBAL ([\w.]{1,200})", str(error))
            raise (_Refused(name[1]) if name else error) from None
        return _Storage(torch.empty(0, dtype=storage.dtype).set_(storage.untyped()))


def _tensor(storage, offset, size, stride, *_):
    import torch

    if type(storage) is not _Storage:
        raise _Refused("a tensor of something else than a storage")
    _check_size(size, storage.flat.numel())
    tensor = storage.flat.as_strided(size, stride, offset)  # torch refuses what lies outside of it
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # numpy knows no bfloat16


_ALLOWED: dict[str, Any] = {
    "numpy.ndarray": _ndarray,
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.storage._load_from_bytes": _storage,
    "_codecs.encode": _encode,
    "collections.OrderedDict": dict,
    "collections.defaultdict": lambda factory=None: {},
    "builtins.bytearray": _bytearray,
    "builtins.bytes": lambda: b"",  # so older protocols write an empty one
    **{f"builtins.{kind.__name__}": kind for kind in (set, frozenset, complex, list, dict, tuple)},
}
_ALLOWED = {name: _Function(function) for name, function in _ALLOWED.items()}
