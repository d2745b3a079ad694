"""Says the emotions of a conversation of your own, by the networks of a run.

A conversation is a text of lines `Name: sentence`, a CSV file as for `features csv`, or sound or video with such a
file. Its features are made as those of the data were that the run was trained on, by the recipe.yaml beside them. With
--live, lines `Name: sentence` are read from standard input and answered at once; --- begins another conversation.
Without --jobs and --backend, features are made in this process, which is quickest for a talk.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from common.commands.options import add_worker_options, check_workers, short_path, workers_of
from common.commands.parser import say
from common.errors import InputError
from common.terminal import columns, show

if TYPE_CHECKING:
    from common.features.extract import Workers
    from common.features.sources.source import Source
    from common.prediction.predict import Prediction
    from common.prediction.run import Run

TABLES = (".csv", ".tsv")
RECORDINGS = (
    *(".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff"),
    *(".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"),
)
MOST = 20  # utterances that are listed by name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is predicted, by which run, and where it goes."""
    parser.add_argument(
        "talk",
        type=Path,
        nargs="?",
        metavar="TALK",
        help="text of lines `Name: sentence`, .csv, .tsv, sound or video",
    )
    parser.add_argument(
        "--run", type=Path, required=True, metavar="RUN", help="folder of a run of train.py, or one of its checkpoints"
    )
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where the data of the run lie now (default: as the run says)"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="for TALK that is sound or video: its utterances, with start and end"
    )
    parser.add_argument("--live", action="store_true", help="answer lines of standard input at once; without TALK")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write all probabilities, as .csv or .json")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write a page about it, DIR/report.html, and its numbers, .json"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output and report that are there")
    add_worker_options(parser, "task")
    parser.set_defaults(backend=None)


def run(arguments: argparse.Namespace) -> None:
    """Predict as the command line says."""
    check_workers(arguments)
    _check_choices(arguments)
    if arguments.live:
        from common.commands.predict_live import answer_lines

        answer_lines(arguments.run, arguments.data_dir, arguments.device)
        return
    import tempfile

    from common.commands.report import report_path
    from common.environment import allow_tf32, choose_device, keep_memory
    from common.prediction.predict import check_labels, predict
    from common.prediction.run import open_run

    page = report_path(arguments.report, arguments.overwrite) if arguments.report else None
    if arguments.output:
        _check_output(arguments.output, arguments.overwrite, [arguments.talk, arguments.csv])
    device = choose_device(arguments.device)
    source = _source(arguments.talk, arguments.csv)
    known = open_run(arguments.run, arguments.data_dir, device)
    check_labels(source, known.network.classes)
    for note in filter(None, [*source.notes, *known.notes, known.members()]):
        tell(note)
    allow_tf32(known.network.settings.precision)
    keep_memory()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        prediction = predict(known, source, _workers(arguments), Path(folder), tell)
        _show(prediction, arguments.output)
        if page:
            _report(known, prediction, page)
    if prediction.problems:
        raise InputError(
            f"{len(prediction.problems)} utterances could not be done and have zeros; the first: "
            f"{prediction.problems[0]}; run the same command again"
        )


def tell(line: str) -> None:
    """A line beside the table, which goes to standard output by itself."""
    show(line, sys.stderr)


def _check_choices(arguments):
    """Raises InputError where options do not hold together."""
    talk, table = arguments.talk, arguments.csv
    if arguments.live:
        names = ("talk", "csv", "output", "report", "jobs", "backend")
        given = [name for name in names if getattr(arguments, name) is not None]
        if given:
            what = "TALK" if given[0] == "talk" else f"--{given[0]}"
            raise InputError(f"--live reads lines from standard input, and answers them there; leave out {what}")
        return
    if talk is None:
        raise InputError("give TALK, the conversation: a text, a CSV file, sound or video; or --live; see --help")
    if talk.suffix.casefold() in RECORDINGS and table is None:
        raise InputError(
            f"{talk}: sound or video alone; expected --csv FILE beside it, a row per utterance: speaker, start and end "
            "in seconds, and the sentence if there is one"
        )
    if table is not None and talk.suffix.casefold() not in RECORDINGS:
        raise InputError(f"--csv goes with sound or video; {talk} is none by its ending; leave it out")


def _check_output(path, overwrite, inputs):
    """Raises InputError where `path` could not be written after the work, or is one of the `inputs`."""
    from common.files import require_writable
    from common.prediction.table import FORMATS

    where = f"--output {path}"
    if path.is_dir():
        raise InputError(f"{where}: found a folder; expected the name of a file, such as emotions.csv")
    if path.suffix.casefold() not in FORMATS:
        raise InputError(f"{where}: found the ending {path.suffix!r}; expected {' or '.join(FORMATS)}")
    if any(each and path.resolve() == each.resolve() for each in inputs):
        raise InputError(f"{where}: is what is read; choose another name")
    if path.exists() and not overwrite:
        raise InputError(f"{where}: exists already; choose another name, or --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"{where}: there is no folder {path.parent}; create it, or choose another")
    require_writable(path.parent, where)


def _source(talk: Path, table: Path | None) -> "Source":
    """The conversations in `talk`, whose rows stand in `table` where it is sound or video."""
    from common.features.sources import table as tables
    from common.features.sources import talk as talks

    if table is not None:
        if not talk.is_file():
            raise InputError(f"{talk}: no such file; expected the sound or video of {table}")
        return tables.read(table, talk)
    return tables.read(talk) if talk.suffix.casefold() in TABLES else talks.read(talk)


def _workers(arguments) -> "Workers":
    """In this process, unless the command line asks for others."""
    from common.features.extract import Workers

    return Workers() if arguments.backend is None and arguments.jobs is None else workers_of(arguments)


def _show(prediction: "Prediction", output: Path | None) -> None:
    """Write the file, then print what is missing, the table and scores."""
    from common.evaluation.metrics import scores
    from common.prediction.emotions import absent_note
    from common.prediction.table import lines_of, rows_of, write

    if output:
        write(prediction, output)
    if prediction.absent:
        tell(absent_note(prediction.absent))
    listed = [
        f"Missing: dialogue {row['dialogue']!r}, utterance {row['utterance']}: {modality} ({reason})"
        for row in (rows_of(prediction) if any(prediction.lacks) else ())
        for modality, reason in row["missing"].items()
        if modality not in prediction.absent
    ]
    for line in listed[:MOST]:
        tell(line)
    if len(listed) > MOST:
        tell(f"… and {len(listed) - MOST:,} more are missing{', as the output says' if output else ''}.")
    say("\n".join(lines_of(rows_of(prediction), columns())))
    corpus = prediction.corpus
    known = int((corpus.label >= 0).sum())
    if known:
        found = scores(corpus.label, prediction.probability.argmax(1), corpus.classes)
        say(f"\nAccuracy {found['accuracy']:.2f}, weighted F1 {found['wf1']:.2f} ({known:,} utterances with a label).")
    if output:
        tell(f"All probabilities are in {short_path(output)}.")


def _report(known: "Run", prediction: "Prediction", page: Path) -> None:
    """Write the report: what inference.py says of checkpoints, for this conversation."""
    from dataclasses import replace
    from typing import cast

    from common.commands.report import Report
    from common.settings import EvaluationSettings

    settings = replace(cast(EvaluationSettings, known.network.settings), batch_size=1)  # each conversation by itself
    report = Report(page, prediction.corpus, "test", settings, known.device, False)
    networks = zip(known.checkpoints.items(), known.networks, prediction.log_probs, strict=True)
    for (name, checkpoint), network, log_prob in networks:
        report.add(name, checkpoint, network, log_prob)
    report.write(list(prediction.log_probs), None, "")
    tell(f"The report is {short_path(page)}.")
