"""Feature arrays of the user: .npy files with a row per utterance."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.data.mapped import blocks, not_finite
from common.errors import InputError
from common.files import HEAD, mistaken_for

_OTHERS = {  # how files begin that are taken for .npy files
    b"PK": "a zip archive, such as a .npz or PyTorch file; save the array in it alone, with np.save",
    b"\x80": "a pickle; save the array in it alone, with np.save",
}


def read_features(
    paths: Sequence[Path],
    counts: Sequence[int],
    of: str,
    order: np.ndarray | None = None,
    scratch: Path | None = None,
) -> np.ndarray:
    """The array in one .npy file, or those in several one below the other, as float32 (U, width).

    `counts`: rows of each part of the utterances, which stand in the files `of`; there is one .npy file for all of
    them, or one for each. `order`: (U,) which row comes first, and so on (default: as they stand). `scratch`: a folder;
    then the array is not in memory, but a map of the file itself or of a nameless one there. Raises InputError for
    files that are missing, or do not hold such arrays.
    """
    if len(paths) == 1:
        counts = [sum(counts)]
    if len(paths) != len(counts):
        expected = f"one, or one for each of {of}" if len(counts) > 1 else "one"
        raise InputError(f"{paths[0]}: found {len(paths)} files; expected {expected}")
    arrays = [_array(path, count, of) for path, count in zip(paths, counts, strict=True)]
    for path, array in zip(paths, arrays, strict=True):
        if array.shape[1] != arrays[0].shape[1]:
            expected = f"expected {arrays[0].shape[1]} as in {paths[0]}"
            raise InputError(f"{path}: found features of width {array.shape[1]}; {expected}")
    for path, array in zip(paths, arrays, strict=True):
        _check_finite(path, array)
    shape = sum(map(len, arrays)), arrays[0].shape[1]
    parts = (_float32(_rows(arrays, part, order)) for part in blocks(*shape))
    if scratch is None:
        joined = np.empty(shape, np.float32)
        for part, block in zip(blocks(*shape), parts, strict=True):
            joined[part] = block
        return joined
    if len(arrays) == 1 and order is None and arrays[0].dtype == np.float32 and arrays[0].flags.c_contiguous:
        return arrays[0]
    with tempfile.TemporaryFile(dir=scratch) as file:
        for block in parts:
            file.write(np.ascontiguousarray(block).data)
        file.flush()
        return np.memmap(file, np.float32, "r", shape=shape)


def _rows(arrays, part, order):
    """Some rows of `arrays`, one below the other, of one width."""
    if len(arrays) == 1:
        return arrays[0][part if order is None else order[part]]
    rows = np.arange(part.start, part.stop) if order is None else order[part]
    starts = np.cumsum([0, *map(len, arrays)])
    block = np.empty((len(rows), arrays[0].shape[1]), np.float32)
    for first, array in zip(starts, arrays, strict=False):
        inside = (rows >= first) & (rows < first + len(array))
        block[inside] = _float32(array[rows[inside] - first])
    return block


def _float32(values):
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def _check_finite(path, values):
    for part in blocks(*values.shape):
        if (row := not_finite(_float32(values[part]))) is not None:
            found = f"NaN, infinity, or beyond float32 in row {part.start + row} (from 0)"
            raise InputError(f"{path}: {found}; expected finite numbers")


def _array(path, count, of):
    expected = f"expected a .npy file with numbers, ({count}, width)"
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
        if not head.startswith(b"\x93NUMPY"):
            found = next((what for mark, what in _OTHERS.items() if head.startswith(mark)), "another kind of file")
            raise InputError(f"{path}: found {mistaken_for(head, text=True) or found}; {expected}")
        values = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header cannot ask for more than is there
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {expected}") from None
    except InputError:
        raise
    except Exception as error:  # a damaged header can raise nearly anything
        reason = "Python objects in it" if "Python objects" in str(error) else f"damaged or incomplete ({error})"
        mend = 'save it with np.save(path, np.asarray(values, "float32"))'
        raise InputError(f"{path}: not readable as .npy, {reason}; {expected}; {mend}") from None
    if values.ndim != 2 or not values.shape[1] or values.dtype.kind not in "fiu":
        raise InputError(f"{path}: found {values.dtype} of shape {values.shape}; {expected}")
    if len(values) != count:
        turned = "; transpose it" if values.shape[1] == count else ""
        raise InputError(f"{path}: found {len(values)} rows; expected {count}, one for each row of {of}{turned}")
    return values
