"""Tables of a run that grow seed by seed: what was converted to text is not converted again, however many there are."""

import io
import os
from itertools import accumulate
from pathlib import Path

import pandas as pd

from common.errors import InputError
from common.files import atomic

Block = tuple[str, str]  # the header of a CSV file, and rows


def strings(text: str) -> pd.DataFrame:
    """The CSV file `text` as a table of strings. Raises ValueError where it is none."""
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def block_of(table: pd.DataFrame, columns: list[str] | None = None) -> Block:
    """`table` as text, by way of strings: a file is the same whether its run was resumed. `columns`: of the text."""
    written = strings(table.to_csv(index=False))
    if columns is not None:
        written = written.reindex(columns=columns)
    return written[:0].to_csv(index=False), written.to_csv(index=False, header=False)


def joined(blocks: dict[int, Block]) -> str:
    """Blocks by index of the seed as the text of one CSV file, in that order."""
    ordered = [blocks[index] for index in sorted(blocks)]
    if len({header for header, _ in ordered}) > 1:  # an older version of this code has begun the run
        return pd.concat([strings(header + rows) for header, rows in ordered]).to_csv(index=False)
    return ordered[0][0] + "".join(rows for _, rows in ordered)


class Growing:
    """The CSV file `path`, to which a seed that ends appends its rows: what it has is not written again.

    `finished`: the rows that it has, by index of the seed, in the order of the file. Until `put_in_order` new seeds
    stand in the order in which they ended. Whoever is killed while rows are appended leaves some of them, the last of
    them cut, which `whole_rows` leaves out.
    """

    def __init__(self, path: Path, finished: dict[int, pd.DataFrame]):
        self._path, self._finished = path, finished
        self._columns: list[str] = []
        self._header, self._sizes = 0, dict[int, int]()  # bytes; the latter by index, in the order of the file

    def add(self, index: int, table: pd.DataFrame) -> None:
        """Append the rows of the seed at `index`; where this fails with an OSError, the file is as before.

        Raises InputError where somebody else has changed the file.
        """
        if not self._sizes:
            self._begin(self._finished | {index: table})
            return
        rows, end = block_of(table, self._columns)[1].encode(), self._header + sum(self._sizes.values())
        try:
            with open(self._path, "r+b", buffering=0) as file:
                if file.seek(0, os.SEEK_END) != end:
                    raise InputError(f"{self._path}: changed while this run writes it; train again into another folder")
                try:
                    left = memoryview(rows)
                    while left:
                        left = left[file.write(left) :]
                    os.fsync(file.fileno())
                except BaseException:
                    file.truncate(end)
                    raise
        except OSError as error:
            error.filename = str(self._path)
            raise
        self._sizes[index] = len(rows)

    def _begin(self, tables):
        """Write the file anew: the first rows, and those of a run that is resumed."""
        self._columns = list(dict.fromkeys(name for index in sorted(tables) for name in tables[index].columns))
        blocks = {index: block_of(tables[index], self._columns) for index in sorted(tables)}
        with atomic(self._path) as file:
            file.write(joined(blocks))
        self._finished = {}
        self._sizes = {index: len(rows.encode()) for index, (_, rows) in blocks.items()}
        self._header = len(next(iter(blocks.values()))[0].encode())

    def put_in_order(self) -> None:
        """Put the seeds into the order of their indices."""
        order = list(self._sizes or self._finished)
        if order == sorted(order):
            return
        if not self._sizes:
            self._begin(self._finished)
            return
        with open(self._path, "rb") as old, atomic(self._path, "wb") as new:
            new.write(old.read(self._header))
            first = dict(zip(order, accumulate(self._sizes.values(), initial=self._header), strict=False))
            for index in sorted(order):
                old.seek(first[index])
                new.write(old.read(self._sizes[index]))
        self._sizes = {index: self._sizes[index] for index in sorted(order)}


def whole_rows(text: str) -> str:
    """The CSV file `text` without what stands behind its last line break."""
    return text[: text.rfind("\n") + 1]
