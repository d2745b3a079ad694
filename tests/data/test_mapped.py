"""Features as files that are mapped: what is written is what is read, and what has changed is noticed."""

import hashlib
import os
import shutil

import numpy as np
import pytest

from common.data import mapped
from common.data.mapped import blocks, files_of, is_mapped, map_arrays, not_finite, remember, state_of, write_arrays
from common.errors import InputError

U = 5


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((U, width), np.float32) for name, width in (("text", 6), ("audio", 3))}


@pytest.fixture
def written(features, tmp_path):
    """The folder of these features, and what is known of their files."""
    entries = write_arrays(features, tmp_path)
    remember(state_of(entries, tmp_path), tmp_path)
    return tmp_path, entries


@pytest.fixture
def read(monkeypatch):
    """Names of the files that are read through."""
    names, whole = [], mapped.sha256
    monkeypatch.setattr(mapped, "sha256", lambda path: names.append(path.name) or whole(path))
    return names


@pytest.mark.parametrize("block", [2**22, 50, 1])
def test_written_and_mapped_again(features, tmp_path, monkeypatch, block):
    """However many rows are worked on at a time; the files are what numpy itself writes."""
    monkeypatch.setattr(mapped, "BLOCK", block)
    entries = write_arrays(features, tmp_path)
    found = map_arrays(entries, tmp_path, U)
    assert list(found) == list(features)
    for kind, values in features.items():
        assert found[kind].dtype == np.float32
        np.testing.assert_array_equal(found[kind], values)
        np.testing.assert_array_equal(np.load(tmp_path / entries[kind]["file"]), values)
        assert is_mapped(found[kind])
        assert is_mapped(found[kind][1:3])
        assert not is_mapped(values)
        with pytest.raises(ValueError, match="read-only"):
            found[kind][0] = 0


def test_blocks():
    assert [(part.start, part.stop) for part in blocks(5, 2**19)] == [(0, 2), (2, 4), (4, 5)]  # 2 MiB a row
    assert [(part.start, part.stop) for part in blocks(2, 2**30)] == [(0, 1), (1, 2)]
    assert list(blocks(3, 0)) == [slice(0, 3)]


def test_names_are_of_the_content(features, tmp_path):
    entries = write_arrays(features, tmp_path)
    for kind, entry in entries.items():
        digest = hashlib.sha256((tmp_path / entry["file"]).read_bytes()).hexdigest()
        assert entry == {"file": f"{kind}-{digest[:12]}.npy", "sha256": digest}
    assert write_arrays(features, tmp_path) == entries
    assert write_arrays({"text": features["text"] + 1}, tmp_path)["text"]["file"] != entries["text"]["file"]
    assert len(os.listdir(tmp_path)) == 3


def test_an_array_of_two_kinds_is_one_file_and_one_without_columns_is_none(features, tmp_path):
    features |= {"event": features["text"], "visual": np.zeros((U, 0), np.float32)}
    entries = write_arrays(features, tmp_path)
    assert set(entries) == {"text", "audio", "event"}
    assert set(os.listdir(tmp_path)) == files_of(entries)
    assert len(files_of(entries)) == 2
    found = map_arrays(entries, tmp_path, U)
    assert found["event"] is found["text"]


def test_what_a_killed_process_left_is_not_taken(features, tmp_path):
    for kind in features | {"event": 0}:
        (tmp_path / f".{kind}.new").write_bytes(b"of another array")
    features["event"] = features["text"]
    found = map_arrays(write_arrays(features, tmp_path), tmp_path, U)
    for kind, values in features.items():
        np.testing.assert_array_equal(found[kind], values)


def test_what_was_checked_is_not_read_through_again(written, read):
    folder, entries = written
    map_arrays(entries, folder, U)
    assert read == []


def test_a_copy_is_checked_once(written, read, features, tmp_path):
    folder, entries = written
    copy = shutil.copytree(folder, tmp_path.with_name("copy"))
    for _ in range(2):
        np.testing.assert_array_equal(map_arrays(entries, copy, U)["text"], features["text"])
        assert sorted(read) == sorted(files_of(entries))


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b"[" * 10**5, b"\xff", b'{"text": 1}'])
def test_what_is_remembered_may_be_lost_or_damaged(written, read, content):
    folder, entries = written
    (folder / mapped.CHECKED).unlink()
    if content is not None:
        (folder / mapped.CHECKED).write_bytes(content)
    map_arrays(entries, folder, U)
    assert sorted(read) == sorted(files_of(entries))


def flipped(path):
    """Another bit in the last number, the size and the date as they were."""
    content, times = bytearray(path.read_bytes()), path.stat()
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


DAMAGES = {
    "flipped": (flipped, "damaged, or another file than was built"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged or incomplete"),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "damaged, or another file"),
    "empty": (lambda path: path.write_bytes(b""), "damaged or incomplete"),
    "archive": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(50)), "damaged or incomplete"),
    "objects": (lambda path: np.save(path, np.array([[None]])), "damaged or incomplete"),
    "shape": (lambda path: np.save(path, np.zeros((U + 1, 3), np.float32)), r"float32 of shape \(6, 3\); expected"),
    "dtype": (lambda path: np.save(path, np.zeros((U, 3))), "float64 of shape"),
    "order": (lambda path: np.save(path, np.zeros((3, U), np.float32).T), "float32 of shape"),
    "missing": (lambda path: path.unlink(), "missing, the audio features of this dataset"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damages_are_named(written, damage):
    folder, entries = written
    change, message = DAMAGES[damage]
    path = folder / entries["audio"]["file"]
    change(path)
    for _ in range(2):  # not remembered as good
        with pytest.raises(InputError, match=f"{path.name}: .*{message}.*; restore it, or build again") as error:
            map_arrays(entries, folder, U)
        assert "\n" not in str(error.value)


def test_numbers_that_are_not_finite_are_not_written(features, tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 50)
    features["audio"][3, 1] = np.inf
    with pytest.raises(InputError, match=r"audio features of row 3 \(from 0\) hold NaN or infinity"):
        write_arrays(features, tmp_path)
    assert os.listdir(tmp_path) == []


def test_nor_taken_from_a_file_of_others(features, tmp_path):
    """Whose SHA-256 is right."""
    entries, values = write_arrays(features, tmp_path), features["audio"].copy()
    values[4, 2] = np.nan
    np.save(tmp_path / "audio-000000000000.npy", values)
    digest = mapped.sha256(tmp_path / "audio-000000000000.npy")
    entries["audio"] = {"file": "audio-000000000000.npy", "sha256": digest}
    with pytest.raises(InputError, match=r"audio-000000000000.npy: NaN or infinity in row 4 \(from 0\)"):
        map_arrays(entries, tmp_path, U)


def test_the_first_row_that_is_not_finite(monkeypatch):
    values = np.zeros((9, 2), np.float32)
    monkeypatch.setattr(mapped, "BLOCK", 16)
    assert not_finite(values) is None
    values[[5, 7], 1] = np.nan
    assert not_finite(values) == 5


@pytest.mark.parametrize("name", ["../text-000000000000.npy", "/etc/passwd", "text.npy", "corpus.npz", ""])
def test_names_of_other_files_are_not_followed(written, name):
    folder, entries = written
    assert files_of({"text": {"file": name}}) == set()
    with pytest.raises(ValueError, match="no name of a file of features"):
        map_arrays(entries | {"text": entries["text"] | {"file": name}}, folder, U)
