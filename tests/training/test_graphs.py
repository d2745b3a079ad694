"""CUDA graphs. `pytest tests/training/test_graphs.py` on a machine with an NVIDIA GPU runs all of it; elsewhere what
needs one is skipped, and a stand-in for a graph checks that capturing leaves everything as it was.
"""

import itertools
import time
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from common.batching.batches import Batches
from common.evaluation.evaluate import evaluate
from common.settings import TrainingSettings
from common.training import graphs
from common.training.fit import Trainer
from common.training.run import train_run
from tests.small import small_corpus, small_network, without_some_labels

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DROPOUT = {"evidence_dropout": 0.3, "attention_dropout": 0.2, "classifier_dropout": 0.3}


def trainer(corpus, shapes, device="cuda", rate=1e-3, shuffle=True, **settings):
    network = small_network(corpus, **settings).to(device)
    network.dropout.seed(1, torch.device(device))
    shuffling = torch.Generator().manual_seed(0) if shuffle else None
    train = Batches(corpus, "train", 4, device, shuffling, shapes=shapes)
    valid = Batches(corpus, "valid", 4, device, shapes=shapes)
    return Trainer(network, train, valid, TrainingSettings(learning_rate=rate, focal_gamma=1.0, epochs=9))


@pytest.fixture
def corpus():
    return small_corpus("MELD", sizes=(14, 6, 5), turns=(1, 12))


@needs_gpu
@pytest.mark.parametrize("empty_history", ["released", "strict"])
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("labels", ["all", "some"])
def test_graph_eager_and_cpu_train_alike(corpus, empty_history, positions, labels, capsys):
    corpus = corpus if labels == "all" else without_some_labels(corpus)
    settings = {"empty_history": empty_history, "positions": positions}
    kinds = {"graph": ("fixed", "cuda"), "eager": ("exact", "cuda"), "cpu": ("exact", "cpu")}
    trainers = {name: trainer(corpus, *kind, **settings) for name, kind in kinds.items()}
    assert "could not be captured" not in capsys.readouterr().err
    assert trainers["graph"]._train_step != trainers["graph"]._train_eagerly
    for _ in range(4):
        rows = {name: t.run_epoch() for name, t in trainers.items()}
        for name in ("train_loss", "valid_loss", "train_wf1", "valid_wf1"):
            assert rows["graph"][name] == pytest.approx(rows["eager"][name], rel=1e-4), name
            assert rows["graph"][name] == pytest.approx(rows["cpu"][name], rel=1e-3), name
    weights = [t.network.state_dict() for t in trainers.values()]
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=1e-3, atol=1e-4)
    tested = [
        evaluate(t.network, Batches(corpus, "test", 4, k[1], shapes=k[0]))
        for t, k in zip(trainers.values(), kinds.values(), strict=True)
    ]
    torch.testing.assert_close(tested[0], tested[1], rtol=1e-3, atol=1e-3)


@needs_gpu
def test_dropout_in_a_graph_is_new_in_each_replay_and_follows_the_seed(corpus):
    """Weights and order stay, so that losses differ by dropout alone."""

    def losses(**dropout):
        t = trainer(corpus, "fixed", rate=1e-30, shuffle=False, **dropout)
        return [t.run_epoch()["train_loss"] for _ in range(3)]

    first, again, without = losses(**DROPOUT), losses(**DROPOUT), losses()
    assert min(abs(a - b) for a, b in itertools.pairwise(first)) > 1e-4
    assert first == pytest.approx(again, rel=1e-5)
    assert without == pytest.approx([without[0]] * 3, rel=1e-5)


@needs_gpu
def test_seeds_side_by_side_are_those_trained_alone(corpus, tmp_path):
    settings = {"hidden_width": 8, "heads": 2, "head_width": 4, "epochs": 4, "learning_rate": 1e-2, "batch_size": 4}
    device = torch.device("cuda")
    together, _ = train_run(corpus, TrainingSettings(seeds=(5, 6, 7), **settings), device, tmp_path / "a")
    for seed, expected in together.items():
        alone, _ = train_run(corpus, TrainingSettings(seeds=(seed,), **settings), device, tmp_path / str(seed))
        assert alone[seed]["wf1"] == pytest.approx(expected["wf1"], abs=5)  # sums on a GPU have no fixed order


@needs_gpu
def test_what_cannot_be_captured_runs_eagerly_and_says_so(corpus, capsys):
    t = trainer(corpus, "fixed")
    batches, seen, total = Batches(corpus, "valid", 4, "cuda", shapes="fixed"), [], torch.zeros(1, device="cuda")

    def work(batch):
        t.network.dropout(total.new_ones(64), 0.5, True)  # whose generator has to go on
        seen.append(total.add_(1).item())  # a graph cannot wait for the device

    step = graphs.captured(work, batches, t.network.dropout, lambda: [total])
    step(next(iter(batches)))
    assert "could not be captured as a CUDA graph" in capsys.readouterr().err
    assert total.item() == 1  # tried, put back, and then worked on once


@needs_gpu
def test_an_epoch_of_released_size_in_time(corpus):
    """No limit, but the time is shown with `pytest -s`: MELD's sizes, three seeds one after the other."""
    corpus = small_corpus("MELD", sizes=(1038, 114, 280), turns=(1, 24))
    t = trainer(corpus, "fixed", hidden_width=128, heads=8, head_width=64, **DROPOUT)
    t.run_epoch()
    start = time.perf_counter()
    for _ in range(3):
        t.run_epoch()
    print(f"{(time.perf_counter() - start) / 3:.3f} s an epoch on {torch.cuda.get_device_name()}")


class Stand:
    """Stands in for a CUDA stream, and for a graph that remembers what to replay."""

    def __init__(self, *_):
        self.generators = []

    def wait_stream(self, _):
        pass

    def register_generator_state(self, generator):
        self.generators.append(generator)

    def replay(self):
        self.replayed = True


@pytest.mark.parametrize("fails", [False, True])
def test_capturing_leaves_everything_as_it_was(corpus, monkeypatch, capsys, fails):
    t = trainer(corpus, "fixed", "cpu", **DROPOUT)
    before = {name: tensor.clone() for name, tensor in t.network.state_dict().items()}
    random, calls = t.network.dropout.generator.get_state(), []

    @contextmanager
    def graph(_, pool, stream, capture_error_mode):
        kept = [tensor.detach().clone() for tensor in t._state()]
        yield
        if fails:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        with torch.no_grad():  # what is captured is not executed
            for tensor, old in zip(t._state(), kept, strict=True):
                tensor.copy_(old)

    for name, stand in {"Stream": Stand, "CUDAGraph": Stand, "current_stream": Stand, "graph": graph}.items():
        monkeypatch.setattr(torch.cuda, name, stand)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    for name in ("set_stream", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)

    def work(batch):
        calls.append(batch)
        t._train_eagerly(batch)

    t.network.train()
    batch = next(iter(t._train))
    step = graphs._capture(work, batch, t.network.dropout.generator, t._state(), None, Stand())
    assert len(calls) == graphs.WARM_UPS + 1
    assert all(called is batch for called in calls)
    for name, tensor in t.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    moments = [value for state in t._optimizer.state.values() for value in state.values()]
    assert moments
    assert not any(value.any() for value in moments)
    assert not t._tallies[0]._sums.any()
    if fails:
        assert step is work
        assert torch.equal(t.network.dropout.generator.get_state(), random)
        assert capsys.readouterr().err.count("\n") == 1
    else:
        step(batch)
        assert len(calls) == graphs.WARM_UPS + 1


def test_each_shape_is_captured_once_when_it_comes(monkeypatch):
    calls, replayed = [], []

    def capture(work, batch, generator, state, pool, aside):
        calls.append((batch, state, pool, aside))
        return replayed.append

    monkeypatch.setattr(graphs, "_capture", capture)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "home")
    monkeypatch.setattr(graphs, "_aside", {"home": "stream"}.get)
    batches = SimpleNamespace(device=SimpleNamespace(type="cuda"), shapes="fixed")
    step = graphs.captured(print, batches, SimpleNamespace(generator=1), lambda: ["state"])
    small, large = object(), object()
    for batch in (small, large, small):
        step(batch)
    assert calls == [(batch, ["state"], "pool", "stream") for batch in (small, large)]
    assert replayed == [small, large, small]


def test_what_is_captured_aside_is_apart_from_where_trainings_run(monkeypatch):
    """Streams come in turn from 32 of each priority: two trainings share one aside only if they share their own."""
    begun = {0: itertools.count(), -1: itertools.count()}

    def stream(device=0, priority=0):
        number = 1 + next(begun[priority]) % 32 + 100 * (priority < 0)
        return SimpleNamespace(device=device, device_index=device, cuda_stream=number)

    monkeypatch.setattr(torch.cuda, "Stream", stream)
    monkeypatch.setattr(graphs, "_ASIDE", {})
    homes = [stream() for _ in range(100)]
    asides = {(home.cuda_stream, graphs._aside(home).cuda_stream) for home in homes for _ in range(2)}
    assert len(asides) == len({home for home, _ in asides}) == len({aside for _, aside in asides}) == 32
    assert not {home for home, _ in asides} & {aside for _, aside in asides}


def test_elsewhere_nothing_is_captured(corpus):
    for shapes in ("exact", "rounded", "fixed"):
        t = trainer(corpus, shapes, "cpu")
        assert t._train_step == t._train_eagerly
        assert t._valid_step == t._evaluate_eagerly
