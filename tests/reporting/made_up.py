"""Data of a report: made-up conversations, predictions, gates, drops and attention, analysed as real ones are.

`python -m tests.reporting.made_up REPORT.html [DATA_DIR]` writes such a report, with the test dialogues of MELD if
DATA_DIR, the folder of its file, is given.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.network.explain import Explanation
from common.reporting.analysis import checkpoint_analysis
from common.reporting.attended import keys
from common.reporting.page import report_page
from common.reporting.report_data import Evaluated, report_data
from common.settings import EvaluationSettings
from tests.small import random_corpus

CLASSES = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
WORDS = ["well", "you", "know", "what", "I", "said", "was", "not", "that", "of", "all", "things", "a", "friend", "her"]
HOSTILE = [
    "<script>window.hostile = 1</script>",
    "</script><img src=x onerror='window.hostile = 1'>",
    "<!-- <script>",
    "\"quoted\" & 'quoted' &lt;b&gt; ]]>",
    "line\u2028separator\u2029 and \\u003c and \\",
    "{{ title }} {% raw %} é 😀",
]
PAPER = {"accuracy": 67.32, "wf1": 66.46, "f1": [79.8, 58.98, 26.12, 40.95, 64.95, 31.43, 53.89]}


def some_corpus(lengths, classes=CLASSES, speakers=3, seed=0):
    """A corpus whose test split holds conversations of the given lengths, of made-up words; labels, speakers, sentences
    and ids can be changed afterwards.
    """
    rng = np.random.default_rng(seed)
    corpus = random_corpus(lengths, speakers=speakers, classes=len(classes), seed=seed)
    sentences = [" ".join(rng.choice(WORDS, rng.integers(2, 16))).capitalize() + "." for _ in corpus.label]
    return replace(
        corpus,
        name="MELD",
        classes=list(classes),
        ids=[str(100 + i) for i in range(len(lengths))],
        speakers=[str(i) for i in range(speakers)],
        sentences=sentences,
    )


def made_up(corpus, checkpoints=3, runs=1, paper=PAPER, settings=None, seed=0, about=None, comparison=None):
    """The data of a report on the test split of `corpus`, of so many checkpoints for each of so many runs."""
    rng, settings = np.random.default_rng(seed), settings or EvaluationSettings()
    evaluated = []
    for run in range(runs):
        made = [explanation_of(rng, corpus, settings) for _ in range(checkpoints)]
        parts = [
            checkpoint_analysis(
                f"ECERC_MODEL{f'_{k + 1}' if k else ''}.pkl",
                corpus,
                "test",
                settings,
                explanation,
                1.34,
                "validation split of MELD, 1,109 utterances",
            )
            for k, explanation in enumerate(made)
        ]
        name = "" if runs == 1 else f"runs/{'ab'[run]}"
        evaluated.append(Evaluated(name, settings, parts, [one.log_prob for one in made], paper, ABOUT_RUN))
    about = about or {
        "data": corpus.describe(),
        "device": "cpu",
        "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
    }
    return report_data(corpus, "test", evaluated, about=about, comparison=comparison)


ABOUT_RUN = {
    "provenance": {
        "folder": "MELD/runs/a",
        "checkpoints": [
            {"name": f"ECERC_MODEL{end}.pkl", "sha256": "0123456789abcdef" * 4, "seed": seed, "selected_epoch": 3}
            for seed, end in enumerate(("", "_2", "_3"))
        ],
        "hyperparameters": {"learning_rate": 1e-5, "epochs": 6, "seeds": [0, 1, 2]},
    },
    "curves": [
        {
            "seed": seed,
            "epochs": [0, 1, 2, 3, 4, 5],
            "train_loss": [2 / (k + 1) + seed / 10 for k in range(6)],
            "valid_loss": [2 / (k + 1) + 0.3 + seed / 10 for k in range(6)],
            "valid_wf1": [30 + 8 * k - k * k - seed for k in range(6)],
            "selected_epoch": 4,
        }
        for seed in range(3)
    ],
}


def page_in(folder, data):
    """Where the page of a report with these data is, written into `folder`."""
    file = folder / "report.html"
    file.write_text(report_page(data), encoding="utf-8")
    return file


def result(data, checkpoint, dialogue, turn):
    """What a checkpoint says of a turn, and its prediction (position in the classes)."""
    first = sum(len(d["turns"]) for d in data["dialogues"][:dialogue])
    output = data["checkpoints"][checkpoint]["turns"][first + turn]
    return output, output["prediction"]


def explanation_of(rng, corpus, settings):
    """Log-probabilities that lean towards the labels, gates around a half, and attention where the routes can see."""
    label, c = corpus.label[corpus.rows("test")], len(corpus.classes)
    n, k, r = len(label), len(settings.modalities_in_use), len(settings.routes)
    logits = 1.6 * rng.normal(size=(n, c))
    logits[:, 0] += 1.5
    logits[np.arange(n), label] += 2.2 * (label >= 0)
    log_prob = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    gates, route_gates = (0.5 + 0.004 * rng.normal(size=(n, m)) * np.arange(1, m + 1) for m in (k, r))
    drop, route_drop = (rng.gamma(1.2, 0.3, size=(n, m)) - 0.08 for m in (k, r))
    prediction = log_prob.argmax(1)[:, None]
    without, route_without = (
        np.where(values > 0.9, rng.integers(c, size=values.shape), prediction) for values in (drop, route_drop)
    )
    attention = []
    for dialogue in corpus.splits["test"]:
        rows = slice(corpus.offset[dialogue], corpus.offset[dialogue + 1])
        attention.append({route: _weights(rng, keys(corpus.speaker[rows], route), route) for route in settings.routes})
    columns = (log_prob, gates, route_gates, drop, route_drop)
    return Explanation(*(x.astype(np.float32) for x in columns), without, route_without, attention)


def _weights(rng, seen, route):
    """Weights (heads, n, n) on what is seen, NaN in rows that see nothing."""
    heads = 1 if route == "self_event" else 4
    weights = seen * rng.gamma(2, size=(heads, *seen.shape))
    total = weights.sum(2, keepdims=True)
    return np.divide(weights, total, out=np.full_like(weights, np.nan), where=total > 0).astype(np.float32)


if __name__ == "__main__":
    from common.data import meld

    corpus = meld.read(sys.argv[2]) if len(sys.argv) > 2 else some_corpus([8, 3, 12, 1, 20])
    Path(sys.argv[1]).write_text(report_page(made_up(corpus)), encoding="utf-8")
