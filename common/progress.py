"""How far a task is, on standard error: a bar on a terminal; elsewhere, as in a log file, a line now and then."""

import sys
import threading
import time
from contextlib import suppress

from tqdm import tqdm

from common.terminal import columns, fitted

tqdm.set_lock(threading.RLock())  # its own is for several processes; one that is killed leaves a part of it behind
LAYOUT = "{desc} {n_fmt}/{total_fmt} {bar} <{remaining}{postfix}"  # the bar takes what room there is
EVERY = 30.0  # seconds between two lines of a task, but for its first and last


class Progress:
    """The progress of one task of `total` steps of a `unit`, `done` of which are done already.

    `brief`: the title on a terminal, where room is scarce; `position`: its line there, from 0; `shown`: whether there
    is anything to see. That it cannot be shown, as after a terminal has gone, is passed over.
    """

    def __init__(
        self,
        title: str,
        total: int,
        unit: str,
        *,
        done: int = 0,
        position: int = 0,
        shown: bool = True,
        brief: str | None = None,
    ):
        self._title, self._total, self._unit, self._done, self._note = title, total, unit, done, ""
        self._shown, self._due, self._said = shown and sys.stderr is not None, 0.0, ""
        self.on_terminal = self._shown and sys.stderr.isatty()
        if self.on_terminal:
            words = {"initial": done, "position": position, "dynamic_ncols": True, "bar_format": LAYOUT}
            self._bar = tqdm(total=total, desc=brief or title, unit=unit, **words)

    def update(self, note: str | None = None, steps: int = 1) -> None:
        """So many steps more are done; `note`: what to say of it, unless that is still the same."""
        self._done, self._note = self._done + steps, self._note if note is None else note
        if self.on_terminal:
            self._bar.set_postfix_str(self._note, refresh=not steps)
            self._bar.update(steps)
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + EVERY
            self._line()

    def write(self, line: str) -> None:
        """Say a line in between."""
        if self.on_terminal:
            tqdm.write(fitted(line, columns(sys.stderr)), file=sys.stderr)
        elif sys.stderr is not None:
            with suppress(OSError, ValueError):  # ValueError: it was closed
                sys.stderr.write(f"{line}\n")  # at once, as other threads write, too
                sys.stderr.flush()

    def close(self) -> None:
        """Nothing more is to come."""
        if self.on_terminal:
            self._bar.close()
        elif self._done:
            self._line()

    def _line(self):
        line = f"{self._title}: {self._done}/{self._total} {self._unit}s{f', {self._note}' if self._note else ''}"
        if self._shown and line != self._said:
            self._said = line
            self.write(line)
