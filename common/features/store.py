"""Features of single utterances, kept on disk while a dataset is made of them, so that nothing is computed twice.

An SQLite file, which survives the end of the process at any moment. A row is what one extractor made of one utterance:
its float32 numbers, or the reason why there are none. Both are named by hashes, see `extractor`: another option or a
changed file is another name.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from common.errors import InputError

MANY = 500  # names in one question
_TABLE = """CREATE TABLE IF NOT EXISTS features (
    extractor TEXT NOT NULL, utterance TEXT NOT NULL, numbers BLOB, reason TEXT, PRIMARY KEY (extractor, utterance))"""


class Store:
    """What is kept in the file `path`. Made by `opened`."""

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self._path, self._connection = path, connection

    def known(self, extractor: str, utterances: Sequence[str]) -> set[str]:
        """Those of `utterances`, names, that `extractor`, a name, is done with."""
        question = "SELECT utterance FROM features WHERE extractor = ? AND utterance IN ({})"
        return {name for (name,) in self._rows(question, extractor, utterances)}

    def put(self, extractor: str, results: Iterable[tuple[str, np.ndarray | str]]) -> None:
        """Keep what `extractor` made of utterances: pairs of a name and numbers (width,), or the reason for none."""
        rows = [
            (extractor, name, None, result)
            if isinstance(result, str)
            else (extractor, name, np.ascontiguousarray(result, "<f4").tobytes(), None)
            for name, result in results
        ]
        with self._errors(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows)

    def get(self, extractor: str, utterances: Sequence[str]) -> Iterator[np.ndarray | str | None]:
        """For each of `utterances`, in order, its numbers (width,), the reason for none, or None: not known."""
        question = "SELECT utterance, numbers, reason FROM features WHERE extractor = ? AND utterance IN ({})"
        for begin in range(0, len(utterances), MANY):
            names = utterances[begin : begin + MANY]
            found = {
                name: reason if numbers is None else numbers
                for name, numbers, reason in self._rows(question, extractor, names)
            }
            for name in names:
                result = found.get(name)
                if isinstance(result, bytes) and (len(result) % 4 or not result):
                    raise InputError(f"{self._path}: damaged; remove it; its features are made anew")
                yield np.frombuffer(result, "<f4") if isinstance(result, bytes) else result

    def _rows(self, question, extractor, utterances):
        for begin in range(0, len(utterances), MANY):
            names = utterances[begin : begin + MANY]
            with self._errors():
                yield from self._connection.execute(question.format(", ".join("?" * len(names))), [extractor, *names])

    @contextmanager
    def _errors(self):
        try:
            yield
        except sqlite3.DatabaseError as error:
            full = "disk is full" in str(error) or "disk I/O" in str(error)
            mend = "make room, and run the same command again" if full else "remove it; its features are made anew"
            raise InputError(f"{self._path}: {error}; {mend}") from None


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """The Store in file `path`, which is made where it is missing. Raises InputError for a file of another kind."""
    connection = sqlite3.connect(path)
    store = Store(path, connection)
    try:
        with store._errors():
            connection.execute("PRAGMA trusted_schema = OFF")  # a foreign file could have triggers and views
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_TABLE)
        yield store
    finally:
        connection.close()
