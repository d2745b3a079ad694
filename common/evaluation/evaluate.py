"""Log-probabilities and loss of a network on a split."""

import torch
from torch import Tensor

from common.batching.batches import Batches
from common.network.ecerc import ECERC
from common.training.loss import focal_loss


@torch.no_grad()
def evaluate(
    network: ECERC, batches: Batches, gamma: float = 0.0, weight: Tensor | None = None
) -> tuple[Tensor, float]:
    """Log-probabilities (U, C) of a split in file order, on the CPU, and the loss, an unweighted mean over batches.

    `gamma` and `weight` are those of the loss, which says nothing where labels are not known. The network is left in
    evaluation mode.
    """
    network.eval()
    count, losses = len(batches.label), []
    outputs = None
    for batch in batches:
        log_prob, share = network(batch), batch.packing.share
        if outputs is None:
            outputs = log_prob.new_empty(count + 1, log_prob.shape[1])  # the last one is for masked rows
        outputs.index_copy_(0, torch.where(share > 0, batch.rows, count), log_prob)
        losses.append(focal_loss(log_prob, batch.label.clamp(min=0), gamma, weight, share))
    return outputs[:count].cpu(), torch.stack(losses).mean().item()
