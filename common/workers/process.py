"""A process that does one task after another, and ends when the one that started it does, whatever ends that one."""

import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

# This module imports nothing that takes long: until a process has begun to watch, nothing ends it.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Killed(Exception):
    """The process ended before its task did; says how."""


class WorkerProcess:
    """A process for tasks of so many `threads`."""

    def __init__(self, threads: int):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        self._process.start()
        theirs.close()  # so that it is closed once the process has ended

    def do(self, task: Callable, *arguments: Any) -> Any:
        """What `task(*arguments)` returns there. Raises Killed, and whatever it raises."""
        try:
            self._connection.send_bytes(pickle.dumps((task, arguments)))
            done, content = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            raise Killed(signal.Signals(-code).name if code < 0 else f"exit status {code}") from None
        if not done:
            raise content
        return content

    def kill(self) -> None:
        """End it at once; a task that is under way there ends as Killed."""
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, threads: int) -> None:
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the process that started this one decides
    tasks = queue.SimpleQueue[bytes]()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    while True:
        try:
            task, arguments = pickle.loads(tasks.get())
            answer = True, task(*arguments)
        except Exception as error:
            answer = False, error
        connection.send(answer)


def _receive(connection, tasks):
    """Pass on what is to be done; end this process when the other one has ended, also in the middle of a task."""
    try:
        while True:
            tasks.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)
