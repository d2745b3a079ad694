"""Files that are written atomically, folders that one process writes at a time, and YAML files."""

import glob
import hashlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import yaml
from filelock import FileLock, Timeout

from common.errors import InputError

LONGEST_YAML = 2**18  # characters
ABANDONED = 3600  # seconds after which a half-written file that nobody writes to any more is removed
HEAD = 4096  # bytes that `mistaken_for` needs
_MARKS = {  # first bytes of other kinds of files
    b"\x1f\x8b": "a file packed by gzip (`gzip -dc FILE > NEW` unpacks it)",
    b"BZh": "a file packed by bzip2 (`bzip2 -dc FILE > NEW` unpacks it)",
    b"\xfd7zXZ": "a file packed by xz (`xz -dc FILE > NEW` unpacks it)",
    b"(\xb5/\xfd": "a file packed by zstd (`zstd -dc FILE > NEW` unpacks it)",
    b"7z\xbc\xaf": "a 7z archive (`7z x FILE` unpacks it)",
    b"Rar!\x1a": "a RAR archive (`unrar x FILE` unpacks it)",
    b"\x89HDF\r\n": "an HDF5 file",
    b"%PDF-": "a PDF document",
}


@contextmanager
def atomic(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a new file that replaces `path` when the block ends well, and leaves no trace when it does not.

    Safe when several processes write the same path: the last one to finish wins, with a complete file. What writers of
    this path left that were killed is removed once it is an hour old.
    """
    path = Path(path)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                left.unlink()
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, mode.replace("w", "x"), encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path)  # nobody knows the temporary one
        raise
    finally:
        with suppress(OSError):  # it would hide what happened before
            temporary.unlink(missing_ok=True)


def require_writable(folder: Path, wanted: str) -> None:
    """Raises InputError, beginning with `wanted`, where no file could be made in `folder`, which need not exist yet."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        where = "the folder" if there.is_dir() else "what should be a folder,"
        raise InputError(f"{wanted}: {where} {there} cannot be written ({error.strerror}); choose another") from None


@contextmanager
def folder_for(path: str | Path, new: bool = False) -> Iterator[None]:
    """Make the folder `path`, and those above it; at the end those that were made go again if nothing came into them.

    `new`: raise FileExistsError where it exists.
    """
    made = [folder for folder in (Path(path), *Path(path).parents) if not folder.exists()]
    Path(path).mkdir(parents=True, exist_ok=not new)
    try:
        yield
    finally:
        with suppress(OSError):  # they hold something
            for folder in made:
                folder.rmdir()


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: str | Path, otherwise: str) -> Iterator[None]:
    """Hold the lock of file `path`, which is made, and removed at the end.

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
        with suppress(OSError):
            Path(path).unlink(missing_ok=True)  # while it is held: whoever opened this file sees that it is gone
        lock.release()


def check_free(path: str | Path, otherwise: str) -> None:
    """Raises InputError, saying `otherwise`, where somebody holds the lock of file `path`. Changes nothing."""
    if Path(path).exists():
        lock = FileLock(path)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise InputError(otherwise) from None
        except (NotImplementedError, OSError):  # it may be in a folder that cannot be written
            return
        lock.release()


def mistaken_for(head: bytes, text: bool = False) -> str | None:
    """What stands where data should, in words: a web page, a Git LFS pointer, a packed file, something else that holds
    no data, or any text, where `text` says that text is not what is wanted; None for anything else.

    `head`: the first HEAD bytes. No pickle, no zip archive and no array begins like one of the first.
    """
    if not head:
        return "an empty file"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, which only names the file (`git lfs pull` gets it)"
    for mark, words in _MARKS.items():
        if head.startswith(mark):
            return words
    content = head.decode("utf-8-sig", "replace").lstrip()
    if content.startswith("<"):
        title = re.search(r"<title[^>]*>(.*?)</title>", content, re.S | re.I)
        return "a web page" + (f" ({' '.join(title[1].split())[:80]!r})" if title else "")
    content = content.removesuffix("\ufffd")  # the last character may be cut
    if text and content and all(c.isprintable() or c.isspace() for c in content) and "\ufffd" not in content:
        return f"a text ({content.splitlines()[0].strip()[:60]!r})"
    return None


class _Loader(yaml.SafeLoader):
    aliases = 0

    def compose_node(self, parent, index):
        self.aliases += self.check_event(yaml.AliasEvent)
        if self.aliases > 20:  # a few dozen can stand for billions of values
            raise yaml.YAMLError("more than 20 aliases")
        return super().compose_node(parent, index)


def read_yaml(path: str | Path) -> dict:
    """The mapping in YAML file `path`. Raises InputError where it is missing, huge, or holds something else."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LONGEST_YAML + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else "found a folder"
        raise InputError(f"{path}: {found}; expected a YAML file, such as settings.yaml of a run") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML ({error}); restore or remove it") from None
    return mapping_of(text, path)


def mapping_of(text: str, where: object) -> dict:
    """The mapping that the YAML `text` says. Raises InputError, naming `where`, as `read_yaml`."""
    if len(text) > LONGEST_YAML:
        raise InputError(f"{where}: found more than {LONGEST_YAML} characters; expected settings; restore it")
    try:
        content = yaml.load(text, _Loader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{where}: not readable as YAML ({reason}); restore or remove it") from None
    if not isinstance(content, dict):
        raise InputError(
            f"{where}: found {type(content).__name__}; expected a mapping of settings; restore or remove it"
        )
    return content
