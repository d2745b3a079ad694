"""A training run: one network per seed, and the folder that holds what came of it."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
import yaml

from common.data.batches import Batches
from common.data.corpus import Corpus
from common.environment import device_name, versions
from common.errors import InputError
from common.files import atomic
from common.network.ecerc import ECERC
from common.network.released import load_released, save_released
from common.settings import NetworkSettings, TrainingSettings
from common.training.evaluate import evaluate
from common.training.fit import fit
from common.training.loss import class_weights
from common.training.metrics import scores

SETTINGS, HISTORY, RESULTS = "settings.yaml", "history.csv", "results.csv"


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
        old = [self.path / name for name in (SETTINGS, HISTORY, RESULTS)] + sorted(self.path.glob("ECERC_MODEL*.pkl"))
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

    def write_table(self, name: str, rows: list[dict]) -> None:
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
) -> list[dict]:
    """Train, select and test one network per seed of `settings` (TrainingSettings); returns the test scores of each.

    `output`: the run folder. `initial_weights`: a released-format checkpoint that every seed starts from. The test
    split is evaluated once per seed, with the selected weights. After each seed its checkpoint and its row of
    results.csv are written, after each epoch history.csv, so that stopping early loses nothing that is finished.

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
    shuffling = torch.Generator()
    batches = {s: Batches(corpus, s, settings.batch_size, device) for s in ("valid", "test")}
    batches["train"] = Batches(corpus, "train", settings.batch_size, device, shuffling if settings.shuffle else None)
    history, results, tested = [], [], []

    def train_seed(index, seed):
        torch.manual_seed(seed)
        shuffling.manual_seed(seed)
        network = build_network(settings, corpus)
        if start is not None:
            network.load_state_dict(start.state_dict())
        network.to(device)

        def on_epoch(row):
            history.append({"seed": seed} | row)
            folder.write_table(HISTORY, history)

        title = f"{corpus.name} seed {seed} ({index + 1}/{len(settings.seeds)})"
        epoch = fit(network, batches["train"], batches["valid"], settings, corpus.classes, weight, title, on_epoch)
        evaluated = {}
        for split in ("valid", "test"):
            log_prob, _ = evaluate(network, batches[split], settings.focal_gamma, weight)
            evaluated[split] = scores(batches[split].label, log_prob.argmax(1), corpus.classes)
        save_released(network, folder.path / checkpoint_name(index))
        results.append(result_row(seed, epoch, evaluated, corpus.classes))
        folder.write_table(RESULTS, results)
        tested.append(evaluated["test"])

    try:
        for index, seed in enumerate(settings.seeds):
            train_seed(index, seed)
    except KeyboardInterrupt:
        done = f"{len(results)} of {len(settings.seeds)} seeds are finished in {folder.path}"
        raise KeyboardInterrupt(done) from None
    return tested
