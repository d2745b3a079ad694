"""Text whose encoding was mistaken for Latin-1, as in the MELD files of the authors and of others."""

import pickle
import re
from itertools import chain

import pytest

from common.data import iemocap, meld
from common.data.text import repaired
from tests.data.test_readers import rewrite, spoil
from tests.small import small_corpus


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It\x92s \x91fine\x92 \x96 \x93really\x94\x85 \x97", "It’s ‘fine’ – “really”… —"),
        ("caf\xe9 \x80 5", "café € 5"),
        ("Itâ\x80\x99s a cafÃ©", "It’s a café"),
        ("\x81\x8d\x8f\x90\x9d", "\x81\x8d\x8f\x90\x9d"),
        ("It’s \x92 mixed", "It’s ’ mixed"),
        ("NÃO, plain", "NÃO, plain"),
        ("", ""),
    ],
)
def test_characters_that_were_read_as_latin_1(text, expected):
    assert repaired(text) == expected
    assert repaired(expected) == expected


@pytest.mark.parametrize(("module", "sentences", "speakers"), [(meld, 13, 0), (iemocap, 6, 1)])
def test_sentences_and_speakers_of_released_files(tmp_path, module, sentences, speakers):
    module.write(small_corpus(module.NAME, sizes=(9, 1, 3)), tmp_path)
    file = tmp_path / module.FILES[0]
    rewrite(file, spoil(sentences, lambda row: ["It\x92s evidence"] * len(row)))
    rewrite(
        file, lambda c: c.__setitem__(speakers, {i: ["Joey\x92s mom"] * len(row) for i, row in c[speakers].items()})
    )
    for text_file in module.FILES[1:]:
        rewrite(tmp_path / text_file, lambda c: [c.__setitem__(k, {}) for k in (0, 6 if len(c) == 10 else 10)] and None)
    read = module.read(tmp_path)
    assert read.speakers == ["Joey’s mom"]
    assert "It’s evidence" in read.sentences


def test_all_sentences_of_meld_come_back(real_data):
    """Real sentences, mistaken as those of the released file are: 3,801 of 13,708 show it."""
    with open(real_data / "meld" / meld.FILE, "rb") as file:
        sentences = list(chain(*pickle.load(file)[13].values()))
    for encoding in ("cp1252", "utf-8"):
        mistaken = [text.encode(encoding).decode("latin1") for text in sentences]
        assert [repaired(text) for text in mistaken] == sentences
        assert encoding == "utf-8" or sum(bool(re.search("[\x80-\x9f]", text)) for text in mistaken) == 3801
