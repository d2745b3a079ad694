"""Feature arrays of the user: .npy files with a row per utterance."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import HEAD, mistaken_for

_OTHERS = {  # how files begin that are taken for .npy files
    b"PK": "a zip archive, such as a .npz or PyTorch file; save the array in it alone, with np.save",
    b"\x80": "a pickle; save the array in it alone, with np.save",
}


def read_features(paths: Sequence[Path], counts: Sequence[int], of: str) -> np.ndarray:
    """The array in one .npy file, or those in several one below the other, as float32 (U, width).

    `counts`: rows of each part of the utterances, which stand in the files `of`; there is one .npy file for all of
    them, or one for each. Raises InputError for files that are missing, or do not hold such arrays.
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
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


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
    with np.errstate(over="ignore"):
        values = np.array(values, np.float32, order="C")
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values).all(1)))
        raise InputError(f"{path}: NaN, infinity, or beyond float32 in row {at} (from 0); expected finite numbers")
    return values
