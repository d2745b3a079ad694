"""Inputs and weights of the golden vectors, made as goldens/README.md says, and the networks that they are for."""

from pathlib import Path

import numpy as np
import torch

from common.data import iemocap, meld
from common.data.corpus import from_dialogues
from common.network.ecerc import ECERC
from common.release.checkpoint import released_state
from common.settings import NetworkSettings

GOLDENS = Path(__file__).parent / "goldens"
WIDTHS = {
    "IEMOCAP": {"text": 1024, "audio": 1582, "visual": 342, "event": 1024},
    "MELD": {"text": 1024, "audio": 300, "visual": 342, "event": 1024},
}
CLASSES = {"IEMOCAP": iemocap.CLASSES, "MELD": meld.CLASSES}
PARTS = {"IEMOCAP": 2, "MELD": 4}


def network(dataset, widths=None, **settings):
    """The released network of a dataset, in evaluation mode, without dropout unless `settings` say so."""
    settings = {"positions": dataset == "IEMOCAP", "attention_dropout": 0.0} | settings
    return ECERC(NetworkSettings(**settings), widths or WIDTHS[dataset], len(CLASSES[dataset])).eval()


def filled_state(net, seed):
    """The generated weights of the golden runs, as a released state dict."""
    state = released_state(net)
    rng = np.random.RandomState(seed)
    for name in sorted(state):
        if name in ("position_enc_evi.pos_table", "layer_norm.weight", "layer_norm.bias"):
            continue
        value = 0.05 * rng.standard_normal(tuple(state[name].shape))
        if name.endswith("layer_norm.weight"):
            value = value + 1
        state[name] = torch.tensor(value.astype("float32"))
    return state


def make_corpus(dataset, features, speaker, label, lengths):
    """A Corpus with all dialogues in the test split; evidence features stand as [text | audio | visual]."""
    widths = WIDTHS[dataset]
    cuts = np.cumsum([widths["text"], widths["audio"]])
    text, audio, visual = np.split(features["evidence"].astype(np.float32), cuts, axis=1)
    return from_dialogues(
        dataset,
        lengths=lengths,
        ids=[f"d{i}" for i in range(len(lengths))],
        split_sizes=(0, 0, len(lengths)),
        features={"text": text, "audio": audio, "visual": visual, "event": features["event"].astype(np.float32)},
        label=np.array(label, np.int64),
        speaker=np.array(speaker, np.int64),
        classes=CLASSES[dataset],
        speakers=[str(i) for i in range(PARTS[dataset])],
    )


def forward_corpus(dataset, seed, lengths):
    """The generated conversations of the golden forward runs."""
    rng = np.random.RandomState(seed + 1000)
    evidence, event, speaker, label = [], [], [], []
    width = sum(WIDTHS[dataset][name] for name in ("text", "audio", "visual"))
    for n in lengths:
        evidence.append(0.5 * rng.standard_normal((n, width)))
        event.append(0.5 * rng.standard_normal((n, 1024)))
        speaker.append(rng.randint(0, PARTS[dataset], n))
        label.append(rng.randint(0, len(CLASSES[dataset]), n))
    features = {"evidence": np.concatenate(evidence), "event": np.concatenate(event)}
    return make_corpus(dataset, features, np.concatenate(speaker), np.concatenate(label), lengths)
