"""Several trainings at a time: on the cores of a CPU, or on one GPU."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext

import torch

from common.errors import InputError

ON_GPU = 3  # trainings at a time, each on a stream of its own


def check_threads(device: torch.device, threads: int) -> None:
    """Raises InputError where a job takes more `threads` than PyTorch may use."""
    allowed = torch.get_num_threads()
    if device.type == "cpu" and threads > allowed:
        raise InputError(
            f"found {threads} threads a seed; PyTorch may use {allowed} here (the cores, or OMP_NUM_THREADS)",
            change=["threads"],
        )


def at_a_time(count: int, device: torch.device, threads: int) -> int:
    """How many of `count` jobs have a step under way at the same time."""
    return min(count, {"cpu": torch.get_num_threads() // threads, "cuda": ON_GPU}.get(device.type, 1))


def side_by_side(job: Callable[[int], Iterator[None]], count: int, device: torch.device, threads: int = 1) -> None:
    """Run job(0) to job(count - 1), generators that yield after setting up and after each step, to their ends.

    On a CPU each step takes `threads`, never more, so that its numbers do not depend on what else runs, and as many
    steps run at a time as PyTorch's threads allow; one job more is under way, and they take turns, so that all cores
    are busy to the end. On CUDA three run at a time, elsewhere one. The first exception of a job ends all at their next
    yield and is raised; so does Ctrl-C. What fails after it, also while jobs are ended, is noted in it. Raises
    InputError where PyTorch has fewer than `threads`.
    """
    check_threads(device, threads)
    allowed, workers = torch.get_num_threads(), at_a_time(count, device, threads)
    turns = _Turns(job, count, workers + (device.type == "cpu" and workers > 1), device)

    def work():
        torch.set_num_threads(threads)
        turns.work()

    try:
        if workers == 1:
            work()
        else:
            with ThreadPoolExecutor(workers) as pool:
                crew = [pool.submit(work) for _ in range(workers)]
                try:
                    wait(crew)
                finally:  # early after Ctrl-C
                    turns.stop = True
                    wait(crew)
    except BaseException as error:
        turns.failed(error)
    finally:
        turns.close()
        torch.set_num_threads(allowed)
    if turns.failure:
        raise turns.failure


class _Turns:
    """Whose turn it is: at most `most` jobs are under way; whoever works takes the one with the fewest steps done."""

    def __init__(self, job, count, most, device):
        self._job, self._unbegun, self._most, self._device = job, deque(range(count)), most, device
        self._waiting, self._under_way, self._lock, self._failing = [], 0, threading.Lock(), threading.Lock()
        self.stop, self.failure = False, None

    def failed(self, error):
        """Stop; the first error is the one to be raised, the others are notes of it."""
        with self._failing:
            self.stop = True
            if self.failure is None:
                self.failure = error
            elif error is not self.failure:
                self.failure.add_note(f"then {type(error).__name__}: {error}")

    def close(self):
        """End the jobs that are under way, whichever of them fail at that."""
        for *_, steps, _ in self._waiting:
            try:
                steps.close()
            except BaseException as error:
                self.failed(error)

    def work(self):
        """Run steps until nothing is left for this thread."""
        try:
            while not self.stop and (turn := self._next()):
                done, _, steps, stream = turn
                with stream():
                    ended = next(steps, turn) is turn
                with self._lock:
                    if ended:
                        self._under_way -= 1
                    else:
                        self._waiting.append((done + 1, *turn[1:]))
        except BaseException as error:
            self.failed(error)

    def _next(self):
        with self._lock:
            if self._unbegun and self._under_way < self._most:
                index, stream = self._unbegun.popleft(), self._stream()
                steps = self._job(index)
                with stream():
                    next(steps)  # one sets up at a time: on a GPU this captures graphs
                self._under_way += 1
                self._waiting.append((0, index, steps, stream))
            if not self._waiting:
                return None
            turn = min(self._waiting, key=lambda turn: turn[:2])
            self._waiting.remove(turn)
            return turn

    def _stream(self) -> Callable[[], AbstractContextManager]:
        if self._device.type != "cuda":
            return nullcontext
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        return lambda: torch.cuda.stream(stream)
