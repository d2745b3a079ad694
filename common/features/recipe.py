"""recipe.yaml: how the features of a dataset were made, so that those of other conversations can be made alike."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from common.errors import InputError
from common.features.audio.scaling import Scaling
from common.features.choices import NONE, Choices, choices_of
from common.features.extractor import Extractor
from common.features.text.tuned import ENCODER
from common.files import atomic, read_yaml, sha256
from common.settings import FEATURES

FILE, SCALING, FORMAT = "recipe.yaml", "scaling.npz", 1
SOFT = ("precision", "runs_on", "runs_with", "transformers", "sentence-transformers", "av", "cv2", "opensmile")


@dataclass(frozen=True)
class Recipe:
    """The recipe in `folder`, that of a dataset.

    `widths`: of each kind of features that was made. `scaled`: SHA-256 of the file that says how audio features are
    standardised; None where they are not.
    """

    folder: Path
    choices: Choices
    identities: dict[str, dict[str, Any]]
    widths: dict[str, int]
    tuned: bool
    scaled: str | None

    def extractors(self, device: str, kinds: Collection[str] = FEATURES) -> tuple[dict[str, Extractor], list[str]]:
        """The extractors of new utterances, by kind, and notes on other versions than those of the dataset.

        Only those of `kinds`, and of these such that the dataset has. Text goes through the tuned encoder, where there
        is one. Raises InputError where a model cannot be had, or is not the one that the dataset was made with.
        """
        wanted = {kind for kind in kinds if kind in self.widths}
        choices = self._choices(wanted)
        try:
            found, notes = choices.extractors(device), []
        except InputError as error:
            paths = [str(value) for value in choices.plain().values() if os.path.isabs(str(value))]
            gone = any(not os.path.exists(path) for path in paths)
            mend = "; put it, or a link to it, where it was, as the recipe has to stay as it is" if gone else ""
            raise InputError(f"{self.folder / FILE}: {error}{mend}") from None
        found = {kind: extractor for kind, extractor in found.items() if kind in wanted}
        for kind, extractor in found.items():
            for name, value in extractor.identity().items():
                known = self.identities[kind].get(name)
                if known != value and name in SOFT:
                    notes.append(
                        f"Note: {kind} features of the dataset were made with {name} {known}, these with {value}."
                    )
                elif known != value:
                    raise InputError(
                        f"{self.folder / FILE}: the {kind} model has another {name} than when the dataset was made "
                        f"({value}, not {known}); put that model back, or make the features and train again"
                    )
        return found, notes

    def _choices(self, wanted):
        """The models of the kinds `wanted` alone: others need not be there."""
        left_out = {"event_model": "event", "audio_model": "audio", "visual_model": "visual"}
        changes: dict[str, Any] = {name: NONE for name, kind in left_out.items() if kind not in wanted}
        if not wanted & {"text", "event"}:
            changes["text_model"] = NONE
        elif self.tuned:
            changes |= {"text_model": str(self.folder / ENCODER), "text_revision": None}
        return replace(self.choices, **changes)

    def scaling(self) -> Scaling | None:
        """The standardisation of audio features, by the dataset's training split; None where there is none.

        Raises InputError where its file is missing or has changed.
        """
        if self.scaled is None:
            return None
        scaling = Scaling.load(self.folder / SCALING)
        if sha256(self.folder / SCALING) != self.scaled:
            raise InputError(f"{self.folder / SCALING}: not as it was when the dataset was made; restore it")
        return scaling


def write_recipe(folder: Path, content: dict[str, Any]) -> str:
    """Write `content` as the recipe in `folder`; returns its SHA-256."""
    with atomic(folder / FILE) as file:
        yaml.safe_dump({"format": FORMAT} | content, file, sort_keys=False, allow_unicode=True)
    return sha256(folder / FILE)


def read_recipe(folder: Path, sources: dict[str, str]) -> Recipe:
    """The recipe in `folder` of a dataset whose Corpus has these `sources`.

    Raises InputError where there is none, where it is not that of the dataset, and where it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise InputError(
            f"{path}: missing; expected how the features were made, which `python -m common features` writes beside a "
            "dataset; other features cannot be made again for new conversations"
        )
    if sources.get(FILE) not in (None, sha256(path)):
        raise InputError(
            f"{path}: not the recipe that the network's data were made by; make them with the options of then "
            "(features --overwrite), or train on these"
        )
    content = read_yaml(path)
    damaged = InputError(f"{path}: no recipe of this version of the project; restore it, or make the features again")
    try:
        features, form = content["features"], content["format"]
        identities = {str(kind): dict(about["identity"]) for kind, about in features.items()}
        widths = {str(kind): int(about["width"]) for kind, about in features.items()}
        recipe = Recipe(
            folder,
            choices_of(content["choices"], path),
            identities,
            widths,
            bool(content["tuned"]),
            None if content["scaled"] is None else str(content["scaled"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise damaged from None
    if form != FORMAT:
        raise damaged
    return recipe
