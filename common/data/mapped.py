"""Features larger than memory: read and written in blocks, kept as .npy files that are mapped into memory.

A file is checked as a whole, its SHA-256 and that all numbers are finite, when it is written and whenever its size or
times are not those that it had then; `CHECKED` remembers these. So it is not read through each time it is opened.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError
from common.files import atomic, sha256

CHECKED = "corpus_checked.json"  # file to its size and times when it was checked
BLOCK = 2**22  # bytes that are worked on at a time
_NAME = re.compile(r"[a-z]+-[0-9a-f]{12}\.npy")
_MEND = "restore it, or build again"


def blocks(count: int, width: int) -> Iterator[slice]:
    """`count` float32 rows of `width` numbers in parts of at most BLOCK bytes, at least one row each."""
    step = max(1, BLOCK // (4 * max(1, width)))
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


def is_mapped(values: np.ndarray) -> bool:
    """Whether `values` are a map of a file that nobody writes to: checked when it was opened, and not in memory."""
    return isinstance(values, np.memmap) and not values.flags.writeable


def not_finite(values: np.ndarray) -> int | None:
    """The first row of `values` (U, width) that holds NaN or infinity; None where there is none."""
    for part in blocks(*values.shape):
        finite = np.isfinite(values[part]).all(1)
        if not finite.all():
            return part.start + int(finite.argmin())
    return None


def write_arrays(features: Mapping[str, np.ndarray], folder: Path) -> dict[str, dict]:
    """Write features, kind to float32 (U, width), as files in `folder`; returns what `map_arrays` needs to know.

    A file is named by its kind and content, so none that is in use changes. An array that serves as two kinds is
    written once, one without columns not at all. Raises InputError for numbers that are not finite, and leaves nothing
    where it ends early.
    """
    written: dict[int, dict] = {}
    new: list[tuple[Path, str]] = []
    kinds = {kind: values for kind, values in features.items() if values.shape[1]}
    try:
        for kind, values in kinds.items():
            if id(values) not in written:
                part = folder / f".{kind}.new"
                digest = _write(kind, values, part)
                written[id(values)] = {"file": f"{kind}-{digest[:12]}.npy", "sha256": digest}
                new.append((part, written[id(values)]["file"]))
        for part, name in new:
            os.replace(part, folder / name)
    finally:
        for part, _ in new:
            part.unlink(missing_ok=True)
    return {kind: written[id(values)] for kind, values in kinds.items()}


def _write(kind, values, path):
    """Write `values` as .npy; returns the SHA-256 of the file."""
    digest = hashlib.sha256()
    with atomic(path, "wb") as file:
        for content in _contents(kind, values):
            file.write(content)
            digest.update(content)
    return digest.hexdigest()


def _contents(kind, values):
    head = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_1_0(head, about)
    yield head.getvalue()
    for part in blocks(*values.shape):
        block = np.ascontiguousarray(values[part], "<f4")
        if (row := not_finite(block)) is not None:
            row += part.start
            raise InputError(f"{kind} features of row {row} (from 0) hold NaN or infinity; expected finite numbers")
        yield block.data


def map_arrays(entries: Mapping[str, dict], folder: Path, count: int) -> dict[str, np.ndarray]:
    """The features that `write_arrays` wrote into `folder`, kind to float32 (`count`, width), as maps that only read.

    `entries`: what it returned, or what a foreign file says. Raises InputError for a file that is missing, or is not as
    it was written.
    """
    known, checked = _checked(folder), {}
    maps: dict[str, np.ndarray] = {}
    for kind, entry in entries.items():
        name, digest = entry["file"], entry["sha256"]
        if name not in files_of(entries):
            raise ValueError(f"{kind}: {name!r} is no name of a file of features")
        if name not in maps:
            maps[name] = _map(folder / name, kind, count)
            checked[name] = _state(folder / name)
            if known.get(name) != checked[name]:
                _check(folder / name, maps[name], digest)
    if checked != known:
        remember(checked, folder)
    return {kind: maps[entry["file"]] for kind, entry in entries.items()}


def files_of(entries: Mapping[str, dict]) -> set[str]:
    """The names of the files of `entries`; whatever is no name that `write_arrays` gives is left out."""
    return {entry["file"] for entry in entries.values() if _NAME.fullmatch(entry["file"])}


def _map(path, kind, count):
    try:
        values = np.lib.format.open_memmap(path, mode="r")  # mapped: a header cannot ask for more than is there
    except FileNotFoundError:
        raise InputError(f"{path}: missing, the {kind} features of this dataset; {_MEND}") from None
    except Exception as error:  # a damaged header can raise nearly anything
        raise InputError(f"{path}: damaged or incomplete ({error}); {_MEND}") from None
    if values.dtype != np.float32 or values.ndim != 2 or len(values) != count or not values.flags.c_contiguous:
        found = f"{values.dtype} of shape {values.shape}"
        raise InputError(f"{path}: found {found}; expected float32 of shape ({count}, width); {_MEND}")
    return values


def _check(path, values, digest):
    """Raises InputError where the file does not have this SHA-256, or holds numbers that are not finite."""
    if sha256(path) != digest:
        raise InputError(f"{path}: damaged, or another file than was built; {_MEND}")
    if (row := not_finite(values)) is not None:
        raise InputError(f"{path}: NaN or infinity in row {row} (from 0); expected finite numbers; {_MEND}")


def state_of(entries: Mapping[str, dict], folder: Path) -> dict[str, list[int]]:
    """Of each file of `entries` its size and times, which change when anybody writes to it."""
    return {entry["file"]: _state(folder / entry["file"]) for entry in entries.values()}


def _state(path):
    about = path.stat()
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns]


def remember(checked: Mapping[str, list[int]], folder: Path) -> None:
    """Note that files in `folder` are as they should be while they have these states; where nobody may write there,
    they are checked again each time.
    """
    with suppress(OSError), atomic(folder / CHECKED) as file:
        json.dump(checked, file)


def _checked(folder) -> dict[str, Any]:
    try:
        content = json.loads((folder / CHECKED).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
