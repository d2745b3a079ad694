"""Which checkpoints are evaluated, and with which settings."""

from dataclasses import fields
from pathlib import Path

from common.commands.options import short_path
from common.data import DATASETS
from common.errors import InputError
from common.files import read_yaml
from common.release.published import CHECKPOINTS
from common.settings import EvaluationSettings, build, words
from common.training.folder import RESULTS, SETTINGS, classes_of

OPTIONS = ("checkpoints", "checkpoint")  # a command has one of these


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
        paths = _of_run(run)
        origin = f"of the newest run with checkpoints, {short_path(run)} ({len(paths)})"
    short = len({path.name for path in paths}) == len(paths)
    named = {path.name if short else str(path): path for path in paths}
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("checkpoints: the same file stands twice; give each once", OPTIONS)
    return named, origin


def _given(path):
    """The checkpoints that `path`, a file or a run's folder, stands for."""
    paths = _of_run(path) if path.is_dir() else [path] if path.is_file() else []
    if not paths:
        raise InputError(f"{path}: no such checkpoint; expected ECERC_MODEL*.pkl, or a run's folder", OPTIONS)
    return paths


def _newest_run(folder, dataset, synthetic):
    """The folder of the newest finished run with checkpoints on `dataset`."""
    finished = [path.parent for path in (folder / "runs").glob(f"*/{RESULTS}")]
    finished = [run for run in finished if _of_run(run) and _trained_on(run) == (dataset, synthetic)]
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


def _of_run(run):
    """Its checkpoints, in the order of its seeds."""
    return sorted(run.glob("ECERC_MODEL*.pkl"), key=lambda path: (len(path.name), path.name))


def _trained_on(run):
    """The dataset of a run, and whether it was a synthetic one."""
    content = read_yaml(run / SETTINGS) if (run / SETTINGS).is_file() else {}
    return content.get("dataset"), bool(content.get("synthetic"))


def trained_settings(
    dataset: str, checkpoints: dict[str, Path], hyperparameters: dict, options: dict, synthetic: bool
) -> tuple[EvaluationSettings, list[str] | None, list[str]]:
    """EvaluationSettings for `checkpoints` (names to paths), their classes, and notes for the user, a list of lines.

    The classes are known where a settings.yaml stands beside a checkpoint.

    The `hyperparameters` at the top of the script count least, over them what a checkpoint was trained with (the
    settings.yaml beside it), over that the `options` of the command line. Raises InputError for checkpoints of another
    `dataset`, unless that is the user's own, or such that were not trained alike.
    """
    top, candidates, notes, classes = build(EvaluationSettings, hyperparameters, "inference.py"), [], [], []
    for name, path in checkpoints.items():
        trained, beside = {}, path.parent / SETTINGS
        if beside.is_file():
            content = read_yaml(beside)
            trained = _trained_values(content, path, dataset)
            classes.append(classes_of(content))
            if content.get("synthetic") and not synthetic:
                notes.append(f"Note: {name} was trained on synthetic conversations, unlike what follows.")
        candidates.append(build(EvaluationSettings, hyperparameters | trained | options, beside))
    settings = candidates[0]
    for key in hyperparameters:
        if any(getattr(other, key) != getattr(settings, key) for other in candidates):
            expected = f"evaluate them apart, or give one {key} for all"
            raise InputError(f"checkpoints: trained with different {key}; {expected}", [*OPTIONS, key])
        value, here = getattr(settings, key), getattr(top, key)
        if key not in options and value != here:
            notes.append(f"Trained with {key} {words(value)}, which counts here (top of the script: {words(here)}).")
    if any(other != classes[0] for other in classes):
        raise InputError("checkpoints: trained on different classes; evaluate them apart", OPTIONS)
    return settings, classes[0] if classes else None, notes


def _trained_values(content, path, dataset):
    """The values of EvaluationSettings in `content`, the settings.yaml beside the checkpoint `path`."""
    if content.get("dataset") != dataset and dataset in DATASETS:
        raise InputError(f"{path}: trained on {content.get('dataset')}; this script evaluates on {dataset}")
    values = content.get("hyperparameters")
    if not isinstance(values, dict):
        raise InputError(f"{path.parent / SETTINGS}: no hyperparameters in it; restore or remove the file")
    return {f.name: values[f.name] for f in fields(EvaluationSettings) if f.name in values}
