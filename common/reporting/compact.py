"""What the script of a report's page needs of its data, in few characters.

The page grows with the number of turns, not with its square: of an attention its largest weights are kept.
"""

import math
from typing import Any

import numpy as np

COLUMNS = ("probability", "drop", "route_drop")  # rounded to three decimals
WHOLE = ("prediction", "bins", "without", "route_without")


def explorer_data(data: dict[str, Any]) -> dict[str, Any]:
    """The data of the explorer: names, dialogues, and per checkpoint columns over the turns and the attention.

    Gates become deviations from their mean over the split, in standard deviations (0 where the gate never changes).
    Attention becomes, per turn, a flat list: how many turns could be seen, over how many equally weighed ones the look
    is spread (exp of the entropy), then each of the largest weights as turn and multiple of an even share.
    """
    return {
        "classes": data["classes"],
        "colors": data["colors"],
        "calibrated": data["calibrated"],
        "groups": [{"title": group["title"], "rows": group["rows"]} for group in data["groups"]],
        "runs": [_run(run) for run in data["runs"]],
        "dialogues": data["dialogues"],
        "highlight": data["highlight"] and data["highlight"] | {"drop": round(data["highlight"]["drop"], 3)},
        "checkpoints": [_checkpoint(part, data["runs"][part["run"]]) for part in data["checkpoints"]],
    }


def head_data(data: dict[str, Any]) -> list[list[dict[str, list]]]:
    """Per checkpoint and dialogue: route to, per turn, None or for each head the turn it looked at most, the multiple
    of an even share, and over how many equally weighed turns its look is spread.
    """
    return [
        [
            {
                route: [_heads(row, seen) for row, seen in zip(rows, part["attention"][k][route], strict=True)]
                for route, rows in dialogue.items()
            }
            for k, dialogue in enumerate(part["heads"])
        ]
        for part in data["checkpoints"]
    ]


def short(numbers: Any, digits: int = 3) -> list:
    """`numbers`, lists of any depth, rounded; those that are whole are int."""
    rounded = np.round(np.array(numbers, np.float64), digits)
    short, whole = rounded.astype(object), rounded == np.rint(rounded)
    short[whole] = rounded[whole].astype(int)
    return short.tolist()


def _run(run):
    ensemble = run["ensemble"] and {
        "predictions": run["ensemble"]["predictions"],
        "probability": short(run["ensemble"]["probability"]),
    }
    kept = {name: run[name] for name in ("name", "modalities", "routes", "checkpoints")}
    return kept | {"empty_history": run["settings"]["empty_history"], "ensemble": ensemble}


def _checkpoint(part, run):
    turns, gates = part["turns"], {gate["name"]: gate for gate in part["gates"]}
    columns = {name: [turn[name] for turn in turns] for name in WHOLE}
    columns |= {name: short([turn[name] for turn in turns]) for name in COLUMNS}
    for column, weights, names in (("gate_z", "gates", "modalities"), ("route_gate_z", "route_gates", "routes")):
        mean, std = ([gates[name][key] for name in run[names]] for key in ("mean", "std"))
        away = np.array([turn[weights] for turn in turns], np.float64).reshape(len(turns), len(mean)) - mean
        columns[column] = short(np.divide(away, std, out=np.zeros_like(away), where=np.array(std) > 0), 2)
    return {
        "name": part["name"],
        "run": part["run"],
        "gates": {name: short([gate["mean"], gate["std"]], 4) for name, gate in gates.items()},
        "own_only": [spread["route"] for spread in part["attention_spread"] if spread["own_only"]],
        "turns": columns,
        "attention": [
            {route: [_attention(seen) for seen in rows] for route, rows in dialogue.items()}
            for dialogue in part["attention"]
        ],
    }


def _attention(seen):
    if seen is None:
        return None
    keys = seen["keys"]
    row = [keys, _hundredths(math.exp(seen["entropy"]))]
    for turn, weight in seen["top"]:
        row += [turn, _hundredths(weight * keys)]
    return row


def _heads(heads, seen):
    if heads is None:
        return None
    row = []
    for turn, weight, entropy in heads:
        row += [turn, _hundredths(weight * seen["keys"]), _hundredths(math.exp(entropy))]
    return row


def _hundredths(value):
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded
