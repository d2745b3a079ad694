"""Which checkpoints are evaluated, and with which settings."""

from dataclasses import fields
from pathlib import Path

from common.errors import InputError
from common.scripts.options import shown
from common.settings import EvaluationSettings, build, read_yaml
from common.training.run import RESULTS, SETTINGS, checkpoint_name

RELEASED = [checkpoint_name(index) for index in range(3)]


def find_checkpoints(given: list[Path] | None, folder: Path) -> tuple[dict[str, Path], str]:
    """Checkpoints as names for printing to paths, and where they come from in words.

    The `given` ones, else the released ones in `folder`, else those of the newest finished run in its `runs/`.
    Raises InputError where there are none.
    """
    origin = "as given"
    if not given:
        given = [folder / name for name in RELEASED if (folder / name).is_file()]
        origin = f"beside {folder.name}/inference.py ({len(given)} of {len(RELEASED)})"
    if not given:
        finished = sorted((folder / "runs").glob(f"*/{RESULTS}"), key=lambda path: path.stat().st_mtime)
        if not finished:
            raise InputError(
                f"{folder}: no checkpoints here ({', '.join(RELEASED)}) and no finished run in runs/; put the authors' "
                "there (zt-ai/ECERC on the Hugging Face hub), name others with --checkpoints, or train first"
            )
        run = finished[-1].parent
        given = sorted(run.glob("ECERC_MODEL*.pkl"), key=lambda path: (len(path.name), path.name))
        origin = f"of the newest run, {shown(run)} ({len(given)})"
    short = len({path.name for path in given}) == len(given)
    named = {path.name if short else str(path): path for path in given}
    if len(named) < len(given):
        raise InputError("--checkpoints: the same file stands twice; give each once")
    return named, origin


def trained_settings(
    dataset: str, checkpoints: dict[str, Path], hyperparameters: dict, options: dict, synthetic: bool
) -> tuple[EvaluationSettings, list[str]]:
    """EvaluationSettings for `checkpoints` (names to paths), and notes for the user, a list of lines.

    The `hyperparameters` at the top of the script count least, over them what a checkpoint was trained with (the
    settings.yaml beside it), over that the `options` of the command line. Raises InputError for checkpoints of another
    dataset, or such that were not trained alike.
    """
    found, notes = [], []
    for name, path in checkpoints.items():
        trained, beside = {}, path.parent / SETTINGS
        if beside.is_file():
            content = read_yaml(beside)
            if content.get("dataset") != dataset:
                raise InputError(f"{path}: trained on {content.get('dataset')}; this script evaluates on {dataset}")
            trained = content.get("hyperparameters")
            if not isinstance(trained, dict):
                raise InputError(f"{beside}: no hyperparameters in it; restore or remove the file")
            trained = {f.name: trained[f.name] for f in fields(EvaluationSettings) if f.name in trained}
            if content.get("synthetic") and not synthetic:
                notes.append(f"Note: {name} was trained on synthetic conversations, unlike what follows.")
        found.append(build(EvaluationSettings, hyperparameters | trained | options, beside))
    settings = found[0]
    for key in hyperparameters:
        if any(getattr(other, key) != getattr(settings, key) for other in found):
            option = "--" + key.replace("_", "-")
            raise InputError(f"--checkpoints: trained with different {option}; evaluate them apart, or give {option}")
        value = getattr(settings, key)
        if key not in options and value != hyperparameters[key]:
            notes.append(f"Trained with {key} {value}, which counts here (top of the script: {hyperparameters[key]}).")
    return settings, notes
