"""The table of a Source, from rows as a reader finds them."""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from common.features.sources.source import Missing
from common.settings import SPLITS

_TEXTS = ("dialogue", "speaker", "sentence", "label", "split", "audio", "video", "side")
_KINDS = {"number": np.int64, "start": np.float64, "end": np.float64, "whole": bool, **dict.fromkeys(_TEXTS, object)}
_UNKNOWN = dict.fromkeys(_TEXTS, "") | {"split": "test", "start": np.nan, "end": np.nan, "whole": False}


def arranged(table: pd.DataFrame) -> pd.DataFrame:
    """`table`, with dialogue, number and speaker, as a Source has it: what it lacks of the other columns is unknown.

    Dialogues of a split stay in the order in which they begin. Paths become absolute, for processes elsewhere.
    """
    table = table.assign(**{name: value for name, value in _UNKNOWN.items() if name not in table})
    dialogue = table.dialogue.map({d: k for k, d in enumerate(table.dialogue.unique())})
    order = np.lexsort([table.number, dialogue, table.split.map(SPLITS.index)])
    for name in ("audio", "video"):
        table[name] = [os.path.abspath(path) if path else "" for path in table[name]]
    columns = [*_KINDS, *(["sentiment"] if "sentiment" in table else [])]
    return table.iloc[order][columns].reset_index(drop=True).astype(_KINDS)


def lacking(table: pd.DataFrame, column: str, reason: str, modalities: Sequence[str]) -> list[Missing]:
    """For each row of `table` without text in `column`, and each of `modalities`: that it lacks it, and why."""
    rows = table[table[column] == ""]
    return [Missing(r.dialogue, int(r.number), m, reason) for r in rows.itertuples() for m in modalities]


def some(names: Sequence[object], most: int = 5) -> str:
    """The first `most` of `names`, and how many more there are, for a note."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
