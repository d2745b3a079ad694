"""The command that downloads features and checkpoints, from a server on the loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.__main__ import main
from common.data import iemocap
from common.data.load import load_corpus
from common.release import obtain
from common.release.published import CHECKPOINTS, DRIVE_IDS
from common.settings import DEFAULT_DATA
from common.training.folder import checkpoint_name
from tests.release.server import POINTER, complete, hub_file
from tests.small import result_of, same

ROOT = Path(__file__).resolve().parents[2]


def test_one_command_brings_features_and_checkpoints_to_where_the_scripts_look(offered, command, tmp_path):
    printed, status = command("IEMOCAP")
    assert status == 0, printed.err
    assert same(load_corpus("IEMOCAP", tmp_path / "data")[0], iemocap.read(tmp_path / "origin"))
    for name in CHECKPOINTS:
        assert (tmp_path / "IEMOCAP" / name).read_bytes() == offered.checkpoints[f"ckpt/IEMOCAP/{name}"]
    assert not (tmp_path / "MELD").exists()
    assert json.loads((tmp_path / "IEMOCAP" / "obtained.json").read_text()).keys() == set(CHECKPOINTS)
    assert [path for path, _ in offered.asked].count("/api/models/zt-ai/ECERC?blobs=true") == 1
    offered.asked.clear()
    printed, status = command("IEMOCAP")
    assert status == 0
    assert printed.out.count("is there already") == 6
    assert not offered.asked


def test_the_environment_names_a_mirror_of_the_hub(offered, tmp_path):
    words = ["IEMOCAP", "--only", "checkpoints", "--checkpoint-dir", tmp_path]
    subprocess.run(
        [sys.executable, "-m", "common", "obtain", *words],
        cwd=ROOT,
        env=os.environ | {"HF_ENDPOINT": f"{offered.url}/", "HF_HOME": str(tmp_path / "home")},
        check=True,
        timeout=60,
    )
    for name in CHECKPOINTS:
        assert (tmp_path / "IEMOCAP" / name).read_bytes() == offered.checkpoints[f"ckpt/IEMOCAP/{name}"]
    assert not (tmp_path / "home").exists()


def test_the_default_targets_are_where_the_scripts_look():
    paths = [path for _, path in obtain.targets(["IEMOCAP", "MELD"], DEFAULT_DATA, DEFAULT_DATA.parent)]
    names = [checkpoint_name(index) for index in range(3)]  # as training calls them
    assert paths[:3] == [ROOT / "data" / "iemocap" / name for name in iemocap.FILES]
    assert paths[3:6] == [ROOT / "IEMOCAP" / name for name in names]
    assert paths[6] == ROOT / "data" / "meld" / "meld_emotion_semantic_features_roberta.pkl"
    assert paths[7:] == [ROOT / "MELD" / name for name in names]
    assert obtain.obtain.__defaults__ == (ROOT / "data", ROOT)


def test_one_failure_is_named_with_link_and_path_and_does_not_stop_the_others(offered, command, tmp_path):
    del offered.replies["/zt-ai/ECERC/resolve/main/ckpt/IEMOCAP/ECERC_MODEL_2.pkl"]
    printed, status = command("IEMOCAP")
    assert status == 2
    assert printed.err.startswith("obtain: error: 1 file(s) lacking: ")
    target = tmp_path / "IEMOCAP" / "ECERC_MODEL_2.pkl"
    assert (
        f"{target} from https://huggingface.co/zt-ai/ECERC/tree/main (Client error '404 Not Found' for url"
        in printed.err
    )
    assert printed.err.count("\n") == 1
    assert (tmp_path / "IEMOCAP" / "ECERC_MODEL_3.pkl").exists()


def test_offline_each_file_has_a_line_with_link_and_path_and_the_last_one_is_short(
    offered, command, tmp_path, monkeypatch
):
    asked = [0, 0]

    def count(index, function):
        def counted(*arguments):
            asked[index] += 1
            return function(*arguments)

        return counted

    monkeypatch.setattr(obtain, "from_drive", count(0, obtain.from_drive))
    monkeypatch.setattr(obtain, "hub_files", count(1, obtain.hub_files))
    offered.shutdown()
    offered.server_close()
    printed, status = command("IEMOCAP", "MELD")
    last = printed.err.splitlines()[-1]
    assert status == 2
    assert last.startswith("obtain: error: 10 file(s) lacking: ")
    assert "IEMOCAP_features.pkl from https://drive.google.com/file/d/" in last
    assert "/view and 3 more, named above (no connection to Google Drive: " in last
    assert "ECERC_MODEL.pkl from https://huggingface.co/zt-ai/ECERC/tree/main and 5 more, named above (" in last
    assert last.count("refused") == 2
    assert len(last) < 900
    for name, key in DRIVE_IDS.items():
        target = tmp_path / "data" / ("meld" if name.startswith("meld") else "iemocap") / name
        (line,) = [line for line in printed.out.splitlines() if line.startswith(f"{target}: ")]
        assert line.endswith(f"refused; in a browser: https://drive.google.com/file/d/{key}/view")
    for target in (tmp_path / dataset / name for dataset in ("IEMOCAP", "MELD") for name in CHECKPOINTS):
        (line,) = [line for line in printed.out.splitlines() if line.startswith(f"{target}: ")]
        assert line.endswith("refused; in a browser: https://huggingface.co/zt-ai/ECERC/tree/main")
    assert not list(tmp_path.rglob("*.part"))
    assert asked == [1, 1]  # once for each server, not for each file


def test_a_hub_without_such_a_folder_or_with_two_is_told_in_one_line(offered, command, tmp_path):
    offered.on_hub({"x/ECERC_MODEL.pkl": b"1", "a/meld/ECERC_MODEL.pkl": b"2", "b/MELD/ECERC_MODEL.pkl": b"3"})
    printed, status = command("IEMOCAP", "--only", "checkpoints")
    assert status == 2
    assert "expected one ECERC_MODEL.pkl in a folder named after IEMOCAP; zt-ai/ECERC has README.md, x/" in printed.err
    printed, status = command("MELD", "--only", "checkpoints")
    assert "named after MELD; zt-ai/ECERC has a/meld/ECERC_MODEL.pkl, b/MELD/ECERC_MODEL.pkl)" in printed.err


def test_a_server_that_is_no_hub_is_asked_once(offered, command):
    offered.replies["/api/models/zt-ai/ECERC"] = [complete(b"<html>")]
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
    offered.replies["/zt-ai/ECERC/resolve/main/ckpt/IEMOCAP/ECERC_MODEL.pkl"] = [
        hub_file(b"\x80IEMOCAPecERC_MODEL.pkl")
    ]
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
        (b"Not Found", "exists already, but is a text ('Not Found')"),
        (b"\x80other", "exists already, but is another file"),
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
    (tmp_path / "data" / "iemocap" / iemocap.BASE).write_bytes(b"\x80changed")
    printed, status = command("IEMOCAP")
    assert status == 2
    assert "IEMOCAP_features.pkl from https://drive" in printed.err
    assert "exists already, but is another file" in printed.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["FOO"], "invalid choice: 'FOO'"), ([], "the following arguments are required: datasets")],
)
def test_wrong_options(capsys, words, expected):
    printed, status = result_of(lambda: main(["obtain", *words]), capsys)
    assert status == 2
    assert expected in printed.err
