"""Conversations as people write them down: lines `Name: sentence`, and chat exports."""

import io

import pytest

from common.errors import InputError
from common.features.sources.talk import line, read
from tests.features.sources.contract import kept

TALK = "Ann: Did it arrive?\nBo: No: nothing, at 12:30 either\n\nAnn： Oh, naïve me…\n"
SAID = [("Ann", "Did it arrive?"), ("Bo", "No: nothing, at 12:30 either"), ("Ann", "Oh, naïve me…")]


@pytest.fixture
def talk(tmp_path):
    """Write a text, or bytes, to a file and read it."""

    def talk(content):
        path = tmp_path / "chat.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return kept(read(path))

    return talk


def said(source):
    return list(zip(source.table.speaker, source.table.sentence, strict=True))


@pytest.mark.parametrize(
    "content",
    [
        TALK.encode(),
        TALK.encode("utf-8-sig"),
        TALK.replace("\n", "\r\n").encode(),
        TALK.replace("\n", "\r").encode(),
        TALK.rstrip().encode(),
        b"\xff\xfe" + TALK.replace("\n", "\r\n").encode("utf-16-le"),
        b"\xfe\xff" + TALK.encode("utf-16-be"),
        TALK.replace("Ann", " \u200eAnn\u2069 ").replace("\n", "  \n\t\n").encode(),
    ],
    ids=["plain", "mark", "Windows", "old Mac", "no end", "Notepad UTF-16", "UTF-16 big", "blanks and direction"],
)
def test_the_same_talk_in_all_encodings(talk, content):
    source = talk(content)
    assert said(source) == SAID
    assert source.table.number.tolist() == [0, 1, 2]
    assert set(source.table.dialogue) == {"chat"}
    assert set(source.table.split + source.table.label) == {"test"}
    assert (source.name, source.classes, source.missing) == ("chat", [], [])
    assert source.notes == ["Speakers: 2 (Ann, Bo)."]


def test_an_open_text():
    source = read(io.StringIO("\ufeff" + TALK))
    assert said(source) == SAID
    assert (source.name, source.files) == ("talk", [])


@pytest.mark.parametrize("dashes", ["---", "-" * 40, "—", "  –––  "])
def test_dashes_begin_another_conversation(talk, dashes):
    source = talk(f"{dashes}\nAnn: 1\nBo: 2\n{dashes}\n{dashes}\nBo: 3\n\nAnn: -- 4\n{dashes}\n")
    assert source.table.dialogue.tolist() == ["chat_1", "chat_1", "chat_2", "chat_2"]
    assert source.table.number.tolist() == [0, 1, 0, 1]
    assert source.table.sentence.tolist() == ["1", "2", "3", "-- 4"]


STAMPS = [
    *["[12:30, 24/12/2025]", "[24.12.25, 12:30:15]", "12:30", "12:30:15", "9.15", "[00:01:02.500]", "(12:30)"],
    *[
        "24/12/2025, 12:30 -",
        "12/24/25, 9:15\u202fPM -",
        "24.12.25 12:30 –",
        "2025-12-24 12:30:15",
        "[2025-12-24T12:30]",
    ],
    *["9:15 a.m.", "\u200e[24.12.25, 12:30]", "24.12.2025"],
]


@pytest.mark.parametrize("stamp", STAMPS)
def test_the_time_of_a_chat_export_is_left_out(talk, stamp):
    source = talk(f"{stamp} Amy: 12:30 is fine\n{stamp} Bo P.: see https://a.b\n")
    assert said(source) == [("Amy", "12:30 is fine"), ("Bo P.", "see https://a.b")]
    (note,) = source.notes[1:]
    assert note == f"Times before the names are left out: 2, such as {stamp.strip(chr(0x200E) + ' -–')!r}."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Ann: Hi\nand bye\n", "line 2: found 'and bye'; expected a name, a colon and a sentence, such as 'Ann: Did"),
        ("Ann: Hi\n\n: bye", "line 3: found ': bye'; expected a name"),
        ("Ann: Hi\nBo:  \n", "line 2: found no sentence after 'Bo'; expected one, or no such line"),
        ("12:30 hi there", "line 1: found '12:30 hi there'; expected a name"),
        ("12:30: hi", "line 1: found '12:30: hi'; expected a name"),
        ("Ann (12:30): hi", "line 1: found 'Ann .12:30.: hi'; expected a name"),
        ("Ann (sadly: no) says: hi", "expected a name"),
        ("Ann, [24.12.2025 12:30]", "expected a name"),
        ("Ann 12:30: hi", "expected a name"),
        ("12:30 - 12:45 Ann: hi", "expected a name"),
        ("Ann: see\nhttps://a.b/c", "line 2: found 'https://a.b/c'; expected a name"),
        (f"{'a ' * 40}: b", "line 1: found 'a a .*; expected a name"),
        (
            "12:30 Ann: Hi\nand by the way: bye",
            "line 2: found no time before the name; expected the same in all lines; join it to the line before if",
        ),
        ("Ann: Hi\n12:31 Bo: Hi", "line 2: found a time before the name, '12:31'; expected the same in all lines"),
        ("Ann: Hi\nann: Hi", "line 2 .*: column speaker has 'ann'; expected one spelling, but line 1 has 'Ann'"),
        ("\n---\n\n", "chat.txt: found no utterance; expected a text with lines such as"),
        (b"", "found an empty file; expected a text with lines such as"),
        (
            b"Ann: caf\xe9\n",
            "line 1: found text that is not UTF-8, .*: in an editor, save it as UTF-8, or `iconv .*new.txt",
        ),
        (b"PK\x03\x04", "found an Excel workbook or a zip archive; expected a text"),
    ],
)
def test_what_is_wrong_is_named(talk, content, message):
    with pytest.raises(InputError, match=message):
        talk(content)


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none.txt: no such file; expected a text with lines such as"):
        read(tmp_path / "none.txt")


def test_one_line():
    assert line(" Ann :  Did it: arrive?\r\n") == ("Ann", "Did it: arrive?")
    assert line("[12:30] Ann  B: Hi") == ("Ann B", "Hi")
    assert line("1: Hi") == ("1", "Hi")
    for text in ("", "Ann", "Ann:"):
        with pytest.raises(InputError, match="expected"):
            line(text)
