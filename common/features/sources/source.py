"""Conversations before there are features: what every source gives."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from common.features.extractor import Utterance


class Missing(NamedTuple):
    """A modality ("audio", "visual", "text", or "all") that an utterance lacks, and why, in a few words."""

    dialogue: str
    utterance: int
    modality: str
    reason: str


@dataclass(frozen=True)
class Source:
    """Conversations before there are features.

    `table`: a row per utterance, dialogue after dialogue in the order train, valid, test, utterances by number;
    columns dialogue, speaker, sentence, label ("" where it is not known), split, audio, video, side (str; "" for none),
    number (int64), start, end (float64 seconds; NaN for none), whole (bool), and sentiment (str) where the dataset has
    it. `whole`: `audio` holds this utterance alone, so that start and end are those of `video`.
    `classes`: names of emotions in the order of the labels. `missing`: what is known to be missing before anything is
    extracted. `notes`: what a reader should know, lines. `files`: what all this was read from, media aside.
    """

    name: str
    table: pd.DataFrame
    classes: list[str]
    files: list[Path]
    notes: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    def utterances(self, kind: str) -> list[Utterance]:
        """The rows of the table, in order, for an extractor of that kind, such as "audio"."""

        def path(text):
            return Path(text) if text else None

        def seconds(row, number):
            whole = kind == "audio" and row.whole and row.audio
            return None if whole or pd.isna(number) else float(number)

        return [
            Utterance(
                r.dialogue,
                int(r.number),
                r.sentence,
                path(r.audio),
                path(r.video),
                seconds(r, r.start),
                seconds(r, r.end),
                r.side,
            )
            for r in self.table.itertuples()
        ]
