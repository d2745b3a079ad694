"""What `inference.py` does: evaluates checkpoints, prints their scores, and writes predictions and a report."""

import argparse
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from common.batching.batches import Batches
from common.commands.checkpoints import prepared
from common.commands.conversations import check_own_corpus
from common.commands.options import short_path
from common.commands.parser import say
from common.commands.report import Report, report_path
from common.data import DATASETS
from common.environment import allow_tf32, choose_device, device_name, keep_memory
from common.errors import InputError
from common.evaluation.calibration import temperature_of, with_temperature
from common.evaluation.evaluate import evaluate
from common.evaluation.metrics import scores
from common.evaluation.predictions import prediction_rows
from common.files import atomic, require_writable
from common.reporting.analysis import ensemble_scores
from common.reporting.paper import paper_scores
from common.reporting.tables import (
    checkpoint_table,
    confidence_line,
    ensemble_line,
    label_notes,
    prediction_table,
    summary_table,
)
from common.training.run import build_network


def evaluate_checkpoints(dataset: str, folder: Path, hyperparameters: dict, arguments: argparse.Namespace) -> None:
    """Evaluate as the command line of inference.py says. `folder`: that of the script with `hyperparameters`."""
    device, target, split = choose_device(arguments.device), arguments.predictions, arguments.split
    if target:
        _check_target(target, arguments.overwrite)
    page = report_path(arguments.report, arguments.overwrite) if arguments.report else None
    tell = say if target or page else partial(print, flush=True)  # files are written though nobody reads on
    checkpoints, settings, corpus, origin = prepared(dataset, folder, hyperparameters, arguments, arguments.checkpoints)
    if corpus.name not in DATASETS:
        check_own_corpus(corpus, split, settings)
    tell(f"{corpus.describe()}\nfrom {origin}; on {device_name(device)}\n")

    allow_tf32(settings.precision)
    keep_memory()  # not before: reading the feature files takes more memory than anything after it
    network = build_network(settings, corpus)
    batches = Batches(corpus, split, settings.batch_size, device)
    report = Report(page, corpus, split, settings, device, arguments.calibrated) if page else None
    named, tables, log_probs, labelled = {}, [], [], bool((batches.label >= 0).any())
    for name, checkpoint in checkpoints.items():
        checkpoint.fill(network.to("cpu"))
        log_prob = evaluate(network.to(device), batches)
        named[name] = scores(batches.label, log_prob.argmax(1), corpus.classes)
        tell(checkpoint_table(name, named[name], corpus.classes) if labelled else f"{name}: no label is known.")
        known = checkpoint.path, checkpoint.sha256, network, corpus, settings, device
        fitted = temperature_of(*known) if arguments.calibrated else None
        if report:
            report.add(name, checkpoint, network, log_prob, fitted)
        if fitted:
            temperature, fitted_on = fitted
            warm = torch.from_numpy(with_temperature(log_prob.numpy(), temperature))
            tell(f"{confidence_line(batches.label, log_prob, warm)} Temperature {temperature:.3f}, of the {fitted_on}.")
            log_prob = warm
        tell("")
        log_probs.append(log_prob)
        tables.append(prediction_rows(corpus, split, log_prob, checkpoint=name))
    paper, reason = paper_scores(corpus, split)
    ensemble = ensemble_scores(log_probs, batches.label, corpus.classes) if len(log_probs) > 1 and labelled else None
    if labelled:
        tell(f"{split.capitalize()} split, in percent\n{summary_table(named, corpus.classes, paper)}")
    else:
        tell(f"{split.capitalize()} split, predictions\n{prediction_table(pd.concat(tables))}")
    for line in _remarks(ensemble, len(log_probs), label_notes(batches.label, corpus.classes), reason):
        tell(line)
    if target:
        with atomic(target) as file:
            pd.concat(tables).to_csv(file, index=False)
        tell(f"Predictions are in {short_path(target)}.")
    if report:
        report.write(named, ensemble, paper, reason)
        tell(f"The report is {short_path(report.path)}.")


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
