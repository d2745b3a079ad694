"""Sizes of fixed shape, by hand."""

import math
from dataclasses import replace

import numpy as np

from common.batching.fixed import capacities, flatten
from common.batching.packing import Capacity

NO_SELF = [np.array([True, False, False]), np.array([True]), np.array([True, True])]
NO_CROSS = [np.array([True, True, False]), np.array([True]), np.array([True, False])]
LENGTHS = np.array([3, 1, 2])


def test_shuffled_batches_of_two_out_of_three_dialogues():
    """The usual ones by hand: mean 2, 4/3, 4/3 a dialogue, variance 2/3, 2/9, 2/9; of k out of 3 without replacement
    the sum has k (3 - k) / 2 times the variance.
    """
    expected = []
    for k, worst in ((1, (3, 2, 2)), (2, (5, 3, 3))):
        usual = [k * m + 3 * math.sqrt(v) for m, v in ((2, 2 / 3), (4 / 3, 2 / 9), (4 / 3, 2 / 9))]
        expected.append([min(math.ceil(u), most) for u, most in zip(usual, worst, strict=True)])
    found = capacities(LENGTHS, NO_SELF, NO_CROSS, 2, shuffled=True)
    assert found == [Capacity(1, 3, *expected[0]), Capacity(2, 3, *expected[1])]
    assert expected == [[3, 2, 2], [5, 3, 3]]  # so few that the usual is the worst


def test_a_usual_batch_is_smaller_than_the_worst():
    lengths = np.arange(1, 101)
    none = [np.zeros(n, bool) for n in lengths]
    usual, worst = capacities(lengths, none, none, 10, shuffled=True)
    variance = (100**2 - 1) / 12
    assert usual.rows == math.ceil(10 * 50.5 + 3 * math.sqrt(variance * 10 * 90 / 99))
    assert worst == Capacity(10, 100, sum(range(91, 101)), 0, 0)


def test_batches_in_order_are_known():
    """Dialogues 0 and 1, then 2: at most 4 rows, 2 without own history, 3 without that of others."""
    assert capacities(LENGTHS, NO_SELF, NO_CROSS, 2, shuffled=False) == [Capacity(2, 3, 4, 2, 3)]
    assert capacities(LENGTHS, NO_SELF, NO_CROSS, 9, shuffled=False) == [Capacity(3, 3, 6, 4, 4)]


def test_what_a_capacity_holds():
    capacity = Capacity(dialogues=2, longest=3, rows=4, no_self=2, no_cross=3)
    assert capacity.holds(LENGTHS[:2], NO_SELF[:2], NO_CROSS[:2])
    assert not capacity.holds(LENGTHS, NO_SELF, NO_CROSS)
    for smaller in ({"dialogues": 1}, {"longest": 2}, {"rows": 3}, {"no_self": 1}, {"no_cross": 2}):
        assert not replace(capacity, **smaller).holds(LENGTHS[:2], NO_SELF[:2], NO_CROSS[:2])


def test_a_plan_as_one_array():
    assert flatten({"a": np.array([[1, 2], [3, 4]]), "b": np.array([5])}).tolist() == [1, 2, 3, 4, 5]
