"""Training one network: epochs, model selection on the validation split, and when to stop."""

import math
import time

import numpy as np
import torch
from torch import Tensor

from common.batching.batches import Batches
from common.errors import InputError
from common.evaluation.metrics import confusion_scores
from common.network.ecerc import ECERC
from common.settings import TrainingSettings
from common.training.adam import Adam
from common.training.graphs import captured
from common.training.loss import focal_loss


class Selection:
    """Which epoch is selected, and when training stops.

    Selected is the first epoch with the highest validation weighted F1, compared after rounding to two decimals.
    Training stops when neither that nor the validation loss, rounded to four decimals, has strictly beaten its own
    best for `patience` epochs.
    """

    def __init__(self, patience: int):
        self.patience, self.stop = patience, False
        self.epoch: int | None = None
        self.wf1, self.loss, self._improved = -math.inf, math.inf, 0

    def update(self, epoch: int, wf1: float, loss: float) -> bool:
        """Take in an epoch; True where it is the one selected so far."""
        wf1, loss = round(wf1, 2), round(loss, 4)
        better = wf1 > self.wf1
        if better or loss < self.loss:
            self._improved = epoch
        if better:
            self.epoch = epoch
        self.wf1, self.loss = max(wf1, self.wf1), min(loss, self.loss)
        self.stop = epoch - self._improved >= self.patience
        return better


def adam(network: ECERC, settings: TrainingSettings) -> Adam:
    """The optimiser of the release: Adam with an L2 penalty, for all parameters, in one pass over them."""
    return Adam(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)


class Tally:
    """Losses and predictions of a pass over a split, summed up on the device, so that it need not be waited for."""

    def __init__(self, classes: int, device: torch.device):
        kind = torch.float32 if device.type == "mps" else torch.float64  # MPS has no other
        self._sums = torch.zeros(3 + classes * classes, device=device, dtype=kind)  # loss, finite, labelled, counts
        self._classes = classes

    def reset(self) -> None:
        """Forget what was taken in."""
        self._sums.zero_()

    def add(self, loss: Tensor, log_prob: Tensor, label: Tensor, share: Tensor) -> None:
        """Take in a batch: `label` and `share` as in Batch."""
        counts, (losses, finite, labelled) = self._sums[3:], self._sums[:3].split(1)
        counted = share > 0
        entry = torch.add(log_prob.argmax(1), label.clamp(min=0), alpha=self._classes)
        counts.scatter_add_(0, entry, counted.to(counts.dtype))
        losses.add_(loss)
        finite.add_(losses.abs() < math.inf)  # a sum that is not finite stays so
        labelled.add_(counted.any())

    @staticmethod
    def read(*tallies: "Tally") -> list[tuple[float, int, np.ndarray]]:
        """Of each tally the mean of the losses over the batches that have any labels, the number of batches before it
        ceased to be finite, and the confusion matrix (C, C); waits for the device once.
        """
        sums = torch.stack([tally._sums for tally in tallies]).cpu().numpy()
        means = [float(s[0]) / max(int(s[2]), 1) for s in sums]
        matrices = [s[3:].reshape(tallies[0]._classes, -1).astype(np.int64) for s in sums]
        return [(means[k], int(sums[k][1]), matrices[k]) for k in range(len(tallies))]


class Trainer:
    """Trains `network` on the Batches `train` and selects on `valid`, an epoch at a time.

    Utterances without a label are history for the others, and count in no loss and no score.
    `settings` are TrainingSettings, `weight` is α or None, `title` goes before messages. `state`: that of another
    Trainer, see `state`, to resume from. On CUDA a training step and an evaluation step are captured as graphs.
    `epoch`: the next one; `selection`: which one is selected so far.
    """

    def __init__(
        self,
        network: ECERC,
        train: Batches,
        valid: Batches,
        settings: TrainingSettings,
        weight: Tensor | None = None,
        title: str = "",
        state: dict | None = None,
    ):
        for split, batches in (("train", train), ("valid", valid)):
            if not (batches.label >= 0).any():
                raise InputError(f"{title}: no utterance of split {split} has a label; training needs some")
        self.network, self.settings, self.title, self.epoch = network, settings, title, 0
        self._train, self._valid, self._weight = train.with_labels(), valid, weight
        device = next(network.parameters()).device
        self._random = network.dropout.generator or network.dropout.seed(torch.initial_seed(), device)
        self._tallies = [Tally(network.classifier.out_features, device) for _ in range(2)]
        self._optimizer, self.selection = adam(network, settings), Selection(settings.patience)
        self._selected: dict[str, Tensor] = {}
        if state is not None:  # before steps are captured, which fixes where tensors lie
            self._restore(state)
        self._idle = {parameter: torch.zeros_like(parameter) for parameter in network.idle_parameters()}
        self._train_step = captured(self._train_eagerly, self._train, network.dropout, self._state)
        self._valid_step = captured(self._evaluate_eagerly, valid, network.dropout, self._state)

    def run_epoch(self) -> dict:
        """Train on every batch once and evaluate the validation split; returns a row of history.csv but the seed.

        What it says of training was seen during the passes, dropout on and weights moving; losses are unweighted means
        over batches. Raises InputError, naming epoch and batch, when a loss is not finite.
        """
        start = time.perf_counter()
        for tally in self._tallies:
            tally.reset()
        self.network.train()
        for batch in self._train:
            self._train_step(batch)
        self.network.eval()
        for batch in self._valid:
            self._valid_step(batch)
        self._train.prepare()
        row: dict[str, float] = {"epoch": self.epoch}
        for name, (loss, finite, confusion) in zip(("train", "valid"), Tally.read(*self._tallies), strict=True):
            if not math.isfinite(loss):
                kind = {"train": "training", "valid": "validation"}[name]
                raise InputError(
                    f"{self.title}: the loss is not finite in epoch {self.epoch}, {kind} batch {finite} (both from 0); "
                    "try a lower learning rate",
                    change=["learning_rate"],
                )
            scores = confusion_scores(confusion)
            row |= {f"{name}_loss": loss}
            row |= {f"{name}_accuracy": scores["accuracy"], f"{name}_wf1": scores["wf1"]}
        if self.selection.update(self.epoch, row["valid_wf1"], row["valid_loss"]):
            self._selected = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.epoch += 1
        return row | {"seconds": time.perf_counter() - start}

    @property
    def done(self) -> bool:
        """Whether no further epoch is to be run."""
        return self.selection.stop or self.epoch >= self.settings.epochs

    def state(self) -> dict:
        """All that the next epochs depend on, but the order of the training dialogues: tensors, numbers, strings."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "selection": vars(self.selection),
            "selected": self._selected,
            "dropout": self._random.get_state(),
        }

    def _restore(self, state):
        self.epoch, self._selected = state["epoch"], state["selected"]
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError:  # parameters of other names or shapes
            raise InputError(
                f"{self.title}: its unfinished state was written by another version of this code; remove the run's "
                "unfinished_*.pt, then resuming begins such seeds again"
            ) from None
        self._optimizer.load_state_dict(state["optimizer"])
        vars(self.selection).update(state["selection"])
        self._random.set_state(state["dropout"].cpu())

    def select(self) -> None:
        """Put the selected weights into the network."""
        self.network.load_state_dict(self._selected)

    def _train_eagerly(self, batch):
        self._optimizer.zero_grad()
        for parameter, zero in self._idle.items():
            parameter.grad = zero  # not none: the penalty moves them as in the release
        log_prob, loss, share = self._loss(batch)
        loss.backward()
        self._optimizer.step()
        self._tallies[0].add(loss.detach(), log_prob.detach(), batch.label, share)

    @torch.no_grad()
    def _evaluate_eagerly(self, batch):
        log_prob, loss, share = self._loss(batch)
        self._tallies[1].add(loss, log_prob, batch.label, share)

    def _loss(self, batch):
        log_prob, share = self.network(batch), batch.share
        loss = focal_loss(log_prob, batch.label, self.settings.focal_gamma, self._weight, share)
        return log_prob, loss, share

    def _state(self):
        """All tensors that steps change."""
        moments = (value for state in self._optimizer.state.values() for value in state.values())
        return [*self.network.parameters(), *moments, *(tally._sums for tally in self._tallies)]
