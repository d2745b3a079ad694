"""Groups of utterances: where they stand, what came before them, whether the emotion shifts.

U utterances of a split.
"""

from typing import Any

import numpy as np

from common.data.corpus import Corpus

_FIRST = (1, 2, 3, 4, 6, 11, 21, 41)  # turns that begin the groups by position
_POSITIONS = ["turn 1", "turn 2", "turn 3", "turns 4 to 5", "turns 6 to 10", "turns 11 to 20", "turns 21 to 40"]
_POSITIONS += ["turn 41 and later"]
_COUNTS = ["none", "1", "2", "3 and more"]
_SHIFTS = {"speaker's first": "first turn", "same emotion": False, "other emotion": True, "not known": "unknown"}


def groups_of(corpus: Corpus, split: str) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The tables of groups of a split, each with `title`, `what` and the names of its `rows`; and which row each
    utterance is in, (U, tables).

    Utterances whose label is not known are in no group, -1, but in the history of others. Rows without any utterance
    are left out.
    """
    label = corpus.label[corpus.rows(split)]
    position, by_speaker, by_other, shift = [], [], [], []
    for dialogue in corpus.splits[split]:
        rows = np.arange(corpus.offset[dialogue], corpus.offset[dialogue + 1])
        seen: dict[int, tuple[int | None, int]] = {}  # speaker to the previous label, and how many turns came before
        for turn, (who, what) in enumerate(zip(corpus.speaker[rows], corpus.label[rows], strict=True)):
            before, count = seen.get(who, (None, 0))
            position.append(turn + 1)
            by_speaker.append(count)
            by_other.append(turn - count)
            shift.append("first turn" if before is None else "unknown" if before < 0 else before != what)
            seen[who] = what, count + 1
    tables, places = [], []
    for title, what, names, row_of in (
        (
            "position in the dialogue",
            "Turns, counted from the first.",
            _POSITIONS,
            np.searchsorted(_FIRST, position, side="right") - 1,
        ),
        (
            "own history",
            "Earlier turns of the same speaker: what self emotion looks at.",
            _COUNTS,
            np.minimum(by_speaker, 3),
        ),
        (
            "history of others",
            "Earlier turns of anybody else: what the two cross routes look at.",
            _COUNTS,
            np.minimum(by_other, 3),
        ),
        (
            "emotion shift",
            "Whether the true emotion is that of the speaker's previous turn.",
            [*_SHIFTS],
            [[*_SHIFTS.values()].index(value) for value in shift],
        ),
    ):
        at = np.array(row_of, np.int64)
        at[label < 0] = -1
        kept = np.unique(at[at >= 0])
        tables.append({"title": title, "what": what, "rows": [names[row] for row in kept]})
        places.append(np.where(at < 0, -1, np.searchsorted(kept, at)))
    return tables, np.stack(places, 1)
