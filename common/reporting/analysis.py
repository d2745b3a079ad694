"""All numbers of a report on one checkpoint, as plain data (dictionaries, lists, numbers, strings).

U utterances of the split, dialogue after dialogue; scores in percent, shares and probabilities from 0 to 1.
"""

from typing import Any

import numpy as np

from common.data.corpus import Corpus
from common.evaluation.calibration import bins_of, confidence_scores, with_temperature
from common.evaluation.metrics import scores
from common.network.explain import Explanation
from common.reporting.attended import attended, keys, spread
from common.reporting.groups import groups_of
from common.reporting.intervals import dialogue_confusions, draws, interval, resampled_scores
from common.settings import NetworkSettings

FLAT = 0.01  # a gate whose standard deviation over the split is less says nothing of single turns


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
    are those after the temperature. Intervals are of LEVEL percent, over dialogues, of `common.reporting.intervals`.
    """
    label, log_prob = corpus.label[corpus.rows(split)], explanation.log_prob
    prediction = log_prob.argmax(1)  # of the very numbers that predictions.csv is made of
    shown = log_prob.astype(np.float64)  # whose exponentials keep the order of any two
    if calibrated and temperature is not None:
        shown = with_temperature(log_prob, temperature)
    calibration, bins = _calibration(log_prob, label, temperature, fitted_on)
    columns = {"probability": np.exp(shown), "prediction": prediction, "bins": bins}
    names = ("gates", "route_gates", "drop", "route_drop", "without", "route_without")
    columns |= {key: getattr(explanation, key) for key in names}
    turns = zip(*(column.tolist() for column in columns.values()), strict=True)
    attention, heads, spreads = _attention(explanation.attention, corpus, split)
    return {
        "name": name,
        "modalities": list(settings.modalities_in_use),
        "routes": list(settings.routes),
        **_scores(label, prediction, corpus, split),
        "calibration": calibration,
        "gates": _gates(explanation, settings),
        "attention_spread": spreads,
        "turns": [dict(zip(columns, turn, strict=True)) for turn in turns],
        "attention": attention,
        "heads": heads,
    }


def dialogue_of(corpus: Corpus, split: str) -> np.ndarray:
    """The dialogue of each utterance of a split, (U,), counted from 0 in it."""
    return np.repeat(np.arange(len(corpus.splits[split])), [corpus.lengths[d] for d in corpus.splits[split]])


def or_none(value: float) -> float | None:
    """A number, or None for one that is not a number."""
    return None if np.isnan(value) else float(value)


def _scores(label, prediction, corpus, split):
    """`per_class`, `confusion`, `interval` of the figures, and `groups`."""
    classes, dialogue = corpus.classes, dialogue_of(corpus, split)
    tested, drawn = scores(label, prediction, classes), draws(len(corpus.splits[split]))
    again = resampled_scores(dialogue_confusions(label, prediction, dialogue, len(classes)), drawn)
    per_class = [
        {"name": c}
        | {key: or_none(tested[key][k]) for key in ("precision", "recall", "f1")}
        | {"support": int(tested["support"][k]), "interval": interval(again["f1"][:, k])}
        for k, c in enumerate(classes)
    ]
    groups, (tables, place) = [], groups_of(corpus, split)
    for k, table in enumerate(tables):
        rows = []
        for row, words in enumerate(table["rows"]):
            inside = place[:, k] == row
            those, known = scores(label[inside], prediction[inside], classes), np.where(inside, label, -1)
            part = resampled_scores(dialogue_confusions(known, prediction, dialogue, len(classes)), drawn)
            figures = {key: those[key] for key in ("accuracy", "wf1")}
            rows.append({"name": words, "count": int(inside.sum()), **figures, "interval": interval(part["wf1"])})
        groups.append(table | {"rows": rows})
    intervals = {key: interval(again[key]) for key in ("accuracy", "wf1", "macro_f1")}
    confusion = tested["confusion"].tolist()
    return {"per_class": per_class, "confusion": confusion, "interval": intervals, "groups": groups}


def _calibration(log_prob, label, temperature, fitted_on):
    """Calibration before and after the `temperature`, and the bins of each utterance then, (U, 2), -1 for none."""
    known, bins = label >= 0, np.full((len(label), 2), -1)
    if temperature is None or not known.any():
        return None, bins
    calibration: dict[str, Any] = {"temperature": temperature, "fitted_on": fitted_on}
    log_prob, label = log_prob[known].astype(np.float64), label[known]
    for k, (when, shown) in enumerate({"before": log_prob, "after": with_temperature(log_prob, temperature)}.items()):
        calibration[when] = confidence_scores(shown, label)
        bins[known, k] = bins_of(np.exp(shown).max(1))
    return calibration, bins


def _gates(explanation, settings):
    """Of each gate its mean and standard deviation over the split, and how far it goes along with its drop."""
    gates = []
    for kind, names, weights, drops in (
        ("modality", settings.modalities_in_use, explanation.gates, explanation.drop),
        ("route", settings.routes, explanation.route_gates, explanation.route_drop),
    ):
        for k, name in enumerate(names):
            weight, drop = weights[:, k].astype(np.float64), drops[:, k]
            about = {"name": name, "kind": kind, "mean": float(weight.mean()), "std": float(weight.std())}
            gates.append(about | {"flat": bool(weight.std() < FLAT), "rho": _rank_correlation(weight, drop)})
    return gates


def _attention(tables, corpus, split):
    """What turns attended to, of the mean over heads and of each head, per dialogue and route; and how even it is."""
    attention, heads = [], []
    rows: dict[str, list] = {}
    for dialogue, routes in zip(corpus.splits[split], tables, strict=True):
        speaker = corpus.speaker[corpus.offset[dialogue] : corpus.offset[dialogue + 1]]
        found = {route: attended(weights, keys(speaker, route)) for route, weights in routes.items()}
        attention.append({route: mean for route, (mean, _) in found.items()})
        heads.append({route: by_head for route, (_, by_head) in found.items() if route != "self_event"})
        for route, (mean, _) in found.items():
            rows.setdefault(route, []).extend(row for row in mean if row)
    return attention, heads, [spread(route, found) for route, found in rows.items()]


def _rank_correlation(a, b):
    """Spearman's, None where one of the two never changes."""
    return None if np.ptp(a) == 0 or np.ptp(b) == 0 else float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values):
    """The rank of each value; equal ones have the mean of theirs. By hand, since scipy.stats takes half a second."""
    _, at, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[at]
