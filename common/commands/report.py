"""`inference.py --report DIR`: all about the checkpoints of one run, or of two, on one page, its numbers beside it."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from common.batching.batches import Batches
from common.commands.options import short_path
from common.data.corpus import Corpus
from common.errors import InputError
from common.evaluation.calibration import temperature_of
from common.evaluation.evaluate import check_finite
from common.files import atomic, require_writable
from common.network.ecerc import ECERC
from common.network.explain import explain
from common.release.checkpoint import Checkpoint
from common.reporting.analysis import checkpoint_analysis, dialogue_of
from common.reporting.comparison import comparison, predicted
from common.reporting.page import report_page
from common.reporting.provenance import Origin, about, run_provenance
from common.reporting.report_data import Evaluated, report_data
from common.reporting.tables import label_notes
from common.settings import EvaluationSettings

FILE, NUMBERS = "report.html", "report.json"


def report_path(folder: Path, overwrite: bool) -> Path:
    """Where the page of a report in `folder` goes; its numbers go beside it.

    Raises InputError where they could not be written after the work, or one is there already, unless `overwrite`.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--report {folder}: found a file; expected a folder, or nothing")
    for name in (FILE, NUMBERS):
        path = folder / name
        if path.is_dir():
            raise InputError(f"--report {folder}: {name} is a folder there; use another one")
        if path.exists() and not overwrite:
            raise InputError(f"--report {folder}: holds a report already; use another folder, or --overwrite")
    require_writable(folder, f"--report {folder}")
    return folder / FILE


class Report:
    """A report on checkpoints evaluated on `split` of `corpus`, to be written to `path`. `name`: of the run that they
    are of, where it is compared with another one.
    """

    def __init__(
        self,
        path: Path,
        corpus: Corpus,
        split: str,
        settings: EvaluationSettings,
        device: torch.device,
        calibrated: bool,
        name: str = "",
    ):
        self.path, self._corpus, self._split, self._settings, self._device = path, corpus, split, settings, device
        self._calibrated, self._name = calibrated, name
        self._parts: list[dict[str, Any]] = []
        self._origins: dict[str, Origin] = {}

    def add(self, name: str, checkpoint: Checkpoint, network: ECERC, log_prob: Tensor) -> None:
        """Analyse `network`, which has the weights of `checkpoint` and gave `log_prob` (U, C), not calibrated."""
        self.append(self.analysed(name, checkpoint, network, log_prob)[0])

    def append(self, part: dict[str, Any]) -> None:
        """Add what `analysed` says of the next checkpoint."""
        self._parts.append(part)

    def analysed(
        self,
        name: str,
        checkpoint: Checkpoint,
        network: ECERC,
        log_prob: Tensor | None = None,
        fitted: tuple[float, str] | None = None,
    ) -> tuple[dict[str, Any], Tensor]:
        """What there is to say of `network`, which has the weights of `checkpoint`; and its log-probabilities (U, C).

        `log_prob`: these, not calibrated, where they are known already, and `fitted` what `temperature_of` says of it.
        Raises InputError where they are not finite.
        """
        corpus, split, settings = self._corpus, self._split, self._settings
        self._origins[name] = Origin(name, checkpoint.path, checkpoint.sha256, checkpoint.trained)
        try:
            temperature, fitted_on = fitted or temperature_of(
                checkpoint.path, checkpoint.sha256, network, corpus, settings, self._device
            )
        except InputError:  # no validation split here, and none was kept
            temperature, fitted_on = None, ""
        batches = Batches(corpus, split, settings.batch_size, self._device)
        explanation = explain(network, batches, temperature if self._calibrated and temperature else 1.0)
        if log_prob is None:
            log_prob = torch.from_numpy(explanation.log_prob)
            check_finite(log_prob)
        # the predictions are those of the evaluation, to the last digit
        explanation = replace(explanation, log_prob=log_prob.numpy())
        part = checkpoint_analysis(name, corpus, split, settings, explanation, temperature, fitted_on, self._calibrated)
        return part, log_prob

    def write(
        self,
        log_probs: Sequence[ArrayLike],
        paper: dict | None,
        note: str,
        notes: Sequence[str] = (),
        against: "tuple[Report, Sequence[ArrayLike]] | None" = None,
    ) -> dict[str, Any]:
        """Write the page, and its numbers; returns these, see `report_data`.

        `log_probs`: (U, C) of each checkpoint, as they are shown; `note`: why the `paper`'s scores do not apply;
        `notes`: what else one has to know of these numbers; `against`: the run that this one is compared with.
        """
        corpus, split = self._corpus, self._split
        label, told = corpus.label[corpus.rows(split)], []
        told += label_notes(label, corpus.classes) + ([f"No comparison with the paper: {note}."] if note else [])
        if split != "test":
            told.append(f"The {split} split had a part in the training: other conversations will not score as well.")
        told += ["Probabilities are calibrated, by the temperature of each checkpoint."] if self._calibrated else []
        runs = [self._evaluated(log_probs, paper)]
        if against:
            runs.append(against[0]._evaluated(against[1], paper))
        compared = None
        if against:
            first, second = (predicted(run.name, run.log_probs) for run, _ in runs)
            compared = comparison(first, second, label, dialogue_of(corpus, split), corpus.classes)
        data = report_data(
            corpus,
            split,
            [run for run, _ in runs],
            calibrated=self._calibrated,
            notes=[*told, *notes, *(problem for _, problems in runs for problem in problems)],
            about=about(corpus, split, self._device),
            comparison=compared,
        )
        data, text = _as_json(data)
        _write_both(self.path, report_page(data), text)
        return data

    def _evaluated(self, log_probs, paper):
        """The checkpoints, and what is wrong with what is known of their training."""
        origins = [self._origins[part["name"]] for part in self._parts]
        provenance, curves, problems = run_provenance(origins, short_path)
        more = {"provenance": provenance, "curves": curves}
        return Evaluated(self._name, self._settings, self._parts, list(log_probs), paper, more), problems


def _as_json(data):
    """`data` with None for each number that is not finite, and the same as JSON."""
    try:
        return data, json.dumps(data, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return (finite := _finite(data)), json.dumps(finite, separators=(",", ":"), allow_nan=False)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_both(path, page, numbers):
    """Write the text `page` to `path`, and `numbers` beside it: in the end both are new, or neither is."""
    beside = path.with_name(NUMBERS)
    path.parent.mkdir(parents=True, exist_ok=True)
    lonely = not (path.exists() or beside.exists())
    try:
        with atomic(path) as html, atomic(beside) as file:
            for part, text in ((html, page), (file, numbers)):
                part.write(text)
                part.flush()
                os.fsync(part.fileno())  # what can fail has happened before the first of them gets its name
    except BaseException:
        if lonely and not path.exists():
            beside.unlink(missing_ok=True)
        raise
