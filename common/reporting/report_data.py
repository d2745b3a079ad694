"""All numbers of a report: what its page shows, and what report.json holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from common.data.corpus import Corpus
from common.reporting.colors import emotion_colors
from common.reporting.conversations import conversations
from common.reporting.groups import groups_of
from common.reporting.run_analysis import highlight, run_analysis
from common.settings import NetworkSettings


@dataclass
class Evaluated:
    """Checkpoints that were trained alike. `name`: of their run, "" where there is no other; `parts`: the
    `checkpoint_analysis` of each; `log_probs`: (U, C) each, as they are shown; `paper`: the scores that it has, where
    they apply; `about`: what else there is to say of the run, JSON types.
    """

    name: str
    settings: NetworkSettings
    parts: list[dict[str, Any]]
    log_probs: list[ArrayLike]
    paper: dict | None = None
    about: dict[str, Any] = field(default_factory=dict)


def report_data(
    corpus: Corpus,
    split: str,
    evaluated: Sequence[Evaluated],
    *,
    calibrated: bool = False,
    notes: Sequence[str] = (),
    about: dict[str, Any] | None = None,
    comparison: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The data of a report on one run, or on two, on a `split` of `corpus`: JSON types only, not rounded.

    `calibrated`: probabilities are those after the temperature; `notes`: sentences that a reader has to know; `about`:
    what holds for all runs; `comparison`: of two.
    """
    runs: list[dict[str, Any]] = []
    checkpoints: list[dict[str, Any]] = []
    for index, one in enumerate(evaluated):
        run = run_analysis(one.name, one.settings, one.parts, one.log_probs, corpus, split, one.paper)
        places = [*range(len(checkpoints), len(checkpoints) + len(one.parts))]
        runs.append(run | {"checkpoints": places} | one.about)
        checkpoints += [part | {"run": index} for part in one.parts]
    dialogues, (groups, places) = conversations(corpus, split), groups_of(corpus, split)
    place = iter(places.tolist())
    for dialogue in dialogues:
        for turn in dialogue["turns"]:
            turn["groups"] = next(place)
    dataset = f"synthetic {corpus.name}" if "synthetic" in corpus.sources else corpus.name
    return {
        "title": f"ECERC on {dataset}, {split} split",
        "dataset": dataset,
        "split": split,
        "notes": list(notes),
        "calibrated": calibrated,
        "classes": list(corpus.classes),
        "colors": emotion_colors(corpus.classes),
        "about": about or {},
        "runs": runs,
        "comparison": comparison,
        "highlight": highlight(runs[0], evaluated[0].parts, dialogues, list(corpus.classes)),
        "groups": groups,
        "dialogues": dialogues,
        "checkpoints": checkpoints,
    }
