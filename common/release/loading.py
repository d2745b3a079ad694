"""A checkpoint as a network that is ready for use; `common.load` is this."""

import re
import sys
from pathlib import Path
from typing import Any

import torch

from common.data import DATASETS
from common.environment import choose_device
from common.errors import InputError
from common.network.ecerc import ECERC
from common.release.checkpoint import Checkpoint, checkpoints_in, read_checkpoint
from common.release.obtain import obtain_checkpoint
from common.release.published import CHECKPOINTS, REPOSITORY, SETTINGS, WIDTHS
from common.release.reading import RECORD
from common.release.trained import authors_dataset, differences, stands_for_authors
from common.settings import EvaluationSettings, build
from common.terminal import show

_ON_HUB = re.compile(rf"{REPOSITORY}/({'|'.join(DATASETS)})/({'|'.join(map(re.escape, CHECKPOINTS))})")


class Trained(ECERC):
    """An ECERC that has been trained, on `classes`, names in the order of its outputs."""

    def __init__(self, settings: EvaluationSettings, widths: dict[str, int], classes: list[str]):
        super().__init__(settings, widths, len(classes))
        self.classes = list(classes)


def load(source: str | Path, device: str | torch.device, changes: dict[str, Any]) -> Trained:
    """See `common.load`."""
    checkpoint = read_checkpoint(_located(source))
    network, notes = network_of(checkpoint, device, changes)
    for note in [*checkpoint.notes, *(f"Note: {checkpoint.path}: {what}" for what in notes)]:
        show(note, sys.stderr)
    return network


def network_of(
    checkpoint: Checkpoint, device: str | torch.device, changes: dict[str, Any]
) -> tuple[Trained, list[str]]:
    """The network of a checkpoint, see `common.load`, and in words which `changes` differ from its training."""
    values, widths, classes = _training_of(checkpoint)
    settings = build(EvaluationSettings, values | changes, "load")
    network = Trained(settings, widths, classes)
    checkpoint.fill(network)
    return network.to(choose_device(str(device))).eval(), differences(values, settings, "loaded")


def _located(source):
    """The file that `source` stands for; one of the authors' is downloaded."""
    path, on_hub = Path(source), _ON_HUB.fullmatch(str(source))
    if path.is_dir():
        return next(iter(checkpoints_in(path)), path / CHECKPOINTS[0])
    if on_hub and not path.exists():
        path = obtain_checkpoint(*on_hub.groups())
        if read_checkpoint(path).trained:
            raise InputError(f"{path}: stands in the place of {source}, but was trained here; move it away")
    return path


def _training_of(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, int], list[str]]:
    """Settings, widths and classes that a checkpoint was trained with."""
    trained, path = checkpoint.trained, checkpoint.path
    if trained and trained.classes and trained.widths:
        return trained.values, trained.widths, trained.classes
    dataset = authors_dataset(path, checkpoint.sha256)
    place = path.resolve().parent.name
    if trained is None and dataset is None and place in DATASETS and stands_for_authors(path, place):
        dataset = place
    if dataset is None:
        raise InputError(
            f"{path}: says nothing of its settings, widths and classes; put the {RECORD} of its run beside it, or one "
            f"of the authors' beside the inference.py of its dataset ({REPOSITORY}/MELD/{path.name} gets it there)"
        )
    return SETTINGS[dataset], WIDTHS[dataset], DATASETS[dataset].CLASSES
