"""The variants of the network and its training that the paper's tables compare, and the tables themselves."""

from dataclasses import dataclass
from typing import Any

from common.settings import MODALITY_SETS, PARTS, TrainingSettings

FULL = "full"

# Name of a variant to what it changes of a dataset's hyperparameters.
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    **{f"without-{part}": {"without": (part,)} for part in PARTS},
    **{modalities: {"modalities": modalities} for modalities in MODALITY_SETS[1:]},
    "own-modality-gate": {"evidence_gate_inputs": "own"},
    "all-candidates-gate": {"feature_gate_inputs": "all"},
    "strict-history": {"empty_history": "strict"},
    "aligned-modalities": {"modality_order": "aligned"},
    "cross-entropy": {"focal_gamma": 0.0, "class_weights": "none"},
    "train-class-weights": {"class_weights": "train"},
    "no-positions": {"positions": False},
    "positions": {"positions": True},
}


_ONLY_FOR = {"train-class-weights": "IEMOCAP"}  # MELD has no class weights


@dataclass(frozen=True)
class Table:
    """A table of the paper, or of the choices. `rows`: names of variants to what the table calls them."""

    title: str
    rows: dict[str, str]
    datasets: tuple[str, ...] = ("IEMOCAP", "MELD")


TABLES = {
    "2": Table("Table 2: comparison with other systems on IEMOCAP", {FULL: "ECERC"}, ("IEMOCAP",)),
    "3": Table("Table 3: comparison with other systems on MELD", {FULL: "ECERC"}, ("MELD",)),
    "4": Table(
        "Table 4: components",
        {FULL: "full"} | {f"without-{part}": f"without {part.replace('-', ' ')}" for part in PARTS},
    ),
    "5": Table(
        "Table 5: modalities (T text, A audio, V visual)", {FULL: "TAV"} | {name: name for name in MODALITY_SETS[1:]}
    ),
    "6": Table(
        "Table 6: what the evidence gate of a modality sees",
        {FULL: "all modalities", "own-modality-gate": "own modality"},
    ),
    "7": Table(
        "Table 7: what the feature gate of a candidate sees",
        {FULL: "own candidate", "all-candidates-gate": "all candidates"},
    ),
    "choices": Table(
        "Choices: where paper and release differ",
        {
            FULL: "as the release",
            "strict-history": "empty history: strict",
            "aligned-modalities": "audio and visual columns aligned",
            "cross-entropy": "plain cross-entropy",
            "train-class-weights": "class weights of the training split",
            "no-positions": "no positions",
            "positions": "positions",
        },
    ),
}


def variant_hyperparameters(dataset: str, hyperparameters: dict[str, Any], variant: str) -> dict[str, Any] | None:
    """The `hyperparameters` of a dataset's train.py changed to those of a variant; None where that changes nothing.

    A change of something that the dataset's script does not have, such as the order of MELD's columns, changes nothing.
    """
    changed = hyperparameters | VARIANTS[variant]
    nothing = TrainingSettings(**changed) == TrainingSettings(**hyperparameters)
    if set(changed) != set(hyperparameters) or _ONLY_FOR.get(variant, dataset) != dataset:
        return None
    return None if nothing and variant != FULL else changed
