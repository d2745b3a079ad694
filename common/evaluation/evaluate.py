"""Log-probabilities of a network on a split."""

import torch
from torch import Tensor

from common.batching.batches import Batches
from common.batching.side_by_side import computed
from common.errors import InputError
from common.network.ecerc import ECERC


@torch.no_grad()
def evaluate(network: ECERC, batches: Batches) -> Tensor:
    """Log-probabilities (U, C) of a split in file order, on the CPU. The network is left in evaluation mode.

    Raises InputError where they are not finite, which would be read as the first class.
    """
    network.eval()
    count, outputs = len(batches.label), torch.empty(0)
    for batch, log_prob in computed(lambda batch: (batch, network(batch)), batches):
        if not len(outputs):
            outputs = log_prob.new_empty(count + 1, log_prob.shape[1])  # the last row takes what padding gives
        outputs.index_copy_(0, torch.where(batch.packing.real, batch.rows, count), log_prob)
    outputs = outputs[:count].cpu()
    check_finite(outputs)
    return outputs


def check_finite(log_prob: Tensor) -> None:
    """Raises InputError where log-probabilities (U, C) of a split are not finite."""
    finite = log_prob.isfinite().all(1)
    if not finite.all():
        raise InputError(
            f"utterance {int(finite.int().argmin())} of the split (from 0) has no finite log-probabilities: its "
            "features are too large for the network, or the weights are damaged; mend them"
        )
