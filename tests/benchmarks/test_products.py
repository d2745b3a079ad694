"""Which products a training step has, and that both ways of computing them are the same product."""

from collections import Counter

import pytest
import torch
from torch import nn

from benchmarks import products
from benchmarks.epochs import settings_of
from benchmarks.products import WAYS, Product, _calls, measure_products, products_of_a_step
from common.batching.batches import Batches
from common.network import attention, ecerc, empty_history
from common.training.run import build_network
from tests.small import small_corpus

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def corpus():
    return small_corpus("MELD", sizes=(8, 4, 4))


@pytest.fixture(scope="module")
def counts(corpus):
    return products_of_a_step("MELD", corpus, CPU)


def test_all_maps_of_the_network_occur(corpus, counts):
    """But those under mask I, which attends to one key only and so needs no queries and keys."""
    network = build_network(settings_of("MELD"), corpus)
    idle = {id(parameter) for parameter in network.idle_parameters()}
    expected = {m.weight.shape for m in network.modules() if isinstance(m, nn.Linear) and id(m.weight) not in idle}
    found = set()
    for product in counts:
        found |= {(out, product.width) for out in product.outs}
        if product.then:
            found.add((product.then, sum(product.outs)))
    assert found == {tuple(shape) for shape in expected}


def test_numbers_of_products(corpus, counts):
    """Six feed-forward layers at one layer a block; each feature has a product, of a gradient that nobody needs."""
    assert sum(count for product, count in counts.items() if product.then) == 6
    features = [product.width for product, count in counts.items() if product.feature for _ in range(count)]
    assert sorted(features) == sorted(corpus.widths.values())
    rows = {product.rows for product in counts if product.feature}
    batches = Batches(corpus, "train", settings_of("MELD").batch_size, CPU, torch.Generator(), shapes="rounded")
    assert rows <= {len(batch.label) for batch in batches}


def test_modules_are_left_as_they_were(counts):
    assert attention.linear is ecerc.linear is empty_history.linear is products.linear


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "product",
    [
        Product(5, 3, (4,), True, None, False),
        Product(5, 3, (4, 2), True, None, False),
        Product(5, 3, (4, 2), False, None, True),
        Product(5, 3, (6,), True, 3, False),
    ],
    ids=str,
)
def test_both_compute_the_same(product, way):
    ours, theirs = _calls(product, way, CPU)
    a, b = ours(), theirs()
    if way == WAYS[0]:  # gradients of weights, biases, the second map, and the input
        of_maps = len(product.outs) * (1 + product.bias) + 2 * bool(product.then)
        assert len(a) == of_maps + (not product.feature)
    else:
        assert a.shape == (5, product.then or sum(product.outs))
        assert not a.requires_grad
        a, b = [a], [b]
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y)


def test_rows_of_the_table(corpus, monkeypatch):
    times = {"ours": 2.0, "theirs": 3.0}
    monkeypatch.setattr(products, "released_shape", lambda dataset: corpus)
    monkeypatch.setattr(products, "alternating", lambda ours, theirs, n, clock: [(times["ours"], times["theirs"])] * n)
    rows, counts = measure_products("MELD", 1, 1, "cpu"), products_of_a_step("MELD", corpus, CPU)
    for way in WAYS:
        single = {row: value for row, value in rows.items() if way in row and "all products" not in row}
        assert len(single) == len(counts)
        assert Counter(value["calls"] for value in single.values()) == Counter(counts.values())
        assert {(value["median"], value["ms"], value["F.linear ms"]) for value in single.values()} == {(1.5, 2e3, 3e3)}
        assert rows[f"all products of a step: {way}, ms"] == 2000 * sum(counts.values())
        assert rows[f"all products of a step: {way}, F.linear / linear"] == 1.5
        assert rows[f"all products of a step: {way}, least F.linear / linear"].startswith("1.5 (")
