"""The folder of a training run: its files, each written atomically, and how a run is resumed there."""

import io
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from common.errors import InputError
from common.files import atomic, check_free, folder_for, locked, read_yaml
from common.release.checkpoint import RESULTS
from common.release.reading import RECORD
from common.settings import TrainingSettings, build
from common.training.tables import strings, whole_rows

SETTINGS, HISTORY, PREDICTIONS = RECORD, "history.csv", "predictions.csv"
CURVES = "curves"  # a figure, .png and .svg
INITIAL_WEIGHTS, LOCK = "initial_weights.pkl", ".lock"


def checkpoint_name(index: int) -> str:
    """Name of the checkpoint of the seed at `index`: ECERC_MODEL.pkl, ECERC_MODEL_2.pkl, …"""
    return "ECERC_MODEL.pkl" if index == 0 else f"ECERC_MODEL_{index + 1}.pkl"


class RunFolder:
    """A folder with the files of one run. `resume`: of one that is resumed.

    Raises InputError where another training writes into it, where it holds a run already and neither `overwrite` nor
    `resume` is set, and where there is nothing to resume. Nothing of an older run is changed before `begin`.
    """

    def __init__(self, path: str | Path, overwrite: bool = False, resume: bool = False):
        self.path, self._overwrite, self.resumed = Path(path), overwrite, resume
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{path}: found a file; expected a folder{'' if resume else ', or nothing'}")
        self._existed = self.path.exists()
        self._taken = f"{self.path}: another training writes into it; wait, or use another folder"
        check_free(self.path / LOCK, self._taken)
        self._check()

    def _check(self):
        if self.resumed:
            if not (self.path / SETTINGS).is_file():
                raise InputError(f"{self.path}: no run that could be resumed ({SETTINGS} is missing); train again")
        elif (old := self._old()) and not self._overwrite:
            kind = "a run" if (self.path / RESULTS).exists() else "an unfinished run"
            raise InputError(
                f"{self.path}: holds {kind} already ({old[0].name}); use another folder, replace the run, or resume it",
                change=["output", "overwrite", "resume"],
            )

    def _old(self):
        """The files of the run that is there, in the order in which they may go: what is left is unfinished."""
        names = (RESULTS, PREDICTIONS, HISTORY, f"{CURVES}.png", f"{CURVES}.svg", INITIAL_WEIGHTS)
        found = [*sorted(self.path.glob("ECERC_MODEL*.pkl")), *sorted(self.path.glob("unfinished_*.pt"))]
        files = [*(self.path / name for name in names), *found, self.path / SETTINGS]
        return [file for file in files if file.exists()]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the folder, and keep others from writing into it for a while; if nothing came into it, it goes again.

        Raises InputError where another training writes into it.
        """
        if self.path.exists() and not self._existed:  # a new folder belongs to one run only
            raise InputError(self._taken)
        with folder_for(self.path, new=not self._existed), locked(self.path / LOCK, self._taken):
            self._check()
            for file in self.path.glob(".*.part"):  # of writers that were killed
                file.unlink(missing_ok=True)
            yield

    def begin(self, content: dict, initial_weights: Callable[[Path], None] | None = None) -> None:
        """Put a new run into the folder: its settings.yaml, after the weights that it starts from, written by
        `initial_weights`. A run that is overwritten goes now.
        """
        for file in self._old():
            if file.name != SETTINGS:  # it is replaced
                file.unlink(missing_ok=True)
        if initial_weights:
            initial_weights(self.path / INITIAL_WEIGHTS)
        with atomic(self.path / SETTINGS) as file:
            yaml.safe_dump(content, file, sort_keys=False)

    def settings(self) -> dict:
        """The content of settings.yaml."""
        return read_yaml(self.path / SETTINGS)

    def initial_weights(self) -> Path:
        """The run's own copy of the weights that its seeds start from. Raises InputError where it is missing."""
        path = self.path / INITIAL_WEIGHTS
        if not path.is_file():
            raise InputError(f"{path}: missing, the weights that this run starts from; restore it, or train again")
        return path

    def write_table(self, name: str, text: str) -> None:
        """Write the CSV file `name`."""
        with atomic(self.path / name) as file:
            file.write(text)

    def finished(self) -> list[dict[int, pd.DataFrame]]:
        """Of results.csv, predictions.csv and history.csv each: finished seed to its rows, strings as they stand there,
        and in that order.

        Raises InputError where a file cannot be read, or predictions.csv lacks a seed that results.csv has. A history
        may lack some: a run outlives that it could not be written.
        """
        tables: list[dict[int, pd.DataFrame]] = []
        for name in (RESULTS, PREDICTIONS, HISTORY):
            path, rows = self.path / name, {}
            try:
                if path.exists():
                    text = path.read_bytes().decode()
                    table = strings(whole_rows(text) if name == PREDICTIONS else text)
                    rows = {int(seed): rows for seed, rows in table.groupby("seed", sort=False)}
            except (KeyError, ValueError) as error:
                todo = "remove it" if name == HISTORY else "train again into another folder"
                raise InputError(f"{path}: damaged ({error}); {todo}") from None
            seeds = tables[0] if tables else rows
            for seed in seeds:
                if seed not in rows and name != HISTORY:
                    raise InputError(f"{path}: nothing of seed {seed}, which is finished; train again elsewhere")
            tables.append({seed: rows[seed] for seed in rows if seed in seeds})
        return tables


class Unfinished:
    """The state of a seed that is under way, kept in the folder of its run; None for `folder`: nowhere.

    It is written now and then, so that it takes at most a twentieth of the time. What happened since is repeated when
    the run is resumed, with the same numbers.
    """

    def __init__(self, folder: RunFolder | None, seed: int):
        self._path = folder.path / f"unfinished_{seed}.pt" if folder else None
        self._due, self._newer = 0.0, False

    def read(self) -> dict | None:
        """What was kept, on the CPU; None where nothing was. Raises InputError for a damaged file."""
        if self._path is None or not self._path.exists():
            return None
        try:
            content = io.BytesIO(self._path.read_bytes())
            with zipfile.ZipFile(content) as archive:  # torch does not look at its checksums
                if part := archive.testzip():
                    raise ValueError(f"{part} has changed")
            content.seek(0)
            return torch.load(content, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file can raise nearly anything
            raise InputError(
                f"{self._path}: damaged ({type(error).__name__}); remove it, then resuming begins this seed again"
            ) from None

    def keep(self, state: Callable[[], dict], leaving: bool = False) -> None:
        """Write `state()`, of tensors, numbers, strings and containers of them: after an epoch if it is time, `leaving`
        if there were epochs since.
        """
        self._newer = self._newer or not leaving
        if self._path is None or not (self._newer if leaving else time.monotonic() >= self._due):
            return
        begun, content = time.monotonic(), io.BytesIO()
        torch.save(state(), content)  # writing bytes fails with an OSError where the disk is full; this would not
        with atomic(self._path, "wb") as file:
            file.write(content.getbuffer())
        self._newer, self._due = False, time.monotonic() + 20 * (time.monotonic() - begun)

    def drop(self) -> None:
        """Forget what was kept."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def origin_of(data_dir: str | Path, synthetic: bool) -> dict[str, Any]:
    """Where a corpus comes from, as settings.yaml has it: whether it was generated, or the folder, wherever one is."""
    return {"synthetic": synthetic, "data_dir": None if synthetic else str(Path(data_dir).resolve())}


def settings_to_resume(path: str | Path) -> tuple[TrainingSettings, dict]:
    """What the run in folder `path` is trained with, and all that its settings.yaml says.

    Raises InputError where no run is there, or a damaged one.
    """
    folder = RunFolder(path, resume=True)
    content = folder.settings()
    if not isinstance(content.get("hyperparameters"), dict) or not isinstance(content.get("data"), dict):
        raise InputError(f"{folder.path / SETTINGS}: no hyperparameters or data in it; restore it, or train again")
    settings = build(TrainingSettings, content["hyperparameters"], folder.path / SETTINGS)
    for seed in folder.finished()[0]:
        path = folder.path / checkpoint_name(settings.seeds.index(seed) if seed in settings.seeds else 0)
        if not path.is_file():
            raise InputError(f"{path}: missing, though seed {seed} is finished; restore it, or train again elsewhere")
    return settings, content
