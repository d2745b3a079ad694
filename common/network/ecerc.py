"""ECERC: evidence gating, cause encoding, evidence-cause interaction, feature gating, classification.

Section 4 of the paper, stage by stage; equation numbers are the paper's. `reference.py` says the same in the plainest
way; here rows are packed, see `common.batching.packing`, and the attention block, eq. 2-7, is in `attention.py`. B
dialogues in a batch, L utterances in the longest, N real utterances, R rows computed up to the causes (N, or under
"released" empty history N and P padding rows), d hidden width, K modalities in use, D = K d, C classes. Settings may
leave parts out (Tables 4 to 7); such a part is None.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from common.batching.batches import Batch
from common.network.attention import AttentionBlock, sinusoid
from common.network.dropout import Dropout
from common.network.linear import linear
from common.network.masks import Masks, history_masks
from common.settings import NetworkSettings


class EvidenceGating(nn.Module):
    """Eq. 1 and 8: each modality, mapped to width d, is weighed by a gate that sees all modalities, or its own only."""

    def __init__(self, widths: dict[str, int], settings: NetworkSettings):
        super().__init__()
        d, names = settings.hidden_width, settings.modalities_in_use
        self.maps = nn.ModuleDict({name: nn.Linear(widths[name], d) for name in names})
        gating = "evidence-gating" not in settings.without
        self.query = nn.Linear(d, d) if gating else None  # q, of the modality itself
        sees_others = gating and settings.evidence_gate_inputs == "all" and len(names) > 1
        self.key = nn.Linear(d, d) if sees_others else None  # k, of the others

    def forward(self, mapped: Tensor) -> tuple[Tensor, Tensor]:
        """Mapped modalities (rows, K, d) to gates and gated evidence, (rows, D) each; without gating, gates are 1."""
        if self.query is None:
            return torch.ones_like(mapped).flatten(1), mapped.flatten(1)
        if self.key is None:
            gates = linear(mapped.flatten(0, 1), self.query).view_as(mapped).sigmoid()
        else:
            both = linear(mapped.flatten(0, 1), self.query, self.key)
            query, key = both.view(*mapped.shape[:2], -1).chunk(2, 2)
            gates = (query + key.sum(1, keepdim=True) - key).sigmoid()
        return gates.flatten(1), (gates * mapped).flatten(1)


@dataclass(frozen=True)
class Causes:
    """What came before, as queries look at it. `emotion`: h^emo (R, D), `event`: h^eve (R, d), eq. 9; None where no
    route leads to them. `masks`: who may look at what.
    """

    emotion: Tensor | None
    event: Tensor | None
    masks: Masks


@dataclass(frozen=True)
class Decision:
    """What the network made of evidence and causes. `log_prob`: (N, C), eq. 15. By route: `attended`, outputs of the
    interaction blocks (N, D) or of events (N, d); `candidates` g (N, D), eq. 10-13; `gates` (N, D), eq. 14. `gated`:
    all gated candidates side by side, (N, 4 D), the classifier's input.
    """

    log_prob: Tensor
    attended: dict[str, Tensor]
    candidates: dict[str, Tensor]
    gates: dict[str, Tensor]
    gated: Tensor


class ECERC(nn.Module):
    """The network of the paper. `settings`: NetworkSettings; `widths`: feature name to width; `classes`: their number.

    Layers are created in the order in which the released code draws their initial weights. `dropout` is the Dropout of
    all layers.
    """

    def __init__(self, settings: NetworkSettings, widths: dict[str, int], classes: int):
        super().__init__()
        self.settings, self.widths = settings, dict(widths)
        self.dropout = dropout = Dropout()
        self.modalities, self.routes = modalities, routes = settings.modalities_in_use, settings.routes
        without, half = settings.without, settings.precision == "bfloat16"
        self._autocast = partial(torch.autocast, dtype=torch.bfloat16, enabled=half, cache_enabled=False)
        self.evidence_width = sum(widths[name] for name in modalities)  # W, which the angles of positions depend on
        self.position_columns = max(self.evidence_width, widths["event"])
        d = settings.hidden_width
        emotion, event = (any(route.endswith(kind) for route in routes) for kind in ("emotion", "event"))
        D = len(modalities) * d

        def block(width: int, in_use: bool) -> AttentionBlock | None:
            return AttentionBlock(width, settings, dropout) if in_use else None

        self.evidence_gating = EvidenceGating(widths, settings)
        self.emotion_encoder = block(D, emotion and "emotion-encoding" not in without)
        self.event_map = nn.Linear(widths["event"], d) if event else None
        self.event_encoder = block(d, event and "event-encoding" not in without)
        self.self_emotion = block(D, "self_emotion" in routes)
        self.cross_emotion = block(D, "cross_emotion" in routes)
        self.self_event = block(d, "self_event" in routes)
        self.cross_event = block(d, "cross_event" in routes)
        gate_input = D if settings.feature_gate_inputs == "own" else len(routes) * D
        gating = "feature-gating" not in without
        self.emotion_gate = nn.Linear(gate_input, D) if gating and emotion else None
        self.event_gate = nn.Linear(gate_input, D) if gating and event else None
        self.classifier = nn.Linear(len(routes) * D, classes)
        self._tables: list[Tensor] = []

    def forward(self, batch: Batch) -> Tensor:
        """Log-probabilities (N, C) of the batch's utterances, dialogue after dialogue."""
        if self.training:
            self.dropout.begin(batch.label.device)
        evidence, causes = self.encode(batch)
        return self.decide(evidence, causes).log_prob

    def encode(self, batch: Batch, masks: Masks | None = None, table: Tensor | None = None) -> tuple[Tensor, Causes]:
        """Gated evidence (N, D) of the batch's utterances (eq. 1, 8), and the causes (eq. 9).

        `masks` and `table`, in live conversations: who may look at what, and what is added at the positions that
        `batch.packing.position` counts; else they are made of the batch.
        """
        settings, packing = self.settings, batch.packing
        if masks is None:
            masks = history_masks(packing, batch.speaker, settings)
            table = self._table(packing.longest, batch.speaker.device) if settings.positions else None
        rule = masks.history.rule
        features = {name: batch.features[name] for name in self.modalities}
        if settings.modality_order == "released" and {"audio", "visual"} <= set(features):
            joined = torch.cat([features["visual"], features["audio"]], 1)  # so stored, but split by the other widths:
            features["audio"], features["visual"] = joined.split([self.widths["audio"], self.widths["visual"]], 1)
        with self._autocast(batch.packing.position.device.type):
            # Evidence gating, eq. 1 and 8
            mapped, first = [], 0
            for name, columns in features.items():
                modality_map = self.evidence_gating.maps[name]
                mapped.append(self._mapped(modality_map, columns, first, packing, table))
                first += self.widths[name]
            rows, at_position = (torch.stack(parts, 1) for parts in zip(*mapped, strict=True))
            mapped = rule.with_padding(rows, at_position)  # (N, K, d), and padding behind
            evidence = rule.spread(self.evidence_gating(mapped)[1])  # (R, D)
            evidence = self.dropout(evidence, settings.evidence_dropout, self.training)

            # Cause encoding, eq. 9
            emotion, event = evidence, None
            if self.emotion_encoder:
                emotion = self.emotion_encoder(evidence, masks.history)  # (R, D)
            if self.event_map:
                mapped = self._mapped(self.event_map, batch.features["event"], 0, packing, table)
                event = rule.spread(rule.with_padding(*mapped))
            if self.event_encoder:
                event = self.event_encoder(event, masks.history)  # (R, d)
        return evidence[: packing.rows], Causes(emotion, event, masks)

    def decide(self, evidence: Tensor, causes: Causes, known: dict[str, Tensor] | None = None) -> Decision:
        """The Decision on utterances of the given `evidence` (N, D), which may have been changed since their `causes`
        were encoded, as explanations do. `known`: what was `attended` on routes that the change does not concern.
        """
        settings, masks, d = self.settings, causes.masks, self.settings.hidden_width
        with self._autocast(evidence.device.type):
            # Evidence-cause interaction, eq. 10-13
            text, rest = evidence.split([d, evidence.shape[1] - d], 1)  # for event routes, which need text
            text = text.contiguous()
            look_at = {
                "self_emotion": (evidence, masks.self_party, causes.emotion),
                "cross_emotion": (evidence, masks.cross_party, causes.emotion),
                "self_event": (text, None, causes.event),  # mask I
                "cross_event": (text, masks.cross_party, causes.event),
            }
            attended, candidates = {}, {}
            for route in self.routes:
                x = known[route] if known and route in known else self.get_submodule(route)(*look_at[route])
                attended[route] = x
                candidates[route] = x if route.endswith("emotion") else torch.cat([x, rest], 1)

            # Feature gating, eq. 14: one gate for the two emotion candidates, one for the two event candidates
            gates: dict[str, Tensor] = {}
            parts: list[Tensor] = []
            all_of_them = None
            if settings.feature_gate_inputs == "all":  # Table 7
                all_of_them = torch.cat(list(candidates.values()), 1)
            for kind, gate_map in (("emotion", self.emotion_gate), ("event", self.event_gate)):
                routes = [route for route in candidates if route.endswith(kind)]
                if not routes:
                    continue
                both = torch.cat([candidates[route] for route in routes])  # (2 N, D), if both are in use
                if gate_map is None:
                    gate = torch.ones_like(both)
                elif all_of_them is None:
                    gate = linear(both, gate_map).sigmoid()
                else:
                    gate = linear(all_of_them, gate_map).sigmoid().repeat(len(routes), 1)
                parts += (gate * both).chunk(len(routes))
                gates |= zip(routes, gate.chunk(len(routes)), strict=True)
            gated = torch.cat(parts, 1)  # (N, 4 D)
        return Decision(self.classify(gated), attended, candidates, gates, gated)

    def classify(self, gated: Tensor) -> Tensor:
        """Log-probabilities (N, C), float32, of gated candidates (N, 4 D), eq. 15."""
        with self._autocast(gated.device.type):
            gated = self.dropout(gated, self.settings.classifier_dropout, self.training)
            return linear(gated, self.classifier).log_softmax(-1).float()

    def idle_parameters(self) -> list[nn.Parameter]:
        """Parameters that compute nothing: the query and key maps under mask I, whose softmax has one term."""
        parameters = self.self_event.named_parameters() if self.self_event else ()
        return [parameter for name, parameter in parameters if name.endswith(("query.weight", "key.weight"))]

    def _mapped(self, linear_map, features, first_column, packing, table):
        """`linear_map` of features (N, w) plus their positions, (N, d), and of padding, (L, d), or without positions
        (1, d).

        The map is linear, so positions, and padding, whose features are zero, are mapped once per batch.
        """
        if table is None:
            return linear(features, linear_map), linear_map.bias[None]
        at_position = linear(table[:, first_column : first_column + linear_map.in_features], linear_map)
        mapped = linear(features, linear_map, bias=False)
        return mapped + at_position.index_select(0, packing.position[: packing.rows]), at_position

    def _table(self, length, device):
        """What is added at each of the first `length` positions."""
        for table in self._tables:
            if len(table) >= length and table.device == device:
                return table[:length]
        table = sinusoid(torch.arange(max(length, 200)), self.evidence_width, self.position_columns).to(device)
        self._tables.append(table)  # shorter ones stay: a CUDA graph may look at them
        return table[:length]
