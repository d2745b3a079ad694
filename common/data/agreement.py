"""What stands twice in released files has to agree: labels, speakers and sentences of the same turns, and splits.

Otherwise features would be taken for those of other turns. What a file does not hold is not compared. U utterances,
dialogue after dialogue.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from common.data.fields import FeatureFile
from common.data.text import repaired
from common.errors import brief

ENOUGH = 1000  # letters of a sentence: a file could hold one long sentence a million times


def hold_against(
    file: FeatureFile, known: dict[str, Sequence], ids: list, lengths: list[int], classes: list[str], source: str
) -> None:
    """Raises InputError, naming dialogue and turn, where fields of `file` contradict `known`: labels (U,), speakers, U
    entries, and sentences, U strings, as they stand in the file `source`.

    Speakers are equal where both files use the same names, else one to one within each dialogue. Sentences may be
    written differently, but two that are not empty have a word in common.
    """
    for position, what in file.names.items():
        if what not in known or not file.is_table(position):
            continue
        found: Any
        if what == "labels":
            found, differ = file.labels(position, ids, classes, lengths)[0], unequal
        elif what == "speakers":
            found = file.entries(position, ids, lengths)
            differ = unequal if set(found) == set(known[what]) else another
        else:
            rows = file.table(position, ids, lengths)
            found = [repaired(entry[:ENOUGH]) if isinstance(entry, str) else "" for row in rows for entry in row]
            differ = no_word_in_common
        require(file, position, ids, lengths, found, known[what], differ, source)


def require(
    file: FeatureFile,
    position: int,
    ids: list,
    lengths: list[int],
    found: Sequence,
    known: Sequence,
    differ: Callable[[Sequence, Sequence], int | None],
    source: str,
) -> None:
    """Raises InputError where `found` in the field at `position` and what is `known` from `source`, both U long, do not
    agree. `differ`: of two columns of a dialogue, the first turn that tells them apart, or None.
    """
    end = 0
    for i, n in zip(ids, lengths, strict=True):
        theirs, ours = found[end : end + n], known[end : end + n]
        turn = differ(theirs, ours)
        if turn is not None:
            what = f"{_said(theirs[turn])} in turn {turn} (from 0)"
            raise file.error(position, what, f"{_said(ours[turn])} as in {source}", i)
        end += n


def require_splits(file: FeatureFile, train: list, test: list, source: str) -> None:
    """Raises InputError where a list of ids in `file` has some of `train` and some of `test`, splits of `source`."""
    for position in (k for k, what in file.names.items() if what.endswith(" ids")):
        listed = file.listed(position)
        mixed = [i for i in test if i in listed]
        if mixed and listed & set(train):
            raise file.error(position, "it beside training dialogues", f"it in the test split as in {source}", mixed[0])


def unequal(theirs: Sequence, ours: Sequence) -> int | None:
    """The first turn with different entries."""
    return next((t for t, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b), None)


def another(theirs: Sequence, ours: Sequence) -> int | None:
    """The first turn at which a speaker of one column stands for two of the other; None in `theirs` is anybody."""
    there: dict = {}
    back: dict = {}
    for t, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        if a is not None and (there.setdefault(a, b) != b or back.setdefault(b, a) != a):
            return t
    return None


def no_word_in_common(theirs: Sequence[str], ours: Sequence[str]) -> int | None:
    """The first turn with two sentences that have words, but none in common."""
    for t, pair in enumerate(zip(theirs, ours, strict=True)):
        a, b = (set(re.findall(r"[^\W_]+", text[:ENOUGH].casefold())) for text in pair)
        if a and b and not a & b:
            return t
    return None


def _said(entry):
    entry = entry[0] if isinstance(entry, tuple) and len(entry) == 1 else entry
    return brief(entry.item() if hasattr(entry, "item") else entry)
