"""A server on the loopback that does what servers and networks do."""

import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f44\nsize 24000000\n"
CONTENT = pickle.dumps(np.random.default_rng(0).integers(256, size=300_000, dtype=np.uint8))


class Server(ThreadingHTTPServer):
    """Answers each path from `replies`: a list of functions, one per request, the last one for all that follow."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies, self.asked, self.enough = {}, [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = urlsplit(self.path).path
        self.server.asked.append((self.path, self.headers["Range"]))
        replies = self.server.replies.get(path, [status(404)])
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def log_message(self, *_):
        pass

    def answer(self, code, content=b"", length=None, **headers):
        """Send `content`, having announced `length` bytes (default: as many as there are; "" for none announced)."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length != "":
            self.send_header("Content-Length", len(content) if length is None else length)
        self.end_headers()
        self.wfile.write(content)


def status(code, **headers):
    return lambda handler: handler.answer(code, b"sorry", **headers)


def page(text):
    return lambda handler: handler.answer(200, text.encode(), length="", Content_Type="text/html")


def whole(content=CONTENT, **headers):
    return lambda handler: handler.answer(200, content, **headers)


def cut(most, content=CONTENT, ranges=True, **headers):
    """At most `most` bytes of what is asked for, of `content`; then the connection is closed."""

    def reply(handler):
        first = int((handler.headers["Range"] or "bytes=0-")[6:-1]) if ranges else 0
        if first >= len(content):
            handler.answer(416, b"")
            return
        here = {"Content_Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
        code = 206 if first else 200
        handler.answer(code, content[first : first + most], length=len(content) - first, **here, **headers)

    return reply


def stall(handler):
    handler.answer(200, CONTENT[:10_000], length=len(CONTENT))
    handler.wfile.flush()
    handler.server.enough.wait(30)


def ranges(server):
    return [asked for _, asked in server.asked]
