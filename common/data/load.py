"""The Corpus of a dataset: the released files in a data folder, or synthetic conversations."""

from pathlib import Path

from common.data import DATASETS
from common.data.cache import cached
from common.data.corpus import Corpus
from common.data.synthetic import synthetic_corpus
from common.errors import InputError
from common.settings import DEFAULT_DATA

PACKED = {".gz": "gunzip", ".bz2": "bunzip2", ".xz": "unxz", ".zst": "unzstd", ".zip": "unzip", ".7z": "7z x"}
_LINKS = "https://drive.google.com/drive/folders/1DGoPEBvMgMOge7u20wjKn6slYe4awyQi"


def load_corpus(
    dataset: str, data_dir: str | Path = DEFAULT_DATA, *, synthetic: bool = False, labels: str = "emotion"
) -> tuple[Corpus, str]:
    """The Corpus of `dataset` ('IEMOCAP' or 'MELD'), and where it came from in words.

    `data_dir` holds `iemocap/` and `meld/`. Raises InputError for missing files, listing them, and for files that
    do not hold together.
    """
    module = DATASETS[dataset]
    if synthetic:
        corpus, origin = synthetic_corpus(dataset), "synthetic conversations"
    else:
        require_files(dataset, data_dir)
        corpus, origin = cached(module.read, Path(data_dir) / module.FOLDER, module.FILES)
    return (corpus.with_sentiment() if labels == "sentiment" else corpus), origin


def require_files(dataset: str, data_dir: str | Path) -> None:
    """Raises InputError where feature files of `dataset` are missing in `data_dir`, listing them and what to do."""
    module = DATASETS[dataset]
    folder = Path(data_dir) / module.FOLDER
    missing = [name for name in module.FILES if not (folder / name).is_file()]
    if not missing:
        return
    if any((Path(data_dir) / name).is_file() for name in missing):
        folders = f"give the folder above, with {module.FOLDER}/"
        raise InputError(f"{data_dir}: holds the files itself; {folders}", ["data_dir"])
    if (Path(data_dir) / "corpus.npz").is_file():
        raise InputError(f"{data_dir}: holds conversations of your own; expected those of {dataset}", ["data_dir"])
    for packed in (path for name in missing for path in folder.glob(f"{name}.*") if path.suffix in PACKED):
        raise InputError(f"{packed}: packed; unpack it there, with `{PACKED[packed.suffix]}`", ["data_dir"])
    absent = next((path for path in (Path(data_dir), folder) if not path.is_dir()), None)
    found = f"{absent}: no such folder; expected" if absent else f"{folder}: missing"
    there = f" in {folder}" if absent else ""
    raise InputError(
        f"{found} {', '.join(missing)}{there}; the authors of ECERC share these files at {_LINKS}; get "
        f"them with `python -m common obtain {dataset}`, put them into that folder, name another one, or do "
        "without them on synthetic conversations",
        ["data_dir", "synthetic"],
    )
