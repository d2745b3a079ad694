"""A training run: one network per seed, and the folder that holds what came of it."""

import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from common.batching.batches import Batches
from common.data.corpus import Corpus
from common.environment import device_name, versions
from common.errors import InputError
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.evaluation.predictions import prediction_rows
from common.network.ecerc import ECERC
from common.release.checkpoint import load_released, save_released
from common.settings import NetworkSettings, TrainingSettings
from common.training.fit import Trainer
from common.training.folder import HISTORY, PREDICTIONS, RESULTS, RunFolder, Unfinished, as_written, checkpoint_name
from common.training.loss import class_weights
from common.training.side_by_side import side_by_side

_SEEDING = threading.Lock()  # initial weights come of PyTorch's own random numbers, which all threads share
HISTORY_EVERY = 1.0  # seconds between two writings of history.csv


def build_network(settings: NetworkSettings, corpus: Corpus) -> ECERC:
    """A new ECERC for the widths and classes of `corpus`. Raises InputError where it lacks a modality in use."""
    for name in settings.modalities_in_use:
        if not corpus.widths[name]:
            there = ", ".join(name for name, width in corpus.widths.items() if width)
            raise InputError(f"{corpus.name}: has no {name} features, but {there}; use these", change=["modalities"])
    return ECERC(settings, corpus.widths, len(corpus.classes))


def result_row(seed: int, epoch: int, evaluated: dict[str, dict], classes: list[str]) -> dict:
    """A row of results.csv; `evaluated`: split to its `scores`."""
    row: dict[str, float] = {"seed": seed, "selected_epoch": epoch}
    for split, scored in evaluated.items():
        row |= {f"{split}_{name}": scored[name] for name in ("accuracy", "wf1", "macro_f1")}
        row |= {f"{split}_f1_{c}": float(f1) for c, f1 in zip(classes, scored["f1"], strict=True)}
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
    resume: bool = False,
    resumable: bool = True,
    progress: bool = True,
) -> tuple[dict[int, dict], list[str]]:
    """Train, select and test one network per seed of `settings` (TrainingSettings).

    Returns the test scores of each seed, and a line for each that had to stop because its loss was not finite.

    `output`: the run folder. `initial_weights`: a released-format checkpoint that every seed starts from. Several seeds
    are trained side by side; what comes of a seed does not depend on the others. The test split is evaluated once per
    seed, with the selected weights. After each seed its checkpoint, its rows of history.csv and predictions.csv and its
    row of results.csv are written; while it trains, from time to time history.csv and all that is needed to resume.
    `resume`: resume the run in `output`, with the same numbers as if it had not been stopped; `corpus` and
    `settings` must be those it was begun with. `resumable`: keep what that takes. `progress`: show a bar for each seed.

    Raises InputError for an `output` that holds a run (unless `overwrite` or `resume`), for weights that do not fit,
    and for a run that was begun on other data.
    """
    folder, weight = RunFolder(output, overwrite, resume), class_weights(settings, corpus)
    weight = None if weight is None else weight.to(device)
    start = None
    if initial_weights is not None:
        start = build_network(settings, corpus)
        for note in load_released(start, initial_weights, corpus.classes):
            print(note, file=sys.stderr)
    about = {
        "dataset": corpus.name,
        "synthetic": synthetic,
        "hyperparameters": asdict(settings) | {"seeds": list(settings.seeds)},
        "initial_weights": None if initial_weights is None else str(Path(initial_weights).resolve()),
        "data": {"sha256": corpus.sources, "widths": corpus.widths, "classes": list(corpus.classes)},
        "device": device_name(device),
        "versions": versions(),
    }
    if resume and folder.settings()["data"] != about["data"]:
        raise InputError(
            f"{output}: begun on other data files; give those, or train again", change=["data_dir", "resume"]
        )
    with folder.writing():
        if not resume:
            folder.write_settings(about)
        run = _Run(corpus, settings, device, folder, weight, start, resumable, progress, about)
        try:
            if run.unfinished:
                side_by_side(lambda k: run.seed(run.unfinished[k]), len(run.unfinished), device, settings.threads)
        except KeyboardInterrupt:
            done = f"{len(run.results)} of {len(settings.seeds)} seeds are finished; resume with --resume {folder.path}"
            raise KeyboardInterrupt(done) from None
        finally:
            run.write_history()
    return run.tested(), [run.failures[index] for index in sorted(run.failures)]


class _Run:
    """What the seeds of a run share, and what comes of each: by index of the seed, rows of tables."""

    def __init__(self, corpus, settings, device, folder, weight, start, resumable, progress, about):
        self._corpus, self._settings, self._device, self._folder = corpus, settings, device, folder
        self._weight, self._start, self._lock, self._written = weight, start, threading.Lock(), 0.0
        self._resumable, self._progress, self._about = resumable, progress, about
        fixed = device.type == "cuda"
        shapes = {"train": "fixed" if fixed else "rounded", "valid": "fixed" if fixed else "exact", "test": "exact"}
        self._batches = {s: Batches(corpus, s, settings.batch_size, device, shapes=shapes[s]) for s in shapes}
        self.failures = {}
        self.results, self.predictions, self.history = (
            {index: table[seed] for index, seed in enumerate(settings.seeds) if seed in table}
            for table in folder.finished()
        )
        for seed in (settings.seeds[index] for index in self.results):
            Unfinished(folder, seed).drop()  # of a run that was killed right after finishing it
        self.unfinished = [index for index in range(len(settings.seeds)) if index not in self.results]

    def seed(self, index):
        """Train, select and test the seed at `index`; a generator that yields when set up and after each epoch."""
        settings, seed = self._settings, self._settings.seeds[index]
        unfinished = Unfinished(self._folder if self._resumable else None, seed)
        state = unfinished.read() or {"history": []}
        with _SEEDING:
            torch.manual_seed(seed)
            network = build_network(settings, self._corpus)
        if self._start is not None:
            network.load_state_dict(self._start.state_dict())
        network.to(self._device).dropout.seed(seed, self._device)
        shuffling = torch.Generator().manual_seed(seed)
        if "shuffling" in state:
            shuffling.set_state(state["shuffling"])
        train, valid = (
            self._batches["train"].with_order(shuffling if settings.shuffle else None),
            self._batches["valid"],
        )
        title = f"{self._corpus.name} seed {seed} ({index + 1}/{len(settings.seeds)})"
        trainer = Trainer(network, train, valid.with_order(), settings, self._weight, title, state.pop("trainer", None))
        rows = self.history[index] = state["history"]

        def now():
            return {"trainer": trainer.state(), "shuffling": shuffling.get_state(), "history": rows}

        with self._bar(index, title, trainer.epoch) as bar:
            try:
                yield
                while not trainer.done:
                    rows.append({"seed": seed} | trainer.run_epoch())
                    unfinished.keep(now)
                    self._show(bar, rows[-1], trainer.selection)
                    yield
            except GeneratorExit:
                unfinished.keep(now, leaving=True)
                raise
            except InputError as error:  # a loss that is not finite; the other seeds continue
                self.failures[index] = str(error)
                unfinished.drop()
                return
        trainer.select()
        self._finish(index, trainer)
        unfinished.drop()

    def _bar(self, index, title, epoch):
        screen = {"position": index} if sys.stderr.isatty() else {"mininterval": 30}  # seconds, in a log file
        words = {"initial": epoch, "desc": title, "unit": "epoch", "dynamic_ncols": True}
        return tqdm(total=self._settings.epochs, disable=not self._progress, **words, **screen)

    def _show(self, bar, row, selection):
        if time.monotonic() - self._written > HISTORY_EVERY:
            self.write_history()
        bar.set_postfix_str(
            f"train loss {row['train_loss']:.4f}, valid loss {row['valid_loss']:.4f}, "
            f"valid wF1 {row['valid_wf1']:.2f} (best {selection.wf1:.2f} in epoch {selection.epoch})",
            refresh=False,
        )
        bar.update()

    def _finish(self, index, trainer):
        settings, evaluated = self._settings, {}
        for split in ("valid", "test"):
            batches = self._batches[split].with_order()
            log_prob = evaluate(trainer.network, batches)
            evaluated[split] = scores(batches.label, log_prob.argmax(1), self._corpus.classes)
        save_released(trainer.network, self._folder.path / checkpoint_name(index), self._about)
        row = result_row(settings.seeds[index], trainer.selection.epoch, evaluated, self._corpus.classes)
        predicted = prediction_rows(self._corpus, "test", log_prob, seed=settings.seeds[index])
        self.write_history()
        with self._lock:
            self.predictions[index] = predicted
            self._folder.write_table(PREDICTIONS, _joined(self.predictions))
            self.results[index] = pd.DataFrame([row])
            self._folder.write_table(RESULTS, _joined(self.results))  # last: with it the seed is finished

    def write_history(self):
        """Write what is known of history.csv."""
        with self._lock:
            self._written = time.monotonic()
            tables = {index: pd.DataFrame(rows) for index, rows in self.history.items() if len(rows)}
            if tables:
                self._folder.write_table(HISTORY, _joined(tables))

    def tested(self):
        """Seed to its test scores, of those that are finished."""
        tested, classes = {}, self._corpus.classes
        for index in sorted(self.results):
            predicted = [classes.index(name) for name in self.predictions[index].prediction]
            tested[self._settings.seeds[index]] = scores(self._batches["test"].label, predicted, classes)
        return tested


def _joined(tables):
    """Tables by index of the seed as one, in that order, of strings: a file is the same whether its run was resumed."""
    return pd.concat([as_written(tables[index]) for index in sorted(tables)])
