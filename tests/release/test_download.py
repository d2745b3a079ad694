"""One file of the hub or of Google Drive, from a server on the loopback that does what servers and networks do."""

import os
import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from common.release import download as downloading
from common.release.download import DownloadError, UnreachableError, from_drive, from_hub, hub_files
from tests.release.server import (
    CONTENT,
    POINTER,
    QUOTA,
    complete,
    digest,
    drive_file,
    hub_file,
    page,
    stalled,
    status,
)

ETAG = {"ETag": '"a"'}


@pytest.fixture
def drive(server, tmp_path):
    """Download a file of Drive, which the server answers with `replies`; returns its content."""

    def drive(*replies):
        if replies:
            server.replies["/uc"] = list(replies)
        path, url = from_drive("1", tmp_path / "f.pkl")
        assert (path, url) == (tmp_path / "f.pkl", "https://drive.google.com/uc?id=1")
        return path.read_bytes()

    return drive


@pytest.fixture
def hub(server, tmp_path):
    """Download a file of the hub, which the server answers with `replies`; returns its content."""

    def hub(*replies):
        server.replies["/a/b/resolve/main/c/f.pkl"] = list(replies)
        path, url = from_hub("a/b", "c/f.pkl", tmp_path)
        assert url == f"{server.url}/a/b/resolve/main/c/f.pkl"
        assert path.is_relative_to(tmp_path)
        return path.read_bytes()

    return hub


def ranges(server):
    return [asked for _, asked in server.asked]


def parts(folder):
    return [path.read_bytes() for path in folder.glob("*.part")]


def test_a_file_of_drive_arrives(drive, tmp_path):
    assert drive(drive_file()) == CONTENT
    assert os.listdir(tmp_path) == ["f.pkl"]


def test_a_file_of_the_hub_arrives(hub):
    assert hub(hub_file()) == CONTENT


def test_the_hub_lists_files_with_their_checksums(server):
    server.on_hub({"x/f.pkl": CONTENT, "y/f.pkl": b"y"}, "a/b")
    assert hub_files("a/b") == {"README.md": None, "x/f.pkl": digest(CONTENT), "y/f.pkl": digest(b"y")}
    assert len(server.asked) == 1


def test_a_connection_that_drops_is_resumed(drive, hub, server):
    assert drive(drive_file(most=100_000, **ETAG)) == CONTENT
    assert ranges(server)[1:] == [f"bytes={n}-" for n in range(100_000, len(CONTENT), 100_000)]
    server.asked.clear()
    assert hub(hub_file(most=100_000)) == CONTENT
    assert ranges(server)[1:] == [f"bytes={n}-" for n in range(100_000, len(CONTENT), 100_000)]


def test_a_truncated_file_of_drive_is_kept_to_be_resumed(drive, server, tmp_path):
    cuts = [drive_file(most=40_000, **ETAG), *[drive_file(most=0, **ETAG)] * 9]
    with pytest.raises(DownloadError, match="260163 more expected"):
        drive(*cuts)
    assert len(server.asked) == downloading.RETRIES + 1
    assert not (tmp_path / "f.pkl").exists()
    assert parts(tmp_path) == [CONTENT[:40_000]]
    server.asked.clear()
    assert drive(drive_file(**ETAG)) == CONTENT
    assert ranges(server) == [None, "bytes=40000-"]
    assert os.listdir(tmp_path) == ["f.pkl"]


def test_a_truncated_file_of_the_hub_is_given_up_with_nothing_left(hub, tmp_path):
    with pytest.raises(DownloadError, match="without sending complete message body"):
        hub(hub_file(most=40_000), hub_file(most=0))
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 200] == []


def test_what_a_killed_process_left_of_a_file_of_the_hub_goes(hub, tmp_path):
    left = tmp_path / "hub" / ".cache" / "huggingface" / "download" / "c" / "left.incomplete"
    left.parent.mkdir(parents=True)
    left.write_bytes(CONTENT)
    assert hub(hub_file()) == CONTENT
    assert not left.exists()


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"longer"])
def test_a_part_as_long_as_the_file_or_longer_begins_again(drive, tmp_path, left):
    (tmp_path / "f.pkl12345678.part").write_bytes(left)
    assert drive(drive_file()) == CONTENT
    assert os.listdir(tmp_path) == ["f.pkl"]


def test_a_server_that_knows_no_ranges_begins_again_with_the_next_call(drive, tmp_path):
    with pytest.raises(DownloadError, match="did not honor the requested byte range"):
        drive(drive_file(most=40_000, ranges=False), drive_file(ranges=False))
    assert parts(tmp_path) == [CONTENT[:40_000]]
    assert drive(drive_file(ranges=False)) == CONTENT
    assert os.listdir(tmp_path) == ["f.pkl"]


def test_a_file_that_changes_on_the_server_is_not_spliced(drive, hub, tmp_path):
    other = CONTENT[::-1]
    with pytest.raises(DownloadError):  # the server is asked for the rest if the file is the same, and sends all of it
        drive(drive_file(most=40_000, **ETAG), drive_file(other, ranges=False, ETag='"b"'))
    assert drive(drive_file(other, ranges=False, ETag='"b"')) == other


def test_a_stalled_connection_is_given_up_and_resumed(drive, hub, server, monkeypatch):
    monkeypatch.setattr(downloading, "TIMEOUT", 0.3)
    start = time.monotonic()
    assert drive(stalled(drive_file(most=10_000, **ETAG)), drive_file(**ETAG)) == CONTENT
    assert ranges(server) == [None, "bytes=10000-"]
    server.asked.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    assert hub(stalled(hub_file(most=10_000)), hub_file()) == CONTENT
    assert ranges(server)[0] is None
    assert ranges(server)[-1] == "bytes=10000-"
    assert time.monotonic() - start < 20


def test_the_question_about_viruses_is_answered(drive, server):
    form = (
        '<html><form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
        '<input type="submit" id="x"/><input type="hidden" name="id" value="1"><input type="hidden" name="uuid" '
        'value="a&amp;b"></form></html>'
    )
    server.replies["/download"] = [drive_file(most=200_000, **ETAG)]
    assert drive(page(form)) == CONTENT
    asked = [(urlsplit(path).path, parse_qs(urlsplit(path).query), r) for path, r in server.asked]
    confirmed = {"id": ["1"], "uuid": ["a&b"]}
    assert asked == [
        ("/uc", {"id": ["1"]}, None),
        ("/download", confirmed, None),
        ("/download", confirmed, "bytes=200000-"),
    ]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (page(QUOTA), "Too many users have viewed or downloaded this file recently"),
        (page("<html>" + "<p>" * 5000), "Cannot retrieve the public link"),
        (status(404), "Cannot retrieve the public link"),
    ],
)
def test_what_drive_sends_instead_of_a_file_is_named_and_costs_nothing(drive, server, tmp_path, reply, words):
    (tmp_path / "f.pkl12345678.part").write_bytes(CONTENT[:40_000])
    with pytest.raises(DownloadError, match=words) as error:
        drive(reply)
    assert not isinstance(error.value, UnreachableError)
    assert len(server.asked) == 1
    assert parts(tmp_path) == [CONTENT[:40_000]]


@pytest.mark.parametrize("code", [404, 403])
def test_what_the_hub_answers_instead_of_a_file_is_named(hub, code):
    with pytest.raises(DownloadError, match=f"'{code} "):
        hub(status(code))


@pytest.mark.parametrize("code", [429, 503])
def test_a_busy_hub_is_asked_again(hub, server, code):
    assert hub(hub_file(), hub_file()) == CONTENT
    heads = iter([status(code), status(code)])
    assert hub(lambda handler: next(heads, hub_file())(handler)) == CONTENT
    assert next(heads, None) is None


def test_nobody_answers(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(UnreachableError, match=r"no connection to Google Drive: .*refused"):
        from_drive("1", tmp_path / "f.pkl")
    with pytest.raises(UnreachableError, match=re.escape(server.url) + " does not list the files of a/b: .*refused"):
        hub_files("a/b")
    with pytest.raises(DownloadError, match="refused"):
        from_hub("a/b", "f.pkl", tmp_path)


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"id": "a/b"}', b'{"id": "a/b", "siblings": ["f"]}'])
def test_a_server_that_is_no_hub(server, answer):
    server.replies["/api/models/a/b"] = [complete(answer)]
    with pytest.raises(UnreachableError, match="does not list the files of a/b"):
        hub_files("a/b")
    assert len(server.asked) == 1


def test_a_server_that_sends_other_files_is_no_hub(hub):
    with pytest.raises(DownloadError, match="X-Repo-Commit"):
        hub(complete(POINTER))


def test_nothing_but_the_file_is_asked_for_or_sent(hub, drive, server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    sent = []

    def reply(handler):
        sent.append(str(handler.headers))
        hub_file()(handler)

    hub(reply)
    assert sent
    assert not any("hf_secret" in headers or "torch" in headers for headers in sent)
    assert {path for path, _ in server.asked} == {"/a/b/resolve/main/c/f.pkl"}
