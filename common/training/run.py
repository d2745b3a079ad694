"""A training run: one network per seed, and the folder that holds what came of it."""

import sys
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from common.batching.batches import Batches
from common.data.corpus import Corpus
from common.environment import device_name, versions
from common.errors import InputError
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.evaluation.network import build_network
from common.evaluation.predictions import prediction_rows
from common.progress import Progress
from common.release.checkpoint import load_released, save_released
from common.settings import TrainingSettings
from common.terminal import show
from common.training.fit import Trainer
from common.training.folder import PREDICTIONS, RESULTS, RunFolder, Unfinished, checkpoint_name
from common.training.history import History
from common.training.loss import class_weights
from common.training.memory import check_memory
from common.training.side_by_side import check_threads, side_by_side
from common.training.tables import Growing, block_of, joined

_SEEDING = threading.Lock()  # initial weights come of PyTorch's own random numbers, which all threads share


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
    origin: Mapping[str, Any] | None = None,
    initial_weights: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    resumable: bool = True,
    progress: bool = True,
) -> tuple[dict[int, dict], list[str]]:
    """Train, select and test one network per seed of `settings` (TrainingSettings).

    Returns the test scores of each seed, and a line for each problem: a seed that had to stop because its loss was not
    finite, a history.csv that could not be written.

    `output`: the run folder. `origin`: as `folder.origin_of` says it. `initial_weights`: a released-format checkpoint
    that every seed starts from, and of which the run keeps a copy. Several seeds are trained side by side; what comes
    of a seed does not depend on the others. The test split is evaluated once per seed, with the selected weights. After
    each seed its checkpoint, its rows of history.csv and predictions.csv and its row of results.csv are written; while
    it trains, from time to time history.csv and all that is needed to resume. A run that is overwritten stays until the
    first epoch of the new one has ended. `resume`: resume the run in `output`, with the same numbers as if it had not
    been stopped; `corpus` and `settings` must be those it was begun with. `resumable`: keep what that takes.
    `progress`: show a bar for each seed.

    Raises InputError for an `output` that holds a run (unless `overwrite` or `resume`), for weights that do not fit,
    for more threads than there are, and for a run that was begun on other data.
    """
    folder, weight = RunFolder(output, overwrite, resume), class_weights(settings, corpus)
    check_threads(device, settings.threads)
    if note := check_memory(corpus, settings, device, len(settings.seeds)):
        show(note, sys.stderr)
    weight = None if weight is None else weight.to(device)
    start = None
    if initial_weights is not None:
        start = build_network(settings, corpus)
        for note in load_released(start, folder.initial_weights() if resume else initial_weights, corpus.classes):
            show(note, sys.stderr)
    about = {"dataset": corpus.name, "synthetic": False, **(origin or {})}
    about |= _about(corpus, settings, device, initial_weights)
    if resume and folder.settings()["data"] != about["data"]:
        raise InputError(
            f"{output}: begun on other data files; give those, or train again", change=["data_dir", "resume"]
        )
    with folder.writing():
        run = _Run(corpus, settings, device, folder, weight, start, about, resumable, progress)
        try:
            if run.unfinished:
                side_by_side(lambda k: run.seed(run.unfinished[k]), len(run.unfinished), device, settings.threads)
        except BaseException as error:
            with suppress(Exception):  # it would hide the cause
                run.write()
            if isinstance(error, KeyboardInterrupt):
                done = f"{len(run.results)} of {len(settings.seeds)} seeds are finished"
                error.args = (done,) if run.begun else ()
            raise
        run.write()
    return run.tested(), run.problems()


def _about(corpus, settings, device, initial_weights):
    """What settings.yaml says of a run."""
    return {
        "hyperparameters": asdict(settings) | {"seeds": list(settings.seeds)},
        "initial_weights": None if initial_weights is None else str(Path(initial_weights).resolve()),
        "data": {"sha256": corpus.sources, "widths": corpus.widths, "classes": list(corpus.classes)},
        "device": device_name(device),
        "versions": versions(),
    }


class _Run:
    """What the seeds of a run share, and what comes of each: by index of the seed, rows of tables.

    `about`: what settings.yaml says. Seeds are trained by several threads.
    """

    def __init__(self, corpus, settings, device, folder, weight, start, about, resumable, progress):
        self._corpus, self._settings, self._device, self._folder = corpus, settings, device, folder
        self._weight, self._start, self._about, self.begun = weight, start, about, folder.resumed
        self._writing = threading.Lock()
        self._resumable, self._progress = resumable, progress
        fixed = device.type == "cuda"
        shapes = {"train": "fixed" if fixed else "rounded", "valid": "fixed" if fixed else "exact", "test": "exact"}
        self._batches = {s: Batches(corpus, s, settings.batch_size, device, shapes=shapes[s]) for s in shapes}
        self._failures = {}
        index = {seed: index for index, seed in enumerate(settings.seeds)}
        tables = folder.finished() if folder.resumed else ({}, {}, {})
        results, predictions, history = ({index[s]: rows for s, rows in t.items() if s in index} for t in tables)
        self.results = {index: block_of(rows) for index, rows in results.items()}
        self._tested = {index: self._scores(rows) for index, rows in predictions.items()}
        self._predictions = Growing(folder.path / PREDICTIONS, predictions)
        self.history = History(folder, history)
        for seed in (settings.seeds[index] for index in self.results):
            Unfinished(folder, seed).drop()  # of a run that was killed right after finishing it
        self.unfinished = [index for index in range(len(settings.seeds)) if index not in self.results]

    def _scores(self, predictions):
        """Test scores of a finished seed from its rows of predictions.csv. Raises InputError where some are missing."""
        label, classes, found = self._batches["test"].label, self._corpus.classes, len(predictions)
        if found != len(label):
            where = f"{self._folder.path / PREDICTIONS}: {found} rows of a finished seed"
            raise InputError(f"{where}; expected {len(label)}, the test split; restore it, or train again elsewhere")
        return scores(label, [classes.index(name) for name in predictions.prediction], classes)

    def seed(self, index):
        """Train, select and test the seed at `index`; a generator that yields when set up and after each epoch."""
        settings, seed = self._settings, self._settings.seeds[index]
        unfinished = Unfinished(self._folder if self._resumable else None, seed)
        state = (unfinished.read() if self._folder.resumed else None) or {"history": []}
        with _SEEDING:
            torch.manual_seed(seed)
            network = build_network(settings, self._corpus)
        if self._start is not None:
            network.load_state_dict(self._start.state_dict())
        network.to(self._device).dropout.seed(seed, self._device)
        shuffling = torch.Generator().manual_seed(seed)
        if "shuffling" in state:
            shuffling.set_state(state["shuffling"])
        train = self._batches["train"].with_order(shuffling if settings.shuffle else None)
        valid = self._batches["valid"].with_order()
        title = f"{self._corpus.name} seed {seed} ({index + 1}/{len(settings.seeds)})"
        trainer = Trainer(network, train, valid, settings, self._weight, title, state.pop("trainer", None))
        rows = state["history"]
        self.history.start(index, rows)

        def now():
            return {"trainer": trainer.state(), "shuffling": shuffling.get_state(), "history": rows}

        shown = {"done": trainer.epoch, "position": index, "shown": self._progress}
        shown["brief"] = title.removeprefix(f"{self._corpus.name} ")
        with closing(Progress(title, settings.epochs, "epoch", **shown)) as bar:
            try:
                yield
                while not trainer.done:
                    row = {"seed": seed} | trainer.run_epoch()
                    self._begin()
                    self.history.add(index, row)
                    unfinished.keep(now)
                    self._show(bar, row, trainer.selection)
                    yield
                trainer.select()
                self._finish(index, trainer)
            except GeneratorExit:
                unfinished.keep(now, leaving=True)
                raise
            except InputError as error:  # a loss, or outputs, that are not finite; the other seeds continue
                self._failures[index] = str(error) if title in str(error) else f"{title}: {error}"
                self.history.end(index)
        unfinished.drop()

    def _begin(self):
        """The folder gets its new run, and loses an old one: not before there is something to keep."""
        with self._writing:
            if not self.begun:
                self._folder.begin(self._about, partial(save_released, self._start) if self._start else None)
                self.begun = True

    def _show(self, bar, row, selection):
        if problem := self.history.write_now_and_then():
            bar.write(f"Note: {problem}; training goes on.")
        found = f"{row['valid_wf1']:.2f} (best {selection.wf1:.2f} in epoch {selection.epoch})"
        if bar.on_terminal:
            bar.update(f"wF1 {found}, loss {row['train_loss']:.2f}/{row['valid_loss']:.2f}")
        else:
            losses = f"train loss {row['train_loss']:.4f}, valid loss {row['valid_loss']:.4f}"
            bar.update(f"{losses}, valid wF1 {found}")

    def _finish(self, index, trainer):
        seed, evaluated = self._settings.seeds[index], {}
        save_released(trainer.network, self._folder.path / checkpoint_name(index), self._about)  # it took longest
        for split in ("valid", "test"):
            batches = self._batches[split].with_order()
            log_prob = evaluate(trainer.network, batches)
            evaluated[split] = scores(batches.label, log_prob.argmax(1), self._corpus.classes)
        row = result_row(seed, trainer.selection.epoch, evaluated, self._corpus.classes)
        predicted = prediction_rows(self._corpus, "test", log_prob, seed=seed)
        self.history.end(index)
        with self._writing:
            self._predictions.add(index, predicted)
            results = self.results | {index: block_of(pd.DataFrame([row]))}
            self._folder.write_table(RESULTS, joined(results))  # last: with it the seed is finished
            self.results, self._tested[index] = results, evaluated["test"]

    def write(self):
        """Write what was put off."""
        self.history.write()
        self._predictions.put_in_order()

    def problems(self):
        """What went wrong, a line each."""
        failures = [self._failures[index] for index in sorted(self._failures)]
        return failures + ([f"{self.history.problem}; all else is there"] if self.history.problem else [])

    def tested(self):
        """Seed to its test scores, of those that are finished."""
        return {self._settings.seeds[index]: self._tested[index] for index in sorted(self._tested)}
