"""Downloads the authors' feature files (Google Drive) and checkpoints (Hugging Face hub) to where the scripts look.

`python -m common obtain IEMOCAP MELD`. DRIVE_ENDPOINT and HF_ENDPOINT in the environment name other servers with
the same paths, such as a mirror of the hub.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from common.data import DATASETS
from common.data.load import DEFAULT_DATA
from common.errors import InputError
from common.release.download import DownloadError, Source, UnreachableError, check_present, download, read_json
from common.settings import OneLineParser

KINDS = ("features", "checkpoints")
FILE_IDS = {  # on Google Drive
    "IEMOCAP_features.pkl": "1RV-V6aiUzENUy97XskKqgm_bCJATpapS",
    "iemocap_emotion_features_roberta.pkl": "1vbgQ78Pzil6trugnPmgqP8q7j-fAweCj",
    "iemocap_emotion_semantic_features_roberta.pkl": "1CQ32t7FPvQU7i0S7h6fGUClPxwvQW9Qv",
    "meld_emotion_semantic_features_roberta.pkl": "1IQokygWgjaZuSXvCsfIcUzj1Gu69hDCb",
}
REPOSITORY = "zt-ai/ECERC"  # on the Hugging Face hub
CHECKPOINTS = ("ECERC_MODEL.pkl", "ECERC_MODEL_2.pkl", "ECERC_MODEL_3.pkl")
KNOWN = {("MELD", "ECERC_MODEL.pkl"): "0f44a6e546592a3f7843342c0f72dcfa591eab1f99cdbd8a7d4ea7aed607441c"}  # SHA-256


def obtain(
    datasets: Sequence[str],
    data_dir: str | Path = DEFAULT_DATA,
    checkpoint_dir: str | Path = DEFAULT_DATA.parent,
    *,
    kinds: Sequence[str] = KINDS,
    timeout: float = 30.0,
) -> None:
    """Download what is missing for `datasets`: features to folders in `data_dir`, checkpoints in `checkpoint_dir`.

    What is there stays as it is. Files come one after the other; one that fails does not stop the others. `timeout`:
    seconds without a byte after which a connection is given up and tried anew. Raises InputError naming the files that
    are lacking or are not what they should be, each with path, link and reason.
    """
    drive = os.environ.get("DRIVE_ENDPOINT", "https://drive.usercontent.google.com").rstrip("/")
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    unreachable, files, lacking = {}, [], []
    for source, server in _sources(datasets, Path(data_dir), Path(checkpoint_dir), kinds, drive, hub):
        try:
            if source.target.exists():
                print(f"{source.target}: is there already, SHA-256 {check_present(source)}", flush=True)
                continue
            if server in unreachable:
                raise DownloadError(unreachable[server])
            if source.target.name in CHECKPOINTS:
                files = files or _hub_files(hub, timeout)
                source = _on_hub(source, files)
            digest = download(source, timeout)
            size = source.target.stat().st_size
            print(f"{source.target}: {size:,} bytes, SHA-256 {digest}", flush=True)
        except DownloadError as reason:
            if isinstance(reason, UnreachableError):
                unreachable[server] = str(reason)
            print(f"{source.target}: {reason}", flush=True)
            lacking.append(f"{source.target} from {source.page} ({reason})")
    if lacking:
        raise InputError(
            f"{len(lacking)} file(s) lacking: {'; '.join(lacking)}; run the same again later, or download them in a "
            "browser and put them to these paths"
        )


def _sources(datasets, data_dir, checkpoint_dir, kinds, drive, hub):
    """Pairs of a Source and the server that has it. Where on the hub a checkpoint lies is for `_on_hub` to say."""
    page = f"https://huggingface.co/{REPOSITORY}/tree/main"
    for dataset in datasets:
        module = DATASETS[dataset]
        for name in module.FILES if "features" in kinds else ():
            url = f"{drive}/download?id={FILE_IDS[name]}&export=download&confirm=t"
            link = f"https://drive.google.com/file/d/{FILE_IDS[name]}/view"
            yield Source(url, data_dir / module.FOLDER / name, link), drive
        for name in CHECKPOINTS if "checkpoints" in kinds else ():
            url = f"{hub}/{REPOSITORY}/resolve/main/"
            yield Source(url, checkpoint_dir / dataset / name, page, sha256=KNOWN.get((dataset, name))), hub


def _hub_files(hub, timeout):
    """Path, size and SHA-256 (None for small files) of each file in the repository."""
    try:
        found = read_json(f"{hub}/api/models/{REPOSITORY}/tree/main?recursive=true", timeout)
        files = [entry for entry in found if entry["type"] == "file"]
        files = [(f["path"], f["size"], (f.get("lfs") or {}).get("oid")) for f in files]
    except (AttributeError, KeyError, TypeError):
        files = []
    except DownloadError as error:  # no use in asking again for the next file
        raise UnreachableError(str(error)) from None
    if not files:
        raise UnreachableError(f"{hub} does not list the files of {REPOSITORY}")
    return files


def _on_hub(source, files):
    """`source` with url, size and SHA-256 of the one of `files` with its name in a folder named after its dataset."""
    dataset, name = source.target.parent.name, source.target.name
    same = [f for f in files if Path(f[0]).name == name and dataset.lower() in str(Path(f[0]).parent).lower()]
    if len(same) != 1:
        have = ", ".join(path for path, *_ in same or files)
        raise DownloadError(f"expected one {name} in a folder named after {dataset}; {REPOSITORY} has {have}")
    ((path, size, digest),) = same
    if None not in (source.sha256, digest) and source.sha256 != digest:
        raise DownloadError(f"the one on the hub now has SHA-256 {digest}; expected {source.sha256}")
    return replace(source, url=source.url + quote(path), size=size, sha256=source.sha256 or digest)


def main() -> None:
    """Download as the command line says."""
    parser = OneLineParser(prog="python -m common obtain", description=__doc__.split("\n")[0])
    parser.add_argument("datasets", choices=sorted(DATASETS), nargs="+", help="datasets to download")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help="folder for the feature files, below it iemocap/ and meld/ (default: data/ of the repository)",
    )
    parser.add_argument(
        "--checkpoint-dir",
        type=Path,
        default=DEFAULT_DATA.parent,
        metavar="DIR",
        help="folder for the checkpoints, below it IEMOCAP/ and MELD/ (default: the repository)",
    )
    parser.add_argument("--only", choices=KINDS, help="download only these (default: both)")
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="time without a byte after which a connection is given up and tried anew (default: 30)",
    )
    arguments = parser.parse_args()
    if not arguments.timeout > 0:
        raise InputError(f"--timeout: found {arguments.timeout:g}; expected more than 0 seconds")
    kinds = [arguments.only] if arguments.only else KINDS
    try:
        obtain(arguments.datasets, arguments.data_dir, arguments.checkpoint_dir, kinds=kinds, timeout=arguments.timeout)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on from here") from None
