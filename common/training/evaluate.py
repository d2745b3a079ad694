"""Log-probabilities and loss of a network on a split."""

import torch
from torch import Tensor

from common.data.batches import Batches
from common.network.ecerc import ECERC
from common.training.loss import focal_loss


@torch.no_grad()
def evaluate(
    network: ECERC, batches: Batches, gamma: float = 0.0, weight: Tensor | None = None
) -> tuple[Tensor, float]:
    """Log-probabilities (U, C) of a split in file order, on the CPU, and the loss, an unweighted mean over batches.

    `gamma` and `weight` are those of the loss. The network is left in evaluation mode.
    """
    network.eval()
    outputs, losses = [], []
    for batch in batches:
        log_prob = network(batch)
        outputs.append(log_prob)
        losses.append(focal_loss(log_prob, batch.label, gamma, weight))
    return torch.cat(outputs).cpu(), torch.stack(losses).mean().item()
