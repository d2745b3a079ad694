"""What the cells of the user's CSV file may be, and what is said of those that may not."""

import re
from pathlib import Path

import pytest

from common.data.utterances import checked, read_utterances
from common.errors import InputError

HEADER = "dialogue,utterance,speaker,label,split"
ROWS = ["a,1,Ann,calm,train", "a,2,Bo,angry,train", "b,1,Ann,calm,valid", "c,1,Cem,calm,test"]


@pytest.fixture
def read(tmp_path):
    """The checked table and the notes of a header and rows."""

    def read(header, *rows):
        (tmp_path / "u.csv").write_text("\n".join([header, *rows]))
        table, taken = read_utterances(tmp_path / "u.csv")
        table, notes = checked(table)
        return table, taken + notes

    return read


def labelled(*labels):
    """Rows of train, with one row of valid."""
    return [*(f"a,{k},Ann,{label},train" for k, label in enumerate(labels)), f"b,1,Ann,{labels[0]},valid"]


def test_blanks_at_the_ends_count_nowhere(read):
    table, notes = read(HEADER, *(row.replace(",", " ,  ") + " " for row in ROWS))
    assert table[HEADER.split(",")].to_numpy().tolist() == [row.split(",") for row in ROWS]
    assert notes == []


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (
            "Dialogue_ID,Utterance_ID,Speaker,Emotion,Split,Utterance",
            "Dialogue_ID as dialogue, Utterance_ID as utterance",
        ),
        ("conversation id,turn,speaker,EMOTION,set,text", "conversation id as dialogue, turn as utterance"),
        ("dialogue,utterance,speaker,label,split,transcript", "transcript as sentence"),
    ],
)
def test_columns_under_other_names(read, header, taken):
    table, notes = read(f",{header},more", *(f"9,{row},said,x" for row in ROWS))
    assert list(table) == ["dialogue", "utterance", "speaker", "label", "split", "sentence", "number"]
    assert table.label.tolist() == ["calm", "angry", "calm", "calm"]
    assert table.number.tolist() == [1, 2, 1, 1]
    assert set(table.sentence) == {"said"}
    assert notes[0].startswith("Columns of u.csv: ")
    assert taken in notes[0]


def test_a_column_that_could_have_been_taken_is_named(read):
    table, notes = read(f"{HEADER},Emotion", *(f"{row},joy" for row in ROWS))
    assert table.label.tolist() == ["calm", "angry", "calm", "calm"]
    assert notes == ["Not used: Emotion; label is taken as label."]


def test_splits_under_other_names(read):
    words = ("Train", "TRAINING", "Dev", "val", "validation", "development", "Testing")
    table, _ = read(HEADER, *(f"{k},1,Ann,calm,{word}" for k, word in enumerate(words)))
    assert table.split.tolist() == ["train", "train", "valid", "valid", "valid", "valid", "test"]


def test_marks_of_the_unknown(read):
    marks = ("nan", "NaN", "NULL", "n/a", "<NA>", "NA", "xxx", "XXX", "?", "#N/A", "-1", "-1.0", "-100", "", " ")
    real = ("calm", "none", "other", "oth", "unknown")
    table, notes = read(HEADER, *labelled(*real, *marks, "xxx"))
    assert table.label.tolist() == [*real, *[""] * 16, "calm"]
    counts = "2 empty, 1 #N/A, 1 -1, 1 -1.0, 1 -100, 1 <NA>, 1 ?, 1 NA, 1 NULL, 1 NaN, 1 XXX, 1 n/a, 1 nan, 2 xxx"
    assert notes == [f"Without a label: 16 ({counts})."]


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        (("0", "1", "2", "-1"), ["0", "1", "2", ""]),
        (("0", "1", "-100"), ["0", "1", ""]),
        (("-100", "-50", "50"), ["-100", "-50", "50"]),
        (("-2", "-1", "0", "1"), ["-2", "-1", "0", "1"]),
        (("calm", "-1", "angry"), ["calm", "", "angry"]),
    ],
)
def test_minus_one(read, labels, known):
    assert read(HEADER, *labelled(*labels))[0].label.tolist()[:-1] == known


@pytest.mark.parametrize("labels", [("0", "1", "-1"), ("1", "-1"), ("1.0", "-1.0", "0.0")])
def test_minus_one_that_may_be_a_class(read, labels):
    with pytest.raises(InputError, match=r"column label has '-1[.0]*'; expected negative, positive or the like"):
        read(HEADER, *labelled(*labels))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "a,3,Ann,Calm,train",
            r"line 6 \(dialogue 'a', utterance '3'\): column label has 'Calm'; expected one spelling, ",
        ),
        ("a,3,Ann,ca lm,train", "column label has 'ca lm'; expected one spelling, but line 2 has 'calm'"),
        ("a,3,ann,calm,train", "column speaker has 'ann'; expected one spelling, but line 2 has 'Ann'"),
        ("A,3,Ann,calm,train", "column dialogue has 'A'; expected one spelling, but line 2 has 'a'"),
        ("a,3,Ann,calm\u200b,train", r"column label has 'calm\\u200b'; expected one spelling, but line 2 has 'calm'"),
        ("\ufeffa,3,Ann,calm,train", r"column dialogue has '\\ufeffa'; expected one spelling, but line 2 has 'a'"),
        ("a,3,,calm,train", "column speaker has ''; expected a name, which every row needs"),
        ("a,3,NaN,calm,train", "column speaker has 'NaN'; expected a name"),
        ("a,3,None,calm,train", "column speaker has 'None'; expected a name"),
        (",3,Ann,calm,train", "column dialogue has ''; expected an id"),
        ("a,3,Ann,calm,eval", "column split has 'eval'; expected train, valid or test"),
        (
            "a,second,Ann,calm,train",
            "column utterance has 'second'; expected whole numbers; if it is what is said, call",
        ),
        ("a,1.5,Ann,calm,train", "expected whole numbers"),
        ("a,0_3,Ann,calm,train", "expected whole numbers"),
        ("a,inf,Ann,calm,train", "expected whole numbers"),
        (f"a,{10**20},Ann,calm,train", "expected whole numbers"),
        (
            "a,2.0,Ann,calm,train",
            "line 6: dialogue 'a' has utterance 2 twice, first in line 3; number them anew, and if",
        ),
        (
            "b,1,Ann,calm,train",
            "dialogue 'b' is in valid .line 4. and in train: dialogue ids restart in each split; make",
        ),
        ("b,2,Ann,calm,train", "dialogue 'b' is in valid .line 4. and in train; expected a dialogue in one split"),
    ],
)
def test_a_wrong_row_is_named(read, row, message):
    with pytest.raises(InputError, match=rf"u.csv: line 6.*{message}" if "line 6" not in message else message):
        read(HEADER, *ROWS, row)


@pytest.mark.parametrize("column", [0, 2])
def test_ids_that_became_numbers_with_a_point_are_those_without(read, column):
    """As pandas writes whole numbers once a cell was empty."""
    first, second = (row.split(",") for row in ("7,1,7,calm,train", "7,2,7,calm,train"))
    second[column] = "7.0"
    with pytest.raises(InputError, match=r"has '7\.0'; expected one spelling, but line 2 has '7'"):
        read(HEADER, ",".join(first), ",".join(second))
    second[column] = "07"
    read(HEADER, ",".join(first), ",".join(second))


def test_numbers_of_one_value_are_one_class(read):
    with pytest.raises(InputError, match=r"column label has '1\.0'; expected one spelling, but line 2 has '1'"):
        read(HEADER, *labelled("1", "2", "1.0"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "dialogue,utterance,who,label,split",
            r"no column 'speaker' \(who speaks\); found dialogue, utterance, who, label",
        ),
        (
            "a,b,c,d,split",
            r"no column 'dialogue' \(the dialogue\), 'utterance' \(the number .*; add it, or rename that which",
        ),
        ("a,b,c,d,e", "the first line does not name the columns; found a, b, c, d, e; expected dialogue, utterance, "),
        (
            "dialogue,utterance,speaker,feeling,split",
            "column split has 'train'; expected test alone where no column 'lab",
        ),
    ],
)
def test_a_missing_column_is_named(read, header, message):
    with pytest.raises(InputError, match=message):
        read(header, *ROWS)


def test_no_labels_at_all(read):
    table, _ = read("dialogue,utterance,speaker,split", "a,1,Ann,test", "a,2,Ann,test")
    assert table.label.tolist() == ["", ""]


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_split_without_any_label_is_refused(read, split):
    rows = [row if split not in row else row.replace("calm", "").replace("angry", "nan") for row in ROWS]
    with pytest.raises(InputError, match=rf"split {split} begins here and has no label at all; give it some, or put"):
        read(HEADER, *rows)


def test_the_example_of_the_documents(read):
    page = (Path(__file__).resolve().parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
    (rows,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    table, notes = read(*rows.splitlines())
    assert table.label.tolist() == ["calm", "", "angry", ""]
    assert table.sentence.tolist()[2] == "No, and nobody answers."
    assert notes == ["Without a label: 2 (2 empty)."]
