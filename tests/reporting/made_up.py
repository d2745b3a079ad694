"""Data of a report as `common.reporting.analysis` makes them, with predictions, gates and attention made up.

`python -m tests.reporting.made_up REPORT.html [DATA_DIR]` writes such a report, with the test dialogues of MELD if
DATA_DIR, the folder of its file, is given.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from common.reporting.page import report_page

CLASSES = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
ROUTES = ("self_emotion", "cross_emotion", "self_event", "cross_event")
MODALITIES = ("text", "audio", "visual")
WORDS = ["well", "you", "know", "what", "I", "said", "was", "not", "that", "of", "all", "things", "a", "friend", "her"]
HOSTILE = [
    "<script>window.hostile = 1</script>",
    "</script><img src=x onerror='window.hostile = 1'>",
    "<!-- <script>",
    "\"quoted\" & 'quoted' &lt;b&gt; ]]>",
    "line\u2028separator\u2029 and \\u003c and \\",
    "{{ title }} {% raw %} é 😀",
]


def dialogues_of(corpus):
    """The dialogues of a corpus' test split, as in the report's data."""
    rows = [range(corpus.offset[i], corpus.offset[i + 1]) for i in corpus.splits["test"]]
    return [
        {
            "id": str(corpus.ids[i]),
            "turns": [_turn(corpus.speakers[corpus.speaker[u]], *_said(corpus, u)) for u in turns],
        }
        for i, turns in zip(corpus.splits["test"], rows, strict=True)
    ]


def some_dialogues(lengths, classes=7, speakers=3, seed=0):
    """Dialogues of the given lengths, of made-up words."""
    rng = np.random.default_rng(seed)

    def sentence():
        return " ".join(rng.choice(WORDS, rng.integers(2, 16))).capitalize() + "."

    return [
        {
            "id": str(100 + i),
            "turns": [_turn(str(rng.integers(speakers)), sentence(), rng.integers(classes)) for _ in range(n)],
        }
        for i, n in enumerate(lengths)
    ]


def made_up(dialogues, checkpoints=3, classes=CLASSES, modalities=MODALITIES, routes=ROUTES, seed=0):
    """The data of a report on `dialogues`. Scores follow from the made-up predictions; calibration, scores by group and
    rank correlations are made up.
    """
    rng = np.random.default_rng(seed)
    label = np.array([turn["label"] for d in dialogues for turn in d["turns"]])
    made = [_checkpoint(rng, k, dialogues, label, classes, modalities, routes) for k in range(checkpoints)]
    scores = [part.pop("scores") for part in made]
    paper = {"accuracy": 67.32, "weighted F1": 66.46, "F1 joy": 64.95}
    summary = []
    for name in scores[0]:
        values = [score[name] for score in scores]
        spread = float(np.std(values, ddof=1)) if checkpoints > 1 else None
        row = {"name": name, "values": values, "mean": float(np.mean(values)), "std": spread, "paper": paper.get(name)}
        summary.append(row)
    ensemble = {name: summary[k]["mean"] + 0.61 for k, name in enumerate(("accuracy", "weighted F1", "macro F1"))}
    return {
        "title": "ECERC on MELD, test split",
        "about": {
            "data": f"MELD: {len(label):,} utterances in {len(dialogues)} dialogues",
            "device": "cpu",
            "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
            "settings": {"empty_history": "released", "modality_order": "released", "layers": 1},
        },
        "notes": [],
        "calibrated": False,
        "classes": list(classes),
        "modalities": list(modalities),
        "routes": list(routes),
        "summary": summary,
        "ensemble": ensemble if checkpoints > 1 else None,
        "dialogues": dialogues,
        "checkpoints": made,
    }


def result(data, checkpoint, dialogue, turn):
    """What a checkpoint says of a turn, and its prediction (position in the classes)."""
    first = sum(len(d["turns"]) for d in data["dialogues"][:dialogue])
    output = data["checkpoints"][checkpoint]["turns"][first + turn]
    return output, output["prediction"]


def _turn(speaker, sentence, label):
    return {"speaker": speaker, "sentence": sentence, "label": int(label)}


def _said(corpus, u):
    return (corpus.sentences[u] if corpus.sentences else ""), corpus.label[u]


def _checkpoint(rng, k, dialogues, label, classes, modalities, routes):
    n, c = len(label), len(classes)
    logits = 1.6 * rng.normal(size=(n, c))
    logits[:, 0] += 1.5
    logits[np.arange(n), label] += 2.2
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    prediction = probability.argmax(1)
    gates, route_gates = (rng.beta(8, 8 - 1.2 * np.arange(m), size=(n, m)) for m in (len(modalities), len(routes)))
    drop, route_drop = (rng.gamma(1.2, 0.3, size=values.shape) * values - 0.08 for values in (gates, route_gates))
    confusion = np.bincount((c * label + prediction)[label >= 0], minlength=c * c).reshape(c, c)
    support, right = confusion.sum(1), confusion.diagonal()
    precision, recall = (100 * right / np.maximum(total, 1) for total in (confusion.sum(0), support))
    f1 = 200 * right / np.maximum(confusion.sum(0) + support, 1)
    columns = ("name", "precision", "recall", "f1")
    per_class = [
        dict(zip(columns, (name, *map(float, row)), strict=True)) | {"support": int(count)}
        for name, count, *row in zip(classes, support, precision, recall, f1, strict=True)
    ]
    scores = {"accuracy": 100 * right.sum() / support.sum(), "weighted F1": np.average(f1, weights=support)}
    scores |= {"macro F1": f1.mean()} | {f"F1 {name}": value for name, value in zip(classes, f1, strict=True)}
    turns = zip(probability, prediction, gates, route_gates, drop, route_drop, strict=True)
    means = [*zip(modalities, gates.mean(0), strict=True), *zip(routes, route_gates.mean(0), strict=True)]
    return {
        "scores": {name: float(value) for name, value in scores.items()},
        "name": f"ECERC_MODEL{f'_{k + 1}' if k else ''}.pkl",
        "per_class": per_class,
        "confusion": confusion.tolist(),
        "calibration": {
            "temperature": 1.34,
            "fitted_on": "validation split, 1,109 utterances",
            "before": _calibration(probability, prediction == label, 9.5),
            "after": _calibration(probability**0.8, prediction == label, 3.0),
        },
        "groups": _groups(rng, n),
        "gate_mean": {name: float(mean) for name, mean in means},
        "agreement": [{"name": name, "rho": float(rng.uniform(-0.2, 0.7))} for name, _ in means],
        "turns": [
            dict(
                zip(
                    ("probability", "prediction", "gates", "route_gates", "drop", "route_drop"),
                    [part.tolist() for part in row],
                    strict=True,
                )
            )
            for row in turns
        ],
        "attention": [{route: _attention(rng, route, d["turns"]) for route in routes} for d in dialogues],
    }


def _attention(rng, route, turns):
    """Weights over the turns that the mask of the route allows, per turn; None where it allows none."""
    rows = []
    for i, turn in enumerate(turns):
        own = np.array([other["speaker"] == turn["speaker"] for other in turns])
        allowed = np.arange(len(turns)) == i if route == "self_event" else (own == route.startswith("self"))
        weights = allowed * (np.arange(len(turns)) <= i) * rng.gamma(0.6, size=len(turns))
        if route != "self_event":
            weights[i] = 0
        rows.append((weights / weights.sum()).tolist() if weights.any() else None)
    return rows


def _calibration(probability, right, ece):
    confidence = (probability / probability.sum(1, keepdims=True)).max(1)
    edges, bins = np.linspace(0, 1, 16), []
    for low, high in pairwise(edges):
        here = (confidence > low) & (confidence <= high)
        share = {"confidence": confidence[here].mean(), "accuracy": right[here].mean()} if here.any() else {}
        share = {name: float(share[name]) if share else None for name in ("confidence", "accuracy")}
        bins.append({"low": float(low), "high": float(high), "count": int(here.sum()), **share})
    return {"ece": ece, "adaptive_ece": ece - 0.1, "brier": 0.05 * ece, "nll": 0.1 * ece + 0.1, "bins": bins}


def _groups(rng, n):
    parts = {
        "position in the dialogue": ["turn 1", "turn 2", "turns 3 to 5", "turns 6 to 10", "turns 11 and later"],
        "history of own turns": ["none", "1", "2", "3 or more"],
        "history of others' turns": ["none", "1", "2", "3 or more"],
        "emotion shift": ["speaker's first", "same emotion", "shift"],
    }
    what = "How well utterances are predicted by what came before them."
    return [
        {
            "title": title,
            "what": what,
            "rows": [
                {"name": name, "count": n // len(names), "accuracy": float(a), "wf1": float(a) - 2.2}
                for name, a in zip(names, rng.uniform(45, 75, len(names)), strict=True)
            ],
        }
        for title, names in parts.items()
    ]


if __name__ == "__main__":
    from common.data import meld

    dialogues = dialogues_of(meld.read(sys.argv[2])) if len(sys.argv) > 2 else some_dialogues([8, 3, 12, 1, 20])
    Path(sys.argv[1]).write_text(report_page(made_up(dialogues)), encoding="utf-8")
