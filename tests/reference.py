"""The network once more, slow and obvious: everything padded, explicit scores and softmax, released weight names.

It follows the description of the released code step by step and shares nothing with `common.network`.
"""

import math

import torch
import torch.nn.functional as F


def reference(state, evidence, event, speaker, lengths, *, positions, heads, rates=(0, 0, 0)):
    """Log-probabilities (N, C) under "released" empty history.

    `state`: a released state dict; `evidence` (B, L, W): [text | audio | visual] and `event` (B, L, event width), zero
    at padding; `speaker` (B, L); `lengths`: a list; `rates`: dropout of evidence, attention blocks, classifier.
    """
    evidence_rate, rate, classifier_rate = rates
    size, longest, width = evidence.shape

    def linear(name, x):
        return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    if positions:
        table = state["position_enc_evi.pos_table"][0, :longest]
        evidence, event = evidence + table, event + table[:, : event.shape[2]]

    allowed = {name: torch.zeros(size, longest, longest, dtype=torch.bool) for name in "HISC"}
    for b, n in enumerate(lengths):
        for query in range(longest):
            for key in range(min(query + 1, n)):
                same = bool(speaker[b, query] == speaker[b, key])
                allowed["H"][b, query, key] = True
                allowed["I"][b, query, key] = key == query
                allowed["S"][b, query, key] = same and key != query
                allowed["C"][b, query, key] = not same

    def block(name, x, context, mask):
        layer = 0
        while f"{name}.layer_stack.{layer}.slf_attn.fc.weight" in state:
            stem = f"{name}.layer_stack.{layer}"
            source = x if context is None else context
            parts = [linear(f"{stem}.slf_attn.{w}", y) for w, y in (("w_qs", x), ("w_ks", source), ("w_vs", source))]
            q, k, v = (part.view(size, longest, heads, -1).transpose(1, 2) for part in parts)
            scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
            scores[~allowed[mask][:, None].expand_as(scores)] = -1e9
            attended = (F.dropout(scores.softmax(3), rate) @ v).transpose(1, 2).reshape(size, longest, -1)
            x = norm(f"{stem}.slf_attn", x + F.dropout(linear(f"{stem}.slf_attn.fc", attended), rate))
            inner = linear(f"{stem}.pos_ffn.w_2", linear(f"{stem}.pos_ffn.w_1", x).relu())
            x = norm(f"{stem}.pos_ffn", x + F.dropout(inner, rate))
            layer += 1
        return x

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.layer_norm.weight"], state[f"{name}.layer_norm.bias"], 1e-6)

    cuts = [state[f"modal_filtering.proj_{m}.weight"].shape[1] for m in "tav"]
    assert sum(cuts) == width
    t, a, v = (linear(f"modal_filtering.proj_{m}", x) for m, x in zip("tav", evidence.split(cuts, 2), strict=True))
    q, k = ((lambda x, n=n: linear(f"modal_filtering.{n}", x)) for n in "qk")
    gated = [torch.sigmoid(q(t) + k(a) + k(v)) * t, torch.sigmoid(q(a) + k(t) + k(v)) * a]
    r = F.dropout(torch.cat([*gated, torch.sigmoid(q(v) + k(t) + k(a)) * v], 2), evidence_rate)
    r_t, r_av = r[..., : t.shape[2]], r[..., t.shape[2] :]
    emotion = block("emotion_encoding", r, None, "H")
    events = block("event_encoding", linear("proj_eve", event), None, "H")
    candidates = [
        ("gate_reset", block("self_contagion_attention", r, emotion, "S")),
        ("gate_reset", block("cross_emotion_attention", r, emotion, "C")),
        ("gate_reset2", torch.cat([block("self_event_attention", r_t, events, "I"), r_av], 2)),
        ("gate_reset2", torch.cat([block("cross_event_attention", r_t, events, "C"), r_av], 2)),
    ]
    joined = torch.cat([torch.sigmoid(linear(gate, g)) * g for gate, g in candidates], 2)
    log_prob = linear("smax_fc", F.dropout(joined, classifier_rate)).log_softmax(2)
    return torch.cat([log_prob[b, :n] for b, n in enumerate(lengths)])
