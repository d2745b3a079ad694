"""Which earlier turns a route attended to, in few numbers: the turns with most weight, and how even the rest is.

n turns of a dialogue, U utterances of a split.
"""

from typing import Any

import numpy as np

TOP = 6  # turns that a row names
FLAT = 1.05  # where the largest multiple of uniform is less on average, attention says nothing of single turns


def keys(speaker: np.ndarray, route: str) -> np.ndarray:
    """Which turns a route can see, of a dialogue with a `speaker` (n,) each: (n, n), row by row the query (Figure 3).

    Self routes see earlier turns of the same speaker, cross routes those of anybody else; the self event is that of the
    turn itself.
    """
    n, same = len(speaker), speaker[:, None] == speaker
    if route == "self_event":
        return np.eye(n, dtype=bool)
    return np.tri(n, k=-1, dtype=bool) & (same if route.startswith("self") else ~same)


def attended(weights: np.ndarray, seen: np.ndarray) -> tuple[list[dict[str, Any] | None], list[list[list] | None]]:
    """What each turn attended to, given `weights` (heads, n, n) and the `keys` (n, n) that were `seen`.

    First of the mean over heads, per turn: None without history, else `keys`, how many turns it could see, `entropy`
    in nats, and `top`, pairs of turn, from 0, and weight, the highest first and of equals the earlier; what is lacking
    to 1 is that of the others. Then, per turn, of each head: the turn with the highest weight, its weight, and the
    entropy.
    """
    mean, counts = weights.mean(0, dtype=np.float64), seen.sum(1).tolist()
    order = np.argsort(np.where(seen, -mean, np.inf), 1, kind="stable")[:, :TOP]
    top, entropy = np.take_along_axis(mean, order, 1).tolist(), _entropy(mean).tolist()
    by_head = np.stack([weights.argmax(2), weights.max(2), _entropy(weights)], 2).transpose(1, 0, 2).tolist()
    rows: list[dict[str, Any] | None] = []
    heads: list[list[list] | None] = []
    for turn, (count, places) in enumerate(zip(counts, order.tolist(), strict=True)):
        if not count:
            rows.append(None)
            heads.append(None)
            continue
        pairs = [[at, weight] for at, weight in zip(places[:count], top[turn][:count], strict=True)]
        rows.append({"keys": count, "entropy": entropy[turn], "top": pairs})
        heads.append([[int(at), weight, even] for at, weight, even in by_head[turn]])
    return rows, heads


def spread(route: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How far the attention of a `route` is from uniform over a split, given all `rows` of `attended`.

    `own_only`: it sees the turn itself and nothing else. Else, of the turns that could see two or more: how many there
    are, `rows`; means of the `largest` multiple of uniform, and of `evenness`, exp(entropy) over how many are seen, 1
    for uniform; and whether that is `flat`. None for means of nothing.
    """
    several = [row for row in rows if row["keys"] > 1]
    largest = [row["top"][0][1] * row["keys"] for row in several]
    even = [np.exp(row["entropy"]) / row["keys"] for row in several]
    means = [float(np.mean(values)) if values else None for values in (largest, even)]
    flat = means[0] is not None and means[0] < FLAT
    about = {"route": route, "own_only": route == "self_event", "rows": len(several)}
    return about | {"largest": means[0], "evenness": means[1], "flat": flat}


def _entropy(weights):
    """Of the last axis, in nats."""
    return -(weights * np.log(np.where(weights > 0, weights, 1), dtype=np.float64)).sum(-1)
