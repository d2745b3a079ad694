"""A training run: one network per seed, and the folder that holds what came of it."""

import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
import yaml
from tqdm import tqdm

from common.data.batches import Batches
from common.data.corpus import Corpus
from common.environment import device_name, versions
from common.errors import InputError
from common.files import atomic
from common.network.ecerc import ECERC
from common.network.released import load_released, save_released
from common.settings import NetworkSettings, TrainingSettings
from common.training.evaluate import evaluate
from common.training.fit import Trainer
from common.training.loss import class_weights
from common.training.metrics import scores
from common.training.predictions import prediction_rows
from common.training.side_by_side import side_by_side

SETTINGS, HISTORY, RESULTS, PREDICTIONS = "settings.yaml", "history.csv", "results.csv", "predictions.csv"
_SEEDING = threading.Lock()  # initial weights come of PyTorch's own random numbers, which all threads share
HISTORY_EVERY = 1.0  # seconds between two writings of history.csv


def checkpoint_name(index: int) -> str:
    """Name of the checkpoint of the seed at `index`: ECERC_MODEL.pkl, ECERC_MODEL_2.pkl, …"""
    return "ECERC_MODEL.pkl" if index == 0 else f"ECERC_MODEL_{index + 1}.pkl"


def build_network(settings: NetworkSettings, corpus: Corpus) -> ECERC:
    """A new ECERC for the widths and classes of `corpus`."""
    return ECERC(settings, corpus.widths, len(corpus.classes))


class RunFolder:
    """A folder with the files of one run, each written whole or not at all.

    Raises InputError where it holds a run already and `overwrite` is not set. Nothing is changed before `start`.
    """

    def __init__(self, path: str | Path, overwrite: bool = False):
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"--output {path}: found a file; expected a folder, or nothing")
        self._existed = self.path.exists()
        old = [self.path / name for name in (SETTINGS, HISTORY, RESULTS, PREDICTIONS)] + sorted(
            self.path.glob("ECERC_MODEL*.pkl")
        )
        self._old = [file for file in old if file.exists()]
        if self._old and not overwrite:
            kind = "a run" if (self.path / RESULTS).exists() else "an unfinished run"
            raise InputError(
                f"--output {path}: holds {kind} already ({self._old[0].name}); use another folder, or --overwrite"
            )

    def start(self) -> None:
        """Make the folder, and remove the run that is to be overwritten."""
        self.path.mkdir(parents=True, exist_ok=self._existed)  # a new folder belongs to one run only
        for file in self._old:
            file.unlink(missing_ok=True)

    def write_settings(self, content: dict) -> None:
        """Write settings.yaml."""
        with atomic(self.path / SETTINGS) as file:
            yaml.safe_dump(content, file, sort_keys=False, allow_unicode=True)

    def write_table(self, name: str, rows: list[dict] | pd.DataFrame) -> None:
        """Write rows as the CSV file `name`."""
        with atomic(self.path / name) as file:
            pd.DataFrame(rows).to_csv(file, index=False)


def result_row(seed: int, epoch: int, evaluated: dict[str, dict], classes: list[str]) -> dict:
    """A row of results.csv; `evaluated`: split to its `scores`."""
    row = {"seed": seed, "selected_epoch": epoch}
    for split, found in evaluated.items():
        row |= {f"{split}_{name}": found[name] for name in ("accuracy", "wf1", "macro_f1")}
        row |= {f"{split}_f1_{c}": float(f1) for c, f1 in zip(classes, found["f1"], strict=True)}
    return row


def train_run(
    corpus: Corpus,
    settings: TrainingSettings,
    device: torch.device,
    output: str | Path,
    *,
    synthetic: bool = False,
    initial_weights: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> list[dict]:
    """Train, select and test one network per seed of `settings` (TrainingSettings); returns the test scores of each.

    `output`: the run folder. `initial_weights`: a released-format checkpoint that every seed starts from. Several seeds
    are trained side by side; what comes of a seed does not depend on the others. The test split is evaluated once per
    seed, with the selected weights. After each seed its checkpoint, its rows of predictions.csv and its row of
    results.csv are written, while training history.csv, so that stopping early loses nothing that is finished.
    `progress`: show a bar for each seed.

    Raises InputError for an `output` that holds a run (unless `overwrite`) and for weights that do not fit.
    """
    folder, weight = RunFolder(output, overwrite), class_weights(settings, corpus)
    weight = None if weight is None else weight.to(device)
    start = None
    if initial_weights is not None:
        start = build_network(settings, corpus)
        load_released(start, initial_weights)
    folder.start()
    folder.write_settings(
        {
            "dataset": corpus.name,
            "synthetic": synthetic,
            "hyperparameters": asdict(settings) | {"seeds": list(settings.seeds)},
            "initial_weights": None if initial_weights is None else str(initial_weights),
            "data": {"sha256": corpus.sources, "widths": corpus.widths, "classes": list(corpus.classes)},
            "device": device_name(device),
            "versions": versions(),
        }
    )
    run = _Run(corpus, settings, device, folder, weight, start, progress)
    try:
        side_by_side(run.seed, len(settings.seeds), device, settings.threads)
    except KeyboardInterrupt:
        done = f"{len(run.results)} of {len(settings.seeds)} seeds are finished in {folder.path}"
        raise KeyboardInterrupt(done) from None
    finally:
        run.write_history()
    return [run.tested[index] for index in range(len(settings.seeds))]


class _Run:
    """What the seeds of a run share, and what comes of each: by index of the seed, test scores and rows of tables."""

    def __init__(self, corpus, settings, device, folder, weight, start, progress):
        self._corpus, self._settings, self._device, self._folder = corpus, settings, device, folder
        self._weight, self._start, self._lock, self._written = weight, start, threading.Lock(), 0.0
        self._progress = progress
        fixed = device.type == "cuda"
        shapes = {"train": "fixed" if fixed else "rounded", "valid": "fixed" if fixed else "exact", "test": "exact"}
        self._batches = {s: Batches(corpus, s, settings.batch_size, device, shapes=shapes[s]) for s in shapes}
        self.tested, self.results, self.predictions, self.history = {}, {}, {}, {}

    def seed(self, index):
        """Train, select and test the seed at `index`; a generator that yields when set up and after each epoch."""
        settings, seed = self._settings, self._settings.seeds[index]
        with _SEEDING:
            torch.manual_seed(seed)
            network = build_network(settings, self._corpus)
        if self._start is not None:
            network.load_state_dict(self._start.state_dict())
        network.to(self._device).dropout.seed(seed, self._device)
        shuffling = torch.Generator().manual_seed(seed) if settings.shuffle else None
        train, valid = self._batches["train"].again(shuffling), self._batches["valid"].again()
        title = f"{self._corpus.name} seed {seed} ({index + 1}/{len(settings.seeds)})"
        trainer = Trainer(network, train, valid, settings, self._weight, title)
        best, rows = 0.0, self.history.setdefault(index, [])
        screen = {"position": index} if sys.stderr.isatty() else {"mininterval": 30}  # seconds, in a log file
        with tqdm(
            total=settings.epochs, desc=title, unit="epoch", dynamic_ncols=True, disable=not self._progress, **screen
        ) as bar:
            yield
            while not trainer.done:
                row = trainer.run_epoch()
                rows.append({"seed": seed} | row)
                if time.monotonic() - self._written > HISTORY_EVERY:
                    self.write_history()
                if trainer.selected_epoch == row["epoch"]:
                    best = row["valid_wf1"]
                bar.set_postfix_str(
                    f"train loss {row['train_loss']:.4f}, valid loss {row['valid_loss']:.4f}, "
                    f"valid wF1 {row['valid_wf1']:.2f} (best {best:.2f} in epoch {trainer.selected_epoch})",
                    refresh=False,
                )
                bar.update()
                yield
        trainer.select()
        self._finish(index, trainer)

    def _finish(self, index, trainer):
        settings, evaluated = self._settings, {}
        for split in ("valid", "test"):
            batches = self._batches[split].again()
            log_prob, _ = evaluate(trainer.network, batches, settings.focal_gamma, self._weight)
            evaluated[split] = scores(batches.label, log_prob.argmax(1), self._corpus.classes)
        save_released(trainer.network, self._folder.path / checkpoint_name(index))
        row = result_row(settings.seeds[index], trainer.selected_epoch, evaluated, self._corpus.classes)
        predicted = prediction_rows(self._corpus, "test", log_prob, seed=settings.seeds[index])
        self.tested[index] = evaluated["test"]
        with self._lock:
            self.results[index], self.predictions[index] = row, predicted
            self._folder.write_table(PREDICTIONS, pd.concat([self.predictions[i] for i in sorted(self.predictions)]))
            self._folder.write_table(RESULTS, [self.results[i] for i in sorted(self.results)])

    def write_history(self):
        """Write what is known of history.csv."""
        with self._lock:
            self._written = time.monotonic()
            rows = [row for index in sorted(self.history) for row in self.history[index]]
            if rows:
                self._folder.write_table(HISTORY, rows)
