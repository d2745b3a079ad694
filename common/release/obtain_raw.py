"""Downloads what the features of a dataset are made of, as far as it is public: the three CSV files of MELD."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from common.data.meld_csv import ROWS, file_of, read_split
from common.errors import InputError
from common.files import HEAD, mistaken_for
from common.release.download import from_url
from common.release.obtain import Wanted, bring, check_present, receive_to
from common.settings import DEFAULT_DATA

FOLDER = "meld_raw"
SERVER = "https://raw.githubusercontent.com"
MIRROR = "ECERC_GITHUB"  # of SERVER, in the environment
_PATH = "declare-lab/MELD/master/data/MELD"
_PAGE = "github.com/declare-lab/MELD/blob/master/data/MELD"


def obtain_texts(datasets: Sequence[str], data_dir: str | Path = DEFAULT_DATA) -> None:
    """Download the CSV files of MELD that are missing to `data_dir`/meld_raw, as `obtain` does.

    A file is MELD's when it has its columns, and as many rows as were published. Raises InputError as `obtain`, and for
    other datasets.
    """
    others = [dataset for dataset in datasets if dataset != "MELD"]
    if others:
        raise InputError(f"{others[0]}: its texts are not public; ask its authors for the corpus (docs/features.md)")
    server = (os.environ.get(MIRROR) or SERVER).rstrip("/")
    files = []
    for theirs in ROWS:
        target = Path(data_dir) / FOLDER / file_of(theirs)
        mistaken = partial(_mistaken, theirs)
        present = partial(check_present, target, None, mistaken)
        download = partial(_download, target, f"{server}/{_PATH}/{target.name}", mistaken)
        files.append(Wanted(target, f"{_PAGE}/{target.name}", present, download))
    bring(files)


def _download(target, url, mistaken):
    def receive(folder):
        return *from_url(url, folder / target.name, url.split("/")[2]), None

    receive_to(target, receive, mistaken)
    return check_present(target, None, mistaken)


def _mistaken(theirs, path):
    """What `path` is instead of MELD's CSV file, in words; None where it is that."""
    with open(path, "rb") as file:
        if instead := mistaken_for(file.read(HEAD)):
            return instead
    try:
        rows = len(read_split(path, theirs))
    except InputError as error:
        return f"another file ({str(error).replace(str(path), path.name)})"
    return None if rows == ROWS[theirs] else f"a file of {rows:,} rows (MELD's has {ROWS[theirs]:,})"
