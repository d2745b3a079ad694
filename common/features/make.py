"""A dataset of features from a Source: extract what is wanted, keep it, write what `train.py --data-dir` takes."""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.data.corpus import Corpus
from common.data.own import FILE as DATASET
from common.data.own import check_name, write_own
from common.environment import versions
from common.errors import InputError
from common.features.audio.is10 import LICENCE
from common.features.choices import Choices
from common.features.dataset import audio_scaling, corpus_of, fill, widths_of, write_missing
from common.features.extract import Part, Workers, extract
from common.features.extractor import Extractor
from common.features.models import Model
from common.features.recipe import FILE, SCALING, write_recipe
from common.features.sources.source import Missing, Source
from common.features.store import opened
from common.features.text.encoder import FirstToken
from common.features.text.tuned import Tuning, tuned_parts
from common.files import sha256

WORK = "work"  # folder of what is kept: features of single utterances, and encoders of folds
PACKAGES = (
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "av",
    "opencv-python-headless",
    "onnxruntime",
    "opensmile",
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """A dataset that was made: its `corpus`, what is `missing`, and `problems`, what could not be done, lines."""

    corpus: Corpus
    missing: list[Missing]
    problems: list[str]

    def counted(self) -> dict[str, int]:
        """How many utterances lack a modality, by modality."""
        return dict(Counter(m.modality for m in self.missing))


def make_dataset(
    name: str,
    source: Source,
    choices: Choices,
    tuning: Tuning | None,
    output: Path,
    *,
    device: str,
    workers: Workers,
    overwrite: bool,
    say: Say,
) -> Made:
    """Make the features of `source` and write the dataset `name` into the folder `output`.

    What was made before is found in `output`/work and not made again. `tuning`: fine-tune the text encoder first.
    `device`: of models, a name of torch. `overwrite`: replace a dataset that is there. `say` is given lines about what
    is done. Raises InputError where something is wrong with all of it, and where there is a dataset already; what is
    wrong with single utterances is in missing.csv.
    """
    check_name(name)
    if (output / DATASET).exists() and not overwrite:
        raise InputError(
            f"{output / DATASET}: exists already; replace it (what is kept in {WORK}/ is used again), or choose "
            "another folder",
            ["overwrite", "output"],
        )
    everything = np.arange(len(source.table))
    work = output / WORK
    extractors, notes = _wanted(source, choices.extractors(device))
    choices = _at_commits(choices, extractors)
    parts: dict[str, Sequence[Part]] = {kind: [Part(extractor, everything)] for kind, extractor in extractors.items()}
    if choices.audio_model == "is10":
        notes.append(f"Note: {LICENCE}.")
    for note in notes:
        say(note)
    if tuning:
        base = extractors.get("text")
        if not isinstance(base, FirstToken):
            raise InputError("--tune tunes the text encoder, and there is no text; leave it out", ["tune"])
        extractors["text"], parts["text"] = tuned_parts(source, base, tuning, output, work, say)
    utterances = {kind: source.utterances(kind) for kind in parts}
    work.mkdir(parents=True, exist_ok=True)
    with opened(work / "features.sqlite") as store:
        problems = [
            line for kind in parts for part in parts[kind] for line in extract(part, utterances[kind], store, workers)
        ]
        widths = widths_of(parts, utterances, store)
        for kind in [kind for kind in parts if kind not in widths]:
            say(f"Note: no utterance has {kind} features; they are left out. Reasons are in missing.csv.")
        if not widths:
            raise InputError(f"{source.name}: no utterance has any features{f'; {problems[0]}' if problems else ''}")
        scaling = None
        if "audio" in widths:
            train = np.flatnonzero(source.table.split == "train")
            if len(train):
                scaling = audio_scaling(parts["audio"], utterances["audio"], store, train)
                scaling.save(output / SCALING)
            else:
                say("Note: no split train, so audio features are not standardised.")
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            features, missing = fill(parts, utterances, store, Path(temporary), widths, scaling)
            known = {m[:3] for m in source.missing}
            missing = [*source.missing, *(m for m in missing if m[:3] not in known)]
            write_missing(output, missing)
            scaled = sha256(output / SCALING) if scaling else None
            content = _content(source, choices, tuning, extractors, widths, scaled)
            sources = {path.name: sha256(path) for path in source.files} | {FILE: write_recipe(output, content)}
            corpus = corpus_of(name, source, features, sources)
            write_own(corpus, output, overwrite)
    return Made(corpus, missing, problems)


def _wanted(source: Source, extractors: dict[str, Extractor]) -> tuple[dict[str, Extractor], list[str]]:
    """Those of `extractors` for which `source` has something, and notes on the others."""
    table = source.table
    there = {
        "audio": (table.audio != "") | (table.video != ""),
        "visual": table.video != "",
        "text": table.sentence != "",
    }
    kept, notes = {}, []
    for kind, extractor in extractors.items():
        if there["text" if kind == "event" else kind].any():
            kept[kind] = extractor
        elif kind != "event":
            notes.append(
                f"Note: no {kind} features, as there is no {'sentence' if kind == 'text' else 'file'} for them."
            )
    options = {"audio": "--audio-model NAME", "visual": "--visual-model FILE"}
    for kind, option in options.items():
        if kind not in extractors and there[kind].any():
            notes.append(f"Note: no {kind} features, as no model is given; {option} adds them.")
    if not kept:
        raise InputError(f"{source.name}: nothing to make features of; give a model for what it has")
    return kept, notes


def _at_commits(choices: Choices, extractors: dict[str, Extractor]) -> Choices:
    """`choices` with the commits of the hub's models, whose branches move."""
    found: dict[str, Any] = {}
    for kind in ("text", "event", "audio"):
        model = getattr(extractors.get(kind), "model", None)
        if isinstance(model, Model) and model.revision:
            found[f"{kind}_revision"] = model.revision
    return replace(choices, **found)


def _content(source, choices, tuning, extractors, widths, scaled) -> dict[str, Any]:
    """What recipe.yaml says."""
    return {
        "source": {"name": source.name, "files": {path.name: sha256(path) for path in source.files}},
        "classes": list(source.classes),
        "choices": choices.plain(),
        "tuned": tuning is not None,
        "tuning": asdict(tuning) if tuning else None,
        "scaled": scaled,
        "features": {kind: {"width": width, "identity": extractors[kind].identity()} for kind, width in widths.items()},
        "versions": versions(PACKAGES),
    }
