"""A compact copy of a Corpus, rebuilt when its sources change.

One uncompressed .npz per dataset, beside the sources or, where that folder is not writable, in the user's cache
folder. It carries checksums (the zip format's), so a damaged copy is noticed and rebuilt.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from common.data.corpus import FEATURES, Corpus
from common.errors import InputError
from common.files import atomic, sha256

VERSION = 3  # of the content; raise it when a reader changes what it makes of the same files


def cached(read: Callable[[Path], Corpus], folder: str | Path, files: Sequence[str]) -> tuple[Corpus, str]:
    """The Corpus that `read(folder)` makes of `files` (names in `folder`), from its cache where that still holds.

    A cache holds as long as size and change times of all sources stay what they were when they were read. Several
    processes may build it at once: each writes a file of its own and moves it into place. Returns the Corpus and
    where it came from, in words. Raises InputError as `read` does, and where a source changes while it is read.
    """
    folder = Path(folder).resolve()
    state = _state(folder, files)
    for path in _places(folder):
        corpus = load(path, state)
        if corpus is not None:
            return corpus, f"cache {path}"
    corpus = read(folder)
    corpus.sources.update({name: sha256(folder / name) for name in files})
    if _state(folder, files) != state:
        raise InputError(
            f"{folder}: the files changed while they were read; wait until they are complete and run again"
        )
    for path in _places(folder):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(corpus, state, path)
            return corpus, f"the feature files; next time from cache {path}"
        except OSError:
            continue
    return corpus, "the feature files; no cache, because no folder for it is writable"


def _places(folder):
    yield folder / "corpus_cache.npz"
    user = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    yield user / "ecerc" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}.npz"


def _state(folder, files):
    stats = {name: (folder / name).stat() for name in files}
    return {"version": VERSION, "files": {n: [s.st_size, s.st_mtime_ns, s.st_ctime_ns] for n, s in stats.items()}}


def save(corpus: Corpus, state: dict | None, path: str | Path) -> None:
    """Write `corpus` to `path`, and the `state` of what it was made of."""
    values = {f.name: getattr(corpus, f.name) for f in fields(Corpus)}
    values |= values.pop("features")
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in values.items() if name not in arrays}
    header = np.frombuffer(json.dumps({"state": state, "arrays": list(arrays), "rest": rest}).encode(), np.uint8)
    contents: dict[str, Any] = {"header": header} | arrays
    with atomic(path, "wb") as file:
        np.savez(file, **contents)


def load(path: str | Path, state: dict | None) -> Corpus | None:
    """The Corpus in `path`, or None where there is none for this state of the sources, or a damaged one."""
    found = stored(path, lambda written: written == state)
    return found and found[0]


def stored(path: str | Path, wanted: Callable[[dict | None], bool] = lambda state: True) -> tuple[Corpus, Any] | None:
    """The Corpus in `path` and its state, or None where there is none in a state that is `wanted`, or a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if any(part.compress_type for part in archive.zip.infolist()):  # we write none, and it could hold anything
                return None
            header = json.loads(archive["header"].tobytes())
            if not wanted(header["state"]):
                return None
            arrays = {name: archive[name] for name in header["arrays"]}
        missing = np.zeros((len(arrays["label"]), 0), np.float32)  # a modality that was unknown when it was written
        features = {name: arrays.pop(name, missing) for name in FEATURES}
        return Corpus(features=features, **arrays, **header["rest"]), header["state"]
    except Exception:  # a damaged file can raise nearly anything
        return None
