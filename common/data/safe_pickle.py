"""Reads feature pickles without running code from them.

A pickle names the functions that rebuild its objects. Here a name is looked up in one short table of functions that
build numpy arrays and scalars, torch tensors and builtin containers, and nothing else; any other name is refused.
"""

import gc
import math
import re
from pathlib import Path

import numpy as np

from common.data import torch_file
from common.data.unpickler import Refused, Stateful, Unpickler, key
from common.errors import InputError, brief
from common.files import HEAD, mistaken_for


def load(path: str | Path) -> object:
    """The object in the pickle `path`, any protocol, Python 2 strings read as latin-1.

    Dictionaries of all kinds come as plain ones. Memory: numpy arrays take what they take in the file. Nested Python
    float lists take 32 bytes a number (the file has 9), so such a file needs about 3.6 times its size until it is
    turned into an array.

    Raises InputError, naming the file, where it is missing, truncated, not a pickle, or names anything but numpy
    arrays and scalars, torch tensors, and builtin containers.
    """
    collecting = gc.isenabled()
    gc.disable()  # nothing here is cyclic; the collector would visit millions of numbers again and again
    try:
        with open(path, "rb", buffering=2**15) as file:
            head = file.read(HEAD)
            zipped = "a zip archive, such as a checkpoint" if head.startswith(b"PK\x03\x04") else None
            if instead := mistaken_for(head) or zipped:
                raise InputError(f"{path}: not a complete pickle but {instead}; get the file again from its source")
            file.seek(0)
            return Unpickler(file, Path(path).stat().st_size, _ALLOWED).load()
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); check the path and its rights") from None
    except Refused as refusal:
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
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InputError(f"{path}: not a complete pickle ({reason}); get the file again from its source") from None
    finally:
        if collecting:
            gc.enable()


class _Dtype(Stateful):
    """numpy.dtype in a pickle: a name such as 'f4' and, as its state, a byte order."""

    def __init__(self, name):
        if not isinstance(name, str) or not re.fullmatch(r"[<>|=]?([biufSU]\d{1,6}|O8?|\?)", name):
            raise Refused(f"numpy dtype {brief(name)}")
        self._name, self._order = name, "="

    def restore(self, state):
        if state[3] is not None or state[2] is not None:
            raise Refused("a structured numpy dtype")
        self._order = state[1]

    def resolve(self):
        dtype = np.dtype(self._name)
        return dtype if self._order == "|" else dtype.newbyteorder(self._order)


class _Array(np.ndarray, Stateful):
    """A numpy array whose pickled state is checked before numpy sees it."""

    def restore(self, state):
        _, shape, dtype, fortran, data = state
        dtype = dtype.resolve()
        if isinstance(data, str):  # protocol 2 of Python 2
            data = data.encode("latin1")
        if type(data) is not (list if dtype.hasobject else bytes):
            raise ValueError(f"an array of {dtype} with a {type(data).__name__} as its content")
        _check_shape(shape, len(data) if dtype.hasobject else len(data) / max(dtype.itemsize, 1))
        super().__setstate__((1, shape, dtype, bool(fortran), data))


def _check_shape(shape, found):
    if type(shape) is not tuple or len(shape) > 32 or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise ValueError(f"array of shape {brief(shape)}")
    # an array without values can be as long as it likes to the outside
    if found != math.prod(shape) or math.prod(n or 1 for n in shape) > max(found, 2**16):
        raise ValueError(f"array of shape {brief(shape)} with {found:g} values")


def _reconstruct(kind, *_):
    if kind is not _ndarray:
        raise Refused(f"an array of class {brief(kind)}")
    return np.ndarray.__new__(_Array, (0,), "b")


def _frombuffer(data, dtype, shape, order, *axes):
    if type(data) not in (bytes, bytearray):
        raise Refused(f"an array in a {type(data).__name__}")
    flat = np.frombuffer(data, dtype.resolve())
    _check_shape(shape, flat.size)
    if order == "K":  # contiguous in an order of axes of its own
        return flat.reshape(shape).transpose(*axes)
    return flat.reshape(shape, order=order)


def _scalar(dtype, data):
    if isinstance(data, str):
        data = data.encode("latin1")
    dtype = dtype.resolve()
    if type(data) is not bytes or len(data) != dtype.itemsize:
        raise ValueError(f"a {dtype} in a {type(data).__name__}")
    return np.frombuffer(data, dtype, count=1)[0] if dtype.itemsize else dtype.type()  # '' takes no bytes


def _encode(text, encoding):
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"the encoding {brief(encoding)}")
    return text.encode("latin1")


def _bytearray(content=b"", *encoding):
    content = _encode(content, *encoding) if encoding else content
    if not isinstance(content, bytes):
        raise Refused(f"a bytearray from a {type(content).__name__}")  # a number would be a length
    return bytearray(content)


def _set_of(kind):
    return lambda content=(): kind(map(key, content))


def _empty_bytes():
    return b""


def _default(factory=None):
    return {}


def _complex(real, imaginary):
    return complex(float(real), float(imaginary))


def _dtype(name, *_):
    return _Dtype(name)


def _ndarray(*_):
    raise Refused("a call of numpy.ndarray")


def _no_call(*_):
    raise Refused("a call of a builtin type")


_ALLOWED = {
    "numpy.ndarray": _ndarray,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "_codecs.encode": _encode,
    "torch._utils._rebuild_tensor_v2": torch_file.tensor,
    "torch.storage._load_from_bytes": torch_file.load,
    "collections.OrderedDict": torch_file.ordered,
    "collections.defaultdict": _default,
    "builtins.set": _set_of(set),
    "builtins.frozenset": _set_of(frozenset),
    "builtins.bytearray": _bytearray,
    "builtins.bytes": _empty_bytes,
    "builtins.complex": _complex,
    **{f"builtins.{name}": _no_call for name in ("list", "dict", "tuple")},  # as the factory of a defaultdict
}
