"""One utterance in the manner of Figures 4 and 5: its history, what the gates let through, which causes it looked at.

`python -m common case-study --dataset IEMOCAP --dialogue ID --utterance K` draws it, as PNG and SVG. Darkness
is weight, and the number stands in it.
"""

import runpy
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from common.batching.batches import Batches
from common.commands.checkpoints import find_checkpoints, trained_settings
from common.commands.conversations import corpus_of, own_corpus
from common.commands.options import script_parser, short_path
from common.data import DATASETS
from common.data.corpus import SPLITS
from common.environment import choose_device
from common.errors import InputError
from common.network.explain import explain
from common.release.checkpoint import load_released
from common.reporting.analysis import checkpoint_analysis, conversations
from common.reporting.figures import save_figure
from common.settings import EvaluationSettings, add_options, given_options
from common.training.run import build_network

RECENT = 12  # earlier turns that are shown one by one
_LEFT, _CELL, _WORDS = 9.0, 1.2, 84  # where weights begin, their width, and letters of a turn in a line


def case_figure(
    dialogue: dict[str, Any], turn: int, found: dict[str, Any], attention: dict, mean: dict[str, float], about: dict
) -> Figure:
    """The picture of turn `turn`, from 0, of a `dialogue` as `conversations` makes it.

    `found`: the entry of the turn in `turns` of `checkpoint_analysis`; `attention`: that of the dialogue; `mean`: its
    `gate_mean`. `about`: `title`, `classes`, `modalities`, `routes`.
    """
    turns, routes, modalities, classes = dialogue["turns"], about["routes"], about["modalities"], about["classes"]
    first = max(0, turn - RECENT)
    width = _LEFT + _CELL * max(len(routes), len(modalities)) + 0.1
    figure = Figure(layout="constrained")
    axes = figure.add_subplot(xlim=(0, width))
    axes.axis("off")
    axes.set_title(about["title"], loc="left", fontsize=11)
    _heads(axes, -0.6, "Which earlier turns each route looked at, mean over heads", routes)
    y = 0
    if first:
        _say(axes, y, f"turns 1 to {first}, together")
        for k, route in enumerate(routes):
            weights = attention[route][turn]
            _weight(axes, k, y, None if weights is None else sum(weights[:first]))
        y += 1
    for at in range(first, turn + 1):
        spoken = turns[at]
        gold = f"  [{classes[spoken['label']]}]" if spoken["label"] >= 0 else ""
        sentence = textwrap.shorten(spoken["sentence"], _WORDS - len(gold), placeholder=" …")
        _say(axes, y, f"{at + 1}  {spoken['speaker']}: {sentence}{gold}", weight="bold" if at == turn else "normal")
        for k, route in enumerate(routes):
            weights = attention[route][turn]
            own = at == turn and not route.startswith("self_event")
            if weights is None and own:
                axes.text(_LEFT + _CELL * (k + 0.5), y + 0.5, "no history", ha="center", va="center", fontsize=7.5)
            elif weights is not None and not own:
                _weight(axes, k, y, weights[at])
        y += 1
    for words, names, gates, drops in (
        ("candidate", routes, found["route_gates"], found["route_drop"]),
        ("modality", modalities, found["gates"], found["drop"]),
    ):
        y += 1.4
        what = "Feature gate" if names is routes else "Evidence gate"
        _heads(axes, y - 0.4, f"{what}, mean over the vector (below: average over the split)", names)
        for k, (name, gate) in enumerate(zip(names, gates, strict=True)):
            _weight(axes, k, y, gate)
            axes.text(_LEFT + _CELL * (k + 0.5), y + 1.4, f"{mean[name]:.2f}", ha="center", va="center", fontsize=8)
            axes.text(_LEFT + _CELL * (k + 0.5), y + 2.1, f"{drops[k]:+.2f}", ha="center", va="center", fontsize=8)
        _say(axes, y + 0.9, "average")
        _say(axes, y + 1.6, f"log-probability of the prediction lost without the {words}, nats")
        y += 2.4
    y += 0.4
    _heads(axes, y + 0.1, "Probabilities", [])
    gold, predicted = turns[turn]["label"], int(np.argmax(found["probability"]))
    for k, (name, probability) in enumerate(zip(classes, found["probability"], strict=True)):
        y += 0.55
        marks = [word for word, at in (("true", gold), ("predicted", predicted)) if at == k]
        axes.text(2.4, y + 0.3, name, ha="right", va="center", fontsize=8.5, weight="bold" if marks else "normal")
        axes.add_patch(Rectangle((2.6, y + 0.08), 4.6 * probability, 0.42, color="0.25"))
        words = f"{probability:.2f}  {' and '.join(marks)}"
        axes.text(2.75 + 4.6 * probability, y + 0.3, words, va="center", fontsize=8.5)
    axes.set_ylim(y + 1, -1.5)
    figure.set_size_inches(0.72 * width, 0.36 * (y + 2.5))
    return figure


def _say(axes: Axes, y, words, **style):
    axes.text(0, y + 0.5, words, va="center", fontsize=8.5, **style)


def _heads(axes, y, words, names):
    axes.text(0, y, words, va="center", fontsize=8.5, style="italic")
    for k, name in enumerate(names):
        axes.text(_LEFT + _CELL * (k + 0.5), y, name.replace("_", "\n"), ha="center", va="center", fontsize=7.5)


def _weight(axes, k, y, value):
    """A cell as dark as `value`, from 0 to 1, with the number in it, empty for 0; nothing for None."""
    if value is None:
        return
    color = colormaps["Greys"](0.9 * value)
    axes.add_patch(Rectangle((_LEFT + _CELL * k + 0.05, y + 0.06), _CELL - 0.1, 0.88, facecolor=color, edgecolor="0.6"))
    ink = "white" if value > 0.6 else "black"
    text = f"{value:.2f}" if value else ""
    axes.text(_LEFT + _CELL * (k + 0.5), y + 0.5, text, ha="center", va="center", fontsize=8, color=ink)


def main() -> None:
    """Draw a case as the command line says."""
    parser = script_parser("IEMOCAP or MELD", __doc__.split("\n")[0])
    parser.prog = "python -m common case-study"
    parser.add_argument("--dataset", choices=sorted(DATASETS), required=True)
    parser.add_argument("--dialogue", required=True, metavar="ID", help="id of the dialogue, in any split")
    parser.add_argument("--utterance", type=int, required=True, metavar="K", help="its number in it, from 1")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="(default: the first that inference.py takes)")
    parser.add_argument(
        "--output", type=Path, default=Path("case"), metavar="FILE", help="without its ending (default: case)"
    )
    folder = Path(__file__).resolve().parents[2]
    options = parser.parse_known_args()[0]
    hyperparameters = runpy.run_path(str(folder / options.dataset / "inference.py"))["HYPERPARAMETERS"]
    add_options(parser, EvaluationSettings, hyperparameters)
    arguments = parser.parse_args()
    for ending in (".png", ".svg"):
        target = arguments.output.with_suffix(ending)
        if target.exists() and not arguments.overwrite:
            raise InputError(f"--output {target}: exists already; choose another name, or --overwrite")
    device, own = choose_device(arguments.device), own_corpus(arguments)
    name = own.name if own else arguments.dataset
    given = [arguments.checkpoint] if arguments.checkpoint else None
    checkpoints, _ = find_checkpoints(given, folder / arguments.dataset, name, arguments.synthetic)
    checkpoint, path = next(iter(checkpoints.items()))
    options = given_options(arguments, EvaluationSettings)
    settings, classes, _ = trained_settings(name, {checkpoint: path}, hyperparameters, options, arguments.synthetic)
    corpus, _ = corpus_of(arguments.dataset, arguments, settings.labels, own)
    corpus = corpus.with_classes(classes or DATASETS[arguments.dataset].CLASSES) if own else corpus

    ids = [str(i) for i in corpus.ids]
    if arguments.dialogue not in ids:
        raise InputError(f"--dialogue {arguments.dialogue}: not in {corpus.name}, which has {ids[0]} to {ids[-1]}")
    dialogue = ids.index(arguments.dialogue)
    if not 1 <= arguments.utterance <= corpus.lengths[dialogue]:
        raise InputError(f"--utterance {arguments.utterance}: the dialogue has 1 to {corpus.lengths[dialogue]}")
    split = next(split for split in SPLITS if dialogue in corpus.splits[split])
    at, turn = corpus.splits[split].index(dialogue), arguments.utterance - 1

    network = build_network(settings, corpus)
    load_released(network, path)
    explanation = explain(network.to(device), Batches(corpus, split, settings.batch_size, device))
    analysis = checkpoint_analysis(checkpoint, corpus, split, settings, explanation, None, "")
    title = f"{corpus.name}, dialogue {arguments.dialogue}, turn {arguments.utterance} ({split}; {checkpoint})"
    about = {"title": title, "classes": corpus.classes}
    about |= {"modalities": settings.modalities_in_use, "routes": settings.routes}
    found = analysis["turns"][int(corpus.offset[dialogue]) - int(corpus.rows(split)[0]) + turn]
    figure = case_figure(
        conversations(corpus, split)[at], turn, found, analysis["attention"][at], analysis["gate_mean"], about
    )
    print(f"wrote {' and '.join(short_path(path) for path in save_figure(figure, arguments.output))}")
