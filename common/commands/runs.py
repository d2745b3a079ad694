"""Where checkpoints are found: as files, beside a script, in runs; and what there is to say of these runs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from common.commands.options import short_path
from common.data import DATASETS
from common.data.corpus import Corpus
from common.errors import InputError
from common.files import read_yaml
from common.release.checkpoint import RESULTS, checkpoints_in
from common.release.published import CHECKPOINTS
from common.release.reading import RECORD as SETTINGS

OPTIONS = ("checkpoints",)


def find_checkpoints(
    given: list[Path] | None, folder: Path, dataset: str, synthetic: bool
) -> tuple[dict[str, Path], str]:
    """Checkpoints as names for printing to paths, and in words where they come from.

    The `given` files, and those in `given` run folders; else the released ones in `folder`, where `dataset` is the
    folder's; else those of the newest run on `dataset` in `runs/` of the folder: a `synthetic` one or one on real data,
    as asked for. Raises InputError where there are none.
    """
    if given:
        paths, origin = [path for entry in given for path in _given(entry)], "as given"
    else:
        paths = [folder / name for name in CHECKPOINTS if (folder / name).is_file() and dataset in DATASETS]
        origin = f"beside {folder.name}/inference.py ({len(paths)} of {len(CHECKPOINTS)})"
    if not paths:
        run = _newest_run(folder, dataset, synthetic)
        paths = checkpoints_in(run)
        origin = f"of the newest run with checkpoints, {short_path(run)} ({len(paths)})"
        if newer := _newer_than(run):
            origin += f", not of {short_path(newer)}, which is newer and has no finished seed"
    short = len({path.name for path in paths}) == len(paths)
    named = {path.name if short else str(path): path for path in paths}
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("checkpoints: the same file stands twice; give each once", OPTIONS)
    return named, origin


def _given(path):
    """The checkpoints that `path`, a file or a run's folder, stands for."""
    paths = checkpoints_in(path) if path.is_dir() else [path] if path.is_file() else []
    if not paths:
        found = "no checkpoint in this folder" if path.is_dir() else "no such checkpoint"
        raise InputError(f"{path}: {found}; expected ECERC_MODEL*.pkl, or a run's folder", OPTIONS)
    return paths


def _newest_run(folder, dataset, synthetic):
    """The folder of the newest finished run with checkpoints on `dataset`."""
    finished = [path.parent for path in (folder / "runs").glob(f"*/{RESULTS}")]
    finished = [run for run in finished if checkpoints_in(run) and _trained_on(run) == (dataset, synthetic)]
    if finished:
        return max(finished, key=lambda run: (run / RESULTS).stat().st_mtime)
    if dataset not in DATASETS:
        raise InputError(f"{folder}: no finished run on {dataset} in runs/; name checkpoints, or train first", OPTIONS)
    raise InputError(
        f"{folder}: no checkpoints here ({', '.join(CHECKPOINTS)}) and no finished run on "
        f"{'synthetic' if synthetic else 'real'} data in runs/; put the authors' there (zt-ai/ECERC on the Hugging "
        f"Face hub: `python -m common obtain {folder.name} --only checkpoints`), name others, or train first",
        OPTIONS,
    )


def _newer_than(run):
    """The newest run beside `run` that was begun after it was finished, and is like it, but has no results yet."""
    begun = [path.parent for path in run.parent.glob(f"*/{SETTINGS}") if not (path.parent / RESULTS).exists()]
    finished = (run / RESULTS).stat().st_mtime
    newer = [other for other in begun if (other / SETTINGS).stat().st_mtime > finished]
    newer = [other for other in newer if _trained_on(other) == _trained_on(run)]
    return max(newer, key=lambda other: (other / SETTINGS).stat().st_mtime, default=None)


def _trained_on(run):
    """The dataset of a run, and whether it was a synthetic one."""
    content = _about(run)
    return content.get("dataset"), bool(content.get("synthetic"))


def _about(run):
    """The content of the settings.yaml of a run; nothing where there is none."""
    return read_yaml(run / SETTINGS) if (run / SETTINGS).is_file() else {}


def unfinished(paths: dict[str, Path]) -> list[str]:
    """A note for each run that is evaluated as a whole and lacks some of its seeds."""
    notes = []
    for run in dict.fromkeys(path.parent for path in paths.values()):
        there = checkpoints_in(run)
        values = _about(run).get("hyperparameters")
        seeds = values.get("seeds") if isinstance(values, dict) else None
        if isinstance(seeds, list) and len(there) < len(seeds) and set(there) <= set(paths.values()):
            what = f"{len(there)} of {len(seeds)} seeds; its training goes on, was stopped, or failed for the others"
            notes.append(f"Note: {short_path(run)} has {what}.")
    return notes


def of_other_data(paths: Iterable[Path], corpus: Corpus) -> list[str]:
    """A note for each run that was trained on other files than those of `corpus`."""
    notes = []
    for run in dict.fromkeys(path.parent for path in paths):
        content = _about(run)
        data = content.get("data") if not content.get("synthetic") else None  # which is said elsewhere
        sources = data.get("sha256") if isinstance(data, dict) and "synthetic" not in corpus.sources else None
        if isinstance(sources, dict) and sources != corpus.sources:
            notes.append(f"Note: {short_path(run)} was trained on other data files than these.")
    return notes


def run_names(first: Sequence[Path], second: Sequence[Path]) -> tuple[str, str]:
    """Two names, as short as they can be told apart, for the runs that the two groups of checkpoints are of.

    Each is the end of the path of its folder, or of its folders; of one and the same the names of the files are added.
    """
    groups = [[*dict.fromkeys(path.resolve().parent.parts[1:] for path in paths)] for paths in (first, second)]
    for depth in range(1, 1 + max(len(folder) for group in groups for folder in group)):
        a, b = (" and ".join(dict.fromkeys("/".join(folder[-depth:]) for folder in group)) for group in groups)
        if a != b:
            return a, b
    folder = " and ".join(folder[-1] for folder in groups[0] if folder)
    a, b = (f"{folder}: {', '.join(path.name for path in paths)}".removeprefix(": ") for paths in (first, second))
    return a, b
