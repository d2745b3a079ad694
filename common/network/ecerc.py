"""ECERC: evidence gating, cause encoding, evidence-cause interaction, feature gating, classification.

Section 4 of the paper, stage by stage; equation numbers are the paper's. B dialogues in a batch, L utterances in the
longest, N real utterances, R rows computed up to the causes (N, or under "released" empty history N and P padding rows,
see `common.batching.packing`), d hidden width, K modalities in use, D = K d, C classes. Settings may leave parts out
(Tables 4 to 7); such a part is None.
"""

import torch
from torch import Tensor, nn

from common.batching.batches import Batch
from common.network.attention import AttentionBlock, sinusoid
from common.network.dropout import Dropout
from common.network.linear import Linear, linear
from common.network.masks import Masks, history_masks
from common.settings import NetworkSettings


class EvidenceGating(nn.Module):
    """Eq. 1 and 8: each modality, mapped to width d, is weighed by a gate that sees all modalities, or itself only."""

    def __init__(self, widths: dict[str, int], settings: NetworkSettings):
        super().__init__()
        d, names = settings.hidden_width, settings.modalities_in_use
        self.maps = nn.ModuleDict({name: Linear(widths[name], d) for name in names})
        gating = "evidence-gating" not in settings.without
        self.own = Linear(d, d) if gating else None
        sees_others = gating and settings.evidence_gate_inputs == "all" and len(names) > 1
        self.others = Linear(d, d) if sees_others else None

    def forward(self, mapped: Tensor) -> tuple[Tensor, Tensor]:
        """Mapped modalities (rows, K, d) to gates and gated evidence, (rows, D) each; without gating these are 1."""
        if self.own is None:
            return torch.ones_like(mapped).flatten(1), mapped.flatten(1)
        if self.others is None:
            gates = self.own(mapped.flatten(0, 1)).view_as(mapped).sigmoid()
        else:
            weight = torch.cat([self.own.weight, self.others.weight])
            bias = torch.cat([self.own.bias, self.others.bias])
            own, others = linear(mapped.flatten(0, 1), weight, bias).view(*mapped.shape[:2], -1).chunk(2, 2)
            gates = (own + others.sum(1, keepdim=True) - others).sigmoid()
        return gates.flatten(1), (gates * mapped).flatten(1)


class ECERC(nn.Module):
    """The network of the paper. `settings`: NetworkSettings; `widths`: feature name to width; `classes`: their number.

    Layers are created in the order in which the released code draws their initial weights. `dropout` is the Dropout of
    all layers.
    """

    def __init__(self, settings: NetworkSettings, widths: dict[str, int], classes: int):
        super().__init__()
        self.settings, self.widths, self.classes = settings, dict(widths), classes
        self.dropout = dropout = Dropout()
        modalities, routes, without = settings.modalities_in_use, settings.routes, settings.without
        self.evidence_width = sum(widths[name] for name in modalities)
        d = settings.hidden_width
        emotion, event = (any(route.endswith(kind) for route in routes) for kind in ("emotion", "event"))
        D = len(modalities) * d

        def block(width, there):
            return AttentionBlock(width, settings, dropout) if there else None

        self.evidence_gating = EvidenceGating(widths, settings)
        self.emotion_encoder = block(D, emotion and "emotion-encoding" not in without)
        self.event_map = Linear(widths["event"], d) if event else None
        self.event_encoder = block(d, event and "event-encoding" not in without)
        self.self_emotion = block(D, "self_emotion" in routes)
        self.cross_emotion = block(D, "cross_emotion" in routes)
        self.self_event = block(d, "self_event" in routes)
        self.cross_event = block(d, "cross_event" in routes)
        seen = D if settings.feature_gate_inputs == "own" else len(routes) * D
        gating = "feature-gating" not in without
        self.emotion_gate = Linear(seen, D) if gating and emotion else None
        self.event_gate = Linear(seen, D) if gating and event else None
        self.classifier = Linear(len(routes) * D, classes)
        self._tables = []

    def forward(self, batch: Batch, trace: dict | None = None, removed: str | None = None) -> Tensor:
        """Log-probabilities (N, C) of the batch's utterances, dialogue after dialogue.

        `removed`: a modality whose part of the gated evidence is zero in all queries of the interaction; in the causes
        it stays.

        A dictionary given as `trace` receives the intermediate results: `evidence_gate`, `evidence` (R, D), the causes
        `emotion_cause` (R, D) and `event_cause` (R, d), per route self_emotion, cross_emotion, self_event, cross_event
        `<route>_attended` (N, D or d), `<route>_gate` and `<route>_candidate` (N, D), `gated_candidates` (N, 4 D), and
        `<block>_weights`, a list with (B, heads, L, L) per layer for the two encoders and the three routes that
        attend to the history.
        """
        masks = history_masks(batch.layout, batch.speaker, self.settings.empty_history)
        table = self._table(batch.layout.longest, batch.speaker.device) if self.settings.positions else None
        return self.classify(batch, masks, table, trace, removed)

    def classify(
        self, batch: Batch, masks: Masks, table: Tensor | None, trace: dict | None = None, removed: str | None = None
    ) -> Tensor:
        """`forward` with masks and positions given: `batch.layout.position` counts in the rows of `table`, see
        `positions`; None where the network has none.
        """
        half, device = self.settings.precision == "bfloat16", self.classifier.weight.device
        with torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            return self._log_probabilities(batch, masks, table, trace, removed).float()

    def positions(self, position: Tensor) -> Tensor:
        """What is added to features at each `position` (n,): (n, columns), the angles those of the width W of the
        evidence features. There are W columns, or as many as there are event features where these are more.
        """
        return sinusoid(position, self.evidence_width, max(self.evidence_width, self.widths["event"]))

    def _log_probabilities(self, batch, masks, table, trace, removed):
        settings, layout, n = self.settings, batch.layout, batch.layout.rows
        keep = {} if trace is None else trace

        def attend(block, rows, history, *context):
            weights = None if trace is None else []
            result = getattr(self, block)(rows, history, *context, real=n, weights=weights)
            if trace is not None and history is not None:
                keep[f"{block}_weights"] = [history.spread(grids, layout) for grids in weights]
            return result

        # Under "released", a query without history attends to padding: causes are computed for padding too. What
        # padding is mapped to depends on its position alone; `expand` takes each row from the N real ones and those
        # behind them.
        expand = None
        if settings.empty_history == "released":
            behind = layout.position[n:] if settings.positions else torch.zeros_like(layout.position[n:])
            expand = torch.cat([torch.arange(n, device=behind.device), n + behind])

        # Evidence gating, eq. 1 and 8
        mapped = torch.stack(self._mapped_evidence(batch, table, expand is not None), 1)
        evidence_gate, evidence = (_expanded(x, expand) for x in self.evidence_gating(mapped))  # (R, D)
        evidence = self._drop(evidence, settings.evidence_dropout)

        # Cause encoding, eq. 9
        emotion_cause = attend("emotion_encoder", evidence, masks.history) if self.emotion_encoder else evidence
        event_cause = None
        if self.event_map:
            mapped = self._map(self.event_map, batch.features["event"], 0, layout, table, expand is not None)
            event_cause = _expanded(mapped, expand)
        if self.event_encoder:
            event_cause = attend("event_encoder", event_cause, masks.history)  # (R, d)
        keep.update(evidence_gate=evidence_gate, evidence=evidence)
        keep.update(emotion_cause=emotion_cause, event_cause=event_cause)

        # Evidence-cause interaction, eq. 10-13; from here on only real utterances matter
        query, d = evidence[:n], settings.hidden_width  # (N, D)
        if removed is not None:
            kept = torch.tensor([name != removed for name in settings.modalities_in_use], device=query.device)
            query = query * kept.repeat_interleave(d)
        text, rest = query[:, :d].contiguous(), query[:, d:]
        look_at = {
            "self_emotion": (query, masks.self_party, emotion_cause),
            "cross_emotion": (query, masks.cross_party, emotion_cause),
            "self_event": (text, None, event_cause),
            "cross_event": (text, masks.cross_party, event_cause),
        }
        candidates = {}
        for route in settings.routes:
            attended = keep[f"{route}_attended"] = attend(route, *look_at[route])
            candidates[route] = attended if route.endswith("emotion") else torch.cat([attended, rest], 1)

        # Feature gating, eq. 14
        gated, everything = [], None
        if settings.feature_gate_inputs == "all":
            everything = torch.cat(list(candidates.values()), 1)
        for kind, gate_map in (("emotion", self.emotion_gate), ("event", self.event_gate)):
            routes = [route for route in candidates if route.endswith(kind)]
            if not routes:
                continue
            both = torch.cat([candidates[route] for route in routes])  # (2 N, D)
            if gate_map is None:
                gates = torch.ones_like(both)
            elif everything is None:
                gates = gate_map(both).sigmoid()
            else:
                gates = gate_map(everything).sigmoid().repeat(len(routes), 1)
            gated += (gates * both).chunk(len(routes))
            for route, gate in zip(routes, gates.chunk(len(routes)), strict=True):
                keep.update({f"{route}_candidate": candidates[route], f"{route}_gate": gate})

        # Classification, eq. 15
        gated = torch.cat(gated, 1)  # (N, 4 D)
        keep["gated_candidates"] = gated
        return self.classifier(self._drop(gated, settings.classifier_dropout)).log_softmax(-1)

    def idle_parameters(self) -> list[nn.Parameter]:
        """Parameters that compute nothing: the query and key maps under mask I, whose softmax has one term."""
        layers = self.self_event.layers if self.self_event else []
        return [part.weight for layer in layers for part in (layer.query, layer.key)]

    def _drop(self, x, rate):
        return self.dropout(x, rate, self.training)

    def _mapped_evidence(self, batch, table, padding):
        """The features of each modality, mapped to width d: K of (N, d), or more rows as in `_map`."""
        features = {name: batch.features[name] for name in self.settings.modalities_in_use}
        if self.settings.modality_order == "released" and {"audio", "visual"} <= set(features):
            joined = torch.cat(
                [features["visual"], features["audio"]], 1
            )  # the release stores them so, but cuts them as follows
            features["audio"], features["visual"] = joined.split([self.widths["audio"], self.widths["visual"]], 1)
        mapped, first = [], 0
        for name, columns in features.items():
            mapped.append(self._map(self.evidence_gating.maps[name], columns, first, batch.layout, table, padding))
            first += self.widths[name]
        return mapped

    def _map(self, linear_map, features, first_column, layout, table, padding):
        """`linear_map` of features (N, w) plus their positions: (N, d). With `padding` followed by what padding is
        mapped to at each position, (N + L, d), or without positions by one row for all padding, (N + 1, d).

        Padding has features of zero. The map is linear, so positions are mapped once per batch and added after it.
        """
        offset = linear_map.bias[None]
        if table is not None:
            columns = slice(first_column, first_column + linear_map.in_features)
            offset = linear_map(table[:, columns])  # (L, d)
        mapped = linear(features, linear_map.weight)
        shift = offset if table is None else offset.index_select(0, layout.position[: layout.rows])
        mapped = mapped + shift
        return torch.cat([mapped, offset]) if padding else mapped

    def _table(self, length, device):
        """What is added at each of the first `length` positions."""
        for table in self._tables:
            if len(table) >= length and table.device == device:
                return table[:length]
        table = self.positions(torch.arange(max(length, 200))).to(device)
        self._tables.append(table)  # shorter ones stay: a CUDA graph may look at them
        return table[:length]


def _expanded(rows, expand):
    return rows if expand is None else rows.index_select(0, expand)
