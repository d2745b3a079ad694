import io
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data import cache, mapped, own
from common.data.mapped import is_mapped
from common.data.own import build_corpus, read_own, write_own
from common.errors import InputError
from common.files import locked
from tests.data.own_files import ORDER, ROWS, built, write_files
from tests.small import same


@pytest.fixture
def files(tmp_path):
    """Changed by tests."""
    return write_files(tmp_path)


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
    assert corpus.utterances.tolist() == [1, 2, 3, 1, 2, 1]
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


def test_an_older_folder_is_read(files):
    """Its features are in the one file."""
    corpus = built(files)
    cache.save(corpus, None, files / own.FILE)
    assert same(read_own(files), corpus)


def test_features_are_maps_that_say_when_they_change(files):
    write_own(built(files), files / "out")
    assert all(is_mapped(values) for values in read_own(files / "out").features.values() if values.shape[1])
    (path,) = (files / "out").glob("audio-*.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError, match=r"audio-.*npy: damaged, or another file than was built; restore it, or build"):
        read_own(files / "out")


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"features": 1},
        {"features": {"text": 1}},
        {"features": {"text": {"file": "../text-000000000000.npy", "sha256": ""}}},
        {"features": {"text": {"file": 5, "sha256": ""}}},
        {"features": {"smell": {"file": "smell-000000000000.npy", "sha256": ""}}},
    ],
)
def test_a_file_that_names_no_features_is_refused(files, state):
    cache.save(replace(built(files), features={}), state, files / own.FILE)
    with pytest.raises(InputError, match="damaged, or no file of python -m common build; build it again"):
        read_own(files)


def test_what_is_overwritten_stays_until_the_end(files, monkeypatch):
    old, folder = built(files), files / "out"
    write_own(old, folder)
    names, kept = set(os.listdir(folder)), read_own(folder)
    new = replace(old, features=old.features | {"text": old.features["text"] + 1})

    def full(corpus, state, path):
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(cache, "save", full)
        with pytest.raises(OSError, match="No space left"):
            write_own(new, folder, overwrite=True)
    assert set(os.listdir(folder)) == names
    assert same(read_own(folder), old)
    write_own(new, folder, overwrite=True)
    assert same(read_own(folder), new)
    assert same(kept, old)  # whoever reads it goes on
    assert len(os.listdir(folder)) == len(names)


def test_two_cannot_write_at_once(files):
    with locked(files / own.LOCK, "mine"), pytest.raises(InputError, match="another process writes conversations into"):
        write_own(built(files), files)
    assert not (files / own.FILE).exists()


KINDS = {"in order": "<f4", "double": "<f8", "half": "<f2", "big-endian": ">f4", "whole": "<i2"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("block", [2**22, 40])
def test_mapped_or_in_memory_is_the_same(files, monkeypatch, kind, ordered, block):
    """Rows of the array one by one, converted by numpy, are the reference."""
    monkeypatch.setattr(mapped, "BLOCK", block)
    array = (1000 * np.random.default_rng(0).standard_normal((6, 4))).astype(KINDS[kind])
    np.save(files / "audio.npy", array)
    rows = [line for line in ROWS.splitlines()[1:] if line]
    if ordered:
        text = "\n".join([ROWS.splitlines()[0], *(rows[k] for k in ORDER)])
        (files / "u.csv").write_text(text)
    expected = np.stack([array[k].astype(np.float32) for k in (range(6) if ordered else ORDER)])
    for scratch in (None, files):
        corpus, _ = build_corpus("mine", files / "u.csv", {"audio": [files / "audio.npy"]}, scratch)
        assert is_mapped(corpus.features["audio"]) == (scratch is not None)
        assert corpus.features["audio"].tobytes() == expected.tobytes()
    assert sorted(path.name for path in files.iterdir()) == ["audio.npy", "event.npy", "text.npy", "u.csv"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offset", np.array([0, 3, 5, 7])),
        ("offset", np.array([0, 3, 3, 6])),
        ("label", np.array([0, 1, 2, 0, 1, 3])),
        ("label", np.zeros(5, np.int64)),
        ("numbers", np.zeros(5, np.int64)),
        ("sentiment", np.full(6, 3)),
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


def test_blank_features_are_mentioned(files):
    """Such as those of an extraction that failed: they take part in each network, and say nothing."""
    np.save(files / "audio.npy", np.zeros((6, 4)))
    paths = {name: [files / f"{name}.npy"] for name in ("text", "event", "audio")}
    said = "Note: the audio features are the same in every row; no network learns from them."
    assert said in build_corpus("mine", files / "u.csv", paths)[1]
    assert not any(
        "same in every row" in note for note in build_corpus("mine", files / "u.csv", {"text": paths["text"]})[1]
    )


PIECES = [
    "",
    ",",
    "\n",
    '"',
    ";",
    "\t",
    "\0",
    "\r",
    " ",
    "\x85",
    "\u2028",
    "\ufeff",
    "-1",
    "nan",
    "inf",
    "1_0",
    "9" * 20,
    "train",
]
PLACES = st.tuples(st.integers(0, 2**16), st.integers(0, 6), st.sampled_from(PIECES))


@given(
    st.lists(PLACES, min_size=1, max_size=4), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=2)
)
def test_whatever_is_changed_ends_in_a_line_or_a_corpus(tmp_path_factory, pieces, changed):
    folder, text, array = tmp_path_factory.mktemp("changed"), ROWS, io.BytesIO()
    for place, length, piece in pieces:
        at = place % (len(text) + 1)
        text = text[:at] + piece + text[at + length :]
    np.save(array, np.ones((6, 2)))
    content = bytearray(array.getvalue())
    for place, byte in changed:
        content[place] = byte
    (folder / "u.csv").write_text(text, encoding="utf-8", newline="")
    (folder / "audio.npy").write_bytes(content)
    try:
        corpus = built(folder, "audio")
    except InputError:
        return
    write_own(corpus, folder)
    assert same(read_own(folder), corpus)


def test_wrong_choices(files):
    for names, message in (
        (["event"], "found event; expected text, audio, visual, or several of these; event features need text"),
        (["event", "audio"], "found event without text; expected both, or text alone for both"),
    ):
        with pytest.raises(InputError, match=message) as error:
            built(files, *names)
        assert {"text", "event"} <= set(error.value.change)
    with pytest.raises(InputError, match="is the name of a released dataset") as error:
        built(files, name="MELD")
    assert error.value.change == ["name"]


def test_text_alone_serves_as_both(files):
    corpus, notes = build_corpus("mine", files / "u.csv", {"text": [files / "text.npy"]})
    assert np.array_equal(corpus.features["text"], corpus.features["event"])
    assert notes[-1] == "No event features: the text features serve as both."


def test_files_of_one_name_have_entries_of_their_own(files):
    """What a run was made of is compared when it is resumed."""
    (files / "more").mkdir()
    np.save(files / "more" / "text.npy", np.ones((6, 2)))
    paths = {"text": [files / "text.npy"], "audio": [files / "more" / "text.npy"]}
    corpus, _ = build_corpus("mine", files / "u.csv", paths)
    assert set(corpus.sources) == {"u.csv", str(files / "text.npy"), str(files / "more" / "text.npy")}
