"""What weighed how much in a decision: gates, attention, and what is lost when something is removed (Figures 4 and 5).

U utterances of a split, K modalities and R routes in use, in the order of `modalities_in_use` and `routes` of settings.
"""

import threading
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from common.batching.batches import Batches
from common.batching.packing import Packing
from common.batching.side_by_side import computed
from common.network.attention import AttentionLayer
from common.network.ecerc import ECERC
from common.network.masks import History


@dataclass(frozen=True)
class Explanation:
    """Of each utterance of a split, in file order.

    `log_prob`: (U, C). `gates`: (U, K) of the evidence, and `route_gates`: (U, R) of the candidates, each the mean over
    the vector of a sigmoid gate, 1 where the network has none. `drop`: (U, K) and `route_drop`: (U, R), what the log-
    probability of the predicted class loses, in nats, when a modality is removed from the evidence of this utterance,
    or a route from its candidates; `without`: (U, K) and `route_without`: (U, R), the class predicted then.
    `attention`: per dialogue of n turns, route to (heads, n, n) weights of the last layer, row by row the query, one
    head where all look alike; NaN in rows of turns without history.
    """

    log_prob: np.ndarray
    gates: np.ndarray
    route_gates: np.ndarray
    drop: np.ndarray
    route_drop: np.ndarray
    without: np.ndarray
    route_without: np.ndarray
    attention: list[dict[str, np.ndarray]]


def explain(network: ECERC, batches: Batches, temperature: float = 1.0) -> Explanation:
    """The Explanation of what `network` makes of `batches`, of "exact" shapes and in file order.

    What is lost is counted after dividing log-probabilities by the `temperature`; `log_prob` itself is as it was.
    A modality is removed where the utterance asks (the query of eq. 10-13); as a cause of later ones it stays, and in
    the gates of the other modalities. A route is removed where the classifier takes its candidate (eq. 15).
    """
    network.eval()
    seen = threading.local()  # what the gates of the evidence give, and what each route's last layer is given
    hooks = [network.evidence_gating.register_forward_hook(lambda module, inputs, output: _note(seen, gates=output[0]))]
    for route in network.settings.routes:
        hooks.append(
            _last_layer(network, route).register_forward_pre_hook(
                lambda module, inputs, route=route: _note(seen, **{route: inputs})
            )
        )

    def of_batch(batch):
        evidence, causes = network.encode(batch)
        decision = network.decide(evidence, causes)
        attention = _attention(network, {route: vars(seen)[route] for route in decision.gates}, batch.packing)
        gates = seen.gates[: len(evidence)].unflatten(1, (-1, network.settings.hidden_width)).mean(2)
        return [gates, *_decided(network, evidence, causes, decision, temperature)], attention

    try:
        parts, attention = zip(*computed(of_batch, batches), strict=True)
    finally:
        for hook in hooks:
            hook.remove()
    gates, log_prob, *rest = (_numpy(torch.cat(part)) for part in zip(*parts, strict=True))
    route_gates, drop, route_drop, without, route_without = rest
    attended = [*chain.from_iterable(attention)]
    return Explanation(log_prob, gates, route_gates, drop, route_drop, without, route_without, attended)


def _numpy(values):
    """On the CPU; what is no integer in float32."""
    return (values.float() if values.is_floating_point() else values).cpu().numpy()


def _note(seen, **what):
    vars(seen).update(what)


def _last_layer(network: ECERC, route: str) -> AttentionLayer:
    return getattr(network, route).layers[-1]


def _decided(network, evidence, causes, decision, temperature):
    """`log_prob`, `route_gates`, `drop`, `route_drop`, `without` and `route_without` of the utterances of a batch."""
    settings, log_prob = network.settings, decision.log_prob
    predicted = log_prob.argmax(1, keepdim=True)

    def lost(changed):
        before, after = (x if temperature == 1 else (x / temperature).log_softmax(1) for x in (log_prob, changed))
        return (before - after).gather(1, predicted)[:, 0]

    of_events = {route: x for route, x in decision.attended.items() if route.endswith("event")}
    blind = []  # log-probabilities without each modality, then without each route
    for k in range(len(settings.modalities_in_use)):
        known = of_events if k else None  # routes to events ask with the first modality, text, only
        blind.append(network.decide(_without(evidence, k, settings.hidden_width), causes, known).log_prob)
    for k in range(len(settings.routes)):
        blind.append(network.classify(_without(decision.gated, k, evidence.shape[1])))
    route_gates = torch.stack([decision.gates[route].mean(1) for route in settings.routes], 1)
    sizes = len(settings.modalities_in_use), len(settings.routes)
    drops = torch.stack([lost(changed) for changed in blind], 1).split(sizes, 1)
    return [log_prob, route_gates, *drops, *torch.stack([x.argmax(1) for x in blind], 1).split(sizes, 1)]


def _without(rows, k, width):
    """Rows whose k-th part of `width` columns is zero."""
    changed = rows.clone()
    changed[:, k * width : (k + 1) * width] = 0
    return changed


def padded_weights(layer: AttentionLayer, rows: Tensor, context: Tensor, history: History, packing: Packing) -> Tensor:
    """Attention weights of a layer under a mask of Figure 3, given what its `forward` is given: (B, heads, L, L).

    Rows of queries without history, and what is no key, are zero.
    """
    weights = layer.attention_weights(rows, context, history)
    padded = weights[0].new_zeros(*packing.padded_row_at.shape, weights[0].shape[0], packing.longest).transpose(1, 2)
    for group, part in zip(packing.groups, weights, strict=True):
        padded[group.dialogues, :, : part.shape[2], : part.shape[3]] = part.transpose(0, 1)
    results = sum(part.numel() // part.shape[3] for part in weights)
    has_history = history.result.view(-1, layer.heads)[:, :1] < results
    return padded * packing.pad(has_history)[:, None]


def _attention(network, inputs, packing):
    """Per dialogue of a batch, route to weights (heads, n, n). `inputs`: route to what its last layer was given."""
    explained = [{} for _ in packing.length]
    for route, (rows, context, history) in inputs.items():
        if history is None:  # events of the own turn: nothing else is looked at
            weights = torch.eye(packing.longest).expand(len(explained), 1, -1, -1)
        else:
            weights = padded_weights(_last_layer(network, route), rows, context, history, packing)
            weights = torch.where(weights.any(3, keepdim=True), weights, torch.nan).cpu()
        for dialogue, n in enumerate(packing.length.tolist()):
            explained[dialogue][route] = weights[dialogue, :, :n, :n].float().numpy().copy()
    return explained
