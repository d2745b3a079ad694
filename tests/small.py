"""Small conversations and networks, for tests that need no released sizes."""

import numpy as np
import torch

from common.batching.batches import Batches
from common.data.corpus import FEATURES, Corpus, from_dialogues
from common.data.synthetic import synthetic_corpus
from common.evaluation.evaluate import evaluate
from common.network.ecerc import ECERC
from common.settings import NetworkSettings
from common.training.fit import Trainer
from common.training.loss import focal_loss
from common.training.side_by_side import side_by_side

WIDTHS = {"text": 12, "event": 10, "audio": 7, "visual": 5}


def small_corpus(dataset="IEMOCAP", sizes=(9, 1, 3), turns=(2, 6), **changes):
    return synthetic_corpus(dataset, sizes=sizes, turns=turns, widths=WIDTHS, **changes)


def small_network(corpus, seed=0, **settings):
    torch.manual_seed(seed)
    values = {"hidden_width": 8, "heads": 2, "head_width": 4, "attention_dropout": 0.0} | settings
    return ECERC(NetworkSettings(**values), corpus.widths, len(corpus.classes)).eval()


def random_corpus(lengths, speakers=3, classes=4, seed=0, widths=WIDTHS):
    """Dialogues of the given lengths with random features, all in the test split."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    return from_dialogues(
        "random",
        lengths=lengths,
        ids=[f"d{i}" for i in range(len(lengths))],
        split_sizes=(0, 0, len(lengths)),
        label=rng.integers(classes, size=n),
        speaker=rng.integers(speakers, size=n),
        classes=[f"c{i}" for i in range(classes)],
        speakers=[f"s{i}" for i in range(speakers)],
        features={name: rng.standard_normal((n, widths[name])).astype(np.float32) for name in FEATURES},
    )


def told(main, capsys):
    """What the command `main`, called in this process, prints, and its exit status."""
    status = 0
    try:
        main()
    except SystemExit as stop:
        status = stop.code
    return capsys.readouterr(), status


def same(a, b):
    """Whether two corpora hold the same, whatever they were made of."""
    for name in Corpus.__dataclass_fields__:
        x, y = getattr(a, name), getattr(b, name)
        if name == "features":
            if x.keys() != y.keys() or not all(np.array_equal(x[feature], y[feature]) for feature in x):
                return False
        elif name != "sources" and not (np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y):
            return False
    return True


def arrays(x):
    """Name to array of all that a Corpus, or a Batch, has of each utterance."""
    return {**x.features, "label": x.label, "speaker": x.speaker}


def one_batch_of(corpus, split="test"):
    """All dialogues of a split as one batch on the CPU."""
    (batch,) = Batches(corpus, split, len(corpus.ids), "cpu")
    return batch


def outputs(network, corpus, size=100):
    """Log-probabilities (U, C) of the test split, in batches of `size` dialogues."""
    with torch.no_grad():
        return torch.cat([network(batch) for batch in Batches(corpus, "test", size, "cpu")])


@torch.no_grad()
def mean_loss(network, batches, gamma=0.0, weight=None):
    """The loss of a split, an unweighted mean over batches; the network is left in evaluation mode."""
    network.eval()
    losses = [
        focal_loss(network(batch), batch.label.clamp(min=0), gamma, weight, batch.packing.share) for batch in batches
    ]
    return torch.stack(losses).mean().item()


def right_after_training(jobs):
    """Of each job (corpus, TrainingSettings with one seed): which test utterances a network gets right, in percent 0 or
    100, (U,), after its last epoch. Several jobs at a time.
    """
    found, cpu = {}, torch.device("cpu")

    def train(index):
        corpus, settings = jobs[index]
        torch.manual_seed(settings.seeds[0])
        network = ECERC(settings, corpus.widths, len(corpus.classes))
        network.dropout.seed(settings.seeds[0], cpu)
        shuffling = torch.Generator().manual_seed(settings.seeds[0])
        parts = [
            Batches(corpus, split, settings.batch_size, cpu, generator)
            for split, generator in (("train", shuffling), ("valid", None), ("test", None))
        ]
        trainer = Trainer(network, *parts[:2], settings)
        yield
        while not trainer.done:
            trainer.run_epoch()
            yield
        log_prob = evaluate(network, parts[2])
        found[index] = 100.0 * (log_prob.argmax(1) == parts[2].label).numpy()

    side_by_side(train, len(jobs), cpu)
    return [found[index] for index in range(len(jobs))]
