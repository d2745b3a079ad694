"""The authors' way of doing things, to compare with: what their code does in an epoch, in the same order.

Features stay per-dialogue lists as the pickles hold them and are converted again in each epoch, everything is padded to
the longest dialogue, masks are made for each batch, the network is `common/network/reference.py`, the optimiser
`torch.optim.Adam` with its defaults, losses and predictions come back after each batch, and the test split is evaluated
in each epoch. It is written anew from the description of the release, and computes the same as `common` (tested).

`python -m benchmarks.plain IEMOCAP --data-dir DIR --epochs 3` trains three seeds as the release does.
"""

import argparse
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch.nn.utils.rnn import pad_sequence

from common.data import DATASETS
from common.network.reference import Reference
from common.release.published import WIDTHS
from common.settings import NetworkSettings

# dropout of evidence, attention blocks and classifier; batch, learning rate, epochs, γ
RECIPE: dict[str, dict[str, Any]] = {
    "IEMOCAP": {"rates": (0.5, 0.1, 0.5), "batch": 64, "lr": 1e-4, "epochs": 200, "gamma": 0},
    "MELD": {"rates": (0.0, 0.1, 0.2), "batch": 32, "lr": 1e-5, "epochs": 40, "gamma": 1},
}
FREQUENCY = (0.087178797, 0.145836136, 0.229786089, 0.148392305, 0.140051123, 0.24875555)
SEEDS = {"IEMOCAP": (2007, 1, 2), "MELD": (0, 1, 2)}


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
        features = {
            name: pad_sequence([torch.FloatTensor(np.array(dialogue[k])) for dialogue in part], True).to(device)
            for k, name in enumerate(("text", "audio", "visual", "event"))
        }
        speakers = [[[1, 0] if s == "M" else [0, 1] for s in d[4]] if dataset == "IEMOCAP" else d[4] for d in part]
        speaker = pad_sequence([torch.LongTensor(np.array(s)).argmax(1) for s in speakers], True)
        label = torch.cat([torch.LongTensor(np.array(dialogue[5])) for dialogue in part])
        length = torch.LongTensor([len(dialogue[5]) for dialogue in part])
        yield features, speaker.to(device), length.to(device), label.to(device)


def build(dataset, strict=False):
    """The network with the default hyperparameters of the dataset."""
    recipe = RECIPE[dataset]
    settings = NetworkSettings(
        positions=dataset == "IEMOCAP",
        modality_order="released" if dataset == "MELD" else "aligned",
        empty_history="strict" if strict else "released",
        evidence_dropout=recipe["rates"][0],
        attention_dropout=recipe["rates"][1],
        classifier_dropout=recipe["rates"][2],
    )
    return Reference(settings, WIDTHS[dataset], len(DATASETS[dataset].CLASSES))


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
    """PyTorch's default: on a CPU one parameter after the other, not fused."""
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
