"""Files that appear whole or not at all, and folders that one process writes at a time."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from common.errors import InputError


@contextmanager
def atomic(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a new file that takes `path`'s place when the block ends well, and leaves no trace when it does not.

    Safe when several processes write the same path: the last one to finish wins, with a whole file.
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, mode.replace("w", "x"), **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path)  # nobody knows the temporary one
        raise
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: str | Path, otherwise: str) -> Iterator[None]:
    """Hold the lock of file `path`, which is made and stays.

    Raises InputError, saying `otherwise`, where another process or thread holds it. Where the file system knows no
    locks, nothing is locked.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(otherwise) from None
    except NotImplementedError:
        pass
    try:
        yield
    finally:
        lock.release()
