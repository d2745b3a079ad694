"""Downloads the authors' feature files (Google Drive) and checkpoints (Hugging Face hub) to where the scripts look.

A file arrives in a folder `.NAME.part` beside its target, and is moved there when it is complete and the one asked for.
`obtained.json` beside it holds source, size and SHA-256.
"""

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from common.data import DATASETS
from common.data.mistaken import text_instead
from common.errors import InputError
from common.files import HEAD, atomic, locked, mistaken_for, sha256
from common.release.download import DownloadError, UnreachableError, from_drive, from_hub, hub_files
from common.release.published import CHECKPOINTS, DRIVE_IDS, REPOSITORY, SHA256
from common.settings import DEFAULT_DATA
from common.terminal import show

KINDS = ("features", "checkpoints")
MANIFEST = "obtained.json"


def obtain(
    datasets: Sequence[str],
    data_dir: str | Path = DEFAULT_DATA,
    checkpoint_dir: str | Path = DEFAULT_DATA.parent,
    *,
    kinds: Sequence[str] = KINDS,
) -> None:
    """Download what is missing for `datasets`: features to folders in `data_dir`, checkpoints in `checkpoint_dir`.

    Existing files stay as they are. Files come one after the other; one that fails does not stop the others. Raises
    InputError counting the files that are lacking or are not what they should be, with a path, a link and the reason;
    a printed line for each has its own.
    """
    list_hub, files = cache(hub_files), []
    for dataset, target in targets(datasets, Path(data_dir), Path(checkpoint_dir), kinds):
        file_id, known = DRIVE_IDS.get(target.name), SHA256.get((dataset, target.name))
        link = f"drive.google.com/file/d/{file_id}/view" if file_id else f"huggingface.co/{REPOSITORY}/tree/main"
        present = partial(check_present, target, known)
        files.append(Wanted(target, link, present, partial(_download, dataset, target, file_id, known, list_hub)))
    bring(files)


class Wanted(NamedTuple):
    """A file that is wanted: where it lies in a browser, without https://; what checks that it is there as it should
    be; what downloads it. Both return its SHA-256, and raise DownloadError.
    """

    target: Path
    link: str
    present: Callable[[], str]
    download: Callable[[], str]


def bring(files: Sequence[Wanted]) -> None:
    """Download those of `files` that are not there, as `obtain` says."""
    unreachable: dict[str, DownloadError] = {}
    lacking = defaultdict[str, list](list)
    for target, link, present, download in files:
        server = link.split("/")[0]
        try:
            if target.exists():
                show(f"{target}: is there already, SHA-256 {present()}")
                continue
            if server in unreachable:
                raise unreachable[server]
            digest = download()
            show(f"{target}: {target.stat().st_size:,} bytes, SHA-256 {digest}")
        except DownloadError as reason:
            if isinstance(reason, UnreachableError):
                unreachable[server] = reason
            show(f"{target}: {reason}; in a browser: https://{link}")
            lacking[str(reason)].append(f"{target} from https://{link}")
    if lacking:
        count = sum(map(len, lacking.values()))
        each = [f"{files[0]}{_more(files)} ({reason[:300]})" for reason, files in lacking.items()]
        raise InputError(
            f"{count} file(s) lacking: {'; '.join(each)}; run the same command later, or download them in a "
            "browser and put them to these paths"
        )


def _more(files):
    return f" and {len(files) - 1} more, named above" if len(files) > 1 else ""


def obtain_checkpoint(dataset: str, name: str, folder: str | Path = DEFAULT_DATA.parent) -> Path:
    """Where the authors' checkpoint `name` of `dataset` lies: in `folder`/`dataset`, downloaded where it is missing.

    Raises InputError where it cannot be had, or another file lies there.
    """
    target, known = Path(folder) / dataset / name, SHA256.get((dataset, name))
    try:
        if target.exists():
            check_present(target, known)
        else:
            _download(dataset, target, None, known, hub_files)
    except DownloadError as reason:
        link = f"https://huggingface.co/{REPOSITORY}/tree/main"
        raise InputError(f"{target}: {reason}; download it from {link} in a browser, and put it there") from None
    return target


def targets(
    datasets: Sequence[str], data_dir: Path, checkpoint_dir: Path, kinds: Sequence[str] = KINDS
) -> list[tuple[str, Path]]:
    """Pairs of a dataset and the path of one of its files."""
    paths = []
    for dataset in datasets:
        module = DATASETS[dataset]
        if "features" in kinds:
            paths += [(dataset, data_dir / module.FOLDER / name) for name in module.FILES]
        if "checkpoints" in kinds:
            paths += [(dataset, checkpoint_dir / dataset / name) for name in CHECKPOINTS]
    return paths


def _download(dataset, target, file_id, known, list_hub):
    """Download `target`, unless it appears meanwhile, and return its SHA-256."""

    def receive(folder):
        if file_id:
            return *from_drive(file_id, folder / target.name), known
        path, listed = _path_on_hub(dataset, target.name, list_hub(REPOSITORY), known)
        return *from_hub(REPOSITORY, path, folder), listed

    receive_to(target, receive, no_release)
    return check_present(target, known)


def receive_to(target: Path, receive: Callable, mistaken: Callable[[Path], str | None]) -> None:
    """Download `target`, unless it appears meanwhile.

    `receive`: from a folder to a file in it, its source, and its SHA-256, None where that is not known. `mistaken`:
    what a file is instead of the one that is wanted, in words, or None.
    """
    folder = target.with_name(f".{target.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock", f"{target}: another process is downloading this file; wait until it has ended"):
        try:
            received, source, known = receive(folder)
            if instead := mistaken(received):
                raise DownloadError(f"the server answers {instead} instead of the file")
            _place(received, target, source, known)
        finally:
            if not any(folder.glob("*.part")):  # nothing that can be resumed
                shutil.rmtree(folder, ignore_errors=True)  # Windows keeps the lock


def _place(received, target, source, known):
    """Move a complete file to `target`, unless one has appeared there, and note it in the manifest."""
    digest = sha256(received)
    if known not in (None, digest):
        raise DownloadError(f"received a file with SHA-256 {digest}; expected {known}")
    if not target.exists():
        time = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"source": source, "size": received.stat().st_size, "sha256": digest, "obtained": time}
        entries = read_manifest(target.parent) | {target.name: entry}
        with atomic(target.parent / MANIFEST) as file:
            json.dump(entries, file, indent=1)
        os.replace(received, target)


def _path_on_hub(dataset, name, files, known):
    """Path and SHA-256 of the one of `files` that is called `name` and lies in a folder named after the dataset."""
    paths = [p for p in files if Path(p).name == name and dataset.lower() in str(Path(p).parent).lower()]
    if len(paths) != 1:
        have = ", ".join(paths or files)
        raise DownloadError(f"expected one {name} in a folder named after {dataset}; {REPOSITORY} has {have}")
    listed = files[paths[0]]
    if None not in (known, listed) and known != listed:
        raise DownloadError(f"the one on the hub now has SHA-256 {listed}; expected {known}")
    return paths[0], known or listed


def no_release(path: Path) -> str | None:
    """What plainly is no released file, in words; None for what may be one."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    return mistaken_for(head) or text_instead(head)


def check_present(target: Path, known: str | None, mistaken: Callable[[Path], str | None] = no_release) -> str:
    """SHA-256 of the existing file `target`. Raises DownloadError where it is plainly not what is wanted: by what it is
    `mistaken` for, or by the SHA-256 that is `known` or stands in the manifest.
    """
    if instead := mistaken(target):
        raise DownloadError(f"exists already, but is {instead}; remove it and run again")
    digest = sha256(target)
    expected = known or read_manifest(target.parent).get(target.name, {}).get("sha256", digest)
    if digest != expected:
        raise DownloadError(
            f"exists already, but is another file: SHA-256 {digest}, expected {expected}; move it away and run again"
        )
    return digest


def read_manifest(folder: str | Path) -> dict[str, dict]:
    """What was downloaded to `folder`: file name to `source`, `size`, `sha256`, and `obtained`, a time.

    Raises InputError for a file that is no such manifest.
    """
    path = Path(folder) / MANIFEST
    try:
        entries = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise InputError(f"{path}: not a list of downloads as `python -m common obtain` writes it; remove it")
    return entries
