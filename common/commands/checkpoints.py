"""Which checkpoints are evaluated, and with which settings."""

from dataclasses import fields
from pathlib import Path

from common.commands.options import short_path
from common.commands.parser import option_name
from common.data import DATASETS
from common.errors import InputError
from common.files import read_yaml
from common.settings import EvaluationSettings, build, words
from common.training.folder import RESULTS, SETTINGS, checkpoint_name, classes_of

RELEASED = [checkpoint_name(index) for index in range(3)]


def find_checkpoints(
    given: list[Path] | None, folder: Path, dataset: str, synthetic: bool
) -> tuple[dict[str, Path], str]:
    """Checkpoints as names for printing to paths, and where they come from in words.

    The `given` files, and those in `given` run folders; else the released ones in `folder`, for its own `dataset`; else
    those of the newest run on `dataset` in its `runs/`: a `synthetic` one or one on real data, as asked for. Raises
    InputError where there are none.
    """
    if given:
        paths, origin = [], "as given"
        for path in given:
            files = _of_run(path) if path.is_dir() else [path] if path.is_file() else []
            if not files:
                raise InputError(
                    f"--checkpoints {path}: no such checkpoint; expected ECERC_MODEL*.pkl, or a run's folder"
                )
            paths += files
    else:
        paths = [folder / name for name in RELEASED if (folder / name).is_file() and dataset in DATASETS]
        origin = f"beside {folder.name}/inference.py ({len(paths)} of {len(RELEASED)})"
    if not paths:
        finished = [path.parent for path in (folder / "runs").glob(f"*/{RESULTS}")]
        finished = [run for run in finished if _of_run(run) and _trained_on(run) == (dataset, synthetic)]
        if not finished and dataset not in DATASETS:
            raise InputError(f"{folder}: no finished run on {dataset} in runs/; name --checkpoints, or train first")
        if not finished:
            raise InputError(
                f"{folder}: no checkpoints here ({', '.join(RELEASED)}) and no finished run on "
                f"{'synthetic' if synthetic else 'real'} data in runs/; put the authors' there (zt-ai/ECERC on the "
                f"Hugging Face hub: `python -m common obtain {folder.name} --only checkpoints`), name others with "
                "--checkpoints, or train first"
            )
        run = max(finished, key=lambda run: (run / RESULTS).stat().st_mtime)
        paths = _of_run(run)
        origin = f"of the newest run with checkpoints, {short_path(run)} ({len(paths)})"
    short = len({path.name for path in paths}) == len(paths)
    named = {path.name if short else str(path): path for path in paths}
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("--checkpoints: the same file stands twice; give each once")
    return named, origin


def _of_run(run):
    return sorted(run.glob("ECERC_MODEL*.pkl"), key=lambda path: (len(path.name), path.name))


def _trained_on(run):
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
    top, found, notes, classes = build(EvaluationSettings, hyperparameters, "inference.py"), [], [], []
    for name, path in checkpoints.items():
        trained, beside = {}, path.parent / SETTINGS
        if beside.is_file():
            content = read_yaml(beside)
            if content.get("dataset") != dataset and dataset in DATASETS:
                raise InputError(f"{path}: trained on {content.get('dataset')}; this script evaluates on {dataset}")
            trained = content.get("hyperparameters")
            if not isinstance(trained, dict):
                raise InputError(f"{beside}: no hyperparameters in it; restore or remove the file")
            trained = {f.name: trained[f.name] for f in fields(EvaluationSettings) if f.name in trained}
            classes.append(classes_of(content))
            if content.get("synthetic") and not synthetic:
                notes.append(f"Note: {name} was trained on synthetic conversations, unlike what follows.")
        found.append(build(EvaluationSettings, hyperparameters | trained | options, beside))
    settings = found[0]
    for key in hyperparameters:
        if any(getattr(other, key) != getattr(settings, key) for other in found):
            option = option_name(key)
            raise InputError(f"--checkpoints: trained with different {option}; evaluate them apart, or give {option}")
        value, here = getattr(settings, key), getattr(top, key)
        if key not in options and value != here:
            notes.append(f"Trained with {key} {words(value)}, which counts here (top of the script: {words(here)}).")
    if any(other != classes[0] for other in classes):
        raise InputError("--checkpoints: trained on different classes; evaluate them apart")
    return settings, classes[0] if classes else None, notes
