"""What `inference.py` does: evaluates checkpoints, prints their scores, and writes predictions and a report."""

import argparse
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import torch
from torch import Tensor

from common.batching.batches import Batches
from common.batching.side_by_side import side_by_side, workers_for
from common.commands.checkpoints import prepared, prepared_against
from common.commands.conversations import check_own_corpus
from common.commands.options import short_path
from common.commands.parser import say
from common.commands.runs import run_names
from common.data import DATASETS
from common.environment import allow_tf32, choose_device, device_name, keep_memory
from common.errors import InputError
from common.evaluation.calibration import temperature_of, with_temperature
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.evaluation.network import build_network
from common.evaluation.predictions import prediction_rows
from common.files import atomic, require_writable
from common.network.ecerc import ECERC
from common.reporting.paper import paper_scores
from common.reporting.run_analysis import ensemble_scores
from common.reporting.tables import (
    checkpoint_table,
    confidence_line,
    ensemble_line,
    label_notes,
    prediction_table,
    summary_table,
)
from common.terminal import columns, show


def evaluate_checkpoints(dataset: str, folder: Path, hyperparameters: dict, arguments: argparse.Namespace) -> None:
    """Evaluate as the command line of inference.py says. `folder`: that of the script with `hyperparameters`."""
    device, target, split = choose_device(arguments.device), arguments.predictions, arguments.split
    if target:
        _check_target(target, arguments.overwrite)
    if arguments.against and not arguments.report:
        raise InputError("--against: goes with --report, the page that compares; give both", ["against", "report"])
    page = _page(arguments)
    tell = say if target or page else show  # files are written though nobody reads on
    groups, corpus, origin = _groups(dataset, folder, hyperparameters, arguments)
    tell(f"{corpus.describe()}\nfrom {origin}; on {device_name(device)}\n")

    keep_memory()  # not before: reading the feature files takes more memory than anything after it
    evaluated: list[_Evaluation] = []
    for name, group in groups.items():
        report = page and page(corpus, split, group.settings, device, arguments.calibrated, name)
        evaluation = _Evaluation(name, group, corpus, split, device, report, tell)
        evaluation.run(arguments.calibrated, None if evaluated else target)
        evaluated.append(evaluation)
    paper, reason = paper_scores(corpus, split)
    for evaluation in evaluated:
        evaluation.sum_up(paper)
    remarks = [f"Note: {note}" for note in label_notes(evaluated[0].label, corpus.classes)]
    for line in remarks + ([f"No comparison with the paper: {reason}."] if reason else []):
        tell(line)
    if target:
        tell(f"Predictions are in {short_path(target)}.")
    if page:
        _write_report(evaluated, paper, reason, tell)


def _groups(dataset, folder, hyperparameters, arguments):
    """The checkpoints, by name of their run, "" for one alone; the conversations, and where these came from."""
    first, corpus, origin = prepared(dataset, folder, hyperparameters, arguments, arguments.checkpoints)
    groups = {"": first}
    if arguments.against:
        second = prepared_against(first, corpus, folder, hyperparameters, arguments)
        groups = dict(zip(run_names(first.paths, second.paths), (first, second), strict=True))
    if corpus.name not in DATASETS:
        for group in groups.values():
            check_own_corpus(corpus, arguments.split, group.settings)
    return groups, corpus, origin


def _page(arguments):
    """What makes the Report that is asked for. Raises InputError where it could not be written after the work."""
    if not arguments.report:
        return None
    from common.commands.report import Report, report_path  # brings templates, which take their time

    return partial(Report, report_path(arguments.report, arguments.overwrite))


class _Evaluation:
    """Checkpoints of a `group` on a split; `name`: of their run, where there is another one; `report`: theirs, if any.

    `label`: (U,) of the split; `log_probs`: (U, C) of each, as they are shown.
    """

    def __init__(self, name, group, corpus, split, device, report, tell):
        self.name, self.group, self._corpus, self._split, self.report = name, group, corpus, split, report
        self._device, self._tell = device, tell
        self.label = torch.from_numpy(corpus.label[corpus.rows(split)])
        self._labelled = bool((self.label >= 0).any())
        self._named, self.log_probs = dict[str, dict](), list[Tensor]()

    def run(self, calibrated, target):
        """Evaluate them, print the scores of each, and write predictions to the file `target`, if there is one."""
        corpus, tell, label, classes = self._corpus, self._tell, self.label, self._corpus.classes
        settings, checkpoints = self.group.settings, self.group.checkpoints
        allow_tf32(settings.precision)
        batches = Batches(corpus, self._split, settings.batch_size, self._device)
        results = _results(checkpoints, settings, corpus, batches, calibrated, self.report)
        if self.name:
            tell(f"Checkpoints of {self.name}\n")
        with atomic(target) if target else nullcontext() as file:
            for name, (log_prob, fitted) in zip(checkpoints, results, strict=True):
                tested = self._named[name] = scores(label, log_prob.argmax(1), classes)
                tell(
                    checkpoint_table(name, tested, classes, columns())
                    if self._labelled
                    else f"{name}: no label is known."
                )
                if fitted:
                    warm = torch.from_numpy(with_temperature(log_prob.numpy(), fitted[0]))
                    tell(f"{confidence_line(label, log_prob, warm)} Temperature {fitted[0]:.3f}, of the {fitted[1]}.")
                    log_prob = warm
                tell("")
                self.log_probs.append(log_prob)
                if file:
                    rows = prediction_rows(corpus, self._split, log_prob, checkpoint=name)
                    rows.to_csv(file, index=False, header=len(self._named) == 1)

    def sum_up(self, paper):
        """Print the checkpoints side by side, beside the `paper`'s scores, and those of the ensemble."""
        split, of = self._split.capitalize(), f" of {self.name}" if self.name else ""
        if not self._labelled:
            self._tell(f"{split} split, predictions{of}\n{self._unlabelled()}")
            return
        self._tell(
            f"{split} split{of}, in percent\n{summary_table(self._named, self._corpus.classes, paper, columns())}"
        )
        if (count := len(self.log_probs)) > 1:
            self._tell(ensemble_line(ensemble_scores(self.log_probs, self.label, self._corpus.classes), count))
        if self.name:
            self._tell("")

    def _unlabelled(self):
        """The table of predictions where there are no scores."""
        import pandas as pd

        named = zip(self._named, self.log_probs, strict=True)
        rows = (prediction_rows(self._corpus, self._split, log_prob, checkpoint=name) for name, log_prob in named)
        return prediction_table(pd.concat(rows), columns())


def _write_report(evaluated, paper, reason, tell):
    """Write the page on one evaluation, or on two, and say what it says of their difference."""
    first, *others = evaluated
    of = {evaluation: f"{evaluation.name}: " if others else "" for evaluation in evaluated}
    notes = [
        f"{of[evaluation]}{note.removeprefix('Note: ')}"
        for evaluation in evaluated
        for note in evaluation.group.notes
        if note.startswith("Note: ")
    ]
    against = (others[0].report, others[0].log_probs) if others else None
    data = first.report.write(first.log_probs, paper, reason, notes, against)
    if others:
        from common.reporting.comparison import comparison_text

        text = comparison_text(data["comparison"], [run["summary"] for run in data["runs"]], columns())
        tell(f"\n{text}\n" if text else "")
    tell(f"The report is {short_path(first.report.path)}.")


def _results(checkpoints, settings, corpus, batches, calibrated, report):
    """Of each checkpoint the log-probabilities, not calibrated, and if it is `calibrated` what `temperature_of` says.

    Several are evaluated side by side; as many networks are held, whatever the number of checkpoints.
    """
    networks: SimpleQueue[ECERC] = SimpleQueue()  # those that nobody fills or uses

    def job(name, checkpoint):
        try:
            network = networks.get_nowait()
        except Empty:
            network = build_network(settings, corpus)
        checkpoint.fill(network.to("cpu"))
        network.to(batches.device)
        known = checkpoint.path, checkpoint.sha256, network, corpus, settings, batches.device
        fitted = temperature_of(*known) if calibrated else None
        if report:
            part, log_prob = report.analysed(name, checkpoint, network, fitted=fitted)
        else:
            part, log_prob = None, evaluate(network, batches)
        networks.put(network)
        return log_prob, fitted, part

    workers = min(workers_for(batches), len(checkpoints))
    jobs = (partial(job, *item) for item in checkpoints.items())
    for log_prob, fitted, part in side_by_side(jobs, workers) if workers > 1 else (each() for each in jobs):
        if part:
            report.append(part)
        yield log_prob, fitted


def _check_target(path, overwrite):
    """Raises InputError where the file `path` could not be written after the work."""
    if path.is_dir():
        raise InputError(f"--predictions {path}: found a folder; expected the name of a file, e.g. predictions.csv")
    if path.exists() and not overwrite:
        raise InputError(f"--predictions {path}: exists already; choose another name, or --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"--predictions {path}: there is no folder {path.parent}; create it, or choose another")
    require_writable(path.parent, f"--predictions {path}")
