"""What a report says of the checkpoints of a run together: mean and spread, agreement, ensemble, what parts bring.

U utterances of a split, C classes; scores in percent.
"""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from common.data.corpus import Corpus
from common.evaluation.metrics import scores
from common.reporting.analysis import dialogue_of, or_none
from common.reporting.conversations import turn_name
from common.reporting.intervals import dialogue_confusions, draws, interval, resampled_scores
from common.reporting.tables import FIGURES
from common.settings import NetworkSettings

LONG = 30  # turns; the conversation that is worth a look has at most so many, if there is such a one


def run_analysis(
    name: str,
    settings: NetworkSettings,
    parts: Sequence[dict[str, Any]],
    log_probs: Sequence[ArrayLike],
    corpus: Corpus,
    split: str,
    paper: dict | None,
) -> dict[str, Any]:
    """What there is to say of checkpoints that were trained alike.

    `parts`: `checkpoint_analysis` of each; `log_probs`: (U, C) each, as they are shown; `paper`: the scores that it
    has, where they apply. Without labels `summary` is empty, and what needs them is None.
    """
    label, classes = corpus.label[corpus.rows(split)], corpus.classes
    dialogue, drawn = dialogue_of(corpus, split), draws(len(corpus.splits[split]))
    predictions = [np.array([turn["prediction"] for turn in part["turns"]]) for part in parts]

    def again(prediction):
        return resampled_scores(dialogue_confusions(label, prediction, dialogue, len(classes)), drawn)

    run: dict[str, Any] = {"name": name, "settings": asdict(settings) | {"without": list(settings.without)}}
    run |= {"modalities": list(settings.modalities_in_use), "routes": list(settings.routes)}
    labelled = bool((label >= 0).any())
    named = [scores(label, prediction, classes) for prediction in predictions]
    run["summary"] = summary(named, [again(p) for p in predictions], classes, paper) if labelled else []
    run["without"] = _without(parts, named, label, classes)
    run["ensemble"] = None
    if len(parts) > 1:
        mean = _mean(log_probs)
        prediction = mean.argmax(1)
        rows = summary([scores(label, prediction, classes)], [again(prediction)], classes, None) if labelled else []
        rows = [{"name": row["name"], "value": row["mean"], "interval": row["interval"]} for row in rows]
        run["ensemble"] = {"scores": rows, "predictions": prediction.tolist(), "probability": mean.max(1).tolist()}
    run["agreement"] = _agreement(predictions, label) if len(parts) > 1 else None
    return run


def ensemble_scores(log_probs: Sequence[ArrayLike], label: ArrayLike, classes: list[str]) -> dict[str, Any]:
    """`scores` of the mean of the probabilities of several checkpoints, given their log-probabilities (U, C) each."""
    return scores(label, _mean(log_probs).argmax(1), classes)


def summary(
    named: Sequence[dict[str, Any]], again: Sequence[dict[str, np.ndarray]], classes: list[str], paper: dict | None
) -> list[dict[str, Any]]:
    """Per figure its value for each checkpoint, mean, sample spread, interval of the mean, and what the `paper` has.

    `named`: `scores` of each; `again`: `resampled_scores` of each, of the same draws.
    """
    keys = [(words, key, ...) for key, words in FIGURES.items()] + [(f"F1 {c}", "f1", k) for k, c in enumerate(classes)]
    rows = []
    for words, key, at in keys:
        values = [float(np.asarray(tested[key])[at]) for tested in named]
        resampled = np.mean([part[key] if at is ... else part[key][:, at] for part in again], axis=0)
        printed = paper.get(key) if paper else None
        rows.append(
            {
                "name": words,
                "values": [or_none(value) for value in values],
                "mean": or_none(float(np.mean(values))),
                "std": or_none(float(np.std(values, ddof=1))) if len(values) > 1 else None,
                "interval": interval(resampled),
                "paper": printed if at is ... or printed is None else printed[at],
            }
        )
    return rows


def highlight(
    run: dict[str, Any], parts: Sequence[dict[str, Any]], dialogues: list[dict], classes: list[str]
) -> dict[str, Any] | None:
    """One conversation of a `run` worth a look: the turn that leans most on what was said before.

    Of the turns of its first checkpoint that are right, or have no label, and are predicted as something else without
    one of the routes that look back and saw something, the one that loses most without it; in a conversation of at most
    LONG turns, if there is one. None where there is no such turn. `parts` are those of the run; `dialogues`: see
    `conversations`.
    """
    checkpoint, best, first = run["checkpoints"][0], None, 0
    part = parts[0]
    looks_back = [k for k, row in enumerate(part["attention_spread"]) if not row["own_only"]]
    for d, dialogue in enumerate(dialogues):
        for t, said in enumerate(dialogue["turns"]):
            entry = part["turns"][first + t]
            if said["label"] not in (-1, entry["prediction"]):
                continue
            for k in looks_back:
                saw = part["attention"][d][run["routes"][k]][t]
                if saw and entry["route_without"][k] != entry["prediction"]:
                    rank = (len(dialogue["turns"]) <= LONG, said["label"] >= 0, entry["route_drop"][k])
                    if best is None or rank > best[0]:
                        best = rank, d, t, k, entry
        first += len(dialogue["turns"])
    if best is None:
        return None
    (_, _, drop), d, t, k, entry = best
    route, kinds = run["routes"][k], [classes[at] for at in (entry["prediction"], entry["route_without"][k])]
    reason = f"{turn_name(dialogues[d]['turns'][t], t).capitalize()} is predicted {kinds[0]}"
    reason += ", as labelled" if dialogues[d]["turns"][t]["label"] >= 0 else ""
    reason += f"; without the {route.replace('_', ' ')} route it would be {kinds[1]}."
    return {"dialogue": d, "turn": t, "checkpoint": checkpoint, "route": route, "drop": drop, "reason": reason}


def _mean(log_probs):
    """The mean of the probabilities, (U, C)."""
    return np.mean([np.exp(np.asarray(log_prob, np.float64)) for log_prob in log_probs], axis=0)


def _without(parts, named, label, classes):
    """Of each modality and route what the weighted F1 becomes without it, and how many predictions change."""
    rows: list[dict[str, Any]] = []
    for kind, names, key in (
        ("modality", parts[0]["modalities"], "without"),
        ("route", parts[0]["routes"], "route_without"),
    ):
        for k, name in enumerate(names):
            changes, changed = [], []
            for part, tested in zip(parts, named, strict=True):
                blind = np.array([turn[key][k] for turn in part["turns"]])
                changes.append(scores(label, blind, classes)["wf1"] - tested["wf1"])
                changed.append(np.mean(blind != [turn["prediction"] for turn in part["turns"]]))
            std = or_none(float(np.std(changes, ddof=1))) if len(changes) > 1 else None
            row = {"name": name, "kind": kind, "wf1_change": [or_none(x) for x in changes], "std": std}
            rows.append(row | {"mean": or_none(float(np.mean(changes))), "changed": float(np.mean(changed))})
    return rows


def _agreement(predictions, label):
    """How many labelled turns all, none or some get right; how many turns all predict alike; Cohen's kappa of pairs."""
    table = np.stack(predictions)
    right = (table == label)[:, label >= 0].sum(0)
    all_right, all_wrong = int((right == len(table)).sum()), int((right == 0).sum())
    kappa = np.mean([_kappa(a, b) for a, b in combinations(table, 2)])
    return {
        "all_right": all_right,
        "all_wrong": all_wrong,
        "mixed": len(right) - all_right - all_wrong,
        "same": int((table == table[0]).all(0).sum()),
        "kappa": or_none(float(kappa)),
    }


def _kappa(a, b):
    """Cohen's: what two agree beyond what chance would give them. NaN where chance gives all of it."""
    count = int(max(a.max(), b.max())) + 1
    chance = (np.bincount(a, minlength=count) * np.bincount(b, minlength=count)).sum() / len(a) ** 2
    return float("nan") if chance == 1 else ((a == b).mean() - chance) / (1 - chance)
