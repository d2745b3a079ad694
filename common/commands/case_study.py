"""Draws one utterance, which causes it looked at and what its gates let through, as PNG and SVG (Figures 4 and 5)."""

import argparse
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

from common.commands.options import add_common_options, add_options, given_options, short_path
from common.errors import InputError
from common.settings import DATASET_NAMES, SPLITS, EvaluationSettings

if TYPE_CHECKING:
    from common.data.corpus import Corpus

ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which utterance of which dataset, what inference.py has, and where to draw."""
    parser.add_argument("--dataset", choices=DATASET_NAMES, required=True)
    parser.add_argument("--dialogue", required=True, metavar="ID", help="id of the dialogue, in any split")
    parser.add_argument("--utterance", type=int, required=True, metavar="K", help="its number in it, from 1")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="(default: the first that inference.py takes)")
    parser.add_argument(
        "--output", type=Path, default=Path("case"), metavar="FILE", help="without its ending (default: case)"
    )
    add_common_options(parser, "iemocap/ or meld/")
    add_options(parser, EvaluationSettings, None)


def run(arguments: argparse.Namespace) -> None:
    """Draw the utterance."""
    for ending in (".png", ".svg"):
        target = arguments.output.with_suffix(ending)
        if target.exists() and not arguments.overwrite:
            raise InputError(f"--output {target}: exists already; choose another name, or --overwrite")
    from common.batching.batches import Batches
    from common.environment import choose_device
    from common.network.explain import explain
    from common.release.checkpoint import load_released
    from common.reporting.analysis import checkpoint_analysis, conversations
    from common.reporting.case_figure import case_figure
    from common.reporting.figures import save_figure
    from common.training.run import build_network

    device = choose_device(arguments.device)
    checkpoint, path, settings, corpus = _checkpoint_and_corpus(arguments)
    dialogue = _dialogue(arguments, corpus)
    split = next(split for split in SPLITS if dialogue in corpus.splits[split])
    index, turn = corpus.splits[split].index(dialogue), arguments.utterance - 1

    network = build_network(settings, corpus)
    load_released(network, path)
    explanation = explain(network.to(device), Batches(corpus, split, settings.batch_size, device))
    analysis = checkpoint_analysis(checkpoint, corpus, split, settings, explanation, None, "")
    title = f"{corpus.name}, dialogue {arguments.dialogue}, turn {arguments.utterance} ({split}; {checkpoint})"
    about = {"title": title, "classes": corpus.classes}
    about |= {"modalities": settings.modalities_in_use, "routes": settings.routes}
    entry = analysis["turns"][int(corpus.offset[dialogue]) - int(corpus.rows(split)[0]) + turn]
    figure = case_figure(
        conversations(corpus, split)[index], turn, entry, analysis["attention"][index], analysis["gate_mean"], about
    )
    print(f"wrote {' and '.join(short_path(path) for path in save_figure(figure, arguments.output))}")


def _checkpoint_and_corpus(arguments: argparse.Namespace) -> tuple[str, Path, EvaluationSettings, "Corpus"]:
    """Name and path of the checkpoint, its settings, and the conversations; as inference.py has them."""
    from common.commands.checkpoints import find_checkpoints, trained_settings
    from common.commands.conversations import corpus_of, own_corpus_of
    from common.data import DATASETS

    folder, dataset = ROOT / arguments.dataset, arguments.dataset
    hyperparameters = runpy.run_path(str(folder / "inference.py"))["HYPERPARAMETERS"]
    options = given_options(arguments, EvaluationSettings)
    for name in options:
        if name not in hyperparameters:
            raise InputError(f"{name}: not for {dataset}; its inference.py has no such value", [name])
    own_corpus = own_corpus_of(arguments)
    name = own_corpus.name if own_corpus else dataset
    given = [arguments.checkpoint] if arguments.checkpoint else None
    checkpoints, _ = find_checkpoints(given, folder, name, arguments.synthetic)
    checkpoint, path = next(iter(checkpoints.items()))
    settings, classes, _ = trained_settings(name, {checkpoint: path}, hyperparameters, options, arguments.synthetic)
    corpus, _ = corpus_of(dataset, arguments, settings.labels, own_corpus)
    if own_corpus:
        corpus = corpus.with_classes(classes or DATASETS[dataset].CLASSES)
    return checkpoint, path, settings, corpus


def _dialogue(arguments, corpus):
    """Position of the dialogue in `corpus`, checked together with the number of the utterance."""
    ids = [str(i) for i in corpus.ids]
    if arguments.dialogue not in ids:
        raise InputError(f"--dialogue {arguments.dialogue}: not in {corpus.name}, which has {ids[0]} to {ids[-1]}")
    dialogue = ids.index(arguments.dialogue)
    if not 1 <= arguments.utterance <= corpus.lengths[dialogue]:
        raise InputError(f"--utterance {arguments.utterance}: the dialogue has 1 to {corpus.lengths[dialogue]}")
    return dialogue
