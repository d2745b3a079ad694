"""Servers on the loopback that stand for GitHub and the Hugging Face hub, for commands that the documents show."""

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from tests.release.server import Server, complete, hub_file, status

ROOT = Path(__file__).resolve().parents[2]
MELD = "/declare-lab/MELD/master/data/MELD"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
COMMIT = "0" * 40  # that `hub_file` names
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


class Replies(dict):
    """Replies of a Server; what a model on the hub does not have is answered as the hub does, by a code of its own."""

    def get(self, path, default=None):
        absent = [status(404, X_Error_Code="EntryNotFound")] if path.startswith(f"/{MINILM}/resolve/") else default
        return super().get(path, absent)


@contextmanager
def mirrors(shared: Path, minilm: Path, home: Path) -> Iterator[dict[str, str]]:
    """An environment for commands in which GitHub and the hub are servers of this process, as long as it lasts.

    GitHub has the CSV files of MELD in `shared`, and the hub the files of the folder `minilm`. What is downloaded of
    the hub comes to the folder `home`.
    """
    server = Server()
    server.replies = Replies()
    for path in (shared / "raw" / "meld").glob("*.csv"):
        server.replies[f"{MELD}/{path.name}"] = [complete(path.read_bytes())]
    server.on_hub({path.relative_to(minilm).as_posix(): path.read_bytes() for path in files(minilm)}, MINILM)
    for path in files(minilm):
        name = path.relative_to(minilm).as_posix()
        server.replies[f"/{MINILM}/resolve/{COMMIT}/{name}"] = [hub_file(path.read_bytes())]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    environment = {name: value for name, value in os.environ.items() if name not in OFFLINE}
    try:
        yield environment | {
            "ECERC_GITHUB": server.url,
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(home),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
    finally:
        server.shutdown()
        server.server_close()


def first_dialogues(path: Path, count: int) -> pd.DataFrame:
    """The rows of the first `count` dialogues in one of MELD's files, as they stand there."""
    table = pd.read_csv(path, dtype=str)
    return table[table.Dialogue_ID.astype(int) < count]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def copy_of_the_project(folder: Path) -> Path:
    """Copy to `folder` what the commands need of the project, without what they have made."""
    for name in ("common", "IEMOCAP", "MELD", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.pkl"))
    for path in ROOT.glob("requirements*.txt"):
        shutil.copy(path, folder)
    return folder
