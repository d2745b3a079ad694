"""What training will take, said before it begins: most of it is what a step keeps for its backward pass."""

from collections.abc import Sequence

import numpy as np
import torch

from common.batching.packing import group
from common.data.corpus import Corpus
from common.environment import memory
from common.errors import InputError
from common.network.attention import LARGE
from common.settings import NetworkSettings, TrainingSettings
from common.training.side_by_side import at_a_time

MUCH = 6 * 2**30  # bytes from which it is said


def step_bytes(lengths: Sequence[int], widths: dict[str, int], settings: NetworkSettings) -> float:
    """Memory that a training step on a CPU takes for a batch of dialogues of `lengths`, in bytes.

    Counted are numbers for each row, padding included, for each weight of attention that is kept, for those that are
    computed at a time, and for each cell of the masks. The five factors are fitted to measurements from 5 to 5,000
    turns, in one to 300 dialogues (tests/training/test_memory.py), which they meet within 15 %.
    """
    turns = np.array(lengths)
    longest, real = turns.max(), turns.sum()
    released = settings.empty_history == "released"
    rows = len(turns) * longest if released else real
    inner, d = settings.heads * settings.head_width, settings.hidden_width
    D = d * len(settings.modalities_in_use)
    block = settings.layers * (16 * inner + 14 * (D + d))  # of an event and an emotion block
    inputs = 24 * D + sum(widths[name] for name in {*settings.modalities_in_use, "event"})
    kept = largest = masks = 0
    for members in group(turns):
        keys = turns[members].max()
        # under H, and under S or C: queries, blocks of the network, masks
        for queries, blocks, count in ((longest if released else keys, 2, 1), (keys, 3, 2)):
            cells = len(members) * queries * keys
            weights = settings.heads * cells
            kept += settings.layers * blocks * weights if weights <= LARGE else 0
            largest, masks = max(largest, min(weights, LARGE)), masks + count * cells
    numbers = 0.63 * rows * block + 0.87 * real * (2 * block + inputs) + 1.83 * kept + 7.7 * largest + 2.1 * masks
    return float(4 * numbers)


def check_memory(corpus: Corpus, settings: TrainingSettings, device: torch.device, seeds: int) -> str | None:
    """A line for the user where training `seeds` seeds on a CPU takes much memory.

    Judged is a batch of the longest dialogue and others of usual length. Raises InputError where this machine has not
    as much.
    """
    if device.type != "cpu" or not seeds:
        return None
    lengths = corpus.lengths[corpus.splits["train"]]
    others = [int(np.median(lengths))] * (min(settings.batch_size, len(lengths)) - 1)
    together = at_a_time(seeds, device, settings.threads)
    needed = together * step_bytes([int(lengths.max()), *others], corpus.widths, settings)
    if needed < MUCH:
        return None
    what = f"{corpus.name}: training takes about {needed / 2**30:.0f} GiB of memory for {together} seed(s) at a time"
    what += f", as a dialogue has {lengths.max():,} turns"
    if needed > memory() * 2**30:
        mend = "take smaller batches, fewer seeds, or split long dialogues"
        raise InputError(f"{what}; this machine has {memory():.0f} GiB; {mend}", ["batch_size", "seeds"])
    return f"Note: {what}; smaller batches take less."
