"""A terminal of so many columns, as the operating system pretends one, for what commands show on it."""

import fcntl
import os
import re
import struct
import sys
import termios
import threading
from collections.abc import Callable

import pytest

pty = pytest.importorskip("pty")  # not on Windows
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # that move the cursor, or change colours


def shown_on_terminal(call: Callable[[], object], columns: int = 80) -> tuple[str, list[str]]:
    """What `call` writes to standard output and error, both of which are a terminal of so many `columns`.

    All of it, and each line that one could see, also those that were overwritten; SystemExit is passed over.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    parts: list[bytes] = []
    reader = threading.Thread(target=_read, args=(master, parts))
    reader.start()
    with pytest.MonkeyPatch.context() as patch, os.fdopen(slave, "w", encoding="utf-8") as stream:
        patch.delenv("COLUMNS", raising=False)
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        try:
            call()
        except SystemExit:
            pass
        finally:
            stream.flush()
    reader.join()
    os.close(master)
    text = b"".join(parts).decode().replace("\r\n", "\n")
    return text, [line for part in CODES.split(text) for line in re.split(r"[\r\n]", part)]


def _read(master, parts):
    while True:
        try:
            part = os.read(master, 1 << 16)
        except OSError:  # Linux, when the other side is closed
            return
        if not part:
            return
        parts.append(part)
