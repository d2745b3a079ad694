"""history.csv, which grows while several threads train seeds."""

import threading
import time

import pandas as pd

from common.training.folder import HISTORY, RunFolder
from common.training.tables import block_of, joined

EVERY = 1.0  # seconds between two writings, at least; and they take at most a twentieth of the time


class History:
    """The rows of history.csv in `folder`, by index of the seed; `finished`: those of seeds that are finished.

    It is there to be read, and nothing depends on it: a run outlives that it cannot be written. `problem` says why the
    last writing failed, None where it did not.
    """

    def __init__(self, folder: RunFolder, finished: dict[int, pd.DataFrame]):
        self._folder, self._ended = folder, {index: block_of(table) for index, table in finished.items()}
        self._rows: dict[int, list[dict]] = {}
        self._lock, self._writing, self._due = threading.Lock(), threading.Lock(), 0.0
        self.problem: str | None = None
        self._said = False

    def start(self, index: int, rows: list[dict]) -> None:
        """The seed at `index` begins, with the `rows` that it has; `add` appends to this list."""
        with self._lock:
            self._rows[index] = rows

    def add(self, index: int, row: dict) -> None:
        """An epoch has ended."""
        with self._lock:
            self._rows[index].append(row)

    def end(self, index: int) -> None:
        """The seed at `index` has ended: its rows are written, and not converted again."""
        with self._lock:
            if rows := self._rows.pop(index, None):  # a seed may fail after its end
                self._ended[index] = block_of(pd.DataFrame(rows))
        self.write()

    def write(self) -> None:
        """Write what is known. Raises OSError only where the run's folder is gone."""
        with self._writing:
            begun = time.monotonic()
            with self._lock:  # a table needs rows that stay as they are
                growing = {index: block_of(pd.DataFrame(rows)) for index, rows in self._rows.items() if rows}
                blocks = self._ended | growing
            try:
                if blocks:
                    self._folder.write_table(HISTORY, joined(blocks))
                self.problem = None
            except Exception as error:
                if not self._folder.path.is_dir():
                    raise
                self.problem = f"{self._folder.path / HISTORY}: not written ({error})"
            now = time.monotonic()
            self._due = now + max(EVERY, 20 * (now - begun))

    def write_now_and_then(self) -> str | None:
        """Write if it is time; returns a problem once, when it is the first."""
        if time.monotonic() > self._due:
            self.write()
        if self.problem is None or self._said:
            return None
        self._said = True
        return self.problem
