"""The CSV files of MELD, from a server on the loopback that stands for GitHub."""

import json

import pytest

from common.features.sources import meld
from common.release import obtain_raw
from tests.features.sources.test_meld import TURNS, write_csv
from tests.release.server import PIECE, complete, cut, page, status

NAMES = [f"{split}_sent_emo.csv" for split in ("train", "dev", "test")]
PATH = "/declare-lab/MELD/master/data/MELD/"


@pytest.fixture
def github(server, tmp_path, monkeypatch):
    """A server that has small files of MELD, which are as long as they should be; `contents`: what they hold."""
    monkeypatch.setenv("ECERC_GITHUB", f"{server.url}/")
    monkeypatch.setattr(obtain_raw, "ROWS", {split: len(turns) for split, turns in TURNS.items()})
    (tmp_path / "origin").mkdir()
    server.contents = {}
    for (split, turns), name in zip(TURNS.items(), NAMES, strict=True):
        server.contents[name] = write_csv(tmp_path / "origin", split, turns).read_bytes()
        server.replies[PATH + name] = [complete(server.contents[name])]
    return server


def obtained(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "data" / "meld_raw").glob("*.csv")}


def test_the_files_arrive_where_the_features_command_finds_them(github, command, tmp_path):
    printed, code = command("MELD", "--raw", "text")
    assert code == 0, printed.err
    assert obtained(tmp_path) == github.contents
    assert len(meld.read(tmp_path / "data" / "meld_raw").table) == 10
    manifest = json.loads((tmp_path / "data" / "meld_raw" / "obtained.json").read_text())
    assert manifest["dev_sent_emo.csv"]["source"] == f"{github.url}{PATH}dev_sent_emo.csv"
    assert [path for path, _ in github.asked] == [PATH + name for name in NAMES]
    assert not (tmp_path / "data" / "meld").exists()
    printed, code = command("MELD", "--raw", "text")
    assert (code, printed.out.count("is there already"), len(github.asked)) == (0, 3, 3)


def test_a_lost_connection_is_resumed(github, command, tmp_path):
    content = write_csv(tmp_path / "origin", "train", TURNS["train"], "long " * 200).read_bytes()
    github.contents[NAMES[0]] = content
    github.replies[PATH + NAMES[0]] = [cut(2 * PIECE, content), cut(10**9, content)]
    printed, code = command("MELD", "--raw", "text")
    assert code == 0, printed.err
    assert obtained(tmp_path) == github.contents
    assert [asked for path, asked in github.asked if path.endswith(NAMES[0])] == [None, f"bytes={2 * PIECE}-"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (page("<html><title>Log in</title>"), "the server answers a web page ('Log in') instead of the file"),
        (status(404), "404"),
        (complete(b"404: Not Found"), "the server answers another file (dev_sent_emo.csv: found no utterance"),
        (complete(b"a,b\n1,2\n"), "another file (dev_sent_emo.csv: no column 'Dialogue_ID', found a, b;"),
    ],
    ids=["page", "status", "text", "table"],
)
def test_what_is_no_file_of_meld_is_refused(github, command, tmp_path, reply, words):
    github.replies[PATH + NAMES[1]] = [reply]
    printed, code = command("MELD", "--raw", "text")
    assert code == 2
    assert printed.err.startswith("obtain: error: 1 file(s) lacking: ")
    assert words in printed.err
    assert "https://github.com/declare-lab/MELD/blob/master/data/MELD/dev_sent_emo.csv" in printed.err
    assert printed.err.count("\n") == 1
    assert sorted(obtained(tmp_path)) == sorted({*NAMES} - {NAMES[1]})
    assert not list((tmp_path / "data").rglob("*.part"))


def test_a_file_that_is_cut_off_at_the_end_of_a_row_is_refused(github, command, tmp_path):
    short = github.contents[NAMES[2]].rsplit(b"\r\n", 2)[0] + b"\r\n"
    github.replies[PATH + NAMES[2]] = [complete(short)]
    printed, code = command("MELD", "--raw", "text")
    assert code == 2
    assert "the server answers a file of 3 rows (MELD's has 4) instead of the file" in printed.err
    (tmp_path / "data" / "meld_raw" / NAMES[2]).write_bytes(short)
    printed, code = command("MELD", "--raw", "text")
    assert "test_sent_emo.csv from" in printed.err
    assert "exists already, but is a file of 3 rows (MELD's has 4); remove it and run again" in printed.err
    assert obtained(tmp_path)[NAMES[2]] == short


def test_without_a_connection_it_is_asked_once(github, command):
    github.shutdown()
    github.server_close()
    printed, code = command("MELD", "--raw", "text")
    assert code == 2
    assert "3 file(s) lacking" in printed.err
    assert f"no connection to {github.url.removeprefix('http://')}: " in printed.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["IEMOCAP", "--raw", "text"], "IEMOCAP: its texts are not public; ask its authors for the corpus"),
        (["MELD", "--raw", "video"], "invalid choice: 'video'"),
        (["MELD", "--raw", "text", "--only", "features"], "not allowed with argument --raw"),
    ],
)
def test_wrong_words(command, words, message):
    printed, code = command(*words)
    assert code == 2
    assert message in printed.err


def test_the_published_files_are_what_is_demanded(server, shared, command, tmp_path, monkeypatch):
    monkeypatch.setenv("ECERC_GITHUB", server.url)
    for name in NAMES:
        server.replies[PATH + name] = [complete((shared / "raw" / "meld" / name).read_bytes())]
    printed, code = command("MELD", "--raw", "text")
    assert code == 0, printed.err
    assert len(meld.read(tmp_path / "data" / "meld_raw").table) == 13708


def test_the_server_is_that_of_github_unless_the_environment_names_another(monkeypatch, tmp_path):
    asked = []
    monkeypatch.delenv("ECERC_GITHUB", raising=False)
    monkeypatch.setattr(obtain_raw, "bring", lambda files: asked.extend(file.download.args[1] for file in files))
    obtain_raw.obtain_texts(["MELD"], tmp_path)
    assert asked == [f"https://raw.githubusercontent.com{PATH}{name}" for name in NAMES]
