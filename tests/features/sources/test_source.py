"""The rows of a Source as extractors see them, and how they are arranged."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.features.extractor import Utterance
from common.features.sources.arrange import arranged, lacking, some
from common.features.sources.source import Missing, Source
from tests.features.sources.contract import kept

ROWS = {"dialogue": ["b", "a", "b", "c"], "number": [5, 1, 2, 0], "speaker": ["Ann", "Bo", "Cem", "Ann"]}


def source_of(**columns):
    return Source("s", arranged(pd.DataFrame(ROWS | columns)), ["joy"], [])


def test_dialogues_are_in_the_order_in_which_they_begin_split_after_split():
    table = kept(source_of(split=["test", "train", "test", "test"])).table
    assert list(zip(table.dialogue, table.number, strict=True)) == [("a", 1), ("b", 2), ("b", 5), ("c", 0)]
    assert table.split.tolist() == ["train", "test", "test", "test"]


def test_what_is_not_given_is_not_known():
    table = kept(source_of()).table
    assert set(table.sentence + table.label + table.audio + table.video + table.side) == {""}
    assert set(table.split) == {"test"}
    assert table.start.isna().all()
    assert not table.whole.any()
    assert kept(source_of()).utterances("text")[0] == Utterance("b", 2, "")


@pytest.mark.parametrize("kind", ["text", "audio", "visual"])
def test_sound_that_is_cut_already_is_not_cut_again(tmp_path, kind):
    (tmp_path / "a.wav").touch()
    (tmp_path / "f.mp4").touch()
    audio, video = str(tmp_path / "a.wav"), str(tmp_path / "f.mp4")
    source = source_of(
        audio=[audio, audio, "", audio],
        video=video,
        start=[1.0, 1.0, 1.0, np.nan],
        end=2.5,
        whole=[True, False, True, True],
    )
    times = {(u.dialogue, u.number): (u.start, u.end) for u in kept(source).utterances(kind)}
    assert times["b", 5] == ((None, None) if kind == "audio" else (1.0, 2.5))
    assert times["a", 1] == (1.0, 2.5)  # of a recording of all
    assert times["b", 2] == (1.0, 2.5)  # of the film, as there is no other sound
    assert times["c", 0] == ((None, None) if kind == "audio" else (None, 2.5))
    assert {type(value) for pair in times.values() for value in pair} <= {float, type(None)}


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").touch()
    (first, *_) = kept(source_of(audio="a.wav")).utterances("audio")
    assert first.audio == tmp_path / "a.wav"
    assert first.video is None


def test_what_rows_lack():
    table = pd.DataFrame(ROWS | {"video": ["", "v", "", "v"]})
    assert lacking(table, "video", "why", ["audio", "visual"]) == [
        Missing("b", number, modality, "why") for number in (5, 2) for modality in ("audio", "visual")
    ]


def test_some():
    assert some([1, 2]) == "1, 2"
    assert some([Path("a"), Path("b"), Path("c")], 2) == "a, b and 1 more"
    assert some(range(2000), 1) == "0 and 1,999 more"
