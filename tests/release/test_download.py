"""One download from a server on the loopback that does what servers and networks do."""

import fcntl
import hashlib
import io
import json
import os
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from common.errors import InputError
from common.release import download as downloading
from common.release.download import DownloadError, Source, UnreachableError, download
from tests.release.server import CONTENT, POINTER, cut, page, ranges, stall, status, whole

DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def fetch(server, tmp_path):
    """Download /f, which the server answers with `replies`; returns the folder."""

    def fetch(*replies, timeout=5.0, **known):
        if replies:
            server.replies["/f"] = list(replies)
        source = Source(f"{server.url}/f?id=1", tmp_path / "f.pkl", "https://example.org/f", **known)
        return download(source, timeout)

    return fetch


def test_a_file_arrives_with_size_and_checksum_in_the_manifest(fetch, tmp_path, server):
    assert fetch(whole(ETag='"a"')) == DIGEST
    assert (tmp_path / "f.pkl").read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["f.pkl", "obtained.json"]
    entry = json.loads((tmp_path / "obtained.json").read_text())["f.pkl"]
    assert (entry["size"], entry["sha256"], entry["source"]) == (len(CONTENT), DIGEST, f"{server.url}/f?id=1")


def test_a_connection_that_drops_again_and_again_is_continued(fetch, tmp_path, server):
    assert fetch(cut(40_000)) == DIGEST  # eight drops, more than tries without progress
    assert (tmp_path / "f.pkl").read_bytes() == CONTENT
    assert ranges(server) == [None, *(f"bytes={n}-" for n in range(40_000, len(CONTENT), 40_000))]


def test_the_bar_counts_what_has_arrived(fetch, monkeypatch):
    bars = []

    class Bar(downloading.tqdm):
        def __init__(self, **options):
            bars.append(self)
            super().__init__(**options | {"disable": False, "file": io.StringIO()})

    monkeypatch.setattr(downloading, "tqdm", Bar)
    fetch(cut(200_000))
    assert [(bar.initial, bar.n, bar.total) for bar in bars] == [
        (0, 200_000, len(CONTENT)),
        (200_000, len(CONTENT), len(CONTENT)),
    ]
    assert "f.pkl: 100%" in bars[-1].fp.getvalue()


def test_a_server_that_knows_no_ranges_starts_anew(fetch, tmp_path):
    assert fetch(cut(40_000, ranges=False), cut(50_000, ranges=False), whole()) == DIGEST
    assert (tmp_path / "f.pkl").read_bytes() == CONTENT


def test_a_truncated_file_is_never_placed_and_stays_to_be_continued(fetch, tmp_path, server):
    with pytest.raises(DownloadError, match=r"the connection was closed, 260,\d+ bytes are missing, 4 times"):
        fetch(cut(40_000, ranges=False))
    assert sorted(os.listdir(tmp_path)) == ["f.pkl.part", "obtained.json"]
    assert (tmp_path / "f.pkl.part").read_bytes() == CONTENT[:40_000]
    assert len(server.asked) == downloading.TRIES
    server.asked.clear()
    assert fetch(cut(10**9)) == DIGEST
    assert ranges(server) == ["bytes=40000-"]
    assert (tmp_path / "f.pkl").read_bytes() == CONTENT


def test_a_continued_file_may_go_on_with_any_byte(fetch, tmp_path):
    content = b"x" * 40_000 + b"<html>" + b"y" * 100
    fetch(cut(40_000, content))
    assert (tmp_path / "f.pkl").read_bytes() == content


@pytest.mark.parametrize("told", [{"ETag": '"b"'}, {"Last_Modified": "Tue, 01 Jul 2025 00:00:00 GMT"}])
def test_a_file_that_changed_on_the_server_is_not_spliced(fetch, tmp_path, told):
    other = CONTENT[::-1]
    fetch(cut(40_000, ETag='"a"'), cut(10**9, other, **told))
    assert (tmp_path / "f.pkl").read_bytes() == other


def test_a_range_that_starts_elsewhere_is_not_spliced(fetch, tmp_path):
    def elsewhere(handler):
        where = f"bytes 10-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.answer(206, CONTENT[10:], Content_Range=where)

    assert fetch(cut(40_000), elsewhere, whole()) == DIGEST


def test_a_part_longer_than_the_file_starts_anew(fetch, tmp_path):
    with pytest.raises(DownloadError):
        fetch(cut(200_000, ranges=False))
    assert fetch(cut(10**9, CONTENT[:1000])) == hashlib.sha256(CONTENT[:1000]).hexdigest()


def test_a_part_of_another_source_is_not_continued(fetch, tmp_path, server):
    (tmp_path / "f.pkl.part").write_bytes(b"something else")
    assert fetch(cut(10**9)) == DIGEST
    assert ranges(server) == [None]


def test_a_stalled_connection_is_given_up_and_continued(fetch, server):
    start = time.monotonic()
    assert fetch(stall, cut(10**9), timeout=0.3) == DIGEST
    assert time.monotonic() - start < 5
    assert ranges(server) == [None, "bytes=10000-"]


def test_redirects_are_followed_and_keep_the_range(fetch, tmp_path, server):
    server.replies["/g"] = [cut(100_000)]
    assert fetch(status(302, Location="/g?signed=1")) == DIGEST
    assert [r for path, r in server.asked if path == "/g?signed=1"] == [
        None,
        "bytes=100000-",
        "bytes=200000-",
        "bytes=300000-",
    ]


def test_a_redirect_to_a_file_of_this_machine_is_refused(fetch, tmp_path):
    (tmp_path / "secret").write_bytes(CONTENT)
    with pytest.raises(DownloadError, match="answers 302"):
        fetch(status(302, Location=f"file://{tmp_path}/secret"))
    assert not (tmp_path / "f.pkl").exists()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            page("<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title>"),
            "a web page ('Google Drive - Quota ex",
        ),
        (page(" \n<html>" + "<p>" * 5000), "answers a web page instead"),
        (whole(POINTER), "answers a Git LFS pointer"),
        (whole(b""), "empty file"),
        (lambda handler: handler.answer(200, CONTENT, length=""), "does not say how long"),
        (status(404), "answers 404 Not Found"),
        (status(403), "answers 403 Forbidden"),
    ],
)
def test_what_is_no_file_is_named_at_once_and_not_placed(fetch, tmp_path, server, reply, words):
    with pytest.raises(DownloadError) as error:
        fetch(reply)
    assert words in str(error.value)
    assert len(server.asked) == 1
    assert not (tmp_path / "f.pkl").exists()


def test_what_is_no_file_does_not_cost_what_has_arrived(fetch, tmp_path):
    with pytest.raises(DownloadError, match="web page"):
        fetch(cut(40_000), page("<html>"))
    assert (tmp_path / "f.pkl.part").read_bytes() == CONTENT[:40_000]


def test_the_question_about_viruses_is_answered(fetch, server):
    form = (
        '<html><form id="download-form" action="https://example.org/elsewhere" method="get">'
        '<input type="submit" id="x"/><input type="hidden" name="id" value="1"><input type="hidden" name="uuid" '
        'value="a&amp;b"></form></html>'
    )
    assert fetch(page(form), cut(200_000), page(form), cut(10**9)) == DIGEST
    asked = [(parse_qs(urlsplit(path).query), r) for path, r in server.asked]
    confirmed = {"id": ["1"], "uuid": ["a&b"]}
    assert asked == [
        ({"id": ["1"]}, None),
        (confirmed, None),
        ({"id": ["1"]}, "bytes=200000-"),
        (confirmed, "bytes=200000-"),
    ]


def test_a_question_about_viruses_that_comes_again_ends(fetch, server):
    with pytest.raises(DownloadError, match="web page"):
        fetch(page('<html><form id="download-form"><input name="id" value="1"></form>'))
    assert len(server.asked) == 2


@pytest.mark.parametrize("code", [429, 503])
def test_a_busy_server_is_asked_again(fetch, server, code):
    assert fetch(status(code), status(code), whole()) == DIGEST


def test_a_server_that_stays_busy_is_given_up_after_growing_pauses(fetch, server, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(DownloadError, match=r"answers 503 .*, 4 times"):
        fetch(status(503))
    assert pauses == [0.01, 0.02, 0.04]


def test_nobody_answers(tmp_path, server):
    server.server_close()
    with pytest.raises(UnreachableError, match=r"no connection to 127\.0\.0\.1:\d+ .*4 times"):
        download(Source(f"{server.url}/f", tmp_path / "f.pkl", ""), 1)


def test_a_known_checksum_or_size_that_does_not_hold_is_named_and_nothing_placed(fetch, tmp_path):
    with pytest.raises(DownloadError, match=f"received a file with SHA-256 {DIGEST}; expected 00"):
        fetch(whole(), sha256="00")
    with pytest.raises(DownloadError, match=r"300,1.. bytes; expected 5"):
        fetch(whole(), size=5)
    assert not (tmp_path / "f.pkl").exists()
    assert (tmp_path / "f.pkl.part").read_bytes() == b""  # nothing wrong is continued
    assert fetch(whole(), size=len(CONTENT), sha256=DIGEST) == DIGEST


def test_what_is_there_is_never_overwritten(fetch, tmp_path, server):
    target = tmp_path / "f.pkl"
    target.write_bytes(b"mine")
    assert fetch(whole()) == hashlib.sha256(b"mine").hexdigest()
    assert not server.asked
    target.unlink()

    def meanwhile(handler):
        target.write_bytes(b"mine")
        whole()(handler)

    with pytest.raises(DownloadError, match="exists already, but is another file"):
        fetch(meanwhile)
    assert target.read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["f.pkl", "obtained.json"]


def test_two_processes_do_not_write_one_file(fetch, tmp_path):
    with open(tmp_path / "f.pkl.part", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is downloading this file"):
            fetch(whole())
    assert fetch(whole()) == DIGEST


def test_a_manifest_that_is_none_is_named(fetch, tmp_path):
    for content in ("{", "[]", '{"f.pkl": 1}'):
        (tmp_path / "obtained.json").write_text(content)
        with pytest.raises(InputError, match=r"obtained\.json: not a list of downloads"):
            fetch(whole())
