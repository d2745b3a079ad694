"""Features of new conversations by the recipe of a run, and what its networks say of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from common.batching.batches import Batches
from common.data.corpus import Corpus
from common.errors import InputError
from common.evaluation.evaluate import evaluate
from common.features.dataset import corpus_of, fill
from common.features.extract import Part, Workers, extract
from common.features.extractor import Extractor, Utterance
from common.features.sources.source import Source
from common.features.store import opened
from common.prediction.run import Run

Lacks = dict[str, str]  # modality to the reason why an utterance lacks it
ABSENT = {"text": "no sentence", "audio": "no sound given", "visual": "no video given"}


@dataclass(frozen=True)
class Prediction:
    """What the networks of a run say of `corpus`, whose split test holds everything.

    `log_probs`: of each network (U, C). `probability`: float64 (U, C), the mean of theirs. `lacks`: of each utterance
    the modalities that are zeros, and why. `absent`: modalities that no utterance has. `problems`: what could not be
    done, lines.
    """

    corpus: Corpus
    log_probs: list[Tensor]
    probability: np.ndarray
    lacks: list[Lacks]
    absent: list[str]
    problems: list[str]

    @property
    def emotions(self) -> list[str]:
        """The most probable class of each utterance."""
        return [self.corpus.classes[c] for c in self.probability.argmax(1)]


def predict(run: Run, source: Source, workers: Workers, folder: Path, say: Callable[[str], None]) -> Prediction:
    """The Prediction of `run` for the conversations of `source`, all of them, whatever their split.

    Features lie in files in `folder`, which are in use as long as the Prediction is. `say` is given notes, lines.
    Raises InputError for labels that the networks do not know, and for what is wrong with all utterances.
    """
    check_labels(source, run.network.classes)
    source = replace(source, table=source.table.assign(split="test"))
    absent = _absent(source, run.network.modalities)
    if len(absent) == len(run.network.modalities):
        raise InputError(
            f"{source.name}: has nothing that {run.path} was trained on ({', '.join(absent)}); expected some of it"
        )
    kinds = [kind for kind in run.kinds if ("text" if kind == "event" else kind) not in absent]
    extractors, notes = run.recipe.extractors(str(run.device), kinds)
    for note in notes:
        say(note)
    features, lacks, problems = _features(run, source, extractors, workers, folder)
    for lack in lacks:
        lack |= {kind: ABSENT[kind] for kind in absent}
    corpus = corpus_of(source.name, source, features, {}).with_classes(run.network.classes)
    log_probs = [evaluate(network, Batches(corpus, "test", 1, run.device)) for network in run.networks]
    return Prediction(corpus, log_probs, mean_of(log_probs), lacks, absent, problems)


def mean_of(log_probs: Sequence[Tensor]) -> np.ndarray:
    """The mean of the probabilities of several networks, float64 (U, C), from their log-probabilities (U, C)."""
    return np.mean([np.exp(log_prob.double().cpu().numpy()) for log_prob in log_probs], axis=0)


def check_labels(source: Source, classes: Sequence[str]) -> None:
    """Raises InputError for the first label in `source` that is none of `classes`."""
    foreign = [name for name in source.classes if name not in classes]
    if foreign:
        raise InputError(
            f"{source.name}: has the label {foreign[0]!r}; the network knows {', '.join(classes)}; name it so, or "
            "leave it empty"
        )


def sentence_features(
    run: Run, extractors: dict[str, Extractor], sentences: Sequence[str]
) -> tuple[dict[str, np.ndarray], list[Lacks]]:
    """Features of `sentences` alone by kind, float32 (U, width), zeros where there are none, and what they lack."""
    utterances = [Utterance("", number, sentence) for number, sentence in enumerate(sentences)]
    lacks: list[Lacks] = [{} for _ in sentences]
    features = {}
    for kind in run.kinds:
        source = kind if kind in run.recipe.widths else "text"  # which serves as event features, too
        features[kind] = np.zeros((len(sentences), run.network.widths[kind]), np.float32)
        found = extractors[source](utterances) if source in extractors else [ABSENT[kind]] * len(sentences)
        for row, result in enumerate(found):
            if not isinstance(result, str):
                features[kind][row] = result
            elif kind in ABSENT:
                lacks[row][kind] = result
    return features, lacks


def _absent(source, modalities):
    """Those of `modalities` that no utterance of `source` has."""
    table = source.table
    there = {
        "text": table.sentence != "",
        "audio": (table.audio != "") | (table.video != ""),
        "visual": table.video != "",
    }
    return [name for name in modalities if not there[name].any()]


def _features(run, source, extractors, workers, folder):
    """Features that the networks use, by kind, what each utterance lacks, and problems."""
    everything = np.arange(len(source.table))
    parts = {kind: [Part(extractor, everything)] for kind, extractor in extractors.items()}
    widths = {kind: run.network.widths[kind] for kind in run.kinds if kind in run.recipe.widths}
    utterances = {kind: source.utterances(kind) for kind in widths}
    scaling = run.recipe.scaling() if "audio" in extractors else None
    with opened(folder / "features.sqlite") as store:
        problems = [
            line for kind in parts for part in parts[kind] for line in extract(part, utterances[kind], store, workers)
        ]
        features, missing = fill(parts, utterances, store, folder, widths, scaling)
    lacks: list[Lacks] = [{} for _ in everything]
    reasons: dict[tuple[str, int], Lacks] = {}
    for found in (*missing, *source.missing):
        if found.modality in run.network.modalities:
            reasons.setdefault((found.dialogue, found.utterance), {})[found.modality] = found.reason
    for lack, key in zip(lacks, zip(source.table.dialogue, source.table.number, strict=True), strict=True):
        lack |= reasons.get(key, {})
    return features, lacks, problems
