"""Downloads the authors' feature files (Google Drive) and checkpoints (Hugging Face hub) to where the scripts look.

A file arrives in a folder `.NAME.part` beside its target, and is moved there when it is complete and the one asked for.
`obtained.json` beside it holds source, size and SHA-256.
"""

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from common.data import DATASETS
from common.data.mistaken import text_instead
from common.errors import InputError
from common.files import HEAD, atomic, locked, mistaken_for, sha256
from common.release.download import DownloadError, UnreachableError, from_drive, from_hub, hub_files
from common.release.published import CHECKPOINTS, DRIVE_IDS, REPOSITORY, SHA256
from common.settings import DEFAULT_DATA

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
    unreachable: dict[str, DownloadError] = {}
    list_hub, lacking = cache(hub_files), defaultdict[str, list](list)
    for dataset, target in targets(datasets, Path(data_dir), Path(checkpoint_dir), kinds):
        file_id, known = DRIVE_IDS.get(target.name), SHA256.get((dataset, target.name))
        link = f"drive.google.com/file/d/{file_id}/view" if file_id else f"huggingface.co/{REPOSITORY}/tree/main"
        server, link = link.split("/")[0], f"https://{link}"
        try:
            if target.exists():
                print(f"{target}: is there already, SHA-256 {check_present(target, known)}", flush=True)
                continue
            if server in unreachable:
                raise unreachable[server]
            digest = _download(dataset, target, file_id, known, list_hub)
            print(f"{target}: {target.stat().st_size:,} bytes, SHA-256 {digest}", flush=True)
        except DownloadError as reason:
            if isinstance(reason, UnreachableError):
                unreachable[server] = reason
            print(f"{target}: {reason}; in a browser: {link}", flush=True)
            lacking[str(reason)].append(f"{target} from {link}")
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
    folder = target.with_name(f".{target.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock", f"{target}: another process is downloading this file; wait until it has ended"):
        try:
            if file_id:
                received, source = from_drive(file_id, folder / target.name)
            else:
                path, known = _path_on_hub(dataset, target.name, list_hub(REPOSITORY), known)
                received, source = from_hub(REPOSITORY, path, folder)
            _place(received, target, source, known)
        finally:
            if not any(folder.glob("*.part")):  # nothing that can be resumed
                shutil.rmtree(folder, ignore_errors=True)  # Windows keeps the lock
    return check_present(target, known)


def _place(received, target, source, known):
    """Move a complete file to `target`, unless one has appeared there, and note it in the manifest."""
    digest = sha256(received)
    if mistaken := _mistaken(received):
        raise DownloadError(f"the server answers {mistaken} instead of the file")
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


def check_present(target: Path, known: str | None) -> str:
    """SHA-256 of the existing file `target`. Raises DownloadError where it is plainly not what is wanted: by its first
    bytes, or by the SHA-256 that is `known` or stands in the manifest.
    """
    if mistaken := _mistaken(target):
        raise DownloadError(f"exists already, but is {mistaken}; remove it and run again")
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


def _mistaken(path):
    with open(path, "rb") as file:
        head = file.read(HEAD)
    return mistaken_for(head) or text_instead(head)
