"""Fine-tuning of an encoder on the labels of utterances, each by itself.

The recipe is that of the features of COSMIC (Ghosal et al., 2020) and of those after it: AdamW, learning rate 1e-5,
batches of 32, a linear classifier on the first token's state, the best epoch by validation. The learning rate rises
linearly during the first tenth of all steps that there may be, then stays: how long training may last changes
nothing else.
"""

import dataclasses
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
import yaml
from torch.nn import functional

from common.errors import InputError
from common.features.models import Model, precision
from common.features.text import classifier, tuning_files
from common.features.text.encoder import Encoder
from common.files import atomic, locked
from common.progress import Progress

LONGEST_GRADIENT = 1.0  # longer ones are clipped to this norm


@dataclass(frozen=True)
class TuneSettings:
    """How an encoder is fine-tuned. `warm_up`: share of all steps; `dropout`: of the first token's state."""

    epochs: int = 10
    learning_rate: float = 1e-5
    batch_size: int = 32
    patience: int = 3
    seed: int = 1
    warm_up: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self):
        for name, good, expected in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < 1, "between 0 and 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("patience", self.patience >= 1, "at least 1"),
            ("seed", self.seed >= 0, "at least 0"),
            ("warm_up", 0 <= self.warm_up <= 1, "from 0 to 1"),
            ("weight_decay", 0 <= self.weight_decay < 1, "from 0, less than 1"),
            ("dropout", 0 <= self.dropout < 1, "from 0, less than 1"),
        ):
            if not good:
                option = {"learning_rate": "tune_rate", "batch_size": "tune_batch"}.get(name, f"tune_{name}")
                raise InputError(f"tuning: {name} is {getattr(self, name)}; expected {expected}", [option])


def tune(
    model: Model,
    sentences: Sequence[str],
    labels: np.ndarray,
    train: np.ndarray,
    valid: np.ndarray,
    classes: list[str],
    settings: TuneSettings,
    folder: Path,
    device: str,
    title: str,
) -> Path:
    """Fine-tune `model` on the utterances `train`, keep its epoch of best weighted F1 on `valid`, return `folder`.

    `sentences`, `labels` (U,): of all utterances, labels as positions in `classes`, -1 where unknown; `train`, `valid`:
    rows. Unlabelled ones and those without text are left out, and no other row is looked at. In `folder` come to lie
    the encoder as transformers writes it, `head.safetensors` (weight (C, width), bias (C,)) and `tuning.yaml`, what it
    was made from and how. After each epoch there is a checkpoint, from which a later call goes on; a finished folder
    is taken as it is. `title` stands before the progress. Raises InputError where there is nothing to learn from, where
    the folder was made from something else, or where training diverges.
    """
    train, valid = (classifier.usable(rows, sentences, labels) for rows in (train, valid))
    for name, rows in (("training", train), ("validation", valid)):
        if not len(rows):
            raise InputError(f"tuning: no labelled utterance in the {name} split; expected at least one", ["tune"])
    record = {
        "base": model.identity(),
        "settings": dataclasses.asdict(settings),
        "classes": list(classes),
        "train": tuning_files.state_of(sentences, labels, train),
        "valid": tuning_files.state_of(sentences, labels, valid),
    }
    if tuning_files.is_finished(folder, record):  # it may be one that cannot be written
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock", f"{folder}: another process tunes an encoder here; wait for it, or choose another"):
        if not tuning_files.is_finished(folder, record):
            tuning = _Tuning(model, sentences, labels, train, valid, classes, settings, device)
            _run(tuning, folder, record, title)
    return folder


def _run(tuning, folder, record, title):
    settings, steps = tuning.settings, tuning.steps
    scores = tuning_files.restore(folder, record, tuning.parts(), tuning.device)
    progress = Progress(title, settings.epochs * steps, "step", done=len(scores) * steps)
    try:
        while _goes_on(scores, settings):
            for _ in tuning.epoch(len(scores)):
                progress.update()
            scores.append(tuning.score(len(scores)))
            tuning_files.keep(folder, record, tuning.parts(), scores, _best(scores))
            progress.update(f"validation F1 {scores[-1]:.2f}, best {max(scores):.2f}", steps=0)
    finally:
        progress.close()
    tuning_files.take_best(folder, tuning.parts(), _best(scores), tuning.device)
    classifier.write(tuning.encoder, tuning.head, tuning.encoder.model, folder)
    made = {
        "name": tuning.encoder.model.name,
        "scores": [round(score, 4) for score in scores],  # weighted F1 on validation, epoch after epoch
        "selected_epoch": _best(scores) + 1,
        "precision": precision(tuning.device),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in ("torch", "transformers")},
    }
    with atomic(folder / tuning_files.RECORD) as file:
        yaml.safe_dump(record | made, file, sort_keys=False, allow_unicode=True)
    tuning_files.tidy(folder)


def _best(scores):
    """The first epoch of the best score, from 0."""
    return int(np.argmax(scores))


def _goes_on(scores, settings):
    return not scores or (len(scores) < settings.epochs and len(scores) - 1 - _best(scores) < settings.patience)


class _Tuning:
    """An encoder and its head in training; all that is random depends on seed and epoch alone."""

    def __init__(self, model, sentences, labels, train, valid, classes, settings, device):
        self.settings, self.device, self._on_gpu = settings, device, torch.device(device).type == "cuda"
        self.encoder = Encoder(model, device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.head = torch.nn.Linear(self.encoder.width, len(classes)).to(device)
        self._weights = [*self.encoder.network.parameters(), *self.head.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._train, self._valid = (self.encoder.tokens([sentences[row] for row in rows]) for rows in (train, valid))
        self._labels, self._expected = torch.as_tensor(labels[train], device=device), labels[valid]
        self.steps = -(-len(train) // settings.batch_size)

    def parts(self):
        """What training changes."""
        return {"network": self.encoder.network, "head": self.head, "optimizer": self._optimizer}

    def epoch(self, epoch):
        """Train for epoch number `epoch`, from 0; yields after each step."""
        generator = np.random.default_rng([self.settings.seed, epoch])
        order = generator.permutation(len(self._train.lengths))
        with torch.random.fork_rng(devices=[self.device] if self._on_gpu else []):
            torch.manual_seed(int(generator.integers(2**63)))
            self.encoder.network.train()
            for step, start in enumerate(range(0, len(order), self.settings.batch_size)):
                self._step(epoch * self.steps + step, order[start : start + self.settings.batch_size])
                yield

    def _step(self, number, rows):
        settings = self.settings
        warm = max(1, round(settings.warm_up * settings.epochs * self.steps))
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, (number + 1) / warm)
        self._optimizer.zero_grad()
        for some in self._by_length(rows):
            states = functional.dropout(self.encoder.first(*self._train.padded(some)), settings.dropout)
            labels = self._labels[torch.as_tensor(some, device=self.device)]
            (functional.cross_entropy(self.head(states), labels, reduction="sum") / len(rows)).backward()
        torch.nn.utils.clip_grad_norm_(self._weights, LONGEST_GRADIENT)
        self._optimizer.step()

    def _by_length(self, rows):
        """The shorter and the longer half: less padding, so a third less time on a CPU; a GPU is faster with all."""
        if self._on_gpu or len(rows) == 1:
            return [rows]
        return np.array_split(rows[np.argsort(self._train.lengths[rows], kind="stable")], 2)

    def score(self, epoch):
        """Weighted F1 on validation, in percent. Raises InputError where outputs are not finite."""
        found = classifier.logits(self.encoder, self.head, self._valid)
        if not np.isfinite(found).all():
            raise InputError(
                f"tuning: outputs are not finite after epoch {epoch + 1}, at learning rate "
                f"{self.settings.learning_rate}; give a smaller one",
                ["tune_rate"],
            )
        return classifier.weighted_f1(self._expected, found.argmax(1), self.head.out_features)
