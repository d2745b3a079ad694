"""ECERC: evidence gating, cause encoding, evidence-cause interaction, feature gating, classification.

Section 4 of the paper, stage by stage; equation numbers are the paper's. B dialogues in a batch, L utterances in the
longest, N real utterances, R rows computed up to the causes (N, or under "released" empty history B · L), d hidden
width, D = 3 d, C classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.data.batches import Batch
from common.network.attention import AttentionBlock, sinusoid
from common.network.masks import history_masks
from common.settings import NetworkSettings

MODALITIES = ("text", "audio", "visual")


class EvidenceGating(nn.Module):
    """Eq. 1 and 8: each modality, mapped to width d, is weighed by a gate that sees all modalities."""

    def __init__(self, widths: dict[str, int], settings: NetworkSettings):
        super().__init__()
        d = settings.hidden_width
        self.maps = nn.ModuleDict({name: nn.Linear(widths[name], d) for name in MODALITIES})
        self.own = nn.Linear(d, d)
        self.others = nn.Linear(d, d)

    def forward(self, mapped: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Mapped modalities, three of (R, d), to gates and gated evidence, (R, D) each."""
        others = [self.others(x) for x in mapped]
        total = sum(others)
        gates = torch.cat([(self.own(x) + total - o).sigmoid() for x, o in zip(mapped, others, strict=True)], 1)
        return gates, gates * torch.cat(mapped, 1)


class ECERC(nn.Module):
    """The network of the paper. `settings`: NetworkSettings; `widths`: feature name to width; `classes`: their number.

    Layers are created in the order in which the released code draws their initial weights.
    """

    def __init__(self, settings: NetworkSettings, widths: dict[str, int], classes: int):
        super().__init__()
        self.settings, self.widths, self.classes = settings, dict(widths), classes
        d = settings.hidden_width
        self.evidence_gating = EvidenceGating(widths, settings)
        self.emotion_encoder = AttentionBlock(3 * d, settings)
        self.event_map = nn.Linear(widths["event"], d)
        self.event_encoder = AttentionBlock(d, settings)
        self.self_emotion = AttentionBlock(3 * d, settings)
        self.cross_emotion = AttentionBlock(3 * d, settings)
        self.self_event = AttentionBlock(d, settings)
        self.cross_event = AttentionBlock(d, settings)
        self.emotion_gate = nn.Linear(3 * d, 3 * d)
        self.event_gate = nn.Linear(3 * d, 3 * d)
        self.classifier = nn.Linear(4 * 3 * d, classes)
        self._table = None

    def forward(self, batch: Batch, trace: dict | None = None) -> Tensor:
        """Log-probabilities (N, C) of the batch's utterances, dialogue after dialogue.

        A dictionary given as `trace` receives the intermediate results: `evidence_gate`, `evidence` (R, D), the causes
        `emotion_cause` (R, D) and `event_cause` (R, d), per route self_emotion, cross_emotion, self_event, cross_event
        `<route>_attended` (N, D or d), `<route>_gate` and `<route>_candidate` (N, D), `gated_candidates` (N, 4 D), and
        `<block>_weights`, a list with (B, heads, L, L) per layer for the two encoders and the three routes that
        attend to the history; and `rows`, the Layout of what has R rows.
        """
        settings = self.settings
        keep = {} if trace is None else trace
        weights = (lambda name: keep.setdefault(f"{name}_weights", [])) if trace is not None else (lambda name: None)
        real = batch.layout
        # Under "released", a query without history attends to padding: causes are computed for padding too.
        rows = real.whole() if settings.empty_history == "released" else real
        masks = history_masks(real, batch.speaker, settings.empty_history)

        # Evidence gating, eq. 1 and 8
        evidence_gate, evidence = self.evidence_gating(self._mapped_evidence(batch, rows))  # (R, D)
        evidence = F.dropout(evidence, settings.evidence_dropout, self.training)

        # Cause encoding, eq. 9
        event = self._map(self.event_map, batch.event, 0, real, rows)  # (R, d)
        emotion_cause = self.emotion_encoder(evidence, rows, masks.history, weights=weights("emotion_encoder"))
        event_cause = self.event_encoder(event, rows, masks.history, weights=weights("event_encoder"))
        keep.update(evidence_gate=evidence_gate, evidence=evidence, rows=rows)
        keep.update(emotion_cause=emotion_cause, event_cause=event_cause)

        # Evidence-cause interaction, eq. 10-13; from here on only real utterances matter
        query, own_events = evidence, event_cause  # (N, D), (N, d)
        if rows.place is None:
            query, own_events = evidence[real.place], event_cause[real.place]
        d = settings.hidden_width
        text, audio_visual = query[:, :d], query[:, d:]
        attended = {
            "self_emotion": self.self_emotion(
                query, real, masks.self_party, emotion_cause, rows, weights("self_emotion")
            ),
            "cross_emotion": self.cross_emotion(
                query, real, masks.cross_party, emotion_cause, rows, weights("cross_emotion")
            ),
            "self_event": self.self_event(text, real, None, own_events, real),
            "cross_event": self.cross_event(text, real, masks.cross_party, event_cause, rows, weights("cross_event")),
        }

        # Feature gating, eq. 14
        gated = []
        for route, candidate in attended.items():
            keep[f"{route}_attended"] = candidate
            is_event = route.endswith("event")
            if is_event:
                candidate = torch.cat([candidate, audio_visual], 1)
            gate = (self.event_gate if is_event else self.emotion_gate)(candidate).sigmoid()  # (N, D)
            keep.update({f"{route}_candidate": candidate, f"{route}_gate": gate})
            gated.append(gate * candidate)

        # Classification, eq. 15
        gated = torch.cat(gated, 1)  # (N, 4 D)
        keep["gated_candidates"] = gated
        return self.classifier(F.dropout(gated, settings.classifier_dropout, self.training)).log_softmax(-1)

    def _mapped_evidence(self, batch, rows):
        """Text, audio and visual features of all rows, each mapped to width d: three of (R, d)."""
        features = {name: getattr(batch, name) for name in MODALITIES}
        if self.settings.modality_order == "released":  # the release stores [text, visual, audio], cuts them as below
            joined = torch.cat([batch.visual, batch.audio], 1)
            features["audio"], features["visual"] = joined.split([self.widths["audio"], self.widths["visual"]], 1)
        mapped, first = [], 0
        for name in MODALITIES:
            mapped.append(self._map(self.evidence_gating.maps[name], features[name], first, batch.layout, rows))
            first += self.widths[name]
        return mapped

    def _map(self, linear, features, first_column, real, rows):
        """`linear` of features (N, w) plus their positions, for all rows: (R, d).

        Padding has features of zero. The map is linear, so positions are mapped once per batch and added after it.
        """
        mapped = F.linear(features, linear.weight)
        if self.settings.positions:
            columns = slice(first_column, first_column + linear.in_features)
            offset = linear(self._positions(rows.longest, features)[:, columns])  # (L, d)
        else:
            offset = linear.bias.expand(rows.longest, -1)
        if rows.place is None:
            return (real.pad(mapped) + offset).flatten(0, 1)
        return mapped + offset[rows.position()]

    def _positions(self, length, like):
        """The first `length` rows of the position table; its angles are those of the width W of all evidence features.

        It has W columns, or as many as there are event features where these are more.
        """
        if self._table is None or len(self._table) < length or self._table.device != like.device:
            width = sum(self.widths[name] for name in MODALITIES)
            table = sinusoid(max(length, 200), width, max(width, self.widths["event"]))
            self._table = table.to(like.device)
        return self._table[:length]
