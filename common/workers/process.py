"""A process that does tasks, and ends when the one that started it does, whatever ends that one."""

import multiprocessing
import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

# This module imports nothing that takes long: until a process has begun to watch, nothing ends it.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Killed(Exception):
    """The process ended before its task did; says how."""


class WorkerProcess:
    """A process for tasks of so many `threads`, at each of its `places` one after another.

    `number`: what `process_number` is there.
    """

    def __init__(self, threads: int, places: int = 1, number: int = 0):
        context = multiprocessing.get_context("spawn")
        self._connections, theirs = zip(*(context.Pipe() for _ in range(places)), strict=True)
        self._process = context.Process(target=_serve, args=(theirs, threads, number), daemon=True)
        self._ending = threading.Lock()  # of two threads that wait for a process only one would learn how it ended
        self._process.start()
        for connection in theirs:
            connection.close()  # so that it is closed once the process has ended

    def do(self, task: Callable, *arguments: Any, place: int = 0) -> Any:
        """What `task(*arguments)` returns there, at a `place` that is free. Raises Killed, and whatever it raises."""
        connection = self._connections[place]
        try:
            connection.send_bytes(pickle.dumps((task, arguments)))
            done, content = connection.recv()
        except (EOFError, OSError):
            with self._ending:
                self._process.join()
            code = self._process.exitcode or 0
            raise Killed(signal.Signals(-code).name if code < 0 else f"exit status {code}") from None
        if not done:
            raise content
        return content

    def kill(self) -> None:
        """End it at once; tasks that are under way there end as Killed."""
        self._process.kill()
        with self._ending:
            self._process.join()


def process_number() -> int | None:
    """Which of the processes that do tasks side by side this one is, from 0; None where it is none of them."""
    return _number


_number: int | None = None
_importing = threading.Lock()  # of modules that import each other, two threads at once would see halves


def _serve(connections: Sequence[Connection], threads: int, number: int) -> None:
    global _number
    _number = number
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the process that started this one decides
    places = [(connection, queue.SimpleQueue[bytes]()) for connection in connections]
    for place in places:
        threading.Thread(target=_receive, args=place, daemon=True).start()
    for place in places[1:]:
        threading.Thread(target=_work_to_the_end, args=place, daemon=True).start()
    _work(*places[0])


def _work(connection, tasks):
    """Do one task after another."""
    while True:
        content = tasks.get()
        try:
            with _importing:
                task, arguments = pickle.loads(content)
            answer = True, task(*arguments)
        except Exception as error:
            answer = False, error
        connection.send(answer)


def _work_to_the_end(connection, tasks):
    """The same; what ends this thread ends the process, as nobody would answer."""
    try:
        _work(connection, tasks)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _receive(connection, tasks):
    """Pass on what is to be done; end this process when the other one has ended, also in the middle of a task."""
    try:
        while True:
            tasks.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)
