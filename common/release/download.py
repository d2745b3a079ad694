"""One file from the Hugging Face hub (by huggingface_hub), from Google Drive or any server (by gdown) into a temporary
folder.

Both libraries resume within a call when a connection is lost. From one call to the next, gdown resumes, without
noticing that the file was replaced meanwhile; huggingface_hub keeps nothing of an unfinished file.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

TIMEOUT = 30.0  # seconds without an answer; for the content of hub files: HF_HUB_DOWNLOAD_TIMEOUT in the environment
RETRIES = 5  # after a lost connection, as huggingface_hub has them


class DownloadError(Exception):
    """A file could not be downloaded. The message is the reason, a part of a line."""


class UnreachableError(DownloadError):
    """The server could not be reached, so that there is no use in asking it for another file."""


def hub_files(repository: str) -> dict[str, str | None]:
    """Path to SHA-256 (None for files outside Git LFS) of each file in a `repository` on the hub.

    Raises UnreachableError where the hub does not say.
    """
    hub = _hub()
    try:
        files = hub.model_info(repository, files_metadata=True, timeout=TIMEOUT).siblings
        return {file.rfilename: file.lfs and file.lfs.sha256 for file in files}
    except Exception as error:  # from the network, or from an answer that no hub gives
        reason = f"{hub.endpoint} does not list the files of {repository}: {_first_cause(error)}"
    raise UnreachableError(reason)


def from_hub(repository: str, path: str, folder: Path) -> tuple[Path, str]:
    """Download the file `path` of a `repository` on the hub into `folder`; returns where it lies there, and its URL.

    Raises DownloadError where it does not arrive complete.
    """
    shutil.rmtree(folder / "hub", ignore_errors=True)  # what a killed process left: nothing that could be resumed
    hub = _hub()
    try:
        received = hub.hf_hub_download(repository, path, local_dir=folder / "hub", etag_timeout=TIMEOUT)
        return Path(received), f"{hub.endpoint}/{repository}/resolve/main/{path}"
    except Exception as error:  # from the network, the answer or the file system
        reason = _first_cause(error)
    raise DownloadError(reason)


def from_drive(file_id: str, path: Path) -> tuple[Path, str]:
    """Download a file of Google Drive, see `from_url`."""
    return from_url(f"https://drive.google.com/uc?id={file_id}", path, "Google Drive")


def from_url(url: str, path: Path, server: str) -> tuple[Path, str]:
    """Download the file at `url` to `path`, alone in its folder; returns `path` and the URL. `server`: for messages.

    What an earlier call left there is resumed.

    Raises DownloadError where it does not arrive complete, UnreachableError where there is no connection.
    """
    import gdown
    import requests

    options: dict[str, Any] = {"use_cookies": False, "resume": True, "timeout": TIMEOUT, "retries": RETRIES}
    begun, quiet = list(path.parent.glob("*.part")), not sys.stderr.isatty()
    try:
        gdown.download(url, output=str(path), quiet=quiet, **options)
        return path, url
    except Exception as error:  # from the network, the answer or the file system
        reason = _first_cause(error)
        if isinstance(error.__cause__ or error, requests.ConnectionError | requests.Timeout):
            raise UnreachableError(f"no connection to {server}: {reason}") from None
        if not begun or "byte range" not in reason:
            raise DownloadError(reason) from None
    for part in begun:  # the server does not send the rest alone
        part.unlink()
    return from_url(url, path, server)


def _hub():
    # Without Xet, files come over plain HTTP: through mirrors too, and with nothing left in the user's cache.
    from huggingface_hub import HfApi, constants

    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET"):
        if os.environ.get(name, "1") == "1":  # by itself it counts only for who imports the library first
            setattr(constants, name, True)
    return HfApi(token=False)


def _first_cause(error):
    """The first line of what the libraries' errors, which explain at length, were made of."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
