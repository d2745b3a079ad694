"""ECERC as the paper writes it: padded dialogues, explicit masks, explicit softmax. Read this first.

Every equation of Section 4 but the loss (eq. 16, `training/loss.py`) stands here once, in the paper's order. `ecerc.py`
computes the same faster, and can leave parts out (Tables 4 to 7); tests hold it against this file: outputs, gradients,
and distributions under dropout. The parameters have the same names in both, so state dicts can be exchanged.

B dialogues, padded to L utterances; N real utterances; d width of a mapped modality, D = 3 d; C classes.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from common.settings import MODALITIES, NetworkSettings


class AttentionLayer(nn.Module):
    """Eq. 2-7: multi-head attention, then feed-forward, each with residual and LayerNorm. m: width."""

    def __init__(self, m: int, settings: NetworkSettings):
        super().__init__()
        self.settings, inner = settings, settings.heads * settings.head_width
        self.query, self.key, self.value = (nn.Linear(m, inner, bias=False) for _ in range(3))
        self.output = nn.Linear(inner, m, bias=False)
        self.attention_norm = nn.LayerNorm(m, eps=1e-6)
        self.expand = nn.Linear(m, settings.feedforward_factor * m)
        self.contract = nn.Linear(settings.feedforward_factor * m, m)
        self.feedforward_norm = nn.LayerNorm(m, eps=1e-6)

    def forward(self, x: Tensor, context: Tensor, allowed: Tensor) -> Tensor:
        """Queries `x` (B, L, m) attend to `context` (B, L, m) where `allowed` (B, query, key) says so: (B, L, m)."""

        def drop(x):
            return dropout(x, self.settings.attention_dropout, self.training)

        def heads(x):  # (B, L, heads · head width) to (B, heads, L, head width)
            return x.unflatten(2, (self.settings.heads, self.settings.head_width)).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(context)), heads(self.value(context))
        scores = q @ k.transpose(2, 3) / math.sqrt(self.settings.head_width)  # (B, heads, L, L)
        scores = torch.where(allowed[:, None], scores, -1e9)  # no allowed key: uniform over all L, as in the release
        weights = drop(scores.softmax(3))
        if self.settings.empty_history == "strict":  # no allowed key: nothing
            weights = weights * allowed.any(2)[:, None, :, None]
        attended = (weights @ v).transpose(1, 2).flatten(2)  # (B, L, heads · head width)
        x = self.attention_norm(x + drop(self.output(attended)))
        return self.feedforward_norm(x + drop(self.contract(self.expand(x).relu())))


class AttentionBlock(nn.Module):
    """One or more layers. In self-attention each takes keys and values from the output of the one before; in
    cross-attention all take them from `context`.
    """

    def __init__(self, m: int, settings: NetworkSettings):
        super().__init__()
        self.layers = nn.ModuleList(AttentionLayer(m, settings) for _ in range(settings.layers))

    def forward(self, x: Tensor, allowed: Tensor, context: Tensor | None = None) -> Tensor:
        """As in `AttentionLayer`; without `context` it is self-attention."""
        for layer in self.layers:
            x = layer(x, x if context is None else context, allowed)
        return x


class EvidenceGating(nn.Module):
    """Eq. 1 and 8: a gate for each modality, from the modality itself (query) and the others (key)."""

    def __init__(self, widths: dict[str, int], d: int):
        super().__init__()
        self.maps = nn.ModuleDict({name: nn.Linear(widths[name], d) for name in MODALITIES})
        self.query, self.key = nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, text: Tensor, audio: Tensor, visual: Tensor) -> Tensor:
        """Features (B, L, width) each, to gated evidence (B, L, D)."""
        t, a, v = self.maps["text"](text), self.maps["audio"](audio), self.maps["visual"](visual)  # (B, L, d)
        w_t = torch.sigmoid(self.query(t) + self.key(a) + self.key(v))
        w_a = torch.sigmoid(self.query(a) + self.key(t) + self.key(v))
        w_v = torch.sigmoid(self.query(v) + self.key(t) + self.key(a))
        return torch.cat([w_t * t, w_a * a, w_v * v], 2)


def masks(speaker: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """H, I, S and C of Figure 3, (B, query, key) each: the history, the turn itself, the own party, the others."""
    at = torch.arange(speaker.shape[1], device=speaker.device)
    history = (at[:, None] >= at) & (at < length[:, None])[:, None]
    itself = history & (at[:, None] == at)
    same = speaker[:, :, None] == speaker[:, None]
    return history, itself, history & same & ~itself, history & ~same


def positions(length: int, width: int, columns: int) -> Tensor:
    """Sinusoids (length, columns), computed in float64. `width` divides the exponent of the angles."""
    column = torch.arange(columns, dtype=torch.float64)
    angle = torch.arange(length)[:, None] / 10000 ** (2 * (column // 2) / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


class Reference(nn.Module):
    """The network, without the variants of Tables 4 to 7. Arguments as those of `ECERC`."""

    def __init__(self, settings: NetworkSettings, widths: dict[str, int], classes: int):
        super().__init__()
        self.settings, self.widths = settings, widths
        d = settings.hidden_width
        D = 3 * d
        self.evidence_gating = EvidenceGating(widths, d)
        self.emotion_encoder = AttentionBlock(D, settings)
        self.event_map = nn.Linear(widths["event"], d)
        self.event_encoder = AttentionBlock(d, settings)
        self.self_emotion, self.cross_emotion = AttentionBlock(D, settings), AttentionBlock(D, settings)
        self.self_event, self.cross_event = AttentionBlock(d, settings), AttentionBlock(d, settings)
        self.emotion_gate, self.event_gate = nn.Linear(D, D), nn.Linear(D, D)
        self.classifier = nn.Linear(4 * D, classes)

    def forward(self, features: dict[str, Tensor], speaker: Tensor, length: Tensor) -> Tensor:
        """Log-probabilities (N, C) of the real utterances, dialogue after dialogue.

        `features`: text, audio, visual and event features, (B, L, width) each, zero at padding. `speaker`: (B, L), any
        numbers; `length`: (B,) utterances of each dialogue.
        """
        settings, d = self.settings, self.settings.hidden_width
        H, I, S, C = masks(speaker, length)  # noqa: E741  the paper's letters

        # Features. MELD's release stores text, visual, audio, but splits by the widths of text, audio, visual, so that
        # the audio and visual maps get mixed columns
        stored = ("text", "visual", "audio") if settings.modality_order == "released" else MODALITIES
        U = torch.cat([features[name] for name in stored], 2)  # (B, L, W)
        events = features["event"]
        if settings.positions:
            W, w = U.shape[2], events.shape[2]
            table = positions(U.shape[1], W, max(W, w)).to(U.device)
            U, events = U + table[:, :W], events + table[:, :w]

        # Evidence gating, eq. 1 and 8
        r = self.evidence_gating(*U.split([self.widths[name] for name in MODALITIES], 2))  # r̃ (B, L, D)
        r = dropout(r, settings.evidence_dropout, self.training)
        r_text, r_rest = r[..., :d], r[..., d:]

        # Cause encoding, eq. 9
        h_emotion = self.emotion_encoder(r, H)  # (B, L, D)
        h_event = self.event_encoder(self.event_map(events), H)  # (B, L, d)

        # Evidence-cause interaction, eq. 10-13; events are textual, so the text part of the evidence looks at them
        g_self_emotion = self.self_emotion(r, S, h_emotion)  # (B, L, D) each
        g_cross_emotion = self.cross_emotion(r, C, h_emotion)
        g_self_event = torch.cat([self.self_event(r_text, I, h_event), r_rest], 2)
        g_cross_event = torch.cat([self.cross_event(r_text, C, h_event), r_rest], 2)

        # Feature gating, eq. 14
        x_emotion = [torch.sigmoid(self.emotion_gate(g)) * g for g in (g_self_emotion, g_cross_emotion)]
        x_event = [torch.sigmoid(self.event_gate(g)) * g for g in (g_self_event, g_cross_event)]

        # Classification, eq. 15
        x = dropout(torch.cat(x_emotion + x_event, 2), settings.classifier_dropout, self.training)  # (B, L, 4 D)
        log_prob = self.classifier(x).log_softmax(2)
        real = torch.arange(speaker.shape[1], device=speaker.device) < length[:, None]
        return log_prob[real]
