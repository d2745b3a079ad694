"""What `inference.py` of a dataset does."""

import argparse
import os
from pathlib import Path

from common.commands.options import add_common_options, add_options, given_options, short_path
from common.commands.parser import OneLineParser, run_command
from common.errors import InputError
from common.settings import SPLITS, EvaluationSettings, build


def inference(dataset: str, folder: str | Path, hyperparameters: dict) -> None:
    """Evaluate checkpoints on `dataset` as the command line says. `folder`: that of the script.

    `hyperparameters`: the values at the top of the script, names of EvaluationSettings; each becomes an option.
    """
    description = f"Evaluate checkpoints of ECERC on {dataset}, each by itself, then mean and spread."
    parser = OneLineParser(description=description, allow_abbrev=False)
    _add_arguments(parser, dataset, hyperparameters)
    run_command(parser, lambda arguments: _run(dataset, Path(folder), hyperparameters, arguments), "inference.py")


def _add_arguments(parser: argparse.ArgumentParser, dataset: str, hyperparameters: dict) -> None:
    add_common_options(parser, f"{dataset.lower()}/")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="files to evaluate (default: ECERC_MODEL.pkl, _2 and _3 beside this script, else those of the newest run)",
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="split to evaluate (default: test)")
    parser.add_argument(
        "--predictions", type=Path, metavar="FILE.csv", help="write a row per checkpoint and utterance to this file"
    )
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="use a temperature, fitted on the validation split and kept beside the checkpoint",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write a page about all this, DIR/report.html, to be opened in a browser",
    )
    add_options(parser, EvaluationSettings, hyperparameters)


def _run(dataset, folder, hyperparameters, arguments):
    build(EvaluationSettings, hyperparameters, "inference.py")  # what the user edited is checked first
    import pandas as pd
    import torch

    from common.batching.batches import Batches
    from common.commands.checkpoints import find_checkpoints, trained_settings
    from common.commands.conversations import check_own, corpus_of, own_corpus
    from common.commands.report import Report
    from common.data import DATASETS
    from common.data.load import require_files
    from common.environment import allow_tf32, choose_device, device_name, keep_memory
    from common.evaluation.calibration import temperature_of, with_temperature
    from common.evaluation.evaluate import evaluate
    from common.evaluation.metrics import scores
    from common.evaluation.predictions import prediction_rows
    from common.files import atomic
    from common.release.checkpoint import load_released
    from common.reporting.analysis import ensemble_scores
    from common.reporting.paper import paper_scores
    from common.reporting.tables import checkpoint_table, confidence_line, ensemble_line, summary_table
    from common.training.run import build_network

    device = choose_device(arguments.device)
    target = arguments.predictions
    if target:
        _check_target(target, arguments.overwrite)
    report = Report(arguments.report, arguments.overwrite) if arguments.report else None
    own = own_corpus(arguments)
    if not (arguments.synthetic or own):
        require_files(dataset, arguments.data_dir)
    name = own.name if own else dataset
    checkpoints, origin = find_checkpoints(arguments.checkpoints, folder, name, arguments.synthetic)
    options = given_options(arguments, EvaluationSettings)
    settings, classes, notes = trained_settings(name, checkpoints, hyperparameters, options, arguments.synthetic)
    print(f"Checkpoints {origin}: {', '.join(checkpoints)}", *notes, sep="\n")
    corpus, origin = corpus_of(dataset, arguments, settings.labels, own)
    if own:
        corpus = corpus.with_classes(classes or DATASETS[dataset].CLASSES)
        check_own(corpus, arguments.split, settings)
    print(f"{corpus.describe()}\nfrom {origin}; on {device_name(device)}\n", flush=True)

    allow_tf32(settings.precision)
    keep_memory()  # not before: reading the feature files takes more memory than anything after it
    network = build_network(settings, corpus)
    batches = Batches(corpus, arguments.split, settings.batch_size, device)
    named, tables, log_probs = {}, [], []
    for name, path in checkpoints.items():
        load_released(network.to("cpu"), path)
        log_prob = evaluate(network.to(device), batches)
        named[name] = scores(batches.label, log_prob.argmax(1), corpus.classes)
        log_probs.append(log_prob)
        print(checkpoint_table(name, named[name], corpus.classes))
        if report:
            report.add(name, path, network, corpus, arguments.split, settings, log_prob)
        if arguments.calibrated:
            temperature, fitted_on = temperature_of(path, network, corpus, settings, device)
            warm = torch.from_numpy(with_temperature(log_prob.numpy(), temperature))
            print(confidence_line(batches.label, log_prob, warm), f"Temperature {temperature:.3f}, of the {fitted_on}.")
            log_prob = warm
        print(flush=True)
        tables.append(prediction_rows(corpus, arguments.split, log_prob, checkpoint=name))
    paper, reason = paper_scores(corpus, arguments.split)
    print(f"{arguments.split.capitalize()} split, in percent\n{summary_table(named, corpus.classes, paper)}")
    if len(named) > 1:
        print(ensemble_line(ensemble_scores(log_probs, batches.label, corpus.classes), len(named)))
    unknown = int((batches.label < 0).sum())
    if unknown:
        print(f"Note: {unknown} of {len(batches.label)} utterances have no label; scores are of the others.")
    if reason:
        print(f"No comparison with the paper: {reason}.")
    if target:
        with atomic(target) as file:
            pd.concat(tables).to_csv(file, index=False)
        print(f"Predictions are in {short_path(target)}.")
    if report:
        report.write(named, corpus, arguments.split, settings, device, paper, reason)
        print(f"The report is {short_path(report.path)}.")


def _check_target(path, overwrite):
    """Raises InputError where the file `path` could not be written after the work."""
    if path.is_dir():
        raise InputError(f"--predictions {path}: found a folder; expected the name of a file, e.g. predictions.csv")
    if path.exists() and not overwrite:
        raise InputError(f"--predictions {path}: exists already; choose another name, or --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"--predictions {path}: there is no folder {path.parent}; create it, or choose another")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"--predictions {path}: the folder {path.parent} is not writable; choose another")
