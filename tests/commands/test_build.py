import numpy as np
import pytest

from common.__main__ import main
from common.data import cache, own
from common.data.own import build_corpus, read_own, write_own
from common.errors import InputError
from tests.small import result_of, same

ROWS = """dialogue,utterance,speaker,label,split,sentence
b,2,Ann,glad,valid,two
b,1,Bo,calm,valid,"one, really"
a,1,Ann,calm,train,x
c,1,Cem,,test,
a,3,Bo,angry,train,z
a,2,Ann,calm,train,y
"""
ORDER = [2, 5, 4, 1, 0, 3]  # rows of the file as train, valid, test, each dialogue in its own order


@pytest.fixture
def files(tmp_path):
    """The CSV file above, and features whose first column is the row; changed by tests."""
    (tmp_path / "u.csv").write_text(ROWS)
    for name, width in (("text", 3), ("event", 2), ("audio", 4)):
        np.save(tmp_path / f"{name}.npy", np.arange(6)[:, None] + np.zeros(width))
    return tmp_path


def built(files, *names, **changes):
    paths = {name: files / f"{name}.npy" for name in names or ("text", "event", "audio")}
    return build_corpus(changes.get("name", "mine"), files / "u.csv", paths)


def test_rows_are_put_where_they_belong(files):
    corpus = built(files)
    for name, width in (("text", 3), ("event", 2), ("audio", 4), ("visual", 0)):
        array = corpus.features[name]
        assert array.shape == (6, width)
        assert array.dtype == np.float32
        assert (array == np.array(ORDER)[:, None]).all()
    assert corpus.ids == ["a", "b", "c"]
    assert corpus.splits == {"train": [0], "valid": [1], "test": [2]}
    assert corpus.lengths.tolist() == [3, 2, 1]
    assert [corpus.speakers[s] for s in corpus.speaker] == ["Ann", "Ann", "Bo", "Bo", "Ann", "Cem"]
    assert corpus.classes == ["angry", "calm", "glad"]
    assert corpus.label.tolist() == [1, 1, 0, 1, 2, -1]
    assert corpus.sentences == ["x", "y", "z", "one, really", "two", ""]
    assert set(corpus.sources) == {"u.csv", "text.npy", "event.npy", "audio.npy"}


def test_numbers_as_labels_and_dialogues_of_the_same_split_in_file_order(files):
    rows = [
        f"{d},{u},s,{10 - d},{s}" for d, s in ((7, "train"), (3, "train"), (5, "valid"), (1, "test")) for u in (1, 2)
    ]
    (files / "u.csv").write_text("\n".join(["dialogue,utterance,speaker,label,split", *rows]))
    np.save(files / "audio.npy", np.zeros((8, 1), np.int16))
    corpus = built(files, "audio")
    assert corpus.ids == ["7", "3", "5", "1"]
    assert corpus.classes == ["3", "5", "7", "9"]
    assert corpus.label.tolist() == [0, 0, 2, 2, 1, 1, 3, 3]
    assert corpus.sentences == []


def test_written_and_read_again(files):
    corpus = built(files)
    assert read_own(files / "out") is None
    path = write_own(corpus, files / "out")
    assert same(read_own(files / "out"), corpus)
    with pytest.raises(InputError, match="exists already and is not overwritten"):
        write_own(corpus, files / "out")
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1], b"PK" + whole[:50]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"corpus.npz: damaged"):
            read_own(files / "out")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offset", np.array([0, 3, 5, 7])),
        ("offset", np.array([0, 3, 3, 6])),
        ("label", np.array([0, 1, 2, 0, 1, 3])),
        ("label", np.zeros(5, np.int64)),
        ("speaker", np.array([0, 0, 0, 0, 0, -1])),
        ("text", np.full((6, 2), np.nan, np.float32)),
        ("audio", np.zeros((5, 2), np.float32)),
        ("ids", ["a", "b"]),
        ("splits", {"train": [0], "valid": [1], "test": [1]}),
        ("splits", {"train": [0, 1, 2]}),
        ("name", "MELD"),
        ("classes", 5),
    ],
)
def test_what_does_not_hold_together_is_refused(files, field, value):
    corpus = built(files)
    if field in corpus.features:
        corpus.features[field] = value
    else:
        object.__setattr__(corpus, field, value)
    cache.save(corpus, None, files / own.FILE)
    with pytest.raises(InputError, match="build it again"):
        read_own(files)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a,2,Ann,calm,train", "a,2,Ann,,train", r"line 7 \(dialogue 'a', utterance '2'\): column label has ''"),
        ("a,2,Ann,calm,train", "a,3,Ann,calm,train", "line 7 .* column utterance has '3'; expected each once"),
        ("a,2,Ann,calm,train", "a,2,Ann,calm,valid", "column split has 'valid'; expected a dialogue in one split"),
        ("a,2,Ann,calm,train", "a,2,Ann,calm,dev", "column split has 'dev'; expected train, valid or test"),
        ("a,2,Ann,calm,train", "a,2,,calm,train", "column speaker has ''; expected a name"),
        ("a,2,Ann,calm,train", "a,second,Ann,calm,train", "column utterance has 'second'; expected whole numbers"),
        ("a,2,Ann,calm,train", "a,1.5,Ann,calm,train", "expected whole numbers"),
        ("speaker,label", "speaker,emotion", "no column 'label', found dialogue, utterance, speaker, emotion"),
        (ROWS[ROWS.index("\n") :], "", "no utterance"),
        (ROWS, "", "not readable as CSV"),
    ],
)
def test_a_wrong_row_is_named(files, old, new, message):
    assert ROWS.count(old) == 1
    (files / "u.csv").write_text(ROWS.replace(old, new))
    with pytest.raises(InputError, match=message):
        built(files)


def test_a_wrong_array_is_named(files):
    def refused(message, values=None, name="audio"):
        if values is not None:
            np.save(files / "audio.npy", values, allow_pickle=True)
        with pytest.raises(InputError, match=message):
            built(files, name)

    refused(r"audio.npy: found 5 rows; expected 6, one for each row of .*u.csv", np.zeros((5, 4)))
    refused(r"found float64 of shape \(6,\); expected a .npy file with numbers, \(6, width\)", np.zeros(6))
    refused(r"found <U1 of shape", np.full((6, 2), "x"))
    refused("not readable as .npy", np.full((6, 2), None))
    refused("row 4", np.array([[1.0]] * 4 + [[1e300], [np.nan]]))
    refused(r"shape \(6, 0\)", np.zeros((6, 0)))
    (files / "audio.npy").write_bytes(b"nonsense")
    refused("not readable as .npy")
    (files / "audio.npy").unlink()
    refused("audio.npy: no such file")
    (files / "u.csv").unlink()
    refused("u.csv: no such file")


def test_wrong_choices(files):
    for names in (["text"], ["event"], ["event", "audio"], ["text", "audio"]):
        with pytest.raises(InputError, match="expected text and event together, audio, visual") as error:
            built(files, *names)
        assert error.value.change == ("text", "event", "audio", "visual")
    with pytest.raises(InputError, match="is the name of a released dataset") as error:
        built(files, name="MELD")
    assert error.value.change == ["name"]


def test_the_command(files, capsys):
    words = ["--utterances", files / "u.csv", "--audio", files / "audio.npy", "--output", files / "talks"]
    printed, status = result_of(lambda: main(["build", *map(str, words)]), capsys)
    assert ("1 utterances without label" in printed.out, status) == (True, 0)
    assert read_own(files / "talks").name == "talks"
    printed, status = result_of(lambda: main(["build", *map(str, [*words, "--name", "IEMOCAP"])]), capsys)
    line = "build: error: IEMOCAP: is the name of a released dataset; choose another; see --name\n"
    assert (printed.err, status) == (line, 2)


def test_labels_of_another_training(files):
    corpus = built(files).with_classes(["glad", "sad", "calm", "angry"])
    assert corpus.label.tolist() == [2, 2, 3, 2, 0, -1]
    with pytest.raises(InputError, match="has the label 'angry'; the checkpoint knows calm, glad; relabel it"):
        built(files).with_classes(["calm", "glad"])
