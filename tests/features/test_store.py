import sqlite3

import numpy as np
import pytest

from common.errors import InputError
from common.features.store import MANY, opened

NUMBERS = np.array([1.5, -2.25, 3e-8], np.float32)


def test_what_is_put_is_there_in_another_process(tmp_path):
    with opened(tmp_path / "s") as store:
        store.put("x", [("a", NUMBERS), ("b", "no sound")])
        store.put("y", [("a", 2 * NUMBERS)])
    with opened(tmp_path / "s") as store:
        found = list(store.get("x", ["b", "a", "c", "a"]))
        assert store.known("x", ["a", "b", "c"]) == {"a", "b"}
        assert store.known("y", ["a", "b"]) == {"a"}
    assert found[0] == "no sound"
    assert found[2] is None
    for values in (found[1], found[3]):
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, NUMBERS)


def test_more_than_one_question_holds(tmp_path):
    names = [str(i) for i in range(2 * MANY + 3)]
    with opened(tmp_path / "s") as store:
        store.put("x", [(name, np.full(2, i, np.float32)) for i, name in enumerate(names)])
        assert [float(values[0]) for values in store.get("x", names[::-1])] == list(range(len(names)))[::-1]
        assert store.known("x", names) == set(names)


def test_what_was_not_finished_is_not_there(tmp_path):
    def broken():
        yield "a", NUMBERS
        raise KeyboardInterrupt

    with opened(tmp_path / "s") as store:
        with pytest.raises(KeyboardInterrupt):
            store.put("x", broken())
        assert list(store.get("x", ["a"])) == [None]


@pytest.mark.parametrize("content", [b"no database, but text\n" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(InputError, match=r"s: file is not a database.*; remove it"), opened(tmp_path / "s") as store:
        store.known("x", ["a"])


def test_a_table_of_other_columns_is_named(tmp_path):
    with sqlite3.connect(tmp_path / "s") as connection:
        connection.execute("CREATE TABLE features (other TEXT)")
    with pytest.raises(InputError, match="no such column"), opened(tmp_path / "s") as store:
        store.known("x", ["a"])


@pytest.mark.parametrize("numbers", [b"", b"\0" * 6])
def test_numbers_that_are_cut_are_named(tmp_path, numbers):
    with opened(tmp_path / "s") as store:
        store.put("x", [("a", NUMBERS)])
        store._connection.execute("UPDATE features SET numbers = ?", [numbers])
        with pytest.raises(InputError, match="s: damaged; remove it"):
            list(store.get("x", ["a"]))
