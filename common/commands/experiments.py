"""Trains and reports the tables of the paper.

`run` trains what they need, `plan` lists it, `report` makes them, `compare` shows two results side by side.
"""

import argparse
from pathlib import Path

from common.commands.options import add_jobs_option, add_worker_options, check_workers
from common.commands.parser import OneLineParser, say
from common.errors import InputError
from common.experiments.variants import TABLES
from common.settings import DATASET_NAMES, DEFAULT_DATA
from common.terminal import columns, fitted, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands and their arguments."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=OneLineParser)

    train = commands.add_parser("run", help="train what the tables need and is not finished", allow_abbrev=False)
    _add_choice(train)
    add_worker_options(train, "run", per_gpu="six")
    train.set_defaults(command=_run)

    plan = commands.add_parser("plan", help="list the runs, which are finished, and the time left", allow_abbrev=False)
    _add_choice(plan)
    add_jobs_option(plan, "run", per_gpu="six")
    plan.set_defaults(command=_plan, device="auto")

    report = commands.add_parser("report", help="write the tables, into DIR/report", allow_abbrev=False)
    report.add_argument("sweep", type=Path, metavar="DIR", help="folder of the sweep; replaces an older report")
    report.set_defaults(command=_report)

    pair = commands.add_parser("compare", help="two results side by side, with a paired test", allow_abbrev=False)
    for name in ("a", "b"):
        pair.add_argument(name, metavar=name.upper(), help="folder of a run, or with seed_* folders; or paper")
    pair.set_defaults(command=_compare)


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand."""
    arguments.command(arguments)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that say which runs are meant."""
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the sweep")
    parser.add_argument("--datasets", nargs="+", choices=DATASET_NAMES, default=list(DATASET_NAMES), metavar="NAME")
    parser.add_argument(
        "--tables", nargs="+", choices=list(TABLES), default=list(TABLES), metavar="TABLE", help=", ".join(TABLES)
    )
    parser.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="(default: those of train.py)")
    parser.add_argument("--epochs", type=int, metavar="N", help="at most so many epochs (default: those of train.py)")
    parser.add_argument("--data-dir", type=Path, default=DEFAULT_DATA, metavar="DIR", help="as in the scripts")
    parser.add_argument("--synthetic", action="store_true", help="use generated conversations")


def _chosen(arguments):
    """The runs that are meant, those of them that are finished, and the data."""
    from common.data.load import load_corpus
    from common.experiments.sweep import Data, check_finished, planned
    from common.experiments.workers import GIB, ON_GPU
    from common.reporting.paper import paper_scores
    from common.workers.spread import default_jobs

    runs = planned(arguments.datasets, arguments.tables, arguments.seeds, arguments.epochs)
    if not runs:
        raise InputError(f"--tables {' '.join(arguments.tables)}: not of {' '.join(arguments.datasets)}")
    check_workers(arguments)
    threads = max(run.settings.threads for run in runs)
    jobs = arguments.jobs or default_jobs(arguments.device, threads, GIB, ON_GPU)
    folder = arguments.data_dir.resolve()
    sha256, about = {}, {}
    for dataset in dict.fromkeys(run.dataset for run in runs):
        corpus, origin = load_corpus(dataset, folder, synthetic=arguments.synthetic)
        sha256[dataset] = corpus.sources
        about[dataset] = {"description": corpus.describe(), "unlike_paper": paper_scores(corpus, "test")[1]}
        say(f"{corpus.describe()}\nfrom {origin}")
    data = Data(str(folder), arguments.synthetic, sha256)
    finished = [run for run in runs if check_finished(run, arguments.output, data)]
    return runs, finished, data, jobs, about


def _run(arguments):
    check_workers(arguments)
    from common.experiments.report import write_about
    from common.experiments.sweep import remove_parts
    from common.experiments.workers import train_all
    from common.files import folder_for, locked

    output = arguments.output.resolve()
    taken = f"--output {arguments.output}: another sweep writes to it; wait, or use another"
    with folder_for(output), locked(output / ".lock", taken):
        remove_parts(output)
        runs, finished, data, jobs, about = _chosen(arguments)
        write_about(output, about)
        pending = [run for run in runs if run not in finished]
        say(f"{len(runs)} runs, {len(finished)} finished; {jobs} at a time into {arguments.output}")
        try:
            problems = train_all(
                pending,
                finished,
                output,
                data,
                device=arguments.device,
                backend=arguments.backend,
                jobs=jobs,
                scheduler=arguments.scheduler,
            )
        except KeyboardInterrupt as stop:
            stop.args = ("finished runs are kept; the same command resumes",)
            raise
        finally:
            remove_parts(output)
        if problems:
            raise InputError(
                f"{len(problems)} of {len(runs)} runs could not be done, the others are kept; the same command tries "
                f"again; the first: {problems[0]}"
            )
        say(f"All {len(runs)} runs are finished; next: python -m common experiments report {arguments.output}")


def _plan(arguments):
    from common.experiments.sweep import seconds_left
    from common.experiments.workers import in_words

    runs, finished, _, jobs, _ = _chosen(arguments)
    for run in runs:
        show(f"{'done' if run in finished else '-':>4}  {run.name}")
    pending = [run for run in runs if run not in finished]
    left = in_words(seconds_left(finished, pending, arguments.output, jobs))
    show(f"{len(runs)} runs, {len(finished)} finished; {left} left with {jobs} at a time")


def _report(arguments):
    from common.experiments.report import write_report

    show(f"wrote {write_report(arguments.sweep)}")


def _compare(arguments):
    from common.experiments.compare import compare

    compared, most = compare(arguments.a, arguments.b), columns()
    print(compared.markdown() if most is None else fitted(compared.text(most), most))
