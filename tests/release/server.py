"""A server on the loopback that answers as the Hugging Face hub and Google Drive do, or does what networks do."""

import hashlib
import json
import pickle
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f44\nsize 24000000\n"
CONTENT = pickle.dumps(np.random.default_rng(0).integers(256, size=300_000, dtype=np.uint8))
PIECE = 1_000  # bytes; the libraries' are larger than the files of these tests
QUOTA = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>
</body></html>"""


class Server(ThreadingHTTPServer):
    """Answers each path from `replies`: a list of functions, one per GET, the last one for all that follow.

    A HEAD is answered like the next GET, and is neither counted nor listed in `asked`: paths of GETs, with their Range.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies, self.asked, self.enough = {}, [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def on_hub(self, files, repository="zt-ai/ECERC"):
        """Offer `files`, path to content, as a repository of the hub."""
        siblings = [{"rfilename": "README.md", "size": 3, "blobId": "0"}]
        for path, content in files.items():
            lfs = {"sha256": digest(content), "size": len(content), "pointerSize": 130}
            siblings.append({"rfilename": path, "size": len(content), "blobId": "0", "lfs": lfs})
            self.replies[f"/{repository}/resolve/main/{path}"] = [hub_file(content)]
        listing = json.dumps({"id": repository, "siblings": siblings}).encode()
        self.replies[f"/api/models/{repository}"] = [complete(listing, Content_Type="application/json")]

    def on_drive(self, files):
        """Offer `files`, id to content, on Google Drive."""

        def reply(handler):
            drive_file(files[parse_qs(urlsplit(handler.path).query)["id"][0]])(handler)

        self.replies["/uc"] = [reply]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = urlsplit(self.path).path
        self.server.asked.append((self.path, self.headers["Range"]))
        replies = self.server.replies.get(path, [status(404)])
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def do_HEAD(self):
        self.server.replies.get(urlsplit(self.path).path, [status(404)])[0](self)

    def log_message(self, *_):
        pass

    def answer(self, code, content=b"", length=None, **headers):
        """Send `content`, having announced `length` bytes (default: as many as there are; "" for none announced)."""
        self.send_response(code)
        for name, value in ({"Content_Type": "application/octet-stream"} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        if length != "":
            self.send_header("Content-Length", len(content) if length is None else length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
            self.wfile.flush()


def digest(content):
    return hashlib.sha256(content).hexdigest()


def status(code, **headers):
    return lambda handler: handler.answer(code, b"sorry", **headers)


def page(text):
    return lambda handler: handler.answer(200, text.encode(), length="", Content_Type="text/html; charset=utf-8")


def complete(content=CONTENT, **headers):
    return lambda handler: handler.answer(200, content, **headers)


def cut(most, content=CONTENT, ranges=True, **headers):
    """At most `most` bytes of what is asked for, of `content`; then the connection is closed."""

    def reply(handler):
        first = int((handler.headers["Range"] or "bytes=0-")[6:-1]) if ranges else 0
        if first >= len(content):
            handler.answer(416, b"")
            return
        partly = {"Content_Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
        code = 206 if first else 200
        handler.answer(code, content[first : first + most], length=len(content) - first, **partly, **headers)

    return reply


def hub_file(content=CONTENT, most=10**9, **options):
    return cut(most, content, **{"X_Repo_Commit": "0" * 40, "ETag": f'"{digest(content)}"'} | options)


def drive_file(content=CONTENT, most=10**9, **options):
    return cut(most, content, Content_Disposition='attachment; filename="f.pkl"', **options)


def stalled(reply):
    """`reply`, a part of a file, after which the server falls silent instead of closing the connection."""

    def reply_and_wait(handler):
        reply(handler)
        handler.server.enough.wait(30)

    return reply_and_wait


def redirect(url, setattr=setattr):
    """What this process asks of the hub and of Drive goes to the server at `url`, and files arrive in small pieces."""
    from common.release import download

    download._hub()  # which says how huggingface_hub is imported
    import gdown
    import huggingface_hub.constants
    from requests.adapters import HTTPAdapter

    setattr(sys.modules[gdown.download.__module__], "CHUNK_SIZE", PIECE)  # what arrives of an unfinished one is lost
    setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", PIECE)
    setattr(huggingface_hub.constants, "ENDPOINT", url)
    setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    send = HTTPAdapter.send

    def redirected(adapter, request, **options):
        parts = urlsplit(request.url)
        if parts.hostname in ("drive.google.com", "drive.usercontent.google.com"):
            request.url = f"{url}{parts.path}?{parts.query}"
        return send(adapter, request, **options)

    setattr(HTTPAdapter, "send", redirected)
