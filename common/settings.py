"""All hyperparameters: which there are, what they mean and which values are allowed; names of datasets and features.

The values used for a dataset stand at the top of its `train.py` and `inference.py`. Section and equation numbers are
the paper's.
"""

import math
import operator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from common.errors import InputError, brief, meant

DEFAULT_DATA = Path(__file__).resolve().parents[1] / "data"
DATASET_NAMES = ("IEMOCAP", "MELD")  # the released ones
SPLITS = ("train", "valid", "test")
MODALITIES = ("text", "audio", "visual")
FEATURES = ("text", "event", *MODALITIES[1:])  # of an utterance: text for the evidence, event for the causes
MODALITY_SETS = ("TAV", "TA", "TV", "AV", "T", "A", "V")  # Table 5; T text, A audio, V visual
ROUTES = ("self_emotion", "cross_emotion", "self_event", "cross_event")  # from causes to candidates, in this order
PARTS = (  # Table 4
    "evidence-gating",
    "event-encoding",
    "emotion-encoding",
    "self-event-attention",
    "cross-event-attention",
    "self-emotion-attention",
    "cross-emotion-attention",
    "feature-gating",
)


def hyperparameter(
    help: str,
    default: Any,
    *,
    choices: tuple[str, ...] | None = None,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
) -> Any:
    """A dataclass field that knows its one-line explanation and its allowed values."""
    allowed = {"help": help, "choices": choices, "above": above, "least": least, "below": below}
    return field(default=default, metadata=allowed)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """What the network is, apart from the feature widths and the number of classes, which come from the data."""

    hidden_width: int = hyperparameter("width d of a mapped modality (section 4.1)", 128, least=1)
    layers: int = hyperparameter("layers of each of the six attention blocks", 1, least=1)
    heads: int = hyperparameter("attention heads", 8, least=1)
    head_width: int = hyperparameter("width of one attention head", 64, least=1)
    feedforward_factor: int = hyperparameter("width of a feed-forward layer over that of its block", 2, least=1)
    positions: bool = hyperparameter("add sinusoidal positions to the features", False)
    empty_history: str = hyperparameter(
        "what a query without any allowed key attends to: all positions of the padded dialogue, as the release does, "
        "or nothing",
        "released",
        choices=("released", "strict"),
    )
    modality_order: str = hyperparameter(
        "columns that the audio and visual maps see: as the release cuts them, or audio and visual",
        "aligned",
        choices=("released", "aligned"),
    )
    modalities: str = hyperparameter(
        "modalities in use (Table 5): T text, A audio, V visual", "TAV", choices=MODALITY_SETS
    )
    without: tuple[str, ...] = hyperparameter("parts of the network to leave out (Table 4)", (), choices=PARTS)
    evidence_gate_inputs: str = hyperparameter(
        "what the gate of a modality sees (Table 6): all modalities in use, or its own", "all", choices=("all", "own")
    )
    feature_gate_inputs: str = hyperparameter(
        "what the gate of a candidate sees (Table 7): its own candidate, or all", "own", choices=("own", "all")
    )
    evidence_dropout: float = hyperparameter("dropout of the gated evidence (eq. 8)", 0.0, least=0, below=1)
    attention_dropout: float = hyperparameter(
        "dropout inside the attention blocks: weights, output and feed-forward", 0.1, least=0, below=1
    )
    classifier_dropout: float = hyperparameter("dropout before the classifier (eq. 15)", 0.0, least=0, below=1)
    precision: str = hyperparameter(
        "of matrix products; tf32 (on NVIDIA GPUs) and bfloat16 are faster and not exact",
        "float32",
        choices=("float32", "tf32", "bfloat16"),
    )

    def __post_init__(self):
        for f in fields(self):
            object.__setattr__(self, f.name, _checked(f, getattr(self, f.name)))
        for part, option, default in (
            ("evidence-gating", "evidence_gate_inputs", "all"),
            ("feature-gating", "feature_gate_inputs", "own"),
        ):
            if part in self.without and getattr(self, option) != default:
                raise InputError(
                    f"without {part}: contradicts {option} {getattr(self, option)}; give one of the two",
                    ["without", option],
                )
        events = [part for part in self.without if "event" in part]
        if events and "text" not in self.modalities_in_use:
            raise InputError(
                f"without {events[0]}: modalities {self.modalities} have no events anyway; leave it out", ["without"]
            )
        if not self.routes:
            raise InputError("without: leaves no attention to any cause; keep one of the four", ["without"])

    @property
    def modalities_in_use(self) -> tuple[str, ...]:
        """Names of the modalities in use, of "text", "audio", "visual", in this order."""
        return tuple(name for name in MODALITIES if name[0].upper() in self.modalities)

    @property
    def routes(self) -> tuple[str, ...]:
        """The attentions to causes in use, of ROUTES; events are textual, so without text they have no attention."""
        left_out = {part.removesuffix("-attention").replace("-", "_") for part in self.without}
        return tuple(
            route
            for route in ROUTES
            if route not in left_out and ("text" in self.modalities_in_use or not route.endswith("event"))
        )


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(NetworkSettings):
    """The network, and how it is evaluated."""

    batch_size: int = hyperparameter("dialogues in a batch", 32, least=1)
    labels: str = hyperparameter(
        "what to predict; sentiment (3 classes) exists for MELD only", "emotion", choices=("emotion", "sentiment")
    )


OUTPUTS_DEPEND_ON = tuple(f.name for f in fields(EvaluationSettings) if not f.name.endswith("_dropout"))  # evaluated


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(EvaluationSettings):
    """The network, how it is evaluated, and how it is trained."""

    seeds: tuple[int, ...] = hyperparameter("one training per seed", (0, 1, 2), least=0)
    epochs: int = hyperparameter("at most so many epochs", 40, least=1)
    patience: int = hyperparameter("stop after so many epochs without a better validation F1 or loss", 20, least=1)
    threads: int = hyperparameter(
        "threads of one seed's training on a CPU; with another number results differ in their last digits", 1, least=1
    )
    shuffle: bool = hyperparameter("shuffle the training dialogues every epoch", True)
    learning_rate: float = hyperparameter("learning rate of Adam", 1e-4, above=0, below=1e6)
    weight_decay: float = hyperparameter("L2 penalty of Adam (not decoupled)", 2e-4, least=0)
    focal_gamma: float = hyperparameter("exponent γ of (1 - p) in the loss; 0 is plain cross-entropy", 0.0, least=0)
    class_weights: str = hyperparameter(
        "class frequencies behind the weights α of the loss: the released ones (of all splits), those of the "
        "training split, or no weights",
        "none",
        choices=("released", "train", "none"),
    )
    class_weight_formula: str = hyperparameter(
        "α of a class: 1 / frequency, or log(1 / frequency)", "inverse", choices=("inverse", "log-inverse")
    )


Settings = TypeVar("Settings", bound=NetworkSettings)
_KINDS = {int: "a whole number", float: "a finite number", bool: "True or False", str: "a word in quotes"}


def _checked(f, value):
    """`value` converted to the type of field `f`. Raises InputError where that or its bounds are missed."""
    name, rule = f.name, f.metadata
    if f.name in ("seeds", "without"):
        items = tuple(value) if isinstance(value, list | tuple) else (value,)
        if f.name == "seeds":
            good, expected = bool(items), "one or more different whole numbers from 0, e.g. 0 1 2"
            good = good and all(type(s) is int and 0 <= s < 2**63 for s in items)
        else:
            good, expected = all(part in PARTS for part in items), f"different ones of {', '.join(PARTS)}, or none"
        if not good or len(set(items)) < len(items):
            raise InputError(f"{name}: found {brief(value)}; expected {expected}", [name])
        return items
    if type(value) is int and abs(value) >= 2**63:
        raise InputError(f"{name}: found a huge number; expected {_KINDS[f.type]}", [name])
    if f.type is float and type(value) is int:
        value = float(value)
    if type(value) is not f.type:
        raise InputError(f"{name}: found {brief(value)}; expected {_KINDS[f.type]}", [name])
    if rule["choices"] and value not in rule["choices"]:
        raise InputError(f"{name}: found {brief(value)}; expected one of {', '.join(rule['choices'])}", [name])
    if f.type in (int, float):
        bounds = (
            ("at least", operator.ge, "least"),
            ("more than", operator.gt, "above"),
            ("less than", operator.lt, "below"),
        )
        bounds = [(words, holds, rule[key]) for words, holds, key in bounds if rule[key] is not None]
        if not math.isfinite(value) or not all(holds(value, bound) for _, holds, bound in bounds):
            expected = " and ".join(f"{words} {bound}" for words, _, bound in bounds)
            raise InputError(f"{name}: found {brief(value)}; expected {_KINDS[f.type]}, {expected}", [name])
    return value


def build(kind: type[Settings], values: dict[str, Any], where: object) -> Settings:
    """Settings of class `kind` from a dict. Raises InputError for names that do not exist, naming `where`."""
    known = {f.name for f in fields(kind)}
    unknown = [name for name in values if name not in known]
    if unknown:
        mend = meant(str(unknown[0]), known) or "; `python train.py --help` lists them"
        raise InputError(f"{where}: no hyperparameter is called {brief(unknown[0])}{mend}")
    return kind(**values)


def words(value: Any) -> str:
    """A value of a hyperparameter as one gives it on the command line."""
    return (" ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else str(value)
