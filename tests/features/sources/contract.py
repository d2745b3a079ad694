"""What holds of every Source, whatever it was read from."""

from pathlib import Path

import numpy as np

from common.settings import SPLITS

COLUMNS = {
    "number",
    "speaker",
    "dialogue",
    "sentence",
    "label",
    "split",
    "audio",
    "video",
    "side",
    "start",
    "end",
    "whole",
}


def kept(source):
    """`source`, which is as common.features.sources.source says."""
    table = source.table
    assert set(table) - {"sentiment"} == COLUMNS
    assert (table.index == np.arange(len(table))).all()
    for name in table:
        kind = {"number": np.int64, "start": np.float64, "end": np.float64, "whole": np.bool_}.get(name, str)
        assert all(isinstance(value, str) for value in table[name]) if kind is str else table[name].dtype == kind, name
    order = [SPLITS.index(split) for split in table.split]
    assert order == sorted(order)
    dialogues = (table.dialogue != table.dialogue.shift()).sum()
    assert dialogues == table.dialogue.nunique() == len(table[["dialogue", "split"]].drop_duplicates())
    assert not table.duplicated(["dialogue", "number"]).any()
    assert (table.groupby("dialogue").number.diff().dropna() > 0).all()
    assert set(table.label) <= {"", *source.classes}
    assert set(table.side) <= {"", "left", "right"}
    for path in {*table.audio, *table.video} - {""}:
        assert Path(path).is_absolute(), path
        assert Path(path).is_file(), path
    rows = set(zip(table.dialogue, table.number, strict=True))
    assert len(set(source.missing)) == len(source.missing)
    for missing in source.missing:
        assert (missing.dialogue, missing.utterance) in rows
        assert missing.modality in ("text", "audio", "visual")
        assert missing.reason
    utterances = source.utterances("visual")
    assert [u.number for u in utterances] == table.number.tolist()
    assert all("\n" not in note and note.endswith(".") for note in source.notes)
    assert all(path.is_file() for path in source.files)
    return source
