"""What the two writers of feature pickles share."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

from common.data.corpus import Corpus
from common.errors import InputError
from common.files import atomic


def cut(corpus: Corpus) -> Callable[..., dict]:
    """A function that cuts a flat array (U, …) into a dictionary from dialogue id to a list with one entry each."""

    def per_dialogue(flat, as_list=False):
        pieces = [flat[a:b] for a, b in zip(corpus.offset[:-1], corpus.offset[1:], strict=True)]
        return {i: p.tolist() if as_list else list(p) for i, p in zip(corpus.ids, pieces, strict=True)}

    return per_dialogue


def blank(corpus: Corpus) -> dict:
    """A dictionary from dialogue id to empty strings, one per utterance."""
    return {i: [""] * int(n) for i, n in zip(corpus.ids, corpus.lengths, strict=True)}


def refuse_existing(folder: str | Path, files: Sequence[str]) -> None:
    """Raises InputError where one of `files` is in `folder` already."""
    for path in (Path(folder) / name for name in files):
        if path.exists():
            raise InputError(f"{path}: exists already and is not overwritten; remove it or choose another folder")


def dump(content: object, path: str | Path) -> None:
    """Pickle `content` to `path`, protocol 2 as the release."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path, "wb") as file:
        pickle.dump(content, file, protocol=2)
