"""A step of work on fixed tensors as a CUDA graph: hundreds of small launches become one."""

import sys
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from common.batching.batches import Batch, Batches
from common.network.dropout import Dropout

WARM_UPS = 3  # libraries set themselves up in the first calls, which a graph must not contain


def captured(
    work: Callable[[Batch], None], batches: Batches, dropout: Dropout, state: Callable[[], list[Tensor]]
) -> Callable[[Batch], None]:
    """`work` as a CUDA graph where `batches` are of fixed shape on CUDA, else `work` itself.

    `state`: all tensors that `work` changes, which are as before afterwards; those that it creates must be zero at
    first. `dropout` draws the random numbers. Where the graph cannot be captured, `work` is returned and a line says
    so.
    """
    generator = dropout.generator
    if batches.device.type != "cuda" or batches.shapes != "fixed" or generator is None:
        return work
    batch = batches.static_batch()
    before = {tensor: tensor.detach().clone() for tensor in state()}
    random = generator.get_state()

    @torch.no_grad()
    def restore():
        for tensor in state():
            tensor.copy_(before[tensor]) if tensor in before else tensor.zero_()
        generator.set_state(random)

    home, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(home)
    try:
        with torch.cuda.stream(aside), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*capturable=True")  # it is meant for the graph
            for _ in range(WARM_UPS):
                work(batch)
        home.wait_stream(aside)
        restore()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        # A stream of its own, also because graphs captured on one stream would share the workspace of matrix products.
        with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):  # other threads continue
            work(batch)
    except RuntimeError as error:
        torch.cuda.set_stream(home)  # a capture that fails may stay on its stream
        torch.cuda.synchronize()
        reason = str(error).splitlines()[0]
        print(f"Note: a step could not be captured as a CUDA graph and runs slower ({reason}).", file=sys.stderr)
        restore()
        return work
    return lambda batch: graph.replay()
