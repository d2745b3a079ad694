import threading
import time

import pytest
import torch

from common.batching import side_by_side as module
from common.batching.batches import Batches
from common.batching.side_by_side import computed, one_thread, side_by_side, workers_for
from common.evaluation.evaluate import evaluate
from tests.small import random_corpus, small_network

LENGTHS = [4, 1, 7, 3, 3, 2, 9]


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_jobs_each_of_one_thread(three_threads):
    def job(k):
        time.sleep(0.02 * (3 - k % 3))  # later ones end first
        return k, torch.get_num_threads(), threading.current_thread()

    results = list(side_by_side(((lambda k=k: job(k)) for k in range(9)), 3))
    assert [(k, threads) for k, threads, _ in results] == [(k, 1) for k in range(9)]
    assert len({thread for *_, thread in results}) == 3


def test_jobs_are_taken_as_they_are_needed(three_threads):
    taken = []

    def jobs():
        for k in range(100):
            taken.append(k)
            yield lambda k=k: k

    results = side_by_side(jobs(), 3)
    for k in range(20):
        assert next(results) == k
        assert len(taken) <= k + 4
    results.close()
    assert len(taken) <= 23


def test_the_first_error_is_raised_where_its_result_would_come(three_threads):
    def job(k):
        if k in (2, 3):
            raise ValueError(k)
        return k

    results, seen = side_by_side(((lambda k=k: job(k)) for k in range(9)), 3), []
    with pytest.raises(ValueError, match="2"):
        seen.extend(results)
    assert seen == [0, 1]


@pytest.mark.parametrize("size", [2, 7])
@pytest.mark.parametrize("large", [1000, 0])
def test_batches_are_evaluated_as_with_one_thread(three_threads, monkeypatch, size, large):
    """To the last digit, in one batch or several, and also those that are too large to be under way together."""
    corpus = random_corpus(LENGTHS)
    network, batches = small_network(corpus, positions=True), Batches(corpus, "test", size, "cpu")
    monkeypatch.setattr(module, "LARGE", large)
    assert workers_for(batches) == (3 if large else 1)
    here = []
    network.register_forward_pre_hook(lambda *_: here.append((threading.current_thread(), torch.get_num_threads())))
    found = evaluate(network, batches)
    assert {threads for _, threads in here} == {1 if large else 3}
    assert ({thread for thread, _ in here} == {threading.current_thread()}) == (size == 7 or not large)
    with one_thread():
        assert torch.equal(found, evaluate(network, batches))


def test_no_gradients_are_kept_in_any_thread(three_threads):
    corpus = random_corpus(LENGTHS)
    network = small_network(corpus)
    for size in (2, 7):
        assert not any(x.requires_grad for x in computed(network, Batches(corpus, "test", size, "cpu")))


def test_the_most_rows_of_a_batch():
    corpus = random_corpus(LENGTHS)
    for size in (1, 3, 100):
        batches = Batches(corpus, "test", size, "cpu")
        assert max(len(batch.packing.position) for batch in batches) <= batches.most_rows == min(size, 7) * 9
