"""The ablations of Table 4 find what was planted: without the attention to a kind of cause, its utterances are lost."""

import numpy as np
import pytest

from common.data.synthetic import CAUSES, synthetic_corpus
from common.settings import TrainingSettings
from tests.small import right_after_training

WIDTHS = {"text": 32, "event": 32, "audio": 16, "visual": 16}
SEEDS = (0, 1)


@pytest.mark.parametrize(
    ("planted", "encoder"),
    [
        (("self_event", "cross_event"), "event-encoding"),
        (("self_emotion", "cross_emotion"), "emotion-encoding"),
    ],
)
def test_what_is_planted_costs_and_nothing_else(planted, encoder):
    """Accuracy, over all utterances and over those of a planted kind, in percent, for two seeds.

    Causes are taken as they are, without the encoder: what it makes of a turn also tells of the turns before it, so
    that one attention can partly stand in for another.
    """
    corpus = synthetic_corpus(
        "IEMOCAP", sizes=(120, 6, 40), turns=(6, 12), widths=WIDTHS, causes=planted, evidence_share=0.3
    )
    kind = np.array(corpus.sentences)[corpus.rows("test")]
    keys = [(route, seed) for route in (None, *CAUSES) for seed in SEEDS]
    network = {"hidden_width": 32, "heads": 4, "head_width": 16, "positions": True}
    jobs = []
    for route, seed in keys:
        left_out = [] if route is None else [f"{route.replace('_', '-')}-attention"]
        training = {"learning_rate": 1e-2, "epochs": 8, "batch_size": 30, "seeds": [seed]}
        jobs.append((corpus, TrainingSettings(**network, **training, without=[encoder, *left_out])))
    found = {}
    for key, right in zip(keys, right_after_training(jobs), strict=True):
        found[key] = {"all": right.mean()} | {name: right[kind == name].mean() for name in planted}

    def of(route, name):
        return np.array([found[route, seed][name] for seed in SEEDS])

    for route in CAUSES:
        for name in planted:
            lost = of(None, name) - of(route, name)
            if name == route:
                assert min(lost) > 40, (route, name, lost)
            else:
                assert np.mean(lost) < 15, (route, name, lost)
        lost = of(None, "all") - of(route, "all")
        assert (min(lost) > 10) if route in planted else (max(lost) < 5), (route, lost)
