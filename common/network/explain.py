"""What weighed how much in a decision: gates, attention, and what is lost when something is removed (Figures 4 and 5).

U utterances of a split, K modalities and R routes in use, in the order of `modalities_in_use` and `routes` of settings.
"""

from dataclasses import dataclass

import numpy as np
import torch

from common.batching.batches import Batches
from common.network.ecerc import ECERC


@dataclass(frozen=True)
class Explanation:
    """Of each utterance of a split, in file order.

    `log_prob`: (U, C). `gates`: (U, K) of the evidence, and `route_gates`: (U, R) of the candidates, each the mean over
    the vector of a sigmoid gate, 1 where the network has none. `drop`: (U, K) and `route_drop`: (U, R), what the log-
    probability of the predicted class loses, in nats, when a modality is removed from the evidence of this utterance,
    or a route from its candidates. `attention`: per dialogue of n turns, route to (n, n) weights of the last layer,
    mean over heads, row by row the query; NaN in rows of turns without history.
    """

    log_prob: np.ndarray
    gates: np.ndarray
    route_gates: np.ndarray
    drop: np.ndarray
    route_drop: np.ndarray
    attention: list[dict[str, np.ndarray]]


@torch.no_grad()
def explain(network: ECERC, batches: Batches) -> Explanation:
    """The Explanation of what `network` makes of `batches`, of "exact" shapes and in file order.

    A modality is removed where the utterance asks (the query of eq. 10-13); as a cause of later ones it stays, and in
    the gates of the other modalities. A route is removed where the classifier takes its candidate (eq. 15).
    """
    network.eval()
    parts, attention = [], []
    for batch in batches:
        trace = {}
        log_prob = network(batch, trace)
        predicted = log_prob.argmax(1, keepdim=True)

        def lost(other, log_prob=log_prob, predicted=predicted):
            return (log_prob - other).gather(1, predicted)[:, 0]

        rows, settings = len(log_prob), network.settings
        gates = trace["evidence_gate"][:rows].unflatten(1, (-1, settings.hidden_width)).mean(2)
        route_gates = torch.stack([trace[f"{route}_gate"].mean(1) for route in settings.routes], 1)
        drop = torch.stack([lost(network(batch, removed=name)) for name in settings.modalities_in_use], 1)
        candidates = trace["gated_candidates"].unflatten(1, (len(settings.routes), -1))
        route_drop = []
        for k in range(len(settings.routes)):
            others = candidates.clone()
            others[:, k] = 0
            route_drop.append(lost(network.classifier(others.flatten(1)).log_softmax(1)))
        parts.append([x.cpu().numpy() for x in (log_prob, gates, route_gates, drop, torch.stack(route_drop, 1))])
        attention += _attention(trace, batch.layout, settings.routes)
    return Explanation(*(np.concatenate(part) for part in zip(*parts, strict=True)), attention)


def _attention(trace, layout, routes):
    """Per dialogue of a batch, route to weights (n, n)."""
    cells = sum(group.real.numel() for group in layout.groups)
    without = {}
    for kind, empty in (("self", layout.no_self), ("cross", layout.no_cross)):
        without[kind] = layout.pad((empty.cell >= cells)[:, None])[:, :, 0].cpu().numpy()  # (B, L)
    found = [{} for _ in layout.length]
    for route in routes:
        weights = trace.get(f"{route}_weights")
        mean = None if weights is None else weights[-1].mean(1).cpu().numpy()  # (B, L, L)
        for dialogue, n in enumerate(layout.length.tolist()):
            if mean is None:  # events of the own turn: nothing else is looked at
                found[dialogue][route] = np.eye(n)
                continue
            found[dialogue][route] = mean[dialogue, :n, :n].copy()
            found[dialogue][route][without[route.split("_")[0]][dialogue, :n]] = np.nan
    return found
