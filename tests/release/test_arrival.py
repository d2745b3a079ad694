"""Downloaded files arrive complete and checked, and replace nothing; an interrupted download resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.data import iemocap, meld
from common.data.load import load_corpus
from common.errors import InputError
from common.files import locked
from common.release import obtain
from common.release.published import DRIVE_IDS
from tests.release.server import CONTENT, POINTER, QUOTA, complete, digest, drive_file, page, stalled
from tests.small import same

ROOT = Path(__file__).resolve().parents[2]
SLEEP = time.sleep  # before the fixture `server` takes it away


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (POINTER, "the server answers a Git LFS pointer"),
        (b"Not Found\n", "the server answers a text ('Not Found') instead of the file"),
        (b"<html><title>Sorry</title>", "the server answers a web page ('Sorry') instead of the file"),
        (b"", "the server answers an empty file"),
    ],
)
def test_what_is_no_file_is_named_and_not_placed(offered, command, tmp_path, content, words):
    offered.replies["/uc"] = [complete(content, Content_Disposition='attachment; filename="f.pkl"')]
    printed, status = command("MELD", "--only", "features")
    assert status == 2
    assert words in printed.err
    assert os.listdir(tmp_path / "data" / "meld") == []


def test_a_quota_page_is_told_in_one_line(offered, command, tmp_path):
    offered.replies["/uc"] = [page(QUOTA)]
    printed, status = command("MELD", "--only", "features")
    assert status == 2
    assert "(Too many users have viewed or downloaded this file recently.)" in printed.err
    assert printed.err.count("\n") == 1


def test_a_truncated_file_is_never_placed_and_resumed_by_the_next_call(offered, command, tmp_path):
    content, options = CONTENT, {"ETag": '"a"'}
    offered.replies["/uc"] = [drive_file(content, most=40_000, **options), drive_file(content, most=0, **options)]
    printed, status = command("MELD", "--only", "features")
    assert status == 2
    assert "1 file(s) lacking" in printed.err
    assert os.listdir(tmp_path / "data" / "meld") == [f".{meld.FILE}.part"]
    offered.asked.clear()
    offered.replies["/uc"] = [drive_file(content, **options)]
    printed, status = command("MELD", "--only", "features")
    assert status == 0, printed.err
    assert offered.asked[-1][1] == "bytes=40000-"
    assert (tmp_path / "data" / "meld" / meld.FILE).read_bytes() == content
    assert sorted(os.listdir(tmp_path / "data" / "meld")) == [meld.FILE, "obtained.json"]


def test_the_manifest_has_source_size_and_checksum(offered, command, tmp_path):
    command("IEMOCAP")
    entry = json.loads((tmp_path / "data" / "iemocap" / "obtained.json").read_text())[iemocap.BASE]
    content = (tmp_path / "origin" / iemocap.BASE).read_bytes()
    assert (entry["size"], entry["sha256"]) == (len(content), digest(content))
    assert entry["source"] == f"https://drive.google.com/uc?id={DRIVE_IDS[iemocap.BASE]}"
    entry = json.loads((tmp_path / "IEMOCAP" / "obtained.json").read_text())["ECERC_MODEL_2.pkl"]
    content = offered.checkpoints["ckpt/IEMOCAP/ECERC_MODEL_2.pkl"]
    assert (entry["size"], entry["sha256"]) == (len(content), digest(content))
    assert entry["source"] == f"{offered.url}/zt-ai/ECERC/resolve/main/ckpt/IEMOCAP/ECERC_MODEL_2.pkl"
    assert entry["obtained"].endswith("+00:00")


@pytest.mark.parametrize("content", ["{", "[]", '{"f.pkl": 1}'])
def test_a_manifest_that_is_none_is_named(offered, command, tmp_path, content):
    (tmp_path / "IEMOCAP").mkdir()
    (tmp_path / "IEMOCAP" / "obtained.json").write_text(content)
    printed, status = command("IEMOCAP", "--only", "checkpoints")
    assert status == 2
    assert "obtained.json: not a list of downloads" in printed.err
    assert (tmp_path / "IEMOCAP" / "obtained.json").read_text() == content
    with pytest.raises(InputError, match=r"obtained\.json: not a list of downloads"):
        obtain.read_manifest(tmp_path / "IEMOCAP")


def test_a_file_that_appears_meanwhile_is_not_overwritten(offered, command, tmp_path):
    target = tmp_path / "data" / "meld" / meld.FILE

    def meanwhile(handler):
        target.write_bytes(b"\x80mine")
        drive_file()(handler)

    offered.replies["/uc"] = [meanwhile]
    printed, status = command("MELD", "--only", "features")
    assert status == 0
    assert digest(b"\x80mine") in printed.out
    assert target.read_bytes() == b"\x80mine"
    assert os.listdir(target.parent) == [meld.FILE]


def test_two_processes_do_not_write_one_file(offered, command, tmp_path):
    folder = tmp_path / "data" / "meld" / f".{meld.FILE}.part"
    folder.mkdir(parents=True)
    offered.replies["/uc"] = [drive_file()]
    with locked(folder / "lock", "not locked"):
        printed, status = command("MELD", "--only", "features")
    assert status == 2
    assert f"{tmp_path / 'data' / 'meld' / meld.FILE}: another process is downloading this file" in printed.err
    assert not offered.asked
    printed, status = command("MELD", "--only", "features")
    assert status == 0, printed.err


COMMAND = """
import sys
from tests.release.server import redirect
redirect(sys.argv.pop(1))
from common.__main__ import main
main()
"""


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_killed_and_resumed(offered, command, tmp_path, sent, status):
    content = (tmp_path / "origin" / iemocap.BASE).read_bytes()
    drive = offered.replies["/uc"]
    offered.replies["/uc"] = [stalled(drive_file(content, most=len(content) // 2))]
    words = ["obtain", "IEMOCAP", "--only", "features", "--data-dir", str(tmp_path / "data")]
    child = subprocess.Popen(
        [sys.executable, "-c", COMMAND, offered.url, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 30
    while not any(part.stat().st_size for part in tmp_path.rglob("*.part/*.part")):
        assert child.poll() is None
        assert time.monotonic() < end
        SLEEP(0.02)
    child.send_signal(sent)
    _, printed = child.communicate(timeout=30)
    assert child.returncode == status
    if status == 130:
        assert printed.splitlines()[-1] == "obtain: stopped by Ctrl-C; the same command resumes"
    (part,) = tmp_path.rglob("*.part/*.part")
    begun = part.stat().st_size
    assert 0 < begun <= len(content) // 2
    offered.replies["/uc"] = [drive_file(content), drive_file(content), *drive]
    offered.asked.clear()
    printed, code = command("IEMOCAP", "--only", "features")
    assert code == 0, printed.err
    assert [asked for _, asked in offered.asked] == [None, f"bytes={begun}-", None, None]
    assert same(load_corpus("IEMOCAP", tmp_path / "data")[0], iemocap.read(tmp_path / "origin"))
    assert not list((tmp_path / "data").rglob("*.part"))
