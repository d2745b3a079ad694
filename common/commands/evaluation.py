"""What `inference.py` does: evaluates checkpoints, prints their scores, and writes predictions and a report."""

import argparse
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import torch

from common.batching.batches import Batches
from common.batching.side_by_side import side_by_side, workers_for
from common.commands.checkpoints import prepared
from common.commands.conversations import check_own_corpus
from common.commands.options import short_path
from common.commands.parser import say
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


def evaluate_checkpoints(dataset: str, folder: Path, hyperparameters: dict, arguments: argparse.Namespace) -> None:
    """Evaluate as the command line of inference.py says. `folder`: that of the script with `hyperparameters`."""
    device, target, split = choose_device(arguments.device), arguments.predictions, arguments.split
    if target:
        _check_target(target, arguments.overwrite)
    page = _page(arguments)
    tell = say if target or page else partial(print, flush=True)  # files are written though nobody reads on
    checkpoints, settings, corpus, origin = prepared(dataset, folder, hyperparameters, arguments, arguments.checkpoints)
    if corpus.name not in DATASETS:
        check_own_corpus(corpus, split, settings)
    tell(f"{corpus.describe()}\nfrom {origin}; on {device_name(device)}\n")

    allow_tf32(settings.precision)
    keep_memory()  # not before: reading the feature files takes more memory than anything after it
    batches = Batches(corpus, split, settings.batch_size, device)
    report = page and page(corpus, split, settings, device, arguments.calibrated)
    results = _results(checkpoints, settings, corpus, batches, arguments.calibrated, report)
    label, classes = batches.label, corpus.classes
    named, log_probs, labelled = {}, [], bool((label >= 0).any())
    with atomic(target) if target else nullcontext() as file:
        for name, (log_prob, fitted) in zip(checkpoints, results, strict=True):
            named[name] = scores(label, log_prob.argmax(1), classes)
            tell(checkpoint_table(name, named[name], classes) if labelled else f"{name}: no label is known.")
            if fitted:
                warm = torch.from_numpy(with_temperature(log_prob.numpy(), fitted[0]))
                tell(f"{confidence_line(label, log_prob, warm)} Temperature {fitted[0]:.3f}, of the {fitted[1]}.")
                log_prob = warm
            tell("")
            log_probs.append(log_prob)
            if file:
                rows = prediction_rows(corpus, split, log_prob, checkpoint=name)
                rows.to_csv(file, index=False, header=len(named) == 1)
    paper, reason = paper_scores(corpus, split)
    ensemble = ensemble_scores(log_probs, label, classes) if len(log_probs) > 1 and labelled else None
    if labelled:
        tell(f"{split.capitalize()} split, in percent\n{summary_table(named, classes, paper)}")
    else:
        tell(f"{split.capitalize()} split, predictions\n{_unlabelled(corpus, split, named, log_probs)}")
    for line in _remarks(ensemble, len(log_probs), label_notes(label, classes), reason):
        tell(line)
    if target:
        tell(f"Predictions are in {short_path(target)}.")
    if report:
        report.write(log_probs, paper, reason)
        tell(f"The report is {short_path(report.path)}.")


def _page(arguments):
    """What makes the Report that is asked for. Raises InputError where it could not be written after the work."""
    if not arguments.report:
        return None
    from common.commands.report import Report, report_path  # brings templates, which take their time

    return partial(Report, report_path(arguments.report, arguments.overwrite))


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


def _unlabelled(corpus, split, names, log_probs):
    """The table of predictions where there are no scores."""
    import pandas as pd

    rows = (prediction_rows(corpus, split, x, checkpoint=name) for name, x in zip(names, log_probs, strict=True))
    return prediction_table(pd.concat(rows))


def _remarks(ensemble, count, notes, reason):
    """What is said below the scores, lines."""
    lines = [ensemble_line(ensemble, count)] if ensemble else []
    lines += [f"Note: {note}" for note in notes]
    return lines + ([f"No comparison with the paper: {reason}."] if reason else [])


def _check_target(path, overwrite):
    """Raises InputError where the file `path` could not be written after the work."""
    if path.is_dir():
        raise InputError(f"--predictions {path}: found a folder; expected the name of a file, e.g. predictions.csv")
    if path.exists() and not overwrite:
        raise InputError(f"--predictions {path}: exists already; choose another name, or --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"--predictions {path}: there is no folder {path.parent}; create it, or choose another")
    require_writable(path.parent, f"--predictions {path}")
