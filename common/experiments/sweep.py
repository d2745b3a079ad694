"""A sweep: every (dataset, variant, seed) that some tables need, trained once, each into a folder of its own.

`DIR/<dataset>/<variant>/seed_<seed>` is a run's folder. It is written under another name beside it, which belongs to
one process, and renamed by it when it is complete: a run's folder is finished, whatever happened.
"""

import gc
import os
import runpy
import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd
import torch

from common.data.load import load_corpus
from common.environment import allow_tf32, choose_device, keep_memory
from common.errors import InputError, is_want_of_memory
from common.experiments.variants import TABLES, variant_hyperparameters
from common.files import read_yaml
from common.settings import TrainingSettings, build, words
from common.training.folder import HISTORY, PREDICTIONS, RESULTS, SETTINGS, checkpoint_name, origin_of
from common.training.run import train_run
from common.workers.process import process_number

ROOT = Path(__file__).resolve().parents[2]
PART = ".part"  # ends the name of a run's folder while it is written


@dataclass(frozen=True)
class Run:
    """One training of a sweep; `settings` has its one seed."""

    dataset: str
    variant: str
    settings: TrainingSettings

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.settings.seeds[0]

    @property
    def name(self) -> str:
        """What it is called, and where it lies in the sweep's folder."""
        return f"{self.dataset}/{self.variant}/seed_{self.seed}"


@dataclass(frozen=True)
class Data:
    """Where a worker finds the data: a folder on its own machine, or none needed. `sha256`: dataset to file to hash."""

    folder: str
    synthetic: bool
    sha256: dict[str, dict[str, str]]


def hyperparameters_of(dataset: str) -> dict:
    """The values at the top of a dataset's train.py."""
    return runpy.run_path(str(ROOT / dataset / "train.py"))["HYPERPARAMETERS"]


def planned(
    datasets: Sequence[str], tables: Sequence[str], seeds: Sequence[int] | None, epochs: int | None
) -> list[Run]:
    """The runs that `tables` (names in TABLES) need, each once: table after table, in a table seed after seed.

    `seeds` and `epochs`: None, those of the dataset's train.py. Raises InputError for values that are not allowed.
    """
    runs: dict[str, Run] = {}
    for table in (TABLES[name] for name in tables):
        for dataset in (name for name in datasets if name in table.datasets):
            where = f"{dataset}/train.py"
            top = hyperparameters_of(dataset) | ({} if epochs is None else {"epochs": epochs})
            for seed in build(TrainingSettings, top | ({} if seeds is None else {"seeds": seeds}), where).seeds:
                for variant in table.rows:
                    values = variant_hyperparameters(dataset, top, variant)
                    if values is not None:
                        run = Run(dataset, variant, build(TrainingSettings, values | {"seeds": [seed]}, where))
                        runs.setdefault(run.name, run)
    return list(runs.values())


def check_finished(run: Run, output: Path, data: Data) -> bool:
    """Whether `run` is finished in `output`. Raises InputError where it was made with other settings or data, and where
    something of it is missing.
    """
    folder = output / run.name
    if not folder.exists():
        return False
    if missing := _missing(folder):
        raise InputError(f"{folder}: {', '.join(missing)} missing; restore it, or remove the folder to train it again")
    content = read_yaml(folder / SETTINGS)
    trained, sha256 = content.get("hyperparameters") or {}, (content.get("data") or {}).get("sha256")
    for key, value in asdict(run.settings).items():
        value, old = (list(v) if isinstance(v, tuple) else v for v in (value, trained.get(key)))
        if old != value:
            raise InputError(
                f"{folder}: trained with {key} {words(old)}, now it is {words(value)}; use another folder, or the "
                "values it was trained with",
                ["output", key],
            )
    if sha256 != data.sha256[run.dataset]:
        raise InputError(
            f"{folder}: trained on other data files; use another folder, or the data it was trained on",
            ["output", "data_dir"],
        )
    return True


def train_one(run: Run, output: Path, data: Data, device: str, turn: int) -> str | None:
    """Train `run` into its folder in `output`; returns None, or in one line why it could not be done.

    `device` as in the scripts; of several GPUs each process of a crew has one, and elsewhere runs go to one after the
    other, as their `turn` says. Several threads may train at a time. An error that nobody foresaw is raised, as a
    RuntimeError that names the run: the process may not be fit for another run.
    """
    folder = output / run.name
    part = folder.with_name(f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}{PART}")  # nobody else's
    try:
        with _LOADING:
            corpus = _corpus(run.dataset, data.folder, data.synthetic, run.settings.labels)
        if corpus.sources != data.sha256[run.dataset]:
            raise InputError(f"{data.folder}: other {run.dataset} files than where the sweep was started; copy them")
        chosen = choose_device(device)
        if chosen.type == "cuda" and chosen.index is None:
            number = process_number()
            chosen = torch.device("cuda", (turn if number is None else number) % torch.cuda.device_count())
        if chosen.type == "cuda" and _more_than_half_full(chosen):
            gc.collect()  # trainings that have ended, which refer to themselves, still hold theirs
        part.parent.mkdir(parents=True, exist_ok=True)
        origin = origin_of(data.folder, data.synthetic)
        with _PRECISION.set_to(run.settings.precision):
            _, problems = train_run(corpus, run.settings, chosen, part, origin=origin, resumable=False, progress=False)
        if missing := _missing(part):
            raise InputError(problems[0] if problems else f"{missing[0]} was not written")
        os.replace(part, folder)
    except (InputError, OSError) as error:
        if folder.exists():  # another worker, taken for dead, was faster
            return None
        return f"{run.name}: {error}"
    except Exception as error:
        raise RuntimeError(in_one_line(run, error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return None


def in_one_line(run: Run, error: BaseException) -> str:
    """What happened to `run`, in one line."""
    if is_want_of_memory(error):
        return f"{run.name}: not enough memory; run this again, with fewer at a time: --jobs"
    return f"{run.name}: {type(error).__name__}: {' '.join(str(error).split())[:500]}"


def _missing(folder):
    """Files that a finished run has, and `folder` lacks; nothing depends on a history."""
    names = (SETTINGS, PREDICTIONS, RESULTS, checkpoint_name(0))
    return [name for name in names if not (folder / name).is_file()]


def _more_than_half_full(device):
    free, total = torch.cuda.mem_get_info(device)
    return free < total / 2


class _Precision:
    """Whether products use TF32 holds for a whole process: runs that want it otherwise wait until none is under way."""

    def __init__(self):
        self._changed, self._precision, self._under_way = threading.Condition(), "", 0

    @contextmanager
    def set_to(self, precision: str) -> Iterator[None]:
        """Runs of this `precision` only, here."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way or precision == self._precision)
            if not self._under_way:
                allow_tf32(precision)
            self._precision, self._under_way = precision, self._under_way + 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()


_PRECISION = _Precision()
_LOADING = threading.Lock()  # threads that need the same corpus load it once


@lru_cache(maxsize=2)
def _corpus(dataset, folder, synthetic, labels):
    corpus, _ = load_corpus(dataset, folder, synthetic=synthetic, labels=labels)
    keep_memory()
    return corpus


def remove_parts(output: Path) -> None:
    """Remove what interrupted runs left in `output`. To be called only while no sweep writes to it."""
    for part in output.glob(f"*/*/.*{PART}"):
        # first out of the way of a worker that may not have ended yet, which then cannot make a run of what is left
        gone = part.with_name(f".gone.{secrets.token_hex(4)}{PART}")
        with suppress(OSError):
            os.replace(part, gone)
            shutil.rmtree(gone, ignore_errors=True)
    for file in output.glob(f".*{PART}"):
        file.unlink(missing_ok=True)


def seconds_taken(folder: Path) -> tuple[int, float]:
    """Epochs trained in a run's folder so far, and their seconds."""
    try:
        seconds = pd.read_csv(folder / HISTORY).seconds
    except (OSError, ValueError):  # not written yet
        return 0, 0.0
    return len(seconds), float(seconds.sum())


def seconds_left(finished: Sequence[Run], pending: Sequence[Run], output: Path, jobs: int) -> float | None:
    """An estimate of the seconds that `pending` runs take, `jobs` at a time, from `finished` ones and those under way.

    A run takes as long as the mean of the finished ones of its dataset; where there is none, as its dataset's epochs
    under way, times all epochs it may have. None where nothing is known of some dataset.
    """
    under_way = {}
    for part in output.glob(f"*/*/.seed_*{PART}"):
        name = f"{part.parent.parent.name}/{part.parent.name}/{part.name[1:].split('.')[0]}"
        under_way[name] = seconds_taken(part)
    left = 0.0
    for dataset in {run.dataset for run in pending}:
        runs = [run for run in pending if run.dataset == dataset]
        known = [seconds_taken(output / run.name)[1] for run in finished if run.dataset == dataset]
        if known:
            each = sum(known) / len(known)
        else:
            seen = [under_way[run.name] for run in runs if run.name in under_way]
            epochs, seconds = (sum(values) for values in zip(*seen, strict=True)) if seen else (0, 0.0)
            if not epochs:
                return None
            each = seconds / epochs * runs[0].settings.epochs
        left += sum(max(0.0, each - under_way.get(run.name, (0, 0.0))[1]) for run in runs)
    return left / min(jobs, max(1, len(pending)))
