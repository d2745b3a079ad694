"""Files that appear whole or not at all."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


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
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


HEAD = 4096  # bytes that `mistaken_for` needs


def mistaken_for(head: bytes) -> str | None:
    """What stands where data should: a web page or a Git LFS pointer, in words; None for anything else.

    `head`: the first HEAD bytes. No pickle and no zip archive begins like one of these.
    """
    if not head:
        return "an empty file"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, which only names the file (`git lfs pull` gets it)"
    text = head.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("<"):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.S | re.I)
        return "a web page" + (f" ({' '.join(title[1].split())[:80]!r})" if title else "")
    return None
