"""A plain implementation to compare with: what one writes down first, following the description of the release.

Features stay per-dialogue lists as the pickles hold them and are converted anew in each epoch, everything is padded,
query, key and value are three products, masks are (B, L, L) and scores are masked and normalised step by step, the test
split is evaluated in each epoch. Weights carry the released names. It shares nothing with `common.network`.

`python -m benchmarks.plain IEMOCAP --data-dir DIR --epochs 3` trains three seeds as the release does.
"""

import argparse
import math
import pickle
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, f1_score
from torch import nn
from torch.nn.utils.rnn import pad_sequence

MODALITIES = {"IEMOCAP": (1024, 1582, 342), "MELD": (1024, 300, 342)}  # columns of the three maps
EVENT, CLASSES = 1024, {"IEMOCAP": 6, "MELD": 7}
# positions, dropout of evidence and classifier, batch, learning rate, epochs, patience, γ, seeds
RECIPE = {
    "IEMOCAP": {"positions": True, "rates": (0.5, 0.1, 0.5), "batch": 64, "lr": 1e-4, "epochs": 200, "gamma": 0},
    "MELD": {"positions": False, "rates": (0.0, 0.1, 0.2), "batch": 32, "lr": 1e-5, "epochs": 40, "gamma": 1},
}
FREQUENCY = (0.087178797, 0.145836136, 0.229786089, 0.148392305, 0.140051123, 0.24875555)
SEEDS = {"IEMOCAP": (2007, 1, 2), "MELD": (0, 1, 2)}


class Attention(nn.Module):
    def __init__(self, width, heads, head_width, rate, uniform):
        super().__init__()
        self.heads, self.head_width, self.uniform = heads, head_width, uniform
        self.w_qs = nn.Linear(width, heads * head_width, bias=False)
        self.w_ks = nn.Linear(width, heads * head_width, bias=False)
        self.w_vs = nn.Linear(width, heads * head_width, bias=False)
        self.fc = nn.Linear(heads * head_width, width, bias=False)
        self.dropout = nn.Dropout(rate)
        self.layer_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x, context, allowed):
        b, n = x.shape[:2]
        q = self.w_qs(x).view(b, n, self.heads, self.head_width).transpose(1, 2)
        k = self.w_ks(context).view(b, n, self.heads, self.head_width).transpose(1, 2)
        v = self.w_vs(context).view(b, n, self.heads, self.head_width).transpose(1, 2)
        scores = torch.matmul(q / math.sqrt(self.head_width), k.transpose(2, 3))
        weights = self.dropout(F.softmax(scores.masked_fill(~allowed[:, None], -1e9), dim=-1))
        if not self.uniform:
            weights = weights * allowed.any(-1)[:, None, :, None]
        attended = torch.matmul(weights, v).transpose(1, 2).contiguous().view(b, n, -1)
        return self.layer_norm(x + self.dropout(self.fc(attended)))


class FeedForward(nn.Module):
    def __init__(self, width, rate):
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(rate)
        self.layer_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x):
        return self.layer_norm(x + self.dropout(self.w_2(F.relu(self.w_1(x)))))


class Layer(nn.Module):
    def __init__(self, width, heads, head_width, rate, uniform):
        super().__init__()
        self.slf_attn = Attention(width, heads, head_width, rate, uniform)
        self.pos_ffn = FeedForward(width, rate)

    def forward(self, x, context, allowed):
        return self.pos_ffn(self.slf_attn(x, context, allowed))


class Block(nn.Module):
    def __init__(self, width, heads, head_width, rate, uniform, layers):
        super().__init__()
        self.layer_stack = nn.ModuleList(Layer(width, heads, head_width, rate, uniform) for _ in range(layers))

    def forward(self, x, context, allowed):
        for layer in self.layer_stack:
            x = layer(x, x if context is None else context, allowed)
        return x


class Filtering(nn.Module):
    def __init__(self, widths, d):
        super().__init__()
        self.proj_t, self.proj_a, self.proj_v = (nn.Linear(width, d) for width in widths)
        self.q, self.k = nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, t, a, v):
        t, a, v = self.proj_t(t), self.proj_a(a), self.proj_v(v)
        w_t = torch.sigmoid(self.q(t) + self.k(a) + self.k(v))
        w_a = torch.sigmoid(self.q(a) + self.k(t) + self.k(v))
        w_v = torch.sigmoid(self.q(v) + self.k(t) + self.k(a))
        return torch.cat([w_t * t, w_a * a, w_v * v], -1)


class Positions(nn.Module):
    def __init__(self, length, width):
        super().__init__()
        angle = np.arange(length)[:, None] / 10000 ** (2 * (np.arange(width) // 2) / width)
        table = np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle))
        self.register_buffer("pos_table", torch.FloatTensor(table)[None])


class PlainECERC(nn.Module):
    """`widths`: columns of the text, audio and visual maps; `rates`: dropout of evidence, blocks and classifier."""

    def __init__(
        self, widths, event, classes, positions, rates, *, d=128, heads=8, head_width=64, layers=1, strict=False
    ):
        super().__init__()

        def block(width):
            return Block(width, heads, head_width, rates[1], not strict, layers)

        self.widths, self.positions = widths, positions
        self.modal_filtering = Filtering(widths, d)
        self.position_enc_evi = Positions(200, sum(widths))
        self.emotion_encoding = block(3 * d)
        self.proj_eve = nn.Linear(event, d)
        self.event_encoding = block(d)
        self.self_contagion_attention, self.cross_emotion_attention = block(3 * d), block(3 * d)
        self.self_event_attention, self.cross_event_attention = block(d), block(d)
        self.gate_reset, self.gate_reset2 = nn.Linear(3 * d, 3 * d), nn.Linear(3 * d, 3 * d)
        self.smax_fc = nn.Linear(4 * 3 * d, classes)
        self.layer_norm = nn.LayerNorm(sum(widths))
        self.drop_evidence, self.drop_classifier = nn.Dropout(rates[0]), nn.Dropout(rates[2])

    def forward(self, evidence, event, speaker, real):
        """Evidence (B, L, W), event (B, L, w), zero at padding; speaker and real (B, L). Log-probabilities (N, C)."""
        n = real.shape[1]
        if self.positions:
            table = self.position_enc_evi.pos_table[:, :n]
            evidence, event = evidence + table, event + table[..., : event.shape[2]]
        at = torch.arange(n, device=real.device)
        same = speaker[:, :, None] == speaker[:, None, :]
        past = real[:, None, :] & (at[:, None] >= at)
        own = past & (at[:, None] == at)
        self_party, cross_party = past & same & ~own, past & ~same

        r = self.drop_evidence(self.modal_filtering(*evidence.split(self.widths, 2)))
        emotion = self.emotion_encoding(r, None, past)
        events = self.event_encoding(self.proj_eve(event), None, past)
        d = r.shape[2] // 3
        text, rest = r[..., :d], r[..., d:]
        s_emo = self.self_contagion_attention(r, emotion, self_party)
        c_emo = self.cross_emotion_attention(r, emotion, cross_party)
        s_eve = torch.cat([self.self_event_attention(text, events, own), rest], -1)
        c_eve = torch.cat([self.cross_event_attention(text, events, cross_party), rest], -1)
        gated = [torch.sigmoid(self.gate_reset(x)) * x for x in (s_emo, c_emo)]
        gated += [torch.sigmoid(self.gate_reset2(x)) * x for x in (s_eve, c_eve)]
        log_prob = self.smax_fc(self.drop_classifier(torch.cat(gated, -1))).log_softmax(-1)
        return log_prob[real]


def load(dataset, folder):
    """Per split a list of dialogues: text, audio, visual and event features, speakers and labels, as in the files."""
    folder = Path(folder) / dataset.lower()

    def read(name):
        with open(folder / name, "rb") as file:
            return pickle.load(file, encoding="latin1")

    if dataset == "IEMOCAP":
        base, emotion = read("IEMOCAP_features.pkl"), read("iemocap_emotion_features_roberta.pkl")
        event = read("iemocap_emotion_semantic_features_roberta.pkl")
        parts = (emotion[2], base[4], base[5], event[6], base[1], base[2])
        ids = {"valid": base[7][:12], "train": base[7][12:], "test": base[8]}
    else:
        file = read("meld_emotion_semantic_features_roberta.pkl")
        parts = (file[3], file[11], file[12], file[7], file[0], file[1])
        ids = {"train": file[14], "test": file[15], "valid": file[16]}
    return {split: [tuple(part[i] for part in parts) for i in ids[split]] for split in ids}


def batches(dataset, dialogues, size, shuffle, device):
    """Tensors of each batch, made from the dialogues' lists."""
    order = torch.randperm(len(dialogues)).tolist() if shuffle else range(len(dialogues))
    order = list(order)
    for first in range(0, len(order), size):
        part = [dialogues[i] for i in order[first : first + size]]
        text, audio, visual, event = (
            pad_sequence([torch.FloatTensor(np.array(dialogue[k])) for dialogue in part], True) for k in range(4)
        )
        # as released: MELD stores [text, visual, audio] and cuts it as text, audio, visual
        evidence = [text, visual, audio] if dataset == "MELD" else [text, audio, visual]
        speakers = [[[1, 0] if s == "M" else [0, 1] for s in d[4]] if dataset == "IEMOCAP" else d[4] for d in part]
        speaker = pad_sequence([torch.LongTensor(np.array(s)).argmax(1) for s in speakers], True)
        label = torch.cat([torch.LongTensor(np.array(dialogue[5])) for dialogue in part])
        real = pad_sequence([torch.ones(len(dialogue[5]), dtype=torch.bool) for dialogue in part], True)
        yield [x.to(device) for x in (torch.cat(evidence, -1), event, speaker, real, label)]


def build(dataset, strict=False):
    recipe = RECIPE[dataset]
    return PlainECERC(MODALITIES[dataset], EVENT, CLASSES[dataset], recipe["positions"], recipe["rates"], strict=strict)


def passed(dataset, network, dialogues, optimizer=None, device="cpu"):
    """One pass over a split, training with an optimiser: mean loss, accuracy and weighted F1."""
    recipe = RECIPE[dataset]
    network.train(optimizer is not None)
    weight = torch.FloatTensor([1 / f for f in FREQUENCY]).to(device) if dataset == "IEMOCAP" else None
    losses, labels, predictions = [], [], []
    with torch.set_grad_enabled(optimizer is not None):
        for *inputs, label in batches(dataset, dialogues, recipe["batch"], optimizer is not None, device):
            log_prob = network(*inputs)
            log_p = log_prob.gather(1, label[:, None])[:, 0]
            loss = -((1 - log_p.detach().exp()) ** recipe["gamma"]) * log_p
            loss = (loss * weight[label] if weight is not None else loss).mean()
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
            labels.append(label.cpu().numpy())
            predictions.append(log_prob.argmax(1).cpu().numpy())
    labels, predictions = np.concatenate(labels), np.concatenate(predictions)
    f1 = f1_score(labels, predictions, average="weighted", zero_division=0)
    return np.mean(losses), 100 * accuracy_score(labels, predictions), 100 * f1


def adam(dataset, network):
    return torch.optim.Adam(network.parameters(), lr=RECIPE[dataset]["lr"], weight_decay=2e-4)


def run(dataset, folder, epochs, device):
    """Train the three seeds one after the other; prints the test scores of the epoch selected on validation."""
    for seed in SEEDS[dataset]:
        torch.manual_seed(seed)
        splits = load(dataset, folder)
        network = build(dataset).to(device)
        optimizer, best = adam(dataset, network), (-1.0, None)
        for epoch in range(epochs):
            start = time.time()
            train = passed(dataset, network, splits["train"], optimizer, device)
            valid = passed(dataset, network, splits["valid"], None, device)
            test = passed(dataset, network, splits["test"], None, device)
            best = max(best, (round(valid[2], 2), test), key=lambda b: b[0])
            print(
                f"seed {seed} epoch {epoch}: loss {train[0]:.4f}, valid wF1 {valid[2]:.2f}, {time.time() - start:.2f} s"
            )
        print(f"seed {seed}: test accuracy {best[1][1]:.2f}, weighted F1 {best[1][2]:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=sorted(RECIPE))
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    epochs = arguments.epochs or RECIPE[arguments.dataset]["epochs"]
    run(arguments.dataset, arguments.data_dir, epochs, arguments.device)
