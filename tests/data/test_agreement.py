"""What stands twice in released files: a contradiction is named with file, field, dialogue and turn."""

import re

import numpy as np
import pytest

from common.data import iemocap, meld
from common.errors import InputError
from tests.data.test_readers import rewrite, spoil
from tests.small import same, small_corpus


@pytest.fixture
def corpus(tmp_path):
    """Written as the released IEMOCAP files, all dialogues with six turns."""
    corpus = small_corpus(turns=(6, 6))
    iemocap.write(corpus, tmp_path)
    return corpus


def changed(row, turn, value):
    return [*row[:turn], value, *row[turn + 1 :]]


def mirrored(*positions):
    return lambda c: [spoil(position, lambda row: row[::-1])(c) for position in positions] and None


# file, what is changed in its first dialogue, what is said after the path
CONTRADICTIONS = {
    "label": (
        iemocap.EMOTION,
        spoil(1, lambda row: changed(row, 4, (row[4] + 1) % 6)),
        r"field 1 \(labels\), dialogue 'Ses0000': found \d in turn 4; expected \d as in IEMOCAP_features.pkl",
    ),
    "label beside events": (iemocap.EVENT, spoil(1, lambda row: changed(row, 5, (row[5] + 1) % 6)), "in turn 5"),
    "other order": (iemocap.EMOTION, mirrored(0, 1, 2, 6), r"dialogue 'Ses0000': found .* in turn \d; expected"),
    "other order of events": (iemocap.EVENT, mirrored(0, 1, 6, 10), r"dialogue 'Ses0000': found .* in turn \d"),
    "speaker": (
        iemocap.EMOTION,
        spoil(0, lambda row: changed(row, 2, "M" if row[2] == "F" else "F")),
        r"field 0 \(speakers\), dialogue 'Ses0000': found '[MF]' in turn 2; expected '[MF]' as in IEMOCAP_features",
    ),
    "speaker with a name": (
        iemocap.EVENT,
        lambda c: c.__setitem__(0, {i: changed([f"{s}." for s in row], 5, "Cy") for i, row in c[0].items()}),
        r"field 0 \(speakers\), dialogue 'Ses0000': found 'Cy' in turn 5; expected '[MF]' as in IEMOCAP_features",
    ),
    "sentence": (
        iemocap.EVENT,
        spoil(10, lambda row: changed(row, 3, "Hello there.")),
        r"field 10 \(sentences\), dialogue 'Ses0000': found 'Hello there.' in turn 3; expected '\w+' as in IEMOCAP",
    ),
    "short": (iemocap.EMOTION, spoil(1, lambda row: row[:-1]), r"field 1 \(labels\).*found 5 utterances; expected 6"),
    "splits": (
        iemocap.EMOTION,
        lambda c: c[7].append(c[8][1]),
        r"field 7 \(train ids\), dialogue 'Ses0011': found it beside training dialogues; expected it in the test split",
    ),
    "ids of utterances": (
        iemocap.BASE,
        lambda c: c.__setitem__(0, {i: [f"{i}_{'MF'[k == 1]}{k:03d}" for k in range(6)] for i in c[0]}),
        r"field 0 \(utterance ids\), dialogue 'Ses\d+': found '[MF]' in turn \d; expected '[MF]' as in field 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_files_that_contradict_each_other(tmp_path, corpus, name):
    file, change, expected = CONTRADICTIONS[name]
    rewrite(tmp_path / file, lambda c: change(c) and None)
    with pytest.raises(InputError) as error:
        iemocap.read(tmp_path)
    assert re.search(expected, str(error.value).replace(" (from 0)", ""))
    assert str(error.value).startswith(str(tmp_path / file))
    assert "\n" not in str(error.value)


HARMLESS = {
    "absent": lambda c: [c.__setitem__(k, None if k % 2 else {}) for k in (0, 1, 10, 11, 12)],
    "arrays": lambda c: c.__setitem__(1, {i: np.array(row, np.int8) for i, row in c[1].items()}),
    "one-hot speakers": lambda c: c.__setitem__(
        0, {i: [np.array([s == "M", s == "F"], float) for s in row] for i, row in c[0].items()}
    ),
    "speakers named anew in each dialogue": lambda c: c.__setitem__(
        0, {i: [f"{s} of {i}" for s in row] for i, row in c[0].items()}
    ),
    "sentences written differently": lambda c: c.__setitem__(
        10, {i: [f"[BREATHING] {text.upper()}!" for text in row] for i, row in c[10].items()}
    ),
    "no sentences": lambda c: c.__setitem__(10, {i: [""] * len(row) for i, row in c[10].items()}),
    "a split of validation dialogues": lambda c: c.__setitem__(13, c[11][:2]) or c.__setitem__(11, set(c[11][2:])),
    "more dialogues": lambda c: [c[k].update(more=c[k]["Ses0000"]) for k in (0, 1, 6)],
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_only_written_differently_is_read(tmp_path, corpus, name):
    rewrite(tmp_path / iemocap.EVENT, lambda c: HARMLESS[name](c) and None)
    assert same(iemocap.read(tmp_path), corpus)


def test_ids_of_utterances_that_tell_the_speaker(tmp_path, corpus):
    rewrite(
        tmp_path / iemocap.BASE,
        lambda c: c.__setitem__(0, {i: [f"{i}_{s}{k:03d}" for k, s in enumerate(row)] for i, row in c[1].items()}),
    )
    assert same(iemocap.read(tmp_path), corpus)


@pytest.mark.parametrize(("emotion", "sentiment", "good"), [(4, 2, False), (0, 1, False), (6, 2, True), (1, 2, True)])
def test_emotion_and_sentiment_of_meld(tmp_path, emotion, sentiment, good):
    """joy is not negative, neutral not positive; anger is negative, and a surprise can be."""
    meld.write(small_corpus("MELD", sizes=(4, 2, 3)), tmp_path)
    for position, value in ((1, emotion), (2, sentiment)):
        rewrite(tmp_path / meld.FILE, spoil(position, lambda row: changed(row, 1, value)))  # noqa: B023
    if good:
        assert meld.read(tmp_path).sentiment[1] == sentiment
        return
    with pytest.raises(InputError, match=r"field 2 \(sentiment labels\), dialogue 0: found '.*' in turn 1 \("):
        meld.read(tmp_path)


def test_sentiments_that_are_all_neutral_are_none(tmp_path):
    corpus = small_corpus("MELD", sizes=(4, 2, 3))
    meld.write(corpus, tmp_path)
    rewrite(tmp_path / meld.FILE, lambda c: c.__setitem__(2, {i: [0] * len(row) for i, row in c[2].items()}))
    with pytest.raises(InputError, match="MELD has no sentiment labels"):
        meld.read(tmp_path).with_sentiment()
