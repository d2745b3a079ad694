"""What is lost without a route tells which cause was planted."""

import numpy as np

from common.batching.batches import Batches
from common.data.synthetic import CAUSES, synthetic_corpus
from common.network.explain import explain
from common.settings import TrainingSettings
from tests.small import trained

WIDTHS = {"text": 32, "event": 32, "audio": 16, "visual": 16}


def test_the_planted_route_is_missed_most():
    """Of the turns that are predicted right, two seeds together: the route with the largest drop is the planted one.

    Causes are taken as they are, without the encoders, which mix what earlier turns tell.
    """
    hits = {cause: [] for cause in CAUSES}
    corpus = synthetic_corpus("IEMOCAP", sizes=(120, 6, 40), turns=(6, 12), widths=WIDTHS, evidence_share=0.3)
    kind, label = np.array(corpus.sentences)[corpus.rows("test")], corpus.label[corpus.rows("test")]
    network = {"hidden_width": 32, "heads": 4, "head_width": 16, "positions": True}
    training = {"learning_rate": 1e-2, "epochs": 9, "batch_size": 30}
    encoders = ["event-encoding", "emotion-encoding"]
    settings = [TrainingSettings(**network, **training, without=encoders, seeds=[seed]) for seed in (0, 1)]
    for learned in trained([(corpus, one) for one in settings]):
        explanations = explain(learned, Batches(corpus, "test", 40, "cpu"))
        largest = np.array(settings[0].routes)[explanations.route_drop.argmax(1)]
        for cause in CAUSES:
            asked = (kind == cause) & (explanations.log_prob.argmax(1) == label)
            hits[cause] += (largest[asked] == cause).tolist()
    shares = {cause: float(np.mean(hit)) for cause, hit in hits.items()}
    print(shares, {cause: len(hit) for cause, hit in hits.items()})
    assert min(shares.values()) > 0.7, shares
    assert min(map(len, hits.values())) > 10
