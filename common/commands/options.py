"""Options that commands share, and paths as they are printed."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.commands.parser import option_name
from common.errors import InputError
from common.settings import DEFAULT_DATA, PARTS, NetworkSettings, words

if TYPE_CHECKING:
    from common.features.extract import Workers

BACKENDS = ("processes", "dask")


def add_common_options(parser: argparse.ArgumentParser, data: str) -> None:
    """The options of all commands that run a network. `data`: what lies in the data folder, such as "meld/"."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help=f"folder that holds {data} with the feature files, or your own conversations as `python -m common build` "
        "writes them (default: data/ of the repository)",
    )
    parser.add_argument(
        "--synthetic", action="store_true", help="use generated conversations instead of the feature files"
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="auto (CUDA where there is one, else CPU), cpu, cuda, cuda:N or mps (default: auto)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist already")


def add_worker_options(parser: argparse.ArgumentParser, what: str, per_gpu: str = "one") -> None:
    """The device of workers, and where they are; `what` one of their tasks is called, `per_gpu`: see below."""
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="as in the scripts (default: auto)")
    add_jobs_option(parser, what, per_gpu)
    parser.add_argument(
        "--backend", choices=BACKENDS, default=BACKENDS[0], help="processes here, or a cluster (default: processes)"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, such as tcp://10.0.0.1:8786")


def add_jobs_option(parser: argparse.ArgumentParser, what: str, per_gpu: str = "one") -> None:
    """How many tasks go at a time; `what` one of them is called, `per_gpu` how many of them one GPU gets by default."""
    help = f"{what}s at a time (default: as cores and memory allow, or {per_gpu} per GPU)"
    parser.add_argument("--jobs", type=int, metavar="N", help=help)


def check_workers(arguments: argparse.Namespace) -> None:
    """Raises InputError where the options of workers do not hold together."""
    if arguments.jobs is not None and arguments.jobs < 1:
        raise InputError(f"--jobs: found {arguments.jobs}; expected a whole number from 1")
    if "backend" in arguments and (arguments.backend == "dask") != (arguments.scheduler is not None):
        raise InputError("--backend dask and --scheduler ADDRESS go together; give both or neither")


def workers_of(arguments: argparse.Namespace) -> "Workers":
    """Where features are made, as the options of workers say."""
    from common.features.extract import GIB, Workers
    from common.workers.spread import default_jobs

    jobs = arguments.jobs or default_jobs(arguments.device, 1, GIB)
    return Workers(arguments.backend or BACKENDS[0], jobs, 1, arguments.scheduler)


def add_checkpoint_options(parser: argparse.ArgumentParser, nargs: str | None, help: str) -> None:
    """Which checkpoints (`nargs`: how many, see argparse), and classes for such that do not know theirs."""
    parser.add_argument("--checkpoints", type=Path, nargs=nargs, metavar="FILE", help=help)
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="the classes of a checkpoint without the settings of its training, in its order (default: as it says)",
    )


def add_options(parser: argparse.ArgumentParser, kind: type[NetworkSettings], values: dict[str, Any] | None) -> None:
    """Give `parser` an option for each hyperparameter of `kind`; only for those in `values`, which holds the defaults,
    unless that is None.
    """
    group = parser.add_argument_group("hyperparameters (defaults stand at the top of the script)")
    for f in fields(kind):
        if values is not None and f.name not in values:
            continue
        option, text = option_name(f.name), f.metadata["help"]
        text += f" (default: {words(values[f.name])})" if values is not None else ""
        how: dict[str, Any]
        if f.type is bool:
            how = {"action": argparse.BooleanOptionalAction}
        elif f.name == "seeds":
            how = {"type": int, "nargs": "+", "metavar": "SEED"}
        elif f.name == "without":
            how = {"nargs": "*", "choices": PARTS, "metavar": "PART"}
            text = text.replace("(Table 4)", f"(Table 4), of {', '.join(PARTS)}")
        else:
            how = {"type": f.type, "choices": f.metadata["choices"]}
            if not how["choices"]:
                how["metavar"] = "FLOAT" if f.type is float else "INT"
        group.add_argument(option, default=argparse.SUPPRESS, help=text.replace("%", "%%"), **how)


def given_options(arguments: argparse.Namespace, kind: type[NetworkSettings]) -> dict[str, Any]:
    """The hyperparameters of `kind` that were given on the command line, as a dict."""
    return {f.name: getattr(arguments, f.name) for f in fields(kind) if hasattr(arguments, f.name)}


def short_path(path: str | Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
