"""Conversations of the user from a CSV file: what may be left out, media files, times, and what is wrong with them."""

import math

import pytest

from common.errors import InputError
from common.features.sources.source import Missing
from common.features.sources.table import read
from tests.features.sources.contract import kept

FULL = "dialogue,utterance,speaker,label,split,sentence"


@pytest.fixture
def talk(tmp_path):
    """Write a CSV file of a header and rows, and read it."""

    def talk(header, *rows, **options):
        path = tmp_path / "talk.csv"
        path.write_text("\n".join([header, *rows]))
        return kept(read(path, **options))

    for name in ("a.wav", "b.wav", "clips/c.mp4", "clips/d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return talk


def rows(source, *columns):
    return list(zip(*(source.table[name] for name in columns), strict=True))


def test_all_columns_of_build(talk):
    source = talk(FULL, "z,2,Bo,sad,test,No.", "z,1,Ann,,test,Yes?", "y,7,Cem,joy,val,Oh", "x,0,Ann,joy,train,Hi")
    assert rows(source, "dialogue", "number", "speaker", "label", "split", "sentence") == [
        ("x", 0, "Ann", "joy", "train", "Hi"),
        ("y", 7, "Cem", "joy", "valid", "Oh"),
        ("z", 1, "Ann", "", "test", "Yes?"),
        ("z", 2, "Bo", "sad", "test", "No."),
    ]
    assert (source.name, source.classes) == ("talk", ["joy", "sad"])
    assert source.notes == ["Without a label: 1 (1 empty)."]
    assert source.missing == []


def test_a_speaker_and_a_sentence_are_enough(talk):
    source = talk("speaker,sentence", "Ann,Hi", "Bo,Hello", "Ann,Bye")
    assert rows(source, "dialogue", "number", "split", "label") == [("talk", k, "test", "") for k in range(3)]
    assert source.classes == []
    assert source.notes == [
        "No column dialogue: all rows are one dialogue.",
        "No column utterance: they are numbered in their order, from 0.",
        "No column split: all are test.",
        "Without a label: 3 (3 empty).",
    ]


def test_numbers_follow_the_order_in_each_dialogue(talk):
    source = talk("dialogue,speaker,sentence", "b,Ann,1", "a,Ann,2", "b,Ann,3", "a,Ann,4")
    assert rows(source, "dialogue", "number", "sentence") == [
        ("b", 0, "1"),
        ("b", 1, "3"),
        ("a", 0, "2"),
        ("a", 1, "4"),
    ]


def test_a_column_utterance_may_be_what_is_said(talk):
    source = talk("Speaker,Utterance", "Ann,Hi", "Bo,2")
    assert source.table.sentence.tolist() == ["Hi", "2"]
    assert "Column utterance is taken for what is said." in source.notes
    with pytest.raises(InputError, match=r"line 2 .*: column utterance has 'first'; expected whole numbers"):
        talk("Speaker,Turn", "Ann,first", "Bo,2")


def test_labels_without_a_split(talk):
    assert rows(talk("speaker,emotion,text", "Ann,joy,Hi", "Bo,xxx,Oh"), "label", "split") == [
        ("joy", "test"),
        ("", "test"),
    ]


def test_files_are_those_beside_the_table(talk, tmp_path):
    source = talk("speaker,audio,video", "Ann,a.wav,", "Bo,,clips/c.mp4", rf"Cem,{tmp_path}/b.wav,clips\d.mp4")
    assert rows(source, "audio", "video") == [
        (f"{tmp_path}/a.wav", ""),
        ("", f"{tmp_path}/clips/c.mp4"),
        (f"{tmp_path}/b.wav", f"{tmp_path}/clips/d.mp4"),
    ]
    assert source.missing == [Missing("talk", 0, "visual", "no file")]
    assert "No column sentence: sound and pictures alone." in source.notes


def test_some_files_that_do_not_exist(talk):
    source = talk("speaker,sentence,audio", "Ann,Hi,a.wav", "Bo,,nowhere.wav", "Cem,Oh,", "Dee,Ah,b.wav")
    assert source.missing == [
        Missing("talk", 1, "text", "no sentence"),
        Missing("talk", 1, "audio", "no such file: nowhere.wav"),
        Missing("talk", 2, "audio", "no file"),
    ]
    assert source.table.audio[1] == ""
    assert "Files of column audio that do not exist: 1 (nowhere.wav)." in source.notes


def test_no_file_that_exists(talk, tmp_path):
    message = (
        f"line 2: column video: no file '{tmp_path}/c.mp4', nor any other .* relative to the folder of the CSV file"
    )
    with pytest.raises(InputError, match=message):
        talk("speaker,sentence,video", "Ann,Hi,c.mp4", "Bo,Oh,clips")


@pytest.mark.parametrize(("name", "column", "other"), [("a.wav", "audio", "video"), ("clips/c.mp4", "video", "audio")])
def test_one_recording_for_all_rows_without_a_file(talk, tmp_path, name, column, other):
    words = ("Ann,0,1.5,", "Bo,1.5,2,b.wav", "Cem,2,3.25,nowhere.wav")
    source = talk("speaker,start,end,audio", *words, media=tmp_path / name)
    own = f"{tmp_path}/b.wav"
    assert source.table[column].tolist() == [f"{tmp_path}/{name}", own if column == "audio" else "", ""]
    assert source.table[other].tolist() == ["", own if other == "audio" else "", ""]
    assert rows(source, "start", "end")[:2] == [(0.0, 1.5), (1.5, 2.0)]
    assert math.isnan(source.table.start[2])


def test_a_row_with_a_film_has_its_sound_and_no_other(talk, tmp_path):
    source = talk("speaker,start,end,video", "Ann,0,1,", "Bo,1,2,clips/c.mp4", media=tmp_path / "a.wav")
    assert rows(source, "audio", "video") == [(f"{tmp_path}/a.wav", ""), ("", f"{tmp_path}/clips/c.mp4")]


def test_a_recording_that_is_not_there(talk, tmp_path):
    with pytest.raises(InputError, match=r"none.mp4: no such file; expected the sound or video of .*talk.csv"):
        talk("speaker,start,end", "Ann,0,1", media=tmp_path / "none.mp4")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[
            ("3", 3.0),
            ("0", 0.0),
            ("3.25", 3.25),
            ("75", 75.0),
            ("1:02", 62.0),
            ("01:02.5", 62.5),
            ("100:00:00", 360000.0),
        ],
        *[('"00:16:16,059"', 976.059), ("0:16:16.059", 976.059), ('"12,5"', 12.5), ("nan", math.nan), ("", math.nan)],
    ],
)
def test_times(talk, text, seconds):
    (source,) = [talk("speaker,sentence,start,audio", f"Ann,Hi,{text},a.wav")]
    assert source.table.start.tolist() == pytest.approx([seconds], nan_ok=True)
    (utterance,) = source.utterances("audio")
    assert utterance.start == (None if math.isnan(seconds) else pytest.approx(seconds))


@pytest.mark.parametrize("text", ["-1", "1:75", "1:60:00", "inf", "1e3", "soon", "1.2.3", "1:2:3:4", "9" * 400, "'"])
def test_what_is_no_time(talk, text):
    with pytest.raises(InputError, match=r"talk.csv: line 3 .*: column start has .*; expected seconds, or h:mm:ss.mmm"):
        talk("speaker,sentence,start", "Ann,Hi,1", f"Bo,Oh,{text}")


@pytest.mark.parametrize("times", ["2,2", "2,1", ",0", "0:01:00,59"])
def test_an_end_that_is_no_end(talk, times):
    with pytest.raises(InputError, match=r"line 3 .*: column end has .*; expected a time after that in column start"):
        talk("speaker,sentence,audio,start,end", "Ann,Hi,a.wav,1,2", f"Bo,Oh,a.wav,{times}")


def test_times_without_a_file_mean_nothing(talk):
    assert talk("speaker,sentence,start,end", "Ann,Hi,2,1").table.start.isna().all()


def test_a_recording_that_no_row_needs_is_said(talk, tmp_path):
    source = talk("speaker,audio", "Ann,a.wav", media=tmp_path / "b.wav")
    assert f"{tmp_path}/b.wav is not used: each row names a file of its own." in source.notes


def test_marks_of_nothing_are_no_files(talk, tmp_path):
    source = talk("speaker,sentence,audio,start", "Ann,Hi,nan,NaN", "Bo,Oh,a.wav,None", "Cem,Ah,NULL,")
    assert source.table.audio.tolist() == ["", f"{tmp_path}/a.wav", ""]
    assert [row.reason for row in source.missing] == ["no file", "no file"]


@pytest.mark.parametrize("column", ["audio", "video"])
def test_rows_of_one_file_need_times(talk, column):
    header = f"speaker,sentence,{column},start,end"
    with pytest.raises(
        InputError, match=rf"line 3 .*: column start has ''; expected a time, as other rows have .* {column}"
    ):
        talk(header, "Ann,Hi,a.wav,0,1", "Bo,Oh,a.wav,,")
    assert len(talk(header, "Ann,Hi,a.wav,,1", "Bo,Oh,a.wav,1,").table) == 2


def test_times_are_those_of_sound_and_picture(talk):
    source = talk("speaker,audio,video,start,end", "Ann,a.wav,clips/c.mp4,1,2")
    for kind in ("audio", "visual"):
        (utterance,) = source.utterances(kind)
        assert (utterance.start, utterance.end, utterance.side) == (1.0, 2.0, "")


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("speaker,label", "Ann,joy", "no column 'sentence', nor sound or video; expected what is said in each row"),
        ("sentence,label", "Hi,joy", r"no column 'speaker' \(who speaks\); found sentence, label"),
        (
            "speaker,sentence,split",
            "Ann,Hi,train",
            r"line 2: column split has 'train'; expected test alone where no col",
        ),
        (FULL, "a,0,,joy,test,Hi", r"line 2 \(dialogue 'a', utterance '0'\): column speaker has ''; expected a name"),
    ],
)
def test_what_is_wrong_is_named(talk, header, row, message):
    with pytest.raises(InputError, match=message):
        talk(header, row)


def test_a_file_of_meld_is_a_table_too(shared):
    source = kept(read(shared / "raw" / "meld" / "test_sent_emo.csv"))
    assert len(source.table) == 2610
    assert len(source.classes) == 7
    assert source.table.sentence[0] == "Why do all you’re coffee mugs have numbers on the bottom?"


def test_the_real_dialogues_of_iemocap(shared):
    source = kept(read(shared / "raw" / "iemocap" / "utterances.csv"))
    assert len(source.table) == 7433
    assert source.table.groupby("split").dialogue.nunique().to_dict() == {"train": 108, "valid": 12, "test": 31}
    assert source.classes == ["ang", "exc", "fru", "hap", "neu", "sad"]
