"""Where the numbers of a report come from: the command, the code, the data, and how each checkpoint was trained.

All of it is told as far as it is known: what is missing is None, and what is damaged is also named in a note.
"""

import csv
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch

from common.data.corpus import Corpus
from common.environment import device_name, versions
from common.errors import InputError
from common.files import read_yaml
from common.release import trained
from common.release.checkpoint import RESULTS
from common.release.reading import RECORD
from common.release.trained import Trained
from common.reporting.paper import blank_features
from common.settings import TrainingSettings, build
from common.training.folder import HISTORY, checkpoint_name

ROOT = Path(__file__).resolve().parents[2]
CURVES = ("train_loss", "valid_loss", "valid_wf1")  # columns of history.csv
Short = Callable[[Path], str]


class Origin(NamedTuple):
    """A checkpoint's `name` in the report, its file, the `sha256` of that, and what it says of its training."""

    name: str
    path: Path
    sha256: str
    trained: Trained | None


def about(corpus: Corpus, split: str, device: torch.device) -> dict[str, Any]:
    """What all of a report shares: `command` as it was typed, `date` (UTC, ISO 8601), `commit` of the code, see
    `commit`, the `data` in a line, `data_files` (name to SHA-256), `blank_features` of the split, `device`,
    and `versions`.
    """
    return {
        "command": command_line(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "data": corpus.describe(),
        "data_files": _without_folders(corpus.sources),
        "blank_features": blank_features(corpus, split),
        "device": device_name(device),
        "versions": versions(),
    }


def command_line() -> str:
    """The command line of this process as the user typed it, but for the folder of Python itself."""
    words, typed = sys.argv, sys.orig_argv
    if len(typed) < len(words) or typed[len(typed) - len(words) + 1 :] != words[1:]:
        typed = ["python", *words]  # a script that another program runs
    return shlex.join([Path(typed[0]).name, *typed[1:]])


def commit(root: Path = ROOT) -> dict[str, Any] | None:
    """The commit that `root` is a checkout of: its `id`, and whether files that it knows were `changed` since.

    None where `root` is no checkout, or there is no git.
    """
    if not (root / ".git").exists():  # and not some repository around it
        return None
    try:
        changes = _git(root, "status", "--porcelain", "--untracked-files=no")
        return {"id": _git(root, "rev-parse", "HEAD").strip(), "changed": bool(changes.strip())}
    except (OSError, subprocess.SubprocessError):
        return None


def run_provenance(origins: Sequence[Origin], short: Short) -> tuple[dict[str, Any], list[dict] | None, list[str]]:
    """How the checkpoints of a run were trained, their curves, and notes.

    The first has `folder`, where they lie in one; `checkpoints`: `name`, `sha256`, `seed` and `selected_epoch` (from 0)
    of each; `hyperparameters` that all share, None where none are known; `trained`: what else settings.yaml says, None
    where they are not all of one run. The second has a row per seed: `seed`, `selected_epoch`, and lists, one value per
    epoch: `epochs`, `train_loss`, `valid_loss`, `valid_wf1` (percent); None without any. `short`: a path for printing.
    """
    runs = {folder: _Run(folder, short) for folder in dict.fromkeys(origin.path.parent for origin in origins)}
    rows, hyperparameters, curves = [], [], []
    for origin in origins:
        run = runs[origin.path.parent]
        known = run.trained(origin)
        seed = run.seeds.get(origin.path.name) if known else None
        epoch = None if seed is None else run.selected.get(seed)
        rows.append({"name": origin.name, "sha256": origin.sha256, "seed": seed, "selected_epoch": epoch})
        recorded = _lists(origin.trained.values) if origin.trained else None
        hyperparameters.append(run.hyperparameters if known else recorded)
        if seed is not None and seed in run.history:
            curves.append({"seed": seed, "selected_epoch": epoch} | run.history[seed])
    (folder, run), *others = runs.items()
    result: dict[str, Any] = {} if others else {"folder": short(folder)}
    result |= {"checkpoints": rows, "hyperparameters": _shared(hyperparameters)}
    result["trained"] = run.about if not others and all(map(run.trained, origins)) else None
    return result, curves or None, [note for run in runs.values() for note in run.notes]


class _Run:
    """What the files in the `folder` of a run say; nothing where there is none.

    `seeds`: file of a checkpoint to its seed; `selected`: seed to epoch; `history`: seed to its curves.
    """

    def __init__(self, folder: Path, short: Short):
        self._folder, self._short, self.notes = folder, short, list[str]()
        self._read: Trained | None = None
        self.hyperparameters: dict[str, Any] | None = None
        self.about: dict[str, Any] | None = None
        self.seeds, self.selected, self.history = dict[str, int](), dict[int, int](), dict[int, dict]()
        self._tell(RECORD, self._settings)
        self._tell(RESULTS, self._results)
        self._tell(HISTORY, self._history)

    def trained(self, origin: Origin) -> bool:
        """Whether a checkpoint in the folder was trained by this run, as far as what it says of itself shows."""
        if self._read is None or origin.trained is None:
            return False
        here, own = self._read, origin.trained
        if (here.values, here.dataset, here.synthetic) == (own.values, own.dataset, own.synthetic):
            return True
        note = f"{self._short(origin.path)}: was trained with other settings than the {RECORD} beside it says."
        self.notes += [note] if note not in self.notes else []
        return False

    def _tell(self, name, read):
        """Call `read` on a file of the run; a note says where that is damaged."""
        path = self._folder / name
        try:
            if path.is_file():
                read(path)
        except (InputError, OSError, ValueError, TypeError, KeyError, AttributeError, csv.Error) as error:
            reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            note = f"{self._short(path)}: damaged, so what it says of the training is left out"
            self.notes.append(f"{note} ({' '.join(reason.split())[:200]}).")

    def _settings(self, path):
        content = read_yaml(path)
        values = content["hyperparameters"]
        settings = build(TrainingSettings, values, path)
        read, data, initial = trained.read(content, str(path)), content.get("data"), content.get("initial_weights")
        about = {"dataset": read.dataset, "synthetic": read.synthetic, "device": str(content.get("device"))}
        about["versions"] = {str(name): str(version) for name, version in content.get("versions", {}).items()}
        about["initial_weights"] = None if initial is None else self._short(Path(initial))
        about["data_files"] = _without_folders(data.get("sha256", {}))
        self.hyperparameters = _lists({name: getattr(settings, name) for name in values})
        self.seeds = {checkpoint_name(k): seed for k, seed in enumerate(values.get("seeds", ()))}
        self.about, self._read = about, read

    def _results(self, path):
        self.selected = {int(row["seed"]): int(row["selected_epoch"]) for row in _rows(path)}
        if not self.selected:
            raise ValueError("no seed in it")

    def _history(self, path):
        curves: dict[int, dict[str, list]] = {}
        for row in _rows(path):
            of_seed = curves.setdefault(int(row["seed"]), {name: [] for name in ("epochs", *CURVES)})
            of_seed["epochs"].append(int(row["epoch"]))
            for name in CURVES:
                value = float(row[name])
                of_seed[name].append(value if math.isfinite(value) else None)
        self.history = curves


def _rows(path):
    """Rows of a CSV file, name of a column to text. Raises ValueError for rows that are cut, or have too much."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("a row has more or fewer values than the first line has names")
    return rows


def _shared(tables):
    """What all of the dictionaries say alike; None where one says nothing."""
    if any(table is None for table in tables):
        return None
    first, *others = tables
    return {name: value for name, value in first.items() if all(table.get(name) == value for table in others)}


def _lists(values):
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _without_folders(sources):
    """SHA-256 of files by name, for those that are known by their path, too; with as much of it as tells them apart."""
    paths = [Path(str(name)) for name in sources]
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len({*paths}):
        depth += 1
    named = ("/".join(path.parts[-depth:]) for path in paths)
    return {name: str(digest) for name, digest in zip(named, sources.values(), strict=True)}


def _git(root, *words):
    """What git says; it asks nobody, changes nothing, and looks at no other repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=environment)
    return done.stdout
