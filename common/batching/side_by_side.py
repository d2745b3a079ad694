"""What is only computed forward, side by side on the cores of a CPU, each with one thread.

Threads that share a small product wait for each other longer than they compute, most of all where the cores have other
work: two that evaluate IEMOCAP on two busy cores took four times the time of one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

from common.batching.batches import Batch, Batches

T = TypeVar("T")
LARGE = 4096  # rows, padding included, from which a batch is worth all cores, and takes much memory


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread here."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(jobs: Iterable[Callable[[], T]], workers: int) -> Iterator[T]:
    """The results of `jobs` in their order; as many are under way as there are `workers`, each with one thread.

    Jobs are taken as they are needed, with one that waits. The first exception is raised where its result would come.
    """
    waiting: deque[Future[T]] = deque()
    pool, jobs, threads = ThreadPoolExecutor(workers, initializer=_begin), iter(jobs), torch.get_num_threads()
    try:
        while job := _next(jobs):
            waiting.append(pool.submit(job))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # early after an exception, or Ctrl-C
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # what threads that begin later start with


def _begin():
    torch.get_num_threads()  # else the first product of this thread would take what another thread has set last
    torch.set_num_threads(1)


@one_thread()
def _next(jobs):
    return next(jobs, None)


def computed(compute: Callable[[Batch], T], batches: Batches) -> Iterator[T]:
    """`compute` of each batch, in their order, without gradients.

    On a CPU as many batches are under way as PyTorch has threads; such as could have more than LARGE rows come one
    after the other, with all threads.
    """
    jobs = (partial(_without_gradients, compute, batch) for batch in batches)
    threads = workers_for(batches)
    if threads == 1:
        yield from (job() for job in jobs)
    elif len(batches) == 1:
        yield one_thread()(_next(jobs))()
    else:
        yield from side_by_side(jobs, min(threads, len(batches)))


def workers_for(batches: Batches) -> int:
    """How many batches may be under way at a time, with one thread each; 1 where each takes all threads, or a GPU."""
    small = batches.device.type == "cpu" and batches.shapes != "fixed" and batches.most_rows <= LARGE
    return torch.get_num_threads() if small else 1


def _without_gradients(compute, batch):
    with torch.no_grad():  # which holds in one thread only
        return compute(batch)
