import threading
import time

import pytest

from common.__main__ import main
from common.data import iemocap
from common.release.published import CHECKPOINTS, DRIVE_IDS
from tests.release.server import Server, redirect
from tests.small import result_of, small_corpus


@pytest.fixture
def server(monkeypatch):
    """A server that stands for the hub and for Google Drive, for a process that does not pause before it retries."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    monkeypatch.setattr(time, "sleep", lambda _: None)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    redirect(server.url, monkeypatch.setattr)
    yield server
    server.enough.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def offered(server, tmp_path):
    """A server that has small IEMOCAP files and checkpoints."""
    iemocap.write(small_corpus(), tmp_path / "origin")
    server.on_drive({DRIVE_IDS[name]: (tmp_path / "origin" / name).read_bytes() for name in iemocap.FILES})
    server.checkpoints = {
        f"ckpt/{d}/{n}": b"\x80" + f"{d}{n}".encode() for d in ("IEMOCAP", "MELD") for n in CHECKPOINTS
    }
    server.on_hub(server.checkpoints)
    return server


@pytest.fixture
def command(tmp_path, capsys):
    """Run the command in this process; returns what it printed, and its status."""

    def command(*words):
        folders = ["--data-dir", str(tmp_path / "data"), "--checkpoint-dir", str(tmp_path)]
        return result_of(lambda: main(["obtain", *words, *folders]), capsys)

    return command
