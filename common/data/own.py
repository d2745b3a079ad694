"""Own conversations: a Corpus in one file, which `python -m common build` writes and the scripts read."""

from pathlib import Path

import numpy as np

from common.data import DATASETS, cache
from common.data.corpus import SPLITS, Corpus
from common.errors import InputError

FILE = "corpus.npz"


def read_own(folder: str | Path) -> Corpus | None:
    """The Corpus that `write_own` put into `folder`; None where there is none.

    Utterances without a label have -1; modalities that are missing have width 0. Raises InputError for a damaged file.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    corpus = cache.load(path, None)
    if corpus is None or not _holds_together(corpus):
        raise InputError(f"{path}: damaged, or no file of python -m common build; build it again")
    return corpus


def write_own(corpus: Corpus, folder: str | Path) -> Path:
    """Write `corpus` into `folder`, which is made; returns the file. Raises InputError where there is one already."""
    path = Path(folder) / FILE
    if path.exists():
        raise InputError(f"{path}: exists already and is not overwritten; remove it or choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    cache.save(corpus, None, path)
    return path


def _holds_together(corpus):
    """Whether sizes and positions fit each other, as those of a foreign file may not."""
    try:
        count, dialogues, used = corpus.offset[-1], len(corpus.ids), [i for s in SPLITS for i in corpus.splits[s]]
        return bool(
            corpus.name not in DATASETS
            and corpus.offset[0] == 0
            and (corpus.lengths > 0).all()
            and len(corpus.offset) == dialogues + 1
            and used == list(range(dialogues))
            and all(f.dtype == np.float32 and f.shape == (count, f.shape[1]) for f in corpus.features.values())
            and all(np.isfinite(values).all() for values in corpus.features.values())
            and all(a.dtype == np.int64 and a.shape == (count,) for a in (corpus.label, corpus.speaker))
            and -1 <= corpus.label.min() <= corpus.label.max() < len(corpus.classes)
            and 0 <= corpus.speaker.min() <= corpus.speaker.max() < len(corpus.speakers)
            and len(corpus.sentences) in (0, count)
            and all(isinstance(name, str) for name in (*corpus.ids, *corpus.classes, *corpus.speakers))
        )
    except (TypeError, ValueError, AttributeError, LookupError):
        return False
