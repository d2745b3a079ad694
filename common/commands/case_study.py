"""Draws one utterance, which causes it looked at and what its gates let through, as PNG and SVG (Figures 4 and 5)."""

import argparse
import runpy
from pathlib import Path
from typing import Any

from common.commands.options import add_checkpoint_options, add_common_options, add_options, given_options, short_path
from common.errors import InputError
from common.settings import DATASET_NAMES, SPLITS, EvaluationSettings
from common.terminal import show

ROOT = Path(__file__).resolve().parents[2]
NUMBER = "its number in it: in your own data as you gave it, else from 1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which utterance of which dataset, what inference.py has, and where to draw."""
    parser.add_argument("--dataset", choices=DATASET_NAMES, required=True)
    parser.add_argument("--dialogue", required=True, metavar="ID", help="id of the dialogue, in any split")
    parser.add_argument("--utterance", type=int, required=True, metavar="K", help=NUMBER)
    add_checkpoint_options(parser, None, "one of them (default: the first that inference.py takes)")
    parser.add_argument(
        "--output", type=Path, default=Path("case"), metavar="FILE", help="without its ending (default: case)"
    )
    add_common_options(parser, "iemocap/ or meld/")
    add_options(parser, EvaluationSettings, None)


def run(arguments: argparse.Namespace) -> None:
    """Draw the utterance."""
    from common.batching.batches import Batches
    from common.commands.checkpoints import prepared
    from common.environment import choose_device
    from common.evaluation.network import build_network
    from common.files import require_writable
    from common.network.explain import explain
    from common.reporting.analysis import checkpoint_analysis
    from common.reporting.case_figure import case_figure
    from common.reporting.conversations import conversations, turn_name
    from common.reporting.drawn_text import lacking
    from common.reporting.figures import figure_paths, save_figure

    dataset, device, hyperparameters = arguments.dataset, choose_device(arguments.device), _hyperparameters(arguments)
    given = [arguments.checkpoints] if arguments.checkpoints else None
    group, corpus, _ = prepared(dataset, ROOT / dataset, hyperparameters, arguments, given, all_of_them=False)
    ((name, checkpoint),), settings = group.checkpoints.items(), group.settings
    dialogue, turn = _place(arguments, corpus)
    for target in figure_paths(arguments.output):
        if target.exists() and not arguments.overwrite:
            raise InputError(f"--output {target}: exists already; choose another name, or --overwrite")
    require_writable(arguments.output.parent, f"--output {arguments.output}")
    split = next(split for split in SPLITS if dialogue in corpus.splits[split])
    index = corpus.splits[split].index(dialogue)

    network = build_network(settings, corpus)
    checkpoint.fill(network)
    explanation = explain(network.to(device), Batches(corpus, split, settings.batch_size, device))
    analysis = checkpoint_analysis(name, corpus, split, settings, explanation, None, "")
    said = conversations(corpus, split)[index]
    place = f"{arguments.dialogue}, {turn_name(said['turns'][turn], turn)}"
    title = f"{corpus.name}, dialogue {place} ({split}; {name})"
    about = {"title": title, "classes": corpus.classes}
    about |= {"modalities": settings.modalities_in_use, "routes": settings.routes}
    entry = analysis["turns"][int(corpus.offset[dialogue]) - int(corpus.rows(split)[0]) + turn]
    figure = case_figure(said, turn, entry, analysis["attention"][index], analysis["gates"], about)
    letters = lacking("".join(text.get_text() for text in figure.axes[0].texts))
    if letters:
        show(f"Note: no font here has {' '.join(letters[:20])}; they are boxes. Install one that has: Noto Sans CJK.")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    show(f"wrote {' and '.join(short_path(path) for path in save_figure(figure, arguments.output))}")


def _hyperparameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those at the top of the dataset's inference.py. Raises InputError for options that it does not have."""
    hyperparameters = runpy.run_path(str(ROOT / arguments.dataset / "inference.py"))["HYPERPARAMETERS"]
    for name in given_options(arguments, EvaluationSettings):
        if name not in hyperparameters:
            raise InputError(f"{name}: not for {arguments.dataset}; its inference.py has no such value", [name])
    return hyperparameters


def _place(arguments, corpus):
    """Positions of the dialogue in `corpus` and of the utterance in it."""
    ids = [str(i) for i in corpus.ids]
    if arguments.dialogue not in ids:
        raise InputError(f"--dialogue {arguments.dialogue}: not in {corpus.name}, which has {ids[0]} to {ids[-1]}")
    dialogue = ids.index(arguments.dialogue)
    numbers = list(range(1, corpus.lengths[dialogue] + 1))
    if corpus.numbers is not None:
        numbers = corpus.numbers[corpus.offset[dialogue] : corpus.offset[dialogue + 1]].tolist()
    if arguments.utterance not in numbers:
        gaps = "" if len(numbers) == numbers[-1] - numbers[0] + 1 else ", with gaps"
        raise InputError(f"--utterance {arguments.utterance}: the dialogue has {numbers[0]} to {numbers[-1]}{gaps}")
    return dialogue, numbers.index(arguments.utterance)
