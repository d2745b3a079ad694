"""Small conversations and networks, for tests that need no released sizes."""

import json
from dataclasses import asdict, replace

import numpy as np
import torch

from common.batching.batches import Batches
from common.data.corpus import FEATURES, Corpus, from_dialogues
from common.data.synthetic import synthetic_corpus
from common.evaluation.evaluate import evaluate
from common.network.ecerc import ECERC
from common.settings import EvaluationSettings, NetworkSettings
from common.training.fit import Trainer
from common.training.loss import focal_loss
from common.training.side_by_side import side_by_side

WIDTHS = {"text": 12, "event": 10, "audio": 7, "visual": 5}


def small_corpus(dataset="IEMOCAP", sizes=(9, 1, 3), turns=(2, 6), **changes):
    return synthetic_corpus(dataset, sizes=sizes, turns=turns, widths=WIDTHS, **changes)


NETWORK = {"hidden_width": 8, "heads": 2, "head_width": 4, "attention_dropout": 0.0}


def small_network(corpus, seed=0, **settings):
    torch.manual_seed(seed)
    return ECERC(NetworkSettings(**(NETWORK | settings)), corpus.widths, len(corpus.classes)).eval()


def about(corpus, synthetic=False, **settings):
    """What the settings.yaml of a run says of a `small_network`, as far as an evaluation needs it."""
    values = asdict(EvaluationSettings(**(NETWORK | settings)))
    data = {"widths": corpus.widths, "classes": list(corpus.classes)}
    return {"dataset": corpus.name, "synthetic": synthetic, "hyperparameters": values, "data": data}


def without_record(checkpoint, path):
    """Write `checkpoint` to `path` as the authors' code writes one: weights, and nothing of the training."""
    torch.save(torch.load(checkpoint), path)
    return path


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


def safetensors(state, **entries):
    """`state` in the format of that name: the length of a JSON header, the header, the numbers."""
    header, body = {}, b""
    for name, tensor in state.items():
        data = tensor.contiguous().view(torch.uint8).numpy().tobytes()
        kind = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}.get(tensor.dtype, "F32")
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": offsets}
        body += data
    text = json.dumps({"__metadata__": {"format": "pt"}} | header | entries).encode()
    return len(text).to_bytes(8, "little") + text + body


def without_some_labels(corpus, share=0.4, seed=3):
    """Some utterances lose their label, and so does all of the first dialogue of each split."""
    lost = np.random.default_rng(seed).random(len(corpus.label)) < share
    for first in (dialogues[0] for dialogues in corpus.splits.values()):
        lost[corpus.offset[first] : corpus.offset[first + 1]] = True
    return replace(corpus, label=np.where(lost, -1, corpus.label))


def result_of(main, capsys):
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
    losses = [focal_loss(network(batch), batch.label, gamma, weight, batch.share) for batch in batches]
    return torch.stack(losses).mean().item()


def trained(jobs):
    """Of each job (corpus, TrainingSettings with one seed): the network after its last epoch. Several at a time."""
    networks, cpu = [None] * len(jobs), torch.device("cpu")

    def train(index):
        corpus, settings = jobs[index]
        torch.manual_seed(settings.seeds[0])
        network = networks[index] = ECERC(settings, corpus.widths, len(corpus.classes))
        network.dropout.seed(settings.seeds[0], cpu)
        shuffling = torch.Generator().manual_seed(settings.seeds[0])
        batches = Batches(corpus, "train", settings.batch_size, cpu, shuffling, shapes="rounded")
        trainer = Trainer(network, batches, Batches(corpus, "valid", settings.batch_size, cpu), settings)
        yield
        while not trainer.done:
            trainer.run_epoch()
            yield

    side_by_side(train, len(jobs), cpu)
    return networks


def right_after_training(jobs):
    """Of each job, as `trained` takes them: which test utterances its network gets right, in percent 0 or 100, (U,)."""
    percent = []
    for (corpus, settings), network in zip(jobs, trained(jobs), strict=True):
        test = Batches(corpus, "test", settings.batch_size, "cpu")
        log_prob = evaluate(network, test)
        percent.append(100.0 * (log_prob.argmax(1) == test.label).numpy())
    return percent
