"""`inference.py --report DIR`: all about some checkpoints on one page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from common.batching.batches import Batches
from common.data.corpus import Corpus
from common.environment import device_name, versions
from common.errors import InputError
from common.evaluation.calibration import temperature_of
from common.evaluation.evaluate import check_finite
from common.files import atomic, require_writable
from common.network.ecerc import ECERC
from common.network.explain import explain
from common.release.checkpoint import Checkpoint
from common.reporting.analysis import checkpoint_analysis
from common.reporting.page import report_page
from common.reporting.report_data import Evaluated, report_data
from common.reporting.tables import label_notes
from common.settings import EvaluationSettings

FILE = "report.html"


def report_path(folder: Path, overwrite: bool) -> Path:
    """Where a report in `folder` goes.

    Raises InputError where it could not be written after the work, or one is there already, unless `overwrite`.
    """
    path = folder / FILE
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--report {folder}: found a file; expected a folder, or nothing")
    if path.exists() and not overwrite:
        raise InputError(f"--report {folder}: holds a report already; use another folder, or --overwrite")
    if path.is_dir():
        raise InputError(f"--report {folder}: {FILE} is a folder there; use another one")
    require_writable(folder, f"--report {folder}")
    return path


class Report:
    """A report on checkpoints evaluated on `split` of `corpus`, to be written to `path`."""

    def __init__(
        self,
        path: Path,
        corpus: Corpus,
        split: str,
        settings: EvaluationSettings,
        device: torch.device,
        calibrated: bool,
    ):
        self.path, self._corpus, self._split, self._settings, self._device = path, corpus, split, settings, device
        self._calibrated = calibrated
        self._parts: list[dict[str, Any]] = []

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

    def write(self, log_probs: list[ArrayLike], paper: dict | None, note: str) -> None:
        """Write the page. `log_probs`: (U, C) of each checkpoint, as they are shown; `note`: why the `paper`'s scores
        do not apply.
        """
        corpus, split, settings = self._corpus, self._split, self._settings
        notes = label_notes(corpus.label[corpus.rows(split)], corpus.classes)
        notes += [f"No comparison with the paper: {note}."] if note else []
        notes += ["Probabilities are calibrated, by the temperature of each checkpoint."] if self._calibrated else []
        about = {"data": corpus.describe(), "device": device_name(self._device), "versions": versions()}
        evaluated = Evaluated("", settings, self._parts, log_probs, paper)
        data = report_data(corpus, split, [evaluated], calibrated=self._calibrated, notes=notes, about=about)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(self.path) as file:
            file.write(report_page(data))
