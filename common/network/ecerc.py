"""ECERC: evidence gating, cause encoding, evidence-cause interaction, feature gating, classification.

Section 4 of the paper, stage by stage; equation numbers are the paper's. B dialogues in a batch, L utterances in the
longest, N real utterances, R rows computed up to the causes (N, or under "released" empty history N and P padding rows,
see `common.data.layout`), d hidden width, D = 3 d, C classes.
"""

import torch
from torch import Tensor, nn

from common.data.batches import Batch
from common.network.attention import AttentionBlock, sinusoid
from common.network.dropout import Dropout
from common.network.linear import Linear, linear
from common.network.masks import history_masks
from common.settings import NetworkSettings

MODALITIES = ("text", "audio", "visual")


class EvidenceGating(nn.Module):
    """Eq. 1 and 8: each modality, mapped to width d, is weighed by a gate that sees all modalities."""

    def __init__(self, widths: dict[str, int], settings: NetworkSettings):
        super().__init__()
        d = settings.hidden_width
        self.maps = nn.ModuleDict({name: Linear(widths[name], d) for name in MODALITIES})
        self.own = Linear(d, d)
        self.others = Linear(d, d)

    def forward(self, mapped: Tensor) -> tuple[Tensor, Tensor]:
        """Mapped modalities (rows, 3, d) to gates and gated evidence, (rows, D) each."""
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
        d = settings.hidden_width
        self.evidence_gating = EvidenceGating(widths, settings)
        self.emotion_encoder = AttentionBlock(3 * d, settings, dropout)
        self.event_map = Linear(widths["event"], d)
        self.event_encoder = AttentionBlock(d, settings, dropout)
        self.self_emotion = AttentionBlock(3 * d, settings, dropout)
        self.cross_emotion = AttentionBlock(3 * d, settings, dropout)
        self.self_event = AttentionBlock(d, settings, dropout)
        self.cross_event = AttentionBlock(d, settings, dropout)
        self.emotion_gate = Linear(3 * d, 3 * d)
        self.event_gate = Linear(3 * d, 3 * d)
        self.classifier = Linear(4 * 3 * d, classes)
        self._tables = []

    def forward(self, batch: Batch, trace: dict | None = None) -> Tensor:
        """Log-probabilities (N, C) of the batch's utterances, dialogue after dialogue.

        A dictionary given as `trace` receives the intermediate results: `evidence_gate`, `evidence` (R, D), the causes
        `emotion_cause` (R, D) and `event_cause` (R, d), per route self_emotion, cross_emotion, self_event, cross_event
        `<route>_attended` (N, D or d), `<route>_gate` and `<route>_candidate` (N, D), `gated_candidates` (N, 4 D), and
        `<block>_weights`, a list with (B, heads, L, L) per layer for the two encoders and the three routes that
        attend to the history.
        """
        half = self.settings.precision == "bfloat16"
        with torch.autocast(batch.text.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            return self._log_probabilities(batch, trace).float()

    def _log_probabilities(self, batch, trace):
        settings, layout, n = self.settings, batch.layout, batch.layout.rows
        keep = {} if trace is None else trace
        masks = history_masks(layout, batch.speaker, settings.empty_history)

        def attend(name, rows, history, *context):
            weights = None if trace is None else []
            result = getattr(self, name)(rows, history, *context, real=n, weights=weights)
            if trace is not None:
                keep[f"{name}_weights"] = [history.spread(grids, layout) for grids in weights]
            return result

        # Under "released", a query without history attends to padding: causes are computed for padding too. What
        # padding is mapped to depends on its position alone; `expand` takes each row from the N real ones and those
        # behind them.
        expand = None
        if settings.empty_history == "released":
            behind = layout.position[n:] if settings.positions else torch.zeros_like(layout.position[n:])
            expand = torch.cat([torch.arange(n, device=behind.device), n + behind])

        # Evidence gating, eq. 1 and 8
        mapped = torch.stack(self._mapped_evidence(batch, expand is not None), 1)
        evidence_gate, evidence = (_expanded(x, expand) for x in self.evidence_gating(mapped))  # (R, D)
        evidence = self._drop(evidence, settings.evidence_dropout)

        # Cause encoding, eq. 9
        event = _expanded(self._map(self.event_map, batch.event, 0, layout, expand is not None), expand)  # (R, d)
        emotion_cause = attend("emotion_encoder", evidence, masks.history)
        event_cause = attend("event_encoder", event, masks.history)
        keep.update(evidence_gate=evidence_gate, evidence=evidence)
        keep.update(emotion_cause=emotion_cause, event_cause=event_cause)

        # Evidence-cause interaction, eq. 10-13; from here on only real utterances matter
        query, d = evidence[:n], settings.hidden_width  # (N, D)
        text, audio_visual = query[:, :d].contiguous(), query[:, d:]
        attended = {
            "self_emotion": attend("self_emotion", query, masks.self_party, emotion_cause),
            "cross_emotion": attend("cross_emotion", query, masks.cross_party, emotion_cause),
            "self_event": self.self_event(text, None, event_cause, n),
            "cross_event": attend("cross_event", text, masks.cross_party, event_cause),
        }

        # Feature gating, eq. 14
        gated = []
        for kind, gate_map in (("emotion", self.emotion_gate), ("event", self.event_gate)):
            routes = (f"self_{kind}", f"cross_{kind}")
            candidates = [attended[route] for route in routes]
            if kind == "event":
                candidates = [torch.cat([candidate, audio_visual], 1) for candidate in candidates]
            both = torch.cat(candidates)  # (2 N, D)
            gates = gate_map(both).sigmoid()
            gated += (gates * both).chunk(2)
            for route, candidate, gate in zip(routes, candidates, gates.chunk(2), strict=True):
                keep.update({f"{route}_attended": attended[route], f"{route}_candidate": candidate})
                keep[f"{route}_gate"] = gate

        # Classification, eq. 15
        gated = torch.cat(gated, 1)  # (N, 4 D)
        keep["gated_candidates"] = gated
        return self.classifier(self._drop(gated, settings.classifier_dropout)).log_softmax(-1)

    def idle_parameters(self) -> list[nn.Parameter]:
        """Parameters that compute nothing: the query and key maps under mask I, whose softmax has one term."""
        return [part.weight for layer in self.self_event.layers for part in (layer.query, layer.key)]

    def _drop(self, x, rate):
        return self.dropout(x, rate, self.training)

    def _mapped_evidence(self, batch, padding):
        """Text, audio and visual features, each mapped to width d: three of (N, d), or more rows as in `_map`."""
        features = {name: getattr(batch, name) for name in MODALITIES}
        if self.settings.modality_order == "released":  # the release stores [text, visual, audio], cuts them as below
            joined = torch.cat([batch.visual, batch.audio], 1)
            features["audio"], features["visual"] = joined.split([self.widths["audio"], self.widths["visual"]], 1)
        mapped, first = [], 0
        for name in MODALITIES:
            mapped.append(self._map(self.evidence_gating.maps[name], features[name], first, batch.layout, padding))
            first += self.widths[name]
        return mapped

    def _map(self, linear_map, features, first_column, layout, padding):
        """`linear_map` of features (N, w) plus their positions: (N, d). With `padding` followed by what padding is
        mapped to at each position, (N + L, d), or without positions by one row for all padding, (N + 1, d).

        Padding has features of zero. The map is linear, so positions are mapped once per batch and added after it.
        """
        offset = linear_map.bias[None]
        if self.settings.positions:
            columns = slice(first_column, first_column + linear_map.in_features)
            offset = linear_map(self._positions(layout.longest, features)[:, columns])  # (L, d)
        mapped = linear(features, linear_map.weight)
        shift = offset.index_select(0, layout.position[: layout.rows]) if self.settings.positions else offset
        mapped = mapped + shift
        return torch.cat([mapped, offset]) if padding else mapped

    def _positions(self, length, like):
        """The first `length` rows of the position table; its angles are those of the width W of all evidence features.

        It has W columns, or as many as there are event features where these are more.
        """
        for table in self._tables:
            if len(table) >= length and table.device == like.device:
                return table[:length]
        width = sum(self.widths[name] for name in MODALITIES)
        table = sinusoid(max(length, 200), width, max(width, self.widths["event"])).to(like.device)
        self._tables.append(table)  # shorter ones stay: a CUDA graph may look at them
        return table[:length]


def _expanded(rows, expand):
    return rows if expand is None else rows.index_select(0, expand)
