"""A run as something that predicts: its networks, and how the features of its data were made."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from common.data import DATASETS
from common.errors import InputError
from common.features.recipe import FILE, Recipe, read_recipe
from common.files import read_yaml
from common.release.checkpoint import Checkpoint, checkpoints_in, read_checkpoint
from common.release.loading import Trained, network_of
from common.release.reading import RECORD
from common.settings import OUTPUTS_DEPEND_ON

HOW = (
    "make a dataset with `python -m common features`, train on it, and give that run; for features that were made "
    "elsewhere there are `python -m common build` and inference.py"
)


@dataclass(frozen=True)
class Run:
    """The networks of a run, one for each of its `checkpoints`, and the `recipe` of the data that it was trained on.

    `notes`: what a user should know, lines.
    """

    path: Path
    checkpoints: dict[str, Checkpoint]
    recipe: Recipe
    device: torch.device
    notes: list[str]

    @cached_property
    def networks(self) -> list[Trained]:
        """The networks as they were trained, on the device."""
        return [network_of(checkpoint, self.device, {})[0] for checkpoint in self.checkpoints.values()]

    @cached_property
    def live_networks(self) -> list[Trained]:
        """The same networks, with strict history, which live conversations need."""
        if self.networks[0].settings.empty_history == "strict":
            return self.networks
        return [network_of(c, self.device, {"empty_history": "strict"})[0] for c in self.checkpoints.values()]

    @property
    def network(self) -> Trained:
        """The first of the networks, which all have the same settings, widths and classes."""
        return self.networks[0]

    @property
    def kinds(self) -> list[str]:
        """The kinds of features that the networks use."""
        return [*self.network.modalities, *(["event"] if self.network.event_map else [])]

    def members(self) -> str:
        """In words what a probability is the mean of; "" for a single network."""
        count = len(self.checkpoints)
        return f"Probabilities are the mean of {count} networks, those of {self.path}." if count > 1 else ""


def open_run(path: Path, data_dir: Path | None, device: torch.device) -> Run:
    """The run in the folder `path`, or of the checkpoint `path` alone.

    `data_dir`: where the data lie that it was trained on, if not where its settings.yaml says. Raises InputError where
    there is no such run, where its data have no recipe or another one, and where its checkpoints do not go together.
    """
    paths = checkpoints_in(path) if path.is_dir() else [path] if path.is_file() else []
    if not paths:
        found = "no checkpoint in this folder" if path.is_dir() else "no such run"
        raise InputError(f"{path}: {found}; expected the folder of a run of train.py, or a checkpoint", ["run"])
    checkpoints = {each.name: read_checkpoint(each) for each in paths}
    notes = [note for checkpoint in checkpoints.values() for note in checkpoint.notes]
    recipe, said = _recipe(path, paths[0].parent, data_dir)
    run = Run(path, checkpoints, recipe, device, notes + said)
    _check_alike(path, run.networks)
    _check_widths(run)
    return run


def _recipe(path, folder, data_dir):
    """The recipe of the data of the run in `folder`, and notes."""
    record = folder / RECORD
    if not record.is_file():
        if data_dir is None:
            raise InputError(
                f"{record}: missing, so it is not known which data {path.name} was trained on; restore it, or name "
                "their folder",
                ["data_dir"],
            )
        note = f"Note: {record}: missing, so nobody knows whether {path.name} was trained on the data in {data_dir}."
        return read_recipe(data_dir, {}), [note]
    content = read_yaml(record)
    data = content.get("data")
    sources = data.get("sha256") if isinstance(data, dict) else None
    if not isinstance(sources, dict) or FILE not in sources:
        raise InputError(
            f"{path}: trained on {_data_of(content)}, of which no recipe says how the features were made, so those of "
            f"new conversations cannot be made alike; {HOW}"
        )
    place = content.get("data_dir") if data_dir is None else data_dir
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"{data_dir}: no such folder; expected the dataset that {path} was trained on", ["data_dir"])
    if not isinstance(place, str | Path) or not Path(place).is_dir():
        raise InputError(
            f"{path}: trained on the data in {place}, which are not there now; say where they lie", ["data_dir"]
        )
    return read_recipe(Path(place), sources), []


def _data_of(content):
    name = content.get("dataset")
    if content.get("synthetic"):
        return "synthetic conversations"
    return f"{name}'s released files" if name in DATASETS else "data of `python -m common build`"


def _check_alike(path, networks: Sequence[Trained]) -> None:
    first = networks[0]
    for other in networks[1:]:
        differ: dict[str, Any] = {"classes": (first.classes, other.classes), "widths": (first.widths, other.widths)}
        differ |= {key: (getattr(first.settings, key), getattr(other.settings, key)) for key in OUTPUTS_DEPEND_ON}
        wrong = [name for name, (one, two) in differ.items() if one != two]
        if wrong:
            raise InputError(
                f"{path}: its checkpoints were trained with different {wrong[0]}; give one of them, not the folder"
            )


def _check_widths(run):
    """Raises InputError where the networks take other features than the recipe makes."""
    widths, made = run.network.widths, run.recipe.widths
    for kind in run.kinds:
        source = "text" if kind == "event" and kind not in made else kind
        if widths[kind] != made.get(source):
            raise InputError(
                f"{run.recipe.folder / FILE}: makes {kind} features of width {made.get(source, 0)}; {run.path} was "
                f"trained on such of width {widths[kind]}; name the folder of its data",
                ["data_dir"],
            )
