"""One file over HTTP, whole or not at all.

While it arrives it is `<name>.part`, which stays after an interruption and is continued by the next call (HTTP Range),
as long as the server still has the same file. `obtained.json` beside it holds source, size and SHA-256 of what arrived.
"""

import html
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from common.errors import InputError
from common.files import HEAD, atomic, mistaken_for, sha256

MANIFEST = "obtained.json"
TRIES, WAIT = 4, 1.0  # tries without progress; seconds before the second one, doubled each time
_CHUNK, _PAGE = 1 << 20, 1 << 22  # bytes read at a time; most bytes of a page
_LATER = (408, 429, 500, 502, 503, 504)  # HTTP statuses that may pass
Result = TypeVar("Result")


class DownloadError(Exception):
    """A file could not be downloaded. The message is the reason, a part of a line."""


class UnreachableError(DownloadError):
    """There was no connection to the server."""


class _InterruptedError(Exception):
    """A try failed, and another one may not."""


class _NoConnectionError(_InterruptedError):
    """Not even a connection came about."""


@dataclass(frozen=True)
class Source:
    """What is downloaded from `url` to `target`. `page`: the link that a person would open in a browser.

    `size` in bytes and `sha256`, where they are known.
    """

    url: str
    target: Path
    page: str
    size: int | None = None
    sha256: str | None = None


def read_manifest(folder: str | Path) -> dict[str, dict]:
    """What was downloaded to `folder`: file name to `source`, `size`, `sha256`, and `obtained`, a time.

    A download that is not complete has no `sha256`. Raises InputError for a file that is no such manifest.
    """
    path = Path(folder) / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise InputError(f"{path}: not a list of downloads as `python -m common obtain` writes it; remove it")
    return found


def check_present(source: Source) -> str:
    """SHA-256 of the `target`, which is there already. Raises DownloadError where it is plainly not what is wanted."""
    with open(source.target, "rb") as file:
        found = mistaken_for(file.read(HEAD))
    if found:
        raise DownloadError(f"exists already, but is {found}; remove it and run again")
    found = sha256(source.target)
    expected = source.sha256 or read_manifest(source.target.parent).get(source.target.name, {}).get("sha256", found)
    if found != expected:
        raise DownloadError(
            f"exists already, but is another file: SHA-256 {found}, expected {expected}; move it away and run again"
        )
    return found


def download(source: Source, timeout: float) -> str:
    """Download `source.target`, unless it is there, and return its SHA-256.

    `timeout`: seconds without a single byte after which a connection is given up and tried anew.
    Raises DownloadError, with `<name>.part` left to be continued, where the server cannot be reached or does not send
    the file; where it sends an HTML page, a Git LFS pointer, nothing, or a file of another size or SHA-256. Raises
    InputError where another process is downloading the same file. What is there is never replaced.
    """
    target = source.target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with open(part, "ab") as file:
        _lock(file, part)
        if not target.exists():
            try_again(lambda: _receive(source, file, timeout), target.name, lambda: file.seek(0, os.SEEK_END))
            file.flush()
            os.fsync(file.fileno())
            digest = sha256(part)
            if source.sha256 not in (None, digest):
                file.truncate(0)
                raise DownloadError(f"received a file with SHA-256 {digest}; expected {source.sha256}")
            obtained = {"sha256": digest, "obtained": datetime.now(UTC).isoformat(timespec="seconds")}
            _record(target, read_manifest(target.parent)[target.name] | obtained)
    if target.exists():  # somebody else was faster
        part.unlink(missing_ok=True)
        return check_present(source)
    os.replace(part, target)
    return digest


def read_json(url: str, timeout: float) -> Any:
    """The JSON that `url` answers. Raises DownloadError as `download` does."""

    def read():
        with _open(Request(url), timeout) as answer:
            try:
                return json.loads(_read(answer.read, None))
            except ValueError:
                raise DownloadError(f"{url} answered no JSON") from None

    return try_again(read, urlsplit(url).netloc)


def try_again(action: Callable[[], Result], name: str, progress: Callable[[], int] = lambda: 0) -> Result:
    """What `action()` returns, called again with growing pauses where it was interrupted.

    Tries during which `progress()`, a number of bytes, has grown beyond what it was ever before do not count.
    Raises DownloadError after TRIES that do.
    """
    tries, most = 0, progress()
    while True:
        try:
            return action()
        except _InterruptedError as interruption:
            tries, most = (0 if progress() > most else tries) + 1, max(most, progress())
            if tries >= TRIES:
                kind = UnreachableError if isinstance(interruption, _NoConnectionError) else DownloadError
                raise kind(f"{interruption}, {TRIES} times") from None
            pause = WAIT * 2 ** (tries - 1)
            tqdm.write(f"{name}: {interruption}; trying again in {pause:g} s", file=sys.stderr)
            time.sleep(pause)


def _lock(file, part):
    try:
        import fcntl
    except ImportError:  # Windows has other locks
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{part}: another process is downloading this file; wait until it has ended") from None
    except OSError:  # a file system without locks
        pass


def _receive(source, file, timeout, url=None):
    """Append to `file` what it lacks. `url`: in place of that of `source`."""
    begun = file.seek(0, os.SEEK_END)
    known = read_manifest(source.target.parent).get(source.target.name, {})
    same = known.get("source") == source.url
    if same and begun and begun == known.get("size"):
        return
    request = Request(url or source.url, headers={"Range": f"bytes={begun}-"} if same and begun else {})
    with _open(request, timeout) as answer:
        head = _read(answer.read, HEAD)
        version = [answer.headers[name] for name in ("ETag", "Last-Modified")]
        if answer.status == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers["Content-Range"] or "")
            first, size = map(int, found.groups()) if found else (None, None)
            if (first, size, version) != (begun, known.get("size"), known.get("version")):
                file.truncate(0)
                raise _InterruptedError("the server has another file than before")
        elif head and mistaken_for(head):
            page = head + _read(answer.read, _PAGE)
            if url or not (query := _confirmation(page)):
                raise DownloadError(f"the server answers {mistaken_for(page)} instead of the file")
            _receive(source, file, timeout, f"{source.url.partition('?')[0]}?{query}")
            return
        else:
            first, size = 0, int(answer.headers["Content-Length"] or 0)
            if not size:
                raise DownloadError("the server sends an empty file, or does not say how long it is")
            if source.size not in (None, size):
                raise DownloadError(f"the server has a file of {size:,} bytes; expected {source.size:,}")
            file.truncate(0)
            _record(source.target, {"source": source.url, "size": size, "version": version})
        options = {"unit": "B", "unit_scale": True, "desc": source.target.name, "disable": None}
        with tqdm(total=size, initial=first, **options) as bar:
            while head:
                first += file.write(head)
                bar.update(len(head))
                head = _read(answer.read1, min(_CHUNK, size - first))
    if first != size:
        raise _InterruptedError(f"the connection was closed, {size - first:,} bytes are missing")


def _open(request, timeout):
    request.add_header("User-Agent", "ecerc")
    try:
        return urlopen(request, timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416 and request.has_header("Range"):  # the file is shorter than what we have
            request.remove_header("Range")
            return _open(request, timeout)
        words = f"the server answers {error.code} {error.reason}"
        raise (_InterruptedError if error.code in _LATER else DownloadError)(words) from None
    except (OSError, HTTPException) as error:
        raise _NoConnectionError(f"no connection to {request.host} ({getattr(error, 'reason', error)})") from None


def _read(read, size):
    try:
        return read(size)
    except (OSError, HTTPException) as error:
        raise _InterruptedError(f"the connection was lost ({error})") from None


def _confirmation(page):
    """The query that Google's "cannot scan this file for viruses" page asks to be sent, or None."""
    form = re.search(r'<form[^>]*id="download-form".*?</form>', page.decode("utf-8", "replace"), re.S)
    inputs = re.findall(r'<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"', form[0]) if form else []
    return urlencode({html.unescape(name): html.unescape(value) for name, value in inputs})


def _record(target, entry):
    entries = read_manifest(target.parent) | {target.name: entry}
    with atomic(target.parent / MANIFEST) as file:
        json.dump(entries, file, indent=1)
