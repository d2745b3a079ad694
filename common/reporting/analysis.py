"""All numbers of a report on some checkpoints, as plain data (dictionaries, lists, numbers, strings).

U utterances of the split, dialogue after dialogue; scores in percent, shares and probabilities from 0 to 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from common.data.corpus import Corpus
from common.evaluation.calibration import confidence_scores, with_temperature
from common.evaluation.metrics import scores
from common.network.explain import Explanation
from common.reporting.tables import FIGURES
from common.settings import NetworkSettings

POSITIONS = (1, 2, 3, 4, 6, 11, 21, 41)  # first turns of the groups by position


def checkpoint_analysis(
    name: str,
    corpus: Corpus,
    split: str,
    settings: NetworkSettings,
    explanation: Explanation,
    temperature: float | None,
    fitted_on: str,
    calibrated: bool = False,
) -> dict[str, Any]:
    """What a report says of one checkpoint. `temperature`: None where no split could fit it. Nothing is rounded.

    Scores of nothing are None; so is `calibration` without labels or without a temperature. `calibrated`: probabilities
    are those after the temperature.
    """
    rows = corpus.rows(split)
    label, log_prob, classes = corpus.label[rows], explanation.log_prob, corpus.classes
    prediction, known = log_prob.argmax(1), label >= 0  # of the very numbers that predictions.csv is made of
    tested = scores(label, prediction, classes)
    shown = log_prob.astype(np.float64)  # whose exponentials keep the order of any two
    if calibrated and temperature is not None:
        shown = with_temperature(log_prob, temperature)
    weights = _columns(explanation.gates, settings.modalities_in_use) | _columns(
        explanation.route_gates, settings.routes
    )
    drops = _columns(explanation.drop, settings.modalities_in_use) | _columns(explanation.route_drop, settings.routes)
    calibration = None
    if known.any() and temperature is not None:
        before, label = log_prob[known], label[known]
        calibration = {"temperature": temperature, "fitted_on": fitted_on}
        calibration["before"] = confidence_scores(before, label)
        calibration["after"] = confidence_scores(with_temperature(before, temperature), label)
    names = ("gates", "route_gates", "drop", "route_drop")
    columns = {"probability": np.exp(shown), "prediction": prediction}
    columns |= {key: getattr(explanation, key) for key in names}
    turns = zip(*(column.tolist() for column in columns.values()), strict=True)
    return {
        "name": name,
        "per_class": [
            {"name": c} | {key: _or_none(tested[key][k].item()) for key in ("precision", "recall", "f1", "support")}
            for k, c in enumerate(classes)
        ],
        "confusion": tested["confusion"].tolist(),
        "calibration": calibration,
        "groups": groups(corpus, split, prediction),
        "gate_mean": {key: float(column.mean()) for key, column in weights.items()},
        "agreement": [{"name": key, "rho": _rank_correlation(weights[key], drops[key])} for key in weights],
        "turns": [dict(zip(columns, turn, strict=True)) for turn in turns],
        "attention": [{route: _rows(table) for route, table in routes.items()} for routes in explanation.attention],
    }


def groups(corpus: Corpus, split: str, prediction: np.ndarray) -> list[dict[str, Any]]:
    """Scores of predictions (U,) by where an utterance stands, by what came before it, and by emotion shift.

    Utterances whose label is not known are in no group, but in the history of others.
    """
    label = corpus.label[corpus.rows(split)]
    position, by_speaker, by_other, shift = [], [], [], []
    for dialogue in corpus.splits[split]:
        rows = np.arange(corpus.offset[dialogue], corpus.offset[dialogue + 1])
        seen: dict[int, tuple[int | None, int]] = {}  # speaker to the previous label, and how many turns came before
        for turn, (who, what) in enumerate(zip(corpus.speaker[rows], corpus.label[rows], strict=True)):
            before, count = seen.get(who, (None, 0))
            position.append(turn + 1)
            by_speaker.append(count)
            by_other.append(turn - count)
            shift.append("first turn" if before is None else "unknown" if before < 0 else before != what)
            seen[who] = what, count + 1
    by_position = {}
    for first, last in zip(POSITIONS, [*(first - 1 for first in POSITIONS[1:]), len(position)], strict=True):
        words = f"turn {first}" if last == first else f"turns {first} to {last}"
        words = f"turn {first} and later" if first == POSITIONS[-1] else words
        by_position[words] = [first <= p <= last for p in position]

    def by_history(counts):
        members = {name: [c == k for c in counts] for k, name in enumerate(("none", "1", "2"))}
        return members | {"3 and more": [c >= 3 for c in counts]}

    by_shift = {"speaker's first": "first turn", "same emotion": False, "other emotion": True, "not known": "unknown"}
    by_shift = {name: [s == key for s in shift] for name, key in by_shift.items()}
    tables = []
    for title, what, members in (
        ("position in the dialogue", "Turns, counted from the first.", by_position),
        ("own history", "Earlier turns of the same speaker: what the two self routes look at.", by_history(by_speaker)),
        (
            "history of others",
            "Earlier turns of anybody else: what the two cross routes look at.",
            by_history(by_other),
        ),
        ("emotion shift", "Whether the true emotion is that of the speaker's previous turn.", by_shift),
    ):
        rows = [_group(name, inside, label, prediction, corpus.classes) for name, inside in members.items()]
        tables.append({"title": title, "what": what, "rows": [row for row in rows if row["count"]]})
    return tables


def ensemble_scores(log_probs: Sequence[ArrayLike], label: ArrayLike, classes: list[str]) -> dict[str, Any]:
    """`scores` of the mean of the probabilities of several checkpoints, given their log-probabilities (U, C) each."""
    mean = np.mean([np.exp(np.asarray(log_prob, np.float64)) for log_prob in log_probs], axis=0)
    return scores(label, mean.argmax(1), classes)


def summary(named: dict[str, dict], classes: list[str], paper: dict | None) -> list[dict[str, Any]]:
    """Per figure its value for each checkpoint (`named`: name to `scores`), mean, sample spread, and the `paper`'s."""
    rows = [
        (words, [tested[key] for tested in named.values()], paper and paper.get(key)) for key, words in FIGURES.items()
    ]
    for k, c in enumerate(classes):
        rows.append((f"F1 {c}", [float(tested["f1"][k]) for tested in named.values()], paper and paper["f1"][k]))
    return [
        {
            "name": name,
            "values": [_or_none(value) for value in values],
            "mean": _or_none(float(np.mean(values))),
            "std": _or_none(float(np.std(values, ddof=1))) if len(values) > 1 else None,
            "paper": printed,
        }
        for name, values, printed in rows
    ]


def conversations(corpus: Corpus, split: str) -> list[dict[str, Any]]:
    """The dialogues of a split: id, and per turn speaker, sentence ("" where there is none), label (-1: unknown), and
    the number that was given, where that is not how many turns there are up to here.
    """
    dialogues = []
    for dialogue in corpus.splits[split]:
        rows = range(corpus.offset[dialogue], corpus.offset[dialogue + 1])
        turns = [
            {
                "speaker": corpus.speakers[corpus.speaker[row]],
                "sentence": corpus.sentences[row] if corpus.sentences else "",
                "label": int(corpus.label[row]),
            }
            for row in rows
        ]
        if corpus.numbers is not None:
            numbers = corpus.numbers[rows[0] : rows[-1] + 1].tolist()
            turns = [
                turn | ({"number": n} if n != k else {})
                for k, (turn, n) in enumerate(zip(turns, numbers, strict=True), 1)
            ]
        dialogues.append({"id": str(corpus.ids[dialogue]), "turns": turns})
    return dialogues


def turn_name(said: dict[str, Any], turn: int) -> str:
    """How the turn at position `turn`, from 0, is named: from 1, and by the number that was given if that is another.

    `said`: what `conversations` says of it.
    """
    return f"turn {turn + 1}" + (f" (utterance {said['number']})" if "number" in said else "")


def _group(name, inside, label, prediction, classes):
    inside = np.array(inside) & (label >= 0)
    tested = scores(label[inside], prediction[inside], classes)
    return {"name": name, "count": int(inside.sum())} | {key: _or_none(tested[key]) for key in ("accuracy", "wf1")}


def _columns(table, names):
    return dict(zip(names, table.T, strict=True))


def _rows(table):
    """Rows of numbers (n, n); None in place of those that hold NaN."""
    empty = np.isnan(table).any(1).tolist()
    return [None if nothing else row for nothing, row in zip(empty, table.tolist(), strict=True)]


def _rank_correlation(a, b):
    """Spearman's, None where one of the two never changes."""
    return None if np.ptp(a) == 0 or np.ptp(b) == 0 else float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values):
    """The rank of each value; equal ones have the mean of theirs. By hand, since scipy.stats takes half a second."""
    _, at, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[at]


def _or_none(value):
    return None if np.isnan(value) else value
