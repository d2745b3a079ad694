"""Training one network: epochs, model selection on the validation split, and when to stop."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

from common.data.batches import Batches
from common.errors import InputError
from common.network.ecerc import ECERC
from common.settings import TrainingSettings
from common.training.evaluate import evaluate
from common.training.loss import focal_loss
from common.training.metrics import scores


class Selection:
    """Which epoch is selected, and when training stops.

    Selected is the first epoch with the highest validation weighted F1, compared after rounding to two decimals.
    Training stops when neither that nor the validation loss, rounded to four decimals, has strictly beaten its own
    best for `patience` epochs.
    """

    def __init__(self, patience: int):
        self.patience, self.epoch, self.stop = patience, None, False
        self._wf1, self._loss, self._improved = -math.inf, math.inf, 0

    def update(self, epoch: int, wf1: float, loss: float) -> bool:
        """Take in an epoch; True where it is the one selected so far."""
        wf1, loss = round(wf1, 2), round(loss, 4)
        better = wf1 > self._wf1
        if better or loss < self._loss:
            self._improved = epoch
        if better:
            self.epoch = epoch
        self._wf1, self._loss = max(wf1, self._wf1), min(loss, self._loss)
        self.stop = epoch - self._improved >= self.patience
        return better


def train_epoch(
    network: ECERC,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    gamma: float = 0.0,
    weight: Tensor | None = None,
) -> tuple[float, Tensor, Tensor]:
    """One pass over the training batches. Returns what the passes themselves gave, dropout on and weights moving:
    the loss, an unweighted mean over batches, and labels and predictions (U,) in the order of the batches.
    """
    network.train()
    losses, labels, predictions = [], [], []
    for batch in batches:
        optimizer.zero_grad(set_to_none=False)
        log_prob = network(batch)
        loss = focal_loss(log_prob, batch.label, gamma, weight)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        labels.append(batch.label)
        predictions.append(log_prob.detach().argmax(1))
    return torch.stack(losses).mean().item(), torch.cat(labels).cpu(), torch.cat(predictions).cpu()


def adam(network: ECERC, settings: TrainingSettings) -> torch.optim.Adam:
    """The optimiser of the release: Adam with an L2 penalty, for all parameters.

    The query and key maps under mask I compute nothing and have no gradient. As in the release, theirs is zero, not
    absent, so that the penalty moves them too.
    """
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return torch.optim.Adam(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)


def fit(
    network: ECERC,
    train: Batches,
    valid: Batches,
    settings: TrainingSettings,
    classes: list[str],
    weight: Tensor | None = None,
    title: str = "",
    on_epoch: Callable[[dict], None] = lambda row: None,
) -> int:
    """Train `network` on the Batches `train`, select on `valid`; `settings` are TrainingSettings, `weight` α or None.

    Leaves the selected weights in the network and returns the selected epoch (from 0). `on_epoch` is called after each
    epoch with a dictionary: the columns of history.csv but the seed.

    Raises InputError, naming the epoch, when a loss is not finite.
    """
    optimizer, selection, selected, best = adam(network, settings), Selection(settings.patience), {}, 0.0
    with tqdm(total=settings.epochs, desc=title, unit="epoch", dynamic_ncols=True) as bar:
        for epoch in range(settings.epochs):
            start = time.perf_counter()
            loss, label, prediction = train_epoch(network, train, optimizer, settings.focal_gamma, weight)
            passed = scores(label, prediction, classes)
            log_prob, valid_loss = evaluate(network, valid, settings.focal_gamma, weight)
            held_out = scores(valid.label, log_prob.argmax(1), classes)
            if not (math.isfinite(loss) and math.isfinite(valid_loss)):
                raise InputError(
                    f"{title}: the loss is not finite in epoch {epoch} (training {loss}, validation {valid_loss}); "
                    "try a lower --learning-rate"
                )
            if selection.update(epoch, held_out["wf1"], valid_loss):
                selected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
                best = held_out["wf1"]
            on_epoch(
                {
                    "epoch": epoch,
                    "train_loss": loss,
                    "train_accuracy": passed["accuracy"],
                    "train_wf1": passed["wf1"],
                    "valid_loss": valid_loss,
                    "valid_accuracy": held_out["accuracy"],
                    "valid_wf1": held_out["wf1"],
                    "seconds": time.perf_counter() - start,
                }
            )
            bar.update()
            bar.set_postfix_str(
                f"train loss {loss:.4f}, valid loss {valid_loss:.4f}, "
                f"valid wF1 {held_out['wf1']:.2f} (best {best:.2f} in epoch {selection.epoch})"
            )
            if selection.stop:
                break
    network.load_state_dict(selected)
    return selection.epoch
