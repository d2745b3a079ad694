"""What the train and inference scripts share: common options, and where things lie."""

from pathlib import Path

from common.data.load import DEFAULT_DATA
from common.settings import OneLineParser


def script_parser(dataset: str, description: str) -> OneLineParser:
    """A parser with the options that all scripts have."""
    parser = OneLineParser(description=description, allow_abbrev=False)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help=f"folder that holds {dataset.lower()}/ with the feature files, or own conversations as python -m "
        "common.commands.build writes them (default: data/ of the repository)",
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
    parser.add_argument("--overwrite", action="store_true", help="replace results that are already there")
    return parser


def short_path(path: str | Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
