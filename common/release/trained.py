"""What is known of a checkpoint's training: what stands in it or beside it, or what its authors published."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from common.data import DATASETS
from common.errors import InputError
from common.release.obtain import read_manifest
from common.release.published import CHECKPOINTS, REPOSITORY, SHA256
from common.settings import FEATURES, OUTPUTS_DEPEND_ON, EvaluationSettings, NetworkSettings, build, words


@dataclass(frozen=True)
class Trained:
    """What a checkpoint was trained with. `values`: of EvaluationSettings, those that are known; `classes` and `widths`
    (of features, by name) of its data, None where unknown.
    """

    dataset: str | None
    synthetic: bool
    values: dict[str, Any]
    classes: list[str] | None
    widths: dict[str, int] | None


def record(about: dict) -> dict:
    """What an evaluation needs of `about`, the content of the settings.yaml of a run. No paths, no times: files of the
    same seed are the same.
    """
    values = {f.name: about["hyperparameters"][f.name] for f in fields(EvaluationSettings)}
    values["without"] = list(values["without"])
    data = {"widths": dict(about["data"]["widths"]), "classes": list(about["data"]["classes"])}
    return {"dataset": about["dataset"], "synthetic": about["synthetic"], "hyperparameters": values, "data": data}


def read(content: dict, where: str) -> Trained:
    """What `content`, a record or the content of a settings.yaml, says. Raises InputError, naming `where`."""
    values, dataset = content.get("hyperparameters"), content.get("dataset")
    if not isinstance(values, dict):
        raise InputError(f"{where}: no hyperparameters in it; restore it, or get the checkpoint again")
    values = {f.name: values[f.name] for f in fields(EvaluationSettings) if f.name in values}
    try:
        settings = build(EvaluationSettings, values, where)
    except InputError as error:
        raise InputError(f"{where}: {error}; restore it, or get the checkpoint again") from None
    return Trained(
        dataset=dataset if isinstance(dataset, str) else None,
        synthetic=bool(content.get("synthetic")),
        values={name: getattr(settings, name) for name in values},
        classes=classes_of(content),
        widths=_widths_of(content),
    )


def classes_of(content: dict) -> list[str] | None:
    """The names of the classes in the content of a settings.yaml; None where there are none."""
    data = content.get("data")
    classes = data.get("classes") if isinstance(data, dict) else None
    return classes if isinstance(classes, list) and all(isinstance(name, str) for name in classes) else None


def _widths_of(content):
    data = content.get("data")
    widths = data.get("widths") if isinstance(data, dict) else None
    if not isinstance(widths, dict) or not all(type(w) is int and w >= 0 for w in widths.values()):
        return None
    return {name: widths.get(name, 0) for name in FEATURES}  # a modality that was unknown when it was written


def check_classes(what: object, known: list[str], classes: list[str], change: list[str]) -> None:
    """Raises InputError where `what`, trained on the classes `known`, is for other `classes`, or another order."""
    if known != classes:
        here, there = (", ".join(" ".join(name[:40].split()) for name in names[:20]) for names in (classes, known))
        expected = f"these are {here}; use a checkpoint of the same classes, in this order"
        raise InputError(f"{what}: trained on the classes {there}; {expected}", change)


def differences(
    values: dict[str, Any], settings: NetworkSettings, use: str = "evaluated", names: Iterable[str] = OUTPUTS_DEPEND_ON
) -> list[str]:
    """Which settings were other ones in training, in words, of `names`; `values`: in training, `settings`: in `use`."""
    return [
        f"trained with {name} {words(values[name])}, {use} with {words(getattr(settings, name))}."
        for name in names
        if name in values
        and values[name] != getattr(settings, name)
        and (name != "batch_size" or settings.empty_history == "released")  # strictly, no output depends on it
    ]


def authors_dataset(path: Path, sha256: str) -> str | None:
    """The dataset whose checkpoint of the authors the file `path` is known to be: its SHA-256 is published, or stands
    in the list of downloads beside it.
    """
    for (dataset, _), digest in SHA256.items():
        if digest == sha256:
            return dataset
    folder = path.resolve().parent
    entry: dict = {}
    with contextlib.suppress(InputError, OSError):
        entry = read_manifest(folder).get(path.name, {})
    from_them = entry.get("sha256") == sha256 and REPOSITORY in str(entry.get("source"))
    return folder.name if from_them and folder.name in DATASETS else None


def stands_for_authors(path: Path, dataset: str) -> bool:
    """Whether `path` is one of the three places beside inference.py where the authors' checkpoints belong."""
    folder = path.resolve().parent
    return path.name in CHECKPOINTS and folder.name == dataset and (folder / "inference.py").is_file()
