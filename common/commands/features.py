"""Makes features of your own conversations: text, sound and pictures become a dataset for the scripts.

Conversations come from MELD or IEMOCAP as they are distributed, from a CSV file, or from lines `Name: sentence`.
What was made is kept per utterance in DIR/work: an interrupted command resumes, and another option makes only what it
touches. What an utterance lacks stands in DIR/missing.csv, how all was made in DIR/recipe.yaml. See docs/features.md.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from common.commands.options import add_worker_options, check_workers, workers_of
from common.commands.parser import OneLineParser, say
from common.errors import InputError

if TYPE_CHECKING:
    from common.features.choices import Choices
    from common.features.sources.source import Source
    from common.features.text.tuned import Tuning

TUNE = {"tune_epochs": "epochs", "tune_rate": "learning_rate", "tune_batch": "batch_size", "tune_seed": "seed"}
OPENSMILE = "openSMILE's licence is for research that is not commercial"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A subcommand for each source, all with the same options."""
    sources = parser.add_subparsers(required=True, metavar="SOURCE", parser_class=OneLineParser, dest="source")

    meld = sources.add_parser("meld", help="MELD: its CSV files, and clips dia*_utt*.mp4", allow_abbrev=False)
    meld.add_argument("path", type=Path, metavar="RAW", help="folder that holds both, wherever in it")

    iemocap = sources.add_parser("iemocap", help="IEMOCAP_full_release", allow_abbrev=False)
    iemocap.add_argument("path", type=Path, metavar="RAW", help="folder of Session1 to Session5")
    iemocap.add_argument(
        "--like", type=Path, metavar="FILE.pkl", help="take utterances, splits and labels of this published pickle"
    )
    iemocap.add_argument("--swap-actors", action="store_true", help="the actor named by the dialogue is on the right")

    table = sources.add_parser("csv", help="a CSV file, a row per utterance", allow_abbrev=False)
    table.add_argument("path", type=Path, metavar="FILE", help="columns as for `build`, and audio, video, start, end")
    table.add_argument("--media", type=Path, metavar="FILE", help="sound or video of all rows that name none")

    talk = sources.add_parser("talk", help="a text of lines `Name: sentence`", allow_abbrev=False)
    talk.add_argument("path", type=Path, metavar="FILE", help="the text")

    for source in (meld, iemocap, table, talk):
        source.add_argument("--output", type=Path, required=True, metavar="DIR", help="for --data-dir of the scripts")
        source.add_argument("--name", help="of the dataset (default: that of the folder)")
        source.add_argument("--overwrite", action="store_true", help="replace the dataset that DIR holds already")
        _add_models(source)
        _add_tuning(source)
        add_worker_options(source, "task")


def _add_models(parser):
    group = parser.add_argument_group("models: names on the Hugging Face hub, or local folders; none leaves one out")
    group.add_argument("--text-model", default="roberta-large", metavar="MODEL", help="encoder (default: %(default)s)")
    group.add_argument("--text-layer", type=int, default=-1, metavar="L", help="-1, the last, to -4 (default: -1)")
    group.add_argument("--text-revision", metavar="COMMIT", help="of the hub's model (default: the newest)")
    group.add_argument(
        "--event-model",
        default="sentence-transformers/all-roberta-large-v1",
        metavar="MODEL",
        help="of sentence-transformers, for the semantic features (default: %(default)s)",
    )
    group.add_argument("--event-revision", metavar="COMMIT", help="of the hub's model (default: the newest)")
    group.add_argument(
        "--audio-model",
        default="none",
        metavar="MODEL",
        help=f"wav2vec2, HuBERT, Whisper or the like; or is10: {OPENSMILE} (default: none)",
    )
    group.add_argument("--audio-revision", metavar="COMMIT", help="of the hub's model (default: the newest)")
    group.add_argument(
        "--visual-model", default="none", metavar="FILE", help=".onnx, or weights of our DenseNet (default: none)"
    )
    group.add_argument(
        "--visual-pixels", default="0-255", metavar="RANGE", help="that the .onnx takes (default: 0-255)"
    )
    group.add_argument(
        "--face-model", default="haar", metavar="FILE", help="YuNet's .onnx (default: haar, OpenCV's cascade)"
    )
    group.add_argument("--fps", type=float, default=2.0, metavar="N", help="pictures a second (default: 2)")


def _add_tuning(parser):
    group = parser.add_argument_group("fine-tuning of the text encoder on the labels of split train")
    group.add_argument("--tune", action="store_true", help="fine-tune it first; validation selects the epoch")
    group.add_argument(
        "--folds",
        type=int,
        default=0,
        metavar="K",
        help="tune K times more, each without a part of train, whose features it then makes (default: 0)",
    )
    add = partial(group.add_argument, default=argparse.SUPPRESS)
    add("--tune-epochs", type=int, metavar="N", help="at most (default: 10)")
    add("--tune-rate", type=float, metavar="X", help="learning rate (default: 1e-5)")
    add("--tune-batch", type=int, metavar="N", help="utterances (default: 32)")
    add("--tune-seed", type=int, metavar="SEED", help="(default: 1)")


def run(arguments: argparse.Namespace) -> None:
    """Make the dataset and say what it holds."""
    check_workers(arguments)
    _check_tuning(arguments)
    from common.files import folder_for, locked

    output = arguments.output.resolve()
    if output.is_file():
        raise InputError(f"--output {arguments.output}: is a file; expected a folder, or nothing")
    taken = f"--output {arguments.output}: another command makes features there; wait, or choose another folder"
    with folder_for(output), locked(output / ".lock", taken):
        try:
            _make(arguments, output)
        except KeyboardInterrupt as stop:
            stop.args = ("what is made is kept; the same command resumes",)
            raise


def _make(arguments, output):
    from common.commands.build import counts
    from common.environment import choose_device
    from common.features.make import make_dataset

    tuning = _tuning(arguments)
    source = read_source(arguments)
    say("\n".join([f"{source.name}: {len(source.table):,} utterances", *source.notes]))
    choices = choices_from(arguments)
    name = arguments.name or output.name
    device = choose_device(arguments.device)
    made = make_dataset(
        name,
        source,
        choices,
        tuning,
        output,
        device=str(device),
        workers=workers_of(arguments),
        overwrite=arguments.overwrite,
        say=say,
    )
    say("\n".join([f"{made.corpus.describe()}; {len(made.corpus.speakers)} speakers", *counts(made.corpus)]))
    if made.missing:
        kinds = ", ".join(f"{n} {kind}" for kind, n in made.counted().items())
        say(f"Missing, as missing.csv lists with reasons: {kinds}.")
    say(f"Wrote {arguments.output}; give --data-dir {arguments.output} to the scripts.")
    if made.problems:
        raise InputError(
            f"{len(made.problems)} utterances could not be done and have zeros; the same command with --overwrite tries"
            f" again; the first: {made.problems[0]}"
        )


def _check_tuning(arguments):
    """Raises InputError for options of a tuning that is not asked for."""
    given = [f"--{name.replace('_', '-')}" for name in TUNE if name in arguments]
    if arguments.folds and not arguments.tune:
        raise InputError("--folds goes with --tune: only a tuned encoder has seen labels; give both, or neither")
    if given and not arguments.tune:
        raise InputError(f"{given[0]} goes with --tune, and does nothing without; give both, or neither")


def _tuning(arguments) -> "Tuning | None":
    """How the text encoder is to be tuned, or None."""
    from common.features.text.tune import TuneSettings
    from common.features.text.tuned import Tuning

    if not arguments.tune:
        return None
    given = {name: getattr(arguments, option) for option, name in TUNE.items() if option in arguments}
    return Tuning(TuneSettings(**given), arguments.folds)


def read_source(arguments: argparse.Namespace) -> "Source":
    """The conversations that the command line names."""
    if arguments.source == "meld":
        from common.features.sources import meld

        return meld.read(arguments.path)
    if arguments.source == "iemocap":
        from common.features.sources import iemocap

        return iemocap.read(arguments.path, arguments.like, arguments.swap_actors)
    if arguments.source == "csv":
        from common.features.sources import table

        return table.read(arguments.path, arguments.media)
    from common.features.sources import talk

    return talk.read(arguments.path)


def choices_from(arguments: argparse.Namespace) -> "Choices":
    """The models that the command line names."""
    from dataclasses import fields

    from common.features.choices import Choices

    return Choices(**{f.name: getattr(arguments, f.name) for f in fields(Choices)})
