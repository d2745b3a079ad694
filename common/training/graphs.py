"""A step of work on fixed tensors as a CUDA graph: hundreds of small launches become one."""

import sys
import threading
from collections.abc import Callable

import torch
from torch import Tensor

from common.batching.batches import Batch, Batches
from common.network.dropout import Dropout
from common.terminal import show

_CAPTURING = threading.Lock()  # what one thread does to prepare a capture ends that of another
_ASIDE: dict[tuple[int, int], torch.cuda.Stream] = {}  # on which graphs are captured, by where they are replayed
WARM_UPS = 3  # libraries set themselves up in the first calls, which a graph must not contain


def captured(
    work: Callable[[Batch], None], batches: Batches, dropout: Dropout, state: Callable[[], list[Tensor]]
) -> Callable[[Batch], None]:
    """`work` as CUDA graphs where `batches` are of fixed shapes on CUDA, else `work` itself.

    Each shape is captured when its first batch comes. `state`: all tensors that `work` changes. `dropout` draws the
    random numbers. Where a shape cannot be captured, its batches are worked on as they are and a line says so.
    """
    if batches.device.type != "cuda" or batches.shapes != "fixed" or dropout.generator is None:
        return work
    steps: dict[int, Callable[[Batch], None]] = {}
    # One memory for all shapes: their steps run one after the other, and nothing that lies there is needed afterwards.
    pool = torch.cuda.graph_pool_handle()

    def step(batch: Batch) -> None:
        if id(batch) not in steps:
            with _CAPTURING:
                aside = _aside(torch.cuda.current_stream())
                steps[id(batch)] = _capture(work, batch, dropout.generator, state(), pool, aside)
        steps[id(batch)](batch)

    return step


def _aside(home):
    """The stream on which what is replayed on the stream `home` is captured, always the same one.

    PyTorch hands out 32 streams of each priority, over and over. On one of another priority than those that trainings
    run on, no thread works while it is captured, as its steps would go into the graph instead of being done. And graphs
    captured on one stream share the workspace of matrix products: these are replayed one after the other.
    """
    key = home.device_index, home.cuda_stream
    if key not in _ASIDE:
        _ASIDE[key] = torch.cuda.Stream(home.device, priority=-1)
    return _ASIDE[key]


def _capture(work, batch, generator, state, pool, aside):
    """`work` on this very `batch` as a graph, or `work`; what it changes is as before afterwards."""
    before, random = [tensor.detach().clone() for tensor in state], generator.get_state()

    @torch.no_grad()
    def restore():
        torch._foreach_copy_(state, before)
        generator.set_state(random)

    home = torch.cuda.current_stream()
    aside.wait_stream(home)
    try:
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                work(batch)
        home.wait_stream(aside)
        restore()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool, aside, capture_error_mode="thread_local"):  # other threads continue
            work(batch)
    except RuntimeError as error:
        torch.cuda.set_stream(home)  # a capture that fails may stay on its stream
        torch.cuda.synchronize()
        reason = str(error).splitlines()[0]
        show(f"Note: a step could not be captured as a CUDA graph and runs slower ({reason}).", sys.stderr)
        if generator.device.type == "cuda":  # its old state takes itself to be in the capture still
            generator.graphsafe_set_state(torch.Generator(generator.device).graphsafe_get_state())
        restore()
        return work
    return lambda batch: graph.replay()
