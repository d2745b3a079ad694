"""The command that downloads everything, from a server on the loopback."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from common.commands.checkpoints import RELEASED
from common.data import iemocap
from common.data.load import DEFAULT_DATA, load_corpus
from common.errors import run_script
from common.release import download, obtain
from tests.release.server import POINTER, cut, ranges, whole
from tests.small import same, small_corpus, told

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def offered(server, tmp_path, monkeypatch):
    """A server that has small IEMOCAP files and checkpoints; returns its files, path to content."""
    iemocap.write(small_corpus(), tmp_path / "origin")
    features = {name: (tmp_path / "origin" / name).read_bytes() for name in iemocap.FILES}
    by_id = {obtain.FILE_IDS[name]: content for name, content in features.items()}

    def drive(handler):
        whole(by_id[parse_qs(urlsplit(handler.path).query)["id"][0]])(handler)

    checkpoints = {f"ckpt/{d}/{n}": f"{d}{n}".encode() for d in ("IEMOCAP", "MELD") for n in obtain.CHECKPOINTS}
    server.replies["/download"] = [drive]
    server.checkpoints = checkpoints
    offer(server, checkpoints)
    monkeypatch.setenv("DRIVE_ENDPOINT", server.url)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    return server


def offer(server, checkpoints):
    listing = [{"type": "directory", "path": "ckpt"}, {"type": "file", "path": "README.md", "size": 3}]
    for path, content in checkpoints.items():
        oid = hashlib.sha256(content).hexdigest()
        listing.append({"type": "file", "path": path, "size": len(content), "lfs": {"oid": oid}})
        server.replies[f"/zt-ai/ECERC/resolve/main/{path}"] = [whole(content)]
    server.replies["/api/models/zt-ai/ECERC/tree/main"] = [whole(json.dumps(listing).encode())]


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in this process; returns what it printed, and its status."""

    def command(*words):
        places = ["--data-dir", str(tmp_path / "data"), "--checkpoint-dir", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", ["obtain", *words, *places, "--timeout", "5"])
        return told(lambda: run_script(obtain.main, "obtain"), capsys)

    return command


def test_one_command_brings_features_and_checkpoints_to_where_the_scripts_look(offered, command, tmp_path):
    printed, status = command("IEMOCAP")
    assert status == 0, printed.err
    assert same(load_corpus("IEMOCAP", tmp_path / "data")[0], iemocap.read(tmp_path / "origin"))
    for name in obtain.CHECKPOINTS:
        assert (tmp_path / "IEMOCAP" / name).read_bytes() == offered.checkpoints[f"ckpt/IEMOCAP/{name}"]
    assert not (tmp_path / "MELD").exists()
    assert json.loads((tmp_path / "IEMOCAP" / "obtained.json").read_text()).keys() == set(obtain.CHECKPOINTS)
    offered.asked.clear()
    printed, status = command("IEMOCAP")
    assert status == 0
    assert printed.out.count("is there already") == 6
    assert not offered.asked


def test_the_default_places_are_those_of_the_scripts():
    found = [s.target for s, _ in obtain._sources(["IEMOCAP", "MELD"], DEFAULT_DATA, ROOT, obtain.KINDS, "", "")]
    assert found[:3] == [ROOT / "data" / "iemocap" / name for name in iemocap.FILES]
    assert found[3:6] == [ROOT / "IEMOCAP" / name for name in RELEASED]
    assert found[6] == ROOT / "data" / "meld" / "meld_emotion_semantic_features_roberta.pkl"
    assert obtain.DEFAULT_DATA == ROOT / "data"


def test_one_failure_is_named_with_link_and_path_and_does_not_stop_the_others(offered, command, tmp_path):
    del offered.replies["/zt-ai/ECERC/resolve/main/ckpt/IEMOCAP/ECERC_MODEL_2.pkl"]
    printed, status = command("IEMOCAP")
    assert status == 2
    assert printed.err.startswith("obtain: error: 1 file(s) lacking: ")
    target = tmp_path / "IEMOCAP" / "ECERC_MODEL_2.pkl"
    assert f"{target} from https://huggingface.co/zt-ai/ECERC/tree/main (the server answers 404" in printed.err
    assert printed.err.count("\n") == 1
    assert (tmp_path / "IEMOCAP" / "ECERC_MODEL_3.pkl").exists()


def test_offline_one_line_has_every_link_and_path(offered, command, tmp_path):
    offered.shutdown()
    offered.server_close()
    printed, status = command("IEMOCAP", "MELD")
    last = printed.err.splitlines()[-1]
    assert status == 2
    assert last.startswith("obtain: error: 10 file(s) lacking: ")
    for name, key in obtain.FILE_IDS.items():
        folder = "meld" if name.startswith("meld") else "iemocap"
        assert f"{tmp_path / 'data' / folder / name} from https://drive.google.com/file/d/{key}/view (" in last
    for dataset in ("IEMOCAP", "MELD"):
        for name in obtain.CHECKPOINTS:
            assert f"{tmp_path / dataset / name} from https://huggingface.co/zt-ai/ECERC/tree/main (" in last
    assert printed.err.count("trying again") == download.TRIES - 1  # once for the server, not for each file


def test_a_hub_without_such_a_folder_or_with_two_is_told_in_one_line(offered, command, tmp_path):
    offer(offered, {"x/ECERC_MODEL.pkl": b"1", "a/meld/ECERC_MODEL.pkl": b"2", "b/MELD/ECERC_MODEL.pkl": b"3"})
    printed, status = command("IEMOCAP", "--only", "checkpoints")
    assert status == 2
    assert "expected one ECERC_MODEL.pkl in a folder named after IEMOCAP; zt-ai/ECERC has README.md, x/" in printed.err
    printed, status = command("MELD", "--only", "checkpoints")
    assert "named after MELD; zt-ai/ECERC has a/meld/ECERC_MODEL.pkl, b/MELD/ECERC_MODEL.pkl)" in printed.err


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'[{"type": "file"}]', b'["a"]'])
def test_a_hub_that_answers_something_else(offered, command, answer):
    offered.replies["/api/models/zt-ai/ECERC/tree/main"] = [whole(answer)]
    printed, status = command("MELD", "--only", "checkpoints")
    assert status == 2
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("obtain: error: 3 file(s) lacking")
    assert len(offered.asked) == 1


def test_the_known_checksum_of_a_checkpoint_is_demanded(offered, command, tmp_path):
    printed, status = command("MELD", "--only", "checkpoints")
    assert status == 2
    assert "1 file(s) lacking" in printed.err
    assert "the one on the hub now has SHA-256" in printed.err
    assert "expected 0f44a6e546592a3f7843342c0f72dcfa591eab1f99cdbd8a7d4ea7aed607441c" in printed.err
    assert sorted(os.listdir(tmp_path / "MELD")) == ["ECERC_MODEL_2.pkl", "ECERC_MODEL_3.pkl", "obtained.json"]


def test_the_checksum_on_the_hub_is_demanded(offered, command, tmp_path):
    offered.replies["/zt-ai/ECERC/resolve/main/ckpt/IEMOCAP/ECERC_MODEL.pkl"] = [whole(b"IEMOCAPecERC_MODEL.pkl")]
    printed, status = command("IEMOCAP", "--only", "checkpoints")
    assert status == 2
    assert "received a file with SHA-256" in printed.err
    assert not (tmp_path / "IEMOCAP" / "ECERC_MODEL.pkl").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (POINTER, "exists already, but is a Git LFS pointer"),
        (b"<html><title>Sorry</title>", "exists already, but is a web page ('Sorry')"),
        (b"", "exists already, but is an empty file"),
        (b"other", "exists already, but is another file"),
    ],
)
def test_what_is_there_and_is_not_it_is_named_and_left(offered, command, tmp_path, content, words):
    (tmp_path / "MELD").mkdir()
    (tmp_path / "MELD" / "ECERC_MODEL.pkl").write_bytes(content)
    printed, status = command("MELD", "--only", "checkpoints")
    assert status == 2
    assert words in printed.err
    assert (tmp_path / "MELD" / "ECERC_MODEL.pkl").read_bytes() == content


def test_a_file_changed_since_it_was_obtained_is_named(offered, command, tmp_path):
    command("IEMOCAP")
    (tmp_path / "data" / "iemocap" / iemocap.BASE).write_bytes(b"changed")
    printed, status = command("IEMOCAP")
    assert status == 2
    assert "IEMOCAP_features.pkl from https://drive" in printed.err
    assert "exists already, but is another file" in printed.err


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_killed_and_continued(offered, command, tmp_path, sent, status):
    content = iemocap_file(tmp_path)
    half = len(content) // 2

    def first(handler):
        handler.answer(200, content[:half], length=len(content))
        handler.wfile.flush()
        handler.server.enough.wait(30)

    drive = offered.replies["/download"]
    offered.replies["/download"] = [first]
    part = tmp_path / "data" / "iemocap" / f"{iemocap.BASE}.part"
    words = ["IEMOCAP", "--only", "features", "--data-dir", tmp_path / "data"]
    child = subprocess.Popen(
        [sys.executable, "-m", "common", "obtain", *map(str, words)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    while not (part.exists() and part.stat().st_size):
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(sent)
    _, printed = child.communicate(timeout=30)
    assert child.returncode == status
    if status == 130:
        assert printed.splitlines()[-1] == "obtain: stopped by Ctrl-C; the same command goes on from here"
    begun = part.stat().st_size
    assert 0 < begun <= half
    offered.replies["/download"] = [cut(10**9, content), *drive]
    offered.asked.clear()
    printed, code = command("IEMOCAP", "--only", "features")
    assert code == 0, printed.err
    assert ranges(offered)[0] == f"bytes={begun}-"
    assert same(load_corpus("IEMOCAP", tmp_path / "data")[0], iemocap.read(tmp_path / "origin"))


def iemocap_file(tmp_path):
    return (tmp_path / "origin" / iemocap.BASE).read_bytes()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["FOO"], "invalid choice: 'FOO'"),
        ([], "the following arguments are required: datasets"),
        (["MELD", "--timeout", "0"], "--timeout: found 0; expected more than 0 seconds"),
    ],
)
def test_wrong_options(monkeypatch, capsys, words, expected):
    monkeypatch.setattr(sys, "argv", ["obtain", *words])
    with pytest.raises(SystemExit) as stop:
        run_script(obtain.main, "obtain")
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err
