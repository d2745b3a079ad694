"""What feature files and a Corpus hold, as figures that can be put beside those that were published."""

from pathlib import Path

import numpy as np

from common.batching.packing import without_history
from common.data import feature_pickle
from common.data.corpus import SPLITS, Corpus
from common.data.fields import as_float32, is_list
from common.errors import InputError

REPEAT = 5  # IEMOCAP and MELD have four utterances in a row in two splits, as scripts repeat, but not so many


def file_fields(path: str | Path, names: dict[int, str]) -> list[dict]:
    """A row per field of the pickle `path`: what it `holds` (`names`, by position), `dialogues`, `utterances`, their
    `entries` (dtype × width), and how many numbers are `NaN` or `Inf`. Raises InputError as `feature_pickle.load`.
    """
    content = feature_pickle.load(path)
    if not isinstance(content, tuple | list):
        raise InputError(f"{path}: found a {type(content).__name__}; expected a tuple of fields; get the file again")
    with np.errstate(over="ignore"):  # of what is too large for float32, which counts as Inf
        return [{"field": k, "holds": names.get(k, "(not read)")} | _field(value) for k, value in enumerate(content)]


def _field(value):
    if not isinstance(value, dict):
        several = isinstance(value, list | tuple | set | frozenset)
        entries = f"{type(value).__name__}: {_kinds(map(_kind, value))}" if several else _kind(value)
        count = len(value) if several else None
        return {"dialogues": count, "utterances": None, "entries": entries, "NaN": None, "Inf": None}
    entries = [entry for row in value.values() for entry in (row if is_list(row) else [row])]
    figures = {"dialogues": len(value), "utterances": len(entries), "entries": _kinds(map(_kind, entries))}
    nan = infinite = None  # no numbers
    for entry in (e for e in entries if not isinstance(e, str)):
        try:
            numbers = as_float32(entry)
        except (TypeError, ValueError, OverflowError):
            continue
        nan = (nan or 0) + int(np.isnan(numbers).sum())
        infinite = (infinite or 0) + int(np.isinf(numbers).sum())
    return figures | {"NaN": nan, "Inf": infinite}


def _kinds(kinds):
    kinds = sorted(set(kinds))
    return ", ".join(kinds if len(kinds) < 4 else [*kinds[:3], f"{len(kinds) - 3} more kinds"])


def _kind(entry):
    if isinstance(entry, np.ndarray):
        return " × ".join(map(str, (entry.dtype, *entry.shape)))
    if isinstance(entry, list | tuple):
        kinds = sorted(kind.__name__ for kind in set(map(type, entry)))
        return f"list of {'/'.join(kinds) or 'nothing'} × {len(entry)}"
    return type(entry).__name__


def corpus_facts(corpus: Corpus) -> dict[str, float]:
    """The figures that `published.FACTS` has, and more: name to figure."""
    rows = {split: corpus.rows(split) for split in SPLITS}
    test = corpus.splits["test"]
    no_self, no_cross = without_history(corpus.speaker[rows["test"]], corpus.lengths[test])
    facts: dict[str, float] = {f"dialogues, {split}": len(corpus.splits[split]) for split in SPLITS}
    facts |= {f"utterances, {split}": len(rows[split]) for split in SPLITS}
    facts["utterances, train and valid"] = len(rows["train"]) + len(rows["valid"])
    facts["longest dialogue"] = int(corpus.lengths.max())
    for words, empty in (("the speaker (self)", no_self), ("others (cross)", no_cross)):
        facts[f"% of test without earlier turn of {words}"] = round(100 * float(np.concatenate(empty).mean()), 1)
    facts["speakers"] = len(np.unique(corpus.speaker))
    return facts


def feature_facts(corpus: Corpus) -> list[dict]:
    """A row per kind of feature: its `width`; columns that are `constant`; columns that are not, but `duplicated`, the
    same as one before them; utterances for which it is `blank`, all zero.
    """
    rows = []
    for name, values in corpus.features.items():
        constant = values.min(axis=0) == values.max(axis=0)
        varying = {column.tobytes() for column in values.T[~constant]}
        row = {"feature": name, "width": values.shape[1], "constant": int(constant.sum())}
        row |= {"duplicated": int((~constant).sum()) - len(varying), "blank": int((~values.any(axis=1)).sum())}
        rows.append(row)
    return rows


def class_counts(corpus: Corpus) -> dict[str, list[int]]:
    """Utterances per class, of each split and of all."""
    counts = {s: np.bincount(corpus.label[corpus.rows(s)], minlength=len(corpus.classes)).tolist() for s in SPLITS}
    return counts | {"all": np.sum(list(counts.values()), axis=0).tolist()}


def repeats(corpus: Corpus) -> list[str]:
    """Places where REPEAT utterances in a row have the same features as in a dialogue of another split, in words.

    Shorter repetitions occur in IEMOCAP and MELD: actors play the same script, an episode recalls the last one.
    """
    if not any(values.any() for values in corpus.features.values()):
        return []
    utterance = [
        hash(b"".join(values[u].tobytes() for values in corpus.features.values())) for u in range(len(corpus.label))
    ]
    first: dict[tuple, tuple[str, int]] = {}
    pairs = []
    for split in SPLITS:
        for d in corpus.splits[split]:
            for u in range(corpus.offset[d], corpus.offset[d + 1] - REPEAT + 1):
                at = first.setdefault(tuple(utterance[u : u + REPEAT]), (split, d))
                if at[0] != split:
                    pairs.append(f"dialogue {corpus.ids[d]!r} of {split} and {corpus.ids[at[1]]!r} of {at[0]}")
    return list(dict.fromkeys(pairs))
