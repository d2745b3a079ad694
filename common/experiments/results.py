"""What came of the runs in a folder: scores, and predictions counted per dialogue."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.data import DATASETS
from common.errors import InputError
from common.evaluation.metrics import figures
from common.experiments.significance import paired_test
from common.files import read_yaml
from common.release.trained import classes_of
from common.reporting.tables import label_notes
from common.training.folder import HISTORY, PREDICTIONS, RESULTS, SETTINGS


@dataclass(frozen=True)
class Results:
    """Results of one variant with several seeds. `settings`: settings.yaml of each run. `dialogues`: their ids, D.

    `counts`: (S, D, C, C) int, per seed and dialogue the confusion matrix of the test split. `seconds`: of training.
    """

    dataset: str
    seeds: list[int]
    classes: list[str]
    settings: list[dict]
    dialogues: list[str]
    counts: np.ndarray
    seconds: float

    @property
    def figures(self) -> np.ndarray:
        """(S, 3 + C): accuracy, weighted F1, macro F1, F1 of each class, in percent."""
        return figures(self.counts.sum(1))

    @property
    def notes(self) -> list[str]:
        """What one has to know of the labels to read scores."""
        support = self.counts[0].sum((0, 2))
        return label_notes(np.repeat(np.arange(len(support)), support), self.classes)


def read_results(folder: str | Path) -> Results:
    """The results in a run's folder, or in the `seed_*` folders of a variant.

    Raises InputError where there are none, or files are damaged or do not belong together.
    """
    folder = Path(folder)
    runs = [path.parent for path in [folder / RESULTS, *sorted(folder.glob(f"seed_*/{RESULTS}"))] if path.is_file()]
    if not runs:
        raise InputError(f"{folder}: no results here; expected a run's folder, or one with seed_* folders in it")
    results = [_read_run(run) for run in runs]
    first = results[0]
    for other, run in zip(results, runs, strict=True):
        check_pair(first, other, runs[0], run)
    seeds = [seed for one in results for seed in one.seeds]
    if len(set(seeds)) < len(seeds):
        raise InputError(f"{folder}: a seed has two runs here; keep one of each")
    order = np.argsort(seeds)
    return Results(
        dataset=first.dataset,
        seeds=[seeds[k] for k in order],
        classes=first.classes,
        settings=[one.settings[0] for one in results],
        dialogues=first.dialogues,
        counts=np.concatenate([one.counts for one in results])[order],
        seconds=sum(one.seconds for one in results),
    )


def check_pair(a: Results, b: Results, a_folder: object, b_folder: object) -> None:
    """Raises InputError where two Results are not of the same test split."""
    if (a.dataset, a.classes) != (b.dataset, b.classes):
        raise InputError(f"{b_folder}: of {b.dataset} ({', '.join(b.classes)}), unlike {a_folder}; choose like ones")
    if a.dialogues != b.dialogues or not np.array_equal(a.counts[0].sum(-1), b.counts[0].sum(-1)):
        raise InputError(f"{b_folder}: other test dialogues or labels than {a_folder}; choose runs on the same data")


def paired(a: Results, b: Results, a_folder: object, b_folder: object) -> tuple[int, np.ndarray, np.ndarray]:
    """How many seeds both have, and over these the differences b - a and the p-values of `paired_test`, (3 + C,).

    Raises InputError where they are not of the same test split, or have no seed in common.
    """
    check_pair(a, b, a_folder, b_folder)
    seeds = [seed for seed in a.seeds if seed in b.seeds]
    if not seeds:
        raise InputError(f"{b_folder}: seeds {b.seeds}, but {a_folder} has {a.seeds}; train the same seeds")
    counts_a, counts_b = (one.counts[[one.seeds.index(seed) for seed in seeds]] for one in (a, b))
    return len(seeds), *paired_test(counts_a, counts_b)


def _read_run(run: Path) -> Results:
    settings = read_yaml(run / SETTINGS)
    dataset, classes = settings.get("dataset"), classes_of(settings)
    if not isinstance(dataset, str) or classes is None or len(classes) > 1000:
        raise InputError(f"{run / SETTINGS}: names no dataset and classes; restore it, or remove the run")
    if dataset not in DATASETS:
        raise InputError(f"{run}: of {dataset}; expected runs on {' or '.join(DATASETS)}, whose tables these are")
    try:
        table = pd.read_csv(run / PREDICTIONS, dtype={"dialogue": str}, keep_default_na=False)
        seconds = float(pd.read_csv(run / HISTORY).seconds.sum()) if (run / HISTORY).exists() else 0.0
        table = table[table.label != ""]  # of the others no score is known
        dialogue, ids = pd.factorize(table.dialogue)
        label, prediction = (pd.Index(classes).get_indexer(table[name]) for name in ("label", "prediction"))
        seeds = [int(seed) for seed in table.seed.unique()]
        if not len(table):
            raise ValueError("no utterance has a label")
        if min(label.min(), prediction.min()) < 0:
            raise ValueError("a class that settings.yaml does not have")
        if len(seeds) * len(ids) > len(table):
            raise ValueError("seeds with different dialogues")
        counts = np.zeros((len(seeds), len(ids), len(classes), len(classes)), np.int64)
        np.add.at(counts, (pd.Index(seeds).get_indexer(table.seed), dialogue, label, prediction), 1)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{run}: {PREDICTIONS} or {HISTORY} is missing or damaged ({error}); train it again") from None
    if (counts.sum((2, 3)) != counts[:1].sum((2, 3))).any():
        raise InputError(f"{run / PREDICTIONS}: seeds with different utterances; train it again")
    return Results(dataset, seeds, classes, [settings], list(ids), counts, seconds)
